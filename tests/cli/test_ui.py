"""`ui` and `serve --ui`: wrong calls, and servers as processes."""

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.calls import Command
from tests.cli.conftest import RUNS
from tests.hosts.project import environment
from tests.peers.loopback import HOST, answers, free_ports
from tests.peers.process import PATIENCE_SECONDS, wait_until

WANTED = "listen: must be host:port, such as 127.0.0.1:9464 or [::1]:9464, not '9463'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["ui", "--reveal", "--listen", "0.0.0.0:9463"],
            "--reveal: needs --listen on a loopback address such as 127.0.0.1:9463, not 0.0.0.0",
        ),
        (["ui", "--listen", "9463"], WANTED),
        (["ui", "--tls-cert", "a.pem"], "--tls-cert, --tls-key: give both or neither"),
        (
            ["serve", "--ui", "--ui-listen", "9463", "--listen", "127.0.0.1:0"],
            "listen: must be host:port, such as 127.0.0.1:9464 or [::1]:9464, not '9463'",
        ),
    ],
)
def test_a_wrong_call_is_one_line(command: Command, arguments: list[str], message: str) -> None:
    """Which option, and what it should be; nothing is served."""
    done = command(*arguments)
    assert (done.status, done.err) == (2, f"error: {message}\n")


def _start(project: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "runlog_otel", *arguments],
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _get(port: int, path: str, name: str = "localhost") -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port)
    connection.request("GET", path, headers={"host": name})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_pages_are_served_until_a_signal(project: Path, number: signal.Signals) -> None:
    """Of the config's own store; the end is orderly, and says nothing."""
    (port,) = free_ports(1)
    process = _start(project, "ui", "--listen", f"{HOST}:{port}", "--host", "pages.example")
    try:
        assert wait_until(lambda: answers(f"http://{HOST}:{port}/"))
        for run_id in RUNS.values():
            assert _get(port, f"/runs/{run_id}")[0] == 200
        assert [_get(port, "/", name)[0] for name in ("pages.example", "evil.example")] == [200, 400]
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    lines = ["reading file-system store .run_log_store", f"pages: http://{HOST}:{port}/"]
    assert (process.returncode, output.splitlines()) == (0, lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_serve_has_the_pages_beside_its_metrics(project: Path, number: signal.Signals) -> None:
    """With the same login; they end with it, even if it is killed."""
    metrics, pages = free_ports(2)
    (project / "login").write_text("me:secret")
    process = _start(
        project,
        *("serve", "--listen", f"{HOST}:{metrics}", "--basic-auth-file", "login"),
        *("--ui", "--ui-listen", f"{HOST}:{pages}"),
    )
    try:
        assert wait_until(lambda: answers(f"http://{HOST}:{metrics}/-/ready"))
        assert [_get(port, "/")[0] for port in (metrics, pages)] == [401, 401]
        os.kill(process.pid, number)
        process.wait(PATIENCE_SECONDS)
        assert wait_until(lambda: not _is_open(pages))
    finally:
        process.kill()
        process.communicate()


def _is_open(port: int) -> bool:
    try:
        _get(port, "/")
    except OSError:
        return False
    return True
