"""The server: where it listens, how it ends, and what a client cannot do to it."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from starlette.types import ASGIApp

from runlog_otel.errors import ConfigError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import source_from_url
from runlog_otel.web.app import pages_app
from runlog_otel.web.server import PagesServer
from tests.web.conftest import FileRuns, Page, run, step


@contextmanager
def serving(app: ASGIApp, tls: tuple[Path, Path] | None = None) -> Iterator[PagesServer]:
    """The server in a thread."""
    server = PagesServer(app, "127.0.0.1:0", tls)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def app(tmp_path: Path) -> ASGIApp:
    """The pages of a folder."""
    return pages_app([source_from_url(str(tmp_path), Settings.load({}, {}), {"": ""}.get)])


def get(url: str, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    """Status, headers and text of an answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request(method, path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def test_a_browser_gets_pages(app: ASGIApp, tmp_path: Path) -> None:
    """The path of a link leads to the run, whatever its id; nothing says which program serves."""
    run_id = "50%25 off?a=b#c"
    FileRuns(tmp_path).put(run(run_id, step("a")))
    with serving(app) as server:
        _, headers, text = get(server.url, "/")
        (link,) = [str(a["href"]) for tag, a in Page(text).tags if tag == "a" and "/runs/" in str(a["href"])]
        assert "server" not in headers
        status, _, text = get(server.url, link)
        assert (status, run_id in Page(text).text) == (200, True)
        status, headers, text = get(server.url, link, "HEAD")
        assert (status, text) == (200, "")


def test_tls_is_served_with_the_given_files(app: ASGIApp, tmp_path: Path) -> None:
    """A client that trusts the certificate gets a page."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(files[0])
    certificate.private_key_pem.write_to_path(files[1])
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with serving(app, files) as server:
        assert server.url.startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection(urlsplit(server.url).netloc, context=context)
        connection.request("GET", "/pipelines")
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize(
    ("listen", "problem"),
    [
        ("nowhere", "must be host:port"),
        ("no.such.host.invalid:1", "cannot be used"),
        ("203.0.113.1:1", "cannot be used"),
    ],
)
def test_a_wrong_address_is_an_error_at_once(app: ASGIApp, listen: str, problem: str) -> None:
    """Before anything is served."""
    with pytest.raises(ConfigError, match=problem):
        PagesServer(app, listen)


def test_an_address_that_is_taken_is_an_error(app: ASGIApp) -> None:
    """With the reason of the system."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="in use"):
            PagesServer(app, address)


def test_files_that_are_no_certificate_are_an_error(app: ASGIApp, tmp_path: Path) -> None:
    """Both are named."""
    with pytest.raises(ConfigError, match=r"none\.pem.*key\.pem.*cannot be used"):
        PagesServer(app, "127.0.0.1:0", (tmp_path / "none.pem", tmp_path / "key.pem"))
