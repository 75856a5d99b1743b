"""Every run of a runnable or magnus pipeline as a trace in an observability stack.

These are the names that users import. Each is loaded when it is first used: `import runlog_otel` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runlog_otel.core.critical_path import critical_path
    from runlog_otel.core.model import Attempt, Run, Status, Step, StoredRun
    from runlog_otel.core.points import points_from_trace
    from runlog_otel.core.runlogs.json_runlog import run_from_log
    from runlog_otel.core.spans import spans_from_run
    from runlog_otel.core.trace import Span, Trace
    from runlog_otel.errors import RunlogOtelError, RunNotFoundError, SourceError
    from runlog_otel.live.annotating import annotate, event
    from runlog_otel.live.logs import RunlogContextFilter
    from runlog_otel.settings import Settings
    from runlog_otel.sources.port import Source, source_from_url
    from runlog_otel.stores.sql.database import Database
    from runlog_otel.stores.sql.history import RunFilter, RunHistory
    from runlog_otel.stores.sql.store import SqlStore
    from runlog_otel.stores.sql.upgrade import create_tables

__all__ = [
    "Attempt",
    "Database",
    "Run",
    "RunFilter",
    "RunHistory",
    "RunNotFoundError",
    "RunlogContextFilter",
    "RunlogOtelError",
    "Settings",
    "Source",
    "SourceError",
    "Span",
    "SqlStore",
    "Status",
    "Step",
    "StoredRun",
    "Trace",
    "annotate",
    "create_tables",
    "critical_path",
    "event",
    "points_from_trace",
    "run_from_log",
    "source_from_url",
    "spans_from_run",
]

_MODULES = {
    "core.critical_path": ("critical_path",),
    "core.model": ("Attempt", "Run", "Status", "Step", "StoredRun"),
    "core.points": ("points_from_trace",),
    "core.runlogs.json_runlog": ("run_from_log",),
    "core.spans": ("spans_from_run",),
    "core.trace": ("Span", "Trace"),
    "errors": ("RunNotFoundError", "RunlogOtelError", "SourceError"),
    "live.annotating": ("annotate", "event"),
    "live.logs": ("RunlogContextFilter",),
    "settings": ("Settings",),
    "sources.port": ("Source", "source_from_url"),
    "stores.sql.database": ("Database",),
    "stores.sql.history": ("RunFilter", "RunHistory"),
    "stores.sql.store": ("SqlStore",),
    "stores.sql.upgrade": ("create_tables",),
}


def __getattr__(name: str) -> object:
    module = next((module for module, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value  # not asked for again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
