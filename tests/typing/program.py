"""What a program of a user does with the public names, with the types that it may rely on."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from runlog_otel import (
    Database,
    Run,
    RunFilter,
    RunHistory,
    RunlogContextFilter,
    RunlogOtelError,
    RunNotFoundError,
    Settings,
    Source,
    SqlStore,
    Status,
    StoredRun,
    Trace,
    points_from_trace,
    run_from_log,
    source_from_url,
    spans_from_run,
)


def mapped(path: Path) -> list[str]:
    """The names of the spans and metrics of a run log in a file."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    run = assert_type(run_from_log(document), Run)
    assert_type(run.status, Status)
    (trace,) = assert_type(spans_from_run(run), list[Trace])
    metrics = {point.metric for point in points_from_trace(run, trace).points}
    return [*(span.name for span in trace.spans), *sorted(metrics)]


def ids_of(url: str) -> list[str]:
    """The ids of the runs of a source."""
    settings = assert_type(Settings.load({}, os.environ), Settings)
    source = assert_type(source_from_url(url, settings, os.environ.get), Source)
    try:
        runs = [assert_type(run, StoredRun) for run in source.changes(0)]
    finally:
        source.close()
    return [run.run_id for run in runs]


def failed(url: str) -> list[str]:
    """The ids of the failed runs of a SQL store."""
    history = RunHistory(SqlStore(Database(url)))
    return [run.run_id for run in history.page(RunFilter(status="FAIL"), limit=10).runs]


def is_known(source: Source, run_id: str) -> bool:
    """Whether a source has a run."""
    try:
        source.run(run_id)
    except RunNotFoundError as error:
        assert_type(error.run_id, str)
        return False
    except RunlogOtelError:
        logging.getLogger(__name__).exception("the source cannot be read")
        raise
    return True


def handler() -> logging.Handler:
    """A handler whose records carry the run."""
    made = logging.StreamHandler()
    made.addFilter(RunlogContextFilter())
    return made
