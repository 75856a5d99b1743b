"""Run a server as a subprocess for as long as the tests need it, with its output in a file."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from tests.peers.loopback import HOST

TAIL_LINES = 20
PATIENCE_SECONDS = 120.0
"""What a busy machine may need for anything; only what fails waits so long."""


class ServerError(Exception):
    """A server did not come up."""

    def __init__(self, command: Sequence[str], problem: str, log: Path) -> None:
        self.log = log
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
        super().__init__(f"{Path(command[0]).name} {problem}; the end of {log}:\n{tail}")


class Identity(TypedDict, total=False):
    """Who a process runs as, in the words of `subprocess`: nothing for who the tests run as; only root can choose."""

    user: str
    group: str
    extra_groups: list[str]


class Server:
    """A server process, that can be stopped and started again."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        is_ready: Callable[[], bool],
        *,
        identity: Identity | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it without starting it.

        Args:
            command: the program and its arguments.
            folder: where it runs and its output is kept.
            is_ready: asked until it is true, then the server counts as started.
            identity: who it runs as.
            stop_signal: what asks it to end.
            environment: its variables, instead of those of the tests.
        """
        self.log = folder / "output.log"
        self._command = command
        self._folder = folder
        self._is_ready = is_ready
        self._identity = identity or Identity()
        self._stop_signal = stop_signal
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Start it unless it runs and wait until it is ready, or raise ServerError with the end of its output."""
        if self._process and self._process.poll() is None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._identity,
            )
        process = self._process
        is_over = wait_until(lambda: process.poll() is not None or self._is_ready(), timeout_seconds)
        if process.poll() is not None:
            raise ServerError(self._command, f"ended with status {process.returncode}", self.log)
        if not is_over:
            self.stop()
            raise ServerError(self._command, f"was not ready after {timeout_seconds:g} s", self.log)

    def kill(self) -> None:
        """End it at once, without asking."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, timeout_seconds: float = 60.0) -> None:
        """Ask it to end and wait; kill it when it takes too long."""
        if self._process is None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def config_file(config: Mapping[str, Any] | Path, path: Path) -> Path:
    """A server's config: a file as it stands, or a path at which a document is written."""
    if isinstance(config, Path):
        return config
    path.write_text(json.dumps(config, indent=2))  # JSON is YAML
    return path


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Start the server, and stop it at the end."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


def wait_until(is_done: Callable[[], bool], timeout_seconds: float = PATIENCE_SECONDS) -> bool:
    """Ask again and again until it is done, and return whether it is."""
    deadline = time.monotonic() + timeout_seconds
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def accepts(port: int) -> bool:
    """Return whether somebody listens on a port."""
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0
