"""Series as metrics of the SDK, pushed by the stock OTLP exporters: all of `serve`, or the delta of one execution.

Import it to push, not before: it loads the OpenTelemetry SDK.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from runlog_otel.core import semconv
from runlog_otel.core.points import ExecutionPoints, Labels
from runlog_otel.core.redaction import origin, redacted
from runlog_otel.core.semconv import SCHEMA_URL, SCOPE_NAME, SCOPE_VERSION
from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.metrics.series import Exemplar, Series, SeriesTable
from runlog_otel.exporters.otlp.encode import double
from runlog_otel.exporters.otlp.transience import is_transient_code
from runlog_otel.exporters.otlp.wire import fixed64
from runlog_otel.mapping import resource_attributes
from runlog_otel.settings import Settings

CUMULATIVE = AggregationTemporality.CUMULATIVE
DELTA = AggregationTemporality.DELTA
_HTTP_LOGGER = "opentelemetry.exporter.otlp.proto.http.metric_exporter"
_GRPC_LOGGER = "opentelemetry.exporter.otlp.proto.grpc.exporter"


def push_cumulative(settings: Settings, table: SeriesTable, since_ns: int) -> None:
    """Send all series as they are now; `since_ns` is when counting began.

    Raises:
        ConfigError: the endpoint takes spans only.
        DeliveryError: not all points were acknowledged.
    """
    resource = resource_attributes("runlog-otel", settings)
    _push(settings, metrics_from_series(resource, table, since_ns, time.time_ns()), settings.timeout_seconds)


def push_delta(settings: Settings, execution: ExecutionPoints, timeout_seconds: float) -> None:
    """Send what one execution adds, once: if an answer is lost, a second request would be counted twice.

    Raises:
        ConfigError: the endpoint takes spans only.
        DeliveryError: not all points were acknowledged.
    """
    table = SeriesTable(settings.metrics.max_series)
    table.add(execution.points)
    # The shortest window, just now: what turns deltas into totals drops those whose windows overlap.
    now_ns = time.time_ns()
    resource = resource_attributes(execution.execution.resource_pipeline(), settings)
    _push(settings, metrics_from_series(resource, table, now_ns - 1, now_ns, DELTA), timeout_seconds)


def metrics_from_series(
    resource: Mapping[str, str],
    table: SeriesTable,
    since_ns: int,
    now_ns: int,
    temporality: AggregationTemporality = CUMULATIVE,
) -> MetricsData:
    """The series as the SDK's exporters take them."""
    metrics = [_metric(metric, rows, since_ns, now_ns, temporality) for metric, rows in table.snapshot()]
    scope = ScopeMetrics(InstrumentationScope(SCOPE_NAME, SCOPE_VERSION, SCHEMA_URL), metrics, SCHEMA_URL)
    return MetricsData([ResourceMetrics(Resource(dict(resource), SCHEMA_URL), [scope], SCHEMA_URL)])


def _push(settings: Settings, metrics: MetricsData, timeout_seconds: float) -> None:
    target = settings.required_target_of("metrics")
    exporter: MetricExporter
    if settings.protocol == "grpc":
        from runlog_otel.exporters.otlp.grpc import OtlpGrpcSink

        exporter, logger = OtlpGrpcSink(settings).metric_exporter(timeout_seconds), _GRPC_LOGGER
    else:
        from runlog_otel.exporters.otlp.http_metrics import metric_exporter

        exporter, logger = metric_exporter(settings, target, timeout_seconds), _HTTP_LOGGER
    where = origin(target if "://" in target else f"//{target}").removeprefix("://")
    with _logged_errors(logger, where) as errors:
        try:
            result = exporter.export(metrics)
        finally:
            exporter.shutdown()
    if result is not MetricExportResult.SUCCESS:
        raise next(iter(errors), DeliveryError(where, "the metric exporter reports a failure"))


@contextmanager
def _logged_errors(logger_name: str, where: str) -> Iterator[list[DeliveryError]]:
    """What a stock exporter logs from this thread instead of raising it: collected, and not printed."""
    errors: list[DeliveryError] = []
    own_thread = threading.get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != own_thread:
            return True
        arguments = record.args if isinstance(record.args, tuple) else ()
        own_error = next((argument for argument in arguments if isinstance(argument, DeliveryError)), None)
        is_transient = any(is_transient_code(getattr(argument, "name", "")) for argument in arguments)
        errors.append(own_error or DeliveryError(where, redacted(record.getMessage()), is_transient=is_transient))
        return False

    logger = logging.getLogger(logger_name)
    logger.filters.insert(0, collect)  # before the exporter's own filter, which drops what it logged before
    try:
        yield errors
    finally:
        logger.removeFilter(collect)


def _metric(
    metric: semconv.Metric,
    rows: Sequence[tuple[Labels, Series]],
    since_ns: int,
    now_ns: int,
    temporality: AggregationTemporality,
) -> Metric:
    data: Histogram | Sum | Gauge
    numbers = [_number(labels, series, since_ns, now_ns) for labels, series in rows]
    match metric.kind:
        case "histogram":
            data = Histogram(
                [_histogram_point(metric, labels, series, since_ns, now_ns) for labels, series in rows], temporality
            )
        case "counter":
            data = Sum(numbers, temporality, is_monotonic=True)
        case "updowncounter":
            data = Sum(numbers, CUMULATIVE, is_monotonic=False)
        case _:
            data = Gauge(numbers)
    return Metric(metric.name, metric.help, metric.unit, data)


def _number(labels: Labels, series: Series, since_ns: int, now_ns: int) -> NumberDataPoint:
    exemplars = [_exemplar(exemplar, 1) for exemplar in series.exemplars.values()]
    # Without the details, which would make a series of each failure.
    return NumberDataPoint(dict(labels), fixed64(since_ns), fixed64(now_ns), double(series.value), exemplars)


def _histogram_point(
    metric: semconv.Metric, labels: Labels, series: Series, since_ns: int, now_ns: int
) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=dict(labels),
        start_time_unix_nano=fixed64(since_ns),
        time_unix_nano=fixed64(now_ns),
        count=series.count,
        sum=double(series.value) / metric.scale,
        bucket_counts=series.buckets,
        explicit_bounds=metric.bounds,
        min=None,  # type: ignore[arg-type]  # unknown; it is optional in OTLP, and the encoder omits it
        max=None,  # type: ignore[arg-type]
        exemplars=[_exemplar(exemplar, metric.scale) for _, exemplar in sorted(series.exemplars.items())],
    )


def _exemplar(exemplar: Exemplar, scale: int) -> SdkExemplar:
    return SdkExemplar(
        filtered_attributes={},
        value=double(exemplar.value) / scale,
        time_unix_nano=fixed64(exemplar.at_ns),
        span_id=int.from_bytes(exemplar.span_id, "big"),
        trace_id=int.from_bytes(exemplar.trace_id, "big"),
    )
