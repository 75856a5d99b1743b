"""PostgreSQL behind a real pgbouncer in transaction pooling: nothing that one client sets meets another."""

import multiprocessing
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from runlog_otel.errors import ConfigError, StoreError
from runlog_otel.sources.db_log import DbLog
from runlog_otel.stores.sql.check import problems
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunFilter, RunHistory
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.peers.pgbouncer import POOL_SIZE, Pgbouncer
from tests.peers.postgres import Postgres
from tests.sources.db_logs import DbLogTable, golden, rows_of
from tests.stores.conftest import run, step

PROCESSES, STEPS = 8, 50
SESSION = ("statement_timeout", "TimeZone", "client_encoding", "application_name", "default_transaction_isolation")


@pytest.fixture
def pooled(postgres: Postgres, pgbouncer: Pgbouncer) -> str:
    """An empty database, through the pooler."""
    return pgbouncer.url(postgres.create_database())


@pytest.fixture
def store(pooled: str) -> Iterator[SqlStore]:
    create_tables(pooled)
    opened = SqlStore(Database(pooled, timeout_seconds=30))
    yield opened
    opened.database.close()


def seen_by_another_client(url: str) -> list[dict[str, Any]]:
    """The settings of every connection that the pooler lends, as a client finds them that sets nothing."""
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, prepare_threshold=None) as one, psycopg.connect(plain, prepare_threshold=None) as two:
        # Both at once: each holds a connection of the pool until the end of its transaction.
        return [_settings(client) for client in (one, two)]


def _settings(client: psycopg.Connection[Any]) -> dict[str, Any]:
    rows = {name: client.execute(f"SHOW {name}").fetchone() for name in SESSION}
    return {name: row and row[0] for name, row in rows.items()}


def test_another_client_sees_its_own_defaults(pooled: str, store: SqlStore) -> None:
    """After runs were written, read and listed, and a foreign table was read, no setting of ours is left."""
    before = seen_by_another_client(pooled)
    for number in range(5 * POOL_SIZE):
        store.put(run(f"r{number}", steps={"a": step("a")}))
        store.document(f"r{number}")
    list(RunHistory(store).changed(0))
    table = DbLogTable(pooled)
    table.add(*rows_of(golden("again")))
    table.close()
    foreign = Database(pooled, is_foreign=True)
    assert [found.run_id for found in DbLog(foreign).changes(1)] == [golden("again")["run_id"]]
    foreign.close()
    assert seen_by_another_client(pooled) == before
    assert len(before) == POOL_SIZE


def test_our_settings_are_in_force_in_every_transaction(pooled: str) -> None:
    """Each has its time limit, the text is UTF-8, and a foreign table is read in UTC."""
    database = Database(pooled, timeout_seconds=7, is_foreign=True)
    shown = [
        database.read(lambda connection: [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in SESSION[:3]])
        for _ in range(2 * POOL_SIZE)
    ]
    database.close()
    assert shown == [["7s", "UTC", "UTF8"]] * (2 * POOL_SIZE)


