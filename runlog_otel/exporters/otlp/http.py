"""OTLP over HTTP, within a time that holds for the whole exchange, acknowledged by the answer's content."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from runlog_otel.addresses import authorization_of, without_login
from runlog_otel.core.redaction import bounded, redacted
from runlog_otel.core.trace import Span
from runlog_otel.errors import DeliveryError, TooLargeError
from runlog_otel.exporters.otlp.answers import check_answer, is_about_size
from runlog_otel.exporters.otlp.certificates import ssl_context
from runlog_otel.exporters.otlp.size_limit import SizeLimit
from runlog_otel.exporters.otlp.transience import is_transient_status, seconds_from_retry_after
from runlog_otel.exporters.otlp.wire import payload_from_spans
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.http_deadline import Client, ExchangeError
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from google.protobuf.message import Message

_SUCCESS = range(200, 300)
_BAD_REQUEST, _CONTENT_TOO_LARGE = 400, 413
_ANSWER_LIMIT = 64 * 1024
_REASON_LIMIT = 200


class OtlpHttpSink(SpanSink):
    """Posts OTLP requests. Only a 2xx without a partial success is delivery; redirects are not followed.

    Source: OTLP specification, sections "OTLP/HTTP Response" and "Partial Success".
    """

    def __init__(self, settings: Settings, url: str = "") -> None:
        url = url or settings.target
        self._url = without_login(url)
        self._is_json = settings.protocol == "http/json"
        self._is_gzip = settings.compression == "gzip"
        headers = {
            "content-type": "application/json" if self._is_json else "application/x-protobuf",
            "user-agent": "runlog-otel",
            **({"content-encoding": "gzip"} if self._is_gzip else {}),
            **authorization_of(url),
            **{name.lower(): value.get_secret_value() for name, value in settings.headers.items()},
        }
        self._limit = SizeLimit(settings)
        context = ssl_context(settings) if self._url.startswith("https:") else None
        self._client = Client(self._url, headers, _ANSWER_LIMIT, context)

    @override
    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        body = _json_from_spans(resource, spans) if self._is_json else payload_from_spans(resource, spans)
        self.post_body(body, _traces_response, timeout_seconds, is_divisible=len(spans) > 1)

    def post(self, request: "Message", response_type: Callable[[], Any], timeout_seconds: float) -> None:
        """Encode and send a request of any signal; see `post_body`."""
        body = _json(request) if self._is_json else request.SerializeToString()
        self.post_body(body, response_type, timeout_seconds)

    def post_body(
        self, body: bytes, response_type: Callable[[], Any], timeout_seconds: float, *, is_divisible: bool = False
    ) -> None:
        """Send an encoded request of any signal.

        Args:
            body: it, in the format of the settings' protocol.
            response_type: makes an empty response of the signal.
            timeout_seconds: for the whole exchange.
            is_divisible: whether it can be sent as several, and has to be where it is larger than the settings say.

        Raises:
            TooLargeError: it is too large for one request.
            DeliveryError: it was not acknowledged whole, or not in time.
        """
        content = gzip.compress(body, mtime=0) if self._is_gzip else body
        where = self._client.where
        self._limit.check(where, len(body), len(content), is_divisible=is_divisible)
        try:
            answered, answer = self._client.request("POST", self._url, timeout_seconds, content)
        except ExchangeError as error:
            raise DeliveryError(error.where, error.reason, is_transient=True) from error
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answered.headers}
        if answered.status in _SUCCESS:
            check_answer(where, headers.get("content-type", ""), answer, response_type)
            return
        text = answer.decode("utf-8", "replace").strip()
        shown = bounded(redacted(text), _REASON_LIMIT)
        reason = f"HTTP {answered.status} {shown if shown.isprintable() else ''}".strip()
        if answered.status == _CONTENT_TOO_LARGE or (answered.status == _BAD_REQUEST and is_about_size(text)):
            raise self._limit.note_refusal(TooLargeError(where, reason, len(body)), len(content))
        raise DeliveryError(
            where,
            reason,
            is_transient=is_transient_status(answered.status),
            retry_after_seconds=seconds_from_retry_after(headers.get("retry-after", "0")),
        )

    @override
    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _json_from_spans(resource: Mapping[str, str], spans: Sequence[Span]) -> bytes:
    from runlog_otel.exporters.otlp.encode import request_from_spans

    return _json(request_from_spans(resource, spans))


def _json(request: "Message") -> bytes:
    from runlog_otel.exporters.otlp.encode import json_from_request

    return json_from_request(request).encode()


def _traces_response() -> Any:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    return ExportTraceServiceResponse()
