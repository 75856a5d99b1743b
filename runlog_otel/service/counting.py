"""Reads what changed in a source, and counts each execution once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from runlog_otel.core import semconv
from runlog_otel.core.model import Node, Run, StoredRun
from runlog_otel.core.points import Point, known_points, labels_of_run, points_from_trace
from runlog_otel.core.trace import Trace
from runlog_otel.errors import RunLogFormatError, RunlogOtelError, RunNotFoundError, SourceError
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.loggers import package_logger
from runlog_otel.mapping import traces_from_run
from runlog_otel.service.state import ActiveRun, State
from runlog_otel.sources.port import Source, one_line

logger = package_logger("runlog_otel.serve")

_OVERLAP_NS = 120 * 10**9
"""Writes are stamped before they are committed, by machines whose clocks differ: what is newer is listed again."""
_SETTLED_NS = 2 * 10**9
"""A file may be written again within the same tick of its file system's clock: a fresh one is read again."""
_TORN_NS = 60 * 10**9
"""The hosts write their files in place: an unreadable one may be in the middle of a write."""
_BATCH = 200
"""How many runs are checked for existence, or tried again, at once."""
_TRANSACTION = 1000
"""Runs of one transaction, which also writes each series that they changed: 2 µs a step; with 200 runs it is 7."""
_AGAIN_SECONDS = 600.0
"""How often runs that could not be counted are retried: a new permission does not change a file's time."""
_MAX_INT = 2**63 - 1
"""What SQLite and OTLP hold."""


