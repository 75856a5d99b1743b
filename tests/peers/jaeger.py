"""A Jaeger with its traces in memory: where to send spans, and what its query API has of them."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.peers.loopback import HOST, RefusedError, answers, free_ports, request
from tests.peers.process import PATIENCE_SECONDS, Server, running, wait_until

NOT_FOUND = 404

Trace = dict[str, Any]
MEMORY: Mapping[str, Any] = {"memory": {"max_traces": 100_000}}
BADGER: Mapping[str, Any] = {"badger": {"directories": {"keys": "keys", "values": "values"}, "ephemeral": False}}
"""Storages of Jaeger; the folders of the second are in that of the server."""


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger."""

    otlp_http: str
    """Base URL that takes spans by OTLP over HTTP."""
    otlp_grpc: str
    """URL that takes spans by OTLP over gRPC."""
    ui: str
    """Base URL of the query API and the pages."""

    def services(self) -> list[str]:
        """Return the names of the services that spans have come from."""
        return self._data("services")

    def trace(self, trace_id: str) -> Trace | None:
        """Return the trace of that hexadecimal id as the v1 API tells it, None when there is none."""
        try:
            found: list[Trace] = self._data(f"traces/{trace_id}")
        except RefusedError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return found[0]

    def traces(self, service: str, **params: str | int) -> list[Trace]:
        """Return the traces that a search finds.

        Args:
            service: the service's name, which a search must have.
            params: the others of the v1 API: operation, limit (of 100 if not given), start and end in microseconds,
                minDuration and maxDuration like "1ms", tags as a JSON object of strings.
        """
        return self._data(f"traces?{urlencode({'service': service, **params})}")

    def wait_for_trace(self, trace_id: str, spans: int, timeout: float = PATIENCE_SECONDS) -> Trace:
        """Return the trace of that id once it has at least that many spans, or raise TimeoutError."""
        found: Trace = {"spans": []}

        def is_there() -> bool:
            found.update(self.trace(trace_id) or {})
            return len(found["spans"]) >= spans

        if not wait_until(is_there, timeout):
            names = [span["operationName"] for span in found["spans"]]
            raise TimeoutError(f"trace {trace_id} has {len(names)} of {spans} spans after {timeout:g} s: {names}")
        return found

    def transform(self, text: str) -> list[Trace]:
        """Return the traces that the page shows for an uploaded file of OTLP/JSON: one document, or one per line."""
        try:
            documents = [json.loads(text)]
        except json.JSONDecodeError:
            documents = [json.loads(line) for line in text.splitlines() if line.strip()]
        # As the page does it: what several documents hold is sent as one.
        merged = {"resourceSpans": [spans for document in documents for spans in document["resourceSpans"]]}
        return self._data("transform", json.dumps(merged).encode())

    def _data(self, path: str, body: bytes | None = None) -> list[Any]:
        return json.loads(request(f"{self.ui}/api/{path}", body))["data"] or []


@contextmanager
def running_jaeger(binaries: Path, folder: Path, storage: Mapping[str, Any] = MEMORY) -> Iterator[Jaeger]:
    """Run a Jaeger of its own ports in a folder, with its traces in one of the storages."""
    http, grpc, ui, ui_grpc, health = (f"{HOST}:{port}" for port in free_ports(5))
    config = folder / "jaeger.json"  # JSON is YAML
    config.write_text(json.dumps(_config(http, grpc, ui, ui_grpc, health, storage), indent=2))
    server = Server([f"{binaries}/jaeger", f"--config={config}"], folder, lambda: answers(f"http://{health}/status"))
    with running(server):
        yield Jaeger(otlp_http=f"http://{http}", otlp_grpc=f"http://{grpc}", ui=f"http://{ui}")


@contextmanager
def running_shipped_jaeger(
    binaries: Path, folder: Path, config: Path, prometheus: str
) -> Iterator[tuple[Jaeger, Server]]:
    """Run a Jaeger of a file that users have, with addresses on loopback and its traces in a folder.

    Args:
        binaries: where `jaeger` is.
        folder: an empty folder.
        config: the file; that of its pages is beside it.
        prometheus: URL of the Prometheus that its monitor page asks.
    """
    http, grpc, ui, ui_grpc, health = (f"{HOST}:{port}" for port in free_ports(5))
    (telemetry,) = free_ports(1)
    environment = os.environ | {
        "JAEGER_OTLP_HTTP": http,
        "JAEGER_OTLP_GRPC": grpc,
        "JAEGER_UI": ui,
        "JAEGER_QUERY_GRPC": ui_grpc,
        "JAEGER_HEALTH": health,
        "JAEGER_TELEMETRY_HOST": HOST,
        "JAEGER_TELEMETRY_PORT": str(telemetry),
        "JAEGER_STORAGE": f"{folder}/storage",
        "JAEGER_PROMETHEUS": prometheus,
        "JAEGER_UI_CONFIG": str(config.with_name("ui.json")),
    }
    command = [f"{binaries}/jaeger", f"--config={config}"]
    server = Server(command, folder, lambda: answers(f"http://{health}/status"), environment=environment)
    with running(server):
        yield Jaeger(otlp_http=f"http://{http}", otlp_grpc=f"http://{grpc}", ui=f"http://{ui}"), server


def _config(  # noqa: PLR0917 - addresses
    http: str, grpc: str, ui: str, ui_grpc: str, health: str, storage: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": http}, "grpc": {"endpoint": grpc}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "traces"}},
        "extensions": {
            "jaeger_storage": {"backends": {"traces": dict(storage)}},
            "jaeger_query": {
                "storage": {"traces": "traces"},
                "http": {"endpoint": ui},
                "grpc": {"endpoint": ui_grpc},
                "enable_tracing": False,
            },
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": health}},
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},  # its own metrics would take a fixed port
        },
    }
