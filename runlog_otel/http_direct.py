"""HTTP exchanges with a server that is reached without a proxy, by the standard library, and what all exchanges share.

httpcore takes 12 ms more to import than http.client: most processes of a pipeline make one or two exchanges.
"""

import io
import selectors
import socket
import ssl
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from typing_extensions import override

from runlog_otel.core.redaction import bounded, origin, redacted

WRITE_SIZE = 256 * 1024
"""What is written at once: with 16 KiB a thread that sends asks 16 times as often for the interpreter's lock, and an
export of 40,400 spans takes 1.20 instead of 1.13 s."""
_READ_SIZE = 64 * 1024
_REASON_LIMIT = 300
_FAULTS = (HTTPException, OSError, ValueError)
"""The last is raised for a host that no name server can be asked for, as `a..b`."""
_HUNG_UP = ("disconnected without sending a response", "closed connection without response")
_HTTP2_SETTINGS = b"\x04\x00\x00\x00\x00\x00"
"""Type, flags and stream of the frame that an HTTP/2 server begins with, after three bytes of length (RFC 9113)."""


class ExchangeError(Exception):
    """No answer came: who failed, which is the server or the proxy on the way there, and why."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where}: {reason}")


class Answer(NamedTuple):
    """What a server answered; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Deadline:
    """How much time the current request has left; every socket operation asks it."""

    def __init__(self) -> None:
        self._at = 0.0

    def set(self, seconds: float) -> None:
        """A request begins that may take so long."""
        self._at = time.monotonic() + seconds

    def left(self, error: type[Exception] = TimeoutError) -> float:
        """Seconds; raises `error` when there are none."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise error("no complete answer in time")
        return seconds


class DirectClient:
    """Requests to one server over one connection. Used by one thread at a time."""

    def __init__(
        self, url: str, headers: Mapping[str, str], answer_limit: int, ssl_context: ssl.SSLContext | None
    ) -> None:
        self.where = origin(url)
        self._url = urlsplit(url)
        self._headers = dict(headers)
        self._answer_limit = answer_limit
        self._ssl_context = ssl_context
        self._deadline = Deadline()
        self._connection: _Connection | None = None

    def request(self, method: str, url: str, seconds: float, content: bytes | None = None) -> Answer:
        """One exchange.

        Args:
            method: HTTP's.
            url: of the server that this client is for.
            seconds: for the whole exchange.
            content: the body.

        Raises:
            ExchangeError: there is no whole answer in time.
        """
        self._deadline.set(seconds)
        try:
            connection = self._ready()
            try:
                connection.request(method, target_of(url), content, self._headers)
            except TimeoutError:
                raise
            except OSError:  # a server may answer before it has read all, and stop reading
                pass
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, _body(response, self._answer_limit))
        except _FAULTS as error:
            self.close()
            raise ExchangeError(self.where, reason_of(error)) from error

    def _ready(self) -> "_Connection":
        """The open connection; a new one if the server closed it, which makes it readable."""
        if self._connection is not None and self._connection.sock is not None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection.sock, selectors.EVENT_READ)
                is_closed = bool(selector.select(0))
            if is_closed:
                self.close()
        if self._connection is None:
            self._connection = _Connection(self._url.hostname or "", self._url.port, self._ssl_context, self._deadline)
        if self._connection.sock is None:
            self._connection.connect()
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _body(response: HTTPResponse, limit: int) -> bytes:
    chunks, size = [], 0
    while chunk := response.read(_READ_SIZE):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise HTTPException("the answer is too long")
    if response.length:
        raise HTTPException("the answer ends early")
    return b"".join(chunks)


class _Connection(HTTPConnection):
    """Its operations together take no longer than the deadline."""

    sock: Any

    def __init__(self, host: str, port: int | None, context: ssl.SSLContext | None, deadline: Deadline) -> None:
        self.default_port = 443 if context else 80
        super().__init__(host, port or self.default_port)
        self._context = context
        self._deadline = deadline

    @override
    def connect(self) -> None:
        connected = socket.create_connection((self.host, self.port), self._deadline.left())
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connected.settimeout(self._deadline.left())
                connected = self._context.wrap_socket(connected, server_hostname=self.host)
        except BaseException:
            connected.close()
            raise
        self.sock = _BoundedSocket(connected, self._deadline)


class _BoundedSocket:
    """The part of a socket that `http.client` uses."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self.fileno = connected.fileno
        self.close = connected.close

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), WRITE_SIZE):
            self._socket.settimeout(self._deadline.left())
            self._socket.sendall(data[at : at + WRITE_SIZE])

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._socket, self._deadline))


class _Reader(io.RawIOBase):
    """Reads an answer; keeps the socket open until it is closed, as the socket's own files do."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self._file = connected.makefile("rb", buffering=0)
        self._is_unread = True

    @override
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._deadline.left())
        size = self._file.readinto(buffer) or 0
        if self._is_unread:
            refuse_http2(bytes(buffer[:9]), HTTPException)
        self._is_unread = False
        return size

    @override
    def close(self) -> None:
        self._file.close()
        super().close()


def target_of(url: str) -> str:
    """Path and query."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


def refuse_http2(start: bytes, error: type[Exception]) -> None:
    """Raise `error` if an answer starts as HTTP/2 does."""
    if start[3:9] == _HTTP2_SETTINGS:
        raise error("it speaks HTTP/2 only, as a gRPC port does: use its port for OTLP over HTTP, or the protocol grpc")


def reason_of(error: Exception) -> str:
    """Why an exchange failed, in one line."""
    text = bounded(redacted(str(error)), _REASON_LIMIT)
    reason = (text if text.isprintable() else ascii(text)) or type(error).__name__
    return f"{reason} (a gRPC port with TLS does so)" if any(text in reason for text in _HUNG_UP) else reason
