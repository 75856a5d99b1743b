"""Compares counters with what the logs of runs add up to."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Sample = tuple[str, frozenset[tuple[str, str]]]
"""The name of a sample, such as `…_total` or `…_bucket`, and its labels."""
_OVERFLOW = ("otel_metric_overflow", "true")
_SUM = "_sum"
_BOUND = "le"
_TOLERANCE = 1e-9
"""Of sums of seconds: they are added up as nanoseconds, and divided."""


@dataclass(frozen=True, slots=True)
class CounterDifference:
    """A counter that is not between what the logs add up to at least and at most."""

    sample: str
    labels: tuple[tuple[str, str], ...]
    at_least: float
    at_most: float | None
    """None: other runs may have added to it."""
    actual: float

    @property
    def is_missing(self) -> bool:
        """Whether it is too small; otherwise it is too large."""
        return self.actual < self.at_least


def too_small(at_least: Mapping[Sample, float], actual: Mapping[Sample, float]) -> Iterator[CounterDifference]:
    """The counters that lack something of what the logs add up to; a counter that is not there is 0."""
    ours, theirs = _comparable(at_least, actual)
    for sample, value in sorted(ours.items(), key=_by_name):
        if _is_less(sample, theirs.get(sample, 0.0), value):
            yield _difference(sample, value, None, theirs.get(sample, 0.0))


def too_large(
    at_least: Mapping[Sample, float], at_most: Mapping[Sample, float], actual: Mapping[Sample, float]
) -> Iterator[CounterDifference]:
    """The counters that have more than the logs of all runs add up to.

    Args:
        at_least: what the executions that ended add up to.
        at_most: the same with those that have not ended, closed as abandoned.
        actual: what the counters read.
    """
    ours, theirs = _comparable(at_most, actual)
    least, _ = _comparable(at_least, actual)
    for sample, value in sorted(theirs.items(), key=_by_name):
        most = ours.get(sample, 0.0)
        if _is_less(sample, most, value):
            yield _difference(sample, least.get(sample, 0.0), most, value)


def _comparable(
    logs: Mapping[Sample, float], counters: Mapping[Sample, float]
) -> tuple[Mapping[Sample, float], Mapping[Sample, float]]:
    """Both, with the label sets added up of each name that has an overflow series: which points it has is unknown."""
    overflowed = {name for name, labels in counters if _OVERFLOW in labels}
    return (_added_up(logs, overflowed), _added_up(counters, overflowed)) if overflowed else (logs, counters)


def _added_up(samples: Mapping[Sample, float], names: set[str]) -> dict[Sample, float]:
    sums: dict[Sample, float] = defaultdict(float)
    for (name, labels), value in samples.items():
        kept = frozenset(label for label in labels if label[0] == _BOUND) if name in names else labels
        sums[name, kept] += value
    return sums


def _is_less(sample: Sample, left: float, right: float) -> bool:
    is_close = sample[0].endswith(_SUM) and math.isclose(left, right, rel_tol=_TOLERANCE)
    return left < right and not is_close


def _by_name(item: tuple[Sample, float]) -> tuple[str, list[tuple[str, str]]]:
    (name, labels), _ = item
    return name, sorted(labels)


def _difference(sample: Sample, at_least: float, at_most: float | None, actual: float) -> CounterDifference:
    name, labels = sample
    return CounterDifference(name, tuple(sorted(labels)), at_least, at_most, actual)
