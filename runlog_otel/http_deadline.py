"""HTTP exchanges that end in time: one deadline for all operations of a request, however slowly bytes drip in."""

import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpcore

from runlog_otel.core.redaction import origin, redacted
from runlog_otel.proxies import httpcore_url, proxy_of

_FAULTS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, UnicodeError)
"""The last is raised for a host that no name server can be asked for, as `a..b`."""
_LOGIN_REQUIRED = 407
_LOGIN_REFUSED = frozenset(("401", "407"))
"""The second is the right one; tinyproxy answers the first to a wrong login."""
_WRITE_SIZE = 16 * 1024
_HUNG_UP = "disconnected without sending a response"
_HTTP2_SETTINGS = b"\x04\x00\x00\x00\x00\x00"
"""Type, flags and stream of the frame that an HTTP/2 server begins with, after three bytes of length (RFC 9113)."""


class ExchangeError(Exception):
    """No answer came: who failed, which is the server or the proxy on the way there, and why."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where}: {reason}")


class Client:
    """Requests to one server, by its proxy if it has one. Used by one thread at a time."""

    def __init__(
        self, url: str, headers: Mapping[str, str], answer_limit: int, ssl_context: ssl.SSLContext | None
    ) -> None:
        """Connects with the first request.

        Args:
            url: any URL of the server.
            headers: of each request.
            answer_limit: how many bytes an answer may have.
            ssl_context: for `https`.

        Raises:
            ConfigError: a variable does not name a proxy.
        """
        proxy = proxy_of(url)
        self._headers = list(headers.items())
        self._answer_limit = answer_limit
        self._where = origin(url)
        self._proxy = ""
        if proxy:
            at = proxy.url
            self._proxy = f"the proxy {at.scheme.decode()}://{at.host.decode()}:{at.port}"
            self._where = f"{self._where} (by {self._proxy})"
        self._clock = _Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            network_backend=_BoundedBackend(self._clock, has_proxy=bool(proxy)),
            proxy=proxy,
            max_connections=1,
        )

    @property
    def where(self) -> str:
        """The server for messages, and its proxy."""
        return self._where

    def request(
        self, method: str, url: str, seconds: float, content: bytes | None = None
    ) -> tuple[httpcore.Response, bytes]:
        """One exchange.

        Args:
            method: HTTP's.
            url: of the server that this client is for.
            seconds: for the whole exchange.
            content: the body.

        Returns:
            Status and headers, and the body.

        Raises:
            ExchangeError: there is no whole answer in time.
        """
        parts = urlsplit(url)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._clock.set(seconds)
        try:
            at = httpcore_url(parts.scheme, parts.hostname or "", parts.port, target)
            with self._pool.stream(method, at, headers=self._headers, content=content) as response:
                body = b"".join(_limited(response.iter_stream(), self._answer_limit))
        except httpcore.ProxyError as error:
            raise ExchangeError(self._proxy, _proxy_reason(_reason(error))) from error
        except _FAULTS as error:
            raise ExchangeError(self._where, _reason(error)) from error
        if response.status == _LOGIN_REQUIRED and self._proxy:
            raise ExchangeError(self._proxy, _proxy_reason(f"HTTP {response.status}"))
        return response, body

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()


class _Deadline:
    """How much time the current request has left; every socket operation asks it."""

    def __init__(self) -> None:
        self._at = 0.0

    def set(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, error: type[Exception]) -> float:
        """Seconds; raises `error` when there are none."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise error("no complete answer in time")
        return seconds


class _BoundedBackend(httpcore.SyncBackend):
    """Sockets whose operations together take no longer than the deadline, however slowly bytes drip in."""

    def __init__(self, deadline: _Deadline, *, has_proxy: bool) -> None:
        self._deadline = deadline
        self._has_proxy = has_proxy

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
            if self._has_proxy:  # then only the proxy is connected to
                raise httpcore.ProxyError(_reason(error)) from error
            raise
        return _BoundedStream(stream, self._deadline)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self._is_unread = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))
        if self._is_unread and data[3:9] == _HTTP2_SETTINGS:
            raise httpcore.RemoteProtocolError(
                "it speaks HTTP/2 only, as a gRPC port does: use its port for OTLP over HTTP, or the protocol grpc"
            )
        self._is_unread = False
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for at in range(0, len(buffer), _WRITE_SIZE):
            self._stream.write(buffer[at : at + _WRITE_SIZE], self._deadline.left(httpcore.WriteTimeout))

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


def _reason(error: Exception) -> str:
    reason = redacted(str(error)) or type(error).__name__
    return f"{reason} (a gRPC port with TLS does so)" if _HUNG_UP in reason else reason


def _proxy_reason(reason: str) -> str:
    is_about_login = not _LOGIN_REFUSED.isdisjoint(reason.split())
    return f"{reason}; give user:password@ in its URL, percent-encoded" if is_about_login else reason
