"""Many runs are read in few statements, with the same result as one by one."""

import zlib
from typing import Any

import pytest
from sqlalchemy import event

from runlog_otel.errors import RunLogFormatError, RunNotFoundError
from runlog_otel.stores.sql.bulk import documents
from runlog_otel.stores.sql.rows import COMPRESSED_FROM_CHARACTERS
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.test_damage import damage_entry, damage_header, whole


@pytest.fixture
def store(database: Any) -> SqlStore:
    return SqlStore(database)


def one_by_one(store: SqlStore, run_ids: list[str]) -> list[Any]:
    """Each document, or the type and text of the error."""
    return [_document_or_error(store, run_id) for run_id in run_ids]


def _document_or_error(store: SqlStore, run_id: str) -> Any:
    try:
        return store.document(run_id)
    except (RunNotFoundError, RunLogFormatError) as error:
        return type(error), str(error)


def in_bulk(store: SqlStore, run_ids: list[str]) -> list[Any]:
    found = documents(store.database, run_ids)
    return [(type(run), str(run)) if isinstance(run, Exception) else run for run in found]


def test_documents_are_those_that_are_read_one_by_one(store: SqlStore) -> None:
    """In the order that is asked for, with an error for one that is not there."""
    run_ids = [f"run {number}" for number in range(30)]
    for run_id in run_ids:
        store.put(whole(run_id))
    large = whole("large \\ é \x00")
    large["steps"]["a"]["message"] = "x" * COMPRESSED_FROM_CHARACTERS
    store.put(large)
    asked = [*run_ids[::-1], "nope", "large \\ é \x00", "run 3"]
    assert in_bulk(store, asked) == one_by_one(store, asked)
    assert in_bulk(store, asked)[-2] == large


def test_no_run_is_asked_for(store: SqlStore) -> None:
    """Then there is none."""
    assert in_bulk(store, []) == []


@pytest.mark.parametrize(
    "values", [{"body": "{"}, {"body": None}, {"packed": b"\xff"}, {"packed": zlib.compress(b"1")}]
)
def test_a_damaged_run_does_not_fail_the_others(store: SqlStore, values: dict[str, Any]) -> None:
    """It has the error that reading it alone has."""
    run_ids = ["before", "damaged", "after"]
    for run_id in run_ids:
        store.put(whole(run_id))
    damage_entry(store, "step", **values)
    assert in_bulk(store, run_ids) == one_by_one(store, run_ids)
    damage_header(store, "{")
    found = in_bulk(store, run_ids)
    assert (found[0], found[1][0], found[2]) == (whole("before"), RunLogFormatError, whole("after"))


def test_few_statements_read_many_runs(store: SqlStore) -> None:
    """Their number does not grow with that of runs, but with that of steps, which bounds the memory."""
    for number in range(50):
        store.put(whole(f"run {number}"))
    statements: list[str] = []
    store.database.read(lambda connection: event.listen(connection.engine, "before_cursor_execute", note(statements)))
    assert len(in_bulk(store, [f"run {number}" for number in range(50)])) == 50
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 3


def note(statements: list[str]) -> Any:
    """A listener that notes each statement."""
    return lambda _connection, _cursor, statement, *_: statements.append(statement)
