"""The types of a trace, and the spans that need one attempt only, which the live wrapper exports first."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache, partial
from typing import Any, NamedTuple

from runlog_otel.core import identity, semconv
from runlog_otel.core.attributes import (
    RawEvent,
    code_attributes,
    events_of_code,
    exception_event,
    fact_attributes,
    failure_attributes,
    metric_attributes,
    parameter_attributes,
)
from runlog_otel.core.caller import Caller, caller_from
from runlog_otel.core.failure import Failure, failure_from_message
from runlog_otel.core.intervals import MIN_SPAN_DURATION_NS, is_reversed, times_of
from runlog_otel.core.memo import AttributeGroup, JoinedAttributes, Repeated, SpanMemo
from runlog_otel.core.model import NO_FACTS, Attempt, Run, Scalar, SecretFingerprint, Status, Step, Value
from runlog_otel.core.redaction import Redaction, RedactionPolicy
from runlog_otel.core.sanitized_values import SanitizedValues

Attributes = Mapping[str, Value]
_UNCUT = 2**63
_EMPTY = ("", ())
_OWN_KEYS = {attribute.name: attribute.name for attribute in semconv.ATTRIBUTES}


class SpanRole(str, Enum):
    """The part of a run that a span represents."""

    RUN = "run"
    START = "start"
    STEP = "step"
    BRANCH = "branch"
    ATTEMPT = "attempt"


class Result(str, Enum):
    """How a part ended: values of `cicd.pipeline.result` and `cicd.pipeline.task.run.result`."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLATION = "cancellation"
    SKIP = "skip"


_INTERRUPTIONS = {result.value: result for result in (Result.CANCELLATION, Result.TIMEOUT)}


class Event(NamedTuple):
    """An event of a span."""

    name: str
    time_ns: int
    attributes: Attributes


class Link(NamedTuple):
    """A link to a related span in another trace."""

    trace_id: bytes
    span_id: bytes
    attributes: Attributes


@dataclass(slots=True)
class Span:
    """A sanitised span, which may be exported. Only `SpanFactory.sanitized` makes one, and nothing changes it.

    `error` is the description of the status ERROR; None leaves the status unset. The class is not frozen, because that
    makes a span in 1.3 instead of 0.5 µs.
    """

    role: SpanRole
    name: str
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    error: str | None = None
    tracestate: str = ""

    @property
    def has_remote_parent(self) -> bool:
        """Whether its parent is a span of another process: the caller's."""
        return self.role is SpanRole.RUN and bool(self.parent_span_id)

    @property
    def evidence(self) -> Attributes:
        """Why a failed attempt failed: its last event, after those of its code, which may be exceptions as well."""
        last = self.events[-1:] if self.role is SpanRole.ATTEMPT and self.error is not None else ()
        return last[0].attributes if last and last[0].name == semconv.EXCEPTION_EVENT else {}


@dataclass(frozen=True, slots=True)
class Execution:
    """What the spans of one execution share. It is all that mapping one attempt needs besides the attempt."""

    run_id: str
    pipeline: str
    number: int = 1
    namespace: str = ""
    ui: str = ""
    policy: RedactionPolicy = field(default_factory=RedactionPolicy)
    marks: tuple[SecretFingerprint, ...] = ()
    """The fingerprints in the run's header."""
    caller: Caller | None = None
    """The span whose trace it joined."""
    tracestate: str = ""
    """The caller's."""

    @property
    def trace_id(self) -> bytes:
        """The execution's trace id: the caller's, if it joined that trace."""
        return self.caller.trace_id if self.caller else identity.trace_id(self.namespace, self.run_id, self.number)

    @property
    def span_ids(self) -> identity.SpanIds:
        """The ids of the execution's parts."""
        return identity.SpanIds(self.namespace, self.run_id, self.number)

    def span_id(self, part: SpanRole, path: str = "", attempt: int = 0, repeat: int = 1) -> bytes:
        """The span id of a part of the execution."""
        return self.span_ids(part.value, path, attempt, repeat)

    def attributes(self, more: Attributes) -> Attributes:
        """The attributes of every span of the execution, and more; empty values are left out."""
        own: dict[str, Value] = {
            semconv.PIPELINE_NAME: self.pipeline,
            semconv.PIPELINE_RUN_ID: self.run_id,
            semconv.EXECUTION: self.number,
        }
        return {key: value for key, value in (own | dict(more)).items() if value not in _EMPTY}

    def redaction(self, marks: tuple[SecretFingerprint, ...] = ()) -> Redaction:
        """The redaction of a part of the log with these fingerprints."""
        return Redaction(self.policy.patterns, self.run_id, (*self.marks, *marks))

    def failure(self, attempt: Attempt) -> Failure:
        """Why an attempt failed."""
        failure, noted = self.parsed(attempt.message, attempt.marks), attempt.facts.error_type
        return failure._replace(type=noted) if noted else failure

    def parsed(self, message: str, marks: tuple[SecretFingerprint, ...] = ()) -> Failure:
        """A failure's message; it is redacted before it is cut, as a secret that was cut is not recognised."""
        if self.policy.is_unlimited:
            return failure_from_message(message, str, _UNCUT)
        return failure_from_message(message, self.redaction(marks))

    def resource_pipeline(self) -> str:
        """The pipeline's name, sanitised."""
        return self.redaction().bounded(self.pipeline)


