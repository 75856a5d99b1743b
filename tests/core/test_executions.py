"""A retry adds to its run's log; attempts are told apart by execution."""

from dataclasses import replace

from hypothesis import given

from runlog_otel.core.executions import _ran_once, timeline_of
from runlog_otel.core.model import Attempt, Header, Run, Status, Step
from runlog_otel.core.numbering import count_and_numbers
from tests.core.logs import at, attempt, branch, composite, run, runs, task, verdict


def test_a_run_without_attempts_has_one_execution() -> None:
    """What is recorded first belongs to execution 1."""
    timeline = timeline_of(run(status=Status.PROCESSING))
    assert (timeline.count, timeline.next_execution("")) == (1, 1)


def test_an_execution_ends_with_the_root_graph_s_verdict() -> None:
    """What was recorded after `fail` is the second execution; after its own verdict a third would begin."""
    timeline = timeline_of(
        run(
            task("a", attempt(1, 2)),
            task("b", attempt(2, 3, ok=False), attempt(11, 12, number=2)),
            verdict("fail", 4),
            verdict("success", 13),
        )
    )
    assert timeline.numbers == {("a", 0): 1, ("b", 0): 1, ("fail", 0): 1, ("b", 1): 2, ("success", 0): 2}
    assert timeline.next_execution("") == 3


def test_an_execution_ends_where_the_retry_indicator_changes() -> None:
    """On Argo a failed run has no verdict: its retries carry an indicator."""
    timeline = timeline_of(
        run(task("a", attempt(1, 2, ok=False), attempt(9, 10, number=2, indicator="r1")), has_executor_retries=True)
    )
    assert timeline.numbers == {("a", 0): 1, ("a", 1): 2}
    assert (timeline.next_execution("r1"), timeline.next_execution("r2")) == (2, 3)


def test_an_execution_ends_where_the_header_says_so() -> None:
    """A run that was killed has no verdict; the wrapper notes when its retry began."""
    killed = run(task("a", attempt(1, 2)), task("b", attempt(8, 9)), status=Status.PROCESSING)
    header = replace(killed.header, retries=((2, at(7)),))
    timeline = timeline_of(replace(killed, header=header))
    assert timeline.numbers == {("a", 0): 1, ("b", 0): 2}
    assert timeline.starts_ns == {1: at(0), 2: at(7)}


def test_a_noted_retry_after_a_verdict_is_one_execution() -> None:
    """A verdict and a note of the same retry count once, whatever indicator the retry carries."""
    timeline = timeline_of(
        run(
            task("a", attempt(1, 2, ok=False), attempt(9, 10, number=2, indicator="x")),
            verdict("fail", 3),
            header=Header(created_ns=at(0), retries=((2, at(8)),)),
        )
    )
    assert timeline.numbers == {("a", 0): 1, ("fail", 0): 1, ("a", 1): 2}


def test_a_branch_s_verdict_ends_nothing() -> None:
    """Only the root graph's terminal steps end an execution."""
    inner = branch("p.x", task("p.x.a", attempt(1, 2)), verdict("success", 3, prefix="p.x."))
    timeline = timeline_of(run(composite("p", "parallel", inner), task("b", attempt(4, 5))))
    assert set(timeline.numbers.values()) == {1}


def test_attempts_without_times_come_last() -> None:
    """A mocked job records no times."""
    timeline = timeline_of(run(task("job", Attempt(number=1, status=Status.SUCCESS))))
    assert timeline.numbers == {("job", 0): 1}


def test_a_noted_retry_says_its_number() -> None:
    """A process of one step knows only the verdicts and the header: it counts as one that knows the whole log."""
    header = Header(created_ns=at(0), retries=((3, at(7)),))
    whole = run(task("a", attempt(1, 2, ok=False), attempt(5, 6, number=2)), verdict("fail", 3), header=header)
    verdicts = run(verdict("fail", 3), header=header)
    assert timeline_of(whole).next_execution("") == timeline_of(verdicts).next_execution("") == 3


def test_a_note_is_worth_more_than_the_order_of_the_log() -> None:
    """An attempt that says its execution belongs to it, whatever its time and place."""
    noted = replace(attempt(1, 2), execution=2)
    timeline = timeline_of(run(task("a", attempt(3, 4)), task("b", noted), status=Status.PROCESSING))
    assert (timeline.count, timeline.numbers) == (2, {("a", 0): 1, ("b", 0): 2})


def test_work_that_stands_behind_fail_is_of_a_later_execution() -> None:
    """Nothing runs after `fail` but a retry, even if its clock is behind and it has not ended."""
    log = run(task("a", attempt(5, 6, ok=False)), verdict("fail", 7), task("b", attempt(1, 2)), status=Status.FAIL)
    timeline = timeline_of(log)
    assert (timeline.count, timeline.numbers) == (2, {("a", 0): 1, ("fail", 0): 1, ("b", 0): 2})


def test_what_failed_and_is_tried_again_after_fail_is_an_open_execution() -> None:
    """The only verdict was that of the first attempt."""
    log = run(
        task("a", attempt(5, 6, ok=False), attempt(1, 2, number=2)), verdict("fail", 7), task("b"), status=Status.FAIL
    )
    timeline = timeline_of(log)
    assert (timeline.count, timeline.numbers) == (2, {("a", 0): 1, ("fail", 0): 1, ("a", 1): 2})


def test_two_verdicts_are_two_executions_whichever_seems_the_earlier() -> None:
    """The status of the run says which of them was the last."""
    work = task("a", attempt(5, 6, ok=False), attempt(1, 2, number=2))
    timeline = timeline_of(run(work, verdict("fail", 9), verdict("success", 3)))
    assert timeline.numbers == {("a", 0): 1, ("fail", 0): 1, ("a", 1): 2, ("success", 0): 2}


def test_a_killed_execution_before_a_noted_retry_has_no_verdict() -> None:
    """The header's note stands before the only verdict, even if the clock of the retry is behind."""
    log = run(task("a", attempt(8, 9)), verdict("success", 2), header=Header(created_ns=at(0), retries=((2, at(1)),)))
    assert timeline_of(log).numbers["success", 0] == 2


@given(runs())
def test_a_log_that_plainly_ran_once_is_numbered_as_any_other(log: Run) -> None:
    """The quick way for a run without retries gives what the order of the log gives."""
    once = replace(log, header=Header(), steps=_tried_once(log.steps))
    if _ran_once(once, list(once.all_steps())):
        timeline = timeline_of(once)
        assert count_and_numbers(once, 1) == (timeline.count, timeline.numbers)


def _tried_once(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(
        replace(
            step,
            attempts=tuple(replace(first, retry_indicator="") for first in step.attempts[:1]),
            branches=tuple(replace(inner, steps=_tried_once(inner.steps)) for inner in step.branches),
        )
        for step in steps
    )
