"""The counts of a run follow its entries, whoever writes them at the same time."""

import random
import threading

import pytest

from runlog_otel.errors import BranchNotFoundError
from runlog_otel.stores.sql.check import problems
from runlog_otel.stores.sql.history import RunFilter, RunHistory
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step


def counts(store: SqlStore) -> tuple[int, int]:
    (summary,) = RunHistory(store).page(RunFilter(run_ids=["r"])).runs
    return summary.steps, summary.failed_steps


def test_writers_of_the_same_steps_count_each_once(store: SqlStore) -> None:
    """Six threads write the same three steps, failed or not, one by one and in whole documents."""
    store.create(run("r"))

    def write(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(25):
            steps = {name: step(name, chosen.choice(["SUCCESS", "FAIL"])) for name in "abc"}
            store.put_step(chosen.choice(list(steps.values())), "r")
            if chosen.random() < 0.2:
                store.put({"run_id": "r", "steps": steps})

    threads = [threading.Thread(target=write, args=[seed]) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = sum(found["status"] == "FAIL" for found in store.document("r")["steps"].values())
    assert (counts(store), problems(store.database)) == ((3, failed), [])


def test_a_refused_step_counts_nothing(store: SqlStore) -> None:
    """A step of a branch that is not there leaves no trace, not even in the time of the last change."""
    store.put(run("r", steps={"a": step("a", "FAIL")}))
    before = list(RunHistory(store).changed(0))
    with pytest.raises(BranchNotFoundError):
        store.put_step({**step("w", "FAIL"), "internal_name": "mp.1.w"}, "r")
    assert (counts(store), list(RunHistory(store).changed(0))) == ((1, 1), before)


def test_a_document_of_many_steps_is_counted_once(store: SqlStore) -> None:
    """Also one that is written in several parts, twice, with steps that are in branches of one another."""
    branches = {
        f"mp.{number}": {
            "internal_name": f"mp.{number}",
            "status": "SUCCESS",
            "parameters": {"x": number},
            "steps": {f"mp.{number}.w": {**step("w", "FAIL"), "internal_name": f"mp.{number}.w"}},
        }
        for number in range(300)
    }
    document = run("r", steps={"mp": {**step("mp"), "branches": branches}, "end": step("end", step_type="success")})
    for _ in range(2):
        store.put(document)
    assert (counts(store), problems(store.database)) == ((301, 300), [])
    assert store.document("r") == document
