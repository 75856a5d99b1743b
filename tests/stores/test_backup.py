"""The recipes for backup and restore of docs/stores.md."""

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from runlog_otel.stores.sql.check import problems
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.peers import install
from tests.stores.conftest import run, step

DOCUMENT = run("r", steps={"a": step("a"), "b": step("b", "FAIL", "no")}, parameters={"x": [1, "\x00"]})


def restored(url: str) -> tuple[dict[str, Any], list[str]]:
    """What a restored database holds, after one more write."""
    store = SqlStore(Database(url))
    store.put_step(step("after"), "r")
    found = store.document("r"), problems(store.database)
    store.database.close()
    return found


def test_a_sqlite_database_is_restored_from_a_copy_of_it(tmp_path: Path) -> None:
    """`VACUUM INTO` while the store is open: the copy is whole, newest write included, and can be written to."""
    store = SqlStore(Database(f"sqlite:///{tmp_path}/runs.db"))
    store.put(DOCUMENT)
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        connection.execute("VACUUM INTO ?", [str(tmp_path / "backup.db")])
    connection.close()
    store.database.close()
    expected = {**DOCUMENT, "steps": {**DOCUMENT["steps"], "after": step("after")}}
    assert restored(f"sqlite:///{tmp_path}/backup.db") == (expected, [])


def test_a_postgresql_database_is_restored_from_a_dump(postgres: Any, tmp_path: Path) -> None:
    """`pg_dump` and `pg_restore` into an empty database: sequences go on where they were."""
    url, other = postgres.create_database(), postgres.create_database()
    create_tables(url)
    store = SqlStore(Database(url))
    store.put(DOCUMENT)
    store.database.close()
    binaries = install.find("postgres")
    assert binaries is not None
    for program, database, arguments in (
        ("pg_dump", url, ["--format=custom", f"--file={tmp_path}/runs.dump"]),
        ("pg_restore", other, [f"{tmp_path}/runs.dump"]),
    ):
        at = make_url(database)
        place = [f"--host={at.host}", f"--port={at.port}", f"--username={at.username}", f"--dbname={at.database}"]
        env = os.environ | {"PGPASSWORD": str(at.password)}
        subprocess.run([binaries / program, *place, *arguments], env=env, check=True)
    expected = {**DOCUMENT, "steps": {**DOCUMENT["steps"], "after": step("after")}}
    assert restored(other) == (expected, [])
