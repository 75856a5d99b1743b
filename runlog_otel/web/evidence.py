"""Why attempts failed, as a page shows it. Pure: made of spans, so masked and bounded."""

from dataclasses import dataclass

from runlog_otel.core import semconv
from runlog_otel.core.trace import Span, SpanRole, Trace
from runlog_otel.web.waterfall import Waterfall

MAX_SHOWN = 50
"""Failed attempts with their evidence on a page."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A failed attempt; `row` is the key of its step's row in the waterfall."""

    row: str
    key: str
    where: str
    attempt: int
    result: str
    error_type: str
    message: str
    stacktrace: str
    is_recovered: bool
    """Whether a later attempt of the step succeeded."""
    url: str
    """The page of the step's span, with the setting `ui`."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed attempts of an execution, in the order of the log, and how many are not shown."""

    shown: tuple[Evidence, ...] = ()
    more: int = 0


def failures(trace: Trace, waterfall: Waterfall) -> Failures:
    """The evidence of every failed attempt: of those that decided first, then of those that a retry made up for."""
    succeeded = {span.parent_span_id for span in trace.spans if span.role is SpanRole.ATTEMPT and span.error is None}
    failed = [span for span in trace.spans if span.role is SpanRole.ATTEMPT and span.error is not None]
    failed.sort(key=lambda span: span.parent_span_id in succeeded)
    urls = {span.span_id: str(url) for span in trace.spans if (url := span.attributes.get(semconv.TASK_RUN_URL))}
    shown = tuple(
        _evidence(span, waterfall, is_recovered=span.parent_span_id in succeeded, url=urls.get(span.parent_span_id, ""))
        for span in failed[:MAX_SHOWN]
    )
    return Failures(shown, len(failed) - len(shown))


def _evidence(span: Span, waterfall: Waterfall, *, is_recovered: bool, url: str) -> Evidence:
    attributes, evidence = span.attributes, span.evidence
    step = span.parent_span_id
    return Evidence(
        row=waterfall.row_of(step),
        key=span.span_id.hex(),
        where=waterfall.names[step],
        attempt=int(str(attributes[semconv.ATTEMPT_NUMBER])),
        result=str(attributes.get(semconv.ATTEMPT_RESULT, "")),
        error_type=str(attributes.get(semconv.ERROR_TYPE, "")),
        message=str(evidence.get(semconv.EXCEPTION_MESSAGE, span.error or "")),
        stacktrace=str(evidence.get(semconv.EXCEPTION_STACKTRACE, "")),
        is_recovered=is_recovered,
        url=url,
    )
