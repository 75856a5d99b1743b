"""A project with recorded runs, and the command as its users call it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls import Called, Command, calls_in_this_process

GOLDEN = Path(__file__).parents[1] / "golden"
RUNS = {"demo": "cruel-nobel-0638", "job": "quiet-lynx-0702", "retried": "merry-heron-0702"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a config that wraps a file-system store, and three runs in the store."""
    store = tmp_path / ".run_log_store"
    store.mkdir()
    for name, run_id in RUNS.items():
        shutil.copy(GOLDEN / f"{name}.log.json", store / f"{run_id}.json")
    (tmp_path / "runnable-config.yaml").write_text(
        "run-log-store:\n"
        "  type: otel\n"
        "  config:\n"
        "    inner: {type: file-system, config: {log_folder: .run_log_store}}\n"
        "    telemetry:\n"
        f"      endpoint: {(tmp_path / 'traces.jsonl').as_uri()}\n"
        "      headers: {authorization: canary-secret}\n"
    )
    return tmp_path


@pytest.fixture
def command(project: Path) -> Command:
    """Calls `runlog-otel` in the project."""

    def call(*arguments: str) -> Called:
        done = subprocess.run(
            [sys.executable, "-m", "runlog_otel", *arguments], cwd=project, capture_output=True, text=True, check=False
        )
        return Called(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def quick(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Calls `runlog-otel` in the project, in this process: for what is tried many times."""
    yield from calls_in_this_process(project, monkeypatch, capfd)
