"""An Alertmanager, and a webhook that keeps what it is told."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.peers.loopback import HOST, answers, free_ports, request
from tests.peers.process import PATIENCE_SECONDS, Server, config_file, running, wait_until

Document = dict[str, Any]


@dataclass(frozen=True)
class Alertmanager:
    """A running Alertmanager."""

    address: str
    """Host and port."""

    def alerts(self) -> list[Document]:
        """Return the alerts that it knows, with what silences and inhibits them."""
        return list(json.loads(request(f"http://{self.address}/api/v2/alerts")))


@dataclass(frozen=True)
class Webhook:
    """A server that is told of alerts."""

    url: str
    notifications: list[Document] = field(default_factory=list)
    """The bodies of all requests, oldest first."""

    def alerts(self, name: str) -> list[Document]:
        """Return the firing alerts of that name that it was told of."""
        told = [alert for notification in self.notifications for alert in notification["alerts"]]
        return [alert for alert in told if alert["status"] == "firing" and alert["labels"]["alertname"] == name]

    def wait_for(self, name: str, timeout: float = PATIENCE_SECONDS) -> Document:
        """Return the first alert of that name, once it was told of it, or raise TimeoutError."""
        if not wait_until(lambda: bool(self.alerts(name)), timeout):
            raise TimeoutError(f"{name} did not arrive in {timeout:g} s; what did: {self.notifications}")
        return self.alerts(name)[0]


@contextmanager
def running_alertmanager(binaries: Path, folder: Path, config: Mapping[str, Any] | Path) -> Iterator[Alertmanager]:
    """Run an Alertmanager on a port of its own, alone, with its data in a folder.

    Args:
        binaries: where it is installed.
        folder: an empty folder.
        config: a file as it stands, or what shall stand in one.
    """
    (port,) = free_ports(1)
    address = f"{HOST}:{port}"
    command = [
        f"{binaries}/alertmanager",
        f"--config.file={config_file(config, folder / 'alertmanager.json')}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with running(Server(command, folder, lambda: answers(f"http://{address}/-/ready"))):
        yield Alertmanager(address)


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    """Listen on a port of its own."""
    notifications: list[Document] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            notifications.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """What was told is kept, not printed."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Webhook(f"http://{HOST}:{server.server_port}/", notifications)
        finally:
            server.shutdown()
