"""Exports a run's spans as they become final. No error of telemetry leaves this module.

The process that records an attempt exports it at once. The process that completes an execution maps the whole log and
exports the containers, once (docs/architecture.md). Of a run that is not sampled, only whole executions that failed or
took long are exported, by the process that completed them.
"""

import atexit
import functools
import multiprocessing
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from runlog_otel.core.endings import open_steps
from runlog_otel.core.executions import Timeline, timeline_of
from runlog_otel.core.intervals import has_times
from runlog_otel.core.model import Ending, Header, Run, Step
from runlog_otel.core.span_factory import span_from_attempt, span_from_start
from runlog_otel.core.spans import is_execution_complete
from runlog_otel.core.trace import (
    AttemptContext,
    Execution,
    Span,
    SpanRole,
    Trace,
)
from runlog_otel.exporters.traces.delivery import Delivery, shared_delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.live.attempt_context import AttemptScope
from runlog_otel.live.guard import Guard
from runlog_otel.live.propagation import Propagation
from runlog_otel.live.run_registry import RunRegistry
from runlog_otel.live.run_source import RunSource
from runlog_otel.mapping import resource_attributes, sends, sends_live, traces_from_run
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output
    from runlog_otel.core.points import ExecutionPoints
    from runlog_otel.exporters.metrics.series import SeriesTable
    from runlog_otel.exporters.traces.delivery import ExtraSignal

