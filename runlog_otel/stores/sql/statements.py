"""The statements of the store, built once: a write takes 0.8 ms of CPU instead of 1.4, a read 0.14 instead of 0.47."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Update, and_, bindparam, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from runlog_otel.core.model import TERMINAL_KINDS, Status
from runlog_otel.stores.sql.schema import Tables

NEW = "new_"
"""What the parameters of `touch` that hold values of columns begin with."""


class Touch(NamedTuple):
    """The form of a `touch`: identities and parents are bound as one value or as a list."""

    changed: tuple[str, ...]
    """Columns of the run, each with a parameter of its name after NEW."""
    is_one: bool = True
    has_parents: bool = False
    is_one_parent: bool = True


class Statements:
    """The statements that do not depend on what is written."""

    def __init__(self, tables: Tables, *, is_sqlite: bool) -> None:
        runs, entries = tables.runs.c, tables.entries.c
        insert = sqlite.insert if is_sqlite else postgresql.insert
        of_run = runs.run_id == bindparam("run_id")
        self.read = _read(tables, of_run)
        self.token = select(runs.token).where(of_run)
        self.locked_run = select(tables.runs).where(of_run).with_for_update()
        self.lock = select(runs.seq).where(of_run).with_for_update()
        self.insert_run = insert(tables.runs).on_conflict_do_nothing().returning(*runs)
        names = [column.name for column in entries if column.name not in ("seq", "run_seq")]
        values = [bindparam(name, type_=entries[name].type) for name in names]
        is_touched = and_(of_run, runs.updated_ns == bindparam(f"{NEW}updated_ns"))
        upsert = insert(tables.entries).from_select(["run_seq", *names], select(runs.seq, *values).where(is_touched))
        kept = ("seq", "run_seq", "identity", "parent")  # an entry stays where it was first written
        self.upsert = upsert.on_conflict_do_update(
            index_elements=[entries.run_seq, entries.identity],
            set_={column.name: column for column in upsert.excluded if column.name not in kept},
        )
        self.present = select(entries.key).where(
            entries.run_seq == bindparam("run_seq"), entries.identity.in_(bindparam("identities", expanding=True))
        )


def _read(tables: Tables, of_run: ColumnElement[bool]) -> Select[Any]:
    """The run's row beside each of its entries in a range, or beside none."""
    runs, entries = tables.runs.c, tables.entries.c
    is_wanted = and_(entries.run_seq == runs.seq, entries.identity.between(bindparam("low"), bindparam("high")))
    columns = (entries.kind, entries.key, entries.body, entries.packed, entries.parent)
    return (
        select(runs.run_id, runs.status, runs.header, *columns)
        .select_from(tables.runs.outerjoin(tables.entries, is_wanted))
        .where(of_run)
        .order_by(entries.seq)
    )


@lru_cache
def statements_for(tables: Tables, *, is_sqlite: bool) -> Statements:
    """The statements for tables in one of the databases."""
    return Statements(tables, is_sqlite=is_sqlite)


@lru_cache
def touch(tables: Tables, form: Touch) -> Update:
    """Updates the run's row for entries that are upserted next, unless one of their `parents` is missing.

    On PostgreSQL a statement that waits for a lock counts what was there before it waited: lock the row first.
    """
    runs, entries = tables.runs.c, tables.entries.c
    replaced = select(func.count()).where(
        entries.run_seq == runs.seq, _is_in(entries.identity, "identity", form.is_one), _is_work(tables)
    )
    failed = replaced.where(entries.status == Status.FAIL.value)
    values: dict[str, Any] = {}
    for name in form.changed:
        column = runs[name]
        new = bindparam(f"{NEW}{name}", type_=column.type)
        match name:
            case "steps":
                values[name] = column + new - replaced.scalar_subquery()
            case "failed_steps":
                values[name] = column + new - failed.scalar_subquery()
            case "started_ns":
                values[name] = case((column <= new, column), else_=new)
            case "ended_ns":
                values[name] = case((column >= new, column), else_=new)
            case _:
                values[name] = new
    statement = update(tables.runs).where(runs.run_id == bindparam("run")).values(values)
    if not form.has_parents:
        return statement
    parents = select(func.count()).where(
        entries.run_seq == runs.seq, _is_in(entries.identity, "parent", form.is_one_parent)
    )
    return statement.where(parents.scalar_subquery() == bindparam("parents"))


def _is_work(tables: Tables) -> ColumnElement[bool]:
    """As `Entry.is_work`."""
    entries = tables.entries.c
    is_no_verdict = and_(*(entries.step_type != kind for kind in sorted(TERMINAL_KINDS)))
    return and_(entries.kind == "step", or_(entries.step_type.is_(None), is_no_verdict))


def _is_in(column: ColumnElement[bytes], name: str, is_one: bool) -> ColumnElement[bool]:
    return column == bindparam(name) if is_one else column.in_(bindparam(name, expanding=True))
