"""The counters of `serve`: what they must read for the runs of a store, and what Prometheus has of them.

Only counters and histograms of runs are compared. A gauge has one value for many runs, and the figures of `serve` about
itself are not in any log.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from runlog_otel.core import semconv
from runlog_otel.core.counter_diff import Sample
from runlog_otel.core.model import Run
from runlog_otel.core.points import Point, points_from_trace
from runlog_otel.core.trace import Trace
from runlog_otel.errors import BackendError, ConfigError
from runlog_otel.exporters.metrics.prometheus import SeriesCollector
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.settings import Settings
from runlog_otel.verification.query_client import QueryClient

_KINDS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
_COMPARED = {
    name: metric
    for name, metric in semconv.METRICS.items()
    if metric.kind in _KINDS and semconv.PIPELINE_NAME in metric.labels
}
_BOUND = "le"
_LABELS = {name.replace(".", "_") for metric in _COMPARED.values() for name in metric.labels}
_LABELS |= {_BOUND, semconv.OVERFLOW.replace(".", "_")}
"""Labels of other names come from Prometheus, and say who was scraped."""
_UNLIMITED = 2**62


class RunTotals:
    """What the counters of a `serve` read that counts the runs that are added here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ended = SeriesTable(_UNLIMITED)
        self._all = SeriesTable(_UNLIMITED)

    def add(self, run: Run, traces: Iterable[Trace], closed: Iterable[Trace]) -> None:
        """Count a run.

        Args:
            run: the log.
            traces: its executions, as they are.
            closed: the same, with those closed as abandoned that have not ended: `serve` may have done so.
        """
        self._ended.add(self._points(run, traces))
        self._all.add(self._points(run, closed))

    def at_least(self) -> dict[Sample, float]:
        """What the executions that ended add up to."""
        return dict(_samples(self._ended))

    def at_most(self) -> dict[Sample, float]:
        """The same with those that have not ended."""
        return dict(_samples(self._all))

    def _points(self, run: Run, traces: Iterable[Trace]) -> Iterator[Point]:
        metrics = self._settings.metrics
        for trace in traces:
            if trace.is_complete:
                points = points_from_trace(run, trace, by_tag=metrics.by_tag).points
                yield from (point for point in points if point.metric in _COMPARED)


def _samples(table: SeriesTable) -> Iterator[tuple[Sample, float]]:
    """The samples that `serve` would show, without labels that are empty."""
    for family in SeriesCollector(table).collect():
        for sample in family.samples:
            yield (sample.name, _labels(sample.labels)), sample.value


def _labels(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Those that `serve` gives; bounds as floats are written: servers write them in several ways."""
    own = ((name, str(float(value)) if name == _BOUND else value) for name, value in labels.items())
    return frozenset((name, value) for name, value in own if value and name in _LABELS)


class Prometheus:
    """The query API of Prometheus, or of a server that is compatible.

    Source: Prometheus' documentation, "HTTP API", "Instant queries".
    """

    def __init__(self, client: QueryClient, matcher: str = "") -> None:
        """`matcher` selects one `serve` where several are scraped, in PromQL: `instance="a:9464"`."""
        self.client = client
        self._matcher = matcher

    def check(self) -> None:
        """Ask whether the server is one; raises ConfigError if not, BackendError if it does not answer."""
        if _result_of(self.client.document(_query("vector(1)"))) is None:
            raise self.client.no_backend("/api/v1/query", "Prometheus, as http://HOST:9090 is")

    def counters(self) -> dict[Sample, float]:
        """What it has now of the counters and histograms of runs.

        Raises:
            ConfigError: it scrapes several `serve`, and the matcher does not select one.
            BackendError: it does not answer as it should.
        """
        samples: dict[Sample, float] = {}
        scraped: dict[frozenset[tuple[str, str]], None] = {}
        for metric in _COMPARED.values():
            for suffix in _KINDS[metric.kind]:
                name = f"{metric.prometheus_name}{suffix}"
                for labels, value in self._series(name):
                    scraped[frozenset((n, v) for n, v in labels.items() if n not in _LABELS and n != "__name__")] = None
                    samples[name, _labels(labels)] = value
        if len(scraped) > 1:
            shown = " and ".join(json.dumps(dict(sorted(labels)), ensure_ascii=False) for labels in list(scraped)[:2])
            raise ConfigError(
                self.client.option,
                f"has the counters of several `serve`: {shown}; select one, as --matcher 'instance=\"HOST:PORT\"'",
            )
        return samples

    def _series(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        matcher = f",{self._matcher}" if self._matcher else ""
        rows = _result_of(self.client.document(_query(f'{{__name__="{name}"{matcher}}}')))
        try:
            yield from ((row["metric"], float(row["value"][1])) for row in rows or {})
        except (KeyError, IndexError, TypeError, ValueError):
            rows = None
        if rows is None:
            raise BackendError(self.client.where, f"it answers no vector to the query of {name}")


def _query(expression: str) -> str:
    return f"/api/v1/query?query={quote(expression)}"


def _result_of(document: Any) -> list[Any] | None:
    """The vector in an answer; None if it has none."""
    try:
        result = document["data"]["result"]
    except (KeyError, TypeError):
        return None
    return result if isinstance(result, list) else None
