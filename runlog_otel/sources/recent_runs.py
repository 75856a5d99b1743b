"""The newest runs of a source, and those of a pipeline that have succeeded: no more of them are read than needed."""

from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import islice

from runlog_otel.core.model import Run, Status, StoredRun
from runlog_otel.sources.port import Source
from runlog_otel.stores.run_list import RunFilter

_MAX_READ = 100
"""How many runs are read to find those of a pipeline, where only reading them tells."""


def newest_run_id(source: Source) -> str | None:
    """The id of the run that was created last in a SQL store, or written last elsewhere; None without runs.

    Raises:
        RunlogOtelError: the source cannot be listed.
    """
    return next(iter(_newest(source, RunFilter(), 1)), None)


def recent_successes(source: Source, pipeline: str, limit: int) -> Iterator[Run]:
    """The newest runs of a pipeline that have succeeded, the newest first; each is read when it is asked for.

    Args:
        source: the source.
        pipeline: the name of the pipeline, as `Run` has it.
        limit: how many runs.

    Raises:
        RunlogOtelError: the source cannot be listed or reached.
    """
    recorded = "" if source.settings.pipeline else pipeline  # the setting replaces the names in the log
    run_ids = _newest(source, RunFilter(pipeline=recorded, status=Status.SUCCESS.value), _MAX_READ)
    runs = source.read_runs(list(run_ids))
    matching = (
        run for run in runs if isinstance(run, Run) and run.pipeline == pipeline and run.status is Status.SUCCESS
    )
    return islice(matching, limit)


def _newest(source: Source, run_filter: RunFilter, limit: int) -> Iterable[str]:
    """The ids of the newest runs; other sources than SQL stores do not look at the filter."""
    store = source.sql_store()
    if store is None:
        return [run.run_id for run in nlargest(limit, source.changes(0), key=_position)]
    from runlog_otel.stores.sql.history import RunHistory

    return [run.run_id for run in RunHistory(store).page(run_filter, limit=limit).runs]


def _position(run: StoredRun) -> tuple[int, str]:
    return run.changed_ns, run.run_id
