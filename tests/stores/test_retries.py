"""A transaction is tried again as a whole, and twice is as good as once."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from runlog_otel.errors import RunExistsError
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunFilter, RunHistory
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step

Result = TypeVar("Result")


class LosingDatabase(Database):
    """A database of which the answer to the first try of every write is lost, after it was committed."""

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do it twice."""
        super().write(work)
        return super().write(work)


def life(store: SqlStore) -> tuple[dict[str, Any], tuple[int, int]]:
    """Write a run, and return its document and counts."""
    store.create(run("r"))
    store.set_config("r", {"a": 1})
    store.set_parameters("r", {"x": 1})
    store.put_step(step("a", "FAIL", "no"), "r")
    store.put_step(step("a"), "r")
    store.put_step(step("b", "FAIL", "no"), "r")
    store.put_step({**step("mp"), "step_type": "map", "attempts": []}, "r")
    store.put_branch({"internal_name": "mp.1", "status": "SUCCESS", "steps": {}, "parameters": {"y": 2}}, "r")
    store.put_step({**step("w"), "internal_name": "mp.1.w"}, "r")
    store.put_job({"status": "SUCCESS", "attempts": []}, "r")
    (summary,) = RunHistory(store).page(RunFilter(run_ids=["r"])).runs
    return store.document("r"), (summary.steps, summary.failed_steps)


def test_writes_whose_answers_are_lost_are_made_once(url: str) -> None:
    """A run whose every write was tried again after its commit is the run whose writes were not."""
    plain, losing = (
        Database(url, table_name="plain", creates_tables=True),
        LosingDatabase(url, table_name="losing", creates_tables=True),
    )
    assert life(SqlStore(losing)) == life(SqlStore(plain))
    for database in (plain, losing):
        database.close()


def test_a_second_create_is_still_refused(url: str) -> None:
    """Only the same call is the same create."""
    database = LosingDatabase(url)
    store = SqlStore(database)
    store.create(run("r"))
    with pytest.raises(
        RunExistsError, match=r"^a run log of id 'r' exists already; a retry reuses it, a new run needs"
    ):
        store.create(run("r"))
    database.close()
