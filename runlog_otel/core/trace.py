"""The types of a trace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from runlog_otel.core import identity, semconv
from runlog_otel.core.caller import Caller, caller_from
from runlog_otel.core.failure import Failure, failure_from_message
from runlog_otel.core.model import Attempt, Run, SecretFingerprint, Status, Value
from runlog_otel.core.redaction import Redaction, RedactionPolicy

Attributes = Mapping[str, Value]
_UNCUT = 2**63
_EMPTY = ("", ())


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


def result_of(attempt: Attempt) -> Result:
    """How an attempt ended."""
    if attempt.status is Status.SUCCESS:
        return Result.SUCCESS
    return _INTERRUPTIONS.get(attempt.facts.error_type, Result.FAILURE)
