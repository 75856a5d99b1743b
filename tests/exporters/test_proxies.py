"""Proxies: which one is used for what, a real one that demands a login, and who is named when one fails."""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from runlog_otel.errors import ConfigError, DeliveryError
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.proxies import is_exception, proxy_of
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, Backend, backend, spans_of_every_kind
from tests.peers.tinyproxy import Tinyproxy

COLLECTOR = "http://collector.invalid:4318"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without proxies of whoever runs the tests."""
    for kind in ("http", "https", "all", "no", "grpc", "no_grpc"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind}_proxy".upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


def send(url: str, **config: object) -> None:
    """Send spans once."""
    sink = sink_from(Settings.load({"endpoint": url, **config}, {}))
    try:
        sink.send(RESOURCE, spans_of_every_kind(), 10)
    finally:
        sink.close()


def failure(url: str, **config: object) -> str:
    """What is told of a delivery that failed."""
    with pytest.raises(DeliveryError) as caught:
        send(url, **config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "is_direct"),
    [
        ("collector", 4318, "collector", True),
        ("Collector.Corp", 4318, "COLLECTOR.corp", True),
        ("a.corp", 4318, "corp", True),
        ("a.corp", 4318, ".corp", True),
        ("a.corp", 4318, "*.corp", True),
        ("corp", 4318, ".corp", True),
        ("acorp", 4318, "corp", False),
        ("a.corp.org", 4318, "corp", False),
        ("a", 4318, "*", True),
        ("a", 4318, "b, *", True),
        ("a", 4318, "", False),
        ("a", 4318, " , ", False),
        ("a", 4318, "a:4318", True),
        ("a", 4318, "a:4317", False),
        ("a", 443, "b a:443", True),
        ("10.1.2.3", 4318, "10.0.0.0/8", True),
        ("10.1.2.3", 4318, "10.1.2.3", True),
        ("10.1.2.3", 4318, "10.1.2.3:4318", True),
        ("10.1.2.3", 4318, "10.1.0.9/16", True),
        ("11.1.2.3", 4318, "10.0.0.0/8", False),
        ("10.1.2.3", 4318, "10.0.0.0/99", False),
        ("::1", 4318, "::1", True),
        ("::1", 4318, "[::1]", True),
        ("::1", 4318, "[::1]:4318", True),
        ("::1", 4318, "[::1]:4317", False),
        ("fd00::12", 4318, "fd00::/8", True),
        ("fd00::12", 4318, "[fd00::]/8", True),
        ("FD00:0::12", 4318, "fd00:0:0:0::12", True),
        ("fe80::12", 4318, "fd00::/8, 0.0.0.0/0", False),
    ],
)
def test_no_proxy_lists_who_is_reached_directly(host: str, port: int, no_proxy: str, is_direct: bool) -> None:
    """Names and their subdomains, addresses and ranges of both versions, with a port or without, in any case."""
    assert is_exception(host, port, no_proxy) is is_direct


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({"http_proxy": "http://p:3128"}, COLLECTOR, "http://p:3128/"),
        ({"HTTP_PROXY": "HTTP://p:3128/"}, COLLECTOR, "http://p:3128/"),
        ({"http_proxy": "p:3128"}, COLLECTOR, "http://p:3128/"),
        ({"http_proxy": "http://p"}, COLLECTOR, "http://p:80/"),
        ({"http_proxy": "https://p"}, COLLECTOR, "https://p:443/"),
        ({"http_proxy": "http://[::1]:3128"}, COLLECTOR, "http://[::1]:3128/"),
        ({"https_proxy": "http://p:1"}, "https://c", "http://p:1/"),
        ({"https_proxy": "http://p:1"}, "http://c", ""),
        ({"all_proxy": "http://p:1"}, "https://c", "http://p:1/"),
        ({"all_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8,::1"}, "http://10.9.8.7:4318", ""),
        ({"all_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8,::1"}, "http://[::1]:4318", ""),
        ({"all_proxy": "http://p:1", "NO_PROXY": "c:443"}, "https://c", ""),
        ({}, COLLECTOR, ""),
    ],
)
def test_the_usual_variables_name_the_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str
) -> None:
    """By the scheme of the URL, or for all."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_of(url)
    assert (bytes(found.url).decode() if found else "") == proxy


