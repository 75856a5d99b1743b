"""A plain SQLite file is read by sqlite3 alone, with the result that SQLAlchemy has; all else is left to it."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.errors import RunLogFormatError, RunlogOtelError
from runlog_otel.settings import Settings
from runlog_otel.sources import sql, sqlite_file
from runlog_otel.stores.sql.bulk import Reader, changed, documents
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.rows import COMPRESSED_FROM_CHARACTERS
from runlog_otel.stores.sql.sqlite_reader import SqliteReader, plain_file
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run
from tests.stores.test_damage import damage_entry, whole
from tests.stores.test_encodings import TEXTS, document_with


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file with a usual run, odd texts, a compressed row, a damaged run, and one without steps."""
    made = f"sqlite:///{tmp_path}/runs.db"
    store = SqlStore(Database(made))
    long = whole("long")
    long["steps"]["a"]["message"] = "x" * COMPRESSED_FROM_CHARACTERS
    for document in (whole("usual"), *map(document_with, TEXTS.values()), long, whole("damaged"), run("empty")):
        store.put(document)
    damage_entry(store, "step", body="{")
    store.database.close()
    return made


def _refused() -> Reader:
    raise AssertionError("it was read through SQLAlchemy")


def _read(reader: Reader) -> tuple[list[Any], list[Any]]:
    listed = list(changed(reader, 0, at_once=3))
    read = documents(reader, [*(stored.run_id for stored in listed), "nope"])
    return listed, [(type(run), str(run)) if isinstance(run, Exception) else run for run in read]


def test_both_ways_read_the_same(url: str) -> None:
    """The same list in the same order, documents, and errors of what is damaged or not there."""
    database = Database(url)
    expected = _read(database)
    database.close()
    assert len(expected[0]) == 4 + len(TEXTS)
    assert _read(SqliteReader(url, _refused)) == expected


def test_runs_of_both_sources_are_equal(url: str) -> None:
    """Mapped, and with the same name of the place."""
    light, full = sqlite_file.source_from_url(url, Settings()), sql.source_from_url(url, Settings())
    assert light.where == full.where
    run_ids = [stored.run_id for stored in light.changes(0)]
    for one, other in zip(light.read_runs(run_ids), full.read_runs(run_ids), strict=True):
        if not isinstance(other, RunLogFormatError):
            assert one == other
    full.close()


@pytest.mark.parametrize(
    "change",
    ["?table=other", "?timeout=1", "?uri=true", "%20", "/", ".not there"],
)
def test_an_unusual_url_is_left_to_sqlalchemy(url: str, change: str) -> None:
    """Options, what must be decoded, a folder, a file that is not there; a database in memory."""
    assert plain_file(url) == Path(url.removeprefix("sqlite:///"))
    assert plain_file(f"{url}{change}") is None
    assert plain_file("sqlite:///:memory:") is None
    assert plain_file("sqlite:///") is None
    assert plain_file("postgresql://u@h/d") is None


def _changed_version(file: Path) -> None:
    _execute(file, "UPDATE runnable_logs_version SET version_num = '9999'")


def _without_version(file: Path) -> None:
    _execute(file, "DELETE FROM runnable_logs_version")


def _without_tables(file: Path) -> None:
    file.unlink()
    _execute(file, "CREATE TABLE t (c)")


def _without_entries(file: Path) -> None:
    _execute(file, "DROP TABLE runnable_logs_entries")


def _damaged(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)


def _cut(file: Path) -> None:
    os.truncate(file, 8192)


def _execute(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "change", [_changed_version, _without_version, _without_tables, _without_entries, _damaged, _cut, Path.unlink]
)
def test_what_is_wrong_is_said_as_sqlalchemy_says_it(url: str, change: Callable[[Path], None]) -> None:
    """Also where it happens after the source was made; a file that is gone is not made again."""
    file = Path(url.removeprefix("sqlite:///"))
    light, full = sqlite_file.source_from_url(url, Settings()), sql.source_from_url(url, Settings())
    change(file)
    errors = []
    for source in (light, full):
        with pytest.raises(RunlogOtelError) as caught:
            list(source.read_runs([stored.run_id for stored in source.changes(0)]))
        errors.append((type(caught.value), str(caught.value)))
        source.close()
    assert errors[0] == errors[1]
    assert file.exists() == (change is not Path.unlink)


def test_what_a_writer_has_not_committed_is_not_read(url: str) -> None:
    """A snapshot reads what was there when it began, beside a writer that is at work."""
    reader = SqliteReader(url, _refused)
    before = _read(reader)
    writer = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runnable_logs SET status = 'FAIL'")
    assert _read(reader) == before
    writer.execute("COMMIT")
    writer.close()
    assert {stored.is_final for stored in _read(reader)[0]} == {True}
