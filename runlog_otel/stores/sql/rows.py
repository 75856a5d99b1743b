"""Converts the rows of runs and entries to documents and back."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from runlog_otel.core.model import FINAL_STATUSES, Status
from runlog_otel.errors import RunLogFormatError
from runlog_otel.stores import entries as parts
from runlog_otel.stores.entries import Document, Entry

COMPRESSED_FROM_CHARACTERS = 1_000_000
_MAX_SEARCHED = 255


def searched(text: str | None) -> str:
    """What of a text is in a column with an index: PostgreSQL takes no more than 2,704 bytes there."""
    return (text or "")[:_MAX_SEARCHED]


def row_from_header(header: Mapping[str, Any], *, source: str, token: str, now_ns: int) -> dict[str, Any]:
    """The row of a run that has nothing but its own part yet."""
    status = parts.status_of(header) or Status.CREATED.value
    return {
        "run_id": header["run_id"],
        "source": source,
        "pipeline": source,
        "tag": searched(header.get("tag")),
        "status": status,
        "original_run_id": header.get("original_run_id") or "",
        "created_ns": now_ns,
        "updated_ns": now_ns,
        "finished_ns": now_ns if status in FINAL_STATUSES else None,
        "steps": 0,
        "failed_steps": 0,
        "token": token,
        "header": parts.text_from_value(header),
    }


def row_from_entry(identity: bytes, entry: Entry, *, is_compressing: bool) -> dict[str, Any]:
    """The row of an entry, without its run; its text is compressed if it is long."""
    is_packed = is_compressing and len(entry.text) > COMPRESSED_FROM_CHARACTERS
    return {
        "identity": identity,
        "kind": entry.kind,
        "key": entry.key,
        "parent": entry.parent,
        "status": entry.status,
        "step_type": entry.step_type,
        "started_ns": entry.started_ns,
        "ended_ns": entry.ended_ns,
        "failure": entry.failure,
        "body": None if is_packed else entry.text,
        "packed": zlib.compress(entry.text.encode()) if is_packed else None,
    }


def header_from_row(run: Any) -> Document:
    """The run's own part as it was written; raises RunLogFormatError."""
    try:
        header = json.loads(run.header)
    except (ValueError, TypeError, RecursionError) as error:
        raise RunLogFormatError(f"run {run.run_id!r}: its header", f"it is no JSON: {error}") from error
    if not isinstance(header, dict) or header.get("run_id") != run.run_id:
        raise RunLogFormatError(f"run {run.run_id!r}: its header", "it is no JSON object with that run_id")
    return header


def current_header(run: Any) -> Document:
    """As `header_from_row`, with the status that the run has by now."""
    header = header_from_row(run)
    if parts.status_of(header) != run.status:  # else it keeps its spelling
        header["status"] = run.status
    return header


def mergeable_header(run: Any) -> Document:
    """What a whole document is merged into: nothing where it is damaged, so that a copy of it mends the run."""
    try:
        return header_from_row(run)
    except RunLogFormatError:
        return {}


def entry_from_row(row: Any, run_id: str) -> Entry:
    """An entry with its text, compressed or not; raises RunLogFormatError."""
    try:
        text = zlib.decompress(row.packed).decode() if row.packed is not None else row.body
        if not isinstance(text, str):
            raise ValueError("it has no text")
    except (ValueError, TypeError, zlib.error) as error:
        raise RunLogFormatError(f"run {run_id!r}: {row.kind} {row.key!r}", str(error)) from error
    return Entry(row.kind, row.key, text, row.parent)
