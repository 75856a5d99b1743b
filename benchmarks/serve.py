"""`serve`

A real `runlog-otel serve` over SQLite. First read: from its start until it has counted all runs of 50 steps. Poll and
scrape: among runs of one job, most of them copied inside the database with older times, so that this `serve` did not
read them; then 100 are added in one transaction, and the next poll tells its duration. A list page is the newest 50
runs.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.documents import document, job
from benchmarks.harness import Bench, Curve, Goal, say
from benchmarks.processes import COMMAND, environment
from benchmarks.stores import fill, multiply, store
from runlog_otel.stores.sql.history import RunHistory
from tests.peers.loopback import HOST, RefusedError, free_ports, request

STEPS = 50
CHANGED = 100
_HOUR_NS = 3600 * 10**9
_READ = "runlog_exporter_runs_read_total"
_LAST_POLL = "runlog_exporter_last_poll_timestamp_seconds"
_POLL_SECONDS = "runlog_exporter_poll_duration_seconds"


def measure(bench: Bench) -> None:
    """Measure it."""
    count = bench.size(2000, 10)
    url = f"sqlite:///{bench.folder}/first.db"
    fill(url, (document(number, STEPS) for number in range(count)))
    read = bench.in_turns({"first read": partial(_first_read, bench, url, count)}, 3, 60)["first read"]
    goal = Goal("ours", 20, is_least=True)
    bench.add(f"first read of {count:,} runs of {STEPS} steps", "thousand steps/s", read, goal=goal)
    sizes = (1_000, 10_000, 100_000, 1_000_000)[: bench.size(4, 1)]
    _measure_polls(bench, sizes)


def _first_read(bench: Bench, url: str, count: int) -> float:
    started = time.perf_counter()
    with _serving(bench.folder, url) as address:
        _wait(lambda: _metric(address, _READ) >= count)
        return count * STEPS / 1000 / (time.perf_counter() - started)


def _measure_polls(bench: Bench, sizes: tuple[int, ...]) -> None:
    url = f"sqlite:///{bench.folder}/many.db"
    fill(url, [job("first")])
    filled = store(url)
    history = RunHistory(filled.documents)
    lines: dict[str, dict[int, float]] = {"poll of 100 changed": {}, "scrape": {}, "list page": {}}
    there = 1
    with _serving(bench.folder, url) as address:
        _wait(lambda: _metric(address, _READ) >= 1)
        for size in sizes:
            say(f"  {size:,} runs")
            multiply(filled, "first", size - there, time.time_ns() - _HOUR_NS)
            cases: dict[str, Callable[[], float]] = {
                "poll of 100 changed": lambda: _poll_ms(address, partial(multiply, filled, "first", CHANGED)),
                "scrape": lambda: _milliseconds(lambda: request(f"http://{address}/metrics")),
                "list page": lambda: _milliseconds(history.page),
            }
            samples = bench.in_turns(cases, 5, 30)
            there = size + CHANGED * len(samples["scrape"])
            for name, line in lines.items():
                line[size] = median(samples[name])
    filled.close()
    for name in lines:
        goal = Goal("ours", 100) if name.startswith("poll") else None
        bench.add(f"{name}, among {size:,} runs", "ms", samples[name], goal=goal)
    bench.curves.append(Curve("runs", "Cost by the number of stored runs", "runs", "ms", lines))


def _poll_ms(address: str, change: Callable[[int], None]) -> float:
    """The duration of the first poll after a change, which is made right after a poll."""
    before = _metric(address, _LAST_POLL)
    _wait(lambda: _metric(address, _LAST_POLL) > before)
    read, before = _metric(address, _READ), _metric(address, _LAST_POLL)
    change(time.time_ns())
    _wait(lambda: _metric(address, _READ) >= read + CHANGED and _metric(address, _LAST_POLL) > before)
    return 1000 * _metric(address, _POLL_SECONDS)


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


@contextmanager
def _serving(folder: Path, url: str) -> Iterator[str]:
    address = f"{HOST}:{free_ports(1)[0]}"
    command = [COMMAND, "serve", "--listen", address, "--interval", "1s", "--resend", "none", "--source", url]
    state = folder / "serve.db"
    state.unlink(missing_ok=True)
    with (folder / "serve.out").open("wb") as output:
        process = subprocess.Popen(
            [*command, "--state", str(state)], cwd=folder, env=environment({}), stdout=output, stderr=output
        )
    try:
        yield address
    finally:
        process.kill()
        process.wait()


def _metric(address: str, name: str) -> float:
    """The sum of a metric's series; 0 while it is not served."""
    try:
        lines = request(f"http://{address}/metrics").decode().splitlines()
    except (OSError, RefusedError):
        return 0.0
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def _wait(is_done: Callable[[], bool], timeout_seconds: float = 300) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise SystemExit("serve did not get there in time")
        time.sleep(0.05)  # a scrape takes the time of the poll that it asks for
