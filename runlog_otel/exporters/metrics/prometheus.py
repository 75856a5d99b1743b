"""Series as Prometheus scrapes them: text and OpenMetrics with exemplars, over HTTP. Imports prometheus-client."""

import math
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import TextIOBase
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as PrometheusExemplar

from runlog_otel.core import semconv
from runlog_otel.core.points import Labels
from runlog_otel.errors import ConfigError
from runlog_otel.exporters.metrics.access import address_from_text, is_login
from runlog_otel.exporters.metrics.series import Exemplar, Series, SeriesTable

Answer = Callable[[str, list[tuple[str, str]]], Any]
App = Callable[[dict[str, Any], Answer], Iterable[bytes]]
_MAX_CONNECTIONS = 32
_CONNECTION_SECONDS = 30.0
"""How long a connection may last from its start to its end: TLS, the request and the answer."""
_ROOM_SECONDS = 1.0
"""How long a new connection waits for the thread of the one that makes room for it."""
_FULL = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class SeriesCollector(Collector):
    """Shows a table's series under OpenTelemetry's translation of their names."""

    def __init__(self, table: SeriesTable) -> None:
        self._table = table

    def collect(self) -> Iterator[Metric]:
        """One family per metric."""
        for metric, rows in self._table.snapshot():
            present = {name for labels, series in rows for name in _all(labels, series)}
            names = [name for name in (*metric.labels, *metric.details, semconv.OVERFLOW) if name in present]
            labels = [name.replace(".", "_") for name in names]
            family = _FAMILIES[metric.kind](metric.prometheus_name, metric.help, labels=labels)
            for own, series in rows:
                values = _all(own, series)
                _ROWS[metric.kind](family, metric, [values.get(name, "") for name in names], series)
            yield family

    def describe(self) -> Iterable[Metric]:
        """Every possible metric, for a scrape with `name[]`."""
        return (_FAMILIES[metric.kind](metric.prometheus_name, metric.help) for metric in semconv.METRICS.values())


def _all(labels: Labels, series: Series) -> dict[str, str]:
    return dict(labels) | dict(series.details)


def _counter(family: CounterMetricFamily, metric: semconv.Metric, labels: list[str], series: Series) -> None:
    family.add_metric(labels, series.value, exemplar=_exemplar(series.exemplars.get(0), metric.scale))


def _gauge(family: GaugeMetricFamily, _: semconv.Metric, labels: list[str], series: Series) -> None:
    family.add_metric(labels, series.value)


def _histogram(family: HistogramMetricFamily, metric: semconv.Metric, labels: list[str], series: Series) -> None:
    count = 0
    buckets: list[Any] = []  # an exemplar may be None, although its type says otherwise
    for index, bound in enumerate([*map(float, metric.bounds), math.inf]):
        count += series.buckets[index]
        exemplar = _exemplar(series.exemplars.get(index), metric.scale)
        buckets.append(("+Inf" if bound == math.inf else str(bound), count, exemplar))
    family.add_metric(labels, buckets, series.value / metric.scale)


def _exemplar(exemplar: Exemplar | None, scale: int) -> PrometheusExemplar | None:
    if exemplar is None:
        return None
    ids = {"trace_id": exemplar.trace_id.hex(), "span_id": exemplar.span_id.hex()}
    return PrometheusExemplar(ids, exemplar.value / scale, exemplar.at_ns / semconv.SECOND_NS)


_FAMILIES: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "updowncounter": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}
_ROWS: dict[str, Any] = {"counter": _counter, "gauge": _gauge, "updowncounter": _gauge, "histogram": _histogram}


