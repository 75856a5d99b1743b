"""OTLP over gRPC."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from typing_extensions import override

from runlog_otel.addresses import authorization_of, is_grpc_name
from runlog_otel.core.redaction import redacted
from runlog_otel.core.trace import Span
from runlog_otel.errors import DeliveryError, TooLargeError
from runlog_otel.exporters.otlp.answers import is_about_size, rejection
from runlog_otel.exporters.otlp.certificates import pem_files, ssl_context
from runlog_otel.exporters.otlp.size_limit import SizeLimit
from runlog_otel.exporters.otlp.transience import is_transient_code, seconds_from_retry_info
from runlog_otel.exporters.otlp.wire import payload_from_spans
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

_TRACE_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_NO_GRPC = re.compile(r"http1|parsing HTTP/2|missing selected ALPN", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


class OtlpGrpcSink(SpanSink):
    """Calls TraceService/Export over a channel that lives for one call: its threads cross no fork.

    Source: OTLP specification, section "OTLP/gRPC".
    """

    def __init__(self, settings: Settings) -> None:
        self._target, is_plain, login = _address(settings)
        self._credentials = None if is_plain else _credentials(settings)
        self._compression = grpc.Compression.Gzip if settings.compression == "gzip" else grpc.Compression.NoCompression
        headers = {name.lower(): value.get_secret_value() for name, value in settings.headers.items()}
        self._metadata = list((login | headers).items())
        self._limit = SizeLimit(settings)

    @override
    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        body = payload_from_spans(resource, spans)
        self.call(_TRACE_SERVICE, body, ExportTraceServiceResponse, timeout_seconds, is_divisible=len(spans) > 1)

    def call(
        self, service: str, body: bytes, response_type: Any, timeout_seconds: float, *, is_divisible: bool = False
    ) -> None:
        """Call Export of any signal's service with a serialised request; see `OtlpHttpSink.post_body`."""
        size = len(body)
        self._limit.check(self._target, size, size, is_divisible=is_divisible)
        try:
            with self._channel() as channel:
                export = channel.unary_unary(f"/{service}/Export", response_deserializer=response_type.FromString)
                response = export(body, timeout=timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            details = error.details() or ""
            reason = f"{error.code().name}: {redacted(details)}"
            reason += "; is it a port for OTLP over HTTP?" if _NO_GRPC.search(details) else ""
            if is_about_size(details):
                raise self._limit.note_refusal(TooLargeError(self._target, reason, size), size) from error
            raise DeliveryError(
                self._target,
                reason,
                is_transient=is_transient_code(error.code().name),
                retry_after_seconds=seconds_from_retry_info(error.trailing_metadata() or ()),
            ) from error
        if rejected := rejection(response):
            raise DeliveryError(self._target, rejected)

    @override
    def close(self) -> None:
        """Nothing is kept open."""

    def metric_exporter(self, timeout_seconds: float) -> "OTLPMetricExporter":
        """The stock exporter, for one call of these settings. It does not look at a partial success."""
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(
            endpoint=self._target,
            insecure=self._credentials is None,
            credentials=self._credentials,
            headers=self._metadata,
            timeout=timeout_seconds,
            compression=self._compression,
            retryable_error_codes=[grpc.StatusCode.OK],  # no error has it: a call is never repeated
        )

    def _channel(self) -> Any:
        if self._credentials is None:
            return grpc.insecure_channel(self._target, compression=self._compression)
        return grpc.secure_channel(self._target, self._credentials, compression=self._compression)


def _address(settings: Settings) -> tuple[str, bool, dict[str, str]]:
    """What gRPC connects to, whether without TLS, and the header of a login.

    `http` and `https` say whether there is TLS, else `insecure` does; a socket file needs none.
    """
    endpoint = settings.target
    if is_grpc_name(endpoint):
        return endpoint, endpoint.lower().startswith("unix") or settings.insecure, {}
    if "://" not in endpoint:
        return endpoint.rpartition("@")[2], settings.insecure, authorization_of(f"//{endpoint}")
    parts = urlsplit(endpoint)
    host = parts.netloc.rpartition("@")[2].removesuffix(":")
    target = host if parts.port else f"{host}:{_PORTS[parts.scheme]}"
    return target, parts.scheme == "http", authorization_of(endpoint)


def _credentials(settings: Settings) -> Any:
    ssl_context(settings)  # gRPC itself says nothing of what is wrong with a file
    files = pem_files(settings)
    return grpc.ssl_channel_credentials(files.certificate, files.client_key, files.client_certificate)
