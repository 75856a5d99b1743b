"""What code said of an attempt is on its span; an exception that it handled is not why the attempt failed."""

from dataclasses import replace

from runlog_otel.cli.show import _last_words
from runlog_otel.core import semconv
from runlog_otel.core.model import AttemptEvent, Facts, Status
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import SpanRole
from tests.core.logs import at, attempt, points_from_run, run, task, verdict

HANDLED = {
    "exception.type": "LookupError",
    "exception.message": "handled",
    "exception.stacktrace": "Traceback (most recent call last):\n  handled\nLookupError: handled",
}
REASON = "ValueError: the reason\n\nTraceback (most recent call last):\n  because\nValueError: the reason"


def test_a_handled_exception_is_no_evidence() -> None:
    """Neither for the newest failure among the metrics, nor where `show` prints the last frames."""
    facts = Facts(annotations={"rows": 1}, events=(AttemptEvent(at(2), "exception", HANDLED),))
    failed = replace(attempt(1, 3, ok=False), message=REASON, facts=facts)
    log = run(task("a", failed), verdict("fail", 4), status=Status.FAIL)
    (trace,) = spans_from_run(log)
    (span,) = [span for span in trace.spans if span.role is SpanRole.ATTEMPT]
    assert span.attributes["rows"] == 1
    assert [event.attributes["exception.message"] for event in span.events] == ["handled", "the reason"]
    assert span.evidence["exception.message"] == "the reason"
    (points,) = points_from_run(log)
    (failure,) = [point for point in points.points if point.metric == semconv.STEP_LAST_FAILURE]
    assert dict(failure.details)["exception.message"] == "the reason"
    words = list(_last_words(trace))
    assert ("  ValueError: the reason" in words, "handled" in str(words)) == (True, False)


def test_an_attempt_that_passed_has_no_evidence() -> None:
    """Whatever its code has handled."""
    facts = Facts(events=(AttemptEvent(at(2), "exception", HANDLED),))
    (trace,) = spans_from_run(run(task("a", replace(attempt(1, 3), facts=facts)), verdict("success", 4)))
    assert [(len(span.events), span.evidence, span.error) for span in trace.spans if span.events] == [(1, {}, None)]
    assert list(_last_words(trace)) == []
