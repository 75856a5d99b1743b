"""Many writers, lost servers, killed processes: what was acknowledged is there."""

import multiprocessing
import os
import random
import select
import signal
import threading
import time
from typing import Any

import pytest

from runlog_otel.stores.sql.check import problems
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunFilter, RunHistory
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.stores.conftest import run, step

PROCESSES, STEPS = 8, 500
KILLS = 100


def _write_steps(url: str, writer: int, count: int) -> None:
    store = SqlStore(Database(url))
    for number in range(count):
        name = f"{writer}-{number}"
        store.put_step({**step(name, "PROCESSING"), "attempts": []}, "r")
        store.put_step(step(name), "r")
    store.database.close()


def written(url: str) -> tuple[set[str], int, list[str]]:
    """The steps that are there, how many the list says there are, and what is wrong with the database."""
    store = SqlStore(Database(url))
    (summary,) = RunHistory(store).page(RunFilter(run_ids=["r"])).runs
    steps = {name for name, found in store.document("r")["steps"].items() if found == step(name)}
    result = steps, summary.steps, problems(store.database)
    store.database.close()
    return result


def _write_at_once(url: str, count: int) -> None:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.starmap(_write_steps, [(url, writer, count) for writer in range(PROCESSES)], chunksize=1)


def test_eight_processes_write_into_one_run(url: str, store: SqlStore) -> None:
    """4,000 steps, each written twice, are all there, and counted right."""
    store.create(run("r"))
    _write_at_once(url, STEPS)
    expected = {f"{writer}-{number}" for writer in range(PROCESSES) for number in range(STEPS)}
    assert written(url) == (expected, len(expected), [])


def test_a_server_that_is_restarted_loses_nothing(postgres: Any) -> None:
    """The same while PostgreSQL goes down and comes up again, every two seconds: no writer notices."""
    url = postgres.create_database()
    create_tables(url)
    database = Database(url)
    SqlStore(database).create(run("r"))
    database.close()
    is_done = threading.Event()
    restarts = []

    def restart() -> None:
        while not is_done.wait(2):
            postgres.restart()
            restarts.append(time.monotonic())

    restarting = threading.Thread(target=restart)
    restarting.start()
    try:
        _write_at_once(url, STEPS)
    finally:
        is_done.set()
        restarting.join()
    expected = {f"{writer}-{number}" for writer in range(PROCESSES) for number in range(STEPS)}
    assert written(url) == (expected, len(expected), [])
    assert restarts


def _killed_writer(url: str, life: int, seconds: float) -> list[str]:
    """Fork a writer, kill it after so many seconds, and return the steps that it said were written.

    In every other life the seconds begin with the first step: on a busy machine it may take longer than all of them.
    """
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            store = SqlStore(Database(url))
            for number in range(100_000):
                name = f"{life}-{number}"
                store.put_step(step(name), "r")
                os.write(sending, f"{name}\n".encode())
        finally:
            os._exit(1)
    os.close(sending)
    if life % 2:
        select.select([receiving], [], [], 30)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(receiving, "rb") as acknowledged:
        return acknowledged.read().decode().split()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_writers_lose_nothing_that_was_acknowledged(url: str, store: SqlStore) -> None:
    """`kill -9` at a hundred points of time: the database opens, and every acknowledged step is there."""
    store.create(run("r"))
    store.database.close()
    moments = random.Random(3)
    acknowledged: set[str] = set()
    for life in range(KILLS):
        acknowledged.update(_killed_writer(url, life, moments.uniform(0.01, 0.15)))
    steps, counted, wrong = written(url)
    assert (acknowledged - steps, len(steps) - counted, wrong) == (set(), 0, [])
    assert acknowledged
