"""Export of past runs

`runlog-otel export --all` of 1,000 runs of 50 steps, from SQLite to an OTLP/HTTP receiver on the same machine that
acknowledges every request. The stock path maps the same documents with the same code, from JSON files,
and sends spans of the SDK by the stock exporter in batches of 512. Both are whole processes; two processes are
compared with one.
"""

import json
import sys
from functools import partial
from statistics import median

from benchmarks.documents import document, spans_of
from benchmarks.harness import ROOT, Bench, Goal
from benchmarks.processes import COMMAND, Receiver, Usage, acknowledging, run
from benchmarks.stores import fill

STEPS = 50
_ONE, _TWO, _STOCK = "one process", "two processes", "stock path"


def measure(bench: Bench) -> None:
    """Measure it."""
    count = bench.size(1000, 4)
    logs, url = bench.folder / "logs", f"sqlite:///{bench.folder}/runs.db"
    logs.mkdir()
    for number in range(count):
        (logs / f"run-{number:04}.json").write_text(json.dumps(document(number, STEPS)), encoding="utf-8")
    fill(url, (document(number, STEPS) for number in range(count)))
    spans = count * spans_of(STEPS)
    with acknowledging() as receiver:
        export = (COMMAND, "export", "--all", "--source", url, "--endpoint", receiver.url)
        commands = {_ONE: export, _STOCK: (sys.executable, "-m", "benchmarks.stock", receiver.url, str(logs))}
        if "--jobs" in run(COMMAND, "export", "--help", folder=bench.folder, COLUMNS="200").output:
            commands |= {_ONE: (*export, "--jobs", "1"), _TWO: (*export, "--jobs", "2")}
        else:
            bench.notes.append("This version of `export` has no `--jobs`.")
        exports = {name: _Export(bench, receiver, command) for name, command in commands.items()}
        speed = bench.in_turns({name: partial(one.speed, spans) for name, one in exports.items()}, 5, 180)
    what, goal = f"export of {count:,} runs of {STEPS} steps", Goal("ratio", 5, is_least=True)
    bench.add(f"{what}, one process", "spans/s", speed[_ONE], speed[_STOCK], _STOCK, goal=goal)
    if _TWO in speed:
        goal = Goal("ratio", 1.8, is_least=True)
        bench.add(f"{what}, two processes", "spans/s", speed[_TWO], speed[_ONE], _ONE, goal=goal)
    ours, stock = exports[_ONE], exports[_STOCK]
    goal = Goal("ratio", 1.05)
    bench.add(
        "requests of this export", "requests", (median(ours.requests),), (median(stock.requests),), _STOCK, goal=goal
    )
    bench.add("memory of this export, at most", "MiB", (max(ours.peak_mib),), (max(stock.peak_mib),), _STOCK)


class _Export:
    """A command that exports everything, and what each call of it took."""

    def __init__(self, bench: Bench, receiver: Receiver, command: tuple[str, ...]) -> None:
        self._bench = bench
        self._receiver = receiver
        self._command = command
        self.requests: list[int] = []
        self.peak_mib: list[float] = []

    def speed(self, spans: int) -> float:
        """Spans per second."""
        before = len(self._receiver.requests)
        usage: Usage = run(*self._command, folder=self._bench.folder, PYTHONPATH=str(ROOT))
        self.requests.append(len(self._receiver.requests) - before)
        self.peak_mib.append(usage.peak_mib)
        return spans / usage.seconds