OnEnded = Callable[[str, Sequence[Trace], bool], None]
"""Called before the count of a run is kept: with its id, its traces, and whether it is closed as abandoned."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """Everything that a run adds, computed before any of it is stored: a failure leaves nothing half counted."""

    run_id: str
    """As the log has it: the same log under two names counts once."""
    active: ActiveRun
    is_ended: bool
    moved_ns: int
    """When the newest attempt ended; 0 without one."""
    kind: tuple[str, str, tuple[Node, ...]]
    zeros: tuple[Point, ...]
    """The points at which the series of a new kind begin."""
    executions: tuple[tuple[int, tuple[Point, ...]], ...]
    """Number and points of each execution that is complete."""
    traces: tuple[Trace, ...]


class RunCounter:
    """Counts the runs of one source into a table, and keeps in the state what it counted.

    A run that cannot be read or mapped for any reason is reported once and set aside; the others go on.
    """

    def __init__(
        self, source: Source, state: State, table: SeriesTable, on_ended: OnEnded, *, by_tag: bool = False
    ) -> None:
        self.source = source
        self._state = state
        self._table = table
        self._on_ended = on_ended
        self._by_tag = by_tag
        self.is_caught_up = state.is_read(source.where)
        self._taken: dict[str, int] = {}
        """run id → the change that was counted, while it may be listed again."""
        self._known: set[tuple[str, str, tuple[Node, ...]]] = set()
        self._aside = state.aside(source.where)
        """run id → the change that could not be counted."""
        self._again_at = 0.0
        self._failed_at = ""
        """The run at which the source failed in the last poll."""
        self._checked_to = 0

    def poll(self) -> None:
        """Count what changed, and call `on_ended` for it, except in the first poll of a source.

        Raises:
            RunlogOtelError: the source cannot be listed or reached. What was counted before stays counted.
        """
        started_ns = time.time_ns()
        # This clock may have been set back since.
        since_ns = min(self._state.read_until_ns(self.source.where), started_ns) - _OVERLAP_NS
        with self.guarded():
            changes = iter(self.source.changes(since_ns))
        while batch := self._next_of(changes):
            self._take_all([stored for stored in batch if not self._is_taken(stored)])
        self._try_again()
        self._failed_at = ""
        with self._state.transaction():
            self._state.set_read(self.source.where, started_ns, is_read=True)
        self._taken = {run_id: at for run_id, at in self._taken.items() if at >= started_ns - _OVERLAP_NS}

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Wraps calls of the source that are not for one run: any unforeseen error is a failure of the source."""
        try:
            yield
        except (RunlogOtelError, OSError):
            raise
        except Exception as error:
            raise SourceError(self.source.where, f"cannot be read: {one_line(error)}") from error

    def _next_of(self, changes: Iterator[StoredRun]) -> list[StoredRun]:
        with self.guarded():
            return [
                replace(stored, changed_ns=max(-_MAX_INT, min(stored.changed_ns, _MAX_INT)))
                for stored in islice(changes, _TRANSACTION)
            ]

    def _is_taken(self, stored: StoredRun) -> bool:
        return stored.changed_ns in (self._taken.get(stored.run_id), self._aside.get(stored.run_id))

    def _try_again(self) -> None:
        """Retry some of the runs that could not be counted, the least recently tried first."""
        if time.monotonic() < self._again_at:
            return
        self._again_at = time.monotonic() + _AGAIN_SECONDS
        for run_id, changed_ns in list(islice(self._aside.items(), _BATCH)):
            self._aside[run_id] = self._aside.pop(run_id)
            try:
                self._take_all([StoredRun(run_id, changed_ns, is_final=True)], is_listed=False)
            except (RunlogOtelError, OSError):
                return  # the source is down, or fails at this run only: the next time others come first

    def _take_all(self, runs: list[StoredRun], *, is_listed: bool = True) -> None:
        """Take runs in one transaction; where the source fails, those before are kept: the table has them already.

        A run is set aside if the source fails at it in two polls and still returns the run after it.
        """
        failure: Exception | None = None
        suspect: tuple[StoredRun, Exception] | None = None
        until_ns = 0
        with self._state.transaction():
            going_on = {stored.run_id for stored in runs if self._goes_on(stored)}
            reads = self._reads([stored.run_id for stored in runs if stored.run_id not in going_on])
            for stored in runs:
                try:
                    counted = None if stored.run_id in going_on else self._take(stored, next(reads))
                except (RunlogOtelError, OSError) as error:
                    failure = error
                    if suspect or stored.run_id != self._failed_at:
                        self._failed_at = suspect[0].run_id if suspect else stored.run_id
                        break
                    suspect = (stored, error)
                    continue
                if suspect:
                    self._set_aside(*suspect)
                    failure = suspect = None
                if stored.run_id in going_on:
                    self._note(stored)
                if counted and self.is_caught_up:
                    self._on_ended(stored.run_id, counted.traces, False)
                until_ns = stored.changed_ns
            if is_listed and until_ns:
                self._state.set_read(self.source.where, min(until_ns, time.time_ns()))
            self._state.keep(self._table.take_changed())
        if failure:
            raise failure

    def _goes_on(self, stored: StoredRun) -> bool:
        """Whether a run is known as active and has not ended: it is noted as moved, and need not be read."""
        return not stored.is_final and self._state.moved(self.source.where, stored.run_id, stored.changed_ns)

    def _reads(self, run_ids: Sequence[str]) -> Iterator[Run | Exception]:
        """Runs, or why one cannot be read, in order; where the source fails, it is asked for the next ones anew."""
        at = 0
        while at < len(run_ids):
            try:
                for read in self.source.read_runs(run_ids[at:]):
                    at += 1
                    yield read
                return
            except Exception as error:  # noqa: BLE001, PERF203 - `_read` decides
                at += 1
                yield error

    def end_deleted(self) -> None:
        """Forget active runs that are no longer in the source, a batch per call.

        Raises:
            RunlogOtelError: the source cannot be reached.
        """
        active = [run.run_id for run in self._state.active() if run.source == self.source.where]
        first = self._checked_to if self._checked_to < len(active) else 0
        self._checked_to = first + _BATCH
        with self.guarded():
            missing = list(self.source.missing(active[first : first + _BATCH]))
        with self._state.transaction():
            for run_id in missing:
                self._state.set_ended(self.source.where, run_id)

    def close_abandoned(self, older_than_ns: int) -> None:
        """Count those runs as abandoned that have not ended and were last written before a moment.

        Raises:
            RunlogOtelError: the source cannot be reached.
        """
        for active in self._state.active():
            if active.source == self.source.where and active.changed_ns < older_than_ns:
                with self._state.transaction():
                    stored = StoredRun(active.run_id, active.changed_ns)
                    reading = self._read(stored, next(self._reads([active.run_id])), is_abandoned=True)
                    # A bucket knows when a run's header was written, not its steps.
                    if reading is not None and reading.moved_ns >= older_than_ns:
                        self._state.moved(active.source, active.run_id, reading.moved_ns)
                        continue
                    self._state.set_ended(active.source, active.run_id)
                    if reading is not None and self._count(reading):
                        self._on_ended(active.run_id, reading.traces, True)
                    self._state.keep(self._table.take_changed())
        self.is_caught_up = True

    def _take(self, stored: StoredRun, read: Run | Exception) -> _Reading | None:
        """The run, where an execution of it was counted now."""
        reading = self._read(stored, read)
        if reading is None:
            return None
        if reading.zeros:
            self._known.add(reading.kind)
            self._table.add(reading.zeros)
        has_counted = self._count(reading)
        if reading.is_ended:
            self._state.set_ended(self.source.where, stored.run_id)
        else:
            self._state.set_active(reading.active)
        self._note(stored)
        return reading if has_counted else None

    def _note(self, stored: StoredRun) -> None:
        is_listed_again = stored.changed_ns > time.time_ns() - 2 * _OVERLAP_NS
        if is_listed_again and _is_older(stored, _SETTLED_NS):
            self._taken[stored.run_id] = stored.changed_ns

    def _read(self, stored: StoredRun, read: Run | Exception, *, is_abandoned: bool = False) -> _Reading | None:
        """What the run adds; None when it was deleted since it was listed, or was set aside.

        Raises:
            RunlogOtelError, OSError: the source cannot be reached.
        """
        try:
            if isinstance(read, Exception):
                raise read
            reading = self._reading(read, stored, is_abandoned=is_abandoned)
        except RunNotFoundError:
            self._state.set_ended(self.source.where, stored.run_id)
            reading = None
        except RunLogFormatError as error:
            self._set_aside(stored, error)
            return None
        except (RunlogOtelError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - one odd run must not stop the others
            self._set_aside(stored, error)
            return None
        if self._aside.pop(stored.run_id, None) is not None:
            self._state.take_back(self.source.where, stored.run_id)
        if reading is not None:
            self._table.add([Point(semconv.EXPORTER_RUNS_READ, (), 1)])
        return reading

    def _set_aside(self, stored: StoredRun, error: Exception) -> None:
        """Skip a run until it changes. It is reported and counted once, also if it is retried."""
        is_known = stored.run_id in self._aside
        if not (is_known or _is_older(stored, _TORN_NS)):
            return
        self._aside[stored.run_id] = stored.changed_ns
        self._state.set_aside(self.source.where, stored.run_id, stored.changed_ns)
        if not is_known:
            self._table.add([Point(semconv.EXPORTER_FAILURES, (), 1)])
            logger.warning("%s is not counted: %s", stored.run_id, one_line(error))

    def _reading(self, run: Run, stored: StoredRun, *, is_abandoned: bool) -> _Reading:
        settings = self.source.settings
        policy = settings.policy
        traces = traces_from_run(run, settings, is_abandoned=is_abandoned)
        labels = labels_of_run(run, policy, by_tag=self._by_tag)
        started_ns = traces[-1].spans[0].start_ns if traces else stored.changed_ns
        kind = (run.pipeline, run.tag if self._by_tag else "", run.graph)
        ends = (attempt.end_ns for step in run.all_steps() for attempt in step.attempts)
        reading = _Reading(
            run.run_id,
            ActiveRun(
                self.source.where,
                stored.run_id,
                labels[semconv.PIPELINE_NAME],
                labels[semconv.RUN_TAG],
                started_ns,
                stored.changed_ns,
            ),
            is_ended=traces[-1].is_complete if traces else run.status.is_final,
            moved_ns=max((end for end in ends if end is not None), default=0),
            kind=kind,
            zeros=() if kind in self._known else tuple(known_points(run, policy, by_tag=self._by_tag)),
            executions=tuple(
                (
                    trace.execution.number,
                    points_from_trace(run, trace, by_tag=self._by_tag, annotations=settings.metrics.annotations).points,
                )
                for trace in traces
                if trace.is_complete
            ),
            traces=tuple(traces),
        )
        points = [point for _, execution in reading.executions for point in execution]
        for value in (
            started_ns,
            reading.moved_ns,
            *(value for point in points for value in (point.value, point.at_ns)),
        ):
            if isinstance(value, int) and abs(value) > _MAX_INT:
                raise RunLogFormatError(stored.run_id, "a time or a duration in it is out of range")
        return reading

    def _count(self, reading: _Reading) -> bool:
        has_counted = False
        for number, points in reading.executions:
            if self._state.count(self.source.where, reading.run_id, number):
                self._table.add(points)
                has_counted = True
        return has_counted


def _is_older(stored: StoredRun, age_ns: int) -> bool:
    """Whether a run was written longer ago; a time in the far future counts as long ago."""
    age_of_run_ns = time.time_ns() - stored.changed_ns
    return age_of_run_ns > age_ns or age_of_run_ns < -_OVERLAP_NS
