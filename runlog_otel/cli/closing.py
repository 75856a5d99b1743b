"""`export --as`: notes in the logs of runs how they ended, where no process saw it."""

from collections.abc import Sequence
from enum import Enum

from runlog_otel.cli import output
from runlog_otel.core.endings import open_steps
from runlog_otel.core.executions import timeline_of
from runlog_otel.core.intervals import MIN_SPAN_DURATION_NS
from runlog_otel.core.model import Ending
from runlog_otel.core.runlogs.header import ended_config
from runlog_otel.core.spans import is_execution_complete
from runlog_otel.errors import ConfigError
from runlog_otel.mapping import traces_from_run
from runlog_otel.sources.port import RunLogTarget, Source

_OPTION = "--as"


class HowEnded(str, Enum):
    """What can be said of a run by hand."""

    CANCELLATION = "cancellation"
    TIMEOUT = "timeout"


def close_runs(source: Source, run_ids: Sequence[str], how: HowEnded, *, dry_run: bool) -> None:
    """Note in the log of every run how it ended, so that each export tells the same; in none if one has ended.

    Args:
        source: the runs.
        run_ids: which.
        how: they ended.
        dry_run: only say so.

    Raises:
        ConfigError: the logs cannot be written, or a run has ended or was recorded without the wrapper.
        RunlogOtelError: a run cannot be read.
    """
    endings = {run_id: _ending(source, run_id, how) for run_id in run_ids}
    target = source.target()
    if target is None:
        raise ConfigError(_OPTION, f"is noted in the log of a run, and {source.where} is only read")
    for run_id, ending in endings.items():
        if dry_run:
            output.note(f"{run_id} would be closed as {how.value}")
        else:
            _write(target, run_id, ending)


def _ending(source: Source, run_id: str, how: HowEnded) -> Ending:
    """It ended, as far as anybody knows, with the last thing that its log has."""
    run = source.run(run_id)
    timeline = timeline_of(run)
    number = timeline.count
    if is_execution_complete(run, timeline, number):
        raise ConfigError(_OPTION, f"run {run_id!r} has ended; only a run that did not can be closed")
    traces = traces_from_run(run, source.settings, is_abandoned=True)
    if run.header.created_ns is None or not traces:
        raise ConfigError(_OPTION, f"run {run_id!r} was recorded without the wrapper: its log has no place for it")
    at_ns = traces[-1].spans[0].end_ns - MIN_SPAN_DURATION_NS
    return Ending(number, how.value, at_ns, open_steps=open_steps(run, timeline, number))


def _write(target: RunLogTarget, run_id: str, ending: Ending) -> None:
    with target.outside_a_run(run_id):
        document = target.document(run_id)
        config = document["run_config"]
        target.put({**document, "run_config": {**config, **ended_config(config, ending)}})
