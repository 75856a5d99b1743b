"""What was run: lists in pages, counts, changes without lost updates. Lists read the run rows only."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, TextClause, and_, bindparam, func, or_, select, text, union_all
from sqlalchemy.sql.expression import CompoundSelect

from runlog_otel.core.model import Run, SecretFingerprint, Status, StoredRun
from runlog_otel.core.runlogs.header import header_from_config
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.semconv import HEADER_KEY
from runlog_otel.errors import ConfigError, RunLogFormatError
from runlog_otel.stores.entries import Document, identity, value_of
from runlog_otel.stores.run_list import Page, RunFilter, RunSummary
from runlog_otel.stores.sql import bulk
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.rows import entry_from_row, searched
from runlog_otel.stores.sql.schema import HAS_FAILED
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

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.database: Database = store.database

    def page(
        self,
        run_filter: RunFilter | None = None,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Page:
        """One page of at most `limit` (1 to 1,000) runs, newest first; costs the same wherever it begins.

        Args:
            run_filter: which runs.
            after: where the page of newer runs ended (`Page.after`).
            before: where the page of older runs began (`Page.before`); `after` wins.
            limit: how many runs.

        Raises:
            ConfigError: `after` or `before` is not from another page, or `limit` is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ConfigError("limit", f"1 to {MAX_PAGE}, not {limit}")
        runs = self.database.tables.runs.c
        statement = select(self.database.tables.runs).where(*self._conditions(run_filter or RunFilter()))
        is_backwards, border = after is None and before is not None, after if after is not None else before
        if border is not None:
            created_ns, seq = _position(border)
            # As a row value, PostgreSQL reads the index from there on; SQLite does with the first term alone.
            if is_backwards:
                is_beyond = or_(runs.created_ns > created_ns, and_(runs.created_ns == created_ns, runs.seq > seq))
                statement = statement.where(runs.created_ns >= created_ns, is_beyond)
            else:
                is_beyond = or_(runs.created_ns < created_ns, and_(runs.created_ns == created_ns, runs.seq < seq))
                statement = statement.where(runs.created_ns <= created_ns, is_beyond)
        order = (runs.created_ns, runs.seq) if is_backwards else (runs.created_ns.desc(), runs.seq.desc())
        rows = self.database.rows(statement.order_by(*order).limit(limit + 1))
        shown, has_more = rows[:limit], len(rows) > limit
        if is_backwards:
            shown = shown[::-1]
            return Page(tuple(map(_summary, shown)), _text(shown[-1:]), _text(shown[:1]) if has_more else None)
        following = _text(shown[-1:]) if has_more else None
        return Page(tuple(map(_summary, shown)), following, _text(shown[:1]) if after is not None else None)

    def unfinished(self, limit: int) -> tuple[RunSummary, ...]:
        """The newest `limit` runs of each status that is not final, newest first; costs the same in any store."""
        statuses = [status.value for status in Status if not status.is_final]
        found = [run for status in statuses for run in self.page(RunFilter(status=status), limit=limit).runs]
        return tuple(sorted(found, key=lambda run: run.created_ns, reverse=True))

    def pipelines(self, limit: int, *, after: str = "") -> list[str]:
        """The names of at most `limit` pipelines, in the order of the database; a lookup in an index for each."""
        names: list[str] = []
        column = self.database.tables.runs.c.pipeline
        following = select(column).where(column > bindparam("last", type_=column.type)).order_by(column).limit(1)
        while len(names) < limit and (rows := self.database.rows(following, {"last": names[-1] if names else after})):
            names.append(rows[0].pipeline)
        return names

    def outlines(self, runs: Sequence[RunSummary]) -> dict[str, Run]:
        """Of some runs, what a list says beside their rows: our header, and the first step or job that failed.

        Returns:
            A run with one step at most, by its id; those that are damaged are left out.
        """
        run_ids = [run.run_id for run in runs]
        documents: dict[str, Document] = {
            run.run_id: {"run_id": run.run_id, "status": run.status, "steps": {}, "run_config": {}} for run in runs
        }
        damaged = set()
        for row in self.database.rows(self._outline(), {"run_ids": run_ids}) if run_ids else ():
            document = documents[row.run_id]
            try:
                value = value_of(entry_from_row(row, row.run_id), row.run_id)
            except RunLogFormatError:
                damaged.add(row.run_id)
                continue
            match row.kind:
                case "config":
                    document["run_config"][row.key] = value
                case "job":
                    document["job"] = value
                case _:
                    document["steps"][row.key] = value
        outlines: dict[str, Run] = {}
        for run_id, document in documents.items():
            with suppress(RunLogFormatError):
                if run_id not in damaged:
                    outlines[run_id] = run_from_log(document)
        return outlines

    def _outline(self) -> CompoundSelect[Any]:
        runs, entries = self.database.tables.runs, self.database.tables.entries
        other = entries.alias()
        says_why = other.c.failure.is_not(None) & (other.c.failure != "") & other.c.kind.in_(("step", "job"))
        first = select(func.min(other.c.seq)).where(other.c.run_seq == runs.c.seq, says_why).scalar_subquery()
        columns = (runs.c.run_id, *(entries.c[name] for name in ("kind", "key", "body", "packed", "parent")))
        of_runs = runs.c.run_id.in_(bindparam("run_ids", expanding=True))
        header = and_(entries.c.run_seq == runs.c.seq, entries.c.identity == identity("config", HEADER_KEY))
        return union_all(
            select(*columns).join_from(runs, entries, header).where(of_runs),
            select(*columns).join_from(runs, entries, entries.c.seq == first).where(of_runs),
        )

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

    def _conditions(self, run_filter: RunFilter) -> list[ColumnElement[bool] | TextClause]:
        runs, entries = self.database.tables.runs.c, self.database.tables.entries.c
        conditions: list[ColumnElement[bool] | TextClause] = []
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
            if run_filter.status != Status.FAIL.value:  # else it is true, and SQLite reads every row for it
                conditions.append(text(f"({HAS_FAILED})"))
            conditions.append(select(entries.seq).where(entries.run_seq == runs.seq, said).exists())
        return conditions


def _summary(row: Row[Any]) -> RunSummary:
    return RunSummary(**{name: getattr(row, name) for name in RunSummary.__dataclass_fields__})


def _text(rows: Sequence[Row[Any]]) -> str | None:
    return next((f"{row.created_ns}.{row.seq}" for row in rows), None)


def _position(after: str) -> tuple[int, int]:
    created_ns, _, seq = after.partition(".")
    if not (created_ns.isdecimal() and seq.isdecimal()):
        raise ConfigError("after", f"{after!r} is not the end of a page")
    return int(created_ns), int(seq)
