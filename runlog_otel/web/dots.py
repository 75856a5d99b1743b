"""The durations of a pipeline's runs as dots, in the order in which they began. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.web import formats

MAX_DOTS = 40
WIDTH, HEIGHT = 400, 56
_EDGE = 6


@dataclass(frozen=True, slots=True)
class Dot:
    """A run; `x` and `y` in the units of the chart."""

    x: float
    y: float
    colour: str
    run_id: str
    title: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Dots:
    """The latest runs, and the median duration of those that succeeded, with its height in the chart."""

    dots: tuple[Dot, ...]
    median_ns: int | None
    median_y: float | None

    @property
    def title(self) -> str:
        """What the chart shows, for those who do not see it."""
        failed = sum(dot.colour == "bad" for dot in self.dots)
        usual = f", median {formats.duration(self.median_ns)}" if self.median_ns is not None else ""
        return f"Durations of {len(self.dots)} runs, {failed} of them failed{usual}"


def dots(records: Iterable[ExecutionRecord], run_id: str) -> Dots:
    """The chart of the last execution of each run; `run_id` is the one that is looked at.

    It is among the dots, even if more runs began after it.
    """
    last = {record.run_id: record for record in sorted(records, key=lambda record: record.execution)}
    runs = sorted(last.values(), key=lambda record: (record.start_ns, record.run_id))
    at = next((index for index, record in enumerate(runs) if record.run_id == run_id), len(runs))
    shown = runs[max(0, min(at - MAX_DOTS // 2, len(runs) - MAX_DOTS)) :][:MAX_DOTS]
    longest = max((record.duration_ns for record in shown), default=0) or 1
    usual = [record.duration_ns for record in shown if record.has_succeeded]
    middle = round(median(usual)) if usual else None
    step = (WIDTH - 2 * _EDGE) / max(1, len(shown) - 1)
    return Dots(
        tuple(_dot(record, _EDGE + index * step, longest, run_id) for index, record in enumerate(shown)),
        middle,
        None if middle is None else _height(middle, longest),
    )


def _dot(record: ExecutionRecord, x: float, longest: int, run_id: str) -> Dot:
    colour = "ok" if record.has_succeeded else "bad" if record.is_complete else "run"
    result = record.result if record.is_complete else "running"
    title = f"{formats.short(record.run_id, 60)}: {result}, {formats.duration(record.duration_ns)}"
    return Dot(round(x, 1), _height(record.duration_ns, longest), colour, record.run_id, title, record.run_id == run_id)


def _height(duration_ns: int, longest: int) -> float:
    return round(HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * duration_ns / longest, 1)
