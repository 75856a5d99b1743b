"""`runlog-otel demo`: runs a real pipeline in its own folder, with the host, as a user would."""

import json
import os
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from runlog_otel.cli import output
from runlog_otel.cli.loading import project
from runlog_otel.cli.show import waterfall
from runlog_otel.core.redaction import redacted
from runlog_otel.core.runlogs.json_runlog import RUNNABLE
from runlog_otel.errors import ConfigError, MissingExtraError, RunlogOtelError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.hosts.installed import installed
from runlog_otel.private_files import make_private

_JAEGER_PORT = 16686
_CONFIG = """\
# Written by `runlog-otel demo`. Point `endpoint` to a collector or Jaeger and run `python pipeline.py` again.
run-log-store:
  type: otel
  config:
    inner:
      type: sql
      config: {{connection_string: "sqlite:///.run_log_store/runs.db"}}
    telemetry:
      enabled: true
      exporter: otlp
      endpoint: {endpoint}
      pipeline: demo
"""


def demo(
    endpoint: Annotated[
        str, typer.Option(help="An OTLP endpoint, such as http://localhost:4318; default: a file.", show_default=False)
    ] = "",
    ui: Annotated[
        str, typer.Option(help="Jaeger's UI; default: port 16686 of the endpoint's host.", show_default=False)
    ] = "",
    folder: Annotated[Path, typer.Option(help="Folder for the demo's files.")] = Path("runlog-otel-demo"),
) -> None:
    """Run a real pipeline through the wrapper and show its trace."""
    raise typer.Exit(run_demo(folder, endpoint, ui))


def run_demo(folder: Path, endpoint: str, ui: str) -> int:
    """Run the demo in a folder; the exit status says whether its trace was delivered."""
    if installed() != RUNNABLE:
        raise MissingExtraError("the demo, a pipeline of runnable,", RUNNABLE)
    folder = folder.absolute()
    traces = folder / "traces.jsonl"
    _write(folder, endpoint or traces.as_uri())
    os.chdir(folder)  # the host's paths are relative to the folder in which a pipeline runs
    demo = project("runnable-config.yaml", ui=ui or (_jaeger(endpoint) if endpoint else ""))
    before = {run.run_id for run in demo.runs()}
    output.line(f"running {folder / 'pipeline.py'} …")
    make_private(folder / "console.log")
    with Path("console.log").open("w", encoding="utf-8") as log:
        done = subprocess.run([sys.executable, "pipeline.py"], stdout=log, stderr=log, check=False)
    new = [run.run_id for run in demo.runs() if run.run_id not in before]
    if done.returncode or not new:
        raise RunlogOtelError(f"the demo's pipeline failed; its output is in {folder / 'console.log'}")
    waterfall(demo.run(new[0]), demo.settings)
    output.line()
    if any(unsent.run_id == new[0] for unsent in Outbox(demo.settings.outbox)):
        output.line(f"The export to {endpoint} failed. Later: cd {folder} && runlog-otel export --unsent")
        return 1
    if endpoint:
        output.line(f"The trace went to {endpoint}.")
    else:
        output.line(f"The trace is in {traces}: open it in Jaeger's UI (Search, Upload).")
        output.line("With a collector or Jaeger: runlog-otel demo --endpoint http://localhost:4318")
    output.line(f"The files are yours to change: {folder}")
    output.line(f"Its page: cd {shlex.quote(str(folder))} && runlog-otel ui --open")
    return 0


def _write(folder: Path, endpoint: str) -> None:
    pipeline = files("runlog_otel.cli.demo_project").joinpath("pipeline.py").read_text(encoding="utf-8")
    try:
        for name in ("pipeline.py", "runnable-config.yaml"):
            make_private(folder / name)
        (folder / "pipeline.py").write_text(pipeline, encoding="utf-8")
        (folder / "runnable-config.yaml").write_text(_CONFIG.format(endpoint=json.dumps(endpoint)), encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(folder), f"cannot be written: {error.strerror}") from error


def _jaeger(endpoint: str) -> str:
    try:
        return f"http://{urlsplit(endpoint).hostname}:{_JAEGER_PORT}"
    except ValueError as error:
        raise ConfigError("--endpoint", f"{redacted(endpoint)} is no URL: {error}") from error
