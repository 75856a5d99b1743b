"""Ports and HTTP requests on the loopback interface, never through a proxy."""

import os
import socket
from contextlib import suppress
from http.client import HTTPException
from random import SystemRandom
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

HOST = "127.0.0.1"

# Below those that the system gives to outgoing connections, so that a server that restarts finds its port free.
_PORTS = range(20_000, 32_000)
# Each worker of pytest-xdist draws from a share of its own, by a generator that no test seeds.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_share = _PORTS[_worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
_untried = iter(SystemRandom().sample(_share, len(_share)))
_open = build_opener(ProxyHandler({})).open


class RefusedError(Exception):
    """A server answered a request with an error status."""

    def __init__(self, url: str, status: int, body: str) -> None:
        self.status = status
        self.body = body
        super().__init__(f"{url} answered {status}: {body}")


def free_ports(count: int) -> list[int]:
    """Return that many ports that nobody listens on, and that were not given before: their servers start later."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(_untried)
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                candidate.bind((HOST, port))
                ports.append(port)
    return ports


def request(url: str, body: bytes | None = None, content_type: str = "application/json") -> bytes:
    """GET the URL, or POST a body to it, and return the answer's body, or raise RefusedError for an error status."""
    try:
        with _open(Request(url, body, {"Content-Type": content_type}), timeout=10) as answer:
            content: bytes = answer.read()
            return content
    except HTTPError as error:
        with error:  # it holds the open connection
            raise RefusedError(url, error.code, error.read().decode(errors="replace")) from None


def answers(url: str) -> bool:
    """Return whether a GET of the URL succeeds."""
    try:
        request(url)
    except (RefusedError, HTTPException, OSError):
        return False
    return True
