"""Durations and resources are compared with those of successes; the steps that made a run slow are named."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.baselines import BETWEEN_STEPS, MIN_SAMPLES, Timing, baseline_of, timing_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.model import Facts, Status
from tests.core.logs import attempt, branch, composite, task, verdict
from tests.core.test_first_cause import only, run

USUAL = {"load": 10.0, "train": 60.0}


def took(
    seconds: Mapping[str, float], *, pause: float = 0.0, peaks: Mapping[str, int] | None = None
) -> ExecutionRecord:
    """A success whose steps took this long, one after another."""
    now, steps = 0.0, []
    for name, duration in seconds.items():
        own = attempt(now + pause, now + pause + duration)
        if peaks:
            own = replace(own, facts=Facts({semconv.MEMORY_PEAK: peaks[name], semconv.CPU_TIME: duration / 2}))
        steps.append(task(name, own))
        now += pause + duration
    return only(run(*steps, verdict("success", now), status=Status.SUCCESS))


def against(record: ExecutionRecord, *successes: ExecutionRecord) -> Timing:
    return timing_of(record, successes, record.duration_ns)


def named(timing: Timing) -> list[tuple[str, float]]:
    return [(step.key, step.excess_ns / semconv.SECOND_NS) for step in timing.slow_steps]


def test_a_slow_run_names_the_steps_that_made_it_slow() -> None:
    """The greatest excess first."""
    timing = against(took({"load": 30.0, "train": 300.0}), *[took(USUAL)] * MIN_SAMPLES)
    assert timing.verdict == "slow"
    assert named(timing) == [("train", 240.0), ("load", 20.0)]


def test_a_run_as_usual_names_no_step() -> None:
    """A second more is no news after a minute."""
    timing = against(took({"load": 10.5, "train": 61.0}), *[took(USUAL)] * MIN_SAMPLES)
    assert (timing.verdict, timing.slow_steps) == ("normal", ())


def test_few_successes_say_nothing() -> None:
    """Fewer than `MIN_SAMPLES` give no verdict and name nothing."""
    timing = against(took({"load": 1000.0, "train": 1000.0}), *[took(USUAL)] * (MIN_SAMPLES - 1))
    assert (timing.verdict, timing.slow_steps, timing.usage) == ("unknown", (), ())


def test_one_slow_success_does_not_hide_the_next() -> None:
    """The median and its deviation do not follow an outlier, which the 95th percentile does."""
    slow = took({"load": 10.0, "train": 600.0})
    timing = against(slow, slow, *[took(USUAL)] * MIN_SAMPLES)
    assert (timing.verdict, named(timing)) == ("slow", [("train", 540.0)])


def test_durations_that_vary_are_usual() -> None:
    """Three standard deviations are needed, however large they are."""
    successes = [took({"load": 10.0, "train": train}) for train in (20.0, 50.0, 60.0, 90.0, 120.0, 150.0)]
    assert against(took({"load": 10.0, "train": 170.0}), *successes).verdict == "normal"


def test_the_pauses_between_steps_count_as_a_step() -> None:
    """Pods that waited for a node make a run slow, and none of its steps."""
    timing = against(took(USUAL, pause=100.0), *[took(USUAL)] * MIN_SAMPLES)
    assert (timing.verdict, named(timing)) == ("slow", [(BETWEEN_STEPS, 200.0)])


def test_an_iteration_explains_its_map() -> None:
    """The step in it is named, and the map around it is not."""

    def mapped(*seconds: float) -> ExecutionRecord:
        branches = [
            branch(
                f"each.{at}", task(f"each.{at}.clean", attempt(0, each)), verdict("success", each, prefix=f"each.{at}.")
            )
            for at, each in enumerate(seconds)
        ]
        steps = (composite("each", "map", *branches), verdict("success", max(seconds)))
        return only(run(*steps, status=Status.SUCCESS))

    timing = against(mapped(5.0, 100.0, 5.0), *[mapped(5.0, 5.0)] * MIN_SAMPLES)
    assert named(timing) == [("each/*/clean", 95.0)]
    assert (timing.slow_steps[0].count, timing.slow_steps[0].usual_count) == (3, 2.0)


def test_a_step_that_never_ran_before_is_new() -> None:
    """Its whole duration is excess."""
    timing = against(took({**USUAL, "check": 100.0}), *[took(USUAL)] * MIN_SAMPLES)
    assert named(timing) == [("check", 100.0)]
    assert timing.slow_steps[0].baseline is None


def test_a_peak_of_memory_above_the_usual_is_named() -> None:
    """Each step against its own history."""
    usual = {"load": 100 * 2**20, "train": 2 * 2**30}
    successes = [took(USUAL, peaks=usual)] * MIN_SAMPLES
    timing = against(took(USUAL, peaks={"load": 101 * 2**20, "train": 5 * 2**30}), *successes)
    assert [(each.key, each.resource, each.value) for each in timing.usage] == [
        ("train", semconv.MEMORY_PEAK, 5 * 2**30)
    ]


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=60))
def test_a_baseline_lies_within_its_values(values: list[float]) -> None:
    """Median and percentile are between the least and the greatest."""
    baseline = baseline_of(values)
    assert baseline is not None
    assert min(values) <= baseline.median <= baseline.p95 <= max(values)
    assert baseline.samples == len(values)


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(1, 100)), min_size=MIN_SAMPLES, max_size=12), st.randoms())
def test_the_order_of_history_does_not_matter(history: list[tuple[float, float]], generator: random.Random) -> None:
    """Sources list it in different orders."""
    successes = [took({"load": load, "train": train}) for load, train in history]
    record = took({"load": 50.0, "train": 200.0})
    other = list(successes)
    generator.shuffle(other)
    assert against(record, *successes) == against(record, *other)


def test_nothing_has_no_baseline() -> None:
    assert baseline_of([]) is None


@pytest.mark.parametrize(("count", "p95"), [(10, 10.0), (20, 19.0), (100, 95.0)])
def test_the_percentile_is_a_value_that_was_measured(count: int, p95: float) -> None:
    """By nearest rank."""
    baseline = baseline_of(range(1, count + 1))
    assert baseline is not None
    assert baseline.p95 == p95
