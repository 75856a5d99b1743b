"""Series that points add up to, in the memory of one writer: what is scraped, pushed, and kept between restarts."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from runlog_otel.core import semconv
from runlog_otel.core.points import Labels, Point

_OVERFLOW: Labels = ((semconv.OVERFLOW, "true"),)


class Exemplar(NamedTuple):
    """One observation with the trace that it comes from."""

    value: int | float
    at_ns: int
    trace_id: bytes
    span_id: bytes


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
    is_changed: bool = field(default=False, compare=False)
    """Whether it is in the table's list of changes: half the time of adding a point went into a set of keys."""

    @property
    def count(self) -> int:
        """How many observations a histogram has."""
        return sum(self.buckets)

    def document(self) -> dict[str, Any]:
        """The state as JSON."""
        exemplars = {
            str(at): [value, at_ns, trace_id.hex(), span_id.hex()]
            for at, (value, at_ns, trace_id, span_id) in self.exemplars.items()
        }
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
        exemplars = {
            int(at): Exemplar(value, at_ns, bytes.fromhex(trace_id), bytes.fromhex(span_id))
            for at, (value, at_ns, trace_id, span_id) in document["exemplars"].items()
        }
        return cls(document["value"], document["at_ns"], details, list(document["buckets"]), exemplars)


Key = tuple[str, Labels]


@cache
def _bounds(metric: str) -> list[float]:
    """The bounds of buckets as points are observed: durations in nanoseconds."""
    described = semconv.METRICS[metric]
    return [bound * described.scale for bound in described.bounds]


class SeriesTable:
    """Adds up points; safe to be read by other threads.

    Beyond `max_series` label sets of one metric, points go to one with the label `otel.metric.overflow`, and are
    counted (OpenTelemetry specification, "Cardinality limits").
    """

    def __init__(self, max_series: int = 2000) -> None:
        self._max_series = max_series
        self._series: dict[str, dict[Labels, Series]] = {}
        self._changed: list[tuple[Key, Series]] = []
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
                series = self._changing(metric, label_set)
                series.value, series.at_ns = value, at_ns

    def restore(self, metric: str, labels: Labels, series: Series) -> None:
        """Put back a series that was kept."""
        self._series.setdefault(metric, {})[labels] = series

    def take_changed(self) -> list[tuple[Key, Series]]:
        """The series that changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, []
            for _, series in changed:
                series.is_changed = False
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
        series = self._changing(point.metric, point.labels)
        match semconv.METRICS[point.metric].kind:
            case "counter":
                series.value += point.value
                if point.value:
                    _remember(series, 0, point)
            case "histogram" if point.trace_id:  # else a known label set: it begins at zero
                bucket = bisect_left(_bounds(point.metric), point.value)
                series.buckets[bucket] += 1
                series.value += point.value
                _remember(series, bucket, point)
            case "gauge" | "updowncounter" if point.at_ns >= series.at_ns:
                series.value, series.details = point.value, point.details
        series.at_ns = max(series.at_ns, point.at_ns)

    def _changing(self, metric: str, labels: Labels) -> Series:
        """The series of a label set, or the one for those beyond the limit, which is about to change."""
        table = self._series.setdefault(metric, {})
        series = table.get(labels)
        if series is None:
            if len(table) >= self._max_series:
                labels = _OVERFLOW
                self._add(Point(semconv.OVERFLOWED, (), 1))
            if (series := table.get(labels)) is None:
                buckets = [0] * (len(_bounds(metric)) + 1) if semconv.METRICS[metric].kind == "histogram" else []
                series = table[labels] = Series(buckets=buckets)
        if not series.is_changed:
            series.is_changed = True
            self._changed.append(((metric, labels), series))
        return series


def _remember(series: Series, bucket: int, point: Point) -> None:
    before = series.exemplars.get(bucket)
    if point.trace_id and (before is None or point.at_ns >= before.at_ns):
        series.exemplars[bucket] = Exemplar(point.value, point.at_ns, point.trace_id, point.span_id)


def _copy(series: Series) -> Series:
    return Series(series.value, series.at_ns, series.details, list(series.buckets), dict(series.exemplars))