def execution_of(
    run: Run, number: int, namespace: str = "", ui: str = "", policy: RedactionPolicy | None = None
) -> Execution:
    """An execution of a run; in its caller's trace if the header says so."""
    header = run.header
    caller = caller_from(header.traceparent) if header.is_child else None
    return Execution(
        run.run_id,
        run.pipeline,
        number,
        namespace,
        ui,
        policy or RedactionPolicy(),
        header.marks,
        caller,
        header.tracestate if caller else "",
    )


class _Sanitizer:
    """Sanitises what was built from a part of the log with these fingerprints."""

    def __init__(self, execution: Execution, marks: tuple[SecretFingerprint, ...]) -> None:
        redaction = None if execution.policy.is_unlimited else execution.redaction(marks)
        self.values = SanitizedValues(redaction, semconv.MAX_ATTRIBUTE_BYTES)
        self._keys = SanitizedValues(redaction, semconv.MAX_KEY_BYTES)
        self._keys.update(_OWN_KEYS)
        self.shared = self.attributes(execution.attributes({}))

    def attributes(self, raw: Attributes) -> dict[str, Value]:
        keys, values = self._keys, self.values
        return {keys[key]: values[value] for key, value in raw.items()}

    def of_span(self, raw: Attributes) -> dict[str, Value]:
        """The attributes of a span: those of every span of the execution, and its own without empty values."""
        keys, values = self._keys, self.values
        own = {keys[key]: values[value] for key, value in raw.items() if value or value not in _EMPTY}
        return self.shared | own

    def event(self, raw: RawEvent) -> Event:
        name, at_ns, attributes = raw
        return Event(self.values[name], at_ns, self.attributes(attributes))


