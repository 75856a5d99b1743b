"""A project with recorded runs, a server that has them, and `runlog-otel` called in this process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.calls import Command, calls_in_this_process
from tests.verification.servers import Server, running_server

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def copies(folder: Path, name: str, *run_ids: str) -> None:
    """Put copies of a recorded run into a store of files."""
    document = json.loads((GOLDEN / f"{name}.log.json").read_text(encoding="utf-8"))
    for run_id in run_ids:
        (folder / f"{run_id}.json").write_text(json.dumps(document | {"run_id": run_id}), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, server: Server) -> Path:
    """A store of files with the runs `a`, `b` (25 spans each) and `c`, a retried one, whose endpoint is the server."""
    store = tmp_path / ".run_log_store"
    store.mkdir()
    copies(store, "demo", "a", "b")
    copies(store, "retried", "c")
    configure(tmp_path, server)
    return tmp_path


def configure(project: Path, server: Server, **telemetry: Any) -> None:
    """Write the config."""
    config = {
        "run-log-store": {
            "type": "otel",
            "config": {
                "inner": {"type": "file-system", "config": {"log_folder": ".run_log_store"}},
                "telemetry": {"endpoint": server.url, "headers": {"x-scope-orgid": "canary-secret"}, **telemetry},
            },
        }
    }
    (project / "runnable-config.yaml").write_text(json.dumps(config), encoding="utf-8")


@pytest.fixture
def command(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Calls `runlog-otel` in the project, in this process."""
    yield from calls_in_this_process(project, monkeypatch, capfd)
