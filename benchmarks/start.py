"""The start of a command

`runlog-otel` beside `python -c pass`, whole processes in turns, over a SQLite store of ten small runs.
"""

import sys
from functools import partial

from benchmarks.documents import document
from benchmarks.harness import Bench, Goal
from benchmarks.processes import COMMAND, run
from benchmarks.stores import fill


def measure(bench: Bench) -> None:
    """Measure it."""
    url = f"sqlite:///{bench.folder}/runs.db"
    fill(url, (document(number, 3) for number in range(10)))
    python = "python -c pass"
    commands = {
        "show": (COMMAND, "show", "run-1", "--source", url),
        "runs": (COMMAND, "runs", "--source", url),
        "trace-id": (COMMAND, "trace-id", "run-1"),
        "--help": (COMMAND, "--help"),
        python: (sys.executable, "-c", "pass"),
    }
    cases = {name: partial(_milliseconds, bench, command) for name, command in commands.items()}
    samples = bench.in_turns(cases, 15, 40)
    for name in commands.keys() - {python}:
        bench.add(f"runlog-otel {name}", "ms", samples[name], samples[python], python, goal=Goal("difference", 150))
    bench.figures.sort(key=lambda figure: figure.what)


def _milliseconds(bench: Bench, command: tuple[str, ...]) -> float:
    return 1000 * run(*command, folder=bench.folder).seconds
