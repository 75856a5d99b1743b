"""That a step costs the same however long its run is: no clock, but what the database is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunFilter, RunHistory
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step

Asked = list[tuple[str, Any]]


@contextmanager
def recorded() -> Iterator[Asked]:
    """The statements that are executed inside."""
    asked: Asked = []

    def record(*arguments: Any) -> None:
        _, _, statement, parameters, _, is_many = arguments
        asked.append((statement, parameters[0] if is_many else parameters))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", record)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    database = Database(f"sqlite:///{tmp_path}/runs.db")
    store = SqlStore(database)
    store.put(run("r", steps={f"step-{number}": step(f"step-{number}") for number in range(20)}))
    yield store
    database.close()


def write_and_read_a_step(store: SqlStore, name: str) -> None:
    store.put_step(step(name, "PROCESSING"), "r")
    store.step(name, "r")
    store.parameters("r")
    store.set_parameters("r", {name: 1})
    store.put_step(step(name), "r")


def put_a_branch(store: SqlStore, name: str) -> None:
    store.put_step({**step(name), "step_type": "map"}, "r")
    branch = {"internal_name": f"{name}.1", "status": "SUCCESS", "steps": {}, "parameters": {"x": 1}}
    store.put_branch(branch, "r")
    store.put_step({**step("w"), "internal_name": f"{name}.1.w"}, "r")
    store.set_parameters("r", {"x": 1}, f"{name}.1")
    store.parameters("r", f"{name}.1")
    store.branch(f"{name}.1", "r")


def list_runs(store: SqlStore, name: str) -> None:
    history = RunHistory(store)
    for wanted in (RunFilter(), RunFilter(tag=name), RunFilter(status=name), RunFilter(pipeline=name)):
        history.page(wanted, after="5.5")


@pytest.mark.parametrize("act", [write_and_read_a_step, put_a_branch, list_runs])
def test_no_query_reads_a_table_from_end_to_end(store: SqlStore, act: Any) -> None:
    """Every statement of a step's life, and of a list, finds its rows by an index."""
    with recorded() as asked:
        act(store, "new")
    plans = []
    for statement, parameters in asked:
        if statement.startswith(("SELECT", "UPDATE")):
            explained = store.database.read(
                lambda connection, statement=statement, parameters=parameters: connection.exec_driver_sql(  # type: ignore[misc]
                    f"EXPLAIN QUERY PLAN {statement}", parameters
                ).all()
            )
            plans += [row.detail for row in explained]
    assert [plan for plan in plans if "SCAN" in plan or ("TEMP B-TREE" in plan and act is list_runs)] == []
    assert [plan for plan in plans if "INDEX" in plan]


def test_a_step_asks_as_much_in_a_long_run_as_in_a_short_one(store: SqlStore) -> None:
    """The statements of the twenty-first step are those of the thousandth."""
    with recorded() as short:
        write_and_read_a_step(store, "early")
    store.put(run("r", steps={f"more-{number}": step(f"more-{number}") for number in range(1000)}))
    with recorded() as long:
        write_and_read_a_step(store, "later")
    assert [statement for statement, _ in long] == [statement for statement, _ in short]
