"""What it costs to measure what a step uses: `python -m benchmarks.usage [ROUNDS]`.

Each round measures every case once with and once without the meter, in turn.
"""

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.tables import head, row
from runlog_otel.live.usage import UsageMeter
from runlog_otel.live.where import where

LOOPS = 20_000_000
"""Half a second of a step that only computes, in which the meter's thread needs the interpreter's lock."""


def main(rounds: int) -> None:
    """Print the medians."""
    first = _seconds(where)
    print(f"where the process runs: first {first * 1e3:.2f} ms, later {_seconds(where) * 1e3:.3f} ms\n")
    head("a step", "without ms", "with ms", "adds ms")
    held = b"x" * 2**29
    for name, work, surroundings in (
        ("does nothing", _nothing, _alone),
        ("does nothing, beside 4 processes that run", _nothing, _beside_processes),
        ("does nothing, in 64 threads beside a process", _nothing, _beside_threads),
        ("starts a program", _program, _alone),
        ("only computes", _compute, _alone),
    ):
        with surroundings():
            bare, measured = [], []
            for _ in range(rounds):
                bare.append(_seconds(work))
                measured.append(_seconds(partial(_measured, work)))
        without, with_meter = statistics.median(bare) * 1e3, statistics.median(measured) * 1e3
        row(name, f"{without:.2f}", f"{with_meter:.2f}", f"{with_meter - without:.2f}")
    del held


def _measured(work: Callable[[], None]) -> None:
    meter = UsageMeter()
    work()
    meter.stop()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _nothing() -> None:
    pass


def _compute() -> None:
    for _ in range(LOOPS):
        pass


def _program() -> None:
    subprocess.run(["true"], check=True)


@contextmanager
def _alone() -> Iterator[None]:
    yield


@contextmanager
def _beside_processes(count: int = 4) -> Iterator[None]:
    processes = [subprocess.Popen(["sleep", "1000"]) for _ in range(count)]
    yield
    for process in processes:
        process.kill()
        process.wait()


@contextmanager
def _beside_threads(count: int = 64) -> Iterator[None]:
    ended = threading.Event()
    threads = [threading.Thread(target=ended.wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    with _beside_processes(1):
        yield
    ended.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
