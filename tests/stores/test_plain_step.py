"""What a plain step asks of the database: statements, transactions, round trips; no clock."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, make_url

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.peers.delay import delayed
from tests.peers.postgres import Postgres
from tests.stores.conftest import run, step


def plain_step(store: SqlStore, name: str) -> None:
    """The calls of runnable for a task that returns nothing new."""
    store.put_step({**step(name, "PROCESSING"), "attempts": []}, "r")
    store.step(name, "r")
    store.step(name, "r")
    store.parameters("r")
    store.set_parameters("r", {})
    store.put_step(step(name), "r")
    store.step(name, "r")


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Statements and transactions, as SQLAlchemy tells of them."""
    counts: Counter[str] = Counter()

    def statement(*_: Any) -> None:
        counts["statements"] += 1

    def transaction(_: Any) -> None:
        counts["transactions"] += 1

    events = {"before_cursor_execute": statement, "begin": transaction}
    for name, function in events.items():
        event.listen(Engine, name, function)
    yield counts
    for name, function in events.items():
        event.remove(Engine, name, function)


def test_a_plain_step_takes_few_statements(store: SqlStore) -> None:
    """Four reads of one statement each, without a transaction, and two writes of two; PostgreSQL also locks the run."""
    store.create(run("r"))
    plain_step(store, "first")
    with counted() as counts:
        plain_step(store, "second")
    assert counts == {"statements": 8 if store.database.is_sqlite else 10, "transactions": 2}


@pytest.mark.parametrize(
    ("write", "statements"),
    [
        (lambda store: store.set_status("r", "SUCCESS"), 1),
        (lambda store: store.set_parameters("r", {"a": 1, "b": 2}), 2),
        (lambda store: store.set_parameters("r", {"a": 1, "b": 2}, "mp.1"), 2),
        (lambda store: store.set_config("r", {"a": 1, "b": 2}), 2),
        (lambda store: store.put_branch({"internal_name": "mp.2", "status": "SUCCESS"}, "r"), 2),
        (lambda store: store.put_job({"status": "SUCCESS"}, "r"), 2),
    ],
)
def test_a_write_updates_the_run_and_upserts_entries(store: SqlStore, write: Any, statements: int) -> None:
    """However many entries it has."""
    branch = {"internal_name": "mp.1", "status": "SUCCESS", "steps": {}, "parameters": {}}
    store.put(run("r", steps={"mp": {**step("mp"), "branches": {"mp.1": branch}}}))
    with counted() as counts:
        write(store)
    assert counts == {"statements": statements, "transactions": 1}


def test_each_call_is_one_round_trip_on_postgresql(postgres: Postgres) -> None:
    """`BEGIN`, settings and `COMMIT` travel with the statements."""
    url = make_url(postgres.create_database())
    create_tables(url.render_as_string(hide_password=False))
    assert url.port is not None
    with delayed(url.port) as proxy:
        store = SqlStore(Database(url.set(port=proxy.port).render_as_string(hide_password=False)))
        store.create(run("r"))
        plain_step(store, "first")
        before = proxy.requests
        plain_step(store, "second")
        assert proxy.requests - before == 6
        store.database.close()
