"""Series that points add up to, in the memory of one writer: what is scraped, pushed, and kept between restarts."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.points import Labels, Point

_OVERFLOW: Labels = ((semconv.OVERFLOW, "true"),)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation with the trace that it comes from."""

    value: int | float
    at_ns: int
    trace_id: str
    span_id: str


@dataclass(slots=True)
class Series:
    """The state of one label set; a histogram's `value` is the sum of its points, `buckets` are not cumulative.

    Exemplars stand by the index of their bucket; that of a counter by 0.
    """

    value: int | float = 0
    at_ns: int = 0
    details: Labels = ()
    buckets: list[int] = field(default_factory=list)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many observations a histogram has."""
        return sum(self.buckets)

    def document(self) -> dict[str, Any]:
        """The state as JSON."""
        exemplars = {str(at): [e.value, e.at_ns, e.trace_id, e.span_id] for at, e in self.exemplars.items()}
        return {
            "value": self.value,
            "at_ns": self.at_ns,
            "details": self.details,
            "buckets": self.buckets,
            "exemplars": exemplars,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Series":
        """The state that `document` wrote."""
        details = tuple((name, value) for name, value in document["details"])
        exemplars = {int(at): Exemplar(*parts) for at, parts in document["exemplars"].items()}
        return cls(document["value"], document["at_ns"], details, list(document["buckets"]), exemplars)


Key = tuple[str, Labels]


class SeriesTable:
    """Adds up points; safe to be read by other threads.

    Beyond `max_series` label sets of one metric, points go to one with the label `otel.metric.overflow`, and are
    counted (OpenTelemetry specification, "Cardinality limits").
    """

    def __init__(self, max_series: int = 2000) -> None:
        self._max_series = max_series
        self._series: dict[str, dict[Labels, Series]] = {}
        self._changed: set[Key] = set()
        self._lock = threading.Lock()

    def add(self, points: Iterable[Point]) -> None:
        """Add points."""
        with self._lock:
            for point in points:
                self._add(point)

    def replace(self, metric: str, values: Mapping[Labels, float], at_ns: int) -> None:
        """Set a gauge's label sets to these, even if theirs are newer; its other label sets become 0."""
        with self._lock:
            before = dict.fromkeys(self._series.get(metric, ()), 0.0)
            for label_set, value in (before | dict(values)).items():
                labels, series = self._find(semconv.METRICS[metric], label_set)
                series.value, series.at_ns = value, at_ns
                self._changed.add((metric, labels))

    def restore(self, metric: str, labels: Labels, series: Series) -> None:
        """Put back a series that was kept."""
        self._series.setdefault(metric, {})[labels] = series

    def take_changed(self) -> list[tuple[Key, Series]]:
        """The series that changed since the last call."""
        with self._lock:
            changed = [((metric, labels), self._series[metric][labels]) for metric, labels in self._changed]
            self._changed.clear()
        return changed

    def snapshot(self) -> Iterator[tuple[semconv.Metric, list[tuple[Labels, Series]]]]:
        """Every metric that has series, in the order of `semconv.METRICS`, with copies of them."""
        with self._lock:
            copies = {
                metric: [(labels, _copy(series)) for labels, series in sorted(table.items())]
                for metric, table in self._series.items()
            }
        return ((metric, copies[name]) for name, metric in semconv.METRICS.items() if name in copies)

    def _add(self, point: Point) -> None:
        metric = semconv.METRICS[point.metric]
        labels, series = self._find(metric, point.labels)
        match metric.kind:
            case "counter":
                series.value += point.value
                if point.value:
                    _remember(series, 0, point)
            case "histogram":
                self._observe(metric, series, point)
            case "gauge" | "updowncounter" if point.at_ns >= series.at_ns:
                series.value, series.details = point.value, point.details
        series.at_ns = max(series.at_ns, point.at_ns)
        self._changed.add((metric.name, labels))

    def _find(self, metric: semconv.Metric, labels: Labels) -> tuple[Labels, Series]:
        table = self._series.setdefault(metric.name, {})
        if labels not in table and len(table) >= self._max_series:
            labels = _OVERFLOW
            self._add(Point(semconv.OVERFLOWED, (), 1))
        if labels not in table:
            table[labels] = Series(buckets=[0] * (len(metric.bounds) + 1) if metric.kind == "histogram" else [])
        return labels, table[labels]

    def _observe(self, metric: semconv.Metric, series: Series, point: Point) -> None:
        if not point.trace_id:  # a known label set: it begins at zero
            return
        bucket = bisect_left(metric.bounds, point.value, key=lambda bound: bound * metric.scale)
        series.buckets[bucket] += 1
        series.value += point.value
        _remember(series, bucket, point)


def _remember(series: Series, bucket: int, point: Point) -> None:
    before = series.exemplars.get(bucket)
    if point.trace_id and (before is None or point.at_ns >= before.at_ns):
        series.exemplars[bucket] = Exemplar(point.value, point.at_ns, point.trace_id.hex(), point.span_id.hex())


def _copy(series: Series) -> Series:
    return Series(series.value, series.at_ns, series.details, list(series.buckets), dict(series.exemplars))
