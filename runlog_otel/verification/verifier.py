"""Compares the executions of one run with what backends have of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from runlog_otel.core.memo import SpanMemo
from runlog_otel.core.model import Run, SecretFingerprint, Value
from runlog_otel.core.redaction import Redaction
from runlog_otel.core.span_diff import Difference, Kind, differences
from runlog_otel.core.trace import Trace
from runlog_otel.mapping import sends, traces_from_run
from runlog_otel.settings import Settings
from runlog_otel.verification.backends import StoredTrace, TraceBackend
from runlog_otel.verification.sent import as_sent

if TYPE_CHECKING:
    from runlog_otel.verification.counters import RunTotals

_ASK_AGAIN_SECONDS = 0.5


class State(str, Enum):
    """What a backend can be expected to have of an execution."""

    COMPLETE = "complete"
    """All of its spans."""
    OPEN = "not ended"
    """Some of its final spans: its processes send the others."""
    UNSENT = "waiting to be sent"
    """Some of its spans: the outbox remembers the run."""
    NOT_SAMPLED = "not sampled"
    """Nothing; it is not looked at."""


@dataclass(slots=True)
class ExecutionCheck:
    """An execution in one backend."""

    number: int
    trace_id: bytes
    backend: str
    state: State
    spans: int
    """How many it has by the log."""
    differences: list[Difference] = field(default_factory=list)
    note: str = ""
    """Why the backend did not return all that it has."""
    is_closed: bool = False
    """Whether it has not ended, was sent as abandoned, and is compared as such."""

    @property
    def faults(self) -> list[Difference]:
        """The differences that should not be: what is not sent yet may be missing."""
        if self.state is State.COMPLETE:
            return self.differences
        return [one for one in self.differences if one.kind is not Kind.MISSING]


@dataclass(slots=True)
class RunCheck:
    """A run in all backends."""

    run_id: str
    executions: list[ExecutionCheck] = field(default_factory=list)
    problem: str = ""
    """Why it could not be compared."""

    @property
    def is_closed(self) -> bool:
        """Whether an execution of it was sent as abandoned."""
        return any(check.is_closed for check in self.executions)

    @property
    def sendable(self) -> frozenset[bytes]:
        """The ids of the spans that are missing and may be sent now: not those that a running process sends."""
        checks = (check for check in self.executions if check.state in (State.COMPLETE, State.UNSENT))
        return frozenset(one.span_id for check in checks for one in check.differences if one.kind is Kind.MISSING)

    @property
    def is_good(self) -> bool:
        """Whether each backend has what it should have."""
        return not self.problem and not any(check.faults for check in self.executions)


class Verifier:
    """Compares runs with backends.

    Args:
        settings: how runs are mapped.
        backends: where their traces should be.
        unsent: the runs that the outboxes remember, and whether they are closed as abandoned.
        totals: where runs are added up, if counters are compared, too.
        wait_seconds: how long after its end an execution may be on its way.
    """

    def __init__(
        self,
        settings: Settings,
        backends: Sequence[TraceBackend],
        unsent: Mapping[str, bool],
        totals: "RunTotals | None" = None,
        *,
        wait_seconds: float = 0.0,
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._unsent = unsent
        self._totals = totals
        self._wait_seconds = wait_seconds
        self._memo = SpanMemo()

    def checked(self, run: Run, *, deadline: float | None = None) -> RunCheck:
        """Compare a run.

        Args:
            run: the log.
            deadline: until when to wait for what is missing (`time.monotonic`): it was sent just now, and the run is
                not counted again.

        Raises:
            BackendError: a backend does not answer as it should.
        """
        traces, closed = self._mapped(run)
        if self._totals is not None and deadline is None:
            self._totals.add(run, traces, closed)
        check = RunCheck(run.run_id)
        redaction = Redaction(self._settings.policy.patterns, run.run_id, (*run.header.marks, *_marks(run)))
        for backend in self._backends:
            for trace, other in zip(traces, closed, strict=True):
                until = self._deadline_of(trace) if deadline is None else deadline
                check.executions.append(self._execution(backend, trace, other, until, redaction))
        return check

    def _mapped(self, run: Run) -> tuple[list[Trace], list[Trace]]:
        """The executions as they are sent, and with all of them closed."""
        is_abandoned = self._unsent.get(run.run_id, False)
        traces = traces_from_run(run, self._settings, is_abandoned=is_abandoned, memo=self._memo)
        if all(trace.is_complete for trace in traces):
            return traces, traces
        return traces, traces_from_run(run, self._settings, is_abandoned=True, memo=self._memo)

    def _execution(
        self, backend: TraceBackend, trace: Trace, closed: Trace, deadline: float, redaction: Redaction
    ) -> ExecutionCheck:
        execution, state = trace.execution, self._state(trace)
        check = ExecutionCheck(execution.number, execution.trace_id, backend.name, state, len(trace.spans))
        if state is State.NOT_SAMPLED:
            return check
        stored, compared = self._stored(backend, trace, closed, deadline)
        if compared is not trace:
            check.is_closed, check.spans = True, len(compared.spans)
            check.state = State.COMPLETE if state is State.OPEN else state
        sent = (as_sent(span, self._settings) for span in compared.spans)
        check.differences = [_shown(one, redaction) for one in differences(sent, stored.spans, backend.losses)]
        check.note = redaction.bounded(stored.note)
        return check

    def _state(self, trace: Trace) -> State:
        if not sends(trace, self._settings):
            return State.NOT_SAMPLED
        if trace.execution.run_id in self._unsent:
            return State.UNSENT
        return State.COMPLETE if trace.is_complete else State.OPEN

    def _deadline_of(self, trace: Trace) -> float:
        """Until when what is missing of an execution may be on its way: it ended just now."""
        age_seconds = time.time() - trace.spans[0].end_ns / 1e9
        is_fresh = trace.is_complete and 0 <= age_seconds < self._wait_seconds
        return time.monotonic() + (self._wait_seconds - age_seconds if is_fresh else 0)

    def _stored(self, backend: TraceBackend, trace: Trace, closed: Trace, deadline: float) -> tuple[StoredTrace, Trace]:
        """What a backend has, and what it is compared with; asks until nothing is missing, or the time is over."""
        while True:
            stored = backend.trace(trace.execution.trace_id)
            ids = {span.span_id for span in stored.spans}
            # The root of an execution that has not ended is there only where somebody closed it.
            compared = closed if not trace.is_complete and closed.spans[0].span_id in ids else trace
            is_whole = all(span.span_id in ids for span in compared.spans)
            if is_whole or time.monotonic() >= deadline:
                return stored, compared
            time.sleep(_ASK_AGAIN_SECONDS)


def _marks(run: Run) -> set[SecretFingerprint]:
    return {mark for step in run.all_steps() for attempt in step.attempts for mark in attempt.marks}


def _shown(found: Difference, redaction: Redaction) -> Difference:
    """A difference as it may be shown: what a backend has was sent by anybody, under any rules of redaction."""
    if found.kind is Kind.MISSING:
        return found
    is_unknown = found.kind is Kind.DIFFERENT and found.expected is None
    return replace(
        found,
        name=redaction.bounded(found.name),
        field=redaction.bounded(found.field),
        actual=None if is_unknown or found.actual is None else _masked(found.actual, redaction),
    )


def _masked(value: Value, redaction: Redaction) -> Value:
    if isinstance(value, tuple):
        return tuple([redaction.bounded(item) for item in value])
    return redaction.bounded(value) if isinstance(value, str) else value
