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
"""About half a second, in which the thread of the meter needs the interpreter's lock now and then."""
_ALONE, _MEASURED = "not measured", "measured"


def measure(bench: Bench) -> None:
    """Measure it."""
    bench.add("where: the first time in a process", "ms", (_milliseconds(where),))
    bench.add("where: later", "ms", (_milliseconds(where, 100),))
    held = b"x" * 2**29
    _add(bench, "an empty step", _nothing, 100)
    with _processes(bench.size(4, 1)):
        _add(bench, "an empty step beside 4 processes", _nothing, 100)
    _add(bench, "a step that starts a program", _program, 20)
    del held
    work = partial(_compute, bench.size(LOOPS, 1000))
    samples = bench.in_turns({name: partial(_cpu_ms, each) for name, each in _cases(work).items()}, 15, 60)
    goal = Goal("ratio", 1.01)
    bench.add("a step that only computes", "ms of CPU", samples[_MEASURED], samples[_ALONE], _ALONE, goal=goal)


def _add(bench: Bench, what: str, work: Callable[[], None], repeats: int) -> None:
    cases = {name: partial(_milliseconds, each, repeats) for name, each in _cases(work).items()}
    samples = bench.in_turns(cases, 15, 30)
    bench.add(what, "ms", samples[_MEASURED], samples[_ALONE], _ALONE, goal=Goal("difference", 1))


def _cases(work: Callable[[], None]) -> dict[str, Callable[[], None]]:
    return {_ALONE: work, _MEASURED: partial(_measured, work)}


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


def _cpu_ms(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return 1000 * (time.process_time() - before)


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
