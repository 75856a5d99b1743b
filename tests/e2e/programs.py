"""Programs that use the wrapper in many processes, or for very many steps, as a host does."""

import multiprocessing
import os
import random
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from runnable.datastore import BranchLog, StepAttempt, StepLog

from runlog_otel.hosts.runnable.wrapper import OtelRunLogStore

TASKS = 20
CHILDREN = 4
ATTEMPTS = 50
MANY = 5000
RUN = "r"
SAMPLED_RUNS = 2000
PATIENT = {"exit_budget_seconds": 60.0}
"""What a process waits for when the machine is busy, where telemetry's cost is not the point."""
FAILED_EACH = 13
SLOW_EACH = 31


def wrapper(inner: str, endpoint: str, **telemetry: Any) -> Any:
    """A wrapped store in the current folder."""
    return OtelRunLogStore(inner={"type": inner}, telemetry={"endpoint": endpoint, "pipeline": "program", **telemetry})


def attempt() -> StepAttempt:
    """An attempt that took no time."""
    now = str(datetime.now())  # noqa: DTZ005 naive and local, as the host writes it
    return StepAttempt(status="SUCCESS", start_time=now, end_time=now)


def begin(store: Any) -> None:
    """Begin a run, as an executor does."""
    store.create_run_log(RUN, status="PROCESSING")
    store.set_run_config(RUN, {"pipeline_executor": {"service_name": "local"}})


def record(store: Any, path: str, step_type: str = "task") -> None:
    """Record a step and its attempt, as an executor does."""
    name = path.rpartition(".")[2]
    store.add_step_log(StepLog(name=name, internal_name=path, step_type=step_type, status="PROCESSING"), RUN)
    step = store.get_step_log(path, RUN)
    step.attempts.append(attempt())
    step.status = "SUCCESS"
    store.add_step_log(step, RUN)


def end(store: Any) -> None:
    """End a run with success, as an executor does."""
    run_log = store.get_run_log_by_id(RUN)
    run_log.status = "SUCCESS"
    store.add_branch_log(run_log, RUN)
    record(store, "success", "success")


def work(store: Any, number: int) -> None:
    """An iteration of a map in a pool worker, whose user code seeds the generator of random numbers."""
    random.seed(42)
    record(store, f"mp.{number}.work")
    record(store, f"mp.{number}.success", "success")
    store.add_branch_log(store.get_branch_log(f"mp.{number}", RUN).model_copy(update={"status": "SUCCESS"}), RUN)


def pool(endpoint: str, method: str) -> None:
    """A map of many iterations in the workers of a pool, each of which runs one and is replaced."""
    random.seed(42)
    store = wrapper("chunked-fs", endpoint, **PATIENT)
    begin(store)
    step = StepLog(name="mp", internal_name="mp", step_type="map", status="PROCESSING")
    store.add_step_log(step, RUN)
    for number in range(TASKS):
        store.add_branch_log(BranchLog(internal_name=f"mp.{number}", status="PROCESSING"), RUN)
    multiprocessing.set_forkserver_preload(["runlog_otel.hosts.runnable.wrapper"])
    with multiprocessing.get_context(method).Pool(4, maxtasksperchild=1) as workers:
        workers.starmap(work, [(store, number) for number in range(TASKS)], chunksize=1)
    store.add_step_log(step.model_copy(update={"status": "SUCCESS"}), RUN)
    end(store)


def record_many(store: Any, child: int) -> None:
    """One child's attempts."""
    for number in range(ATTEMPTS):
        record(store, f"{child} and {number}")


def processes(endpoint: str) -> None:
    """A warm parent and children forked by multiprocessing, that record at the same time."""
    store = wrapper("buffered", endpoint, **PATIENT)
    begin(store)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=record_many, args=(store, child)) for child in range(CHILDREN)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    sys.exit(any(child.exitcode for child in children))


def forks(endpoint: str) -> None:
    """A warm parent and children that it forks itself, which end as programs end."""
    store = wrapper("buffered", endpoint, **PATIENT)
    begin(store)
    children = []
    for child in range(CHILDREN):
        if pid := os.fork():
            children.append(pid)
        else:
            record_many(store, child)
            sys.exit()
    sys.exit(any(os.waitpid(pid, 0)[1] for pid in children))


def many(endpoint: str, budget_seconds: str) -> None:
    """A run of thousands of steps in one process."""
    store = wrapper("buffered", endpoint, exit_budget_seconds=float(budget_seconds))
    begin(store)
    for number in range(MANY):
        record(store, f"step {number}")
    end(store)


def sampled(endpoint: str) -> None:
    """Very many runs of which a tenth is sampled; some fail, some take long."""
    config = {"max_runs": SAMPLED_RUNS}
    telemetry = {"endpoint": endpoint, "pipeline": "program", **PATIENT}
    store: Any = OtelRunLogStore(
        inner={"type": "memory", "config": config},
        telemetry={**telemetry, "sample": 0.1, "sample_slower_than_seconds": 60},
    )
    for number in range(SAMPLED_RUNS):
        run_id = f"run-{number}"
        store.create_run_log(run_id, status="PROCESSING")
        store.set_run_config(run_id, {"pipeline_executor": {"service_name": "local"}})
        end = datetime.now()  # noqa: DTZ005 naive and local, as the host writes it
        start = end - timedelta(seconds=61 if number % SLOW_EACH == 0 else 0)
        verdict = "fail" if number % FAILED_EACH == 0 else "success"
        for name in ("first", "second", verdict):
            status = "FAIL" if (name, verdict) == ("second", "fail") else "SUCCESS"
            kind = verdict if name == verdict else "task"
            step = StepLog(name=name, internal_name=name, step_type=kind, status="PROCESSING")
            store.add_step_log(step, run_id)
            step = store.get_step_log(name, run_id)
            step.attempts.append(StepAttempt(status=status, start_time=str(start), end_time=str(end)))
            store.add_step_log(step.model_copy(update={"status": status}), run_id)


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {
        "pool": pool,
        "processes": processes,
        "forks": forks,
        "many": many,
        "sampled": sampled,
    }
    programs[sys.argv[1]](*sys.argv[2:])
