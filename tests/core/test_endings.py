"""How an execution ended that reached no verdict, as the header notes it."""

from dataclasses import replace

import pytest

from runlog_otel.core import semconv
from runlog_otel.core.model import Ending, Facts, Header, Run, Status
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Span, SpanRole, Trace
from tests.core.logs import at, attempt, branch, composite, points_from_run, run, task, verdict

_EVIDENCE = 'KeyError: 9\n\nTraceback (most recent call last):\n  File "host.py", line 1, in run\nKeyError: 9'


def ended(*endings: Ending, header: Header | None = None) -> Run:
    """A run of which a branch was still open."""
    inner = composite("m", "map", branch("m.1", task("m.1.w", status=Status.PROCESSING)), status=Status.PROCESSING)
    noted = tuple(replace(ending, open_steps=("m", "m.1.w")) for ending in endings)
    known = header or Header(created_ns=at(0), utc_offset_seconds=0)
    return run(task("a", attempt(1, 2)), inner, status=Status.PROCESSING, header=replace(known, endings=noted))


def outcomes(trace: Trace) -> dict[str, tuple[object, object, str | None]]:
    """Result, error type and status of every container, by name."""
    keys = (semconv.PIPELINE_RESULT, semconv.TASK_RESULT, semconv.BRANCH_RESULT)
    return {
        span.name: (
            next(span.attributes[key] for key in keys if key in span.attributes),
            span.attributes.get(semconv.ERROR_TYPE),
            span.error,
        )
        for span in trace.spans
        if span.role in (SpanRole.RUN, SpanRole.STEP, SpanRole.BRANCH)
    }


@pytest.mark.parametrize(
    ("result", "status"),
    [("cancellation", "it was cancelled"), ("timeout", "it timed out")],
)
def test_a_noted_ending_completes_an_execution(result: str, status: str) -> None:
    """The run and all that was open in it end with the result; what had ended keeps its own."""
    (trace,) = spans_from_run(ended(Ending(1, result, at(9))))
    assert trace.is_complete
    assert outcomes(trace) == {
        "RUN train": (result, result, status),
        "a": ("success", None, None),
        "m": (result, result, status),
        "m/iteration": (result, result, status),
        "w": (result, result, status),
    }
    assert (trace.spans[0].start_ns, trace.spans[0].end_ns) == (at(0), at(9) + 1)


def test_what_a_process_saw_is_evidence_on_the_run() -> None:
    """Error type, status and an exception event, instead of a bare `abandoned`."""
    root = root_of(ended(Ending(1, "error", at(9), message=_EVIDENCE)))
    (event,) = root.events
    assert (root.attributes[semconv.PIPELINE_RESULT], root.attributes[semconv.ERROR_TYPE]) == ("error", "KeyError")
    assert (root.error, event.name, event.attributes["exception.type"]) == ("9", "exception", "KeyError")


def test_an_error_without_evidence_is_abandoned() -> None:
    """As if nobody had noted it, but for the time."""
    root = root_of(ended(Ending(1, "error", at(9))))
    assert (root.attributes[semconv.ERROR_TYPE], root.error, root.events) == ("abandoned", "it never ended", ())


def test_a_verdict_makes_an_ending_void() -> None:
    """The host had ended the execution."""
    log = run(task("a", attempt(1, 2)), verdict("success", 3))
    noted = replace(log, header=replace(log.header, endings=(Ending(1, "cancellation", at(9), message="x"),)))
    assert spans_from_run(noted) == spans_from_run(log)


@pytest.mark.parametrize("ending", [Ending(2, "timeout", at(9)), Ending(1, "success", at(9)), Ending(1, "", at(9))])
def test_other_endings_are_ignored(ending: Ending) -> None:
    """Of another execution, or with a result that is none."""
    (trace,) = spans_from_run(ended(ending))
    assert not trace.is_complete


def test_the_first_of_several_endings_counts() -> None:
    """Spans were exported with it."""
    both = Ending(1, "cancellation", at(5)), Ending(1, "timeout", at(9))
    assert spans_from_run(ended(*both)) == spans_from_run(ended(both[0]))


def test_a_retry_does_not_change_what_was_open() -> None:
    """Its attempts at the open steps stand in its own trace, and the one before stays as it was exported."""
    (before,) = spans_from_run(ended(Ending(1, "cancellation", at(9))))
    log = ended(Ending(1, "cancellation", at(9)), header=Header(at(0), 0, retries=((2, at(20)),)))
    again = task("m.1.w", replace(attempt(21, 22), execution=2))
    steps = (log.steps[0], composite("m", "map", branch("m.1", again), status=Status.PROCESSING))
    first, _ = spans_from_run(replace(log, steps=steps))
    assert (first.spans, first.is_complete) == (before.spans, True)


def test_a_retry_says_how_the_execution_before_it_was_ended() -> None:
    """Not that it never ended."""
    header = Header(created_ns=at(0), retries=((2, at(20)),), endings=(Ending(1, "cancellation", at(9)),))
    steps = task("a", attempt(1, 2, ok=False), attempt(21, 22, number=2)), verdict("success", 23)
    _, second = spans_from_run(run(*steps, header=header))
    assert second.spans[0].attributes[semconv.RETRY_REASON] == "cancellation"


def test_an_interrupted_attempt_says_so() -> None:
    """Its process knows better than the log, which has a failure; the step ends like its last attempt."""
    interrupted = replace(attempt(1, 2, ok=False), facts=Facts(error_type="timeout"))
    (trace,) = spans_from_run(run(task("a", interrupted), verdict("fail", 3), status=Status.FAIL))
    _, _, step, own = trace.spans
    assert (own.attributes[semconv.ATTEMPT_RESULT], own.attributes[semconv.ERROR_TYPE]) == ("timeout", "timeout")
    assert (step.attributes[semconv.TASK_RESULT], step.attributes[semconv.ERROR_TYPE]) == ("timeout", "timeout")


def test_why_an_attempt_failed_may_be_known_better() -> None:
    """The exception keeps its name."""
    killed = replace(attempt(1, 2, ok=False), message=_EVIDENCE, facts=Facts(error_type="oom_killed"))
    (trace,) = spans_from_run(run(task("a", killed), verdict("fail", 3), status=Status.FAIL))
    own = trace.spans[-1]
    assert (own.attributes[semconv.ERROR_TYPE], own.attributes[semconv.ATTEMPT_RESULT]) == ("oom_killed", "failure")
    assert own.events[0].attributes["exception.type"] == "KeyError"


def test_a_cancelled_run_counts_no_error() -> None:
    """It is counted with its result, and wakes nobody."""
    (execution,) = points_from_run(ended(Ending(1, "cancellation", at(9))))
    counted = {point.metric for point in execution.points}
    (duration,) = [dict(point.labels) for point in execution.points if point.metric == semconv.RUN_DURATION]
    assert (duration[semconv.PIPELINE_RESULT], counted & {semconv.RUN_ERRORS, semconv.STEP_LAST_FAILURE}) == (
        "cancellation",
        set(),
    )


def root_of(log: Run) -> Span:
    """The run's span."""
    (trace,) = spans_from_run(log)
    return trace.spans[0]
