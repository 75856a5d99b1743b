"""Serves the application of the pages with uvicorn, on an address of its own."""

import signal
import socket
import threading
from asyncio import TimerHandle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from runlog_otel.errors import ConfigError
from runlog_otel.exporters.metrics.access import address_from_text

_MAX_CONNECTIONS = 256
"""Above this, a request is answered with 503."""
_CONNECTION_SECONDS = 60.0
"""How long a connection may last from its start to its end: one that says nothing would keep its place for ever."""
_IDLE_SECONDS = 10
_BACKLOG = 128


class PagesServer:
    """Listens from the beginning, so that a wrong address is an error before anything else happens.

    Args:
        app: the application.
        listen: `host:port`; port 0 takes a free one.
        tls: certificate and key in PEM files.

    Raises:
        ConfigError: the address or a file cannot be used.
    """

    def __init__(self, app: ASGIApp, listen: str, tls: tuple[Path, Path] | None = None) -> None:
        self.host, port = address_from_text(listen)
        config = uvicorn.Config(
            app,
            http=_BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=1,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"certificate {tls and tls[0]}, key {tls and tls[1]}", f"cannot be used: {error}"
            ) from error
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            self._socket = socket.create_server((self.host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise ConfigError(f"listen {listen}", f"cannot be used: {error}") from error
        self._server = _Server(config)
        port = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{listen.rpartition(':')[0]}:{port}/"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, or until `stop` is called from another thread."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Let `run` return."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Ends at a signal as it does otherwise; uvicorn's own sends the signal to the process once more."""

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _BoundedProtocol(H11Protocol):
    """Closes a connection at its deadline; uvicorn has one for idle connections only."""

    _deadline: TimerHandle | None = None

    @override
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(_CONNECTION_SECONDS, transport.abort)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)
