"""Row operations: each method of a host's store is one short transaction that touches its own rows.

The run's row is the lock of the run: every write takes it first, so writers of one run come one after the
other and writers of different runs never meet.
"""

import json
import time
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, insert, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from runlog_otel.core.model import FINAL_STATUSES, Status
from runlog_otel.errors import (
    BranchNotFoundError,
    JobNotFoundError,
    RunExistsError,
    RunLogFormatError,
    RunNotFoundError,
    StepNotFoundError,
)
from runlog_otel.stores import entries as parts
from runlog_otel.stores.entries import Document, Entry
from runlog_otel.stores.port import DocumentStore
from runlog_otel.stores.sql.database import Database

COMPRESSED_FROM_CHARACTERS = 1_000_000
_AT_ONCE = 400  # rows per statement: SQLite takes 32,766 values in one
_MAX_SEARCHED = 255
_LAST = b"\xff" * 20


@dataclass(frozen=True, slots=True)
class Known:
    """What a write must know of an entry that is there already."""

    seq: int
    status: str | None
    is_work: bool


class SqlStore(DocumentStore):
    """Run logs as rows, in SQLite or PostgreSQL.

    Arguments:
        database: where.
        is_compressing: whether bodies above `COMPRESSED_FROM_CHARACTERS` are compressed; reading does not care.
        source: which program writes the runs (`runnable`, `magnus`).
        zone: how naive times of whole documents are read that have no header of ours; else in the machine's zone.
    """

    def __init__(
        self, database: Database, *, is_compressing: bool = True, source: str = "", zone: tzinfo | None = None
    ) -> None:
        self.database = database
        self.zone = zone
        self.is_compressing = is_compressing
        self.source = source

    @override
    def create(self, header: Mapping[str, Any]) -> None:
        token = uuid.uuid4().hex

        def work(connection: Connection) -> bool:
            row = self._new_run(header, token)
            if self._insert_run(connection, row) is not None:
                return True
            runs = self.database.tables.runs.c
            kept_token = connection.execute(select(runs.token).where(runs.run_id == header["run_id"])).scalar()
            return kept_token == token

        if not self.database.write(work):
            raise RunExistsError(header["run_id"])

    @override
    def header(self, run_id: str) -> Document:
        def work(connection: Connection) -> Document:
            run = self._run(connection, run_id)
            entries = self._entries(connection, run, self._begins_with(parts.OF_RUN))
            return parts.document_from_entries(_header(run), entries)

        return self.database.read(work)

    @override
    def document(self, run_id: str) -> Document:
        return self.database.read(lambda connection: self.document_in(connection, run_id))

    def document_in(self, connection: Connection, run_id: str) -> Document:
        """The whole run, in the caller's transaction."""
        run = self._run(connection, run_id)
        return parts.document_from_entries(_header(run), self._entries(connection, run))

    @override
    def put(self, document: Mapping[str, Any], pipeline: str = "") -> None:
        self.database.write(lambda connection: self.put_in(connection, document, pipeline))

    def put_in(self, connection: Connection, document: Mapping[str, Any], pipeline: str = "") -> None:
        """As `put`, in the caller's transaction."""
        run_id = document["run_id"]
        run = self._locked(connection, run_id)
        header = parts.header_from_document(document)
        entries = list(parts.entries_from_document(document, self.zone))
        changes: dict[str, Any] = {"status": parts.status_of(document)} if "status" in document else {}
        if run is None:
            self._insert_run(connection, self._new_run(header, uuid.uuid4().hex))
            run = self.lock(connection, run_id)
            # A run that comes from elsewhere stands in lists where it belongs.
            changes["created_ns"] = min(
                [run.created_ns, *(entry.started_ns for entry in entries if entry.started_ns and not entry.is_verdict)]
            )
        changes["header"] = parts.text_from_value({**_own_part(run), **header})
        if "tag" in header:
            changes["tag"] = searched(header["tag"])
        if pipeline:
            changes["pipeline"] = searched(pipeline)
        self._merge(connection, run, entries, **changes)

    @override
    def set_status(self, run_id: str, status: str) -> None:
        self._write(run_id, (), status=status.upper())

    @override
    def step(self, key: str, run_id: str) -> Document:
        entries = self._found(run_id, parts.identity("step", key))
        if not entries:
            raise StepNotFoundError(key, run_id)
        return dict(parts.value_of(entries[0], run_id))

    @override
    def put_step(self, step: Mapping[str, Any], run_id: str) -> None:
        parent = parts.branch_of_step(step["internal_name"])
        self._write(run_id, parts.entries_from_step(step, parent))

    @override
    def branch(self, key: str, run_id: str) -> Document:
        entries = self._found(run_id, parts.identity("branch", key))
        branch = next((entry for entry in entries if entry.kind == "branch"), None)
        if branch is None:
            raise BranchNotFoundError(key, run_id)
        return {**parts.value_of(branch, run_id), "parameters": _parameters(entries, run_id)}

    @override
    def put_branch(self, branch: Mapping[str, Any], run_id: str) -> None:
        key = branch["internal_name"]

        def work(connection: Connection) -> None:
            run = self.lock(connection, run_id)
            parent = self._parent_step(connection, run, key)
            self._merge(connection, run, parts.entries_from_branch(branch, parent))

        self.database.write(work)

    @override
    def parameters(self, run_id: str, branch: str = "") -> Document:
        entries = self._found(run_id, parts.identity("branch", branch) if branch else parts.PARAMETERS_OF_RUN)
        if branch and not any(entry.kind == "branch" for entry in entries):
            raise BranchNotFoundError(branch, run_id)
        return _parameters(entries, run_id)

    @override
    def set_parameters(self, run_id: str, parameters: Mapping[str, Any], branch: str = "") -> None:
        self._write(run_id, parts.entries_from_parameters(parameters, branch))

    @override
    def config(self, run_id: str, key: str = "") -> Document:
        identity = parts.identity("config", key) if key else parts.CONFIG_OF_RUN
        return {entry.key: parts.value_of(entry, run_id) for entry in self._found(run_id, identity)}

    @override
    def set_config(self, run_id: str, config: Mapping[str, Any], pipeline: str = "") -> None:
        self._write(run_id, parts.entries_from_config(config), **({"pipeline": searched(pipeline)} if pipeline else {}))

    @override
    def job(self, run_id: str) -> Document:
        entries = self._found(run_id, parts.identity("job", ""))
        if not entries:
            raise JobNotFoundError(run_id)
        return dict(parts.value_of(entries[0], run_id))

    @override
    def put_job(self, job: Mapping[str, Any], run_id: str) -> None:
        self._write(run_id, [parts.entry_from_job(job)], status=parts.status_of(job))

    def _run(self, connection: Connection, run_id: str) -> Row[Any]:
        runs = self.database.tables.runs
        run = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
        if run is None:
            raise RunNotFoundError(run_id, self.database.where)
        return run

    def _found(self, run_id: str, prefix: bytes) -> list[Entry]:
        where = self._begins_with(prefix)
        return self.database.read(lambda connection: self._entries(connection, self._run(connection, run_id), where))

    def _begins_with(self, prefix: bytes) -> ColumnElement[bool]:
        return self.database.tables.entries.c.identity.between(prefix, prefix + _LAST)

    def _entries(self, connection: Connection, run: Row[Any], where: Any = None) -> list[Entry]:
        entries = self.database.tables.entries.c
        statement = (
            select(entries.kind, entries.key, entries.body, entries.packed, entries.parent)
            .where(entries.run_seq == run.seq, true() if where is None else where)
            .order_by(entries.seq)
        )
        return [entry_from_row(row, run.run_id) for row in connection.execute(statement)]

    # Writing

    def _write(self, run_id: str, entries: Iterable[Entry], **changes: Any) -> None:
        entries = list(entries)

        def work(connection: Connection) -> None:
            self._merge(connection, self.lock(connection, run_id), entries, **changes)

        self.database.write(work)

    def _locked(self, connection: Connection, run_id: str) -> Row[Any] | None:
        runs = self.database.tables.runs
        return connection.execute(select(runs).where(runs.c.run_id == run_id).with_for_update()).one_or_none()

    def lock(self, connection: Connection, run_id: str) -> Row[Any]:
        """The run's row, held until the caller's transaction ends; raises RunNotFoundError."""
        run = self._locked(connection, run_id)
        if run is None:
            raise RunNotFoundError(run_id, self.database.where)
        return run

    def _merge(self, connection: Connection, run: Row[Any], entries: Iterable[Entry], **changes: Any) -> None:
        """Add or replace entries of a locked run; its counts and times follow from what was there."""
        entries = list({entry.identity: entry for entry in entries}.values())
        existing = self._known(connection, run, entries)
        new = [entry for entry in entries if entry.identity not in existing]
        self._check_parents(run, new, existing)
        old = [entry for entry in entries if entry.identity in existing]
        table = self.database.tables.entries
        if new:
            connection.execute(insert(table), [self._values(run.seq, entry) for entry in new])
        if old:
            statement = update(table).where(table.c.seq == bindparam("at"))
            rows = [self._values(run.seq, entry) | {"at": existing[entry.identity].seq} for entry in old]
            for row in rows:
                del row["parent"]
            connection.execute(statement, rows)
        self._update_run(connection, run, entries, existing, changes)

    def _known(self, connection: Connection, run: Row[Any], entries: Sequence[Entry]) -> dict[bytes, Known]:
        columns = self.database.tables.entries.c
        identities = sorted({e.identity for e in entries} | {_parent_identity(e) for e in entries if e.parent})
        existing = {}
        for start in range(0, len(identities), _AT_ONCE):
            statement = select(columns.identity, columns.kind, columns.seq, columns.status, columns.step_type).where(
                columns.run_seq == run.seq, columns.identity.in_(identities[start : start + _AT_ONCE])
            )
            for identity, kind, seq, status, step_type in connection.execute(statement):
                existing[bytes(identity)] = Known(seq, status, Entry(kind, "", "", step_type=step_type).is_work)
        return existing

    def _check_parents(self, run: Row[Any], new: Sequence[Entry], existing: Mapping[Any, Any]) -> None:
        there = {entry.identity for entry in new} | existing.keys()
        for entry in new:
            if entry.parent is not None and _parent_identity(entry) not in there:
                if entry.kind == "branch":
                    raise StepNotFoundError(entry.parent, run.run_id)
                raise BranchNotFoundError(entry.parent, run.run_id)

    def _parent_step(self, connection: Connection, run: Row[Any], branch: str) -> str:
        columns = self.database.tables.entries.c
        candidates = [parts.identity("step", key) for key in parts.parents_of_branch(branch)]
        statement = select(columns.key).where(columns.run_seq == run.seq, columns.identity.in_(candidates))
        keys = connection.execute(statement).scalars().all()
        if not keys:
            raise StepNotFoundError(branch.rpartition(".")[0], run.run_id)
        return str(max(keys, key=len))

    def _update_run(
        self,
        connection: Connection,
        run: Row[Any],
        entries: Sequence[Entry],
        existing: Mapping[Any, Known],
        changes: dict[str, Any],
    ) -> None:
        changes["updated_ns"] = time.time_ns()
        before = [existing[entry.identity] for entry in entries if entry.identity in existing]
        changes["steps"] = run.steps + sum(e.is_work for e in entries) - sum(e.is_work for e in before)
        changes["failed_steps"] = run.failed_steps + _failed(entries) - _failed(before)
        starts = [entry.started_ns for entry in entries if entry.started_ns is not None and not entry.is_verdict]
        ends = [entry.ended_ns for entry in entries if entry.ended_ns is not None]
        changes["started_ns"] = min([*starts, *([] if run.started_ns is None else [run.started_ns])], default=None)
        changes["ended_ns"] = max([*ends, *([] if run.ended_ns is None else [run.ended_ns])], default=None)
        if changes.get("status", run.status) not in FINAL_STATUSES:
            changes["finished_ns"] = None
        elif run.finished_ns is None or "status" in changes:
            changes["finished_ns"] = changes["updated_ns"]
        runs = self.database.tables.runs
        connection.execute(update(runs).where(runs.c.seq == run.seq).values(**changes))

    def _new_run(self, header: Mapping[str, Any], token: str) -> dict[str, Any]:
        now = time.time_ns()
        status = parts.status_of(header) or Status.CREATED.value
        return {
            "run_id": header["run_id"],
            "source": self.source,
            "pipeline": self.source,
            "tag": searched(header.get("tag")),
            "status": status,
            "original_run_id": header.get("original_run_id") or "",
            "created_ns": now,
            "updated_ns": now,
            "finished_ns": now if status in FINAL_STATUSES else None,
            "steps": 0,
            "failed_steps": 0,
            "token": token,
            "header": parts.text_from_value(header),
        }

    def _insert_run(self, connection: Connection, row: Mapping[str, Any]) -> int | None:
        dialect = sqlite if self.database.is_sqlite else postgresql
        statement = dialect.insert(self.database.tables.runs).values(**row).on_conflict_do_nothing()
        return connection.execute(statement.returning(self.database.tables.runs.c.seq)).scalar()

    def _values(self, run_seq: int, entry: Entry) -> dict[str, Any]:
        is_packed = self.is_compressing and len(entry.text) > COMPRESSED_FROM_CHARACTERS
        return {
            "run_seq": run_seq,
            "identity": entry.identity,
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


def searched(text: str | None) -> str:
    """What of a text is in a column with an index: PostgreSQL takes no more than 2,704 bytes there."""
    return (text or "")[:_MAX_SEARCHED]


def header_from_row(run: Row[Any]) -> Document:
    """The run's own part as it was written; raises RunLogFormatError."""
    try:
        header = json.loads(run.header)
    except (ValueError, TypeError, RecursionError) as error:
        raise RunLogFormatError(f"run {run.run_id!r}: its header", f"it is no JSON: {error}") from error
    if not isinstance(header, dict) or header.get("run_id") != run.run_id:
        raise RunLogFormatError(f"run {run.run_id!r}: its header", "it is no JSON object with that run_id")
    return header


def _header(run: Row[Any]) -> Document:
    header = header_from_row(run)
    if parts.status_of(header) != run.status:  # else it keeps its spelling
        header["status"] = run.status
    return header


def _own_part(run: Row[Any]) -> Document:
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


def _parameters(entries: Iterable[Entry], run_id: str) -> Document:
    return {entry.key: parts.value_of(entry, run_id) for entry in entries if entry.kind == "parameter"}


def _parent_identity(entry: Entry) -> bytes:
    return parts.identity("step" if entry.kind == "branch" else "branch", entry.parent or "")


def _failed(entries: Iterable[Entry | Known]) -> int:
    return sum(entry.is_work and entry.status == Status.FAIL.value for entry in entries)
