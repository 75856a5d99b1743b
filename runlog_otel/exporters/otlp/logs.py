"""Sends log records by OTLP, as spans are sent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runlog_otel.core.log_lines import LogRecord
from runlog_otel.exporters.otlp.wire import payload_from_logs
from runlog_otel.settings import Settings

_LOGS_SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
_Records = Sequence[LogRecord]
_Send = Callable[[Mapping[str, str], _Records, float], None]
_Close = Callable[[], None]


class OtlpLogSink:
    """Sends log records to where spans go, at the address for logs.

    Raises:
        ConfigError: the exporter, or the endpoint, takes spans only.
    """

    def __init__(self, settings: Settings) -> None:
        target = settings.required_target_of("logs")
        self._send, self.close = _over_grpc(settings) if settings.protocol == "grpc" else _over_http(settings, target)

    def send(self, resource: Mapping[str, str], records: _Records, timeout_seconds: float) -> None:
        """Send records of one resource; raises as `SpanSink.send`."""
        self._send(resource, records, timeout_seconds)


def _over_grpc(settings: Settings) -> tuple[_Send, _Close]:
    from runlog_otel.exporters.otlp.grpc import OtlpGrpcSink

    sink = OtlpGrpcSink(settings)

    def send(resource: Mapping[str, str], records: _Records, timeout_seconds: float) -> None:
        body, is_divisible = payload_from_logs(resource, records), len(records) > 1
        sink.call(_LOGS_SERVICE, body, type(_logs_response()), timeout_seconds, is_divisible=is_divisible)

    return send, sink.close


def _over_http(settings: Settings, target: str) -> tuple[_Send, _Close]:
    from runlog_otel.exporters.otlp.http import OtlpHttpSink

    sink = OtlpHttpSink(settings, target)

    def send(resource: Mapping[str, str], records: _Records, timeout_seconds: float) -> None:
        body = _json(resource, records) if settings.protocol == "http/json" else payload_from_logs(resource, records)
        sink.post_body(body, _logs_response, timeout_seconds, is_divisible=len(records) > 1)

    return send, sink.close


def _json(resource: Mapping[str, str], records: _Records) -> bytes:
    from runlog_otel.exporters.otlp.encode import json_from_request, request_from_logs

    return json_from_request(request_from_logs(resource, records)).encode()


def _logs_response() -> Any:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    return ExportLogsServiceResponse()
