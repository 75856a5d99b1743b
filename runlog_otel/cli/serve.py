"""`runlog-otel serve`: runs the service in the foreground until it is told to stop."""

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runlog_otel.cli import output
from runlog_otel.errors import ConfigError
from runlog_otel.exporters.metrics.prometheus import MetricsServer
from runlog_otel.service.service import ServeOptions, Service
from runlog_otel.service.state import State
from runlog_otel.sources.port import Source


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the metrics are scraped, and by whom."""

    address: str
    certificate: Path | None = None
    key: Path | None = None
    credentials_file: Path | None = None

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key, or neither; raises ConfigError."""
        if self.certificate and self.key:
            return self.certificate, self.key
        if self.certificate or self.key:
            raise ConfigError("--tls-cert, --tls-key", "give both or neither")
        return None

    @property
    def credentials(self) -> str:
        """`user:password`, or nothing; raises ConfigError."""
        if self.credentials_file is None:
            return ""
        try:
            credentials = self.credentials_file.read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError) as error:
            raise ConfigError("--basic-auth-file", f"cannot be read: {error}") from error
        user, _, password = credentials.partition(":")
        if not user or not password or len(credentials.splitlines()) > 1:
            raise ConfigError("--basic-auth-file", f"{self.credentials_file} must hold one line user:password")
        return credentials


def serve_sources(sources: Sequence[Source], state_file: Path, listening: Listening, options: ServeOptions) -> None:
    """Serve until SIGINT or SIGTERM, which end it at once: the state is whole at any moment, as after a kill."""
    output.log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    tls, credentials = listening.tls, listening.credentials
    service = Service(sources, State(state_file), options)
    server = MetricsServer(
        service.table, listening.address, is_ready=lambda: service.is_ready, tls=tls, credentials=credentials
    )
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        raise SystemExit

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    for source in sources:
        output.line(f"reading {source.where} every {options.interval_seconds:g} s; counted so far: {state_file}")
    output.line(f"metrics: {server.url}/metrics")
    try:
        service.run(stop)
    finally:
        server.close()
        service.close()
