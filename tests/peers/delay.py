"""A TCP proxy that puts a server far away: what it forwards arrives later, in its order and at the full rate."""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.peers.loopback import HOST

_Waiting = queue.SimpleQueue[tuple[float, bytes]]


@dataclass
class Proxy:
    """A running proxy."""

    port: int
    requests: int = 0
    """How often clients sent something; of a client that waits for each answer, its round trips."""


@contextmanager
def delayed(port: int, round_trip_seconds: float = 0) -> Iterator[Proxy]:
    """Forward to a port of this machine until all clients are gone; half of the time passes each way."""
    connections: list[threading.Thread] = []
    with socket.create_server((HOST, 0)) as listener:
        proxy = Proxy(listener.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    forward = threading.Thread(target=_forward, args=(client, port, round_trip_seconds / 2, proxy))
                    forward.start()
                    connections.append(forward)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # ends `accept`
            for thread in (accepting, *connections):
                thread.join()


def _forward(client: socket.socket, port: int, seconds: float, proxy: Proxy) -> None:
    threads = []
    with client, socket.create_connection((HOST, port)) as server:
        for source, target, counter in ((client, server, proxy), (server, client, Proxy(0))):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting: _Waiting = queue.SimpleQueue()
            threads.append(threading.Thread(target=_receive, args=(source, waiting, seconds, counter)))
            threads.append(threading.Thread(target=_send, args=(target, waiting)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _receive(source: socket.socket, waiting: _Waiting, seconds: float, counter: Proxy) -> None:
    data = b"begin"
    while data:
        try:
            data = source.recv(1 << 20)
        except OSError:
            data = b""
        counter.requests += bool(data)
        waiting.put((time.monotonic() + seconds, data))


def _send(target: socket.socket, waiting: _Waiting) -> None:
    data = b"begin"
    with suppress(OSError):
        while data:
            due, data = waiting.get()
            time.sleep(max(0, due - time.monotonic()))
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
