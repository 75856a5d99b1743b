"""A VictoriaLogs with its data in a folder: where to send logs, and what a query finds."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.peers.loopback import HOST, answers, free_ports, request
from tests.peers.process import PATIENCE_SECONDS, Server, running, wait_until

Row = dict[str, Any]
"""A log record's fields by name; `_msg` is its body, `_time` its time."""

ANY_AGE = ("-retentionPeriod=100y",)
"""Flags of a server that accepts records of any age; by default those older than a week are dropped."""


@dataclass(frozen=True)
class VictoriaLogs:
    """A running VictoriaLogs."""

    url: str
    """Base URL of the query API and the pages."""
    server: Server

    @property
    def otlp_http(self) -> str:
        """Base URL that takes log records by OTLP over HTTP, as protobuf only."""
        return f"{self.url}/insert/opentelemetry"

    def query(self, expression: str) -> list[Row]:
        """Return the records that match a LogsQL expression, oldest first."""
        query = urlencode({"query": f"{expression} | sort by (_time)"})
        return [json.loads(line) for line in request(f"{self.url}/select/logsql/query?{query}").splitlines()]

    def wait_for(self, expression: str, records: int = 1, timeout: float = PATIENCE_SECONDS) -> list[Row]:
        """Return the records that match, once there are at least that many, or raise TimeoutError."""
        rows: list[Row] = []

        def is_there() -> bool:
            rows[:] = self.query(expression)
            return len(rows) >= records

        if not wait_until(is_there, timeout):
            raise TimeoutError(f"{expression} has {len(rows)} of {records} records after {timeout:g} s: {rows}")
        return rows


@contextmanager
def running_victorialogs(binaries: Path, folder: Path, flags: Sequence[str] = ANY_AGE) -> Iterator[VictoriaLogs]:
    """Run a VictoriaLogs on a port of its own, with its data in a folder.

    Args:
        binaries: where `victoria-logs` is.
        folder: an empty folder.
        flags: what it is told beside its address and its folder.
    """
    (port,) = free_ports(1)
    address = f"{HOST}:{port}"
    own = [f"-httpListenAddr={address}", f"-storageDataPath={folder}/data"]
    command = [f"{binaries}/victoria-logs", *own, *flags]
    with running(Server(command, folder, lambda: answers(f"http://{address}/health"))) as server:
        yield VictoriaLogs(f"http://{address}", server)
