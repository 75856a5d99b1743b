"""Metrics by the stock exporters: they follow our settings, export once, and report every failure."""

import gzip
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as pb
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from runlog_otel.core import semconv
from runlog_otel.errors import ConfigError, DeliveryError
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.exporters.otlp.metrics import push_cumulative, push_delta
from runlog_otel.settings import Settings
from tests.core.logs import points_from_run
from tests.exporters.otlp.test_metrics import LOG
from tests.exporters.spans import Backend, backend

(EXECUTION,) = points_from_run(LOG)
_SINCE_NS = 7
_CUMULATIVE, _DELTA = 2, 1
"""AggregationTemporality of opentelemetry-proto."""


def push(seconds: float = 5.0, **config: object) -> None:
    """Push what one execution adds."""
    push_delta(Settings.load(config, {}), EXECUTION, seconds)


def run_duration(request: pb.ExportMetricsServiceRequest) -> Any:
    """The histogram of the run's duration in a request."""
    ((scope,),) = [list(resource.scope_metrics) for resource in request.resource_metrics]
    return next(metric.histogram for metric in scope.metrics if metric.name == semconv.RUN_DURATION)


class _Service(MetricsServiceServicer):  # type: ignore[misc, unused-ignore]
    def __init__(self) -> None:
        self.requests: list[tuple[pb.ExportMetricsServiceRequest, dict[str, Any]]] = []
        self.rejected = 0
        self.failure: grpc.StatusCode | None = None

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 the name is the service's
        self.requests.append((request, dict(context.invocation_metadata())))
        if self.failure is not None:
            context.abort(self.failure, "not now, token=abc123def")
        rejected = pb.ExportMetricsPartialSuccess(rejected_data_points=self.rejected)
        return pb.ExportMetricsServiceResponse(partial_success=rejected)


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


@pytest.fixture
def service() -> Iterator[tuple[_Service, str]]:
    made = _Service()
    server = grpc.server(ThreadPoolExecutor(2))
    add_MetricsServiceServicer_to_server(made, server)  # type: ignore[no-untyped-call, unused-ignore]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_an_execution_is_pushed_as_a_delta(server: Backend) -> None:
    """By HTTP to /v1/metrics, compressed and with the headers of the settings."""
    push(endpoint=server.url, headers={"X-Tenant": "a"}, compression="gzip")
    ((path, headers, body),) = server.requests
    sent = run_duration(pb.ExportMetricsServiceRequest.FromString(gzip.decompress(body)))
    (point,) = sent.data_points
    assert (path, headers["content-type"], headers["x-tenant"]) == ("/v1/metrics", "application/x-protobuf", "a")
    assert (sent.aggregation_temporality, point.count, point.time_unix_nano - point.start_time_unix_nano) == (
        _DELTA,
        1,
        1,
    )
    assert [exemplar.trace_id for exemplar in point.exemplars] == [EXECUTION.execution.trace_id]


def test_all_series_are_pushed_since_counting_began(server: Backend) -> None:
    """What `serve --push` sends is cumulative."""
    table = SeriesTable()
    table.add(EXECUTION.points)
    push_cumulative(Settings.load({"endpoint": server.url}, {}), table, _SINCE_NS)
    ((_, _, body),) = server.requests
    sent = run_duration(pb.ExportMetricsServiceRequest.FromString(body))
    assert sent.aggregation_temporality == _CUMULATIVE
    assert [(point.start_time_unix_nano, point.count) for point in sent.data_points] == [(_SINCE_NS, 1)]


def test_metrics_can_be_json(server: Backend) -> None:
    """Protocol http/json holds for metrics, too."""
    server.body = b"{}"
    push(endpoint=server.url, protocol="http/json")
    ((_, headers, body),) = server.requests
    assert headers["content-type"] == "application/json"
    assert b'"resourceMetrics"' in body


def test_the_environment_adds_nothing_to_the_settings(server: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock exporter reads variables of its own; the settings have decided about them before."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-foreign=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://elsewhere.invalid")
    push(endpoint=server.url)
    ((_, headers, _),) = server.requests
    assert {"x-foreign", "content-encoding"} & headers.keys() == set()


