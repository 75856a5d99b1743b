"""The runs before a run: of its pipeline, and failed ones of others. A bounded number of them is read."""

from collections import deque
from collections.abc import Iterator, Sequence

from runlog_otel.core.model import Run, Status
from runlog_otel.sources.port import Source
from runlog_otel.stores.run_list import RunFilter

_READ_FACTOR = 4
"""Where only reading a run tells its pipeline: how many are read for each one that is asked for."""
_AT_ONCE = 40
"""How many runs a source is asked for at once."""


def earlier_runs(source: Source, run: Run, limit: int) -> Iterator[Run | Exception]:
    """Runs that were created, or written last, before a run; the newest first, each read when it is asked for.

    A SQL store gives up to `limit` runs of the run's pipeline, then up to `limit` failed ones of any; if none of the
    first succeeded, the last success before them too. Other sources give up to `4 * limit` runs of any pipeline.

    Args:
        source: the source.
        run: the run; it need not be in the source.
        limit: how many runs of its pipeline are asked for, from 1 to 1,000.

    Yields:
        The runs; in the place of one that cannot be read, the error.

    Raises:
        RunlogOtelError: the source cannot be listed or reached.
    """
    store = source.sql_store()
    run_ids = (
        _written_before(source, run.run_id, limit * _READ_FACTOR) if store is None else _recorded(source, run, limit)
    )
    for start in range(0, len(run_ids), _AT_ONCE):
        yield from source.read_runs(run_ids[start : start + _AT_ONCE])


def _written_before(source: Source, run_id: str, limit: int) -> Sequence[str]:
    """The ids of the runs that were written last before a run, the newest first."""
    before: deque[str] = deque(maxlen=limit)
    for stored in source.changes(0):
        if stored.run_id == run_id:
            break
        before.append(stored.run_id)
    return list(reversed(before))


def _recorded(source: Source, run: Run, limit: int) -> Sequence[str]:
    """The ids of earlier runs in a SQL store: its lists cost the same in any store."""
    from runlog_otel.stores.sql.history import RunHistory

    store = source.sql_store()
    if store is None:
        return []
    history = RunHistory(store)
    own = history.page(RunFilter(run_ids=[run.run_id]), limit=1).runs
    until_ns = own[0].created_ns if own else run.header.created_ns
    recorded = own[0].pipeline if own else run.pipeline
    pipeline = "" if source.settings.pipeline else recorded  # the setting replaces the names in the log
    runs = list(history.page(RunFilter(pipeline=pipeline, until_ns=until_ns), limit=limit).runs)
    if not any(each.status == Status.SUCCESS.value for each in runs):
        succeeded = RunFilter(pipeline=pipeline, until_ns=until_ns, status=Status.SUCCESS.value)
        runs += history.page(succeeded, limit=1).runs
    runs += history.page(RunFilter(until_ns=until_ns, status=Status.FAIL.value), limit=limit).runs
    return [run_id for run_id in dict.fromkeys(each.run_id for each in runs) if run_id != run.run_id]
