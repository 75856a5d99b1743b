"""The table of magnus's database store: read with its anomalies, and written so that magnus could go on."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.errors import ConfigError, RunLogFormatError, RunNotFoundError, StoreError
from runlog_otel.sources.db_log import DbLog
from runlog_otel.stores.sql.database import Database
from tests.sources.db_logs import START, DbLogTable, fill_with_anomalies, golden, rows_of

MICROSECONDS = 1_772_359_200_000_000
"""`START`, since the epoch."""


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/magnus.db"
    return str(request.getfixturevalue("postgres").create_database())


@pytest.fixture
def table(empty: str) -> Iterator[DbLogTable]:
    made = DbLogTable(empty)
    yield made
    made.close()


@pytest.fixture
def logs(empty: str, table: DbLogTable) -> Iterator[DbLog]:
    """The table, as we see it."""
    database = Database(empty, is_foreign=True)
    yield DbLog(database)
    database.close()


def test_runs_are_read_whole(logs: DbLog, table: DbLogTable, caplog: pytest.LogCaptureFixture) -> None:
    """In the order of their first rows, of duplicates the newest; what was strange is told, with counts."""
    caplog.set_level(logging.WARNING)
    wanted = fill_with_anomalies(table)
    assert {run_id: logs.document(run_id) for run_id in wanted} == wanted
    assert [list(logs.document(run_id)["steps"]) for run_id in wanted] == [
        list(log["steps"]) for log in wanted.values()
    ]
    nested, regions, again = wanted
    told = [record.getMessage().partition(" has ")[2] for record in caplog.records][:2]
    assert told == [
        f"2 duplicate rows of run {nested}; the newest count",
        f"rows of run {again} that belong to nothing: no.branch.step",
    ]
    assert regions not in caplog.text


def test_runs_are_listed_by_their_newest_row(logs: DbLog, table: DbLogTable) -> None:
    """Those before a moment are left out; every row of one that is listed counts for its moment."""
    nested, regions, again = fill_with_anomalies(table)
    assert [run.run_id for run in logs.changes()] == [regions, nested, again]
    listed = {run.run_id: run.changed_ns // 1000 for run in logs.changes()}
    assert listed[regions] == MICROSECONDS
    assert [run.run_id for run in logs.changes(listed[nested] * 1000)] == [nested, again]
    assert list(logs.changes((listed[again] + 1) * 1000)) == []


def test_a_row_that_was_changed_shows(logs: DbLog, table: DbLogTable) -> None:
    """The store leaves its moment as it was; the run is listed as changed all the same, and at the same place."""
    log = golden("nested")
    table.add(*rows_of({**log, "status": "PROCESSING"}))
    (before,) = logs.changes()
    table.change(log["run_id"], "RunLog", "run_log", {**log, "steps": {}, "parameters": {}})
    (after,) = logs.changes()
    assert before.changed_ns != after.changed_ns
    assert before.changed_ns // 1000 == after.changed_ns // 1000


def test_a_run_is_written_as_magnus_would(logs: DbLog, table: DbLogTable) -> None:
    """Row by row, in its order and with moments that grow; writing it again changes nothing."""
    log = golden("nested")
    logs.put(log)
    written = table.rows()
    assert [(run_id, kind, key) for _, run_id, key, kind, *_ in written] == [row[:3] for row in rows_of(log)]
    moments = [str(row[-1]) for row in written]
    assert moments == sorted(set(moments))
    logs.put(log)
    assert table.rows() == written
    assert logs.document(log["run_id"]) == log


def test_a_run_is_written_over_duplicates(logs: DbLog, table: DbLogTable) -> None:
    """Each of them gets the value, as by magnus's store: whichever it reads, it is right."""
    log = golden("nested")
    first, *rest = rows_of(log)
    table.add((*first[:3], {**log, "status": "PROCESSING", "steps": {}}), first, *rest)
    logs.put({**log, "tag": "kept"})
    assert logs.document(log["run_id"]) == {**log, "tag": "kept"}
    headers = {row[4] for row in table.rows() if row[3] == "RunLog"}
    assert len(headers) == 1


def test_rows_that_are_none_of_magnus_s_are_passed_over(logs: DbLog, table: DbLogTable) -> None:
    """Of another kind, or without kind, key or value: the run is whole without them."""
    log = golden("nested")
    nothing: Any = None
    parts = (("JobLog", "j"), (nothing, nothing), ("StepLog", nothing))
    strange = [(log["run_id"], kind, key, "x") for kind, key in parts]
    table.add(*rows_of(log), *strange, (nothing, "RunLog", "run_log", {}))
    assert logs.document(log["run_id"]) == log
    assert [run.run_id for run in logs.changes()] == [log["run_id"]]


