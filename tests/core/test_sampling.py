"""Which runs are sent follows from the run id, the share, and how an execution ended."""

from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.sampling import is_notable, is_sampled
from runlog_otel.core.spans import spans_from_run
from tests.core.logs import attempt, run, task, verdict


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_the_smaller_one(run_id: str, one: float, other: float) -> None:
    """Whoever raises the share goes on sending what was sent before; 0 sends none, 1 all."""
    smaller, larger = sorted((one, other))
    assert is_sampled(run_id, smaller) <= is_sampled(run_id, larger)
    assert not is_sampled(run_id, 0)
    assert is_sampled(run_id, 1)


def test_the_share_of_many_runs_is_the_share_that_was_asked_for() -> None:
    """Names that differ by a number spread evenly, in each namespace another way."""
    chosen = {space: {n for n in range(20_000) if is_sampled(f"run-{n}", 0.1, space)} for space in ("", "b")}
    assert all(0.09 < len(found) / 20_000 < 0.11 for found in chosen.values())
    assert 0.005 < len(chosen[""] & chosen["b"]) / 20_000 < 0.015


def test_what_failed_or_took_long_is_notable_once_it_has_ended() -> None:
    """A success is not, unless it took longer than the limit; nor is what may still succeed."""
    (good,) = spans_from_run(run(task("a", attempt(1, 9)), verdict("success", 10)))
    (bad,) = spans_from_run(run(task("a", attempt(1, 9, ok=False)), verdict("fail", 10)))
    (going,) = spans_from_run(run(task("a", attempt(1, 9, ok=False))))
    (closed,) = spans_from_run(run(task("a", attempt(1, 9))), is_abandoned=True)
    assert [is_notable(trace, None) for trace in (good, bad, going, closed)] == [False, True, False, True]
    assert [is_notable(good, limit) for limit in (0, 9.9, 11)] == [True, True, False]
