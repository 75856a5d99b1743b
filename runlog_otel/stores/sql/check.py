"""Whether what a database holds is whole: its own checks, and ours."""

import json
from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter

from sqlalchemy import Connection, and_, case, func, not_, select

from runlog_otel.model import Status
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import unpacked

_SHOWN = 20
_AT_ONCE = 1000


def problems(database: Database) -> list[str]:
    """What is wrong, one line each, 20 at most of a kind; nothing is repaired.

    SQLite checks every page; on both databases the counts of runs are compared with their steps, entries are
    searched for parents that are not there, and every document is parsed.
    """
    return database.read(
        lambda connection: [
            *_pages(connection, database),
            *_counts(connection, database),
            *_parents(connection, database),
            *_documents(connection, database),
        ]
    )


def _pages(connection: Connection, database: Database) -> list[str]:
    if not database.is_sqlite:
        return []
    found = connection.exec_driver_sql(f"PRAGMA integrity_check({_SHOWN})").scalars().all()
    return [f"SQLite: {line}" for line in found if line != "ok"]


def _counts(connection: Connection, database: Database) -> list[str]:
    runs, entries = database.tables.runs.c, database.tables.entries.c
    is_work = and_(entries.kind == "step", func.coalesce(entries.step_type, "").not_in(("success", "fail")))
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


def _parents(connection: Connection, database: Database) -> list[str]:
    runs, entries = database.tables.runs.c, database.tables.entries.c
    statement = (
        select(runs.run_id, entries.kind, entries.key, entries.parent)
        .join(database.tables.entries, entries.run_seq == runs.seq)
        .order_by(entries.run_seq)
    )
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(statement)
    found = (
        f"run {run_id!r}: {kind} {key!r} belongs to {parent!r}, which is not there"
        for run_id, of_run in groupby(rows, key=itemgetter(0))
        for kind, key, parent in _orphans([(kind, key, parent) for _, kind, key, parent in of_run])
    )
    return list(islice(found, _SHOWN))


def _orphans(entries: list[tuple[str, str, str | None]]) -> Iterator[tuple[str, str, str]]:
    there = {(kind, key) for kind, key, _ in entries}
    for kind, key, parent in entries:
        if parent is not None and ("step" if kind == "branch" else "branch", parent) not in there:
            yield kind, key, parent


def _documents(connection: Connection, database: Database) -> list[str]:
    runs, entries = database.tables.runs.c, database.tables.entries.c
    statement = select(runs.run_id, entries.kind, entries.key, entries.body, entries.packed).join(
        database.tables.entries, entries.run_seq == runs.seq
    )
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(statement)
    found = (
        f"run {row.run_id!r}: {row.kind} {row.key!r} is no JSON: {problem}"
        for row in rows
        if (problem := _problem(unpacked(row.body, row.packed)))
    )
    return list(islice(found, _SHOWN))


def _problem(text: str) -> str:
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return ""
