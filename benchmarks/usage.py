"""Where a step runs and what it uses

A step's work alone, and between the start and the end of its measurement, in turns in one process that holds 512 MiB.
The goal is 1 ms or 1 % of a step.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

from benchmarks.harness import Bench, Goal
from runlog_otel.live.usage import UsageMeter
from runlog_otel.live.where import where

LOOPS = 20_000_000
"""Half a second of a step that only computes, while the meter's thread needs the interpreter's lock now and then."""
_ALONE, _MEASURED = "not measured", "measured"


def measure(bench: Bench) -> None:
    """Measure it."""
    bench.add("where: the first time in a process", "ms", (_milliseconds(where),), goal=Goal("ours", 1))
    bench.add("where: later", "ms", (_milliseconds(where, 100),))
    held = b"x" * 2**29
    _add(bench, "an empty step", _nothing, 100)
    with _processes(bench.size(4, 1)):
        _add(bench, "an empty step beside 4 processes", _nothing, 100)
    _add(bench, "a step that starts a program", _program, 20)
    _add(bench, "a step that computes for half a second", partial(_compute, bench.size(LOOPS, 1000)), 1)
    del held


def _add(bench: Bench, what: str, work: Callable[[], None], repeats: int) -> None:
    cases = {
        _ALONE: partial(_milliseconds, work, repeats),
        _MEASURED: partial(_milliseconds, partial(_measured, work), repeats),
    }
    samples = bench.in_turns(cases, 15, 30)
    goal = Goal("ratio", 1.01) if repeats == 1 else Goal("difference", 1)
    bench.add(what, "ms", samples[_MEASURED], samples[_ALONE], _ALONE, goal=goal)


def _measured(work: Callable[[], None]) -> None:
    meter = UsageMeter()
    work()
    meter.stop()


def _milliseconds(work: Callable[[], object], repeats: int = 1) -> float:
    """The median of some calls."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds)


def _nothing() -> None:
    pass


def _compute(loops: int) -> None:
    for _ in range(loops):
        pass


def _program() -> None:
    subprocess.run(["true"], check=True)


@contextmanager
def _processes(count: int) -> Iterator[None]:
    processes = [subprocess.Popen(["sleep", "1000"]) for _ in range(count)]
    yield
    for process in processes:
        process.kill()
        process.wait()
