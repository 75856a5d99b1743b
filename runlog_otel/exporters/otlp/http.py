"""OTLP over HTTP, within a time that holds for the whole exchange, acknowledged by the answer's content."""

import gzip
import json
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from runlog_otel.errors import ConfigError, DeliveryError
from runlog_otel.exporters.otlp.encode import json_from_request, request_from_spans
from runlog_otel.redaction import bounded, origin, redacted
from runlog_otel.settings import Settings
from runlog_otel.trace import Span

_OK = 200
_TRANSIENT = (429, 502, 503, 504)
_ANSWER_LIMIT = 64 * 1024
_REASON_LIMIT = 200
_WRITE_SIZE = 16 * 1024


class OtlpHttpSink:
    """Posts OTLP requests. Only HTTP 200 without a partial success is delivery; redirects are not followed.

    Source: OTLP specification, sections "OTLP/HTTP Response" and "Partial Success".
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.target
        self._is_json = settings.protocol == "http/json"
        self._is_gzip = settings.compression == "gzip"
        self._headers: dict[bytes | str, bytes | str] = {
            "content-type": "application/json" if self._is_json else "application/x-protobuf",
            "user-agent": "runlog-otel",
            **({"content-encoding": "gzip"} if self._is_gzip else {}),
            **{name.lower(): value.get_secret_value() for name, value in settings.headers.items()},
        }
        self._clock = _Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context(settings) if self._url.startswith("https:") else None,
            network_backend=_BoundedBackend(self._clock),
            proxy=_proxy(self._url),
            max_connections=1,
        )

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """See `SpanSink.send`."""
        request = request_from_spans(resource, spans)
        body = json_from_request(request).encode() if self._is_json else request.SerializeToString()
        if self._is_gzip:
            body = gzip.compress(body, mtime=0)
        self._clock.set(timeout_seconds)
        try:
            with self._pool.stream("POST", self._url, headers=self._headers, content=body) as response:
                answer = b"".join(_limited(response.iter_stream()))
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
            httpcore.ProxyError,
            OSError,
        ) as e:
            raise DeliveryError(origin(self._url), _reason(e), is_transient=True) from e
        self._check(response.status, answer)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _check(self, status: int, answer: bytes) -> None:
        if status != _OK:
            text = bounded(redacted(answer.decode("utf-8", "replace").strip()), _REASON_LIMIT)
            reason = f"HTTP {status} {text if text.isprintable() else ''}".strip()
            raise DeliveryError(origin(self._url), reason, is_transient=status in _TRANSIENT)
        response = ExportTraceServiceResponse()
        try:
            if self._is_json:
                ParseDict(json.loads(answer or b"{}"), response, ignore_unknown_fields=True)
            else:
                response.ParseFromString(answer)
        except (DecodeError, ParseError, ValueError) as error:
            raise DeliveryError(origin(self._url), "the answer is not OTLP") from error
        if rejected := response.partial_success.rejected_spans:
            why = bounded(redacted(response.partial_success.error_message), _REASON_LIMIT)
            raise DeliveryError(origin(self._url), f"{rejected} spans were rejected: {why}")


class _Deadline:
    """How much time the current request has left; every socket operation asks it."""

    def __init__(self) -> None:
        self._at = 0.0

    def set(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, error: type[Exception]) -> float:
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise error("no complete answer in time")
        return seconds


class _BoundedBackend(httpcore.SyncBackend):
    """Sockets whose operations together take no longer than the deadline, however slowly bytes drip in."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, left, local_address, socket_options)
        return _BoundedStream(stream, self._deadline)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for at in range(0, len(buffer), _WRITE_SIZE):
            self._stream.write(buffer[at : at + _WRITE_SIZE], self._deadline.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _limited(chunks: Iterable[bytes]) -> Iterable[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _ANSWER_LIMIT:
            raise httpcore.RemoteProtocolError("the answer is too long")
        yield chunk


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


def _proxy(url: str) -> httpcore.Proxy | None:
    """The proxy of the usual variables (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    where = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    auth = (where.username, where.password or "") if where.username else None
    return httpcore.Proxy(f"{where.scheme}://{where.hostname}:{where.port or 80}", auth=auth)
