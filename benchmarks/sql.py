"""The SQL store

Statements and transactions: what a plain step adds to a real pipeline over SQLite, counted by SQLAlchemy's events in
pipelines of 5 and 55 steps. PostgreSQL far away: a pipeline of 100 steps, whole process, through a proxy on the same
machine that holds all bytes for 1 ms in each direction. A step is one new step of a run, written twice (started,
ended) by the host's calls, into a run that was put there whole. The cost of a step in the file stores grows with the
steps that are there, so the speed of a whole run of 2,000 steps is that of a few steps at 1,000, and that of 10,000 at
5,000. SQLite runs with `synchronous = FULL`; the file stores write without `fsync`.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from extensions.run_log_store.chunked_fs import ChunkedFileSystemRunLogStore
from extensions.run_log_store.file_system import FileSystemRunLogstore
from runnable.datastore import RunLog, StepLog
from sqlalchemy import make_url

from benchmarks.documents import document
from benchmarks.harness import Bench, Curve, Goal, Samples, say
from benchmarks.processes import far_away, run
from benchmarks.stores import store
from runlog_otel.stores.sql.history import RunHistory
from runlog_otel.stores.sql.upgrade import create_tables
from tests.peers import install
from tests.peers.postgres import running_postgres

ONE_WAY_SECONDS = 0.001
_PIPELINE = """\
import collections, os
from sqlalchemy import event
from sqlalchemy.engine import Engine
from runnable import Pipeline, PythonTask

counts = collections.Counter()

@event.listens_for(Engine, "before_cursor_execute")
def statement(*_):
    counts["statements"] += 1

@event.listens_for(Engine, "begin")
def transaction(*_):
    counts["transactions"] += 1

def score():
    return 1

def main():
    steps = [PythonTask(name=f"step {n}", function=score, returns=["a"]) for n in range(int(os.environ["STEPS"]))]
    pipeline = Pipeline(steps=steps)
    pipeline.execute(configuration_file=os.environ["CONFIG"])
    return pipeline

if __name__ == "__main__":
    main()
    print()
    print(counts["statements"], counts["transactions"])
