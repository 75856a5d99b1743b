"""OTLP over HTTP: what counts as delivery, and for how long one waits for it."""

import gzip
import json
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from runlog_otel.errors import ConfigError, DeliveryError
from runlog_otel.exporters.otlp.answers import check_answer
from runlog_otel.exporters.otlp.encode import request_from_spans
from runlog_otel.exporters.otlp.http import OtlpHttpSink
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, Backend, backend, spans_of_every_kind
from tests.peers.collector import Collector

_SECONDS = 5.0


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


def send(url: str, seconds: float = _SECONDS, **config: object) -> None:
    """Send the spans once, over a connection of its own."""
    sink = OtlpHttpSink(Settings.load({"endpoint": url, **config}, {}))
    try:
        sink.send(RESOURCE, spans_of_every_kind(), seconds)
    finally:
        sink.close()


def test_spans_are_posted_as_protobuf(server: Backend) -> None:
    """The request is OTLP's, with the user's headers."""
    send(server.url, headers={"X-Tenant": "a"})
    ((path, headers, body),) = server.requests
    assert (path, headers["content-type"], headers["x-tenant"]) == ("/v1/traces", "application/x-protobuf", "a")
    assert body == request_from_spans(RESOURCE, spans_of_every_kind()).SerializeToString()


def test_spans_can_be_compressed(server: Backend) -> None:
    """Compression is told in the header, and gives equal bytes each time."""
    send(server.url, compression="gzip")
    send(server.url, compression="gzip")
    (_, headers, body), (_, _, again) = server.requests
    assert (headers["content-encoding"], body) == ("gzip", again)
    assert gzip.decompress(body) == request_from_spans(RESOURCE, spans_of_every_kind()).SerializeToString()


def test_spans_can_be_json(server: Backend) -> None:
    """Protocol http/json."""
    server.body = b"{}"
    send(server.url, protocol="http/json")
    assert server.span_names() == [span.name for span in spans_of_every_kind()]


def test_a_connection_serves_several_requests(server: Backend) -> None:
    """The sink keeps its connection."""
    sink = OtlpHttpSink(Settings.load({"endpoint": server.url}, {}))
    ports: set[int] = set()

    def note_port(handler: BaseHTTPRequestHandler) -> bool:
        ports.add(handler.client_address[1])
        return False

    server.act = note_port
    for _ in range(3):
        sink.send(RESOURCE, spans_of_every_kind(), _SECONDS)
    sink.close()
    assert (len(server.requests), len(ports)) == (3, 1)


