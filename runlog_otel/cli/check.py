"""`runlog-otel check`: the settings in force, and whether store and endpoint work."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import typer

from runlog_otel.cli import output
from runlog_otel.cli.loading import project
from runlog_otel.cli.options import AsJson, ConfigFile, Endpoint
from runlog_otel.cli.output import cell
from runlog_otel.core.redaction import redacted
from runlog_otel.errors import RunlogOtelError, UnsupportedStoreError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.mapping import resource_attributes
from runlog_otel.settings import Settings
from runlog_otel.sources.host_config import Project


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    is_good: bool
    about: str
    text: str

    def line(self) -> str:
        """For people."""
        return f"{'ok ' if self.is_good else 'BAD'} {self.about}: {self.text}"

    def document(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def check(
    config: ConfigFile = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Show the settings in force and where each came from; try the store and the endpoint.

    Exit status: 0 all is well, 1 a check failed, 2 the config is wrong.
    """
    loaded = project(config, endpoint=endpoint)
    results = findings(loaded)
    if as_json:
        shown = loaded.settings.model_dump(mode="json")
        sources = {field: loaded.settings.source(field) for field in shown}
        output.document({"settings": shown, "sources": sources, "findings": [f.document() for f in results]})
    else:
        settings_table(loaded.settings)
        output.lines(*(finding.line() for finding in results))
    raise typer.Exit(0 if all(finding.is_good for finding in results) else 1)


def findings(project: Project) -> list[Finding]:
    """Check the config, the store, the endpoint and the outbox; an unexpected error is also a finding."""
    looks = {
        "config": _config,
        "wrapper": _wrapper,
        "environment": _environment,
        "store": _store,
        "endpoint": _endpoint,
        "outbox": _outbox,
    }
    return [finding for about, look in looks.items() for finding in _guarded(about, look, project)]


def _guarded(about: str, look: Callable[[Project], list[Finding]], project: Project) -> list[Finding]:
    try:
        return look(project)
    except Exception as error:  # noqa: BLE001 one failure must not hide the other findings
        return [Finding(False, about, _problem(error))]


def _problem(error: Exception) -> str:
    """An error of another package, in one line."""
    return f"{type(error).__name__}: {' '.join(redacted(str(error)).split())}"


def settings_table(settings: Settings) -> None:
    """Print every setting, secrets masked, with its origin."""
    table = output.table("setting", "value", "from")
    for field, value in settings.model_dump(mode="json").items():
        text = ", ".join(f"{key}={part}" for key, part in value.items()) if isinstance(value, dict) else value
        table.add_row(*map(cell, (field, "" if text is None else str(text), settings.source(field))))
    output.rendered(table)


def _config(project: Project) -> list[Finding]:
    return [Finding(True, "config", project.config_file)]


def _wrapper(project: Project) -> list[Finding]:
    text = "is of type otel" if project.is_wrapped else "is not of type otel: runs are not traced"
    return [Finding(project.is_wrapped, "wrapper", f"{project.key} {text}")]


def _environment(project: Project) -> list[Finding]:
    return [Finding(False, "environment", text) for text in project.settings.ignored]


def _store(project: Project) -> list[Finding]:
    try:
        return [Finding(True, "store", f"{project.where}: {len(project.runs())} runs")]
    except UnsupportedStoreError as error:
        return [Finding(True, "store", f"{project.where} is loaded; {error}")]
    except Exception as error:  # noqa: BLE001 a third-party store may raise anything
        return [Finding(False, "store", f"{project.where}: {_problem(error)}")]


def _endpoint(project: Project) -> list[Finding]:
    settings = project.settings
    if not settings.is_active:
        return [Finding(True, "endpoint", "nothing is sent: enabled is false, or exporter is none")]
    try:
        sink = sink_from(settings)
        try:
            sink.send(resource_attributes("runlog-otel", settings), [], settings.timeout_seconds)
        finally:
            sink.close()
    except RunlogOtelError as error:
        return [Finding(False, "endpoint", str(error))]
    return [Finding(True, "endpoint", f"{settings.destination} acknowledges")]


def _outbox(project: Project) -> list[Finding]:
    unsent = list(Outbox(project.settings.outbox))
    if not unsent:
        return [Finding(True, "outbox", "nothing is unsent")]
    return [Finding(False, "outbox", f"{len(unsent)} runs are unsent: runlog-otel export --unsent")]