"""


def measure(bench: Bench) -> None:
    """Measure it."""
    (bench.folder / "pipeline.py").write_text(_PIPELINE, encoding="utf-8")
    _measure_statements(bench)
    _measure_distance(bench)
    _measure_steps(bench)
    _measure_reading(bench)


def _config(bench: Bench, name: str, connection_string: str) -> str:
    service = {"type": "sql", "config": {"connection_string": connection_string}}
    (bench.folder / f"{name}.yaml").write_text(json.dumps({"run-log-store": service}), encoding="utf-8")
    return f"{name}.yaml"


def _measure_statements(bench: Bench) -> None:
    config = _config(bench, "counted", f"sqlite:///{bench.folder}/counted.db")
    few, many = (5, 5 + bench.size(50, 5))

    def counts(steps: int) -> list[int]:
        done = run(sys.executable, "pipeline.py", folder=bench.folder, CONFIG=config, STEPS=str(steps))
        return [*map(int, done.output.splitlines()[-1].split())]

    counts(few)  # makes the tables
    for what, goal, a, b in zip(("statements", "transactions"), (10, 4), counts(few), counts(many), strict=True):
        bench.add(f"{what} of a plain step", what, ((b - a) / (many - few),), goal=Goal("ours", goal))


def _measure_distance(bench: Bench) -> None:
    binaries = install.find("postgres")
    if binaries is None:
        bench.notes.append("PostgreSQL is not installed (`make peers`): its distance was not measured.")
        return
    steps = bench.size(100, 2)
    with running_postgres(binaries) as postgres:
        url = make_url(postgres.url)
        with far_away(url.port or 0, ONE_WAY_SECONDS) as port:
            configs = {
                "far": _config(bench, "far", url.set(port=port).render_as_string(hide_password=False)),
                "near": _config(bench, "near", postgres.url),
            }
            create_tables(postgres.url)

            def case(config: str) -> Callable[[], float]:
                variables = {"CONFIG": config, "STEPS": str(steps)}
                return lambda: run(sys.executable, "pipeline.py", folder=bench.folder, **variables).seconds

            seconds = bench.in_turns({name: case(config) for name, config in configs.items()}, 5, 80)
    what = f"{steps} steps over PostgreSQL, 2 ms away"
    bench.add(what, "s", seconds["far"], seconds["near"], "PostgreSQL, near", goal=Goal("ratio", 1.6))


def _stores(bench: Bench) -> dict[str, Any]:
    folder = bench.folder
    return {
        "sqlite": store(f"sqlite:///{folder}/runs.db"),
        "file-system": FileSystemRunLogstore(log_folder=f"{folder}/files"),
        "chunked-fs": ChunkedFileSystemRunLogStore(log_folder=f"{folder}/chunks"),
    }


def _measure_steps(bench: Bench) -> None:
    sizes = (10, 1_000, 5_000, 10_000, 100_000)[: bench.size(5, 1)]
    totals = {1_000: (2_000, 50), 5_000: (10_000, 100)} if not bench.is_quick else {10: (20, 1)}
    stores = _stores(bench)
    lines: dict[str, dict[int, float]] = {name: {} for name in stores}
    for size in sizes:
        run_log = RunLog(**document(size, size))
        measured = {name: one for name, one in stores.items() if name == "sqlite" or size <= 10_000}
        for one in measured.values():
            one.put_run_log(run_log)
        say(f"  a run of {size:,} steps")
        windows = {
            name: _Window(one, run_log.run_id, 100 if name == "sqlite" else max(1, min(100, 2_000 // size)))
            for name, one in measured.items()
        }
        speeds = bench.in_turns(windows, 3, 30)
        for name, samples in speeds.items():
            lines[name][size] = 1000 / median(samples)
        if size in totals:
            _add_total(bench, speeds, *totals[size])
    stores["sqlite"].close()
    bench.curves.append(Curve("steps", "Cost of a step by the number of steps in its run", "steps", "ms", lines))


def _add_total(bench: Bench, speeds: dict[str, Samples], steps: int, bound: float) -> None:
    for name in ("file-system", "chunked-fs"):
        goal = Goal("ratio", bound, is_least=True)
        bench.add(f"a run of {steps:,} steps", "steps/s", speeds["sqlite"], speeds[name], name, goal=goal)


class _Window:
    """Adds a few new steps to a run, and gives their speed in steps per second."""

    def __init__(self, target: Any, run_id: str, steps: int) -> None:
        self._target = target
        self._run_id = run_id
        self._steps = steps
        self._added = 0

    def __call__(self) -> float:
        seconds = 0.0
        for number in range(self._added, self._added + self._steps):
            name = f"new {number}"
            step = StepLog(**{**document(0, 1)["steps"]["step 0"], "name": name, "internal_name": name})
            for status in ("PROCESSING", "SUCCESS"):
                step.status = status
                started = perf_counter()
                self._target.add_step_log(step, self._run_id)
                seconds += perf_counter() - started
        self._added += self._steps
        return self._steps / seconds


def _measure_reading(bench: Bench) -> None:
    steps, count = bench.size(10_000, 10), bench.size(1000, 2)
    stores = {name: one for name, one in _stores(bench).items() if name != "chunked-fs"}
    run_log = RunLog(**document(-1, steps))
    for one in stores.values():
        one.put_run_log(run_log)
    read = {name: partial(_seconds, one, run_log.run_id) for name, one in stores.items()}
    seconds = bench.in_turns(read, 5, 30)
    bench.add(f"reading a run of {steps:,} steps", "s", seconds["sqlite"], seconds["file-system"], "file-system")
    before = _bytes(stores)
    for number in range(-1 - count, -1):
        run_log = RunLog(**document(number, 10))
        for one in stores.values():
            one.put_run_log(run_log)
    kib = {name: ((size - before[name]) / count / 1024,) for name, size in _bytes(stores).items()}
    bench.add("a run of 10 steps, on disk", "KiB", kib["sqlite"], kib["file-system"], "file-system")
    stores["sqlite"].close()


def _seconds(target: Any, run_id: str) -> float:
    started = perf_counter()
    target.get_run_log_by_id(run_id, full=True)
    return perf_counter() - started


def _bytes(stores: dict[str, Any]) -> dict[str, int]:
    files = Path(stores["file-system"].log_folder).rglob("*.json")
    return {
        "sqlite": RunHistory(stores["sqlite"].documents).stats().size_bytes,
        "file-system": sum(path.stat().st_blocks * 512 for path in files),
    }