@pytest.mark.parametrize(("status", "is_transient"), [(503, True), (429, True), (400, False), (308, False)])
def test_a_refused_request_is_an_error_and_not_repeated(
    server: Backend, caplog: pytest.LogCaptureFixture, status: int, is_transient: bool
) -> None:
    """Once, with the backend's answer in the error, and nothing in the log of the exporter."""
    server.status, server.body = status, b"go away, token=abc123def"
    server.headers = {"Retry-After": "7", "location": server.url}
    with (
        caplog.at_level(logging.DEBUG, "opentelemetry"),
        pytest.raises(DeliveryError, match=f"HTTP {status}") as caught,
    ):
        push(endpoint=server.url)
    assert (caught.value.is_transient, caught.value.retry_after_seconds) == (is_transient, 7)
    assert "abc123def" not in str(caught.value)
    assert (len(server.requests), caplog.records) == (1, [])


def test_rejected_points_are_an_error(server: Backend) -> None:
    """A partial success is no success, by HTTP."""
    answer = pb.ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 2
    server.body = answer.SerializeToString()
    with pytest.raises(DeliveryError, match="2 "):
        push(endpoint=server.url)


def test_a_closed_port_is_a_transient_error() -> None:
    """It names the origin and no credentials."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DeliveryError, match=rf"^export to http://127\.0\.0\.1:{port} failed") as caught:
        push(endpoint=f"http://me:canary@127.0.0.1:{port}")
    assert caught.value.is_transient
    assert "canary" not in str(caught.value)


def test_a_lost_answer_is_not_counted_twice(server: Backend) -> None:
    """A connection that breaks after the request was read is not used for a second one."""
    asked = []

    def hang_up(handler: BaseHTTPRequestHandler) -> bool:
        asked.append(handler.rfile.read(int(handler.headers["content-length"])))
        handler.close_connection = True
        return True

    server.act = hang_up
    with pytest.raises(DeliveryError):
        push(endpoint=server.url)
    assert len(asked) == 1


def test_a_dripping_answer_ends_with_the_time_allowed(server: Backend) -> None:
    """The time holds for the whole exchange."""

    def drip(handler: BaseHTTPRequestHandler) -> bool:
        handler.rfile.read(int(handler.headers["content-length"]))
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)
        return True

    server.act = drip
    with pytest.raises(DeliveryError, match="time"):
        push(0.3, endpoint=server.url)


def test_an_endpoint_for_spans_only_is_a_config_error(server: Backend) -> None:
    """Nothing is sent to a guessed address."""
    with pytest.raises(ConfigError, match=r"telemetry\.metrics"):
        push(endpoint="file:///tmp/spans.jsonl")
    assert server.requests == []


def test_metrics_are_pushed_by_grpc(service: tuple[_Service, str]) -> None:
    """The same points; headers become metadata."""
    made, url = service
    push(protocol="grpc", endpoint=url, headers={"X-Tenant": "a"}, compression="gzip")
    ((request, metadata),) = made.requests
    sent = run_duration(request)
    assert (sent.aggregation_temporality, [point.count for point in sent.data_points]) == (_DELTA, [1])
    assert metadata["x-tenant"] == "a"


@pytest.mark.parametrize(
    ("code", "is_transient"), [(grpc.StatusCode.UNAVAILABLE, True), (grpc.StatusCode.PERMISSION_DENIED, False)]
)
def test_a_grpc_error_is_reported_each_time_and_not_repeated(
    service: tuple[_Service, str], caplog: pytest.LogCaptureFixture, code: grpc.StatusCode, is_transient: bool
) -> None:
    """With the code; the exporter logs nothing, and would log the second time nothing at all."""
    made, url = service
    made.failure = code
    for _ in range(2):
        with caplog.at_level(logging.INFO, "opentelemetry"), pytest.raises(DeliveryError, match=code.name) as caught:
            push(protocol="grpc", endpoint=url)
        assert caught.value.is_transient is is_transient
        assert "abc123def" not in str(caught.value)
    assert (len(made.requests), caplog.records) == (2, [])


def test_the_stock_grpc_exporter_overlooks_rejected_points(service: tuple[_Service, str]) -> None:
    """When this fails, the exporter reports a partial success: then say so in docs/metrics.md."""
    made, url = service
    made.rejected = 1
    push(protocol="grpc", endpoint=url)
    assert len(made.requests) == 1


def test_an_exporter_is_imported_by_the_first_push_only() -> None:
    """A step's process and `serve` load neither the exporters nor what they bring."""
    code = (
        "import sys, runlog_otel.live.observer, runlog_otel.exporters.traces.delivery, runlog_otel.service.service\n"
        "heavy = ('opentelemetry.exporter', 'opentelemetry.sdk', 'grpc', 'requests')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
