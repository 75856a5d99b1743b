"""A project of a host's user: a folder with a config and pipelines, which are run as programs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PIPELINES = Path(__file__).with_name("pipelines")
CONFIG = "runnable-config.yaml"
LOGS = ".run_log_store"
TIMEOUT_SECONDS = 120

LOGFIRE = Path(sys.prefix) / "logfire"
"""Where `make test` puts it: the host takes it up wherever it can be imported, and its import is slow."""

LOCAL: Mapping[str, Any] = {"type": "local"}
PARALLEL: Mapping[str, Any] = {"type": "local", "config": {"enable_parallel": True}}
EMULATOR: Mapping[str, Any] = {"type": "emulator"}
MOCKED: Mapping[str, Any] = {"type": "mocked"}
STORES_AND_EXECUTORS = [
    pytest.param("file-system", LOCAL, id="local"),
    pytest.param("chunked-fs", PARALLEL, id="parallel", marks=pytest.mark.canary),
    pytest.param("chunked-fs", EMULATOR, id="emulator"),
    pytest.param("sql", LOCAL, id="sql"),
]
"""Each executor, and each kind of store, of a test that looks at what an attempt recorded."""

RunLog = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A program that has ended; `output` is all that it wrote."""

    returncode: int
    output: str
    seconds: float

    def succeeded(self) -> "Done":
        """The same, if it ended with status 0."""
        assert self.returncode == 0, self.output
        return self


@dataclass
class Project:
    """The folder of a project."""

    folder: Path
    store: str
    executor: Mapping[str, Any] = field(default_factory=lambda: LOCAL)
    telemetry: Mapping[str, Any] | None = None
    """None leaves the wrapper out."""

    def __post_init__(self) -> None:
        """Write config and pipelines."""
        shutil.copytree(PIPELINES, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*__*"))
        self.configure()

    def configure(self) -> None:
        """Write the config, after `telemetry` was changed."""
        inner: dict[str, Any] = {"type": self.store, "config": {"log_folder": LOGS}}
        wrapped = {"type": "otel", "config": {"inner": inner, "telemetry": self.telemetry}}
        executors = {"pipeline-executor": self.executor, "job-executor": self._job_executor}
        self.write_config({"run-log-store": inner if self.telemetry is None else wrapped, **executors})

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write any config."""
        (self.folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")  # JSON is YAML

    def version(self, remote: str) -> str:
        """Put the project under version control, and return the commit."""

        def git(*arguments: str) -> str:
            identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
            return run(["git", *identity, *arguments], self.folder).succeeded().output.strip()

        (self.folder / ".gitignore").write_text("*\n!*.py\n", encoding="utf-8")
        git("init", "--quiet")
        git("remote", "add", "origin", remote)
        git("add", ".")
        git("commit", "--quiet", "--message", "pipelines")
        return git("rev-parse", "HEAD")

    def run(self, pipeline: str, run_id: str, **variables: str) -> Done:
        """Run a pipeline of the project to its end."""
        return self.python(f"{pipeline}.py", RUNNABLE_RUN_ID=run_id, **variables)

    def start(self, pipeline: str, run_id: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a pipeline in a process group of its own; its output goes to a file."""
        with (self.folder / f"{run_id}.out").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, f"{pipeline}.py"],
                cwd=self.folder,
                env=environment(RUNNABLE_RUN_ID=run_id, **variables),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def retry(self, run_id: str, **variables: str) -> Done:
        """Run a run again, as `runnable retry` does it."""
        return self.python("-m", "runnable.cli", "retry", run_id, **variables)

    def export(self, *arguments: str, **variables: str) -> Done:
        """Run `runlog-otel export`."""
        return self.python("-m", "runlog_otel", "export", *arguments, **variables)

    def python(self, *arguments: str, **variables: str) -> Done:
        """Run Python in the project's folder."""
        return run_python(self.folder, *arguments, **variables)

    def log(self, run_id: str) -> RunLog:
        """The run log as it is on the disk, with the branches of a chunked store put where they belong."""
        if self.store == "file-system":
            return _document(self.folder / LOGS / f"{run_id}.json")
        log = _document(self.folder / LOGS / run_id / "RunLog.json")
        chunks = (self.folder / LOGS / run_id).glob("BranchLog-*.json")
        branches = sorted(map(_document, chunks), key=lambda branch: str(branch["internal_name"]).count("."))
        steps: dict[str, Any] = dict(log["steps"])
        for branch in branches:
            steps |= branch["steps"]
            steps[branch["internal_name"].rpartition(".")[0]]["branches"][branch["internal_name"]] = branch
        return log

    def unsent(self) -> list[RunLog]:
        """The markers of runs that were not acknowledged, as they are on the disk."""
        return [_document(path) for path in (self.folder / ".runlog-otel" / "unsent").glob("*.json")]

    @property
    def _job_executor(self) -> Mapping[str, Any]:
        return {"type": "emulator" if self.executor["type"] == "emulator" else "local"}


def run_python(folder: Path, *arguments: str, **variables: str) -> Done:
    """Run Python to its end."""
    return run([sys.executable, *arguments], folder, **variables)


def run(command: Sequence[str], folder: Path, **variables: str) -> Done:
    """Run a program to its end."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        kill(process)
    return Done(process.returncode, output.decode(errors="replace"), time.monotonic() - started)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and all of the group, at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def environment(**variables: str) -> dict[str, str]:
    """The environment of a program: without a terminal's width, with logfire where LOGFIRE asks for it."""
    if variables.get("LOGFIRE"):
        variables["PYTHONPATH"] = str(LOGFIRE)
    return os.environ | {"COLUMNS": "200", "NO_PROXY": "*", "GIT_CEILING_DIRECTORIES": "/"} | variables


def _document(path: Path) -> RunLog:
    document: RunLog = json.loads(path.read_text(encoding="utf-8"))
    return document
