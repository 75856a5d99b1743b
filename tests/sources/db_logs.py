"""A table `db_log` as magnus's database store makes and fills it, with what goes wrong there.

Source: `magnus_extension_datastore_db.db` (0.1.1): `DBLog`, `create_tables`, `DBStore._persist`.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

GOLDEN = Path(__file__).parents[1] / "golden"
START = datetime(2026, 3, 1, 10)  # noqa: DTZ001 - the column is naive

_TABLE = """CREATE TABLE {name} (
    pk {key}, run_id TEXT, attribute_key TEXT, attribute_type TEXT, attribute_value TEXT, created_at {moment}
)"""
Log = dict[str, Any]
Row = tuple[str, str, str, Any]
"""`run_id`, `attribute_type`, `attribute_key` and the value."""


def golden(name: str) -> Log:
    """The run log of a real run of magnus."""
    log: Log = json.loads((GOLDEN / f"magnus-{name}.log.json").read_text(encoding="utf-8"))
    return log


def rows_of(log: Mapping[str, Any]) -> Iterator[Row]:
    """The rows in the order in which a run of magnus adds them."""
    run_id = log["run_id"]
    yield run_id, "RunLog", "run_log", {**log, "steps": {}, "parameters": {}}
    for key, value in log["parameters"].items():
        yield run_id, "Parameter", key, value
    for kind, key, value in _inner(log):
        yield run_id, kind, key, value


def _inner(graph: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for key, step in graph["steps"].items():
        yield "StepLog", key, {**step, "branches": {}}
        for name, branch in step["branches"].items():
            yield "BranchLog", name, {**branch, "steps": {}}
            yield from _inner(branch)


class DbLogTable:
    """Such a table, in an empty database."""

    def __init__(self, url: str, name: str = "db_log", *, is_own: bool = False) -> None:
        """Make it; `is_own`: by a schema of somebody's own: its key counts by itself, its moments have a time zone."""
        self._engine = create_engine(url)
        self._name = name
        self._clock = START
        is_server = self._engine.dialect.name == "postgresql"
        self._is_counting = is_server and not is_own
        key = "INTEGER NOT NULL PRIMARY KEY" if self._is_counting or not is_server else "SERIAL PRIMARY KEY"
        self._zone = "+00:00" if is_own else ""
        moment = f"TIMESTAMP WITH{'' if is_own else 'OUT'} TIME ZONE" if is_server else "DATETIME"
        with self._engine.begin() as connection:
            if self._is_counting:
                connection.execute(text("CREATE SEQUENCE id_seq"))
            connection.execute(text(_TABLE.format(name=name, key=key, moment=moment)))

    def add(self, *rows: Row, at: datetime | None = None) -> None:
        """Add rows, as select-then-insert does it: whether they are there or not."""
        columns = "run_id, attribute_type, attribute_key, attribute_value, created_at"
        values = ":run_id, :kind, :key, :value, :at"
        key = ("pk, ", "nextval('id_seq'), ") if self._is_counting else ("", "")
        statement = text(f"INSERT INTO {self._name} ({key[0]}{columns}) VALUES ({key[1]}{values})")
        with self._engine.begin() as connection:
            for run_id, kind, name, value in rows:
                self._clock += timedelta(seconds=1)
                moment = (at or self._clock).isoformat(" ", "microseconds") + self._zone
                given = {"run_id": run_id, "kind": kind, "key": name, "value": json.dumps(value), "at": moment}
                connection.execute(statement, given)

    def change(self, run_id: str, kind: str, key: str, value: Any) -> None:
        """Change a row, as that store does it: every one of the name, and never its moment."""
        statement = text(
            f"UPDATE {self._name} SET attribute_value = :value"
            " WHERE run_id = :run_id AND attribute_type = :kind AND attribute_key = :key"
        )
        with self._engine.begin() as connection:
            given = {"run_id": run_id, "kind": kind, "key": key, "value": json.dumps(value)}
            assert connection.execute(statement, given).rowcount

    def rows(self) -> list[tuple[Any, ...]]:
        """Everything in it, by key."""
        with self._engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {self._name} ORDER BY pk"))]

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def fill_with_anomalies(table: DbLogTable) -> dict[str, Log]:
    """Real runs of magnus, and what its store makes of some of them; returns what must be read of each.

    Two writers that both found no row; a header with the steps of long ago in it; clocks that run backwards; a step
    whose branch was never written.
    """
    nested, regions, again = golden("nested"), golden("regions"), golden("again")
    header, *rest = rows_of(nested)
    (step,) = [row for row in rest if row[1:3] == ("StepLog", "load")]
    stale = {**step[3], "status": "PROCESSING", "attempts": []}
    table.add((*header[:3], {**nested, "status": "PROCESSING", "steps": {"load": stale}, "parameters": {}}))
    table.add((*step[:3], stale), *rest, (*header[:3], {**header[3], "steps": {"load": stale}}))
    for index, row in enumerate(rows_of(regions)):
        table.add(row, at=START - timedelta(hours=index))
    lost = (again["run_id"], "StepLog", "no.branch.step", {**step[3], "internal_name": "no.branch.step"})
    table.add(*rows_of(again), lost)
    return {log["run_id"]: log for log in (nested, regions, again)}
