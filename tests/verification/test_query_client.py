"""Backends are asked politely, and whatever they answer, one line says what is wrong."""

from pathlib import Path

import pytest

from runlog_otel.errors import BackendError, ConfigError
from runlog_otel.settings import Settings
from runlog_otel.verification.query_client import QueryClient
from tests.calls import Command
from tests.verification.conftest import configure
from tests.verification.servers import Server

SECRET = "canary-secret"
CHECKED = {"--jaeger": "/api/v3/services", "--tempo": "/api/echo", "--prometheus": "/api/v1/query"}
"""What each server is asked first."""


def client(url: str, **telemetry: object) -> QueryClient:
    return QueryClient("--jaeger", url, Settings.load(telemetry, {}), headers={"X-Own": "own"})


@pytest.mark.parametrize("option", CHECKED)
@pytest.mark.parametrize("answer", [(404, "text/plain", b"404 page not found"), (200, "text/html", b"<html>")])
def test_another_server_is_no_backend(
    command: Command, server: Server, option: str, answer: tuple[int, str, bytes]
) -> None:
    """Its traces would look as if they were missing; the exit status is 2."""
    server.fails[CHECKED[option]] = [answer]
    called = command("verify", "--all", option, server.url)
    assert (called.status, called.out) == (2, "")
    said = f"{option}: {server.url} does not answer GET {CHECKED[option]} as the query API of "
    assert called.err.startswith(f"error: {said}")


@pytest.mark.parametrize("option", CHECKED)
@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [(401, b"who?", " who?"), (302, b"<a href='/login'>", ""), (500, b"password=hunter2", "")],
)
def test_a_server_that_refuses_is_quoted(  # noqa: PLR0917 - a table's row
    command: Command, server: Server, option: str, status: int, body: bytes, shown: str
) -> None:
    """In one line, without secrets and without pages."""
    server.fails[CHECKED[option]] = [(status, "text/plain", body)]
    called = command("verify", "--all", option, server.url)
    said = f"error: {server.url}: answers HTTP {status} to GET {CHECKED[option]}{shown}"
    assert (called.status, called.out, called.err.startswith(said)) == (2, "", True)
    assert "hunter2" not in called.err
    assert "login" not in called.err


def test_a_backend_that_is_not_there(command: Command) -> None:
    """Its address is in the message; a login in it is not."""
    called = command("verify", "--all", "--jaeger", f"http://user:{SECRET}@127.0.0.1:9")
    assert called.status == 2
    assert "http://127.0.0.1:9" in called.err
    assert SECRET not in called.err


def test_a_backend_that_fails_on_the_way(command: Command, server: Server) -> None:
    """What was compared before is said, and where to go on."""
    command("export", "--all")
    first = command("verify", "--all", "--jaeger", server.url, "--limit", "1", "--json", "--wait", "0s").document[
        "after"
    ]
    trace_ids = [path.rpartition("/")[2] for path, _ in server.asked if "/traces/" in path]
    others = [trace_id for trace_id in server.traces if f"{trace_id}?raw_traces=true" not in trace_ids]
    for trace_id in others:
        server.fails[f"/api/v3/traces/{trace_id}"] = [(500, "text/plain", b"no disk")]
    called = command("verify", "--all", "--jaeger", server.url, "--wait", "0s")
    assert (called.status, called.out.partition(" runs")[0]) == (2, "1")
    note, error = called.err.splitlines()
    assert note == f"to go on after the runs that were compared: --after {first}"
    assert "answers HTTP 500 to GET /api/v3/traces/" in error


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"result": 5}', b'{"result": {"resourceSpans": [5]}}', b"\xff", b'"x"']
)
def test_an_answer_that_is_no_trace(command: Command, server: Server, body: bytes) -> None:
    """It is no missing trace."""
    command("export", "c")
    for trace_id in server.traces:
        server.fails[f"/api/v3/traces/{trace_id}"] = [(200, "application/json", body)]
    called = command("verify", "c", "--jaeger", server.url, "--wait", "0s")
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert "cannot be read" in called.err


@pytest.mark.parametrize(
    "url",
    ["", "canary", "ftp://canary", "http://", "http://canary:x", "http://can ary", "http://[::1", "http://canary/?x=1"],
)
def test_a_url_that_is_none(url: str) -> None:
    """The option is named, the URL is not: it may have a secret."""
    with pytest.raises(ConfigError, match=r"^--jaeger: must be the ") as raised:
        client(url)
    assert "canary" not in str(raised.value)


