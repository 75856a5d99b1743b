"""Draws how costs grow: lines in an SVG, both axes logarithmic."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 190, 50, 60
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def svg(curve: Mapping[str, Any]) -> str:
    """The picture of a curve, as the results file has it."""
    points = [point for line in curve["lines"].values() for point in line]
    x = _Axis([size for size, _ in points], _LEFT, _WIDTH - _RIGHT)
    y = _Axis([cost for _, cost in points], _HEIGHT - _BOTTOM, _TOP)
    middle = (_LEFT + _WIDTH - _RIGHT) // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"',
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="28" font-size="16">{escape(curve["title"])}</text>',
        *_grid(x, y),
        f'<text x="{middle}" y="{_HEIGHT - 16}" text-anchor="middle">{escape(curve["x"])}</text>',
        f'<text x="16" y="{_TOP - 8}">{escape(curve["y"])}</text>',
    ]
    for number, (name, line) in enumerate(curve["lines"].items()):
        parts += _line(name, line, x, y, number)
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """Places numbers between two ends of an axis, by their logarithm, in whole decades."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.first = floor(log10(min(values)))
        self.last = max(self.first + 1, ceil(log10(max(values))))
        self._start = start
        self._scale = (end - start) / (self.last - self.first)

    def at(self, value: float) -> float:
        """Where a number is."""
        return self._start + (log10(value) - self.first) * self._scale

    @property
    def decades(self) -> Iterator[tuple[float, str]]:
        """Where each power of ten is, and its label."""
        for power in range(self.first, self.last + 1):
            yield self.at(10.0**power), f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def _grid(x: _Axis, y: _Axis) -> Iterator[str]:
    left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM
    for at, label in x.decades:
        yield f'<path d="M{at:.1f} {bottom}V{top}" stroke="#ddd"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{label}</text>'
    for at, label in y.decades:
        yield f'<path d="M{left} {at:.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'


def _line(name: str, line: Sequence[Sequence[float]], x: _Axis, y: _Axis, number: int) -> Iterator[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    at = [(f"{x.at(size):.1f}", f"{y.at(cost):.1f}") for size, cost in line]
    yield f'<polyline points="{" ".join(map(",".join, at))}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield from (f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>' for cx, cy in at)
    yield f'<text x="{_WIDTH - _RIGHT + 12}" y="{_TOP + 20 * number + 5}" fill="{colour}">{escape(name)}</text>'
