"""OTLP over HTTP, within a time that holds for the whole exchange, acknowledged by the answer's content."""

import gzip
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from runlog_otel.errors import ConfigError, DeliveryError
from runlog_otel.exporters.exchange import FAULTS, BoundedBackend, Deadline, limited, proxy_of
from runlog_otel.exporters.otlp.encode import json_from_request, rejection, request_from_spans
from runlog_otel.redaction import bounded, origin, redacted
from runlog_otel.settings import Settings
from runlog_otel.trace import Span

_OK = 200
_TRANSIENT = (429, 502, 503, 504)
_ANSWER_LIMIT = 64 * 1024
_REASON_LIMIT = 200


class OtlpHttpSink:
    """Posts OTLP requests. Only HTTP 200 without a partial success is delivery; redirects are not followed.

    Source: OTLP specification, sections "OTLP/HTTP Response" and "Partial Success".
    """

    def __init__(self, settings: Settings, url: str = "") -> None:
        self._url = url or settings.target
        self._is_json = settings.protocol == "http/json"
        self._is_gzip = settings.compression == "gzip"
        self._headers: dict[bytes | str, bytes | str] = {
            "content-type": "application/json" if self._is_json else "application/x-protobuf",
            "user-agent": "runlog-otel",
            **({"content-encoding": "gzip"} if self._is_gzip else {}),
            **{name.lower(): value.get_secret_value() for name, value in settings.headers.items()},
        }
        self._clock = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context(settings) if self._url.startswith("https:") else None,
            network_backend=BoundedBackend(self._clock),
            proxy=proxy_of(self._url),
            max_connections=1,
        )

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """See `SpanSink.send`."""
        self.post(request_from_spans(resource, spans), ExportTraceServiceResponse(), timeout_seconds)

    def post(self, request: Message, response: Any, timeout_seconds: float) -> None:
        """Send a request of any signal.

        Args:
            request: it.
            response: an empty response of the signal.
            timeout_seconds: for the whole exchange.

        Raises:
            DeliveryError: it was not acknowledged whole, or not in time.
        """
        body = json_from_request(request).encode() if self._is_json else request.SerializeToString()
        if self._is_gzip:
            body = gzip.compress(body, mtime=0)
        self._clock.set(timeout_seconds)
        try:
            with self._pool.stream("POST", self._url, headers=self._headers, content=body) as answered:
                answer = b"".join(limited(answered.iter_stream(), _ANSWER_LIMIT))
        except FAULTS as e:
            raise DeliveryError(origin(self._url), _reason(e), is_transient=True) from e
        self._check(answered, answer, response)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _check(self, answered: httpcore.Response, answer: bytes, response: Any) -> None:
        status = answered.status
        if status != _OK:
            text = bounded(redacted(answer.decode("utf-8", "replace").strip()), _REASON_LIMIT)
            reason = f"HTTP {status} {text if text.isprintable() else ''}".strip()
            raise DeliveryError(
                origin(self._url),
                reason,
                is_transient=status in _TRANSIENT,
                retry_after_seconds=_retry_after_seconds(answered),
            )
        try:
            if self._is_json:
                ParseDict(json.loads(answer or b"{}"), response, ignore_unknown_fields=True)
            else:
                response.ParseFromString(answer)
        except (DecodeError, ParseError, ValueError) as error:
            raise DeliveryError(origin(self._url), "the answer is not OTLP") from error
        if rejected := rejection(response):
            raise DeliveryError(origin(self._url), rejected)


def _retry_after_seconds(answered: httpcore.Response) -> float:
    """What the header Retry-After asks for, in seconds or as a date (RFC 9110, section 10.2.3); 0 without one."""
    headers = {name.lower(): value for name, value in answered.headers}
    value = headers.get(b"retry-after", b"0").decode("ascii", "replace")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: Exception) -> str:
    return redacted(str(error)) or type(error).__name__


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.certificate)
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            "telemetry.certificate, client_certificate, client_key", f"cannot be used: {error}"
        ) from error
    return context
