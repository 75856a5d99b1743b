"""An OTLP backend of the tests' own, that behaves as badly as it is told to and remembers what it acknowledged."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.peers.loopback import HOST, free_ports

DRIP_SECONDS = 0.2

Behaviour = Callable[["Backend", socket.socket], None]


@dataclass(frozen=True, order=True)
class Sent:
    """A span as it came: its ids, and all of it, its resource and scope included, as bytes."""

    trace_id: str
    span_id: str
    content: bytes = field(repr=False)
    span: Span = field(repr=False, compare=False)
    resource: Mapping[str, str] = field(repr=False, compare=False)

    @property
    def parent(self) -> str:
        """The id of its parent."""
        return self.span.parent_span_id.hex()

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.span.name)

    @property
    def run_id(self) -> str:
        """The host's run id that it tells."""
        found = [x.value.string_value for x in self.span.attributes if x.key == "cicd.pipeline.run.id"]
        return str(found[0])


class Backend:
    """Takes requests one after the other on each connection; `behaviour` says what becomes of them."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._listener = socket.create_server((HOST, 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self.requests: list[tuple[str, int]] = []
        """First line and length of the body of each request that came whole."""
        self.acknowledged: list[Sent] = []
        self.broken: list[str] = []
        """What came and was no OTLP request."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop, in the middle of whatever is going on."""
        self._is_over.set()
        for connection in (self._listener, *self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def spans_of(self, run_id: str) -> set[Sent]:
        """What it acknowledged of a run."""
        with self._lock:
            return {span for span in self.acknowledged if span.run_id == run_id}

    def read(self, connection: socket.socket) -> list[Sent] | None:
        """The spans of the next request; None when there is none, or its sender gave up in the middle of it."""
        with connection.makefile("rb") as file:
            first = file.readline().decode("latin-1").strip()
            headers = {}
            while line := file.readline().decode("latin-1").strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            length = int(headers.get("content-length", "0"))
            body = file.read(length)
        if not first or len(body) < length:
            return None
        with self._lock:
            self.requests.append((first, len(body)))
        try:
            request = ExportTraceServiceRequest()
            request.ParseFromString(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
            return list(sent(request))
        except (DecodeError, OSError, IndexError) as error:
            self.broken.append(repr(error))
            return None

    def acknowledge(self, spans: Iterable[Sent]) -> None:
        """Remember spans as acknowledged."""
        with self._lock:
            self.acknowledged += spans

    def wait(self) -> None:
        """Do nothing until the end of the backend."""
        self._is_over.wait()

    def drip(self, connection: socket.socket, text: bytes) -> None:
        """Send a byte now and then."""
        for byte in text:
            connection.sendall(bytes([byte]))
            if self._is_over.wait(DRIP_SECONDS):
                return

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the sender is gone
            self._behaviour(self, connection)


def sent(request: ExportTraceServiceRequest) -> Iterator[Sent]:
    """The spans of a request."""
    for resource_spans in request.resource_spans:
        around = resource_spans.resource.SerializeToString()
        resource = {x.key: x.value.string_value for x in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.SerializeToString()
            for span in scope_spans.spans:
                content = around + scope + span.SerializeToString()
                yield Sent(span.trace_id.hex(), span.span_id.hex(), content, span, resource)


@contextmanager
def backend(behaviour: Behaviour) -> Iterator[Backend]:
    """A backend that listens while the context is open."""
    server = Backend(behaviour)
    try:
        yield server
    finally:
        server.close()


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def healthy(server: Backend, connection: socket.socket) -> None:
    """Acknowledge everything."""
    while (spans := server.read(connection)) is not None:
        server.acknowledge(spans)
        connection.sendall(answer(200))


def flaky(server: Backend, connection: socket.socket) -> None:
    """Acknowledge the first request that ever comes, and no other."""
    while (spans := server.read(connection)) is not None:
        if len(server.requests) == 1:
            server.acknowledge(spans)
            connection.sendall(answer(200))
        else:
            connection.sendall(answer(503))


def silent(server: Backend, _: socket.socket) -> None:
    """Accept, and never read nor answer."""
    server.wait()


def answering(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer every request alike; what has been asked for is not acknowledged."""

    def behave(server: Backend, connection: socket.socket) -> None:
        while server.read(connection) is not None:
            connection.sendall(answer(status, body, **headers))

    return behave


def partial() -> Behaviour:
    """Answer 200, and that one span was rejected."""
    rejected = ExportTracePartialSuccess(rejected_spans=1, error_message="too many spans")
    return answering(200, ExportTraceServiceResponse(partial_success=rejected).SerializeToString())


def dripping_headers(server: Backend, connection: socket.socket) -> None:
    """Answer 200 in time, as each single byte counts, but not within hours."""
    while server.read(connection) is not None:
        server.drip(connection, answer(200, X_Patience="y" * 10_000))


def dripping_body(server: Backend, connection: socket.socket) -> None:
    """Answer with the headers of a 200 at once, and a body that takes forever."""
    while server.read(connection) is not None:
        text = answer(200, b"\n" * 10_000)
        at = text.index(b"\r\n\r\n") + 4
        connection.sendall(text[:at])
        server.drip(connection, text[at:])


@contextmanager
def closed() -> Iterator[str]:
    """The URL of a port that nobody listens on."""
    yield f"http://{HOST}:{free_ports(1)[0]}"


BEHAVIOURS: Mapping[str, Behaviour] = {
    "silent": silent,
    "503": answering(503, b"busy"),
    "429": answering(429, Retry_After="30"),
    "400": answering(400, b"bad"),
    "partial-success": partial(),
    "no-otlp": answering(200, b"<html>Welcome</html>"),
    "dripping-headers": dripping_headers,
    "dripping-body": dripping_body,
    "flaky": flaky,
}
"""Every way in which a backend may fail to acknowledge spans; closed ports and redirects need a URL."""
