"""Run logs move from one store of runnable to another, each verified by reading it back."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from extensions.run_log_store.generic_chunked import ChunkedRunLogStore
from runnable import exceptions
from runnable.datastore import BaseRunLogStore, BranchLog, RunLog

from runlog_otel.errors import RunlogOtelError
from runlog_otel.hosts.runnable.runs import run_context, whole_run_log
from runlog_otel.redaction import redacted
from runlog_otel.stores.entries import text_from_value

COPIED, THERE, DIFFERS, FAILED = "copied", "there", "differs", "failed"


@dataclass(frozen=True, slots=True)
class Copy:
    """What became of one run: copied, there already, there with another content (and left alone), or failed."""

    run_id: str
    outcome: str
    problem: str = ""


def copy_runs(
    source: BaseRunLogStore, target: BaseRunLogStore, run_ids: Iterable[str], *, is_overwriting: bool = False
) -> Iterator[Copy]:
    """Copy runs one by one; a copy that was interrupted is resumed by calling it again.

    Arguments:
        is_overwriting: merge into runs that the target has with another content, instead of leaving them alone.
    """
    for run_id in run_ids:
        with run_context(run_id):
            copied = _copy(source, target, run_id, is_overwriting)
        yield copied


def _copy(source: BaseRunLogStore, target: BaseRunLogStore, run_id: str, is_overwriting: bool) -> Copy:
    try:
        run_log = whole_run_log(source, run_id)
        there = _found(target, run_id)
        if there is not None and _content(there) == _content(run_log):
            return Copy(run_id, THERE)
        if there is not None and not is_overwriting:
            return Copy(run_id, DIFFERS, "the target has it with another content; --overwrite merges into it")
        _put(target, run_log)
        if _content(whole_run_log(target, run_id)) != _content(run_log):
            return Copy(run_id, FAILED, "it reads back with another content")
    except (RunlogOtelError, exceptions.RunLogNotFoundError, OSError, ValueError) as error:
        return Copy(run_id, FAILED, redacted(" ".join(str(error).split())))
    return Copy(run_id, COPIED)


def _found(store: BaseRunLogStore, run_id: str) -> RunLog | None:
    try:
        return whole_run_log(store, run_id)
    except exceptions.RunLogNotFoundError:
        return None


def _content(run_log: RunLog) -> Any:
    # Chunked stores find branches in the order of the file system, so order does not count.
    return json.loads(text_from_value(run_log.model_dump()))


def _put(store: BaseRunLogStore, run_log: RunLog) -> None:
    if not isinstance(store, ChunkedRunLogStore):
        store.put_run_log(run_log)
        return
    # A retry looks for branches in files of their own.
    run_log = run_log.model_copy(deep=True)
    branches = list(_taken_branches(run_log))
    store.put_run_log(run_log)
    for branch in branches:
        store.add_branch_log(branch, run_log.run_id)


def _taken_branches(graph: RunLog | BranchLog) -> Iterator[BranchLog]:
    for step in graph.steps.values():
        taken, step.branches = step.branches, {}
        for branch in taken.values():
            yield from _taken_branches(branch)
            yield branch
