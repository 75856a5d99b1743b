"""What the benchmarks share: medians, and tables in Markdown."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def median(call: Callable[[], Any], repeats: int) -> float:
    """The median duration of some calls, in seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def head(*cells: str) -> None:
    """The first two lines of a table."""
    row(*cells)
    row(*["---"] * len(cells))


def row(*cells: str) -> None:
    """A line of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)
