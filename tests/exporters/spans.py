"""Spans to send, and a backend that does as it is told and says what it got."""

import gzip
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runlog_otel.core.model import CatalogItem, Header
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Span
from tests.core.logs import at, attempt, branch, composite, run, task, verdict

RESOURCE = {"service.name": "train", "deployment.environment.name": "prod"}


def spans_of_every_kind() -> tuple[Span, ...]:
    """A failed run with a link, an event of each kind, and values of each type."""
    first = replace(
        task(
            "a b", replace(attempt(1, 2), metrics={"f": 0.5, "i": 3, "b": True, "s": "x"}, input_parameters=("p", "q"))
        ),
        catalog=(CatalogItem("in.csv", "get", "h"),),
    )
    mapped = composite(
        "mp", "map", branch("mp.1", task("mp.1.work", attempt(2, 3, ok=False)), verdict("fail", 4, prefix="mp.1."))
    )
    header = Header(at(0), 0, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    (trace,) = spans_from_run(run(first, mapped, verdict("fail", 5), header=header))
    return trace.spans


def spans_of_bytes(*sizes: int) -> list[Span]:
    """Spans that differ, each with about so many bytes of attributes."""
    (first, *_) = spans_of_every_kind()
    return [
        replace(first, span_id=number.to_bytes(8, "big"), name=f"s{number}", attributes={"x": "y" * size}, events=())
        for number, size in enumerate(sizes, 1)
    ]


def refusing(limit: int, status: int = 413, body: bytes = b"") -> Callable[[BaseHTTPRequestHandler], bool]:
    """What a `Backend` does that refuses requests of more bytes."""

    def act(handler: BaseHTTPRequestHandler) -> bool:
        size = int(handler.headers["content-length"])
        if size <= limit:
            return False
        handler.rfile.read(size)
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    return act


@dataclass
class Backend:
    """A backend on loopback; `answer` may be changed between requests."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    act: Callable[[BaseHTTPRequestHandler], bool] | None = None

    def span_names(self) -> list[str]:
        """The names of every span that came, in the order that it came in."""
        names = []
        for _, headers, body in self.requests:
            content = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            if headers.get("content-type") == "application/json":
                found = json.loads(content)["resourceSpans"]
                names += [s["name"] for rs in found for ss in rs["scopeSpans"] for s in ss["spans"]]
            else:
                request = ExportTraceServiceRequest.FromString(content)
                names += [s.name for rs in request.resource_spans for ss in rs.scope_spans for s in ss.spans]
        return names


@contextmanager
def backend(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Backend]:
    """A running backend."""
    state = Backend()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            if state.act is not None and state.act(self):
                return
            body = self.rfile.read(int(self.headers["content-length"]))
            state.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the standard library's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is what some tests are about."""

    with Server((host, 0), Handler) as server:
        scheme = "http"
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        state.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
