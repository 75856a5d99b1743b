"""The types of a trace, and the spans that need one attempt only, which the live wrapper exports first."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from itertools import islice
from typing import Any

from runlog_otel.core import identity, semconv
from runlog_otel.core.failure import Failure, failure_from_message
from runlog_otel.core.model import Attempt, CodeIdentity, Scalar, SecretFingerprint, Status, Step
from runlog_otel.core.redaction import Redaction, RedactionPolicy, bounded_names, url_without_credentials

MIN_SPAN_DURATION_NS = 1
"""No span is shorter: Jaeger warns of a negative duration when a span ends at its start."""

Value = Scalar | tuple[str, ...]
Attributes = Mapping[str, Value]
_INT64 = range(-(2**63), 2**63)
_UNCUT = 2**63
_MAX_DEPTH = 200
"""The deepest nesting of a parameter's value that is exported."""
_CUT = "…"
_OWN_KEYS = frozenset(attribute.name for attribute in semconv.ATTRIBUTES)


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
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a span."""

    name: str
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a related span in another trace."""

    trace_id: bytes
    span_id: bytes
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class RawSpan:
    """A span as the mapping builds it, with the raw text of the log. `Execution.sanitized` makes a `Span` of it.

    `error` is the description of the status ERROR; None leaves the status unset.
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


@dataclass(frozen=True, slots=True)
class Span(RawSpan):
    """A sanitised span, which may be exported. Only `Execution.sanitized` makes one."""


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

    @property
    def trace_id(self) -> bytes:
        """The execution's trace id."""
        return identity.trace_id(self.namespace, self.run_id, self.number)

    def span_id(self, part: SpanRole, path: str = "", attempt: int = 0, repeat: int = 1) -> bytes:
        """The span id of a part of the execution."""
        parts = {"kind": part.value, "path": path, "attempt": attempt, "repeat": repeat}
        return identity.span_id(self.namespace, self.run_id, self.number, **parts)  # type: ignore[arg-type]

    def attributes(self, more: Attributes) -> Attributes:
        """The attributes of every span of the execution, and more; empty values are left out."""
        own: dict[str, Value] = {
            semconv.PIPELINE_NAME: self.pipeline,
            semconv.PIPELINE_RUN_ID: self.run_id,
            semconv.EXECUTION: self.number,
        }
        return {key: value for key, value in (own | dict(more)).items() if value not in ("", ())}

    def redaction(self, marks: tuple[SecretFingerprint, ...] = ()) -> Redaction:
        """The redaction of a part of the log with these fingerprints."""
        return Redaction(self.policy.patterns, self.run_id, (*self.marks, *marks))

    def failure(self, attempt: Attempt) -> Failure:
        """Why an attempt failed; it is redacted before it is cut, as a secret that was cut is not recognised."""
        if self.policy.is_unlimited:
            return failure_from_message(attempt.message, str, _UNCUT)
        return failure_from_message(attempt.message, self.redaction(attempt.marks))

    def resource_pipeline(self) -> str:
        """The pipeline's name, sanitised."""
        return self.redaction().bounded(self.pipeline)

    def sanitized(self, raw: RawSpan, marks: tuple[SecretFingerprint, ...] = ()) -> Span:
        """The span with every text redacted, then cut. This is the only gate.

        Args:
            raw: the span as the mapping built it.
            marks: the fingerprints in the part of the log that it was built from.
        """
        span = Span(**{field.name: getattr(raw, field.name) for field in fields(raw)})
        if self.policy.is_unlimited:
            return span
        text = self.redaction(marks).bounded

        def sanitized(value: Value) -> Value:
            if isinstance(value, str):
                return text(value)
            return bounded_names(map(text, value)) if isinstance(value, tuple) else value

        def attributes(raw: Attributes) -> Attributes:
            return {
                key if key in _OWN_KEYS else text(key, semconv.MAX_KEY_BYTES): sanitized(value)
                for key, value in raw.items()
            }

        return replace(
            span,
            name=text(span.name),
            attributes=attributes(span.attributes),
            events=tuple(replace(event, attributes=attributes(event.attributes)) for event in span.events),
            error=None if span.error is None else text(span.error),
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


def trace_url(ui: str, trace_id: bytes, span_id: bytes = b"") -> str:
    """The URL of a trace, or of a span in it, in Jaeger's user interface at `ui`; empty without `ui`."""
    if not ui:
        return ""
    page = f"{ui.rstrip('/')}/trace/{trace_id.hex()}"
    return f"{page}?uiFind={span_id.hex()}" if span_id else page


def span_from_start(execution: Execution, start_ns: int) -> Span:
    """The start marker: a child of the run's span, without duration, that makes a run visible before it ends."""
    return execution.sanitized(raw_start_span(execution, start_ns))


def raw_start_span(execution: Execution, start_ns: int) -> RawSpan:
    """The start marker, before it is sanitised."""
    return RawSpan(
        role=SpanRole.START,
        name=semconv.START_SPAN.format(pipeline=execution.pipeline),
        trace_id=execution.trace_id,
        span_id=execution.span_id(SpanRole.START),
        parent_span_id=execution.span_id(SpanRole.RUN),
        start_ns=start_ns,
        end_ns=start_ns + MIN_SPAN_DURATION_NS,
        attributes=execution.attributes({}),
    )


def span_from_attempt(execution: Execution, step: Step, attempt: Attempt, at_ns: int = 0) -> Span:
    """The span of one attempt, which needs only the attempt and its step's name.

    Args:
        execution: the attempt's execution.
        step: its step.
        attempt: the attempt.
        at_ns: its start if the log has no time.
    """
    return execution.sanitized(raw_attempt_span(execution, step, attempt, at_ns), attempt.marks)


def raw_attempt_span(execution: Execution, step: Step, attempt: Attempt, at_ns: int) -> RawSpan:
    """The span of one attempt, before it is sanitised."""
    start, end = times_of(attempt) or (at_ns, at_ns + MIN_SPAN_DURATION_NS)
    failure = execution.failure(attempt) if attempt.status is not Status.SUCCESS else None
    attributes: dict[str, Value] = {
        semconv.TASK_NAME: step.name,
        semconv.STEP_PATH: step.path,
        semconv.ATTEMPT_NUMBER: attempt.number,
        **({semconv.ATTEMPT_REPEAT: attempt.repeat} if attempt.repeat > 1 else {}),
        semconv.ATTEMPT_RESULT: (Result.FAILURE if failure else Result.SUCCESS).value,
        semconv.ATTEMPT_RETRY_INDICATOR: attempt.retry_indicator,
        semconv.INPUT_PARAMETERS: attempt.input_parameters,
        semconv.OUTPUT_PARAMETERS: attempt.output_parameters,
        **({semconv.START_IS_DERIVED: True} if attempt.is_start_derived else {}),
        **({semconv.CLOCK_IS_ADJUSTED: True} if _is_reversed(attempt) else {}),
        semconv.ERROR_TYPE: failure.type if failure else "",
        semconv.PROCESS_EXIT_CODE: "" if failure is None or failure.exit_code is None else failure.exit_code,
        **_code_attributes(attempt.code),
        **dict(parameter_attributes(execution, attempt.input_values, attempt.output_values, attempt.marks)),
        **{
            semconv.METRIC.format(name=name): value
            for name, value in islice(attempt.metrics.items(), execution.policy.limit(semconv.MAX_METRICS))
        },
    }
    return RawSpan(
        role=SpanRole.ATTEMPT,
        name=semconv.ATTEMPT_SPAN.format(step=step.name),
        trace_id=execution.trace_id,
        span_id=execution.span_id(SpanRole.ATTEMPT, step.path, attempt.number, attempt.repeat),
        parent_span_id=execution.span_id(SpanRole.STEP, step.path),
        start_ns=start,
        end_ns=end,
        attributes=execution.attributes(attributes),
        events=(_exception_event(failure, end),) if failure else (),
        error=(failure.description or "the attempt failed") if failure else None,
    )


def _exception_event(failure: Failure, at_ns: int) -> Event:
    attributes: dict[str, Value] = {
        semconv.EXCEPTION_TYPE: failure.type,
        semconv.EXCEPTION_MESSAGE: failure.message,
    }
    if failure.stacktrace:
        attributes[semconv.EXCEPTION_STACKTRACE] = failure.stacktrace
    return Event(semconv.EXCEPTION_EVENT, at_ns, attributes)


def has_times(attempt: Attempt) -> bool:
    """Whether the log has a time for the attempt, so that it can be mapped alone."""
    return times_of(attempt) is not None


def times_of(attempt: Attempt) -> tuple[int, int] | None:
    """Start and end of an attempt; if its clock went backwards, it has the minimum duration."""
    start = attempt.start_ns if attempt.start_ns is not None else attempt.end_ns
    if start is None:
        return None
    return start, max(start + MIN_SPAN_DURATION_NS, attempt.end_ns if attempt.end_ns is not None else start)


def _is_reversed(attempt: Attempt) -> bool:
    return None not in (attempt.start_ns, attempt.end_ns) and attempt.end_ns < attempt.start_ns  # type: ignore[operator]


def _scalar(value: Any) -> Value:
    """A scalar as it is, any other value as its JSON text."""
    is_scalar = isinstance(value, bool | float | str) or (isinstance(value, int) and value in _INT64)
    return value if is_scalar else _json(value) or _CUT


def _json(value: Any) -> str:
    """A value as JSON text; empty if JSON cannot represent it, or if it is nested too deeply."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        nests = [part for part in level if isinstance(part, dict | list | tuple)]
        level = [inner for part in nests for inner in (part.values() if isinstance(part, dict) else part)]
        if not nests:
            break
    try:
        return "" if level else json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError):
        return ""


def parameter_attributes(
    execution: Execution,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    marks: tuple[SecretFingerprint, ...] = (),
) -> Iterator[tuple[str, Value]]:
    """Values of the allowed parameters, and digests of all parameters if they are enabled.

    A digest is of the redacted value: a short secret could be guessed from its digest.
    """
    policy, redaction = execution.policy, execution.redaction(marks)
    limit = policy.limit(semconv.MAX_PARAMETERS)
    for value_name, digest_name, values in (
        (semconv.INPUT_VALUE, semconv.INPUT_DIGEST, inputs),
        (semconv.OUTPUT_VALUE, semconv.OUTPUT_DIGEST, outputs),
    ):
        allowed = ((name, value) for name, value in values.items() if policy.allows(name))
        for name, value in islice(allowed, limit):
            yield value_name.format(name=name), _scalar(value)
        for name, value in islice(values.items(), limit if policy.has_digests else 0):
            if text := _json(value):
                parts = "\0".join((execution.namespace, name, redaction(text)))
                digest = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]
                yield digest_name.format(name=name), digest


def _code_attributes(identities: tuple[CodeIdentity, ...]) -> dict[str, Value]:
    attributes: dict[str, Value] = {}
    for code in identities:
        if not code.identifier:
            continue
        if code.kind == "git":
            attributes[semconv.VCS_REVISION] = code.identifier
            attributes[semconv.VCS_REPOSITORY] = url_without_credentials(code.url)
            attributes[semconv.CODE_IS_CLEAN] = code.is_dependable
        elif code.kind == "docker":
            is_digest = code.identifier.startswith("sha256:")
            attributes[semconv.IMAGE_ID if is_digest else semconv.IMAGE_NAME] = code.identifier
        else:
            attributes[semconv.CODE_IDENTITY.format(type=code.kind)] = code.identifier
    return attributes
