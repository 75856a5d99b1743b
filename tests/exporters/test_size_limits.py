"""Requests are as small as a backend wants them, and a span that is too large by itself costs no other its place."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from runlog_otel.core.trace import Span
from runlog_otel.errors import DeliveryError, TooLargeError
from runlog_otel.exporters.otlp.answers import is_about_size
from runlog_otel.exporters.traces.delivery import Delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.resend import raise_if_refused, send_in_batches
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, Backend, backend, refusing, spans_of_bytes
from tests.peers.collector import Collector
from tests.peers.fixtures import StartNginx

KIB, MIB = 1024, 1024 * 1024
UNBOUNDED = 256 * MIB


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


def sent(spans: Sequence[Span], **config: object) -> list[str]:
    """Send spans, and return the names of those that were refused for their size."""
    settings = Settings.load(config, {})
    with closing(sink_from(settings)) as sink:
        refused = send_in_batches(spans, lambda batch: sink.send(RESOURCE, batch, 30))
    return [one.span.name for one in refused]


def names(spans: Sequence[Span]) -> list[str]:
    return [span.name for span in spans]


@given(st.lists(st.integers(0, 100), max_size=1200), st.integers(0, 1000))
def test_every_span_that_fits_is_sent_once(sizes: list[int], limit: int) -> None:
    """In order; those that do not fit are returned, whatever is between them."""
    spans = spans_of_bytes(*[0]) * len(sizes)
    numbered: Sequence[Any] = list(zip(spans, sizes, strict=True))
    taken: list[Any] = []

    def send(batch: Sequence[Any]) -> None:
        assert 0 < len(batch) <= 512
        if (size := sum(size for _, size in batch)) > limit:
            raise TooLargeError("here", "too large", size)
        taken.extend(batch)

    refused = send_in_batches(numbered, send)
    assert taken == [one for one in numbered if one[1] <= limit]
    assert [one.span for one in refused] == [one for one in numbered if one[1] > limit]


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_requests_are_bounded_before_compression(server: Backend, protocol: str, compression: str) -> None:
    """By default to 1 MiB, which nginx takes; a larger span is tried alone."""
    spans = spans_of_bytes(*[10 * KIB] * 300, 2 * MIB, 1)
    if protocol == "http/json":
        server.body = b"{}"
    assert sent(spans, endpoint=server.url, protocol=protocol, compression=compression) == []
    assert server.span_names() == names(spans)
    sizes = [len(body) for _, _, body in server.requests]
    if compression == "none":
        assert [size > MIB for size in sizes] == [*[False] * (len(sizes) - 2), True, False]
    assert 5 <= len(sizes) <= 12


def test_the_bound_is_a_setting(tmp_path: Path) -> None:
    """It holds for files, too."""
    path = tmp_path / "out.jsonl"
    sent(spans_of_bytes(*[KIB] * 64), endpoint=path.as_uri(), max_batch_bytes=8 * KIB)
    lines = path.read_text().splitlines()
    assert all(len(line) < 8 * KIB for line in lines)
    assert sum(line.count('"name":"s') for line in lines) == 64


@pytest.mark.parametrize(
    ("status", "body"),
    [(413, b""), (413, b"<html>Request Entity Too Large</html>"), (400, b"\x12\x1bhttp: request body too large")],
)
def test_a_refused_batch_is_halved(server: Backend, status: int, body: bytes) -> None:
    """Until it is small enough; a span that is too large alone is returned, and all others are sent once."""
    spans = spans_of_bytes(*[KIB] * 50, 30 * KIB, *[KIB] * 50, 40 * KIB)
    server.act = refusing(20 * KIB, status, body)
    assert sent(spans, endpoint=server.url) == ["s51", "s102"]
    assert sorted(server.span_names()) == sorted(set(names(spans)) - {"s51", "s102"})


def test_a_backend_that_refuses_every_size_is_not_asked_for_every_span(server: Backend) -> None:
    """What is larger than a request that was refused need not be tried."""
    asked: list[int] = []
    refuse = refusing(0)

    def act(handler: Any) -> bool:
        asked.append(int(handler.headers["content-length"]))
        return refuse(handler)

    server.act = act
    assert len(sent(spans_of_bytes(*[KIB] * 512), endpoint=server.url)) == 512
    assert len(asked) <= 12


def test_another_refusal_is_not_about_size(server: Backend) -> None:
    """Nothing is halved for it."""
    server.status, server.body = 400, b"unknown field"
    with pytest.raises(DeliveryError, match="HTTP 400 unknown field"):
        sent(spans_of_bytes(1, 1), endpoint=server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("text", "is_size"),
    [
        ("grpc: received message larger than max (5 vs. 4)", True),
        ("grpc: received message after decompression larger than max 4", True),
        ("CLIENT: Received message larger than max (5 vs. 4)", True),
        ("gRPC message exceeds maximum size 4: 5", True),
        ("Received message exceeds the maximum configured message size.", True),
        ("Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes", True),
        ("Received http2 header with status: 413", True),
        ("Payload Too Large", True),
        ("http: request body too large", True),
        ("rate limit exceeded", False),
        ("request rate exceeds the limit", False),
        ("too many requests", False),
        ("Received http2 header with status: 429", False),
        ("", False),
    ],
)
def test_what_servers_say_of_size(text: str, is_size: bool) -> None:
    """Servers in Go, C, Java, .NET and Rust, and proxies before them."""
    assert is_about_size(text) is is_size


def test_nginx_with_its_default_limit(server: Backend, start_nginx: StartNginx) -> None:
    """Bounded batches pass, larger ones are halved after its 413, and one span of more than 1 MiB is named."""
    url = start_nginx(server.url)
    spans = spans_of_bytes(*[10 * KIB] * 300)
    assert sent(spans, endpoint=url) == []
    assert server.span_names() == names(spans)
    server.requests.clear()
    spans = spans_of_bytes(*[10 * KIB] * 300, 2 * MIB)
    assert sent(spans, endpoint=url, max_batch_bytes=UNBOUNDED) == ["s301"]
    assert server.span_names() == names(spans[:-1])


class _Service(TraceServiceServicer):  # type: ignore[misc, unused-ignore]
    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 the name is the service's
        self.names += [s.name for rs in request.resource_spans for ss in rs.scope_spans for s in ss.spans]
        return pb.ExportTraceServiceResponse()


@contextmanager
def grpc_server() -> Iterator[tuple[str, _Service]]:
    """A gRPC server with its default limit of 4 MiB."""
    made, service = grpc.server(ThreadPoolExecutor(1)), _Service()
    add_TraceServiceServicer_to_server(service, made)  # type: ignore[no-untyped-call, unused-ignore]
    port = made.add_insecure_port("127.0.0.1:0")
    made.start()
    try:
        yield f"http://127.0.0.1:{port}", service
    finally:
        made.stop(None).wait()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_grpc_with_its_default_limit(compression: str) -> None:
    """A message of more than 4 MiB is refused as RESOURCE_EXHAUSTED, which is not asked again as it is."""
    spans = spans_of_bytes(*[MIB] * 9, 5 * MIB, 1)
    with grpc_server() as (url, service):
        config = {"endpoint": url, "protocol": "grpc", "compression": compression}
        assert sent(spans, **config, max_batch_bytes=UNBOUNDED) == ["s10"]
        assert service.names == names([*spans[:9], spans[10]])


@pytest.mark.parametrize(("protocol", "limit"), [("http/protobuf", 20 * MIB), ("grpc", 4 * MIB)])
def test_the_collector_with_its_default_limits(collector: Collector, protocol: str, limit: int) -> None:
    """It tells them by a 400 over HTTP."""
    url = collector.otlp_grpc if protocol == "grpc" else collector.otlp_http
    spans = spans_of_bytes(limit // 2, limit // 2, limit, 1)
    assert sent(spans, endpoint=url, protocol=protocol, max_batch_bytes=UNBOUNDED) == ["s3"]


def test_what_is_too_large_is_told_and_remembered_while_the_rest_goes_out(
    server: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Live: run, span and size are named; the backend is not taken to have failed."""
    server.act = refusing(20 * KIB)
    outbox = Outbox(tmp_path)
    large, fine = spans_of_bytes(KIB, 30 * KIB, KIB), spans_of_bytes(KIB)
    sending = Delivery(Settings.load({"endpoint": server.url, "exit_budget_seconds": 60}, {}), outbox)
    with caplog.at_level(logging.WARNING):
        for run_id, spans in (("a", large), ("b", fine), ("c", fine)):
            sending.offer(run_id, RESOURCE, spans)
            sending.flush()
        sending.close()
    assert server.span_names() == ["s1", "s3", "s1", "s1"]
    ((run_id, reason),) = [(marker.run_id, marker.reason) for marker in outbox]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"run {run_id} was not sent whole to {server.url}: {reason}"
    assert (run_id, reason.partition(" of ")[0]) == ("a", "1 span is too large for the backend: 's2'")
    assert reason.endswith(" bytes (HTTP 413); the rest was acknowledged")


def test_many_spans_that_are_too_large_are_counted(server: Backend) -> None:
    """The first few are named."""
    server.act = refusing(0)
    settings = Settings.load({"endpoint": server.url}, {})
    with closing(sink_from(settings)) as sink:
        refused = send_in_batches(spans_of_bytes(*range(1, 10)), lambda batch: sink.send(RESOURCE, batch, 30))
    with pytest.raises(
        TooLargeError, match=r": 9 spans are too large for the backend: 's1' of .*, 's3' of [\d,]+ bytes, 6 more"
    ):
        raise_if_refused(refused)
    raise_if_refused([])