@pytest.mark.parametrize(
    ("status", "is_transient"),
    [(429, True), (502, True), (503, True), (504, True), (400, False), (401, False), (500, False), (308, False)],
)
def test_any_other_status_is_no_delivery(server: Backend, status: int, is_transient: bool) -> None:
    """Only 2xx is; some may be tried again later."""
    server.status, server.body = status, b"go away, token=abc123def"
    with pytest.raises(DeliveryError) as caught:
        send(server.url)
    assert (caught.value.reason.split()[:2], caught.value.is_transient) == (["HTTP", str(status)], is_transient)
    assert "abc123def" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("Fri, 01 Jan 2100 00:00:09 GMT", 9), ("Fri, 01 Jan 1999 00:00:00 GMT", 0), ("soon", 0), ("-1", 0)],
)
def test_how_long_a_backend_asks_to_be_left_alone(
    server: Backend, header: str, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In seconds, or until a date."""
    year_2100 = SimpleNamespace(time=lambda: 4102444800.0)
    monkeypatch.setattr("runlog_otel.exporters.otlp.transience.time", year_2100)
    server.status, server.headers = 429, {"Retry-After": header}
    with pytest.raises(DeliveryError) as caught:
        send(server.url)
    assert caught.value.retry_after_seconds == seconds


def test_a_redirect_is_not_followed(server: Backend) -> None:
    """Spans and headers go where the user said and nowhere else."""
    with backend() as elsewhere:
        server.status, server.headers = 308, {"location": f"{elsewhere.url}/v1/traces"}
        with pytest.raises(DeliveryError, match="HTTP 308"):
            send(server.url)
        assert (len(server.requests), elsewhere.requests) == (1, [])


def test_a_partial_success_is_no_delivery(server: Backend) -> None:
    """The specification forbids to send the rejected spans again as they are, but they are not delivered."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "too old"
    server.body = answer.SerializeToString()
    with pytest.raises(DeliveryError, match="2 spans were rejected: too old"):
        send(server.url)


def test_a_warning_is_delivery(server: Backend) -> None:
    """A partial success without rejected spans is a hint."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.error_message = "use a newer field"
    server.body = answer.SerializeToString()
    send(server.url)
    assert len(server.requests) == 1


def test_an_answer_that_is_not_otlp_is_no_delivery(server: Backend) -> None:
    """A page of some web server acknowledges nothing."""
    server.body = b"<html>hello</html>"
    with pytest.raises(DeliveryError, match="not OTLP"):
        send(server.url)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 299])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_any_success_without_a_body_is_delivery(server: Backend, status: int, protocol: str) -> None:
    """Gateways and queues answer 202 or 204; an empty body says that all was taken."""
    server.status = status
    send(server.url, protocol=protocol)
    assert len(server.requests) == 1


_REJECTED = ExportTraceServiceResponse()
_REJECTED.partial_success.rejected_spans = 2
_REJECTED.partial_success.error_message = "no"
_REJECTED_JSON = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "no"}, "later": 1}'


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize(
    ("content_type", "body", "problem"),
    [
        ("application/json", b"{}", ""),
        ("application/json; charset=utf-8", b' {"partialSuccess": null}', ""),
        ("text/plain", b'{"partialSuccess": {}}', ""),
        ("", b"{}", ""),
        ("application/json", b"\xef\xbb\xbf{}", ""),
        ("application/json", _REJECTED_JSON, "2 spans were rejected: no"),
        ("application/x-protobuf", _REJECTED.SerializeToString(), "2 spans were rejected: no"),
        ("application/octet-stream", _REJECTED.SerializeToString(), "2 spans were rejected: no"),
        ("", _REJECTED.SerializeToString(), "2 spans were rejected: no"),
        ("Application/X-Protobuf", b"\x0a\x00", ""),
        ("text/html", b"<html>log in</html>", "the answer is not OTLP, but 19 bytes of content type 'text/html'"),
        ("text/plain", b"OK", "the answer is not OTLP, but 2 bytes of content type 'text/plain'"),
        ("", b"OK", "the answer is not OTLP, but 2 bytes without content type"),
        ("", b"hi", "the answer is not OTLP, but 2 bytes without content type"),
        (
            "application/x-protobuf",
            b"OK",
            "the answer is not OTLP, but 2 bytes of content type 'application/x-protobuf'",
        ),
        ("application/json", b"null", "the answer is not OTLP, but 4 bytes of content type 'application/json'"),
        ("application/json", b"[[[[", "the answer is not OTLP, but 4 bytes of content type 'application/json'"),
        ("application/json", b"[]", "the answer is not OTLP, but 2 bytes of content type 'application/json'"),
        (
            "application/json",
            b"[" * 60_000,
            "the answer is not OTLP, but 60000 bytes of content type 'application/json'",
        ),
        (
            "application/json",
            b'{"a":' * 12_000,
            "the answer is not OTLP, but 60000 bytes of content type 'application/json'",
        ),
        (
            "application/json",
            b'{"partialSuccess": {"rejectedSpans": 1e400}}',
            "the answer is not OTLP, but 44 bytes of content type 'application/json'",
        ),
    ],
)
def test_an_answer_is_read_as_what_it_is(
    server: Backend, protocol: str, content_type: str, body: bytes, problem: str
) -> None:
    """JSON is OTLP/JSON whatever was asked for, protobuf is what calls itself so; anything else is no delivery."""
    server.body = body
    server.headers = {"Content-Type": content_type} if content_type else {}
    if problem:
        with pytest.raises(DeliveryError) as caught:
            send(server.url, protocol=protocol)
        assert caught.value.reason == problem
    else:
        send(server.url, protocol=protocol)


_SEND = """
import sys
from runlog_otel.core.spans import spans_from_run
from runlog_otel.exporters.otlp.http import OtlpHttpSink
from runlog_otel.settings import Settings
from tests.core.logs import attempt, run, task

(trace,) = spans_from_run(run(task("a", attempt(1, 2))))
OtlpHttpSink(Settings.load({"endpoint": sys.argv[1]}, {})).send({}, trace.spans, 5.0)
print([name for name in sys.modules if name.startswith(("google", "opentelemetry"))])
"""


@pytest.mark.parametrize("body", [b"", b"\x0a\x00"])
def test_a_process_that_only_sends_loads_no_protobuf(server: Backend, body: bytes) -> None:
    """Neither to write spans nor to read that all is well, as the Collector says it."""
    server.body, server.headers = body, {"Content-Type": "application/x-protobuf"}
    done = subprocess.run([sys.executable, "-c", _SEND, server.url], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), len(server.requests)) == ("[]", 1)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["partialSuccess", "rejectedSpans", "x"]), inner),
)


@given(_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(), st.sampled_from(["", "application/json"]))
def test_no_answer_is_worse_than_no_delivery(body: bytes, content_type: str) -> None:
    """Whatever a backend answers, it is understood or refused in one way."""
    with suppress(DeliveryError):
        check_answer("here", content_type, body, ExportTraceServiceResponse)


def test_a_closed_port_is_no_delivery() -> None:
    """The message names the origin and no credentials."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DeliveryError) as caught:
        send(f"http://me:canary@127.0.0.1:{port}")
    assert str(caught.value) == f"export to http://127.0.0.1:{port} failed: [Errno 111] Connection refused"


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "collector.invalid"])
def test_a_host_that_no_name_can_be_is_no_delivery(host: str) -> None:
    """As one that is not found."""
    with pytest.raises(DeliveryError, match=rf"^export to http://{host}:4318 failed: [^\n]+$"):
        send(f"http://{host}:4318")


