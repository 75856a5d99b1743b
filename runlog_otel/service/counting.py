"""Reads what changed in a source, and counts each execution once."""

import time
from collections.abc import Callable
from itertools import islice

from runlog_otel import names
from runlog_otel.errors import RunLogFormatError, RunNotFoundError
from runlog_otel.exporters.series import SeriesTable
from runlog_otel.loggers import package_logger
from runlog_otel.metrics import Point, known_points, labels_of_run, points_from_trace
from runlog_otel.model import Node, Run, StoredRun
from runlog_otel.service.state import ActiveRun, State
from runlog_otel.sources import Source
from runlog_otel.spans import spans_from_run
from runlog_otel.trace import Trace

logger = package_logger("runlog_otel.serve")

_OVERLAP_NS = 120 * 10**9
"""Writes are stamped before they are committed, by machines whose clocks differ: what is newer is listed again."""
_SETTLED_NS = 2 * 10**9
"""A file may be written again within the same tick of its file system's clock: a fresh one is read again."""
_TORN_NS = 60 * 10**9
"""The hosts write their files in place: one that cannot be read may just be being written."""
_BATCH = 200


OnEnded = Callable[[str, bool], None]
"""Told of a run id before it is kept that the run was counted; and whether it is closed as abandoned."""


class Counter:
    """Counts the runs of one source into a table, and keeps in the state what it counted."""

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
        """run id → the change of it that was taken, as far as it may be listed again."""
        self._known: set[tuple[str, str, tuple[Node, ...]]] = set()

    def poll(self) -> None:
        """Count what changed; `on_ended` is told of it, but for what is found by the first poll of a source.

        Raises:
            RunlogOtelError: the source cannot be listed or reached. What was counted before stays counted.
        """
        started_ns = time.time_ns()
        # This clock may have been put back since.
        since_ns = min(self._state.read_until_ns(self.source.where), started_ns) - _OVERLAP_NS
        changes = iter(self.source.changes(since_ns))
        while batch := list(islice(changes, _BATCH)):
            self._take_all([stored for stored in batch if self._taken.get(stored.run_id) != stored.changed_ns])
        with self._state.transaction():
            self._state.set_read(self.source.where, started_ns, is_read=True)
        self._taken = {run_id: at for run_id, at in self._taken.items() if at >= started_ns - _OVERLAP_NS}

    def _take_all(self, runs: list[StoredRun]) -> None:
        """Take runs in one transaction; where the source fails, those before are kept: the table has them already."""
        failure: Exception | None = None
        with self._state.transaction():
            for stored in runs:
                try:
                    if self._take(stored) and self.is_caught_up:
                        self._on_ended(stored.run_id, False)
                except Exception as error:  # noqa: BLE001 - raised below
                    failure = error
                    break
                self._state.set_read(self.source.where, min(stored.changed_ns, time.time_ns()))
            self._state.keep(self._table.take_changed())
        if failure:
            raise failure

    def close_abandoned(self, older_than_ns: int) -> None:
        """Count those runs as abandoned that have not ended and were last written before a moment.

        Raises:
            RunlogOtelError: the source cannot be reached.
        """
        for active in self._state.active():
            if active.source == self.source.where and active.changed_ns < older_than_ns:
                with self._state.transaction():
                    run = self._read(StoredRun(active.run_id, active.changed_ns))
                    moved_ns = _moved_ns(run) if run is not None else 0
                    if moved_ns >= older_than_ns:  # a bucket tells when a run's header was written, not its steps
                        self._state.moved(active.source, active.run_id, moved_ns)
                        continue
                    self._state.set_ended(active.source, active.run_id)
                    if run is not None and self._count(run, self._traces(run, is_abandoned=True)):
                        self._on_ended(active.run_id, True)
                    self._state.keep(self._table.take_changed())
        self.is_caught_up = True

    def _take(self, stored: StoredRun) -> bool:
        """Whether an execution of the run was counted now."""
        where = self.source.where
        if not stored.is_final and self._state.moved(where, stored.run_id, stored.changed_ns):
            self._note(stored)
            return False
        run = self._read(stored)
        if run is None:
            return False
        self._start_at_zero(run)
        traces = self._traces(run)
        has_counted = self._count(run, traces)
        if (traces and traces[-1].is_complete) or (not traces and run.status.is_final):
            self._state.set_ended(where, stored.run_id)
        else:
            started_ns = traces[-1].spans[0].start_ns if traces else stored.changed_ns
            labels = labels_of_run(run, self.source.settings.disclosure, by_tag=self._by_tag)
            pipeline, tag = labels[names.PIPELINE_NAME], labels[names.RUN_TAG]
            self._state.set_active(ActiveRun(where, stored.run_id, pipeline, tag, started_ns, stored.changed_ns))
        self._note(stored)
        return has_counted

    def _note(self, stored: StoredRun) -> None:
        age_ns = time.time_ns() - stored.changed_ns
        if _SETTLED_NS < age_ns < 2 * _OVERLAP_NS:  # older ones are not listed again
            self._taken[stored.run_id] = stored.changed_ns

    def _read(self, stored: StoredRun) -> Run | None:
        try:
            run = self.source.run(stored.run_id)
        except RunNotFoundError:  # deleted since it was listed
            self._state.set_ended(self.source.where, stored.run_id)
            return None
        except RunLogFormatError as error:
            if stored.changed_ns < time.time_ns() - _TORN_NS:
                self._taken[stored.run_id] = stored.changed_ns
                self._table.add([Point(names.EXPORTER_FAILURES, (), 1)])
                logger.warning("%s is not counted: %s", stored.run_id, error)
            return None
        self._table.add([Point(names.EXPORTER_RUNS_READ, (), 1)])
        return run

    def _start_at_zero(self, run: Run) -> None:
        known = (run.pipeline, run.tag if self._by_tag else "", run.graph)
        if known not in self._known:
            self._known.add(known)
            self._table.add(known_points(run, self.source.settings.disclosure, by_tag=self._by_tag))

    def _traces(self, run: Run, *, is_abandoned: bool = False) -> list[Trace]:
        settings = self.source.settings
        return spans_from_run(run, settings.namespace, disclosure=settings.disclosure, is_abandoned=is_abandoned)

    def _count(self, run: Run, traces: list[Trace]) -> bool:
        has_counted = False
        for trace in traces:
            if trace.is_complete and self._state.count(self.source.where, run.run_id, trace.execution.number):
                self._table.add(points_from_trace(run, trace, by_tag=self._by_tag).points)
                has_counted = True
        return has_counted


def _moved_ns(run: Run) -> int:
    """When the newest attempt of a run ended; 0 without one."""
    ends = (attempt.end_ns for step in run.all_steps() for attempt in step.attempts)
    return max((end for end in ends if end is not None), default=0)
