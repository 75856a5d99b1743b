"""Clocks that differ, step or stand in other zones change times, and nothing else."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.executions import timeline_of
from runlog_otel.core.model import Run
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Trace
from tests.core.histories import PATHS, History, plans, skews

_RESULTS = (semconv.PIPELINE_RESULT, semconv.TASK_RESULT, semconv.BRANCH_RESULT, semconv.ATTEMPT_RESULT)


def told(run: Run) -> list[Any]:
    """What the traces of a run say beside times: executions, which are complete, and the result of each span."""
    return [
        (
            trace.execution.number,
            trace.is_complete,
            {s.span_id: next((s.attributes[key] for key in _RESULTS if key in s.attributes), "") for s in trace.spans},
        )
        for trace in spans_from_run(run)
    ]


def assert_whole(trace: Trace) -> None:
    """Every span lasts, and none leaves its parent."""
    spans = {span.span_id: span for span in trace.spans}
    for span in trace.spans:
        parent = spans.get(span.parent_span_id, span)
        assert parent.start_ns <= span.start_ns < span.end_ns <= parent.end_ns


def retried(failing: Sequence[str], history: History, *, is_last_failed: bool, notes: bool = False) -> History:
    """Executions that fail one after the other, and a last one."""
    for index, path in enumerate(failing):
        if index and notes:
            history.note_retry()
        history.execute(fails=path)
    if not (is_last_failed and failing):
        if failing and notes:
            history.note_retry()
        history.execute()
    return history


@given(st.sampled_from(["", *PATHS]), skews)
def test_clocks_make_no_execution(fails: str, off: tuple[int, ...]) -> None:
    """A log of one execution is one, with the same results, however far the clocks are off."""
    history, exact = History(skews=off), History()
    history.execute(fails=fails)
    exact.execute(fails=fails)
    assert timeline_of(history.run()).numbers == history.numbers
    assert told(history.run()) == told(exact.run())
    for trace in spans_from_run(history.run()):
        assert_whole(trace)


@pytest.mark.parametrize("executor", ["local", "argo"])
@given(plans, st.booleans(), skews)
@example(["fan.x.two", "fan.y.one"], False, (0, -10_000_000_001))
@example(["load", "fan.x.two", "fan.y.one"], False, (0, -10_000_000_001))
def test_clocks_move_no_attempt_of_a_retry_with_indicators(
    executor: str, failing: list[str], is_last_failed: bool, off: tuple[int, ...]
) -> None:
    """Executions with indicators of their own keep number, attempts and results."""
    indicators = ("", "r1", "r2", "r3", "r4")
    history, exact = (
        retried(failing, History(indicators, skews=by), is_last_failed=is_last_failed) for by in (off, (0,))
    )
    timeline = timeline_of(history.run(executor))
    assert (timeline.count, timeline.numbers) == (history.executions, history.numbers)
    assert told(history.run(executor)) == told(exact.run(executor))


@pytest.mark.parametrize("notes", [False, True], ids=["without a note", "noted in the header"])
@given(plans, st.booleans(), skews)
def test_clocks_move_no_attempt_of_a_retry_without_indicators(
    notes: bool, failing: list[str], is_last_failed: bool, off: tuple[int, ...]
) -> None:
    """The root graph's verdicts count the executions, and the order of the log tells which attempt is of which."""
    history, exact = (
        retried(failing, History(skews=by), is_last_failed=is_last_failed, notes=notes) for by in (off, (0,))
    )
    timeline = timeline_of(history.run())
    assert (timeline.count, timeline.numbers) == (history.executions, history.numbers)
    assert told(history.run()) == told(exact.run())


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(PATHS)), max_size=4), st.booleans(), skews)
def test_clocks_move_no_attempt_that_says_its_execution(
    ends: list[tuple[bool, str]], is_open: bool, off: tuple[int, ...]
) -> None:
    """What each process notes holds for executions that were killed, too, whatever the order of the log."""
    histories = []
    for by in (off, (0,)):
        history = History(is_noted=True, skews=by)
        for is_killed, path in sorted(ends, key=lambda end: PATHS.index(end[1])):
            history.execute(**{"killed" if is_killed else "fails": path})
            if is_killed:
                history.note_retry()
        if not is_open:
            history.execute()
        histories.append(history)
    run = histories[0].run()
    assert timeline_of(run).numbers == histories[0].numbers
    assert told(run) == told(histories[1].run())
    for trace in spans_from_run(run):
        assert_whole(trace)
