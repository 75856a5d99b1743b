"""Reads a run again and again while it runs, as rarely as its source allows, and what helps to judge it."""

import time
from collections.abc import Iterator
from contextlib import suppress
from heapq import nlargest

from runlog_otel.core import semconv
from runlog_otel.core.expectation import Key, durations_of, usual_durations
from runlog_otel.core.log_lines import AttemptLog
from runlog_otel.core.model import Run, Status
from runlog_otel.core.progress import Part, Progress, State, progress_of
from runlog_otel.core.redaction import Redaction, bounded
from runlog_otel.core.trace import Execution, Result
from runlog_otel.errors import RunLogFormatError, RunlogOtelError, SourceError, StoreError
from runlog_otel.mapping import execution_of_run, traces_from_run
from runlog_otel.sources.port import Source, one_line
from runlog_otel.sources.recent_runs import recent_successes

MAX_LINES = 7
"""How many of the last lines of an output are shown."""
_MAX_LINE_BYTES = 500
_SETTLED_NS = 2 * 10**9
"""A file may be written again within the same tick of its file system's clock: a fresh one is read again."""
_PATIENCE_SECONDS = 60.0
"""How long a run may be unreadable: the hosts write files in place, and a database restarts."""
_FIRST_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.2
_TORN_SECONDS = 3.0
"""For less than this long, an unreadable run is in the middle of a write."""
_HISTORY_RUNS = 20
_HISTORY_SECONDS = 0.3
"""How long earlier runs are read at each poll."""


class RunWatch:
    """A run that is read while it runs. `run`, `progress` and `result` are as it was read last.

    Args:
        source: where it is.
        run_id: its id.

    Raises:
        RunNotFoundError: it is not there.
        RunlogOtelError: it cannot be read.
    """

    def __init__(self, source: Source, run_id: str) -> None:
        self._source = source
        self.run_id = run_id
        self._read_ns = source.changed_ns(run_id)
        """The change that was read."""
        self.changed_ns = self._read_ns or time.time_ns()
        """When the run was last written, or first seen as it is now."""
        self.run = _first_read(source, run_id)
        self.progress = progress_of(self.run)
        self.result = self._result()
        """How the execution ended (`trace.Result`); empty while it runs."""
        self.usual: dict[Key, int] = {}
        """How long the parts of the pipeline usually take, as far as earlier runs were read."""
        self.problem = ""
        """Why the run cannot be read."""
        self._failing_since: float | None = None
        self._seen_ns: dict[str, int] = {}
        self._history: Iterator[Run] = iter(())
        self._pipeline = ""
        """Whose history is read; the first write of a run may lack its name."""
        self._durations: list[dict[Key, int]] = []
        self._read_history()

    def poll(self) -> None:
        """Read the run if it may have changed, then some earlier ones.

        Raises:
            RunNotFoundError: the run is not there, or not any more.
            RunlogOtelError: it cannot be read, and could not be for a minute.
        """
        try:
            changed_ns = self._source.changed_ns(self.run_id)
            now_ns = time.time_ns()
            is_fresh = changed_ns is None or changed_ns > now_ns - _SETTLED_NS
            if is_fresh or changed_ns != self._read_ns:
                self._take(self._source.run(self.run_id), now_ns)
            if changed_ns is not None:
                self._read_ns = self.changed_ns = changed_ns
        except (RunLogFormatError, SourceError, StoreError) as error:
            self._failing_since = self._failing_since or time.monotonic()
            failing_seconds = time.monotonic() - self._failing_since
            if failing_seconds > _PATIENCE_SECONDS:
                raise
            self.problem = one_line(error) if failing_seconds > _TORN_SECONDS else ""
            return
        self.problem, self._failing_since = "", None
        self._read_history()

    @property
    def execution(self) -> Execution:
        """The execution that is shown."""
        return execution_of_run(self.run, self._source.settings, self.progress.execution)

    @property
    def redaction(self) -> Redaction:
        """Masks the secrets of the whole run."""
        attempts = (attempt for step in self.run.all_steps() for attempt in step.attempts)
        return self.execution.redaction(tuple({mark for attempt in attempts for mark in attempt.marks}))

    def last_lines(self, part: Part, limit: int = MAX_LINES) -> list[str]:
        """The last frames of the traceback of a step's last attempt, or the end of its output if that is kept."""
        attempt = part.attempts[-1]
        lines: list[str] = []
        if attempt.status is Status.FAIL:
            failure = self.execution.failure(attempt)
            lines = (failure.stacktrace or failure.description).splitlines()
        if len(lines) <= 1 and attempt.log is not None:
            with suppress(RunlogOtelError):  # what is followed is the log of the run
                if output := self._source.output(self.run_id, attempt.log):
                    lines = [record.body for record in AttemptLog(self.execution, part.path, attempt, output).records()]
        return [bounded(line, _MAX_LINE_BYTES) for line in lines[-limit:]] if len(lines) > 1 or attempt.log else []

    def with_output(self, limit: int) -> list[Part]:
        """The steps whose last attempt may have an output, those that ended last first."""
        ended = [
            (part.attempts[-1].end_ns or 0, part)
            for part in self.progress.all_parts()
            if part.attempts and (part.attempts[-1].log is not None or part.attempts[-1].status is Status.FAIL)
        ]
        return [part for _, part in nlargest(limit, ended, key=lambda pair: pair[0])]

    def _take(self, run: Run, now_ns: int) -> None:
        before, progress = self.progress, progress_of(run, self._seen_ns)
        if before.execution == progress.execution:
            begun = _running_branches(progress) - _running_branches(before)
            if new := begun.difference(self._seen_ns):
                self._seen_ns |= dict.fromkeys(new, now_ns)
                progress = progress_of(run, self._seen_ns)
        else:
            self._seen_ns = {}
        if progress != before:
            self.changed_ns = now_ns
        self.run, self.progress = run, progress
        self.result = self._result()

    def _result(self) -> str:
        if not self.progress.is_complete:
            return ""
        traces = traces_from_run(self.run, self._source.settings)
        if not traces or traces[-1].execution.number != self.progress.execution:  # nothing of it has a time
            return Result.SUCCESS.value if self.run.status is Status.SUCCESS else Result.FAILURE.value
        return str(traces[-1].spans[0].attributes[semconv.PIPELINE_RESULT])

    def _read_history(self) -> None:
        if self.result:
            return
        until = time.monotonic() + _HISTORY_SECONDS
        try:
            if self._pipeline != self.run.pipeline:
                self._pipeline, self._durations = self.run.pipeline, []
                self._history = recent_successes(self._source, self.run.pipeline, _HISTORY_RUNS)
            before = len(self._durations)
            for earlier in self._history:
                self._durations.append(durations_of(earlier))
                if time.monotonic() > until:
                    break
            if len(self._durations) > before:
                self.usual = usual_durations(self._durations)
        except RunlogOtelError:  # it stays unknown
            self._history = iter(())


def _first_read(source: Source, run_id: str) -> Run:
    """The run; it is tried again where its file may be in the middle of a write."""
    for _ in range(_FIRST_TRIES - 1):
        try:
            return source.run(run_id)
        except RunLogFormatError:  # noqa: PERF203 - the guard is per try
            time.sleep(_FIRST_PAUSE_SECONDS)
    return source.run(run_id)


def _running_branches(progress: Progress) -> set[str]:
    return {part.path for part in progress.all_parts() if part.is_branch and part.state is State.RUNNING}
