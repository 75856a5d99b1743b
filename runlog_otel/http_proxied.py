"""HTTP exchanges by a proxy, with httpcore, whose network backend a deadline can be put on."""

import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpcore

from runlog_otel.core.redaction import origin
from runlog_otel.http_direct import WRITE_SIZE, Answer, Deadline, ExchangeError, reason_of, refuse_http2, target_of
from runlog_otel.proxies import httpcore_url

_FAULTS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, UnicodeError)
"""The last is raised for a host that no name server can be asked for, as `a..b`."""
_LOGIN_REQUIRED = 407
_LOGIN_REFUSED = frozenset(("401", "407"))
"""The second is the right one; tinyproxy answers the first to a wrong login."""


class ProxiedClient:
    """As `DirectClient`, by a proxy."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        answer_limit: int,
        ssl_context: ssl.SSLContext | None,
        proxy: httpcore.Proxy,
    ) -> None:
        self._headers = list(headers.items())
        self._answer_limit = answer_limit
        at = proxy.url
        self._proxy = f"the proxy {at.scheme.decode()}://{at.host.decode()}:{at.port}"
        self.where = f"{origin(url)} (by {self._proxy})"
        self._clock = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            network_backend=_BoundedBackend(self._clock),
            proxy=proxy,
            max_connections=1,
        )

    def request(self, method: str, url: str, seconds: float, content: bytes | None = None) -> Answer:
        """See `DirectClient.request`."""
        parts = urlsplit(url)
        self._clock.set(seconds)
        try:
            at = httpcore_url(parts.scheme, parts.hostname or "", parts.port, target_of(url))
            with self._pool.stream(method, at, headers=self._headers, content=content) as response:
                body = b"".join(_limited(response.iter_stream(), self._answer_limit))
        except httpcore.ProxyError as error:
            raise ExchangeError(self._proxy, _proxy_reason(reason_of(error))) from error
        except _FAULTS as error:
            raise ExchangeError(self.where, reason_of(error)) from error
        if response.status == _LOGIN_REQUIRED:
            raise ExchangeError(self._proxy, _proxy_reason(f"HTTP {response.status}"))
        given = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, given, body)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()


class _BoundedBackend(httpcore.SyncBackend):
    """Sockets whose operations together take no longer than the deadline, however slowly bytes drip in."""

    def __init__(self, deadline: Deadline) -> None:
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
        try:
            stream = super().connect_tcp(host.strip("[]"), port, left, local_address, socket_options)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, UnicodeError) as error:
            raise httpcore.ProxyError(reason_of(error)) from error  # only the proxy is connected to
        return _BoundedStream(stream, self._deadline)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self._is_unread = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))
        if self._is_unread:
            refuse_http2(data, httpcore.RemoteProtocolError)
        self._is_unread = False
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for at in range(0, len(buffer), WRITE_SIZE):
            self._stream.write(buffer[at : at + WRITE_SIZE], self._deadline.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        name = server_hostname.strip("[]") if server_hostname else None
        return _BoundedStream(self._stream.start_tls(ssl_context, name, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _limited(chunks: Iterable[bytes], limit: int) -> Iterable[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise httpcore.RemoteProtocolError("the answer is too long")
        yield chunk


def _proxy_reason(reason: str) -> str:
    is_about_login = not _LOGIN_REFUSED.isdisjoint(reason.split())
    return f"{reason}; give user:password@ in its URL, percent-encoded" if is_about_login else reason
