"""What is deleted, and what is kept of it."""

import time
from typing import Any

import pytest
from sqlalchemy import func, select, update

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunHistory
from runlog_otel.stores.sql.retention import RetainedSqlStore, clear, delete_runs, expired, keep_newest, prune
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step

DAY_NS = 86_400_000_000_000


def make(store: SqlStore, run_id: str, status: str = "SUCCESS", days: int = 0) -> None:
    """A run of one step that was last written to so many days ago."""
    store.put(run(run_id, status=status, steps={"a": step("a")}))
    runs = store.database.tables.runs
    changed = update(runs).where(runs.c.run_id == run_id, runs.c.finished_ns.is_not(None))
    store.database.write(
        lambda connection: connection.execute(changed.values(finished_ns=time.time_ns() - days * DAY_NS))
    )


def left(database: Database) -> tuple[list[str], int, list[Any]]:
    """The runs, the number of entries of all, and the deletions without their times."""
    runs, entries, deletions = database.tables.runs.c, database.tables.entries.c, database.tables.deletions.c

    def work(connection: Any) -> tuple[list[str], int, list[Any]]:
        said = connection.execute(select(deletions.run_id, deletions.reason).order_by(deletions.run_id)).all()
        return (
            sorted(connection.execute(select(runs.run_id)).scalars()),
            connection.execute(select(func.count(entries.seq))).scalar_one(),
            [tuple(row) for row in said],
        )

    return database.read(work)


def test_only_finished_runs_expire(store: SqlStore) -> None:
    """A run that still says PROCESSING is kept, however old; so is a young one."""
    make(store, "old", days=91)
    make(store, "old-failed", status="FAIL", days=91)
    make(store, "old-running", status="PROCESSING")
    make(store, "young", days=89)
    assert expired(store.database, 90) == 2
    seen: list[int] = []
    assert prune(store.database, 90, seen.append) == 2
    assert seen == [2]
    kept = (["old-running", "young"], 2, [("old", "retention"), ("old-failed", "retention")])
    assert left(store.database) == kept


def test_a_retried_run_does_not_expire(store: SqlStore) -> None:
    """An old run that is written to again counts from then on."""
    make(store, "old", days=91)
    store.set_status("old", "PROCESSING")
    assert expired(store.database, 90) == 0
    store.set_status("old", "SUCCESS")
    assert expired(store.database, 90) == 0


def test_many_runs_are_pruned_in_batches(store: SqlStore) -> None:
    """More runs than one transaction takes all go."""
    for number in range(250):
        make(store, f"run-{number}", days=2)
    seen: list[int] = []
    assert prune(store.database, 1, seen.append) == 250
    assert seen == [100, 200, 250]


def test_creating_runs_deletes_a_few_expired_ones(store: SqlStore) -> None:
    """Retention needs no job of its own, and takes no more than twenty at a time."""
    for number in range(25):
        make(store, f"run-{number:02}", days=8)
    retained = RetainedSqlStore(store.database, retention_days=7)
    retained.create(run("new"))
    assert expired(store.database, 7) == 5
    retained.create(run("newer"))
    assert left(store.database)[:2] == (["new", "newer"], 0)


def test_retention_of_zero_days_keeps_all(store: SqlStore) -> None:
    """Nothing expires."""
    make(store, "old", days=1000)
    RetainedSqlStore(store.database, retention_days=0).create(run("new"))
    assert left(store.database)[0] == ["new", "old"]


def test_runs_are_deleted_by_id(store: SqlStore) -> None:
    """Whatever their status; those that are not there do not count."""
    for run_id in ("a", "b", "c"):
        make(store, run_id, status="PROCESSING")
    assert delete_runs(store.database, ["a", "c", "absent"]) == 2
    assert left(store.database) == (["b"], 1, [("a", "on demand"), ("c", "on demand")])
    assert RunHistory(store).stats().deleted == 2


def test_clearing_deletes_every_run(store: SqlStore) -> None:
    """Finished or not."""
    make(store, "a", status="PROCESSING")
    assert clear(store.database) == 1
    assert left(store.database) == ([], 0, [("a", "on demand")])


def test_the_newest_runs_are_kept(store: SqlStore) -> None:
    """The oldest make room, running or not."""
    for number in range(5):
        store.create(run(f"run-{number}"))
    assert keep_newest(store.database, 2) == 3
    assert left(store.database)[0] == ["run-3", "run-4"]


def test_who_deleted_is_kept(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """User and machine stand beside the time of the deletion."""
    monkeypatch.setenv("LOGNAME", "ada")
    make(store, "a")
    before = time.time_ns()
    delete_runs(store.database, ["a"])
    deletions = store.database.tables.deletions.c
    row = store.database.read(
        lambda connection: connection.execute(select(deletions.deleted_by, deletions.deleted_ns)).one()
    )
    assert row.deleted_by.startswith("ada@")
    assert before <= row.deleted_ns <= time.time_ns()
