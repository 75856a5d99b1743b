"""The other ways out: gRPC, files, installed SDK exporters."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Any_
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runlog_otel.core.redaction import MASK
from runlog_otel.core.trace import Span
from runlog_otel.errors import ConfigError, DeliveryError, TooLargeError
from runlog_otel.exporters.otlp.encode import request_from_spans
from runlog_otel.exporters.traces.resend import send_in_batches
from runlog_otel.exporters.traces.sink import ManySinks, sink_from
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, spans_of_bytes, spans_of_every_kind


def send(seconds: float = 5.0, **config: object) -> None:
    """Send the spans once through the sink that the settings ask for."""
    sink = sink_from(Settings.load(config, {}))
    try:
        sink.send(RESOURCE, spans_of_every_kind(), seconds)
    finally:
        sink.close()


class _Service(TraceServiceServicer):  # type: ignore[misc, unused-ignore]
    def __init__(self) -> None:
        self.requests: list[tuple[pb.ExportTraceServiceRequest, dict[str, Any]]] = []
        self.rejected = 0
        self.failure: grpc.StatusCode | None = None
        self.metadata: tuple[tuple[str, bytes], ...] = ()

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:  # noqa: N802
        if self.failure is not None:
            context.set_trailing_metadata(self.metadata)
            context.abort(self.failure, "not now")
        self.requests.append((request, dict(context.invocation_metadata())))
        return pb.ExportTraceServiceResponse(partial_success=pb.ExportTracePartialSuccess(rejected_spans=self.rejected))


@pytest.fixture
def service() -> Iterator[tuple[_Service, str]]:
    made = _Service()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(made, server)  # type: ignore[no-untyped-call, unused-ignore]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_grpc_delivers_the_same_request(service: tuple[_Service, str]) -> None:
    """Headers become metadata."""
    made, url = service
    send(protocol="grpc", endpoint=url, headers={"X-Tenant": "a"}, compression="gzip")
    ((request, metadata),) = made.requests
    assert (request, metadata["x-tenant"]) == (request_from_spans(RESOURCE, spans_of_every_kind()), "a")


@pytest.mark.parametrize("seconds", [0, 7])
def test_a_grpc_server_may_ask_for_a_pause(service: tuple[_Service, str], seconds: int) -> None:
    """By `RetryInfo` in the details of its status; without it no pause is asked for."""
    made, url = service
    made.failure = grpc.StatusCode.RESOURCE_EXHAUSTED
    details = Status(code=8, details=[Any_()])
    if seconds:
        details.details[0].Pack(RetryInfo(retry_delay={"seconds": seconds}))
    made.metadata = (("grpc-status-details-bin", details.SerializeToString()),)
    with pytest.raises(DeliveryError) as caught:
        send(protocol="grpc", endpoint=url)
    assert (caught.value.is_transient, caught.value.retry_after_seconds) == (True, seconds)


@pytest.mark.parametrize(
    ("code", "is_transient"),
    [
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.ABORTED, True),
        (grpc.StatusCode.PERMISSION_DENIED, False),
    ],
)
def test_a_grpc_error_is_no_delivery(service: tuple[_Service, str], code: grpc.StatusCode, is_transient: bool) -> None:
    """Some may be tried again later."""
    made, url = service
    made.failure = code
    with pytest.raises(DeliveryError, match=f"{code.name}: not now") as caught:
        send(protocol="grpc", endpoint=url)
    assert caught.value.is_transient is is_transient


def test_a_grpc_partial_success_is_no_delivery(service: tuple[_Service, str]) -> None:
    """Rejected spans are not delivered."""
    made, url = service
    made.rejected = 1
    with pytest.raises(DeliveryError, match="1 spans were rejected"):
        send(protocol="grpc", endpoint=url)


def test_grpc_reaches_a_socket_file_and_names_that_it_resolves(tmp_path: Path) -> None:
    """As grpc's own names say; a socket file needs no TLS, a name needs `insecure`."""
    made = _Service()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(made, server)  # type: ignore[no-untyped-call, unused-ignore]
    server.add_insecure_port(f"unix:{tmp_path}/s")
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for endpoint in (f"unix://{tmp_path}/s", f"unix:{tmp_path}/s"):
        send(protocol="grpc", endpoint=endpoint)
    for endpoint in (f"dns:///127.0.0.1:{port}", f"dns:127.0.0.1:{port}", f"127.0.0.1:{port}"):
        send(protocol="grpc", endpoint=endpoint, insecure=True)
    server.stop(None).wait()
    assert len(made.requests) == 5


def test_a_socket_file_that_is_not_there_is_no_delivery(tmp_path: Path) -> None:
    """Nothing else is tried in its place."""
    with pytest.raises(DeliveryError, match=rf"^export to unix://{tmp_path}/none failed: UNAVAILABLE: "):
        send(protocol="grpc", endpoint=f"unix://{tmp_path}/none")


def test_a_login_in_the_endpoint_is_sent_by_grpc(service: tuple[_Service, str]) -> None:
    """As over HTTP; headers of the user win."""
    made, url = service
    send(protocol="grpc", endpoint=url.replace("://", "://user:pw@"))
    send(protocol="grpc", endpoint=url.replace("http://", "user:pw@"), insecure=True)
    send(protocol="grpc", endpoint=url.replace("://", "://user:pw@"), headers={"authorization": "Bearer abc"})
    assert [metadata["authorization"] for _, metadata in made.requests] == [
        "Basic dXNlcjpwdw==",
        "Basic dXNlcjpwdw==",
        "Bearer abc",
    ]


