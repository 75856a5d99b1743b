"""The newest runs of a source: no more of them are read than needed."""

from collections.abc import Iterable
from heapq import nlargest

from runlog_otel.core.model import StoredRun
from runlog_otel.sources.port import Source
from runlog_otel.stores.run_list import RunFilter


def newest_run_id(source: Source) -> str | None:
    """The id of the run that was created last in a SQL store, or written last elsewhere; None without runs.

    Raises:
        RunlogOtelError: the source cannot be listed.
    """
    return next(iter(_newest(source, RunFilter(), 1)), None)


def _newest(source: Source, run_filter: RunFilter, limit: int) -> Iterable[str]:
    """The ids of the newest runs; other sources than SQL stores do not look at the filter."""
    store = source.sql_store()
    if store is None:
        return [run.run_id for run in nlargest(limit, source.changes(0), key=_position)]
    from runlog_otel.stores.sql.history import RunHistory

    return [run.run_id for run in RunHistory(store).page(run_filter, limit=limit).runs]


def _position(run: StoredRun) -> tuple[int, str]:
    return run.changed_ns, run.run_id
