"""Whether what a database holds is whole: its own checks, and ours."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, and_, case, func, not_, select

from runlog_otel.core.model import TERMINAL_KINDS, Status
from runlog_otel.errors import RunLogFormatError, StoreError, StoreUnavailableError
from runlog_otel.stores.entries import value_of
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.rows import entry_from_row, header_from_row

_SHOWN = 20
_AT_ONCE = 1000


def problems(database: Database) -> list[str]:
    """What is wrong, one line each, 20 at most of a kind; nothing is repaired.

    SQLite checks every page; on both databases the counts of runs are compared with their steps, entries are
    searched for parents that are not there, and every header and document is parsed. A check that the database
    cannot finish is a problem itself, and does not end the others.

    Raises:
        StoreError: the database cannot be opened.
    """
    database.read(lambda _: None)
    problems: dict[str, None] = {}
    for check in (_pages, _counts, _parents, _headers, _documents):
        try:
            lines = database.read(partial(check, database))
        except StoreUnavailableError:
            raise
        except StoreError as error:
            lines = [str(error)]
        problems.update(dict.fromkeys(lines))
    return list(problems)


def _pages(database: Database, connection: Connection) -> list[str]:
    if not database.is_sqlite:
        return []
    lines = connection.exec_driver_sql(f"PRAGMA integrity_check({_SHOWN})").scalars().all()
    return [f"SQLite: {line}" for line in lines if line != "ok"]


def _counts(database: Database, connection: Connection) -> list[str]:
    runs, entries = database.tables.runs.c, database.tables.entries.c
    is_work = and_(entries.kind == "step", func.coalesce(entries.step_type, "").not_in(tuple(TERMINAL_KINDS)))
    counted = (
        select(
            entries.run_seq,
            func.count().label("steps"),
            func.sum(case((entries.status == Status.FAIL.value, 1), else_=0)).label("failed"),
        )
        .where(is_work)
        .group_by(entries.run_seq)
        .subquery()
    )
    steps, failed = func.coalesce(counted.c.steps, 0), func.coalesce(counted.c.failed, 0)
    statement = (
        select(runs.run_id, runs.steps, runs.failed_steps, steps, failed)
        .select_from(database.tables.runs.outerjoin(counted, counted.c.run_seq == runs.seq))
        .where(not_(and_(runs.steps == steps, runs.failed_steps == failed)))
        .limit(_SHOWN)
    )
    return [
        f"run {run_id!r}: the list says {listed} steps, {listed_failed} failed; there are {there}, {there_failed}"
        for run_id, listed, listed_failed, there, there_failed in connection.execute(statement)
    ]


def _parents(database: Database, connection: Connection) -> list[str]:
    runs, entries = database.tables.runs.c, database.tables.entries.c
    statement = (
        select(runs.run_id, entries.kind, entries.key, entries.parent)
        .join(database.tables.entries, entries.run_seq == runs.seq)
        .order_by(entries.run_seq)
    )
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(statement)
    orphans = (
        f"run {run_id!r}: {kind} {key!r} belongs to {parent!r}, which is not there"
        for run_id, of_run in groupby(rows, key=itemgetter(0))
        for kind, key, parent in _orphans([(kind, key, parent) for _, kind, key, parent in of_run])
    )
    return list(islice(orphans, _SHOWN))


def _orphans(entries: list[tuple[str, str, str | None]]) -> Iterator[tuple[str, str, str]]:
    there = {(kind, key) for kind, key, _ in entries}
    for kind, key, parent in entries:
        if parent is not None and ("step" if kind == "branch" else "branch", parent) not in there:
            yield kind, key, parent


def _headers(database: Database, connection: Connection) -> list[str]:
    runs = database.tables.runs.c
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(select(runs.run_id, runs.header))
    return _damaged(header_from_row, rows)


def _documents(database: Database, connection: Connection) -> list[str]:
    runs, entries = database.tables.runs.c, database.tables.entries.c
    columns = (entries.kind, entries.key, entries.parent, entries.identity, entries.body, entries.packed)
    statement = select(runs.run_id, *columns).join(database.tables.entries, entries.run_seq == runs.seq)
    return _damaged(_parse_entry, connection.execution_options(yield_per=_AT_ONCE).execute(statement))


def _parse_entry(row: Any) -> None:
    entry = entry_from_row(row, row.run_id)
    value_of(entry, row.run_id)
    if bytes(row.identity) != entry.identity:
        raise RunLogFormatError(f"run {row.run_id!r}: {row.kind} {row.key!r}", "it is not found by its name")


def _damaged(parse: Callable[[Any], Any], rows: Iterable[Any]) -> list[str]:
    return list(islice((problem for row in rows if (problem := _problem(parse, row))), _SHOWN))


def _problem(parse: Callable[[Any], Any], row: Any) -> str:
    try:
        parse(row)
    except RunLogFormatError as error:
        return str(error)
    return ""
