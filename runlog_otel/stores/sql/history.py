"""What was run: lists in pages, counts, changes without lost updates. Lists read the run rows only."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, text

from runlog_otel.core.model import SecretFingerprint, Status, StoredRun
from runlog_otel.core.runlogs.header import header_from_config
from runlog_otel.core.semconv import HEADER_KEY
from runlog_otel.errors import ConfigError
from runlog_otel.stores.entries import Document
from runlog_otel.stores.run_list import Page, RunFilter, RunSummary
from runlog_otel.stores.sql import bulk
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.rows import searched
from runlog_otel.stores.sql.schema_version import schema_revision
from runlog_otel.stores.sql.store import SqlStore

__all__ = ["MAX_PAGE", "Page", "RunFilter", "RunHistory", "RunSummary", "Stats"]

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds."""

    total: int
    running: int
    completed: int
    failed: int
    oldest_ns: int | None
    newest_ns: int | None
    size_bytes: int
    schema: str
    deleted: int
    """How many runs were ever deleted, by retention or on demand."""
    by_status: Mapping[str, int] = field(default_factory=dict)


class RunHistory:
    """The runs of a SQL store.

    Every method raises StoreError when the database fails.
    """

    unread: Sequence[str] = ()
    """A list of rows reads every run (`sources.listing.Listing` may not)."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.database: Database = store.database

    def page(self, run_filter: RunFilter | None = None, *, after: str | None = None, limit: int = 50) -> Page:
        """One page of at most `limit` (1 to 1,000) runs, newest first; costs the same wherever it begins.

        Raises:
            ConfigError: `after` is not from another page, or `limit` is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ConfigError("limit", f"1 to {MAX_PAGE}, not {limit}")
        runs = self.database.tables.runs.c
        statement = select(self.database.tables.runs).where(*self._conditions(run_filter or RunFilter()))
        if after is not None:
            created_ns, seq = _position(after)
            # As a row value, PostgreSQL reads the index from there on; SQLite does with the first term alone.
            is_older = or_(runs.created_ns < created_ns, and_(runs.created_ns == created_ns, runs.seq < seq))
            statement = statement.where(runs.created_ns <= created_ns, is_older)
        statement = statement.order_by(runs.created_ns.desc(), runs.seq.desc()).limit(limit + 1)
        rows = self.database.rows(statement)
        shown = rows[:limit]
        following = f"{shown[-1].created_ns}.{shown[-1].seq}" if len(rows) > limit else None
        return Page(tuple(map(_summary, shown)), following)

    def changed(self, since_ns: int, *, at_once: int = MAX_PAGE) -> Iterator[StoredRun]:
        """The runs that were written at or after a moment, in the order of their last write; read `at_once`."""
        return bulk.changed(self.database, since_ns, at_once=at_once)

    def missing(self, run_ids: Sequence[str]) -> set[str]:
        """Those of some runs that the store does not have."""
        runs = self.database.tables.runs.c
        statement = select(runs.run_id).where(runs.run_id.in_(list(run_ids)))
        present = self.database.rows(statement) if run_ids else ()
        return set(run_ids).difference(row.run_id for row in present)

    def secret_fingerprints(self, run_id: str) -> tuple[SecretFingerprint, ...]:
        """Of the secrets that the run's own part may hold; raises RunLogFormatError where that is damaged."""
        return header_from_config(self.store.config(run_id, HEADER_KEY)).marks

    def get(self, run_id: str) -> Document:
        """The whole document of a run; raises RunNotFoundError."""
        return self.store.document(run_id)

    def update(self, run_id: str, change: Callable[[Document], Document]) -> Document:
        """Merge what `change` makes of a run's document; no other write comes between reading and writing.

        `change` may be called again when the database was lost in between: it must depend on its argument only.
        Parts that it leaves out stay. Raises RunNotFoundError.
        """

        def work(connection: Connection) -> Document:
            self.store.lock(connection, run_id)
            changed = change(copy.deepcopy(self.store.document_in(connection, run_id)))
            if changed.get("run_id") != run_id:
                raise ConfigError("run_id", f"an update cannot rename run {run_id!r}")
            self.store.put_in(connection, changed)
            return self.store.document_in(connection, run_id)

        return self.database.write(work)

    def stats(self) -> Stats:
        """Counts, times and size."""
        return self.database.read(self._stats)

    def _stats(self, connection: Connection) -> Stats:
        runs, deletions = self.database.tables.runs.c, self.database.tables.deletions.c
        counted = connection.execute(select(runs.status, func.count()).group_by(runs.status).order_by(runs.status))
        by_status = {status: count for status, count in counted}  # noqa: C416 - rows are no pairs to mypy
        completed = by_status.get(Status.SUCCESS.value, 0)
        failed = by_status.get(Status.FAIL.value, 0)
        total = sum(by_status.values())
        return Stats(
            total=total,
            running=total - completed - failed,
            completed=completed,
            failed=failed,
            oldest_ns=connection.execute(select(func.min(runs.created_ns))).scalar(),
            newest_ns=connection.execute(select(func.max(runs.created_ns))).scalar(),
            size_bytes=self._size_bytes(connection),
            schema=schema_revision(connection, self.database.tables) or "",
            deleted=connection.execute(select(func.count(deletions.seq))).scalar_one(),
            by_status=by_status,
        )

    def size_bytes(self) -> int:
        """What the tables take on the disk."""
        return self.database.read(self._size_bytes)

    def _size_bytes(self, connection: Connection) -> int:
        if self.database.is_sqlite:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return int(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        size = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
        names = [table.name for table in self.database.tables.metadata.tables.values()]
        return sum(int(connection.execute(size, {"name": name}).scalar_one()) for name in names)

    def _conditions(self, run_filter: RunFilter) -> list[ColumnElement[bool]]:
        runs, entries = self.database.tables.runs.c, self.database.tables.entries.c
        conditions: list[ColumnElement[bool]] = []
        if run_filter.run_ids:
            conditions.append(runs.run_id.in_(list(run_filter.run_ids)))
        for column, value in (
            (runs.status, run_filter.status),
            (runs.tag, searched(run_filter.tag)),
            (runs.pipeline, searched(run_filter.pipeline)),
        ):
            if value:
                conditions.append(column == value)
        if run_filter.since_ns is not None:
            conditions.append(runs.created_ns >= run_filter.since_ns)
        if run_filter.until_ns is not None:
            conditions.append(runs.created_ns < run_filter.until_ns)
        if run_filter.failure:
            said = entries.failure.is_not(None) & entries.failure.icontains(run_filter.failure, autoescape=True)
            conditions.append(select(entries.seq).where(entries.run_seq == runs.seq, said).exists())
        return conditions


def _summary(row: Row[Any]) -> RunSummary:
    return RunSummary(**{name: getattr(row, name) for name in RunSummary.__dataclass_fields__})


def _position(after: str) -> tuple[int, int]:
    created_ns, _, seq = after.partition(".")
    if not (created_ns.isdecimal() and seq.isdecimal()):
        raise ConfigError("after", f"{after!r} is not the end of a page")
    return int(created_ns), int(seq)