def test_a_slow_statement_is_ended(pooled: str) -> None:
    """The time limit works through the pooler."""
    database = Database(pooled, timeout_seconds=0.2, patience_seconds=30, is_foreign=True)
    with pytest.raises(StoreError, match="the server needed longer than timeout_seconds"):
        database.read(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(60)"))
    database.close()


@pytest.mark.parametrize("option", ["", "?prepare_threshold=5"])
def test_a_statement_without_a_transaction_has_our_settings(postgres: Postgres, pooled: str, option: str) -> None:
    """They are in its message, or it gets a transaction, where it is prepared."""
    for url in (pooled, f"{postgres.create_database()}{option}"):
        database = Database(url, timeout_seconds=0.2, patience_seconds=30, is_foreign=True)
        shown = [database.rows(text(f"SHOW {name}"))[0][0] for name in SESSION[:3]]
        with pytest.raises(StoreError, match="the server needed longer than timeout_seconds"):
            database.rows(text("SELECT pg_sleep(60)"))
        database.close()
        assert shown == ["200ms", "UTC", "UTF8"]


def _write_steps(url: str, writer: int) -> None:
    store = SqlStore(Database(url, timeout_seconds=120))
    for number in range(STEPS):
        name = f"{writer}-{number}"
        store.put_step({**step(name, "PROCESSING"), "attempts": []}, "r")
        store.put_step(step(name), "r")
    store.database.close()


def test_many_writers_lose_nothing(pooled: str, store: SqlStore) -> None:
    """Eight processes share two connections of the pooler to write into one run."""
    store.create(run("r"))
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.starmap(_write_steps, [(pooled, writer) for writer in range(PROCESSES)], chunksize=1)
    names = [f"{writer}-{number}" for writer in range(PROCESSES) for number in range(STEPS)]
    assert store.document("r")["steps"] == {name: step(name) for name in names}
    (summary,) = RunHistory(store).page(RunFilter(run_ids=["r"])).runs
    assert (summary.steps, problems(store.database)) == (len(names), [])


def test_one_of_many_upgrades_makes_the_tables(pooled: str) -> None:
    """The others wait for it: the lock is held by the transaction, not by a connection that the pooler lends on."""
    made: list[bool] = []
    threads = [threading.Thread(target=lambda: made.append(create_tables(pooled))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    with psycopg.connect(pooled.replace("+psycopg", "")) as client:
        assert client.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


@pytest.mark.parametrize("threshold", ["0", "5", "none"])
def test_prepared_statements_are_made_where_asked_for(postgres: Postgres, threshold: str) -> None:
    """Straight on the server: from that use of a statement on, or never."""
    url = f"{postgres.create_database()}?prepare_threshold={threshold}&application_name=mine&connect_timeout=9"
    create_tables(url)
    store = SqlStore(Database(url, timeout_seconds=30))
    for number in range(12):
        store.put(run(f"r{number}", steps={"a": step("a")}))
    prepared, name = store.database.read(
        lambda connection: [
            connection.exec_driver_sql(f"SELECT {what}").scalar()
            for what in ("count(*) FROM pg_prepared_statements", "current_setting('application_name')")
        ]
    )
    store.database.close()
    assert (prepared != 0, name) == (threshold != "none", "mine")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("prepare_threshold=x", "option prepare_threshold: must be a whole number, not 'x'"),
        ("connect_timeout=-1", "option connect_timeout: must be a whole number, not '-1'"),
        ("keepalives=yes", "option keepalives: must be a whole number, not 'yes'"),
        ("autocommit=true", "option autocommit: not known; docs/stores.md lists options"),
        ("client_encoding=latin1", "option client_encoding: not known; docs/stores.md lists options"),
        ("sslmode=require&sslmode=prefer", "option sslmode: is given twice"),
    ],
)
def test_a_wrong_option_is_told(option: str, told: str) -> None:
    """In one line that names it, before anything is connected to."""
    database = Database(f"postgresql://u@127.0.0.1:1/d?{option}")
    with pytest.raises(ConfigError) as caught:
        database.read(lambda connection: None)
    assert str(caught.value) == f"connection_string: {told}"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("sslmode=nonsense", 'invalid sslmode value: "nonsense"; check connection_string'),
        ("sslmode=require", "SSL was required; check connection_string"),
        ("options=-c%20work_mem%3D1MB", "unsupported startup parameter: options; check connection_string"),
    ],
)
def test_an_option_that_is_refused_is_told_at_once(pooled: str, option: str, told: str) -> None:
    """By libpq, by the server or by the pooler: trying again would not help."""
    database = Database(f"{pooled}?{option}", timeout_seconds=600)
    with pytest.raises(StoreError) as caught:
        database.read(lambda connection: None)
    database.close()
    assert told in str(caught.value)
