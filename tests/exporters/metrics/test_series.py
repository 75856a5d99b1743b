"""Points add up to series; many label sets are bounded."""

import json

import pytest
from opentelemetry.sdk.metrics.export import Histogram

from runlog_otel.core import semconv
from runlog_otel.core.points import Labels, Point
from runlog_otel.exporters.metrics.prometheus import SeriesCollector
from runlog_otel.exporters.metrics.series import Series, SeriesTable
from runlog_otel.exporters.otlp.metrics import metrics_from_series


def failed(step: str, value: int = 1) -> Point:
    labels: Labels = (("cicd.pipeline.name", "train"), ("cicd.pipeline.task.name", step))
    return Point(semconv.STEP_RETRIES, labels, value, 1, (), b"t" * 16, b"s" * 8)


def values(table: SeriesTable, name: str) -> dict[Labels, int | float]:
    return {labels: series.value for metric, rows in table.snapshot() if metric.name == name for labels, series in rows}


def test_label_sets_beyond_the_bound_share_one() -> None:
    """Nothing is lost from the total, and the overflow is counted."""
    table = SeriesTable(max_series=2)
    table.add(failed(step) for step in ("a", "b", "c", "d", "a"))
    assert list(values(table, semconv.STEP_RETRIES).values()) == [2, 1, 2]
    assert (("otel.metric.overflow", "true"),) in values(table, semconv.STEP_RETRIES)
    assert values(table, semconv.OVERFLOWED) == {(): 2}


def test_an_older_value_of_a_gauge_does_not_win() -> None:
    """Runs are read in the order of their last write, which need not be that of their ends."""
    table = SeriesTable()
    table.add(Point(semconv.LAST_SUCCESS, (), value, value) for value in (5, 9, 7))
    assert values(table, semconv.LAST_SUCCESS) == {(): 9}


def test_label_sets_of_a_gauge_that_are_gone_are_zero() -> None:
    """A pipeline without an active run has zero of them: a series that ends says nothing."""
    table = SeriesTable()
    table.replace(semconv.RUNS_ACTIVE, {(("cicd.pipeline.name", "a"),): 2.0}, 1)
    table.replace(semconv.RUNS_ACTIVE, {(("cicd.pipeline.name", "b"),): 1.0}, 2)
    assert list(values(table, semconv.RUNS_ACTIVE).values()) == [0.0, 1.0]


def test_what_the_one_writer_sees_now_wins_after_its_clock_was_put_back() -> None:
    """Active runs and the last look would stay as they were until the clock had caught up."""
    table = SeriesTable()
    for at_ns, value in ((9, 2.0), (5, 1.0)):
        table.replace(semconv.RUNS_ACTIVE, {(): value}, at_ns)
    assert values(table, semconv.RUNS_ACTIVE) == {(): 1.0}


def test_what_is_kept_is_what_was() -> None:
    """A series that went through JSON adds up as before: buckets, exemplars, details."""
    table = SeriesTable()
    details = (("error.type", "ValueError"),)
    table.add([Point(semconv.RUN_DURATION, (), 3_000_000_001, 5, (), b"t" * 16, b"s" * 8)])
    table.add([Point(semconv.STEP_LAST_FAILURE, (), 1.5, 5, details, b"t" * 16, b"s" * 8)])
    for _, series in table.take_changed():
        assert Series.from_document(json.loads(json.dumps(series.document()))) == series
    assert table.take_changed() == []


def test_a_histogram_of_bytes_has_bounds_and_sum_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its unit and its bounds are its own: alike in the text of a scrape and in what is pushed."""
    metric = semconv.Metric("runlog.catalog.size", "histogram", "By", (), "Size.", bounds=(1_000, 1_000_000))
    monkeypatch.setitem(semconv.METRICS, metric.name, metric)
    table = SeriesTable()
    table.add(Point(metric.name, (), size, 1, (), b"t" * 16, b"s" * 8) for size in (1_000, 1_001, 5_000_000))
    (family,) = SeriesCollector(table).collect()
    assert [sample.value for sample in family.samples] == [1, 2, 3, 3, 5_002_001]
    assert family.samples[0].exemplar is not None
    assert family.samples[0].exemplar.value == 1_000
    ((scope,),) = [resource.scope_metrics for resource in metrics_from_series({}, table, 1, 2).resource_metrics]
    data = scope.metrics[0].data
    assert isinstance(data, Histogram)
    (point,) = data.data_points
    assert (point.sum, point.bucket_counts, point.explicit_bounds) == (5_002_001, [1, 1, 1], metric.bounds)
