"""Answers about runs, for commands, pages and the MCP server: why a run failed or was slow, and how two runs differ.

It reads what the pure functions in `core/` need, from any source, and no more than a bounded part of its history.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from runlog_otel.core.comparison import Comparison, comparison_of
from runlog_otel.core.diagnosis import Diagnosis, diagnosis_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.headline import counted
from runlog_otel.core.links import trace_url
from runlog_otel.core.memo import SpanMemo
from runlog_otel.core.model import Run
from runlog_otel.core.record_mapping import records_of
from runlog_otel.core.trace import Result
from runlog_otel.errors import RunLogFormatError, RunlogOtelError
from runlog_otel.mapping import traces_from_run
from runlog_otel.settings import Settings
from runlog_otel.sources.earlier_runs import earlier_runs
from runlog_otel.sources.port import Source, one_line

HISTORY = 50
"""How many earlier runs of the pipeline are looked at."""
MAX_HISTORY = 1000
_MAX_STEPS = 100_000
"""No more runs are read once those that were read have this many steps: they take about 10 seconds."""


class _History:
    """The records of the runs before a run, as far as they are read."""

    def __init__(self, run: Run, record: ExecutionRecord, settings: Settings) -> None:
        self._run, self._start_ns, self._settings = run, record.start_ns, settings
        self._memo = SpanMemo()
        self.own: list[ExecutionRecord] = []
        """Of the run's pipeline."""
        self.elsewhere: list[ExecutionRecord] = []
        """Of other pipelines."""
        self.notes: list[str] = []

    def read(self, source: Source, limit: int) -> None:
        """Read up to `limit` runs of the pipeline; what goes wrong is noted."""
        steps = unread = 0
        try:
            for count, earlier in enumerate(earlier_runs(source, self._run, limit), 1):
                if isinstance(earlier, Exception):
                    unread += 1
                    continue
                steps += sum(1 for _ in earlier.all_steps())
                self._add(earlier, limit)
                if steps > _MAX_STEPS:
                    self.notes.append(f"no more runs are read: those that were have {steps:,} steps")
                    break
                if count >= 2 * limit and self._is_full(limit) and self._has_success:
                    break
        except RunlogOtelError as error:
            self.notes.append(f"the history is not read to its end: {one_line(error)}")
        if unread:
            self.notes.append(f"{counted(unread, 'earlier run')} cannot be read")

    def _add(self, run: Run, limit: int) -> None:
        if run.run_id == self._run.run_id:
            return
        traces = traces_from_run(run, self._settings, is_abandoned=True, memo=self._memo)
        records = [record for record in records_of(run, traces) if record.start_ns <= self._start_ns]
        if run.pipeline != self._run.pipeline:
            self.elsewhere += records
        elif not self._is_full(limit) or (not self._has_success and any(each.has_succeeded for each in records)):
            self.own += records

    def _is_full(self, limit: int) -> bool:
        return len({record.run_id for record in self.own}) >= limit

    @property
    def _has_success(self) -> bool:
        return any(record.has_succeeded for record in self.own)


def diagnose(
    source: Source, run: Run, *, history: int = HISTORY, now_ns: int | None = None, options: Sequence[str] = ()
) -> Diagnosis:
    """Say why a run failed, or was slow: of its last execution.

    Args:
        source: where its history is; the run itself need not be in it.
        run: the run, from `Source.run`, or from a file.
        history: how many earlier runs of its pipeline are looked at, from 0 to `MAX_HISTORY`.
        now_ns: the time, in nanoseconds since the epoch, for a run that is in progress.
        options: of the command line, that the commands to look further need to find the same source.

    Raises:
        RunLogFormatError: nothing is recorded of the run yet.
    """
    settings = source.settings
    records = records_of_run(run, settings)
    record, earlier = records[-1], records[:-1]
    past = _History(run, record, settings)
    if history:
        past.read(source, history)
    diagnosis = diagnosis_of(
        record,
        [*earlier, *past.own],
        past.elsewhere,
        now_ns=now_ns,
        url=trace_url(settings.ui, bytes.fromhex(record.trace_id)),
        notes=past.notes,
    )
    return replace(diagnosis, commands=tuple(_commands(diagnosis, options)))


def compare(source: Source, before: Run, after: Run) -> Comparison:
    """Compare the last executions of two runs.

    Args:
        source: where they are from.
        before: the one that is the measure.
        after: the other one.

    Raises:
        RunLogFormatError: nothing is recorded of one of them yet.
    """
    first, second = (records_of_run(run, source.settings)[-1] for run in (before, after))
    return comparison_of(first, second)


def records_of_run(run: Run, settings: Settings) -> list[ExecutionRecord]:
    """The records of a run's executions, in their order.

    Raises:
        RunLogFormatError: nothing is recorded of the run yet.
    """
    records = records_of(run, traces_from_run(run, settings, is_abandoned=True))
    if not records:
        raise RunLogFormatError(f"the log of {run.run_id!r}", "nothing is recorded of the run yet")
    return records


def _commands(diagnosis: Diagnosis, options: Sequence[str]) -> list[str]:
    """What to call to look further."""
    run = diagnosis.run
    calls: list[Sequence[str]] = [("show", run.run_id)]
    if diagnosis.changes is not None and diagnosis.changes.since_run_id:
        calls.append(("runs", "--compare", diagnosis.changes.since_run_id, run.run_id))
    if diagnosis.seen is not None and diagnosis.seen.before_run_id:
        calls.append(("why", diagnosis.seen.before_run_id))
    if run.result not in ("", Result.SUCCESS.value):
        calls.append(("runs", "--pipeline", run.pipeline, "--status", "FAIL"))
    calls.append(("export", run.run_id))
    return [shlex.join(chain(("runlog-otel",), call, options)) for call in calls]
