"""How the databases find the rows of every statement of the store: by an index, but for those named here."""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from runlog_otel.stores.port import DocumentStore
from runlog_otel.stores.sql import retention
from runlog_otel.stores.sql.history import RunFilter, RunHistory, RunSummary
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step
from tests.stores.test_cost import recorded

BRANCH = {"internal_name": "mp.1", "status": "SUCCESS", "steps": {}, "parameters": {"x": 1}}
NEW_BRANCH = {**BRANCH, "internal_name": "mp.1.in.2"}

CALLS: dict[str, Callable[[SqlStore, RunHistory], Any]] = {
    "create": lambda store, _: store.create(run("new")),
    "header": lambda store, _: store.header("r"),
    "document": lambda store, _: store.document("r"),
    "put": lambda store, _: store.put(run("r", steps={"a": step("a"), "b": step("b")}, parameters={"x": 1})),
    "put new": lambda store, _: store.put(run("newer", steps={"a": step("a")})),
    "set_status": lambda store, _: store.set_status("r", "FAIL"),
    "step": lambda store, _: store.step("a", "r"),
    "put_step": lambda store, _: store.put_step(step("a", "FAIL", "no"), "r"),
    "put_step in a branch": lambda store, _: store.put_step({**step("w"), "internal_name": "mp.1.w"}, "r"),
    "branch": lambda store, _: store.branch("mp.1", "r"),
    "put_branch": lambda store, _: store.put_branch({**BRANCH, "internal_name": "mp.2"}, "r"),
    "put_branch of a branch": lambda store, _: store.put_branch(NEW_BRANCH, "r"),
    "parameters": lambda store, _: store.parameters("r"),
    "parameters of a branch": lambda store, _: store.parameters("r", "mp.1"),
    "set_parameters": lambda store, _: store.set_parameters("r", {"x": 1, "y": 2}),
    "set_parameters of a branch": lambda store, _: store.set_parameters("r", {"x": 1}, "mp.1"),
    "config": lambda store, _: store.config("r"),
    "set_config": lambda store, _: store.set_config("r", {"a": 1}, "train"),
    "job": lambda store, _: store.job("r"),
    "put_job": lambda store, _: store.put_job({"status": "FAIL"}, "r"),
    "page": lambda _, history: history.page(after="5.5"),
    "page of newer runs": lambda _, history: history.page(before="5.5"),
    "first page": lambda _, history: history.page(),
    "page of a status": lambda _, history: history.page(RunFilter(status="FAIL")),
    "page of a tag": lambda _, history: history.page(RunFilter(tag="t")),
    "page of a pipeline": lambda _, history: history.page(RunFilter(pipeline="train")),
    "page of a time": lambda _, history: history.page(RunFilter(since_ns=1, until_ns=2)),
    "page of some": lambda _, history: history.page(RunFilter(run_ids=["r", "s"])),
    "page of a failure": lambda _, history: history.page(RunFilter(failure="disk"), after="5.5"),
    "page of a pipeline and a status": lambda _, history: history.page(RunFilter(pipeline="train", status="FAIL")),
    "page of a pipeline and a tag": lambda _, history: history.page(RunFilter(pipeline="train", tag="t")),
    "unfinished": lambda _, history: history.unfinished(5),
    "pipelines": lambda _, history: history.pipelines(5),
    "outlines": lambda _, history: history.outlines(history.page(RunFilter(tag="t")).runs or (_summary("r"),)),
    "changed": lambda _, history: list(history.changed(1)),
    "missing": lambda _, history: history.missing(["r", "s"]),
    "secret_fingerprints": lambda _, history: history.secret_fingerprints("r"),
    "get": lambda _, history: history.get("r"),
    "update": lambda _, history: history.update("r", dict),
    "stats": lambda _, history: history.stats(),
    "size_bytes": lambda _, history: history.size_bytes(),
    "expired": lambda store, _: retention.expired(store.database, 1),
    "prune": lambda store, _: retention.prune(store.database, 0),
    "delete_runs": lambda store, _: retention.delete_runs(store.database, ["new", "newer"]),
    "keep_newest": lambda store, _: retention.keep_newest(store.database, 1),
    "clear": lambda store, _: retention.clear(store.database),
}
"""Every public method, in each of its forms; those that delete come last."""


def _summary(run_id: str) -> RunSummary:
    return RunSummary(run_id, "", "", "", "FAIL", "", 0, 0, None, None, 1, 1)


FULL_SCANS = {
    "first page": "it reads the newest rows of an index, and ends with the page",
    "stats": "it counts all runs, by an index",
    "keep_newest": "it is for the store in memory, of a thousand runs",
    "clear": "it deletes all",
}
_OF_ONE_ROW = "_version"
_OF_THE_DATABASE = ("PRAGMA", "pg_", "current_schema")


@pytest.fixture
def history(store: SqlStore) -> RunHistory:
    inner = {"mp.1.in": {**step("in"), "internal_name": "mp.1.in", "branches": {}}}
    steps = {"a": step("a"), "mp": {**step("mp"), "branches": {"mp.1": {**BRANCH, "steps": inner}}}}
    for number in range(3):
        store.put(run(f"r{number}", status="SUCCESS", steps=steps))
    store.put(run("r", steps=steps, job={"status": "SUCCESS"}))
    return RunHistory(store)


def scans(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    """The steps of a statement's plan that read a table or an index from end to end."""
    if connection.dialect.name == "sqlite":
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            if row.detail.startswith("SCAN") and "CONSTANT ROW" not in row.detail:
                yield row.detail
        return
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # the tables are too small for it to pay
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalars()
    nodes = [plan[0]["Plan"]] if not isinstance(plan, str) else [json.loads(plan)[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" in node and node["Node Type"].endswith("Scan") and not _is_by_index(node):
            yield f"{node['Node Type']} on {node['Relation Name']}"


def _is_by_index(node: dict[str, Any]) -> bool:
    return "Index Cond" in node or "Recheck Cond" in node


def test_every_statement_finds_its_rows_by_an_index(history: RunHistory) -> None:
    """But for those that have to read everything."""
    store = history.store
    scanning: dict[str, list[str]] = {}
    for name, call in CALLS.items():
        with recorded() as asked:
            call(store, history)
        assert asked or name == "size_bytes", name
        for statement, parameters in asked:
            if _OF_ONE_ROW in statement or any(text in statement for text in _OF_THE_DATABASE):
                continue
            found = store.database.read(lambda connection: list(scans(connection, statement, parameters)))  # noqa: B023
            scanning.setdefault(name, []).extend(found)
    assert {name for name, found in scanning.items() if found} == FULL_SCANS.keys(), scanning


def test_every_public_method_is_called() -> None:
    """A new method gets a plan that is looked at."""
    methods = {name for name, _ in inspect.getmembers(DocumentStore, inspect.isfunction) if not name.startswith("_")}
    methods |= {name for name, _ in inspect.getmembers(RunHistory, inspect.isfunction) if not name.startswith("_")}
    functions = inspect.getmembers(retention, inspect.isfunction)
    methods |= {name for name, function in functions if function.__module__ == retention.__name__ and name[0] != "_"}
    assert methods - CALLS.keys() == set()
