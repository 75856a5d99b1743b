"""A row that somebody or something damaged: its run is told, and the others are read, listed, checked and copied."""

import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.errors import RunLogFormatError
from runlog_otel.settings import Settings
from runlog_otel.sources.sql import source_from_url
from runlog_otel.stores.sql.check import problems
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunHistory
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step

NO_TEXT = "it has no text"
DEEP = "[" * 100_000


def whole(run_id: str) -> dict[str, Any]:
    branch = {"internal_name": "mp.1", "status": "SUCCESS", "steps": {}, "parameters": {"y": 2}}
    steps = {"a": step("a"), "mp": {**step("mp"), "branches": {"mp.1": branch}}}
    job = {"status": "SUCCESS", "attempts": []}
    return run(run_id, steps=steps, parameters={"x": 1}, run_config={"c": 1}, job=job)


@pytest.fixture
def filled(store: SqlStore) -> SqlStore:
    """Three whole runs."""
    for run_id in ("before", "damaged", "after"):
        store.put(whole(run_id))
    return store


def damage_entry(store: SqlStore, kind: str, **values: Any) -> None:
    tables = store.database.tables
    seq = store.database.read(
        lambda connection: connection.execute(
            tables.runs.select().with_only_columns(tables.runs.c.seq).where(tables.runs.c.run_id == "damaged")
        ).scalar_one()
    )
    entries = tables.entries
    statement = entries.update().where(entries.c.run_seq == seq, entries.c.kind == kind, entries.c.key != "mp")
    store.database.write(lambda connection: connection.execute(statement.values(**values)))


def damage_header(store: SqlStore, header: str) -> None:
    runs = store.database.tables.runs
    statement = runs.update().where(runs.c.run_id == "damaged").values(header=header)
    store.database.write(lambda connection: connection.execute(statement))


def told_by_reading(store: SqlStore, read: Callable[[], Any]) -> str:
    """What reading the damaged run says, after the others were listed and read."""
    listed = [stored.run_id for stored in RunHistory(store).changed(0)]
    assert sorted(listed) == ["after", "before", "damaged"]
    assert [store.document(run_id) for run_id in ("before", "after")] == [whole("before"), whole("after")]
    with pytest.raises(RunLogFormatError) as caught:
        read()
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"body": "{"}, "it is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ({"body": ""}, "it is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ({"body": None}, NO_TEXT),
        ({"body": "[1]"}, "it is no JSON object"),
        ({"body": "{},{}"}, "it is no JSON: Extra data: line 1 column 3 (char 2)"),
        ({"packed": b"\xff"}, "Error -5 while decompressing data: incomplete or truncated stream"),
        ({"packed": zlib.compress(b"\xff")}, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
@pytest.mark.parametrize("kind", ["step", "branch", "job"])
def test_a_damaged_entry_is_told_with_its_run(
    filled: SqlStore, kind: str, values: dict[str, Any], problem: str
) -> None:
    """By every method that reads it, and by the check."""
    damage_entry(filled, kind, **values)
    key = {"step": "a", "branch": "mp.1", "job": ""}[kind]
    told = f"run 'damaged': {kind} {key!r} is not a run log: {problem}"
    reads = {
        "step": lambda: filled.step("a", "damaged"),
        "branch": lambda: filled.branch("mp.1", "damaged"),
        "job": lambda: filled.job("damaged"),
    }
    assert told_by_reading(filled, reads[kind]) == told
    assert told_by_reading(filled, lambda: filled.document("damaged")) == told
    assert problems(filled.database) == [told]


@pytest.mark.parametrize(("kind", "key"), [("parameter", "x"), ("config", "c")])
def test_a_damaged_value_is_told_with_its_run(filled: SqlStore, kind: str, key: str) -> None:
    """A parameter and a config value may be anything but no JSON."""
    reads = {"parameter": lambda: filled.parameters("damaged"), "config": lambda: filled.config("damaged")}
    damage_entry(filled, kind, body=DEEP)
    told = told_by_reading(filled, reads[kind])
    assert told.startswith(f"run 'damaged': {kind} '{key}' is not a run log: it is no JSON: maximum recursion depth")
    assert told_by_reading(filled, lambda: filled.header("damaged")) == told


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("", "it is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "it is no JSON object with that run_id"),
        ("{}", "it is no JSON object with that run_id"),
        ('{"run_id":"before"}', "it is no JSON object with that run_id"),
    ],
)
def test_a_damaged_header_is_told_with_its_run(filled: SqlStore, header: str, problem: str) -> None:
    """By reading and by the check; a whole run log that is put over it mends it."""
    damage_header(filled, header)
    told = f"run 'damaged': its header is not a run log: {problem}"
    assert told_by_reading(filled, lambda: filled.document("damaged")) == told
    assert told_by_reading(filled, lambda: filled.header("damaged")) == told
    assert problems(filled.database) == [told]
    filled.put(whole("damaged"))
    assert filled.document("damaged") == whole("damaged")
    assert problems(filled.database) == []


