"""A project of a user of magnus: a folder with a config and pipelines, which are run with magnus's own environment."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from tests.hosts.project import LOGS, Done, run

PIPELINES = Path(__file__).with_name("pipelines")
CONFIG = "config.yaml"
FILE_SYSTEM: Mapping[str, Any] = {"type": "file-system", "config": {"log_folder": LOGS}}
CHUNKED: Mapping[str, Any] = {"type": "chunked-fs", "config": {"log_folder": LOGS}}
SQL: Mapping[str, Any] = {"type": "sql", "config": {"connection_string": "sqlite:///runs.db"}}
_BUDGET_SECONDS = 60
"""What a backend that works must be given is no question of time here: the machine may be busy."""
_CREATED = re.compile(r"-\d{19}(?=\.json)")
_FUNCTION = """
import sys
from magnus import entrypoints
entrypoints.execute_function("user", sys.argv[1], {}, *sys.argv[2:])
"""
_WHOLE = """
import json, sys
from runlog_otel.cli.loading import project
print(json.dumps(project(sys.argv[1]).host.document(sys.argv[2])))
"""


@dataclass(frozen=True)
class MagnusProject:
    """The folder of a project."""

    folder: Path
    python: Path
    """The interpreter of the environment that has magnus."""
    store: Mapping[str, Any]
    telemetry: Mapping[str, Any] | None = None
    """None leaves the wrapper out."""

    def __post_init__(self) -> None:
        """Write config and pipelines."""
        shutil.copytree(PIPELINES, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*__*"))
        telemetry = {"exit_budget_seconds": _BUDGET_SECONDS, **(self.telemetry or {})}
        wrapped = {"type": "otel", "config": {"inner": self.store, "telemetry": telemetry}}
        self.write_config({"run_log_store": self.store if self.telemetry is None else wrapped})

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write any config; JSON is YAML."""
        (self.folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")

    def execute(self, pipeline: str, run_id: str, *options: str, **variables: str) -> Done:
        """Run a pipeline to its end, as `magnus execute` does it."""
        call = ("execute", "--file", f"{pipeline}.yaml", "--config-file", CONFIG, "--run-id", run_id, *options)
        return self.call("-m", "magnus.cli", *call, **variables)

    def function(self, command: str, run_id: str) -> Done:
        """Run a single function; magnus's own command for it passes a catalog that its node refuses."""
        return self.call("-c", _FUNCTION, command, CONFIG, "nightly", run_id)

    def command(self, *arguments: str, **variables: str) -> Done:
        """Run `runlog-otel`."""
        return self.call("-m", "runlog_otel", *arguments, **variables)

    def call(self, *arguments: str, **variables: str) -> Done:
        """Run Python in the project's folder."""
        return run([str(self.python), *arguments], self.folder, **variables)

    def log(self, run_id: str) -> dict[str, Any]:
        """The whole run log, as the store reads it."""
        output = self.call("-c", _WHOLE, CONFIG, run_id).succeeded().output
        log: dict[str, Any] = json.loads(output.splitlines()[-1])
        return log

    def log_in_sql(self, run_id: str) -> dict[str, Any]:
        """The same where the store is SQL, read without magnus."""
        database = Database(f"sqlite:///{self.folder / 'runs.db'}", must_exist=True)
        try:
            return SqlStore(database).document(run_id)
        finally:
            database.close()

    def files(self) -> dict[str, Any]:
        """Every document that a store of files wrote, by its name without the moment of its creation."""
        paths = sorted((self.folder / LOGS).rglob("*.json"))
        names = [_CREATED.sub("", str(path.relative_to(self.folder))) for path in paths]
        assert len(set(names)) == len(names)
        return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in zip(names, paths, strict=True)}

    def unsent(self) -> list[str]:
        """The ids of runs that were not acknowledged, or did not end."""
        markers = (self.folder / ".runlog-otel" / "unsent").glob("*.json")
        return sorted(json.loads(marker.read_text(encoding="utf-8"))["run_id"] for marker in markers)


def spans_in(path: Path) -> dict[str, Any]:
    """The spans in a file of OTLP/JSON lines, by their ids; one that came twice must have come alike."""
    spans: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                assert spans.setdefault(span["spanId"], span) == span
    return spans
