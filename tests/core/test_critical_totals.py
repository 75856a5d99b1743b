"""The critical paths of many executions, added up by step."""

from runlog_otel.core.critical_totals import (
    CriticalStepTotal,
    CriticalTimes,
    CriticalTotals,
    critical_times,
    critical_totals,
)
from runlog_otel.core.model import Status, Step
from tests.core.logs import SECOND, attempt, branch, composite, run, task, verdict


def mapped(kind: str, *ends: float) -> Step:
    """A composite step with branches of a step each, one after another."""
    starts = (0, *ends)
    return composite(
        "m",
        kind,
        *(
            branch(f"m.{end}", task(f"m.{end}.work", attempt(start, end)))
            for start, end in zip(starts, ends, strict=False)
        ),
    )


def test_iterations_count_together() -> None:
    """Under one name, once in an execution; branches that people named do not."""
    end = (task("end", attempt(6, 7)), verdict("success", 7))
    (iterated,) = critical_times(run(mapped("map", 2, 5), *end), str.upper)
    (named,) = critical_times(run(mapped("parallel", 2, 5), *end), str)
    assert iterated.steps == {"M.*.WORK": (5 * SECOND, 0), "END": (SECOND, SECOND)}
    assert named.steps == {"m.2.work": (2 * SECOND, 0), "m.5.work": (3 * SECOND, 0), "end": (SECOND, SECOND)}


def test_an_iteration_of_an_iteration_has_no_value_either() -> None:
    """At any depth."""
    inner = composite("m.a.n", "loop", branch("m.a.n.1", task("m.a.n.1.work", attempt(0, 1))))
    (times,) = critical_times(run(composite("m", "map", branch("m.a", inner)), verdict("success", 1)), str)
    assert list(times.steps) == ["m.*.n.*.work"]


def test_executions_that_have_ended_count() -> None:
    """Each of its own; the one that is in progress does not."""
    steps = (task("a", attempt(0, 1)), task("b", attempt(1, 2, ok=False), attempt(22, 25)), verdict("fail", 2))
    going = critical_times(run(*steps, status=Status.PROCESSING), str)
    ended = critical_times(run(*steps, verdict("success", 26)), str)
    first = {"a": (SECOND, 0), "b": (SECOND, 0)}
    assert [times.steps for times in going] == [first]
    assert [times.steps for times in ended] == [first, {"b": (3 * SECOND, 0)}]


def test_the_step_that_took_most_time_is_the_first() -> None:
    """What nothing took was waited for."""
    executions = [
        CriticalTimes(10, {"a": (4, 1), "b": (3, 0)}),
        CriticalTimes(20, {"a": (2, 0), "c": (6, 3)}),
        CriticalTimes(5, {}),
    ]
    totals = critical_totals(executions)
    steps = (CriticalStepTotal("a", 2, 6, 1), CriticalStepTotal("c", 1, 6, 3), CriticalStepTotal("b", 1, 3, 0))
    assert (totals, totals.wait_ns) == (CriticalTotals(3, 35, steps), 20)


def test_nothing_adds_up_to_nothing() -> None:
    """Without executions."""
    assert critical_totals([]) == CriticalTotals(0, 0, ())