def test_an_entry_whose_parent_went_is_told(filled: SqlStore) -> None:
    """A log of which a part is missing is not read as if it were whole."""
    entries = filled.database.tables.entries
    gone = entries.delete().where(entries.c.kind == "branch")
    filled.database.write(lambda connection: connection.execute(gone))
    with pytest.raises(RunLogFormatError, match=r"^run 'damaged': parameter 'y' is not a run log: 'mp.1', which it"):
        filled.document("damaged")


def test_an_entry_that_is_not_found_by_its_name_is_told(filled: SqlStore) -> None:
    """The host would not find the step."""
    damage_entry(filled, "step", identity=b"s" + b"\x00" * 16)
    assert problems(filled.database) == ["run 'damaged': step 'a' is not a run log: it is not found by its name"]


def test_a_source_tells_a_damaged_run_as_one(url: str, filled: SqlStore) -> None:
    """What `serve` and `export` read by sets it aside for that."""
    damage_header(filled, "")
    source = source_from_url(url, Settings())
    with pytest.raises(RunLogFormatError):
        source.run("damaged")
    assert source.run("after").run_id == "after"
    source.close()


def test_text_that_is_not_utf_8_ends_nothing(tmp_path: Path) -> None:
    """SQLite keeps any bytes as text; they are read with what cannot be decoded as lone surrogates."""
    path = tmp_path / "runs.db"
    store = SqlStore(Database(f"sqlite:///{path}"))
    for run_id in ("before", "damaged"):
        store.put(whole(run_id))
    store.database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runnable_logs SET tag = CAST(x'ff' AS TEXT) WHERE run_id = 'damaged'")
        connection.execute("UPDATE runnable_logs_entries SET body = CAST(x'ff' AS TEXT) WHERE run_seq = 2")
    connection.close()
    assert [run.tag for run in RunHistory(store).page().runs] == ["\udcff", ""]
    assert "run 'damaged': job ''" in "".join(problems(store.database))
    assert store.document("before") == whole("before")
    store.database.close()


def test_a_page_that_cannot_be_read_ends_no_other_check(tmp_path: Path) -> None:
    """SQLite says which page is damaged; what stands on the others is checked all the same."""
    path = tmp_path / "runs.db"
    store = SqlStore(Database(f"sqlite:///{path}"))
    for number in range(200):
        store.put(whole(f"r{number}"))
    damage = store.database.tables.runs.update().where(store.database.tables.runs.c.run_id == "r7").values(header="")
    store.database.write(lambda connection: connection.execute(damage))
    root = store.database.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT rootpage FROM sqlite_master WHERE name = 'runnable_logs_entries'"
        ).scalar_one()
    )
    store.database.close()
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    content[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(content)
    found = problems(store.database)
    store.database.close()
    assert found[0].startswith("SQLite: ")
    assert "run 'r7': its header is not a run log: it is no JSON: Expecting value: line 1 column 1 (char 0)" in found
    assert f"sqlite:///{path}: the database is corrupted; restore a backup: see docs/stores.md" in found
