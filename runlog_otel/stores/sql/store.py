"""Row operations: each method of a host's store is one statement, or one short transaction that touches its own rows.

The run's row is the lock of the run: every write takes it first, so writers of one run come one after the
other and writers of different runs never meet.
"""

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from sqlalchemy import Connection, Row
from typing_extensions import override

from runlog_otel.core.model import FINAL_STATUSES, Status
from runlog_otel.errors import (
    BranchNotFoundError,
    JobNotFoundError,
    RunExistsError,
    RunNotFoundError,
    StepNotFoundError,
    StoreUnavailableError,
)
from runlog_otel.stores import entries as parts
from runlog_otel.stores.entries import Document, Entry
from runlog_otel.stores.port import DocumentStore
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.dialects import ENDS_TRANSACTION, SENT_WITH_NEXT
from runlog_otel.stores.sql.rows import (
    current_header,
    entry_from_row,
    mergeable_header,
    row_from_entry,
    row_from_header,
    searched,
)
from runlog_otel.stores.sql.statements import NEW, Statements, Touch, statements_for, touch

_AT_ONCE = 400  # rows per statement: SQLite takes 32,766 values in one
_LAST = b"\xff" * 20


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
            if self._insert_run(connection, header, token) is not None:
                return True
            kept_token = connection.execute(self._statements.token, {"run_id": header["run_id"]}).scalar()
            return kept_token == token

        if not self.database.write(work):
            raise RunExistsError(header["run_id"])

    @override
    def header(self, run_id: str) -> Document:
        run, entries = self._found(run_id, parts.OF_RUN)
        return parts.document_from_entries(current_header(run), entries)

    @override
    def document(self, run_id: str) -> Document:
        run, entries = self._found(run_id)
        return parts.document_from_entries(current_header(run), entries)

    def document_in(self, connection: Connection, run_id: str) -> Document:
        """The whole run, in the caller's transaction."""
        run, entries = self._run_and_entries(run_id, connection.execute(self._statements.read, _of(run_id)).all())
        return parts.document_from_entries(current_header(run), entries)

    @override
    def put(self, document: Mapping[str, Any], pipeline: str = "") -> None:
        self.database.write(lambda connection: self._put(connection, document, pipeline, is_last=True))

    def put_in(self, connection: Connection, document: Mapping[str, Any]) -> None:
        """As `put`, in the caller's transaction."""
        self._put(connection, document, "", is_last=False)

    def _put(self, connection: Connection, document: Mapping[str, Any], pipeline: str, *, is_last: bool) -> None:
        run_id = document["run_id"]
        header = parts.header_from_document(document)
        entries = list(parts.entries_from_document(document, self.zone))
        changes: dict[str, Any] = {"status": parts.status_of(document)} if "status" in document else {}
        run = self._locked(connection, run_id)
        if run is None:
            run = self._insert_run(connection, header, uuid.uuid4().hex) or self.lock(connection, run_id)
            # A run that comes from elsewhere stands in lists where it belongs.
            changes["created_ns"] = min(
                [run.created_ns, *(entry.started_ns for entry in entries if entry.started_ns and not entry.is_verdict)]
            )
        changes["header"] = parts.text_from_value({**mergeable_header(run), **header})
        if "tag" in header:
            changes["tag"] = searched(header["tag"])
        if pipeline:
            changes["pipeline"] = searched(pipeline)
        self._merge(connection, run_id, entries, changes, is_last=is_last)

    @override
    def set_status(self, run_id: str, status: str) -> None:
        self._write(run_id, (), status=status.upper())

    @override
    def step(self, key: str, run_id: str) -> Document:
        _, entries = self._found(run_id, parts.identity("step", key))
        if not entries:
            raise StepNotFoundError(key, run_id)
        return dict(parts.value_of(entries[0], run_id))

    @override
    def put_step(self, step: Mapping[str, Any], run_id: str) -> None:
        parent = parts.branch_of_step(step["internal_name"])
        self._write(run_id, parts.entries_from_step(step, parent))

    @override
    def branch(self, key: str, run_id: str) -> Document:
        _, entries = self._found(run_id, parts.identity("branch", key))
        branch = next((entry for entry in entries if entry.kind == "branch"), None)
        if branch is None:
            raise BranchNotFoundError(key, run_id)
        return {**parts.value_of(branch, run_id), "parameters": _parameters(entries, run_id)}

    @override
    def put_branch(self, branch: Mapping[str, Any], run_id: str) -> None:
        key = branch["internal_name"]

        def work(connection: Connection) -> None:
            parent = self._parent_step(connection, run_id, key)
            self._merge(connection, run_id, parts.entries_from_branch(branch, parent), {}, is_last=True)

        self.database.write(work)

    @override
    def parameters(self, run_id: str, branch: str = "") -> Document:
        _, entries = self._found(run_id, parts.identity("branch", branch) if branch else parts.PARAMETERS_OF_RUN)
        if branch and not any(entry.kind == "branch" for entry in entries):
            raise BranchNotFoundError(branch, run_id)
        return _parameters(entries, run_id)

    @override
    def set_parameters(self, run_id: str, parameters: Mapping[str, Any], branch: str = "") -> None:
        if parameters:  # the host merges what a step returned, which is nothing for most
            self._write(run_id, parts.entries_from_parameters(parameters, branch))

    @override
    def config(self, run_id: str, key: str = "") -> Document:
        _, entries = self._found(run_id, parts.identity("config", key) if key else parts.CONFIG_OF_RUN)
        return {entry.key: parts.value_of(entry, run_id) for entry in entries}

    @override
    def set_config(self, run_id: str, config: Mapping[str, Any], pipeline: str = "") -> None:
        self._write(run_id, parts.entries_from_config(config), **({"pipeline": searched(pipeline)} if pipeline else {}))

    @override
    def job(self, run_id: str) -> Document:
        _, entries = self._found(run_id, parts.identity("job", ""))
        if not entries:
            raise JobNotFoundError(run_id)
        return dict(parts.value_of(entries[0], run_id))

    @override
    def put_job(self, job: Mapping[str, Any], run_id: str) -> None:
        self._write(run_id, [parts.entry_from_job(job)], status=parts.status_of(job))

    @property
    def _statements(self) -> Statements:
        return statements_for(self.database.tables, is_sqlite=self.database.is_sqlite)

    def _found(self, run_id: str, prefix: bytes = b"") -> tuple[Row[Any], list[Entry]]:
        """The run's row, and its entries whose identities begin so; raises RunNotFoundError."""
        return self._run_and_entries(run_id, self.database.rows(self._statements.read, _of(run_id, prefix)))

    def _run_and_entries(self, run_id: str, rows: Sequence[Row[Any]]) -> tuple[Row[Any], list[Entry]]:
        if not rows:
            raise RunNotFoundError(run_id, self.database.where)
        return rows[0], [entry_from_row(row, run_id) for row in rows if row.kind is not None]

    # Writing

    def _write(self, run_id: str, entries: Iterable[Entry], **changes: Any) -> None:
        entries = list(entries)
        self.database.write(lambda connection: self._merge(connection, run_id, entries, changes, is_last=True))

    def _insert_run(self, connection: Connection, header: Mapping[str, Any], token: str) -> Row[Any] | None:
        row = row_from_header(header, source=self.source, token=token, now_ns=time.time_ns())
        return connection.execute(self._statements.insert_run, row).one_or_none()

    def _locked(self, connection: Connection, run_id: str) -> Row[Any] | None:
        return connection.execute(self._statements.locked_run, {"run_id": run_id}).one_or_none()

    def lock(self, connection: Connection, run_id: str) -> Row[Any]:
        """The run's row, held until the caller's transaction ends; raises RunNotFoundError."""
        run = self._locked(connection, run_id)
        if run is None:
            raise RunNotFoundError(run_id, self.database.where)
        return run

    def _merge(
        self,
        connection: Connection,
        run_id: str,
        entries: Iterable[Entry],
        changes: Mapping[str, Any],
        *,
        is_last: bool,
    ) -> None:
        """Add or replace entries of a run, parents first; its row changes with them.

        Arguments:
            changes: further columns of the run's row.
            is_last: whether the transaction ends with it.
        """
        remaining = list({entry.identity: entry for entry in entries}.items())
        while True:
            some, remaining = dict(remaining[:_AT_ONCE]), remaining[_AT_ONCE:]
            if not self._merge_some(connection, run_id, some, changes, is_last=is_last and not remaining):
                self._refuse(connection, run_id, some)
            if not remaining:
                return

    def _merge_some(
        self,
        connection: Connection,
        run_id: str,
        entries: Mapping[bytes, Entry],
        changes: Mapping[str, Any],
        *,
        is_last: bool,
    ) -> bool:
        """As `_merge`, in two statements; False, and nothing is written, if the run or a parent is missing."""
        now_ns = time.time_ns()
        new = {**changes, **_changes_from(entries.values()), "updated_ns": now_ns}
        if "status" in new:
            new["finished_ns"] = now_ns if new["status"] in FINAL_STATUSES else None
        parents = {_parent_identity(entry) for entry in entries.values() if entry.parent} - entries.keys()
        form = Touch(tuple(new), len(entries) == 1, bool(parents), len(parents) == 1)
        parameters = {f"{NEW}{name}": value for name, value in new.items()} | {"run": run_id}
        if "steps" in new:
            parameters["identity"] = next(iter(entries)) if form.is_one else list(entries)
            if not self.database.is_sqlite:
                connection.execute(self._statements.lock, {"run_id": run_id}, execution_options={SENT_WITH_NEXT: True})
        if parents:
            parameters["parents"] = len(parents)
            parameters["parent"] = next(iter(parents)) if form.is_one_parent else list(parents)
        statement = touch(self.database.tables, form)
        option = SENT_WITH_NEXT if entries else ENDS_TRANSACTION
        touched = connection.execute(statement, parameters, execution_options={option: bool(entries) or is_last})
        if not entries:
            return touched.rowcount > 0
        run = {"run_id": run_id, f"{NEW}updated_ns": now_ns}
        rows = [
            run | row_from_entry(identity, entry, is_compressing=self.is_compressing)
            for identity, entry in entries.items()
        ]
        options = {ENDS_TRANSACTION: is_last, "preserve_rowcount": True}
        return connection.execute(self._statements.upsert, rows, execution_options=options).rowcount > 0

    def _refuse(self, connection: Connection, run_id: str, entries: Mapping[bytes, Entry]) -> None:
        """Raise for what was missing, or StoreUnavailableError to try again if it is not missing any more."""
        run = self.lock(connection, run_id)
        for entry in entries.values():
            identity = _parent_identity(entry) if entry.parent else b""
            if identity and identity not in entries and not self._present(connection, run.seq, [identity]):
                error = StepNotFoundError if entry.kind == "branch" else BranchNotFoundError
                raise error(str(entry.parent), run_id)
        raise StoreUnavailableError(self.database.where, "another writer was faster", "try again")

    def _parent_step(self, connection: Connection, run_id: str, branch: str) -> str:
        keys = parts.parents_of_branch(branch)
        if len(keys) > 1:  # a name with dots may be of several steps
            run = self.lock(connection, run_id)
            keys = self._present(connection, run.seq, [parts.identity("step", key) for key in keys])
        if not keys:
            raise StepNotFoundError(branch.rpartition(".")[0], run_id)
        return max(keys, key=len)

    def _present(self, connection: Connection, run_seq: int, identities: Sequence[bytes]) -> list[str]:
        """The keys of those of some entries that are there."""
        parameters = {"run_seq": run_seq, "identities": list(identities)}
        return list(connection.execute(self._statements.present, parameters).scalars())


def _of(run_id: str, prefix: bytes = b"") -> dict[str, Any]:
    return {"run_id": run_id, "low": prefix, "high": prefix + _LAST}


def _changes_from(entries: Collection[Entry]) -> dict[str, Any]:
    """What entries change in the row of their run: counts are added to, times extended."""
    changes: dict[str, Any] = {}
    if any(entry.kind == "step" for entry in entries):
        work = [entry for entry in entries if entry.is_work]
        changes["steps"] = len(work)
        changes["failed_steps"] = sum(entry.status == Status.FAIL.value for entry in work)
    if starts := [entry.started_ns for entry in entries if entry.started_ns is not None and not entry.is_verdict]:
        changes["started_ns"] = min(starts)
    if ends := [entry.ended_ns for entry in entries if entry.ended_ns is not None]:
        changes["ended_ns"] = max(ends)
    return changes


def _parameters(entries: Iterable[Entry], run_id: str) -> Document:
    return {entry.key: parts.value_of(entry, run_id) for entry in entries if entry.kind == "parameter"}


def _parent_identity(entry: Entry) -> bytes:
    return parts.identity("step" if entry.kind == "branch" else "branch", entry.parent or "")
