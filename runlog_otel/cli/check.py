"""`runlog-otel check`: the settings in force, and whether store and endpoint work."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from runlog_otel.cli import output
from runlog_otel.cli.output import cell
from runlog_otel.core.redaction import redacted
from runlog_otel.errors import RunlogOtelError, UnsupportedStoreError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.mapping import resource_attributes
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from runlog_otel.sources.host_config import Project


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    is_good: bool
    about: str
    text: str

    def line(self) -> str:
        """For people."""
        return f"{'ok ' if self.is_good else 'BAD'} {self.about}: {self.text}"

    def document(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def findings(project: "Project") -> list[Finding]:
    """Look at the config, the store, the endpoint and the outbox; what fails unforeseen is a finding, too."""
    looks = {
        "config": _config,
        "wrapper": _wrapper,
        "environment": _environment,
        "store": _store,
        "endpoint": _endpoint,
        "outbox": _outbox,
    }
    return [finding for about, look in looks.items() for finding in _guarded(about, look, project)]


def _guarded(about: str, look: Callable[["Project"], list[Finding]], project: "Project") -> list[Finding]:
    try:
        return look(project)
    except Exception as error:  # noqa: BLE001 the other findings are still wanted
        return [Finding(False, about, _problem(error))]


def _problem(error: Exception) -> str:
    """An error that is not ours, in one line."""
    return f"{type(error).__name__}: {' '.join(redacted(str(error)).split())}"


def settings_table(settings: Settings) -> None:
    """Print every setting, secrets masked, with the place that it came from."""
    table = output.table("setting", "value", "from")
    for field, value in settings.model_dump(mode="json").items():
        text = ", ".join(f"{key}={part}" for key, part in value.items()) if isinstance(value, dict) else value
        table.add_row(*map(cell, (field, "" if text is None else str(text), settings.source(field))))
    output.rendered(table)


def _config(project: "Project") -> list[Finding]:
    return [Finding(True, "config", project.config_file)]


def _wrapper(project: "Project") -> list[Finding]:
    text = "is of type otel" if project.is_wrapped else "is not of type otel: runs are not traced"
    return [Finding(project.is_wrapped, "wrapper", f"{project.key} {text}")]


def _environment(project: "Project") -> list[Finding]:
    return [Finding(False, "environment", text) for text in project.settings.ignored]


def _store(project: "Project") -> list[Finding]:
    try:
        return [Finding(True, "store", f"{project.where}: {len(project.runs())} runs")]
    except UnsupportedStoreError as error:
        return [Finding(True, "store", f"{project.where} is loaded; {error}")]
    except Exception as error:  # noqa: BLE001 a store of somebody else's may raise anything
        return [Finding(False, "store", f"{project.where}: {_problem(error)}")]


def _endpoint(project: "Project") -> list[Finding]:
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


def _outbox(project: "Project") -> list[Finding]:
    unsent = list(Outbox(project.settings.outbox))
    if not unsent:
        return [Finding(True, "outbox", "nothing is unsent")]
    return [Finding(False, "outbox", f"{len(unsent)} runs are unsent: runlog-otel export --unsent")]