def test_a_header_that_grpc_cannot_have_is_no_delivery(service: tuple[_Service, str]) -> None:
    """HTTP allows more names."""
    with pytest.raises(DeliveryError, match=r": INTERNAL: Invalid metadata$"):
        send(protocol="grpc", endpoint=service[1], headers={"a!b": "x"})


def test_a_file_gets_a_line_for_each_request(tmp_path: Path) -> None:
    """OTLP/JSON lines; the folder is made."""
    path = tmp_path / "new" / "a b.jsonl"
    send(endpoint=path.as_uri())
    send(endpoint=path.as_uri())
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert [span["name"] for span in json.loads(lines[0])["resourceSpans"][0]["scopeSpans"][0]["spans"]] == [
        span.name for span in spans_of_every_kind()
    ]


def test_lines_of_many_processes_do_not_mix(tmp_path: Path) -> None:
    """Four writers, fifty requests each: two hundred whole lines."""
    path = tmp_path / "out.jsonl"
    code = (
        "import sys\n"
        "from runlog_otel.exporters.traces.sink import sink_from\n"
        "from runlog_otel.settings import Settings\n"
        "from tests.exporters.spans import RESOURCE, spans_of_every_kind\n"
        "sink = sink_from(Settings.load({'endpoint': sys.argv[1]}, {}))\n"
        "for _ in range(50): sink.send(RESOURCE, spans_of_every_kind() * 20, 5)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path.as_uri()]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    lines = path.read_text().splitlines()
    assert (len(lines), len(set(lines))) == (200, 1)


def test_a_file_that_cannot_be_written_is_no_delivery(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(DeliveryError, match="Is a directory"):
        send(endpoint=tmp_path.as_uri())


def printed_by(exporter: str, endpoint: str = "", **config: object) -> list[str]:
    """The span names that a process prints whose spans go to these exporters."""
    code = (
        "import sys\n"
        "from runlog_otel.exporters.traces.resend import send_in_batches\n"
        "from runlog_otel.exporters.traces.sink import sink_from\n"
        "from runlog_otel.settings import Settings\n"
        "from tests.exporters.spans import RESOURCE, spans_of_every_kind\n"
        "endpoint = sys.argv[2] or 'http://127.0.0.1:1'\n"
        f"settings = Settings.load({{'exporter': sys.argv[1], 'endpoint': endpoint, **{config}}}, {{}})\n"
        "sink = sink_from(settings)\n"
        "send_in_batches(spans_of_every_kind(), lambda batch: sink.send(RESOURCE, batch, 5))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, exporter, endpoint], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith('    "name": ')]
    return [json.loads("{" + line.rstrip(",") + "}")["name"] for line in lines]


def test_an_installed_sdk_exporter_is_fed_with_sdk_spans() -> None:
    """`console` is the SDK's own; any other is found by its entry point in the same way."""
    assert printed_by("console") == [span.name for span in spans_of_every_kind()]


def test_several_exporters_each_get_the_spans(tmp_path: Path) -> None:
    """OTEL_TRACES_EXPORTER=otlp,console."""
    path = tmp_path / "out.jsonl"
    assert printed_by("otlp, console", path.as_uri()) == [span.name for span in spans_of_every_kind()]
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.parametrize("exporter", ["none", "NONE", "none,none"])
def test_there_is_no_sink_that_sends_nothing(exporter: str) -> None:
    """What it would acknowledge would be lost."""
    with pytest.raises(ConfigError, match=r"^telemetry\.exporter: nothing would be sent: "):
        send(exporter=exporter)
    with pytest.raises(ConfigError, match=r"^telemetry\.enabled: nothing would be sent: "):
        send(enabled=False)


class _Raising(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("password=hunter2")


def test_an_sdk_exporter_that_raises_is_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, without secrets."""
    entry = EntryPoint("raising", f"{__name__}:_Raising", "opentelemetry_traces_exporter")
    monkeypatch.setattr("runlog_otel.exporters.traces.sdk.entry_points", lambda **_: [entry])
    with pytest.raises(DeliveryError) as caught:
        send(exporter="raising")
    assert str(caught.value) == f"export to exporter raising failed: RuntimeError: password={MASK}"


def test_a_batch_that_is_halved_for_one_exporter_reaches_the_others_once(tmp_path: Path) -> None:
    """Whatever order they are listed in."""
    path = tmp_path / "out.jsonl"
    printed = printed_by("console,otlp", path.as_uri(), max_batch_bytes=2000)
    assert printed == [span.name for span in spans_of_every_kind()]
    assert len(path.read_text().splitlines()) > 1


def test_a_span_that_is_too_large_for_one_exporter_reaches_the_others() -> None:
    """And is told as too large."""
    taken: list[str] = []

    class Taking:
        def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
            taken.extend(span.name for span in spans)

        def close(self) -> None:
            pass

    class Strict(Taking):
        def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
            if any(span.name == "s2" for span in spans):
                raise TooLargeError("here", "too large", 1)

    many = ManySinks([Strict(), Taking()])
    refused = send_in_batches(spans_of_bytes(1, 1, 1), lambda batch: many.send(RESOURCE, batch, 5))
    assert ([one.span.name for one in refused], taken) == (["s2"], ["s1", "s2", "s3"])


def test_an_exporter_that_is_not_installed_is_a_config_error() -> None:
    """It says which are."""
    with pytest.raises(ConfigError, match=r"no exporter 'zipkin' is installed; known are .*console.*otlp"):
        send(exporter="zipkin")
