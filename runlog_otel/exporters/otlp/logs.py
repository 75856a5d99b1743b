"""Log records as OTLP messages, sent as spans are."""

from collections.abc import Mapping, Sequence
from contextlib import closing

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from runlog_otel.core.semconv import SCHEMA_URL, SCOPE_NAME, SCOPE_VERSION
from runlog_otel.exporters.otlp.encode import attributes_of
from runlog_otel.exporters.otlp.log_record import LogRecord
from runlog_otel.exporters.otlp.wire import fixed64
from runlog_otel.settings import Settings

_LOGS_SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
_SAMPLED = 1


def request_from_logs(resource: Mapping[str, str], records: Sequence[LogRecord]) -> ExportLogsServiceRequest:
    """One OTLP export request (opentelemetry-proto, collector/logs/v1)."""
    scope = logs_pb2.ScopeLogs(
        scope=InstrumentationScope(name=SCOPE_NAME, version=SCOPE_VERSION),
        log_records=[_record(record) for record in records],
        schema_url=SCHEMA_URL,
    )
    logs = logs_pb2.ResourceLogs(
        resource=Resource(attributes=attributes_of(resource)), scope_logs=[scope], schema_url=SCHEMA_URL
    )
    return ExportLogsServiceRequest(resource_logs=[logs])


def send_log_records(
    settings: Settings, resource: Mapping[str, str], records: Sequence[LogRecord], timeout_seconds: float
) -> None:
    """Send records over a connection of their own: they are few, and seldom.

    Raises:
        ConfigError: the exporter, or the endpoint, takes spans only.
        DeliveryError: not all was acknowledged in time.
    """
    request, target = request_from_logs(resource, records), settings.required_target_of("logs")
    if settings.protocol == "grpc":
        from runlog_otel.exporters.otlp.grpc import OtlpGrpcSink

        body = request.SerializeToString()
        OtlpGrpcSink(settings).call(_LOGS_SERVICE, body, ExportLogsServiceResponse, timeout_seconds)
        return
    from runlog_otel.exporters.otlp.http import OtlpHttpSink

    with closing(OtlpHttpSink(settings, target)) as sink:
        sink.post(request, ExportLogsServiceResponse, timeout_seconds)


def _record(record: LogRecord) -> logs_pb2.LogRecord:
    return logs_pb2.LogRecord(
        time_unix_nano=fixed64(record.time_ns),
        observed_time_unix_nano=fixed64(record.time_ns),
        severity_number=logs_pb2.SEVERITY_NUMBER_ERROR,
        severity_text="ERROR",
        body=AnyValue(string_value=record.body),
        attributes=attributes_of(record.attributes),
        trace_id=record.trace_id,
        span_id=record.span_id,
        flags=_SAMPLED,
    )