_CONTAINERS = (SpanRole.RUN, SpanRole.STEP, SpanRole.BRANCH)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def _never_raising(
    method: Callable[Concatenate["Observer", _P], _T],
) -> Callable[Concatenate["Observer", _P], _T | None]:
    """Telemetry never breaks a pipeline: its first error is logged, and the pipeline continues."""

    @functools.wraps(method)
    def guarded(observer: "Observer", /, *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        return observer.guard(lambda: method(observer, *args, **kwargs))

    return guarded


class Observer:
    """Exports what became final by the records that a wrapper reports. Can be pickled."""

    def __init__(self, settings: Settings, source: RunSource) -> None:
        self.settings = settings
        self._is_active = settings.is_active  # asked for 9 times a step, 5 us each
        self._source = source
        self._outbox = Outbox(settings.outbox)
        self._runs = RunRegistry(settings, source)
        self._guard = Guard(source.masked)
        self._live: Delivery | None = None
        self._resources: dict[str, Mapping[str, str]] = {}
        """pipeline → the resource of its spans."""
        _OBSERVERS.add(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what has a thread or a socket."""
        return self.__dict__ | {"_live": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Continue in another process."""
        self.__dict__.update(state)
        _OBSERVERS.add(self)

    def guard(self, work: Callable[[], _T]) -> _T | None:
        """Do a wrapper's work for telemetry; None if it fails or telemetry is inactive."""
        return self._guard.call(work) if self._is_active else None

    @_never_raising
    def run_started(self, run: Run, *, is_orchestrator: bool) -> None:
        """A run's header is written: make the run visible.

        Args:
            run: the run with its header; its steps are ignored.
            is_orchestrator: whether the run ends with this process, as no other one continues it.
        """
        state = self._runs.add(run, 1, is_orchestrator=is_orchestrator)
        self._send_start(state.execution, run.header.created_ns)
        if is_orchestrator and self.settings.metrics.listen:
            from runlog_otel.core.points import known_points

            points = known_points(run, self.settings.policy, by_tag=self.settings.metrics.by_tag)
            self._served_table().add(points)

    @_never_raising
    def retry_started(self, read: Callable[[], Run], run_id: str, *, is_orchestrator: bool) -> None:
        """A retry read the whole log from its store; see `run_started`.

        Args:
            read: maps that log.
            run_id: the run.
            is_orchestrator: whether this process starts the retry, or runs one of its steps.
        """
        indicator = self._source.retry_indicator(run_id)
        if indicator is None or run_id in self._runs:
            return
        run = read()
        timeline = timeline_of(run)
        is_noted = _must_be_noted(run, timeline, indicator, is_orchestrator=is_orchestrator)
        if is_noted:
            run = self._source.mark_retry(run, timeline.count + 1)
            timeline = timeline_of(run)
        state = self._runs.add(run, timeline.next_execution(indicator), is_orchestrator=is_orchestrator)
        if is_noted:
            self._send_start(state.execution, timeline.starts_ns.get(state.execution.number))

    @_never_raising
    def job_begins_again(self, run_id: str, execution: int) -> None:
        """A pod runs a failed job again: this is a new execution, as the failure ended the previous one."""
        if run_id not in self._runs:
            self._runs.add(self._source.header(run_id), execution)

    @_never_raising
    def attempts_recorded(self, run_id: str, first: int, step_of: Callable[[Header], Step]) -> None:
        """A step was recorded with new attempts.

        Args:
            run_id: the run.
            first: index of the first new attempt.
            step_of: maps the step, with times as the run's header defines them.
        """
        state = self._runs.state(run_id)
        step = step_of(state.header)
        if not step.is_terminal and sends_live(state.execution, self.settings):
            new = [attempt for attempt in step.attempts[first:] if has_times(attempt)]
            self._send(state.execution, [span_from_attempt(state.execution, step, attempt) for attempt in new])
        if state.was_final:
            self._complete(run_id)

    @_never_raising
    def execution_may_be_complete(self, run_id: str) -> None:
        """The last record of an execution may have been made: if so, export the containers."""
        self._complete(run_id)

    @_never_raising
    def execution_raised(self, run_id: str, ending_of: Callable[[int], Ending]) -> None:
        """The host raised: if the execution that this process started has not ended, note how it did, and export it.

        Args:
            run_id: the run.
            ending_of: makes the ending of the execution of a number.
        """
        states = dict(self._runs.unfinished())
        if run_id not in states:
            return
        execution = states[run_id].execution
        number = execution.number
        ending = ending_of(number)
        try:
            run = self._source.run(run_id)
            timeline = timeline_of(run)
            if number > timeline.count:  # without an attempt, the next retry would have its number
                run = self._source.mark_retry(run, number)
                timeline = timeline_of(run)
                self._send_start(execution, timeline.starts_ns.get(number))
            if not is_execution_complete(run, timeline, number):
                self._source.note_ending(run, replace(ending, open_steps=open_steps(run, timeline, number)))
        except Exception:
            reason = ending.message.partition("\n")[0]
            self._outbox.add(run_id, f"its process ended before the run did: {reason}", is_abandoned=True)
            raise
        self._complete(run_id)

    @_never_raising
    def attempt_entered(self, run_id: str, path: str, number: int, prefix: str, repeat: int = 1) -> AttemptScope:
        """The code of a step is about to run: make its attempt the current span.

        Args:
            run_id: the run.
            path: the step.
            number: the number that the attempt will have.
            prefix: of the variables that the host passes on to programs; see `Propagation`.
            repeat: its index among attempts with this number, from 1.
        """
        state = self._runs.ids(run_id)
        span_id = state.execution.span_id(SpanRole.ATTEMPT, path, number, repeat)
        is_sampled = sends_live(state.execution, self.settings)
        current = AttemptContext(run_id, path, state.execution.trace_id, span_id, is_sampled, state.header.tracestate)
        is_child = state.header.is_child
        propagation = Propagation(self.settings.propagators, prefix, self.settings.baggage, is_child)
        return AttemptScope(current, propagation, self.masked)

    @_never_raising
    def execution_number(self, run_id: str) -> int:
        """The number of the execution that this process works on."""
        return self._runs.ids(run_id).execution.number

    @_never_raising
    def attempt_logged(self, run_id: str, step_of: Callable[[Header], Step], output: "Output") -> None:
        """Export the output of the last attempt at a step, which is already recorded."""
        state = self._runs.state(run_id)
        if sends_live(state.execution, self.settings):
            from runlog_otel.core.log_lines import AttemptLog

            step = step_of(state.header)
            self._send(state.execution, [], AttemptLog(state.execution, step.path, step.attempts[-1], output))

    def _complete(self, run_id: str) -> None:
        state = self._runs.state(run_id)
        if state.is_complete:
            return
        run, execution = self._source.run(run_id), state.execution
        trace = self._trace(run, execution)
        if trace is None or not trace.is_complete:
            return
        if trace.spans[0].error is not None:
            run_with_changes = self.guard(lambda: self._source.note_changes(run, execution.number))
            trace = (self._trace(run_with_changes, execution) if run_with_changes else None) or trace
        self._runs.set_complete(run_id)
        self._send(execution, self._left_to_send(run, trace))
        if self.settings.logs != "none" and not sends_live(execution, self.settings) and sends(trace, self.settings):
            from runlog_otel.core.log_lines import logs_of_execution

            for log in logs_of_execution(run, execution, self._source.output):
                self._send(execution, [], log)
        if self.settings.metrics.listen or self.settings.metrics.push:
            from runlog_otel.core.points import points_from_trace

            metrics = self.settings.metrics
            self._count(points_from_trace(run, trace, by_tag=metrics.by_tag, annotations=metrics.annotations))

    def _left_to_send(self, run: Run, trace: Trace) -> Sequence[Span]:
        """The spans of a complete execution that were not sent before: all or none if it is not sampled."""
        execution = trace.execution
        if not sends_live(execution, self.settings):
            return trace.spans if sends(trace, self.settings) else ()
        late = {
            execution.span_id(SpanRole.ATTEMPT, step.path, attempt.number, attempt.repeat)
            for step in run.all_steps()
            for attempt in step.attempts
            if not has_times(attempt)
        }
        return [span for span in trace.spans if span.role in _CONTAINERS or span.span_id in late]

    def _count(self, points: "ExecutionPoints") -> None:
        """Serve or push the points of an execution, as the settings say; runs that are not sampled count too."""
        if self.settings.metrics.listen:
            self._served_table().add(points.points)
        if self.settings.metrics.push:
            self._send(points.execution, [], points)

    def _served_table(self) -> "SeriesTable":
        from runlog_otel.exporters.metrics.in_process import table_served

        return table_served(self.settings.metrics)

    def _trace(self, run: Run, execution: Execution) -> Trace | None:
        traces = traces_from_run(run, self.settings)
        return next((trace for trace in traces if trace.execution.number == execution.number), None)

    def masked(self, text: str) -> str:
        """The text with secrets masked, see `RunSource.masked`."""
        return self._source.masked(text)

    @_never_raising
    def remember_unfinished(self) -> None:
        """At the end of the process, note the runs that it started and that did not end because the host raised."""
        for run_id, state in self._runs.unfinished():
            is_first = state.execution.number == 1  # a retry keeps the status of the previous execution
            if not (is_first and self._source.header(run_id).status.is_final):  # else another process ended it
                self._outbox.add(run_id, "its process ended before the run did", is_abandoned=True)

    def _send_start(self, execution: Execution, start_ns: int | None) -> None:
        if start_ns is not None and sends_live(execution, self.settings):
            self._send(execution, [span_from_start(execution, start_ns)])

    def _send(self, execution: Execution, spans: Sequence[Span], also: "ExtraSignal | None" = None) -> None:
        if not spans and not also:
            return
        if self._live is None:
            self._live = shared_delivery(self.settings, self._outbox)
        if execution.pipeline not in self._resources:
            resource = resource_attributes(execution.resource_pipeline(), self.settings)
            self._resources[execution.pipeline] = resource
        self._live.offer(execution.run_id, self._resources[execution.pipeline], spans, also)
        if multiprocessing.parent_process() is not None:  # a pool worker may be terminated, and no exit hook runs
            self._live.flush()


def _must_be_noted(run: Run, timeline: Timeline, indicator: str, *, is_orchestrator: bool) -> bool:
    """Whether a new retry cannot be seen from terminal steps alone, which is all that a process of one step reads.

    Without an orchestrating process (Argo), every pod of a retry asks; only the first one finds an ended execution.
    """
    if is_orchestrator:
        return timeline.next_number == timeline.count
    is_same = timeline.next_execution(indicator) == timeline.count
    return is_same and is_execution_complete(run, timeline, timeline.count)


_OBSERVERS: weakref.WeakSet[Observer] = weakref.WeakSet()


@atexit.register
def _remember_unfinished() -> None:
    for observer in list(_OBSERVERS):
        observer.remember_unfinished()
