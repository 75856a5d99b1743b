"""Dots over runs, as coordinates that a template draws. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

LARGE, MEDIUM, SMALL = (1100, 150), (540, 64), (260, 34)
"""Widths and heights, in pixels."""
_MARGIN = 8
_MAX_STEP = 40
_LABELS = 90
"""The room for the labels of lines, at the right."""
_LINE_HEIGHT = 13


class Dot(NamedTuple):
    """A run in a chart."""

    x: int
    y: int
    kind: str
    """The class of its colour."""
    url: str
    """Empty if it leads nowhere."""
    title: str


class Rule(NamedTuple):
    """A line at a value."""

    y: int
    label_y: int
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
    right: int
    """Where lines end, and their labels begin."""
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

    right = width - _MARGIN - (_LABELS if rules else 0)
    step = min(_MAX_STEP, (right - _MARGIN) / max(1, len(shown) - 1))
    left = right - step * (len(shown) - 1)  # the newest is at the right end
    dots = [Dot(round(left + at * step), y(v.number), v.kind, v.url, v.title) for at, v in enumerate(shown)]
    return Chart(label, tuple(dots), _rules(rules, y), right + _MARGIN, width, height, 3 if size == SMALL else 4)


def _rules(rules: Iterable[tuple[float, str]], y: Callable[[float], int]) -> tuple[Rule, ...]:
    """The lines from the lowest up; a label that would cover the one below stands higher."""
    lines: list[Rule] = []
    for number, text in sorted(rules):
        at = y(number)
        label_at = min(at, lines[-1].label_y - _LINE_HEIGHT) if lines else at
        lines.append(Rule(at, label_at, text))
    return tuple(lines)