def test_moments_have_a_time_zone_or_none(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a schema of one's own they may: they are listed alike, in whatever zone the machine is."""
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    table = DbLogTable(empty, "team_log", is_own=True)
    log = golden("regions")
    table.add(*rows_of(log), at=START)
    logs = DbLog(Database(empty, is_foreign=True), "team_log")
    (run,) = logs.changes(MICROSECONDS * 1000)
    assert run.changed_ns // 1000 == MICROSECONDS
    assert list(logs.changes((MICROSECONDS + 1) * 1000)) == []
    logs.database.close()
    table.close()


def test_a_moment_that_is_none_does_not_end_the_listing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite keeps anything in any column: that run is listed first, with a warning, and the others as they are."""
    url = f"sqlite:///{tmp_path}/magnus.db"
    table = DbLogTable(url)
    table.add(*rows_of(golden("again")), *rows_of(golden("nested")))
    with sqlite3.connect(tmp_path / "magnus.db") as connection:
        connection.execute("UPDATE db_log SET created_at = 1772359200 WHERE run_id = ?", [golden("again")["run_id"]])
    connection.close()
    logs = DbLog(Database(url, is_foreign=True))
    strange, other = logs.changes()
    assert (strange.run_id, strange.changed_ns // 1000) == (golden("again")["run_id"], 0)
    assert (other.run_id, other.changed_ns // 1000 > MICROSECONDS) == (golden("nested")["run_id"], True)
    assert caplog.messages == [f"{logs.where}: created_at of run {strange.run_id} holds no time"]
    logs.database.close()
    table.close()


@pytest.mark.parametrize("value", ["'{'", "''", "NULL", "'5'", "'[1]'", "'" + "[" * 100_000 + "'"])
@pytest.mark.parametrize("part", [("RunLog", "run_log"), ("StepLog", "load")])
def test_a_damaged_row_is_told_with_its_run(logs: DbLog, table: DbLogTable, value: str, part: tuple[str, str]) -> None:
    """Whatever stands there instead of a JSON object; the other runs are read."""
    damaged, whole = golden("nested"), golden("regions")
    table.add(*rows_of(damaged), *rows_of(whole))
    where = f"run_id = '{damaged['run_id']}' AND attribute_type = '{part[0]}' AND attribute_key = '{part[1]}'"
    logs.database.write(
        lambda connection: connection.exec_driver_sql(f"UPDATE db_log SET attribute_value = {value} WHERE {where}")
    )
    assert [run.run_id for run in logs.changes()] == [damaged["run_id"], whole["run_id"]]
    with pytest.raises(RunLogFormatError, match=f"^{part[0]} '{part[1]}' of '{damaged['run_id']}' in table db_log of "):
        logs.document(damaged["run_id"])
    assert logs.document(whole["run_id"]) == whole


def test_a_table_of_ones_own_schema_is_written(empty: str) -> None:
    """Its key may count by itself, and it may have another name."""
    table = DbLogTable(empty, "team_log", is_own=True)
    log = golden("regions")
    logs = DbLog(Database(empty, is_foreign=True), "team_log")
    logs.create()
    logs.put(log)
    assert logs.document(log["run_id"]) == log
    assert len(table.rows()) == len(list(rows_of(log)))
    logs.database.close()
    table.close()


def test_a_missing_table_is_made_when_asked_for(empty: str) -> None:
    """As magnus's `create_tables` does it; before, the error says how to name another one."""
    logs = DbLog(Database(empty, is_foreign=True))
    with pytest.raises(StoreError, match=r"the table is not there; name the right one: \?table=NAME"):
        list(logs.changes())
    logs.create()
    logs.put(golden("again"))
    assert [run.run_id for run in logs.changes()] == [golden("again")["run_id"]]
    logs.database.close()


def test_what_is_not_there_or_broken_is_said(logs: DbLog, table: DbLogTable) -> None:
    """A run that is not there, a row without JSON, a table name that is no identifier."""
    table.add(("r", "RunLog", "run_log", {"run_id": "r", "status": "SUCCESS"}), ("r", "StepLog", "a", [1]))
    table.add(("s", "RunLog", "run_log", {"run_id": "s", "status": "SUCCESS"}), ("s", "StepLog", "a", {"name": "a"}))
    with pytest.raises(RunLogFormatError, match="the log of 's' is not a run log: a part of it has no 'internal_name'"):
        logs.document("s")
    with pytest.raises(RunNotFoundError, match="run 'other' is not in table db_log of"):
        logs.document("other")
    with pytest.raises(
        RunLogFormatError, match=r"StepLog 'a' of 'r' in table db_log .* is not a run log: it is no JSON"
    ):
        logs.document("r")
    with pytest.raises(ConfigError, match="letters, digits and _ only"):
        DbLog(logs.database, "x; DROP TABLE y")


def test_a_foreign_database_is_left_as_it_was(tmp_path: Path) -> None:
    """Reading changes no byte of a SQLite file, nor how it is journalled, and leaves no file beside it."""

    path = tmp_path / "magnus.db"
    table = DbLogTable(f"sqlite:///{path}")
    fill_with_anomalies(table)
    table.close()
    before = path.read_bytes()
    path.chmod(0o444)
    database = Database(f"sqlite:///{path}", is_foreign=True)
    assert len(list(DbLog(database).changes((MICROSECONDS - 3600 * 10**6) * 1000))) == 3
    database.close()
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["magnus.db"]
