"""The server of `/metrics` answers whatever a scraper may ask, and no client can keep it from the others."""

import base64
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from runlog_otel.cli.listening import Listening
from runlog_otel.core import semconv
from runlog_otel.core.points import Point
from runlog_otel.errors import ConfigError
from runlog_otel.exporters.metrics.prometheus import MetricsServer
from runlog_otel.exporters.metrics.series import SeriesTable
from tests.exporters.metrics.test_prometheus import LISTEN, get, status
from tests.peers.process import wait_until

LOGIN = "me:öpen:sesame"
TOKEN = base64.b64encode(LOGIN.encode()).decode()
MANY = 40


@pytest.fixture
def table() -> SeriesTable:
    """Two metrics, one of them with such labels that a page is larger than what sockets buffer."""
    table = SeriesTable()
    table.add([Point(semconv.EXPORTER_FAILURES, (), 3)])
    table.add(
        [
            Point(semconv.STEP_RETRIES, ((semconv.PIPELINE_NAME, f"{number} {'x' * 400_000}"),), 1)
            for number in range(10)
        ]
    )
    return table


Serving = Callable[..., MetricsServer]


@pytest.fixture
def serving(table: SeriesTable) -> Iterator[Serving]:
    """Makes a server of them, which is closed with the test."""
    with ExitStack() as closed:

        def make(**options: object) -> MetricsServer:
            server = MetricsServer(table, LISTEN, **options)  # type: ignore[arg-type]
            closed.callback(server.close)
            return server

        yield make


Clients = Callable[[MetricsServer, int, bytes], list[socket.socket]]


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Makes clients of a server that have sent something, and then wait."""
    with ExitStack() as closed:

        def make(server: MetricsServer, count: int, sent: bytes) -> list[socket.socket]:
            made = []
            for _ in range(count):
                client = socket.create_connection(
                    (urlsplit(server.url).hostname, urlsplit(server.url).port), timeout=20
                )
                closed.callback(client.close)
                with suppress(OSError):
                    client.sendall(sent)
                made.append(client)
            return made

        yield make


def asked(server: MetricsServer, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers without the date, and body."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    body, headers = answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return answer.status, {name: value for name, value in headers.items() if name != "date"}, body


def threads() -> int:
    """Those that answer requests."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def samples(page: bytes) -> list[bytes]:
    return [line for line in page.splitlines() if not line.startswith(b"#")]


def test_head_is_get_without_the_body(serving: Serving) -> None:
    """With the same headers, the length too."""
    server = serving(credentials="")
    for path in ("/", "/metrics", "/metrics?name[]=x", "/-/healthy", "/-/ready", "/elsewhere"):
        code, headers, body = asked(server, "GET", path)
        assert asked(server, "HEAD", path) == (code, headers, b"")
        assert headers["content-length"] == str(len(body))


def test_other_methods_are_refused(serving: Serving) -> None:
    """With those that are answered."""
    server = serving()
    told = {
        method: asked(server, method, "/metrics") for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS")
    }
    assert {method: code for method, (code, _, _) in told.items()} == dict.fromkeys(told, 405) | {"OPTIONS": 200}
    assert {headers["allow"] for _, headers, _ in told.values()} == {"GET, HEAD, OPTIONS"}