class MetricsServer:
    """Serves `/metrics`, `/-/healthy` and `/-/ready` from a thread of its own.

    Args:
        table: the series.
        listen: `host:port`; port 0 takes a free one.
        is_ready: whether `/metrics` may be answered: half a history would look like a counter reset.
        tls: certificate and key in PEM files.
        credentials: `user:password` that each request must have; the health checks need none.

    Raises:
        ConfigError: the address or a file cannot be used.
    """

    def __init__(
        self,
        table: SeriesTable,
        listen: str,
        *,
        is_ready: Callable[[], bool] = lambda: True,
        tls: tuple[Path, Path] | None = None,
        credentials: str = "",
    ) -> None:
        host, port = address_from_text(listen)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(SeriesCollector(table))
        app = _app(make_wsgi_app(registry), is_ready, credentials)
        context = _context(*tls) if tls else None
        try:
            self._server = make_server(host, port, app, _Server6 if ":" in host else _Server, _Handler)
        except OSError as error:
            raise ConfigError(f"listen {listen}", f"cannot be used: {error}") from error
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if tls else 'http'}://{listen.rpartition(':')[0]}:{self._server.server_port}"
        self._owner = os.getpid()
        threading.Thread(target=self._server.serve_forever, name="runlog-otel metrics", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        if os.getpid() == self._owner:
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingWSGIServer):
    """A thread per connection, in bounds.

    prometheus-client's server limits neither their number nor their time: a client that sends a byte now and then keeps
    its thread forever, because a socket's timeout restarts with each read. So a connection is closed at its deadline,
    and above the limit the oldest one is closed: a scrape takes milliseconds, so it is not the oldest.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        self._room = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._since: dict[socket.socket, float] = {}
        """The open connections and when they were accepted, the oldest first."""
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; above the limit, close the oldest connection first."""
        if not self._room.acquire(blocking=False):
            for oldest in list(self._since)[:1]:
                self._cut(oldest)
            if not self._room.acquire(timeout=_ROOM_SECONDS):
                self._refuse(request)
                return
        self._since[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._end(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and release the slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._end(request)

    def service_actions(self) -> None:
        """Close connections that are past their deadline; called twice a second."""
        oldest = time.monotonic() - _CONNECTION_SECONDS
        for request in [request for request, since in list(self._since.items()) if since < oldest]:
            self._cut(request)

    def is_open(self, request: socket.socket) -> bool:
        """Whether a connection was not cut."""
        return request in self._since

    def _cut(self, request: Any) -> None:
        """Shut a connection down from outside its thread, which then sees an end or an error, and releases its slot."""
        self._since.pop(request, None)
        with suppress(OSError):
            socket.socket.shutdown(request, socket.SHUT_RDWR)  # a TLS close would wait for the peer

    def _end(self, request: Any) -> None:
        self._since.pop(request, None)
        self._room.release()

    def _refuse(self, request: Any) -> None:
        if not isinstance(request, ssl.SSLSocket):  # there, a handshake would have to be waited for
            with suppress(OSError):
                request.settimeout(0)
                request.sendall(_FULL)
        self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """See `_Errors`."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Errors(TextIOBase):
    """Drops the traceback of a client that disconnects or speaks no TLS, which would clutter a pipeline's output."""

    def write(self, text: str) -> int:
        """Called while an exception is handled."""
        return len(text) if isinstance(sys.exc_info()[1], OSError) else sys.stderr.write(text)  # noqa: TID251 - where the server writes its own errors


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 2 * _CONNECTION_SECONDS

    def parse_request(self) -> bool:
        """Whether there is a request: after a cut, truncated headers look complete."""
        return super().parse_request() and self.server.is_open(self.connection)  # type: ignore[attr-defined]

    def get_stderr(self) -> _Errors:
        """Where an exception is printed that ends an answer."""
        return _Errors()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Scrapes are not logged."""


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"certificate {certificate}, key {key}", f"cannot be used: {error}") from error
    return context


def _app(metrics: App, is_ready: Callable[[], bool], credentials: str) -> App:
    def pages(environ: dict[str, Any], answer: Answer) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/-/healthy":
            return _plain(answer, "200 OK", "healthy\n")
        if path == "/-/ready":
            return _plain(answer, *(("200 OK", "ready\n") if is_ready() else _NOT_READY))
        if credentials and not is_login(environ.get("HTTP_AUTHORIZATION", ""), credentials):
            return _plain(answer, "401 Unauthorized", "authentication required\n", ("WWW-Authenticate", "Basic"))
        if path == "/":
            return _plain(answer, "200 OK", "runlog-otel: /metrics, /-/healthy, /-/ready\n")
        if path != "/metrics":
            return _plain(answer, "404 Not Found", "there is /metrics, /-/healthy and /-/ready\n")
        return metrics(environ, answer) if is_ready() else _plain(answer, *_NOT_READY)

    def app(environ: dict[str, Any], answer: Answer) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            status = "200 OK" if method == "OPTIONS" else "405 Method Not Allowed"
            return _plain(answer, status, "there is GET and HEAD\n", ("Allow", "GET, HEAD, OPTIONS"))
        if method == "GET":
            return pages(environ, answer)

        responses: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(pages(environ | {"REQUEST_METHOD": "GET"}, lambda *response: responses.append(response)))
        ((status, headers),) = responses
        answer(status, [*headers, ("Content-Length", str(len(body)))])
        return []

    return app


_NOT_READY = (
    "503 Service Unavailable",
    "initial read still in progress; if a store cannot be read, the log says why\n",
)


def _plain(answer: Answer, status: str, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    answer(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [text.encode()]