class SpanFactory:
    """Makes the spans of one execution. What they share is made once, and each text is sanitised once."""

    def __init__(self, execution: Execution, memo: SpanMemo | None = None) -> None:
        self.execution = execution
        self.trace_id = execution.trace_id
        self._ids = execution.span_ids
        self._sanitizer = lru_cache(maxsize=16)(partial(_Sanitizer, execution))
        self._tracestate = str(self._sanitizer(()).values[execution.tracestate]) if execution.tracestate else ""
        self._memo = None if memo is None or execution.marks or execution.ui else memo.of(execution.policy)
        self._shared = AttributeGroup(self._sanitizer(()).shared if memo else {})

    def span_id(self, role: SpanRole, path: str = "", attempt: int = 0, repeat: int = 1) -> bytes:
        """The span id of a part of the execution."""
        return self._ids(role, path, attempt, repeat)

    def sanitized(
        self,
        role: SpanRole,
        name: str,
        span_id: bytes,
        parent_span_id: bytes,
        interval: tuple[int, int],
        *,
        attributes: Attributes,
        events: Sequence[RawEvent] = (),
        links: tuple[Link, ...] = (),
        error: str | None = None,
        marks: tuple[SecretFingerprint, ...] = (),
        shape: Hashable = None,
    ) -> Span:
        """The span of raw texts, with each of them redacted, then cut. This is the only gate.

        `marks` are the fingerprints in the part of the log that it is built from. `shape` is given if the span repeats,
        see `SpanMemo`.
        """
        sanitizer = self._sanitizer(marks)
        span = Span(
            role,
            sanitizer.values[name],
            self.trace_id,
            span_id,
            parent_span_id,
            interval[0],
            interval[1],
            sanitizer.of_span(attributes),
            tuple(map(sanitizer.event, events)) if events else (),
            links,
            None if error is None else sanitizer.values[error],
            self._tracestate,
        )
        if self._memo is not None and shape is not None and not marks:
            self._memo[role, shape] = Repeated.of(span.name, interval, span.attributes, span.events, self._shared)
        return span

    def remembered(
        self, role: SpanRole, shape: Hashable, span_id: bytes, parent_span_id: bytes, interval: tuple[int, int]
    ) -> Span | None:
        """The span of a part whose shape `sanitized` was given before, by the memo: 2 instead of 12 µs."""
        repeated = self._memo and self._memo.get((role, shape))
        if not repeated:
            return None
        attributes = JoinedAttributes(self._shared, repeated.own)
        events = tuple([Event(*event) for event in repeated.events_at(interval)]) if repeated.events else ()
        ids = (self.trace_id, span_id, parent_span_id)
        return Span(role, repeated.name, *ids, *interval, attributes, events, tracestate=self._tracestate)

    def parameters(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], marks: tuple[SecretFingerprint, ...] = ()
    ) -> dict[str, Scalar]:
        """The attributes of parameters; `marks` are the fingerprints in their part of the log."""
        policy, namespace = self.execution.policy, self.execution.namespace
        if not policy.exports_parameters:
            return {}
        return dict(parameter_attributes(inputs, outputs, policy, self.execution.redaction(marks), namespace))

    def start_span(self, start_ns: int) -> Span:
        """The start marker."""
        name = semconv.START_SPAN.format(pipeline=self.execution.pipeline)
        interval = (start_ns, start_ns + MIN_SPAN_DURATION_NS)
        span_id, parent_span_id = self.span_id(SpanRole.START), self.span_id(SpanRole.RUN)
        return self.sanitized(SpanRole.START, name, span_id, parent_span_id, interval, attributes={})

    def attempt_span(self, step: Step, attempt: Attempt, at_ns: int, step_span_id: bytes) -> Span:
        """The span of one attempt."""
        interval = times_of(attempt) or (at_ns, at_ns + MIN_SPAN_DURATION_NS)
        span_id = self.span_id(SpanRole.ATTEMPT, step.path, attempt.number, attempt.repeat)
        shape = _shape(step, attempt)
        if shape and (span := self.remembered(SpanRole.ATTEMPT, shape, span_id, step_span_id, interval)):
            return span
        failure = self.execution.failure(attempt) if attempt.status is not Status.SUCCESS else None
        facts, policy = attempt.facts, self.execution.policy
        attributes: dict[str, Value] = {
            **(fact_attributes(facts, policy) if facts is not NO_FACTS else {}),
            semconv.STEP_NAME: step.name,
            semconv.STEP_PATH: step.path,
            semconv.ATTEMPT_NUMBER: attempt.number,
            **({semconv.ATTEMPT_REPEAT: attempt.repeat} if attempt.repeat > 1 else {}),
            semconv.ATTEMPT_RESULT: (result_of(attempt) if failure else Result.SUCCESS).value,
            semconv.ATTEMPT_RETRY_INDICATOR: attempt.retry_indicator,
            semconv.INPUT_PARAMETERS: attempt.input_parameters,
            semconv.OUTPUT_PARAMETERS: attempt.output_parameters,
            **({semconv.START_IS_DERIVED: True} if attempt.is_start_derived else {}),
            **({semconv.CLOCK_IS_ADJUSTED: True} if is_reversed(attempt) else {}),
            **(failure_attributes(failure) if failure else {}),
            **code_attributes(attempt.code),
            **self.parameters(attempt.input_values, attempt.output_values, attempt.marks),
            **(metric_attributes(attempt.metrics, policy) if attempt.metrics else {}),
        }
        events = events_of_code(facts.events, policy) if facts.events else ()
        return self.sanitized(
            SpanRole.ATTEMPT,
            semconv.ATTEMPT_SPAN.format(step=step.name),
            span_id,
            step_span_id,
            interval,
            attributes=attributes,
            events=(*events, exception_event(failure, interval[1])) if failure else events,
            error=(failure.description or "the attempt failed") if failure else None,
            marks=attempt.marks,
            shape=shape,
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one execution: its root first, then depth first in the order of the log.

    An execution that is not complete has only its final spans: start marker and attempts.
    """

    execution: Execution
    is_complete: bool
    spans: tuple[Span, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """The attempt whose code is running."""

    run_id: str
    step: str
    trace_id: bytes
    span_id: bytes
    is_sampled: bool = True
    tracestate: str = ""
    """The caller's, if the run joined its trace."""

    @property
    def traceparent(self) -> str:
        """The value of the W3C header `traceparent`."""
        return f"00-{self.trace_id.hex()}-{self.span_id.hex()}-0{int(self.is_sampled)}"


def span_from_start(execution: Execution, start_ns: int) -> Span:
    """The start marker: a child of the run's span, without duration, that makes a run visible before it ends."""
    return SpanFactory(execution).start_span(start_ns)


def span_from_attempt(execution: Execution, step: Step, attempt: Attempt, at_ns: int = 0) -> Span:
    """The span of one attempt, which needs only the attempt and its step's name.

    Args:
        execution: the attempt's execution.
        step: its step.
        attempt: the attempt.
        at_ns: its start if the log has no time.
    """
    return SpanFactory(execution).attempt_span(step, attempt, at_ns, execution.span_id(SpanRole.STEP, step.path))


def _shape(step: Step, attempt: Attempt) -> Hashable:
    """All that the span of a plain attempt is made of, beside ids and times; None for another attempt."""
    if attempt.status is not Status.SUCCESS or attempt.marks or attempt.metrics or attempt.facts is not NO_FACTS:
        return None
    return (
        *(step.name, step.path, attempt.number, attempt.repeat, attempt.retry_indicator, attempt.code),
        *(attempt.input_parameters, attempt.output_parameters, attempt.is_start_derived, is_reversed(attempt)),
    )


def result_of(attempt: Attempt) -> Result:
    """How an attempt ended."""
    if attempt.status is Status.SUCCESS:
        return Result.SUCCESS
    return _INTERRUPTIONS.get(attempt.facts.error_type, Result.FAILURE)
