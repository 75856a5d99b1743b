"""The entry that the wrapper adds to a run's config, read and written; and the fingerprints of secrets in a log."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from runlog_otel.core.model import Changes, Ending, Header, SecretFingerprint
from runlog_otel.core.runlogs.facts import ending_entry, run_facts
from runlog_otel.core.runlogs.timestamps import MAX_EXECUTIONS, nanoseconds
from runlog_otel.core.semconv import HEADER_KEY

Document = Mapping[str, Any]

MARKS = "runlog_otel.marks"
"""The type of the code identity that holds an attempt's fingerprints of secrets."""
_MARK = re.compile(r"(?P<size>[1-9]\d{0,8}):(?P<digest>[^:]+)(?::(?P<outline>[0-3]{0,8}))?", re.ASCII)


def own_entry(config: Document) -> Document:
    """The wrapper's entry in a run config; an empty one if there is none."""
    own = config.get(HEADER_KEY)
    return own if isinstance(own, Mapping) else {}


def header_from_config(config: Document) -> Header:
    """The header that the wrapper wrote into the run config; an empty one if it is missing or not ours."""
    own = config.get(HEADER_KEY)
    try:
        created = datetime.fromisoformat(own["created"])  # type: ignore[index]
        offset = created.utcoffset()
        if offset is None:
            return Header()
        return Header(
            created_ns=nanoseconds(created),
            utc_offset_seconds=int(offset.total_seconds()),
            traceparent=text_of(own.get("traceparent")),  # type: ignore[union-attr]
            retries=tuple(_retries(own.get("retries", ()))),  # type: ignore[union-attr]
            marks=marks_from_text(",".join(own.get("marks", ()))),  # type: ignore[union-attr]
            changes=tuple(_changes(entry) for entry in own.get("changes", ())),  # type: ignore[union-attr]
            **run_facts(own_entry(config)),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return Header()


def config_from_header(created: datetime, entry: Document, marks: Iterable[SecretFingerprint] = ()) -> dict[str, Any]:
    """The run config's entry for a header.

    Args:
        created: when the run was created, with its offset.
        entry: what else is known when it starts: `traceparent`, and what `facts.run_facts` reads.
        marks: fingerprints of secrets in the run config.
    """
    header: dict[str, Any] = {"created": created.isoformat(), "traceparent": "", **entry}
    return {HEADER_KEY: header | ({"marks": texts} if (texts := list(map(_mark_text, marks))) else {})}


def code_from_marks(marks: Iterable[SecretFingerprint]) -> dict[str, Any]:
    """Fingerprints as a `CodeIdentity` of an attempt: the one part of it that the host leaves open to additions."""
    return {
        "code_identifier_type": MARKS,
        "code_identifier": ",".join(map(_mark_text, marks)),
        "code_identifier_dependable": True,
        "code_identifier_message": "the value of a secret stands in this part of the log; it is masked in what is sent",
    }


def changed_config(config: Document, changes: Changes) -> dict[str, Any]:
    """The run config's entry with the changes before a failed execution; {} if it has them, or has no header."""
    own = config.get(HEADER_KEY)
    if not isinstance(own, Mapping) or any(entry["execution"] == changes.execution for entry in own.get("changes", ())):
        return {}
    return {HEADER_KEY: {**own, "changes": [*own.get("changes", ()), asdict(changes)]}}


def retried_config(config: Document, execution: int, started: datetime) -> dict[str, Any]:
    """The run config's entry with one more retry; {} for a log without our header."""
    own = config.get(HEADER_KEY)
    if not isinstance(own, Mapping):
        return {}
    retry = {"execution": execution, "started": started.isoformat()}
    return {HEADER_KEY: {**own, "retries": [*own.get("retries", ()), retry]}}


def ended_config(config: Document, ending: Ending) -> dict[str, Any]:
    """The run config's entry with how an execution ended; {} for a log without our header."""
    own = config.get(HEADER_KEY)
    if not isinstance(own, Mapping):
        return {}
    return {HEADER_KEY: {**own, "endings": [*own.get("endings", ()), ending_entry(ending)]}}


def _retries(entries: Iterable[Document]) -> Iterator[tuple[int, int]]:
    for entry in entries:
        if 0 < (execution := int(entry["execution"])) <= MAX_EXECUTIONS:
            yield execution, nanoseconds(datetime.fromisoformat(entry["started"]))


def _changes(entry: Document) -> Changes:
    return Changes(
        execution=int(entry["execution"]),
        since=text_of(entry["since"]),
        revision_before=text_of(entry["revision_before"]),
        revision=text_of(entry["revision"]),
        parameters=tuple(map(text_of, entry["parameters"])),
        files=tuple(map(text_of, entry["files"])),
    )


def _mark_text(mark: SecretFingerprint) -> str:
    return f"{mark.characters}:{mark.digest}:{mark.outline}"


def marks_from_text(text: str) -> tuple[SecretFingerprint, ...]:
    """Fingerprints from their text; other parts are ignored."""
    marks = (_MARK.fullmatch(part) for part in text.split(","))
    return tuple(SecretFingerprint(int(mark["size"]), mark["digest"], mark["outline"] or "") for mark in marks if mark)


def text_of(value: object) -> str:
    """A value of a log as text; empty if there is none."""
    return "" if value is None else str(value)
