"""Counters are compared with what the logs of runs add up to."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.counter_diff import CounterDifference, Sample, too_large, too_small

OVERFLOW = ("otel_metric_overflow", "true")


def sample(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


A, B, SUM = sample("runs_total", pipeline="a"), sample("runs_total", pipeline="b"), sample("seconds_sum", pipeline="a")
NAMES = st.sampled_from(["runs_total", "seconds_count", "seconds_bucket"])
SAMPLES = st.builds(sample, NAMES, pipeline=st.sampled_from("abc"), le=st.sampled_from(["1.0", "+Inf"]))
COUNTERS = st.dictionaries(SAMPLES, st.integers(0, 1_000).map(float), max_size=12)


def names(found: Iterable[CounterDifference]) -> list[tuple[str, float, float | None, float]]:
    return [(one.labels[0][1], one.at_least, one.at_most, one.actual) for one in found]


@given(COUNTERS)
def test_equal_counters_do_not_differ(counters: dict[Sample, float]) -> None:
    """A counter that is not there is zero."""
    actual = {key: value for key, value in counters.items() if value}
    assert list(too_small(counters, actual)) == []
    assert list(too_large(counters, counters, actual)) == []


@given(COUNTERS, st.randoms(use_true_random=False))
def test_a_counter_that_is_off_by_one_is_found(counters: dict[Sample, float], random: object) -> None:
    """And no other."""
    for key, value in counters.items():
        assert [(one.sample, one.actual) for one in too_small({**counters, key: value + 1}, counters)] == [
            (key[0], value)
        ]
        assert [(one.sample, one.actual) for one in too_large(counters, counters, {**counters, key: value + 1})] == [
            (key[0], value + 1)
        ]


def test_runs_that_have_not_ended_may_be_counted_or_not() -> None:
    """`serve` closes them after a day."""
    least, most = {A: 3.0}, {A: 4.0, B: 1.0}
    for actual in ({A: 3.0}, {A: 4.0}, {A: 4.0, B: 1.0}):
        assert [*too_small(least, actual), *too_large(least, most, actual)] == []
    assert names(too_small(least, {A: 2.0})) == [("a", 3.0, None, 2.0)]
    assert names(too_large(least, most, {A: 5.0, B: 2.0})) == [("a", 3.0, 4.0, 5.0), ("b", 0.0, 1.0, 2.0)]


def test_a_counter_that_no_log_explains_is_too_large() -> None:
    """Its runs were deleted, or never were."""
    assert names(too_large({}, {}, {A: 1.0, B: 0.0})) == [("a", 0.0, 0.0, 1.0)]


def test_sums_of_seconds_may_be_rounded() -> None:
    """Counts may not."""
    assert list(too_small({SUM: 0.1 + 0.2}, {SUM: 0.3})) == []
    assert list(too_large({SUM: 0.3}, {SUM: 0.3}, {SUM: 0.1 + 0.2})) == []
    assert len(list(too_small({SUM: 0.300001}, {SUM: 0.3}))) == 1
    assert len(list(too_small({A: 3.0000000001}, {A: 3.0}))) == 1


def test_label_sets_that_overflowed_are_added_up() -> None:
    """Which runs are in the overflow series is unknown; the sum must be right, bucket by bucket."""
    logs = {A: 3.0, B: 4.0, sample("seconds_bucket", le="1.0", pipeline="b"): 2.0}
    overflow: Sample = ("runs_total", frozenset([OVERFLOW]))
    buckets: Sample = ("seconds_bucket", frozenset([OVERFLOW, ("le", "1.0")]))
    counters = {A: 3.0, overflow: 4.0, buckets: 2.0}
    assert [*too_small(logs, counters), *too_large(logs, logs, counters)] == []
    assert [one.actual for one in too_small(logs, {**counters, overflow: 3.0})] == [6.0]
    assert [one.actual for one in too_large(logs, logs, {**counters, buckets: 3.0})] == [3.0]