def test_a_busy_server_is_asked_again(server: Server) -> None:
    """As often as an export tries, after the pauses that it asks for."""
    server.fails["/api/echo"] = [(503, "text/plain", b""), (429, "text/plain", b"")]
    asker = client(server.url)
    assert asker.get("/api/echo").body == b"echo"
    server.fails["/api/echo"] = [(400, "text/plain", b"no")]
    with pytest.raises(BackendError, match="answers HTTP 400 to GET /api/echo no"):
        asker.get("/api/echo")
    assert len(server.asked) == 4
    asker.close()


def test_headers_of_the_endpoint_go_to_its_host_only(server: Server) -> None:
    """They may be credentials, and are not sent in clear if they were not. Those for backends go to each."""
    for endpoint in ("http://127.0.0.1:4318", "https://127.0.0.1", "http://elsewhere:4318", "file:///x"):
        asker = client(server.url, endpoint=endpoint, headers={"Authorization": SECRET})
        asker.get("/api/echo")
        asker.close()
    assert [headers.get("authorization") for _, headers in server.asked] == [SECRET, None, None, None]
    assert {headers["x-own"] for _, headers in server.asked} == {"own"}


def test_headers_and_parts_of_urls_come_from_the_environment(
    project: Path, command: Command, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login in the URL is sent as basic authentication; a variable that is wrong is named, not shown."""
    configure(project, server, endpoint="http://elsewhere:4318")
    monkeypatch.setenv("RUNLOG_OTEL_QUERY_HEADERS", "X-Scope-OrgID=tenant%201")
    monkeypatch.setenv("QUERY_LOGIN", "user:pass")
    url = server.url.replace("http://", "http://${QUERY_LOGIN}@")
    command("verify", "a", "--jaeger", url, "--wait", "0s")
    headers = [headers for _, headers in server.asked]
    assert {(one["x-scope-orgid"], one["authorization"]) for one in headers} == {("tenant 1", "Basic dXNlcjpwYXNz")}
    monkeypatch.setenv("RUNLOG_OTEL_QUERY_HEADERS", f"Authorization: Bearer {SECRET}")
    called = command("verify", "a", "--jaeger", server.url)
    assert (called.status, SECRET in called.err) == (2, False)
    assert called.err.startswith("error: RUNLOG_OTEL_QUERY_HEADERS: has no '='")


def test_requests_keep_to_a_rate(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one waits until its turn."""
    paused: list[float] = []
    monkeypatch.setattr("time.sleep", paused.append)
    asker = QueryClient("--tempo", server.url, Settings.load({}, {}), headers={}, requests_per_second=0.001)
    for _ in range(3):
        asker.get("/api/echo")
    asker.close()
    assert [round(seconds / 1_000) for seconds in paused] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--all",), "say which backend"),
        (("--jaeger", "http://h"), "say which runs"),
        (("a", "--all", "--jaeger", "http://h"), "say which runs"),
        (("--all", "--jaeger", "http://h", "--after", "x"), "--after: 'x' is no key"),
        (("--all", "--jaeger", "http://h", "--after", f"{'9' * 99}.x"), "is no key"),
        (("a", "--jaeger", "http://h", "--after", "1.x"), "--after: goes on in a list"),
        (("--since", "x", "--jaeger", "http://h"), "--since: 'x' is not an age"),
        (("--all", "--jaeger", "http://h", "--wait", "x"), "--wait: 'x' is not an age"),
        (("--all", "--jaeger", "http://h", "--limit", "0"), "--limit"),
        (("--all", "--jaeger", "http://${NOBODY_SET_THIS}"), "--jaeger: no secret and no environment variable"),
    ],
)
def test_a_call_that_is_wrong(command: Command, arguments: tuple[str, ...], said: str) -> None:
    """One line, and exit status 2."""
    called = command("verify", *arguments)
    assert (called.status, called.err.count("\n"), said in called.err) == (2, 1, True)


def test_nothing_is_healed_where_nothing_is_sent(project: Path, command: Command, server: Server) -> None:
    """As in an export."""
    configure(project, server, exporter="none")
    called = command("verify", "--all", "--jaeger", server.url, "--heal")
    assert (called.status, "nothing would be sent" in called.err) == (2, True)
