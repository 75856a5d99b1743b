"""An OpenTelemetry Collector: one that hands spans to a Jaeger, or one that is made of files, as users have it."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.loopback import HOST, answers, free_ports, request
from tests.peers.process import Server, running

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Collector:
    """A running Collector."""

    otlp_http: str
    """Base URL that takes spans by OTLP over HTTP."""
    otlp_grpc: str
    """URL that takes spans by OTLP over gRPC."""


@contextmanager
def running_collector(binaries: Path, folder: Path, backend_otlp_grpc: str) -> Iterator[Collector]:
    """Run a Collector of its own ports in a folder, that exports to a backend by OTLP over gRPC."""
    http, grpc, health = (f"{HOST}:{port}" for port in free_ports(3))
    config = folder / "collector.json"  # JSON is YAML
    config.write_text(json.dumps(_config(http, grpc, health, backend_otlp_grpc), indent=2))
    server = Server([f"{binaries}/otelcol", f"--config={config}"], folder, lambda: answers(f"http://{health}/"))
    with running(server):
        yield Collector(otlp_http=f"http://{http}", otlp_grpc=f"http://{grpc}")


def _config(http: str, grpc: str, health: str, backend: str) -> dict[str, Any]:
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": http}, "grpc": {"endpoint": grpc}}}},
        "processors": {"batch": {"timeout": "50ms"}},
        "exporters": {"otlp_grpc": {"endpoint": backend, "tls": {"insecure": True}}},
        "extensions": {"health_check": {"endpoint": health}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["otlp_grpc"]}},
            "telemetry": {"metrics": {"level": "none"}},  # its own metrics would take a fixed port
        },
    }


class ShippedCollector:
    """A Collector of the files that users have, with addresses on loopback; it can be killed and started again."""

    def __init__(self, binaries: Path, folder: Path, configs: Sequence[Path], **variables: str) -> None:
        """Describe it without starting it; its ports stay its own.

        Args:
            binaries: where `otelcol` is.
            folder: an empty folder; its queue is kept there.
            configs: the files, each on top of the one before.
            variables: what the files read from the environment, beside addresses.
        """
        folder.mkdir(parents=True, exist_ok=True)
        http, self.otlp_grpc, self.metrics, health = (f"{HOST}:{port}" for port in free_ports(4))
        (telemetry,) = free_ports(1)
        self.otlp_http = f"http://{http}"
        self._telemetry = f"http://{HOST}:{telemetry}/metrics"
        addresses = {
            "COLLECTOR_OTLP_HTTP": http,
            "COLLECTOR_OTLP_GRPC": self.otlp_grpc,
            "COLLECTOR_METRICS": self.metrics,
            "COLLECTOR_HEALTH": health,
            "COLLECTOR_TELEMETRY_HOST": HOST,
            "COLLECTOR_TELEMETRY_PORT": str(telemetry),
            "COLLECTOR_QUEUE": f"{folder}/queue",
            "SPAN_METRICS_INTERVAL": "1s",
        }
        command = [f"{binaries}/otelcol", *(f"--config={config}" for config in configs)]
        environment = os.environ | addresses | variables
        self.server = Server(command, folder, lambda: answers(f"http://{health}/"), environment=environment)

    def exposed(self) -> Samples:
        """What Prometheus would scrape of it: pushed metrics and span metrics."""
        return _samples(f"http://{self.metrics}/metrics")

    def told_of_itself(self, metric: str, exporter: str = "") -> float:
        """The sum of a metric of its own telemetry, of all its components or of one exporter, or LookupError."""
        found = [
            value
            for (name, labels), value in _samples(self._telemetry).items()
            if name == metric and (not exporter or ("exporter", exporter) in labels)
        ]
        if not found:
            raise LookupError(metric)
        return sum(found)


def _samples(url: str) -> Samples:
    """The samples of an exposition in Prometheus's text format."""
    lines = [line for line in request(url).decode().splitlines() if line and not line.startswith("#")]
    samples = {}
    for line in lines:
        series, _, value = line.partition(" # ")[0].rpartition(" ")
        name, _, labels = series.partition("{")
        samples[name, frozenset(_LABEL.findall(labels))] = float(value)
    return samples