def test_a_scrape_may_name_what_it_wants(serving: Serving) -> None:
    """As prometheus-client does it: samples of these names, and an empty page where there is none."""
    server = serving()
    page = get(f"{server.url}/metrics")
    failures = [line for line in samples(page) if line.startswith(b"runlog_exporter_poll_failures_total")]
    wanted = f"{server.url}/metrics?name[]=runlog_exporter_poll_failures_total"
    assert samples(get(wanted)) == failures == [b"runlog_exporter_poll_failures_total 3.0"]
    both = samples(get(f"{wanted}&name[]=runlog_step_retries_total"))
    assert len(both) == 11
    assert get(f"{server.url}/metrics?name[]=nothing") == b""


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (f"Basic {TOKEN}", 200),
        (f"basic {TOKEN}", 200),
        (f"BASIC   {TOKEN} ", 200),
        (f"Bearer {TOKEN}", 401),
        ("Basic", 401),
        ("Basic ", 401),
        ("", 401),
        ("Basic %%%", 401),
        ("Basic \xff\xfe", 401),
        (f"Basic {TOKEN}{TOKEN}", 401),
        (f"{TOKEN}", 401),
        ("Basic " + "A" * 60_000, 401),
    ],
)
def test_a_login_is_of_the_scheme_basic_in_any_case(
    serving: Serving, authorization: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Anything else is refused, without a traceback."""
    server = serving(credentials=LOGIN)
    assert (status(f"{server.url}/metrics", authorization), capfd.readouterr().err) == (code, "")


@pytest.mark.parametrize("content", [LOGIN, f"{LOGIN}\n", f"\ufeff{LOGIN}\r\n", f"\r\n{LOGIN}\r\n\r\n"])
def test_the_file_with_a_login_may_come_from_any_editor(tmp_path: Path, content: str) -> None:
    """With a mark of its encoding, and lines that end in any way."""
    (tmp_path / "login").write_bytes(content.encode())
    assert Listening("", credentials_file=tmp_path / "login").credentials == LOGIN


@pytest.mark.parametrize("content", ["", "me", "me:", ":secret", "me:a\nyou:b"])
def test_a_file_without_one_login_is_said(tmp_path: Path, content: str) -> None:
    """In one line that does not show it."""
    (tmp_path / "login").write_text(content)
    with pytest.raises(ConfigError, match=r"^--basic-auth-file: .*login must hold one line user:password$"):
        _ = Listening("", credentials_file=tmp_path / "login").credentials


@pytest.mark.parametrize(
    "sent", [b"", b"GET /metr", b"GET /metrics HTTP/1.0\r\nA: b\r\n", b"GET /metrics HTTP/1.0\r\n\r\n"]
)
def test_clients_that_hang_keep_no_scrape_from_its_answer(serving: Serving, clients: Clients, sent: bytes) -> None:
    """However many they are, and wherever they stop: the threads are bounded, and the oldest client makes room."""
    server = serving()
    clients(server, MANY, sent)
    for _ in range(3):
        assert len(samples(get(f"{server.url}/metrics"))) == 11
        clients(server, 10, sent)
    assert threads() <= 32


def test_a_request_has_one_time_out_in_all(
    serving: Serving, clients: Clients, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A client that sends a byte now and then is cut, and so is one that does not read its answer."""
    late, now = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + late[0])
    server = serving()
    dripping = clients(server, 5, b"GET /metrics HTTP/1.0\r\nX: ")
    slow = clients(server, 5, b"GET /metrics HTTP/1.0\r\n\r\n")
    for client in dripping:
        client.sendall(b"y")
    assert wait_until(lambda: threads() == 10)
    late[0] = 31.0
    assert wait_until(lambda: threads() == 0)
    assert [_rest(client) for client in dripping] == [b""] * 5
    assert all(len(_rest(client)) < len(get(f"{server.url}/metrics")) for client in slow)
    assert capfd.readouterr().err == ""


def test_a_client_that_never_ends_its_handshake_keeps_nobody(
    serving: Serving,
    clients: Clients,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """By TLS, too: a silent one, one that stops in its first message, and one that does not read its answer."""
    late, now = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + late[0])
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    server = serving(tls=(tmp_path / "both.pem", tmp_path / "both.pem"))
    clients(server, MANY, b"")
    clients(server, MANY, b"\x16\x03\x01\x02\x00\x01")
    (raw,) = clients(server, 1, b"")
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as slow:
        slow.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert len(samples(get(f"{server.url}/metrics", context=context))) == 11
        assert threads() <= 32
        late[0] = 31.0
        assert wait_until(lambda: threads() == 0)
    assert capfd.readouterr().err == ""


def test_a_request_that_is_none_is_refused(serving: Serving, clients: Clients) -> None:
    """Whatever it says, and the next one is answered."""
    server = serving()
    for sent in (
        b"\r\n\r\n",
        b"\x00\xff\n\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G" * 100_000,
        b"GET / HTTP/1.0\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ):
        (client,) = clients(server, 1, sent)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        assert re.match(rb"$|HTTP/1.0 4|HTTP/1.0 505|.*<title>Error|<!DOCTYPE", _rest(client), re.DOTALL)
    assert status(f"{server.url}/-/healthy") == 200


def _rest(client: socket.socket) -> bytes:
    """All that a client gets until the end."""
    received = b""
    with suppress(OSError):
        while more := client.recv(1 << 20):
            received += more
    return received
