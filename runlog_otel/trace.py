"""A trace as OTLP knows it, and those spans that need nothing but one attempt: what the live wrapper sends first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

from runlog_otel import identity, names
from runlog_otel.model import Attempt, CodeIdentity, Scalar, Status, Step
from runlog_otel.redaction import bounded, bounded_names, redacted, url_without_credentials

SHORTEST_NS = 1
"""No span is shorter: Jaeger takes a span that ends when it starts for one of negative duration, and warns of it."""

Value = Scalar | tuple[str, ...]
Attributes = Mapping[str, Value]


class Part(str, Enum):
    """What a span stands for."""

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
    """Something that happened at one moment of a span."""

    name: str
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Link:
    """A span elsewhere that belongs to the story."""

    trace_id: bytes
    span_id: bytes
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """A span as OTLP knows it; `error` is the description of status ERROR, None leaves the status unset."""

    part: Part
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
class Execution:
    """What the spans of one execution share. With it one attempt can be mapped without the rest of its log."""

    run_id: str
    pipeline: str
    number: int = 1
    namespace: str = ""
    ui: str = ""

    @property
    def trace_id(self) -> bytes:
        """The execution's trace id."""
        return identity.trace_id(self.namespace, self.run_id, self.number)

    def span_id(self, part: Part, path: str = "", attempt: int = 0) -> bytes:
        """The span id of a part of the execution."""
        return identity.span_id(self.namespace, self.run_id, self.number, kind=part.value, path=path, attempt=attempt)

    def attributes(self, more: Attributes) -> Attributes:
        """What every span of the execution says, and more; empty and missing values are left out."""
        own: dict[str, Value] = {
            names.PIPELINE_NAME: self.pipeline,
            names.PIPELINE_RUN_ID: self.run_id,
            names.EXECUTION: self.number,
        }
        return {key: _bounded(value) for key, value in (own | dict(more)).items() if value not in ("", ())}


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one execution: its root first, then depth first in the order of the log.

    An execution that is not complete has only what is final in it: start marker and attempts.
    """

    execution: Execution
    is_complete: bool
    spans: tuple[Span, ...] = field(repr=False)


def trace_url(ui: str, trace_id: bytes, span_id: bytes = b"") -> str:
    """The page of a trace, or of a span in it, in Jaeger's user interface at `ui`; empty without one."""
    if not ui:
        return ""
    page = f"{ui.rstrip('/')}/trace/{trace_id.hex()}"
    return f"{page}?uiFind={span_id.hex()}" if span_id else page


def span_from_start(execution: Execution, start_ns: int) -> Span:
    """The start marker: a child of the run, without duration, that makes a run visible before it ends."""
    return Span(
        part=Part.START,
        name=f"START {execution.pipeline}",
        trace_id=execution.trace_id,
        span_id=execution.span_id(Part.START),
        parent_span_id=execution.span_id(Part.RUN),
        start_ns=start_ns,
        end_ns=start_ns + SHORTEST_NS,
        attributes=execution.attributes({}),
    )


def span_from_attempt(execution: Execution, step: Step, attempt: Attempt, at_ns: int = 0) -> Span:
    """The span of one attempt, from nothing but the attempt and its step's name.

    Args:
        execution: the execution that the attempt belongs to.
        step: its step.
        attempt: what the log has of it.
        at_ns: the time to give it where the log has none.
    """
    start, end = times_of(attempt) or (at_ns, at_ns + SHORTEST_NS)
    message = bounded(redacted(attempt.message.strip()))
    failed = attempt.status is not Status.SUCCESS
    attributes: dict[str, Value] = {
        names.TASK_NAME: step.name,
        names.STEP_PATH: step.path,
        names.ATTEMPT_NUMBER: attempt.number,
        names.ATTEMPT_RESULT: (Result.FAILURE if failed else Result.SUCCESS).value,
        names.ATTEMPT_RETRY_INDICATOR: attempt.retry_indicator,
        names.INPUT_PARAMETERS: attempt.input_parameters,
        names.OUTPUT_PARAMETERS: attempt.output_parameters,
        names.ERROR_TYPE: names.OTHER_ERROR if failed else "",
        **_code_attributes(attempt.code),
        **{
            bounded(f"runlog.metric.{name}", names.MAX_KEY_BYTES): value
            for name, value in islice(attempt.metrics.items(), names.MAX_METRICS)
        },
    }
    exception = {names.EXCEPTION_TYPE: names.OTHER_ERROR, names.EXCEPTION_MESSAGE: message}
    return Span(
        part=Part.ATTEMPT,
        name=bounded(f"{step.name} attempt"),
        trace_id=execution.trace_id,
        span_id=execution.span_id(Part.ATTEMPT, step.path, attempt.number),
        parent_span_id=execution.span_id(Part.STEP, step.path),
        start_ns=start,
        end_ns=end,
        attributes=execution.attributes(attributes),
        events=(Event(names.EXCEPTION_EVENT, end, exception),) if failed else (),
        error=(message or "the attempt failed") if failed else None,
    )


def has_times(attempt: Attempt) -> bool:
    """Whether an attempt can be mapped before the rest of its log is known."""
    return times_of(attempt) is not None


def times_of(attempt: Attempt) -> tuple[int, int] | None:
    """Start and end of an attempt; one whose clock went backwards has the shortest duration."""
    start = attempt.start_ns if attempt.start_ns is not None else attempt.end_ns
    if start is None:
        return None
    return start, max(start + SHORTEST_NS, attempt.end_ns if attempt.end_ns is not None else start)


def _bounded(value: Value) -> Value:
    if isinstance(value, str):
        return bounded(value)
    return bounded_names(value) if isinstance(value, tuple) else value


def _code_attributes(identities: tuple[CodeIdentity, ...]) -> dict[str, Value]:
    attributes: dict[str, Value] = {}
    for code in identities:
        if not code.identifier:
            continue
        if code.kind == "git":
            attributes[names.VCS_REVISION] = code.identifier
            attributes[names.VCS_REPOSITORY] = url_without_credentials(code.url)
            attributes[names.CODE_IS_CLEAN] = code.is_dependable
        elif code.kind == "docker":
            is_digest = code.identifier.startswith("sha256:")
            attributes[names.IMAGE_ID if is_digest else names.IMAGE_NAME] = code.identifier
        else:
            attributes[f"runlog.code.{code.kind}"] = code.identifier
    return attributes
