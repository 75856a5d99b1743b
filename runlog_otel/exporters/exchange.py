"""HTTP exchanges that end in time: one deadline for all operations of a request, however slowly bytes drip in."""

import ssl
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

FAULTS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    OSError,
)
"""What an exchange raises when the other side, or the way there, fails."""
_WRITE_SIZE = 16 * 1024


class Deadline:
    """How much time the current request has left; every socket operation asks it."""

    def __init__(self) -> None:
        self._at = 0.0

    def set(self, seconds: float) -> None:
        """Begin to count."""
        self._at = time.monotonic() + seconds

    def left(self, error: type[Exception]) -> float:
        """Seconds; raises `error` when there are none."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise error("no complete answer in time")
        return seconds


class BoundedBackend(httpcore.SyncBackend):
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
        """See `httpcore.NetworkBackend.connect_tcp`."""
        left = self._deadline.left(httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, left, local_address, socket_options)
        return _BoundedStream(stream, self._deadline)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
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


def limited(chunks: Iterable[bytes], limit: int) -> Iterable[bytes]:
    """The chunks of an answer, as long as it has no more bytes than `limit`; else raises RemoteProtocolError."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise httpcore.RemoteProtocolError("the answer is too long")
        yield chunk


def proxy_of(url: str) -> httpcore.Proxy | None:
    """The proxy of the usual variables (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    where = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    auth = (where.username, where.password or "") if where.username else None
    return httpcore.Proxy(f"{where.scheme}://{where.hostname}:{where.port or 80}", auth=auth)
