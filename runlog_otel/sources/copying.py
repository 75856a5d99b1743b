"""Run logs move from one store to another, each verified by reading it back."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from runlog_otel.core.redaction import redacted
from runlog_otel.errors import RunLogFormatError, RunlogOtelError
from runlog_otel.stores.entries import text_from_value

COPIED, THERE, DIFFERS, FAILED = "copied", "there", "differs", "failed"


class CopySource(Protocol):
    """Where run logs come from."""

    @property
    def not_found(self) -> type[Exception]:
        """What is raised for a run log that is not there."""

    def outside_a_run(self, run_id: str, /) -> AbstractContextManager[None]:
        """The context in which a run log is read or written outside of a run."""

    def document(self, run_id: str) -> dict[str, Any]:
        """The whole run log."""


class CopyTarget(CopySource, Protocol):
    """Where they go."""

    def put(self, document: dict[str, Any]) -> None:
        """Write a whole run log; what it does not hold of one that is there stays."""

    def as_kept(self, document: dict[str, Any]) -> dict[str, Any]:
        """How it will be read back; raises ValueError for one that cannot be kept."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What became of one run: copied, there already, there with another content (and left alone), or failed."""

    run_id: str
    outcome: str
    problem: str = ""


def copy_runs(
    source: CopySource, target: CopyTarget, run_ids: Iterable[str], *, is_overwriting: bool = False
) -> Iterator[Copy]:
    """Copy runs one by one; a copy that was interrupted is resumed by calling it again.

    Arguments:
        is_overwriting: merge into runs that the target has with another content, instead of leaving them alone.
    """
    for run_id in run_ids:
        try:
            with source.outside_a_run(run_id), target.outside_a_run(run_id):
                copied = _copy(source, target, run_id, is_overwriting)
        except source.not_found as error:
            copied = Copy(run_id, FAILED, " ".join(str(getattr(error, "message", error)).split()))
        except (RunlogOtelError, OSError, ValueError) as error:
            copied = Copy(run_id, FAILED, redacted(" ".join(str(error).split())))
        except Exception as error:  # noqa: BLE001 - what a host's store raises of a damaged log; others are copied
            problem = redacted(" ".join(f"{type(error).__name__}: {error}".split()))
            copied = Copy(run_id, FAILED, f"it is not a run log, or cannot be kept: {problem}")
        yield copied


def _copy(source: CopySource, target: CopyTarget, run_id: str, is_overwriting: bool) -> Copy:
    document = source.document(run_id)
    if document.get("run_id") != run_id:
        raise RunLogFormatError(f"the log of {run_id!r}", f"its run_id is {document.get('run_id')!r}")
    expected, there = _content(target.as_kept(document)), _found(target, run_id)
    if there is not None and _content(there) == expected:
        return Copy(run_id, THERE)
    if there is not None and not is_overwriting:
        return Copy(run_id, DIFFERS, "the target has it with another content; --overwrite merges into it")
    target.put(document)
    if _content(target.document(run_id)) != expected:
        return Copy(run_id, FAILED, "it reads back with another content")
    return Copy(run_id, COPIED)


def _found(store: CopySource, run_id: str) -> Mapping[str, Any] | None:
    try:
        return store.document(run_id)
    except store.not_found:
        return None
    except RunLogFormatError:  # damaged: writing over it may repair it
        return {}


def _content(document: Mapping[str, Any]) -> Any:
    # Chunked stores find branches in the order of the file system, so order does not count.
    return json.loads(text_from_value(document))
