"""Series as OTLP metrics say what the series say."""

import sys

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.sdk.metrics.export import AggregationTemporality

from runlog_otel.core import semconv
from runlog_otel.core.model import Status
from runlog_otel.core.points import Point, known_points
from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.exporters.otlp.metrics import CUMULATIVE, DELTA, metrics_from_series, push_delta
from runlog_otel.settings import Settings
from tests.core.logs import attempt, points_from_run, run, task, verdict
from tests.exporters.spans import backend

LOG = run(task("a", attempt(1, 3, ok=False)), verdict("fail", 4), status=Status.FAIL)


def metrics(temporality: AggregationTemporality) -> dict[str, pb.Metric]:
    """The metrics as the stock exporters encode them, by name."""
    table = SeriesTable()
    table.add(known_points(LOG))
    for execution in points_from_run(LOG):
        table.add(execution.points)
    request = encode_metrics(metrics_from_series({"service.name": "x"}, table, 7, 9, temporality))
    ((scope,),) = [list(resource.scope_metrics) for resource in request.resource_metrics]
    return {metric.name: metric for metric in scope.metrics}


def test_names_units_and_kinds_are_those_of_the_list() -> None:
    """Histograms and counters have the temporality that was asked for; active runs are a sum that may fall."""
    told = metrics(DELTA)
    for name, metric in told.items():
        known = semconv.METRICS[name]
        kind = metric.WhichOneof("data")
        assert kind == {"counter": "sum", "updowncounter": "sum"}.get(known.kind, known.kind)
        assert (metric.unit, metric.description) == (known.unit, known.help)
    assert told[semconv.RUN_DURATION].histogram.aggregation_temporality == pb.AGGREGATION_TEMPORALITY_DELTA
    assert told[semconv.RUN_ERRORS].sum.is_monotonic
    assert not told[semconv.RUNS_ACTIVE].sum.is_monotonic


def test_a_histogram_tells_buckets_sum_and_trace() -> None:
    """In seconds, as the convention says; an exemplar holds the ids as bytes."""
    points = metrics(CUMULATIVE)[semconv.RUN_DURATION].histogram.data_points
    (point,) = [point for point in points if point.count]
    (execution,) = points_from_run(LOG)
    assert (point.count, point.sum, list(point.explicit_bounds)) == (1, 4.000000001, list(semconv.DURATION_BUCKETS))
    assert sum(point.bucket_counts) == 1
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert (point.start_time_unix_nano, point.time_unix_nano) == (7, 9)
    assert [exemplar.trace_id for exemplar in point.exemplars] == [execution.execution.trace_id]


def test_numbers_beyond_the_wire_s_are_clamped() -> None:
    """Times before 1970 and after 2554, and whole numbers larger than any float."""
    table = SeriesTable()
    for metric in (semconv.RUN_DURATION, semconv.RUN_ERRORS):
        table.add([Point(metric, (), 10**400, at_ns=2**70, trace_id=b"t" * 16, span_id=b"s" * 8)])
    request = encode_metrics(metrics_from_series({}, table, -5, 2**64))
    ((scope,),) = [list(resource.scope_metrics) for resource in request.resource_metrics]
    duration, errors = scope.metrics
    (histogram,), (number,) = duration.histogram.data_points, errors.sum.data_points
    largest = sys.float_info.max
    assert (histogram.start_time_unix_nano, histogram.time_unix_nano, histogram.sum) == (0, 2**64 - 1, largest / 10**9)
    assert histogram.exemplars[0].time_unix_nano == 2**64 - 1
    assert (number.start_time_unix_nano, number.as_double, number.exemplars[0].as_double) == (0, largest, largest)


def test_any_success_is_delivery_of_metrics() -> None:
    """As of spans; and so is a page of a web server none."""
    (execution,) = points_from_run(LOG)
    with backend() as server:
        settings = Settings.load({"endpoint": server.url}, {})
        server.status = 202
        push_delta(settings, execution, 5)
        server.status, server.body, server.headers = 200, b"<html>", {"Content-Type": "text/html"}
        with pytest.raises(DeliveryError, match="content type 'text/html'"):
            push_delta(settings, execution, 5)
        server.body = b'{"partialSuccess": {"rejectedDataPoints": 1, "errorMessage": "no"}}'
        with pytest.raises(DeliveryError, match="1 data points were rejected: no"):
            push_delta(settings, execution, 5)
        assert {path for path, _, _ in server.requests} == {"/v1/metrics"}
