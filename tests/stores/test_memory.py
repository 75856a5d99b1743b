"""The store in memory: bounded in runs and in values."""

import threading

from runlog_otel.stores.memory import MemoryStore
from runlog_otel.stores.sql.history import RunHistory
from tests.stores.conftest import run, step


def test_the_oldest_runs_are_dropped_first() -> None:
    """Of four runs three are kept."""
    store = MemoryStore(max_runs=3)
    for number in range(4):
        store.create(run(f"run-{number}"))
    assert [summary.run_id for summary in RunHistory(store).page().runs] == ["run-3", "run-2", "run-1"]
    store.database.close()


def test_large_values_are_truncated_wherever_they_are() -> None:
    """A parameter value of more than ten characters becomes its size, wherever it is; nothing else does."""
    store = MemoryStore(max_value_characters=10)
    short, long = {"kind": "json", "value": "12345678"}, {"kind": "json", "value": "123456789"}
    cut = {"kind": "json", "value": "<truncated: 11 bytes>"}
    branch = {
        "internal_name": "mp.1",
        "status": "SUCCESS",
        "steps": {"mp.1.a": {**step("a"), "internal_name": "mp.1.a", "output_parameters": {"x": long}}},
        "parameters": {"x": long, "y": short},
    }
    attempts = [{"output_parameters": {"x": long}, "user_defined_metrics": {"loss": long}, "message": "more than ten"}]
    mapped = {**step("mp"), "attempts": attempts, "branches": {"mp.1": branch}}
    store.put(run("r", parameters={"magnus": "123456789", "x": short}, steps={"mp": mapped}))
    found = store.document("r")
    found_branch = found["steps"]["mp"]["branches"]["mp.1"]
    assert found["parameters"] == {"magnus": "<truncated: 11 bytes>", "x": short}
    assert found["steps"]["mp"]["attempts"] == [
        {"output_parameters": {"x": cut}, "user_defined_metrics": {"loss": cut}, "message": "more than ten"}
    ]
    assert (found_branch["parameters"], found_branch["steps"]["mp.1.a"]["output_parameters"]) == (
        {"x": cut, "y": short},
        {"x": cut},
    )
    store.database.close()


def test_threads_share_one_memory_from_the_first_call_on() -> None:
    """Eight threads that all come first find the same store."""
    store = MemoryStore()
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait()
        store.create(run(f"run-{number}"))

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert RunHistory(store).stats().total == 8
    store.database.close()
