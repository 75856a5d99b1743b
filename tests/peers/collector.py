"""An OpenTelemetry Collector that hands the spans it receives to a Jaeger."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.loopback import HOST, answers, free_ports
from tests.peers.process import Server, running


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