@pytest.mark.parametrize(
    "proxy", ["socks5://p:1080", "socks5h://me:canary@p", "http://[::1", "http://p:port", "http://"]
)
def test_a_proxy_that_is_none_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """It says which variable, and shows no login."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigError) as caught:
        send(COLLECTOR)
    assert str(caught.value) == (
        "ALL_PROXY: must be http://host:port or https://host:port; other proxies are not supported"
    )


@pytest.mark.parametrize("url", [COLLECTOR, "https://collector.invalid:4318"])
def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Not the collector, which nobody asked."""
    monkeypatch.setenv("ALL_PROXY", "http://me:canary@[::1]:9")
    assert failure(url) == "export to the proxy http://[::1]:9 failed: [Errno 111] Connection refused"


def test_a_proxy_hands_requests_on(tinyproxy: Tinyproxy, server: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a login that is percent-encoded in the variable."""
    monkeypatch.setenv("HTTP_PROXY", tinyproxy.url())
    before = tinyproxy.requests()
    send(server.url)
    assert (server.span_names(), tinyproxy.requests()) == ([s.name for s in spans_of_every_kind()], before + 1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Backend]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with backend(context) as running:
        yield running


def test_a_server_with_tls_is_reached_by_connect(
    tinyproxy: Tinyproxy,
    secure: Backend,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy sees no span, and the server no login of the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", tinyproxy.url())
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    before = tinyproxy.requests()
    send(secure.url, certificate=str(tmp_path / "ca.pem"))
    ((_, headers, _),) = secure.requests
    assert ("proxy-authorization" in headers, tinyproxy.requests()) == (False, before + 1)


@pytest.mark.parametrize(
    ("password", "status"), [("canary", "401 Unauthorized"), ("", "407 Proxy Authentication Required")]
)
def test_a_proxy_that_refuses_the_login_is_named(
    tinyproxy: Tinyproxy, password: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what helps."""
    monkeypatch.setenv("https_proxy", tinyproxy.url("me", password) if password else f"http://{tinyproxy.address}")
    assert failure("https://127.0.0.1:9") == (
        f"export to the proxy http://{tinyproxy.address} failed: {status}; "
        "give user:password@ in its URL, percent-encoded"
    )


def test_a_proxy_that_refuses_to_hand_on_is_named(server: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """407 is never the collector's."""
    server.status = 407
    monkeypatch.setenv("http_proxy", server.url.replace("://", "://me:canary@"))
    assert failure(COLLECTOR) == (
        f"export to the proxy {server.url} failed: HTTP 407; give user:password@ in its URL, percent-encoded"
    )


def test_a_server_that_a_proxy_cannot_reach_is_named_with_it(
    tinyproxy: Tinyproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell from outside which of them failed."""
    monkeypatch.setenv("HTTP_PROXY", tinyproxy.url())
    text = failure("http://127.0.0.1:9")
    assert text.startswith(f"export to http://127.0.0.1:9 (by the proxy http://{tinyproxy.address}) failed: ")


@contextmanager
def grpc_server() -> Iterator[tuple[str, list[Any]]]:
    """A server that takes everything, and what it took."""
    taken: list[Any] = []

    class Service(TraceServiceServicer):  # type: ignore[misc, unused-ignore]
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 the name is the service's
            taken.append(request)
            return pb.ExportTraceServiceResponse()

    made = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(Service(), made)  # type: ignore[no-untyped-call, unused-ignore]
    port = made.add_insecure_port("127.0.0.1:0")
    made.start()
    try:
        yield f"http://127.0.0.1:{port}", taken
    finally:
        made.stop(None).wait()


def test_grpc_has_variables_of_its_own(tinyproxy: Tinyproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """In lower case, and every server is reached by CONNECT; no_grpc_proxy and no_proxy know ranges too."""
    with grpc_server() as (url, taken):
        monkeypatch.setenv("grpc_proxy", tinyproxy.url())
        before = tinyproxy.requests()
        send(url, protocol="grpc")
        assert (len(taken), tinyproxy.requests()) == (1, before + 1)
        monkeypatch.setenv("no_proxy", "127.0.0.0/8")
        send(url, protocol="grpc")
        assert (len(taken), tinyproxy.requests()) == (2, before + 1)
