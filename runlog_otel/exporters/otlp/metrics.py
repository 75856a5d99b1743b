"""Series as OTLP metrics: cumulative from the one writer that keeps them, or the delta of one execution."""

import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from runlog_otel.core import semconv
from runlog_otel.core.points import SECOND_NS, ExecutionPoints, Labels
from runlog_otel.core.semconv import SCHEMA_URL, SCOPE_NAME, SCOPE_VERSION
from runlog_otel.exporters.metrics.series import Exemplar, Series, SeriesTable
from runlog_otel.exporters.otlp.encode import attributes_of, double, fixed64
from runlog_otel.exporters.otlp.signals import send_beside_spans
from runlog_otel.settings import Settings

Temporality: TypeAlias = "pb.AggregationTemporality.ValueType"
CUMULATIVE: Temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA: Temporality = pb.AGGREGATION_TEMPORALITY_DELTA


def push_cumulative(settings: Settings, table: SeriesTable, since_ns: int) -> None:
    """Send all series as they are now; `since_ns` is when counting began.

    Raises:
        ConfigError: the endpoint takes spans only.
        DeliveryError: not all points were acknowledged.
    """
    resource = settings.resource_attributes("runlog-otel")
    _send(settings, request_from_series(resource, table, since_ns, time.time_ns()), settings.timeout_seconds)


def push_delta(settings: Settings, execution: ExecutionPoints, timeout_seconds: float) -> None:
    """Send what one execution adds, once: an answer that is lost would be counted twice if it were sent again.

    Raises:
        ConfigError: the endpoint takes spans only.
        DeliveryError: not all points were acknowledged.
    """
    table = SeriesTable(settings.metrics.max_series)
    table.add(execution.points)
    # The shortest window, just now: what turns deltas into totals drops those whose windows overlap.
    now_ns = time.time_ns()
    resource = settings.resource_attributes(execution.execution.resource_pipeline())
    _send(settings, request_from_series(resource, table, now_ns - 1, now_ns, DELTA), timeout_seconds)


def request_from_series(
    resource: Mapping[str, str], table: SeriesTable, since_ns: int, now_ns: int, temporality: Temporality = CUMULATIVE
) -> ExportMetricsServiceRequest:
    """One OTLP export request (opentelemetry-proto, collector/metrics/v1)."""
    metrics = [_metric(metric, rows, since_ns, now_ns, temporality) for metric, rows in table.snapshot()]
    scope = pb.ScopeMetrics(
        scope=InstrumentationScope(name=SCOPE_NAME, version=SCOPE_VERSION), metrics=metrics, schema_url=SCHEMA_URL
    )
    return ExportMetricsServiceRequest(
        resource_metrics=[
            pb.ResourceMetrics(
                resource=Resource(attributes=attributes_of(resource)), scope_metrics=[scope], schema_url=SCHEMA_URL
            )
        ]
    )


def _send(settings: Settings, request: ExportMetricsServiceRequest, timeout_seconds: float) -> None:
    def stub() -> object:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub

        return MetricsServiceStub

    send_beside_spans(
        settings, "metrics", request, ExportMetricsServiceResponse(), stub=stub, timeout_seconds=timeout_seconds
    )


def _metric(
    metric: semconv.Metric, rows: Sequence[tuple[Labels, Series]], since_ns: int, now_ns: int, temporality: Temporality
) -> pb.Metric:
    own = pb.Metric(name=metric.name, unit=metric.unit, description=metric.help)
    match metric.kind:
        case "histogram":
            points = [_histogram_point(labels, series, since_ns, now_ns) for labels, series in rows]
            own.histogram.CopyFrom(pb.Histogram(data_points=points, aggregation_temporality=temporality))
        case "counter":
            numbers = [_number(labels, series, since_ns, now_ns) for labels, series in rows]
            own.sum.CopyFrom(pb.Sum(data_points=numbers, aggregation_temporality=temporality, is_monotonic=True))
        case "updowncounter":
            numbers = [_number(labels, series, since_ns, now_ns) for labels, series in rows]
            own.sum.CopyFrom(pb.Sum(data_points=numbers, aggregation_temporality=CUMULATIVE))
        case _:
            own.gauge.CopyFrom(pb.Gauge(data_points=[_number(labels, series, 0, now_ns) for labels, series in rows]))
    return own


def _number(labels: Labels, series: Series, since_ns: int, now_ns: int) -> pb.NumberDataPoint:
    return pb.NumberDataPoint(
        attributes=attributes_of(dict(labels)),  # details would make a series of each failure
        start_time_unix_nano=fixed64(since_ns),
        time_unix_nano=fixed64(now_ns),
        as_double=double(series.value),
        exemplars=[_exemplar(exemplar, 1) for exemplar in series.exemplars.values()],
    )


def _histogram_point(labels: Labels, series: Series, since_ns: int, now_ns: int) -> pb.HistogramDataPoint:
    return pb.HistogramDataPoint(
        attributes=attributes_of(dict(labels)),
        start_time_unix_nano=fixed64(since_ns),
        time_unix_nano=fixed64(now_ns),
        count=series.count,
        sum=double(series.value) / SECOND_NS,
        bucket_counts=series.buckets,
        explicit_bounds=semconv.DURATION_BUCKETS,
        exemplars=[_exemplar(exemplar, SECOND_NS) for _, exemplar in sorted(series.exemplars.items())],
    )


def _exemplar(exemplar: Exemplar, scale: int) -> pb.Exemplar:
    return pb.Exemplar(
        time_unix_nano=fixed64(exemplar.at_ns),
        as_double=double(exemplar.value) / scale,
        trace_id=bytes.fromhex(exemplar.trace_id),
        span_id=bytes.fromhex(exemplar.span_id),
    )
