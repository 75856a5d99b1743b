"""What code said of an attempt is on its span; an exception that it handled is not why the attempt failed."""

from dataclasses import replace

from runlog_otel.cli.show import _last_words, _said
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
    assert list(_said(trace)) == ["a, attempt 1: rows=1, exception"]
    words = list(_last_words(trace))
    assert ("  ValueError: the reason" in words, "handled" in str(words)) == (True, False)


def test_show_says_it_in_a_line() -> None:
    """Of each attempt whose code said anything, in its first bytes."""
    events = tuple(AttemptEvent(at(2), name, {}) for name in ("checkpoint", "done", "checkpoint"))
    facts = Facts(annotations={"rows": 1, "note": "x" * 1000}, events=events)
    short = Facts(annotations={"rows": 1}, events=events)
    steps = [task(name, replace(attempt(1, 3), facts=each)) for name, each in (("a", short), ("b", facts))]
    (trace,) = spans_from_run(run(*steps, task("c", attempt(1, 3)), verdict("success", 4)))
    assert [line[:60] for line in _said(trace)] == [
        "a, attempt 1: rows=1, checkpoint (2 times), done",
        f"b, attempt 1: rows=1, note={'x' * 33}",
    ]


def test_an_attempt_that_passed_has_no_evidence() -> None:
    """Whatever its code has handled."""
    facts = Facts(events=(AttemptEvent(at(2), "exception", HANDLED),))
    (trace,) = spans_from_run(run(task("a", replace(attempt(1, 3), facts=facts)), verdict("success", 4)))
    assert [(len(span.events), span.evidence, span.error) for span in trace.spans if span.events] == [(1, {}, None)]
    assert list(_last_words(trace)) == []
