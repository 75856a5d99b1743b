"""Tables and migrations."""

import threading
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, select

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.names import REVISION
from runlog_otel.stores.sql.schema import tables_named
from runlog_otel.stores.sql.schema_version import alembic_config
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.stores.conftest import run, step


def test_migrations_make_the_tables_that_queries_see(url: str) -> None:
    """What the migrations made has no difference to the tables of the code."""
    database = Database(url)

    def differences(connection: Any) -> list[Any]:
        options = {"version_table": database.tables.version_table, "compare_type": False}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), database.tables.metadata))

    assert database.read(differences) == []
    database.close()


def test_the_newest_migration_is_the_one_of_the_code() -> None:
    """A migration that is added is one that the code knows."""
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [REVISION]


def test_of_many_upgrades_one_does_the_work(url: str) -> None:
    """Eight at once: the others wait, and find nothing to do."""
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(create_tables(url, "fresh"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]


def test_stores_of_two_names_share_a_database(url: str) -> None:
    """Each sees its own runs."""
    create_tables(url, "other")
    first, second = SqlStore(Database(url)), SqlStore(Database(url, table_name="other"))
    first.create(run("r", tag="first"))
    second.create(run("r", tag="second"))
    assert (first.header("r")["tag"], second.header("r")["tag"]) == ("first", "second")
    for store in (first, second):
        store.database.close()


def test_names_are_of_one_case() -> None:
    """PostgreSQL folds names, so `Runs` and `runs` are the same tables everywhere."""
    assert tables_named("Runs").name == "runs"


def test_a_role_without_the_right_to_make_tables_is_enough(postgres: Any) -> None:
    """Runs are written, listed and deleted with rights on rows only."""
    url = postgres.create_database()
    create_tables(url)
    owner = Database(url)
    for statement in (
        "CREATE ROLE writer LOGIN PASSWORD 'w'",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO writer",
    ):
        owner.write(lambda connection, statement=statement: connection.exec_driver_sql(statement))  # type: ignore[misc]
    owner.close()
    as_writer = make_url(url).set(username="writer", password="w").render_as_string(hide_password=False)
    store = SqlStore(Database(as_writer))
    store.put(run("r", steps={"a": step("a")}))
    assert store.document("r") == run("r", steps={"a": step("a")})
    store.database.close()


def test_large_bodies_are_packed(tmp_path: Path) -> None:
    """A body above a million characters is compressed, and read by a store that does not compress."""
    database = Database(f"sqlite:///{tmp_path}/runs.db")
    SqlStore(database).put(run("r", parameters={"small": 1, "large": "x" * 1_000_000}))
    entries = database.tables.entries.c
    statement = select(entries.key).where(entries.packed.is_not(None), entries.body.is_(None))
    assert database.read(lambda connection: connection.execute(statement).scalars().all()) == ["large"]
    assert SqlStore(database, is_compressing=False).parameters("r") == {"small": 1, "large": "x" * 1_000_000}
    database.close()
