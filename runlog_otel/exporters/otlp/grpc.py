"""OTLP over gRPC (extra `grpc`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runlog_otel.errors import ConfigError, DeliveryError, MissingExtraError
from runlog_otel.exporters.otlp.encode import rejection, request_from_spans
from runlog_otel.redaction import redacted
from runlog_otel.settings import Settings
from runlog_otel.trace import Span

try:
    import grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
except ImportError as error:
    raise MissingExtraError("protocol grpc", "grpc") from error

_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)


class OtlpGrpcSink:
    """Calls TraceService/Export over a channel that lives for one call: its threads cross no fork.

    Source: OTLP specification, section "OTLP/gRPC".
    """

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.target if "://" in settings.target else f"//{settings.target}")
        self._target = parts.netloc.rpartition("@")[2]
        is_plain = parts.scheme == "http" or (not parts.scheme and settings.insecure)
        self._credentials = None if is_plain else _credentials(settings)
        self._compression = grpc.Compression.Gzip if settings.compression == "gzip" else grpc.Compression.NoCompression
        self._metadata = [(name.lower(), value.get_secret_value()) for name, value in settings.headers.items()]

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """See `SpanSink.send`."""
        self.call(TraceServiceStub, request_from_spans(resource, spans), timeout_seconds)

    def call(self, service: Any, request: Any, timeout_seconds: float) -> None:
        """Call Export of any signal's service stub; see `OtlpHttpSink.post`."""
        try:
            with self._channel() as channel:
                response = service(channel).Export(request, timeout=timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            reason = f"{error.code().name}: {redacted(error.details() or '')}"
            raise DeliveryError(self._target, reason, is_transient=error.code() in _TRANSIENT) from error
        if rejected := rejection(response):
            raise DeliveryError(self._target, rejected)

    def close(self) -> None:
        """Nothing is kept open."""

    def _channel(self) -> Any:
        if self._credentials is None:
            return grpc.insecure_channel(self._target, compression=self._compression)
        return grpc.secure_channel(self._target, self._credentials, compression=self._compression)


def _credentials(settings: Settings) -> Any:
    def content(path: Path | None) -> bytes | None:
        return path.read_bytes() if path else None

    try:
        return grpc.ssl_channel_credentials(
            content(settings.certificate), content(settings.client_key), content(settings.client_certificate)
        )
    except OSError as error:
        raise ConfigError(
            "telemetry.certificate, client_certificate, client_key", f"cannot be read: {error}"
        ) from error
