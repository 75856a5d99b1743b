"""A Prometheus with its series in a folder: what it scrapes is in its config, what it has in its query API."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.peers.loopback import HOST, answers, free_ports, request
from tests.peers.process import PATIENCE_SECONDS, Server, config_file, running, wait_until

Result = list[dict[str, Any]]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    """Base URL of its API and its pages."""

    def query(self, expression: str, at: float | None = None) -> Result:
        """Return the vector that an expression is, now or at a Unix time."""
        params = {"query": expression} | ({} if at is None else {"time": str(at)})
        return list(self._data(f"query?{urlencode(params)}")["result"])

    def values(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the vector that an expression is now, by the labels of its series."""
        return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in self.query(expression)}

    def query_range(self, expression: str, start: float, end: float, step_seconds: float = 15) -> Result:
        """Return the matrix that an expression is between two Unix times."""
        params = {"query": expression, "start": start, "end": end, "step": step_seconds}
        return list(self._data(f"query_range?{urlencode(params)}")["result"])

    def query_exemplars(self, expression: str, start: float, end: float) -> Result:
        """Return the exemplars of the series of an expression between two Unix times."""
        return list(self._data(f"query_exemplars?{urlencode({'query': expression, 'start': start, 'end': end})}"))

    def alerts(self) -> Result:
        """Return the alerts that are pending or firing."""
        return list(self._data("alerts")["alerts"])

    def rules(self) -> Result:
        """Return the rules of all groups, as the server sees them."""
        return [rule for group in self._data("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> Result:
        """Return the targets that are scraped."""
        return list(self._data("targets?state=active")["activeTargets"])

    def wait_for(self, expression: str, timeout: float = PATIENCE_SECONDS) -> Result:
        """Return the vector that an expression is once it is not empty, or raise TimeoutError."""
        found: Result = []

        def is_there() -> bool:
            found[:] = self.query(expression)
            return bool(found)

        if not wait_until(is_there, timeout):
            raise TimeoutError(f"{expression} is empty after {timeout:g} s")
        return found

    def _data(self, path: str) -> Any:
        return json.loads(request(f"{self.url}/api/v1/{path}"))["data"]


@contextmanager
def running_prometheus(binaries: Path, folder: Path, config: Mapping[str, Any] | Path) -> Iterator[Prometheus]:
    """Run a Prometheus that keeps exemplars, on a port of its own, with its data in a folder.

    Args:
        binaries: where it is installed.
        folder: an empty folder.
        config: a file as it stands, or what shall stand in one.
    """
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"
    command = [
        f"{binaries}/prometheus",
        f"--config.file={config_file(config, folder / 'prometheus.json')}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with running(Server(command, folder, lambda: answers(f"{url}/-/ready"))):
        yield Prometheus(url)
