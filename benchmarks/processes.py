"""Commands, and the backends that they talk to."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

HOST = "127.0.0.1"
COMMAND = str(Path(sys.executable).with_name("runlog-otel"))
CLOSED = f"http://{HOST}:9"
_PREFIXES = ("OTEL_", "RUNNABLE_", "TRACEPARENT")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used, with its children."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str


def run(*command: str, folder: Path, **variables: str) -> Usage:
    """Run a command to its end; it must succeed."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment(variables), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}:\n{text[-2000:]}")
    return Usage(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text)


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment, without what changes telemetry or the host, and with some variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)} | dict(variables)


@dataclass(slots=True)
class Receiver:
    """An OTLP/HTTP backend that acknowledges everything."""

    url: str
    requests: list[int] = field(default_factory=list)
    """The size of each request's body."""


@contextmanager
def acknowledging() -> Iterator[Receiver]:
    """Run a receiver."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            receiver.requests.append(len(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the standard library's name
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        server.daemon_threads = True
        receiver = Receiver(f"http://{HOST}:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a port that accepts and never answers."""
    with socket.create_server((HOST, 0), backlog=128) as listener:
        yield f"http://{HOST}:{listener.getsockname()[1]}"


@contextmanager
def far_away(port: int, one_way_seconds: float) -> Iterator[int]:
    """A port that leads to another one; all bytes arrive that much later, in both directions."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, port, one_way_seconds), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, port: int, delay: float) -> None:
    with suppress(OSError):  # the listener is closed
        while True:
            near, _ = listener.accept()
            far = socket.create_connection((HOST, port))
            for source, target in ((near, far), (far, near)):
                target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                chunks: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
                threading.Thread(target=_receive, args=(source, chunks, delay), daemon=True).start()
                threading.Thread(target=_deliver, args=(target, chunks), daemon=True).start()


def _receive(source: socket.socket, chunks: SimpleQueue[tuple[float, bytes]], delay: float) -> None:
    chunk = b"-"
    while chunk:
        try:
            chunk = source.recv(65536)
        except OSError:
            chunk = b""
        chunks.put((time.perf_counter() + delay, chunk))


def _deliver(target: socket.socket, chunks: SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):  # the other side is gone
        while True:
            due, chunk = chunks.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            if not chunk:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(chunk)