@pytest.mark.parametrize("dripped", ["header", "body", "nothing"])
def test_a_slow_answer_takes_no_longer_than_allowed(server: Backend, dripped: str) -> None:
    """The time holds for the exchange as a whole, however steadily bytes drip in."""

    def drip(handler: BaseHTTPRequestHandler) -> bool:
        handler.rfile.read(int(handler.headers["content-length"]))
        if dripped == "body":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
        elif dripped == "header":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        for _ in range(100):
            if dripped != "nothing":
                handler.wfile.write(b"x")
            time.sleep(0.05)
        return True

    server.act = drip
    start = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        send(server.url, seconds=0.5)
    assert caught.value.is_transient
    assert time.monotonic() - start < 3


def test_an_endless_answer_is_cut(server: Backend) -> None:
    """A backend cannot fill this process's memory."""
    server.body = b"x" * 200_000
    with pytest.raises(DeliveryError, match="too long"):
        send(server.url)


def test_a_proxy_of_the_environment_is_used(server: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY, unless NO_PROXY says otherwise."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    send("http://collector.invalid:4318")
    assert [path for path, _, _ in server.requests] == ["http://collector.invalid:4318/v1/traces"]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    send(server.url)
    assert [path for path, _, _ in server.requests][1:] == ["/v1/traces"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    folder = tmp_path_factory.mktemp("tls")
    made = trustme.CA()
    made.cert_pem.write_to_path(str(folder / "ca.pem"))
    client = made.issue_cert("client@runlog.invalid")
    client.private_key_pem.write_to_path(str(folder / "key.pem"))
    client.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    return made, folder


@pytest.fixture
def mutual(authority: tuple[trustme.CA, Path]) -> Iterator[Backend]:
    made, _ = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    made.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with backend(context) as running:
        yield running


def test_both_sides_can_show_certificates(mutual: Backend, authority: tuple[trustme.CA, Path]) -> None:
    """`certificate` is what to trust, `client_certificate` and `client_key` are shown."""
    folder = authority[1]
    names = {"certificate": "ca.pem", "client_certificate": "cert.pem", "client_key": "key.pem"}
    files: dict[str, object] = {setting: str(folder / name) for setting, name in names.items()}
    send(mutual.url, _SECONDS, **files)
    assert len(mutual.requests) == 1


def test_an_unknown_authority_is_no_delivery(mutual: Backend) -> None:
    """Nothing is sent to a server that cannot be verified."""
    with pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
        send(mutual.url)
    assert mutual.requests == []


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("field", ["certificate", "client_certificate", "client_key"])
def test_a_certificate_that_is_not_there_is_a_config_error(tmp_path: Path, protocol: str, field: str) -> None:
    """It says which setting to look at, and names the file."""
    path = tmp_path / "none.pem"
    settings = Settings.load({"endpoint": "HTTPS://127.0.0.1:1", "protocol": protocol, field: str(path)}, {})
    with pytest.raises(ConfigError) as caught:
        sink_from(settings)
    assert str(caught.value) == f"telemetry.{field}: {path} cannot be read: No such file or directory"


@pytest.mark.parametrize(("field", "beside"), [("certificate", {}), ("client_certificate", {"client_key": "text.pem"})])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_file_that_is_no_certificate_is_named(
    tmp_path: Path, field: str, beside: dict[str, str], protocol: str
) -> None:
    """In one line."""
    (tmp_path / "text.pem").write_text("hello")
    files: dict[str, object] = {name: str(tmp_path / "text.pem") for name in (field, *beside)}
    with pytest.raises(
        ConfigError, match=rf"^telemetry\.{field}[^\n]* {tmp_path}/text\.pem [^\n]*cannot be used: [^\n]+$"
    ):
        sink_from(Settings.load({"endpoint": "https://127.0.0.1:1", "protocol": protocol, **files}, {}))


def test_capitals_of_the_scheme_change_nothing(mutual: Backend, authority: tuple[trustme.CA, Path]) -> None:
    """HTTPS:// uses the certificates."""
    folder = authority[1]
    names = {"certificate": "ca.pem", "client_certificate": "cert.pem", "client_key": "key.pem"}
    files: dict[str, object] = {setting: str(folder / name) for setting, name in names.items()}
    send(mutual.url.replace("https", "HTTPS"), _SECONDS, **files)
    assert len(mutual.requests) == 1


def test_a_login_in_the_endpoint_is_sent(server: Backend) -> None:
    """As HTTP's basic authentication, decoded; headers of the user win."""
    url = server.url.replace("://", "://us%40er:p%3Aw@")
    send(url)
    send(url, headers={"Authorization": "Bearer abc"})
    assert [headers["authorization"] for _, headers, _ in server.requests] == [
        f"Basic {b64encode(b'us@er:p:w').decode()}",
        "Bearer abc",
    ]
    assert [headers["host"] for _, headers, _ in server.requests] == [server.url.removeprefix("http://")] * 2


def test_a_query_in_the_endpoint_is_sent(server: Backend) -> None:
    """After the path of the signal."""
    send(f"{server.url}/otlp?api-key=k&b=1")
    assert [path for path, _, _ in server.requests] == ["/otlp/v1/traces?api-key=k&b=1"]


def test_a_server_with_an_address_of_version_6() -> None:
    """The header Host has its brackets, and so have messages."""
    with backend(host="::1") as server:
        send(server.url)
        server.status = 400
        with pytest.raises(DeliveryError) as caught:
            send(server.url)
    assert server.url.startswith("http://[::1]:")
    assert {headers["host"] for _, headers, _ in server.requests} == {server.url.removeprefix("http://")}
    assert str(caught.value) == f"export to {server.url} failed: HTTP 400"


def test_http_spoken_to_a_grpc_port_is_told() -> None:
    """A common mistake, as both ports stand next to each other."""
    made = grpc.server(ThreadPoolExecutor(1))
    port = made.add_insecure_port("127.0.0.1:0")
    made.start()
    with pytest.raises(DeliveryError, match="it speaks HTTP/2 only, as a gRPC port does"):
        send(f"http://127.0.0.1:{port}")
    made.stop(None).wait()


def test_http_spoken_to_a_grpc_port_with_tls_is_told(authority: tuple[trustme.CA, Path]) -> None:
    """It hangs up on whoever does not offer HTTP/2."""
    ca, folder = authority
    issued = ca.issue_cert("127.0.0.1")
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    made = grpc.server(ThreadPoolExecutor(1))
    port = made.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)]))
    made.start()
    with pytest.raises(DeliveryError, match=r"a gRPC port with TLS does so"):
        send(f"https://127.0.0.1:{port}", certificate=str(folder / "ca.pem"))
    made.stop(None).wait()


def test_grpc_spoken_to_an_http_port_is_told(server: Backend) -> None:
    """The same mistake the other way round."""
    with pytest.raises(DeliveryError, match=r"; is it a port for OTLP over HTTP\?$"):
        sink_from(Settings.load({"endpoint": server.url, "protocol": "grpc"}, {})).send(RESOURCE, [], _SECONDS)


def test_http_spoken_to_the_collectors_grpc_port_is_told(collector: Collector) -> None:
    """It is another server."""
    with pytest.raises(DeliveryError, match="it speaks HTTP/2 only, as a gRPC port does"):
        send(collector.otlp_grpc)
