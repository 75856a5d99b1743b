"""A small server that takes spans as a backend does, and answers as Jaeger, Tempo and Prometheus answer."""

import base64
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from runlog_otel.exporters.metrics.prometheus import SeriesCollector
from runlog_otel.exporters.metrics.series import SeriesTable
from tests.peers.loopback import request

Answer = tuple[int, str, bytes]
_IDS = ("traceId", "spanId", "parentSpanId")


@dataclass
class Server:
    """What it has, and how it answers; both may be changed at any time."""

    url: str = ""
    traces: dict[str, list[ResourceSpans]] = field(default_factory=lambda: defaultdict(list))
    """By the hexadecimal id: each span with its resource and scope, as it came."""
    samples: dict[str, list[tuple[dict[str, str], float]]] = field(default_factory=dict)
    """What Prometheus has scraped, by name, from each of `instances`."""
    instances: tuple[str, ...] = ("serve:9464",)
    has_tempo_2: bool = True
    drops: Callable[[Span], bool] = lambda _: False
    """The spans that are acknowledged and not kept."""
    fails: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    """Path → answers that come first."""
    partial: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Paths and headers of the GET requests."""

    def spans(self) -> Iterator[tuple[list[ResourceSpans], ResourceSpans, Span]]:
        """Each span, with where it is kept."""
        for kept in self.traces.values():
            for one in list(kept):
                yield kept, one, one.scope_spans[0].spans[0]

    def span(self, run_id: str, name: str) -> tuple[list[ResourceSpans], ResourceSpans, Span]:
        """The only span of a run of that name."""
        (found,) = [
            entry
            for entry in self.spans()
            if entry[2].name == name and any(a.value.string_value == run_id for a in entry[2].attributes)
        ]
        return found

    def delete(self, run_id: str, name: str) -> None:
        """Lose a span."""
        kept, one, _ = self.span(run_id, name)
        kept.remove(one)

    def take(self, body: bytes) -> None:
        """Keep the spans of an OTLP request."""
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    if self.drops(span):
                        continue
                    one = ResourceSpans(resource=of_resource.resource)
                    one.scope_spans.add(scope=of_scope.scope).spans.append(span)
                    self.traces[span.trace_id.hex()].append(one)

    def scrape(self, table: SeriesTable) -> None:
        """Keep what `serve` shows now, as Prometheus does."""
        self.samples = defaultdict(list)
        for family in SeriesCollector(table).collect():
            for sample in family.samples:
                labels = {name: value for name, value in sample.labels.items() if value}
                self.samples[sample.name].append((labels, float(sample.value)))

    def answer(self, target: str) -> Answer:
        """What is answered to a GET request."""
        parts = urlsplit(target)
        if self.fails[parts.path]:
            return self.fails[parts.path].pop(0)
        kind, _, name = parts.path.rpartition("/")
        kept = self.traces.get(name, [])
        if parts.path == "/api/v3/services":
            return _json({"services": ["train"]})
        if parts.path == "/api/echo":
            return 200, "text/plain", b"echo"
        if parts.path == "/api/v1/query":
            vector = {"resultType": "vector", "result": self._vector(parts.query)}
            return _json({"status": "success", "data": vector})
        if not kept:
            return _json({"error": {"httpCode": 404, "message": "No traces found"}}, 404)
        return self._trace(kind, kept)

    def _trace(self, kind: str, kept: list[ResourceSpans]) -> Answer:
        if kind == "/api/v3/traces":
            return _json({"result": {"resourceSpans": _with_hex_ids(_documents(kept, use_integers=True))}})
        if kind == "/api/v2/traces" and self.has_tempo_2:
            status = {"status": "PARTIAL", "message": self.partial} if self.partial else {}
            return _json({"trace": {"resourceSpans": _documents(kept)}, "metrics": {}, **status})
        if kind == "/api/traces":
            return _json({"batches": _documents(kept)})
        return 404, "text/plain", b"404 page not found"

    def _vector(self, query: str) -> list[Any]:
        (expression,) = parse_qs(query)["query"]
        matched = re.fullmatch(r'\{__name__="(\w+)"(?:,instance="(.*)")?\}', expression)
        if matched is None:
            return []
        name, instance = matched.groups()
        return [
            {
                "metric": {"__name__": name, "instance": one, "job": "runs"} | labels,
                "value": [1_790_000_000.5, repr(value)],
            }
            for one in self.instances
            if instance in (None, one)
            for labels, value in self.samples.get(name, [])
        ]


def _json(document: Any, status: int = 200) -> Answer:
    return status, "application/json", json.dumps(document).encode()


def _documents(kept: list[ResourceSpans], *, use_integers: bool = False) -> list[Any]:
    return [MessageToDict(one, use_integers_for_enums=use_integers) for one in kept]


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: base64.b64decode(part).hex() if key in _IDS else _with_hex_ids(part) for key, part in value.items()}


@contextmanager
def running_forwarder(target: str, edit: Callable[[Span], bool]) -> Iterator[str]:
    """A server on the way to a real backend, which spoils what it forwards; gives its URL.

    Args:
        target: the base URL for OTLP over HTTP.
        edit: changes a span, and says whether it is forwarded.
    """

    def forwarded(body: bytes) -> None:
        message = ExportTraceServiceRequest.FromString(body)
        for of_resource in message.resource_spans:
            for of_scope in of_resource.scope_spans:
                kept = [span for span in of_scope.spans if edit(span)]
                del of_scope.spans[:]
                of_scope.spans.extend(kept)
        request(f"{target}/v1/traces", message.SerializeToString(), "application/x-protobuf")

    state = Server()
    state.take = forwarded  # type: ignore[method-assign]
    with _running(state):
        yield state.url


@contextmanager
def running_server() -> Iterator[Server]:
    """A running server."""
    state = Server()
    with _running(state):
        yield state


@contextmanager
def _running(state: Server) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                state.take(body)
            self._answer(200, "application/x-protobuf", b"")

        def do_GET(self) -> None:
            state.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self._answer(*state.answer(self.path))

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the standard library's name
            """Say nothing."""

    class HttpServer(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A call that is interrupted hangs up."""

    with HttpServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
