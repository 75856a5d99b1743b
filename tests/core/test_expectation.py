"""How long parts usually take, and may still take."""

from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.executions import timeline_of
from runlog_otel.core.expectation import RUN_KEY, Key, durations_of, remaining_ns, total_ns, usual_durations
from runlog_otel.core.intervals import MIN_SPAN_DURATION_NS, has_times
from runlog_otel.core.model import Run
from tests.core.logs import SECOND, attempt, branch, composite, run, runs, task, verdict

durations = st.integers(min_value=0, max_value=10**18)
moments = st.integers(min_value=-(10**18), max_value=10**18)


def test_each_part_of_a_run_has_its_duration() -> None:
    """A step by its name, a named branch by both names, all iterations of a map by one key: the median of them."""
    log = run(
        task("load", attempt(0, 2)),
        composite(
            "m", "map", *(branch(f"m.{value}", task(f"m.{value}.t", attempt(2, 2 + value))) for value in (1, 5, 3))
        ),
        composite("p", "parallel", branch("p.x", task("p.x.t", attempt(7, 8)))),
        verdict("success", 10),
    )
    assert durations_of(log) == {
        RUN_KEY: 10 * SECOND + MIN_SPAN_DURATION_NS,
        ("load",): 2 * SECOND,
        ("m",): 5 * SECOND,
        ("m", ""): 3 * SECOND,
        ("m", "", "t"): 3 * SECOND,
        ("p",): SECOND,
        ("p", "x"): SECOND,
        ("p", "x", "t"): SECOND,
    }


def test_a_step_of_several_executions_is_left_out() -> None:
    """Between its attempts the run stood still."""
    log = run(
        task("a", attempt(0, 1)),
        task("b", attempt(1, 2, ok=False), attempt(100, 103, number=2)),
        verdict("fail", 3),
        verdict("success", 104),
    )
    assert durations_of(log) == {("a",): SECOND}


def test_the_usual_duration_is_the_median() -> None:
    """One slow run does not matter; of two values the smaller counts, and a new step has its own runs only."""
    histories: list[dict[Key, int]] = [{("a",): 1, ("b",): 7}, {("a",): 900}, {("a",): 3, ("b",): 5}]
    assert usual_durations(histories) == {("a",): 3, ("b",): 5}


def test_without_history_nothing_is_known() -> None:
    """Not even that it takes no time."""
    assert usual_durations([]) == {}
    assert remaining_ns(None, 0, 5) is None


def test_without_a_start_nothing_is_known() -> None:
    """The log says nothing of the start of a branch."""
    assert remaining_ns(10, None, 5) is None


@given(durations, moments, moments)
def test_what_remains_is_between_nothing_and_the_whole(duration_ns: int, start_ns: int, now_ns: int) -> None:
    """Whatever clocks say; and it is known whenever duration and start are."""
    left = remaining_ns(duration_ns, start_ns, now_ns)
    assert left is not None
    assert 0 <= left <= duration_ns
    assert left == duration_ns or now_ns > start_ns


@given(durations, moments, st.lists(durations, min_size=2))
def test_what_remains_never_grows(duration_ns: int, start_ns: int, passed: list[int]) -> None:
    """While time goes on."""
    left = [remaining_ns(duration_ns, start_ns, start_ns + after) for after in sorted(passed)]
    assert left == sorted(left, key=lambda ns: -(ns or 0))


@given(st.lists(st.none() | durations))
def test_a_sum_is_known_if_every_part_is(parts: list[int | None]) -> None:
    """And never negative."""
    total = total_ns(parts)
    assert (total is None) == (None in parts)
    assert total is None or total == sum(part or 0 for part in parts)


@given(runs(), st.integers(min_value=1, max_value=4))
def test_equal_runs_take_as_long_as_one_of_them(log: Run, count: int) -> None:
    """Any log can be history: no duration is negative, and the median of equal ones is the value."""
    own = durations_of(log)
    assert all(duration > 0 for duration in own.values())
    assert usual_durations([own] * count) == own
    if timeline_of(log).count == 1:
        timed = {step.name for step in log.steps if any(map(has_times, step.attempts)) and not step.is_terminal}
        assert {key[0] for key in own if key} >= timed
