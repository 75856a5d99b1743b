"""Makes the spans of an execution from parts of its log, among them those that the live wrapper exports first."""

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

from runlog_otel.core import semconv
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
from runlog_otel.core.intervals import MIN_SPAN_DURATION_NS, is_reversed, times_of
from runlog_otel.core.memo import AttributeGroup, JoinedAttributes, Repeated, SpanMemo
from runlog_otel.core.model import NO_FACTS, Attempt, Scalar, SecretFingerprint, Status, Step, Value
from runlog_otel.core.sanitized_values import SanitizedValues
from runlog_otel.core.trace import Attributes, Event, Execution, Link, Result, Span, SpanRole, result_of

_EMPTY = ("", ())
_NONE: Attributes = MappingProxyType({})
_OWN_KEYS = {attribute.name: attribute.name for attribute in semconv.ATTRIBUTES}


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
        """The own attributes of a span, without empty values."""
        keys, values = self._keys, self.values
        return {keys[key]: values[value] for key, value in raw.items() if value or value not in _EMPTY}

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
        varying: Attributes = _NONE,
        events: Sequence[RawEvent] = (),
        links: tuple[Link, ...] = (),
        error: str | None = None,
        marks: tuple[SecretFingerprint, ...] = (),
        shape: Hashable = None,
    ) -> Span:
        """The span of raw texts, with each of them redacted, then cut. This is the only gate.

        `marks` are the fingerprints in the part of the log that it is built from. `shape` is given if the span repeats,
        see `SpanMemo`, but for the attributes in `varying`.
        """
        sanitizer = self._sanitizer(marks)
        own, various = sanitizer.of_span(attributes), sanitizer.of_span(varying) if varying else _NONE
        span = Span(
            role,
            sanitizer.values[name],
            self.trace_id,
            span_id,
            parent_span_id,
            interval[0],
            interval[1],
            {**sanitizer.shared, **various, **own},
            tuple(map(sanitizer.event, events)) if events else (),
            links,
            None if error is None else sanitizer.values[error],
            self._tracestate,
        )
        if self._memo is not None and shape is not None and not marks:
            self._memo[role, shape] = Repeated.of(span.name, interval, own, span.events)
        return span

    def remembered(
        self,
        role: SpanRole,
        shape: Hashable,
        span_id: bytes,
        parent_span_id: bytes,
        interval: tuple[int, int],
        *,
        varying: Attributes = _NONE,
    ) -> Span | None:
        """The span of a part whose shape `sanitized` was given before, by the memo: 2 instead of 12 µs."""
        repeated = self._memo and self._memo.get((role, shape))
        if not repeated:
            return None
        groups = (AttributeGroup(self._sanitizer(()).of_span(varying)),) if varying else ()
        attributes = JoinedAttributes(self._shared, *groups, repeated.own)
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
        shape, facts, policy = _shape(step, attempt), attempt.facts, self.execution.policy
        varying = fact_attributes(facts, policy) if facts is not NO_FACTS else _NONE
        ids = (span_id, step_span_id)
        if shape and (span := self.remembered(SpanRole.ATTEMPT, shape, *ids, interval, varying=varying)):
            return span
        failure = self.execution.failure(attempt) if attempt.status is not Status.SUCCESS else None
        attributes: dict[str, Value] = {
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
            *ids,
            interval,
            attributes=attributes,
            varying=varying,
            events=(*events, exception_event(failure, interval[1])) if failure else events,
            error=(failure.description or "the attempt failed") if failure else None,
            marks=attempt.marks,
            shape=shape,
        )


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
    facts = attempt.facts
    if attempt.status is not Status.SUCCESS or attempt.marks or attempt.metrics or facts.events or facts.annotations:
        return None
    return (
        *(step.name, step.path, attempt.number, attempt.repeat, attempt.retry_indicator, attempt.code),
        *(attempt.input_parameters, attempt.output_parameters, attempt.is_start_derived, is_reversed(attempt)),
    )
