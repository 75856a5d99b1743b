"""Dots over runs, as coordinates that a template draws. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

LARGE, SMALL = (1100, 150), (260, 34)
"""Widths and heights, in pixels."""
_MARGIN = 8
_MAX_STEP = 40


class Dot(NamedTuple):
    """A run in a chart."""

    x: int
    y: int
    kind: str
    """The class of its colour."""
    url: str
    title: str


class Rule(NamedTuple):
    """A line at a value."""

    y: int
    label: str


class Value(NamedTuple):
    """What a dot stands for."""

    number: float
    kind: str
    url: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Dots from the oldest run on the left to the newest on the right."""

    label: str
    """What it shows, for a screen reader."""
    dots: tuple[Dot, ...]
    rules: tuple[Rule, ...]
    width: int
    height: int
    radius: int


def chart(
    label: str,
    values: Sequence[Value],
    rules: Iterable[tuple[float, str]] = (),
    *,
    size: tuple[int, int] = SMALL,
    begins_at_zero: bool = False,
) -> Chart:
    """A chart of some values, in their order; those that are no finite number are left out.

    Args:
        label: what it shows.
        values: the oldest first.
        rules: values that get a line, with its label.
        size: width and height.
        begins_at_zero: whether the lowest line is zero; else it is the smallest value.
    """
    width, height = size
    shown = [value for value in values if isfinite(value.number)]
    rules = list(rules)
    numbers = [*(value.number for value in shown), *(number for number, _ in rules), *([0.0] if begins_at_zero else [])]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)

    def y(number: float) -> int:
        share = (number - low) / (high - low) if high > low else 0.5
        return round(height - _MARGIN - share * (height - 2 * _MARGIN))

    step = min(_MAX_STEP, (width - 2 * _MARGIN) / max(1, len(shown) - 1))
    left = width - _MARGIN - step * (len(shown) - 1)  # the newest is at the right end
    dots = [Dot(round(left + at * step), y(v.number), v.kind, v.url, v.title) for at, v in enumerate(shown)]
    lines = tuple(Rule(y(number), text) for number, text in rules)
    return Chart(label, tuple(dots), lines, width, height, 3 if size == SMALL else 4)
