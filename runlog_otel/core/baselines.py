"""How an execution's durations and resources differ from those of its pipeline's successful runs. Pure.

A value is unusual if it is above the median of at least `MIN_SAMPLES` successes by a fifth, by three of their standard
deviations, and by a second or 1 MiB: small values vary for no reason. The standard deviation is estimated from the
median absolute deviation, so that one slow run among the successes does not hide the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from runlog_otel.core.execution_record import ExecutionRecord, StepRecord
from runlog_otel.core.semconv import CPU_TIME, SECOND_NS

MIN_SAMPLES = 5
"""Fewer successes say nothing of what is usual."""
_MIN_RATIO = 1.2
_MIN_SIGMAS = 3
_SIGMAS_PER_MAD = 1.4826
"""Of a normal distribution."""
_MIN_EXCESS_NS = SECOND_NS
_MIN_EXCESS_SECONDS, _MIN_EXCESS_BYTES = 1, 2**20
_EXPLAINED = 0.5
"""A step that contains others is not named where one of these has this share of its excess."""
_RELEVANT = 0.05
"""The least share of a slow run's excess that a step is named for."""
_PAUSES = "pauses"
BETWEEN_STEPS = "(between steps)"
"""The name of the time in which no step of the root graph runs."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual: of the successes before."""

    samples: int
    median: float
    p95: float
    """By nearest rank: with fewer than 20 samples the highest."""
    deviation: float
    """The standard deviation, as 1.4826 times the median absolute deviation."""


@dataclass(frozen=True, slots=True)
class SlowStep:
    """A step that took longer than usual; durations in nanoseconds, of the longest iteration."""

    key: str
    """Its place in the graph; `(between steps)` for the pauses between steps."""
    kind: str
    duration_ns: int
    excess_ns: int
    """Above the median; all of it, if it never ran in a success before."""
    count: int
    """How many iterations."""
    usual_count: float
    """The median of successes."""
    baseline: Baseline | None


@dataclass(frozen=True, slots=True)
class UnusualUsage:
    """A resource that a step used more of than usual."""

    key: str
    resource: str
    """The attribute's name: `runlog.attempt.memory.peak` …"""
    value: float
    """In the attribute's unit: seconds or bytes."""
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class Timing:
    """How long an execution took, against its own history.

    `verdict` is `slow`, `normal`, `unknown` (too few successes before) or `not_compared` (it failed).
    """

    verdict: str
    duration_ns: int
    baseline: Baseline | None
    slow_steps: tuple[SlowStep, ...]
    """Those that took longer than usual, the greatest excess first."""
    usage: tuple[UnusualUsage, ...]


def baseline_of(values: Iterable[float]) -> Baseline | None:
    """The baseline of some values; None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = -(-len(ordered) * 95 // 100)
    middle = float(median(ordered))
    deviation = _SIGMAS_PER_MAD * float(median(abs(value - middle) for value in ordered))
    return Baseline(len(ordered), middle, float(ordered[rank - 1]), deviation)


def timing_of(record: ExecutionRecord, successes: Sequence[ExecutionRecord], duration_ns: int) -> Timing:
    """Compare an execution with successes.

    Args:
        record: the execution.
        successes: successful executions of the same pipeline, in any order.
        duration_ns: how long it took, or has taken so far.
    """
    baseline = baseline_of(past.duration_ns for past in successes)
    if record.has_failed:
        verdict = "not_compared"
    elif baseline is None or baseline.samples < MIN_SAMPLES:
        verdict = "unknown"
    else:
        verdict = "slow" if _is_long(duration_ns, baseline) else "normal"
    least_ns: float = _MIN_EXCESS_NS
    if verdict == "slow" and baseline is not None:
        least_ns = (duration_ns - baseline.median) * _RELEVANT
    slow = _slow_steps(record, successes, least_ns) if len(successes) >= MIN_SAMPLES else ()
    return Timing(verdict, duration_ns, baseline, tuple(slow), tuple(_unusual_usage(record, successes)))


def _slow_steps(record: ExecutionRecord, successes: Sequence[ExecutionRecord], least_ns: float) -> Sequence[SlowStep]:
    """The steps that took longer than usual, by at least this time."""
    steps = [
        _slow_step(step, [past.steps[key] for past in successes if key in past.steps], least_ns)
        for key, step in _timed(record)
    ]
    pauses = baseline_of(past.pauses_ns for past in successes)
    if pauses is not None and _is_long(record.pauses_ns, pauses, least_ns):
        excess_ns = record.pauses_ns - round(pauses.median)
        steps.append(SlowStep(BETWEEN_STEPS, _PAUSES, record.pauses_ns, excess_ns, 1, 1, pauses))
    slow = [step for step in steps if step is not None]
    named = [step for step in slow if not any(_explains(inner, step) for inner in slow)]
    return sorted(named, key=lambda step: (-step.excess_ns, step.key))


def _timed(record: ExecutionRecord) -> Iterable[tuple[str, StepRecord]]:
    """The steps whose duration says something: of a failed run also those that succeeded before."""
    return ((key, step) for key, step in record.steps.items() if not step.has_failed or not record.has_failed)


def _slow_step(step: StepRecord, past: Sequence[StepRecord], least_ns: float) -> SlowStep | None:
    baseline = baseline_of(before.duration_ns for before in past)
    usual_ns = baseline.median if baseline else 0
    excess_ns = round(step.duration_ns - usual_ns)
    if excess_ns < least_ns or (baseline and not _is_long(step.duration_ns, baseline, least_ns)):
        return None
    usual_count = float(median(before.count for before in past)) if past else 0.0
    return SlowStep(step.key, step.kind, step.duration_ns, excess_ns, step.count, usual_count, baseline)


def _explains(inner: SlowStep, outer: SlowStep) -> bool:
    return inner.key.startswith(f"{outer.key}/") and inner.excess_ns >= outer.excess_ns * _EXPLAINED


def _is_long(duration_ns: float, baseline: Baseline, least_ns: float = _MIN_EXCESS_NS) -> bool:
    return _is_above(duration_ns, baseline) and duration_ns - baseline.median >= least_ns


def _is_above(value: float, baseline: Baseline) -> bool:
    least = max(baseline.median * _MIN_RATIO, baseline.median + _MIN_SIGMAS * baseline.deviation)
    return value >= least


def _unusual_usage(record: ExecutionRecord, successes: Sequence[ExecutionRecord]) -> Iterable[UnusualUsage]:
    found = []
    for key, step in record.steps.items():
        past = [before.steps[key] for before in successes if key in before.steps]
        for resource, value in step.usage.items():
            baseline = baseline_of(before.usage[resource] for before in past if resource in before.usage)
            least = _MIN_EXCESS_SECONDS if resource == CPU_TIME else _MIN_EXCESS_BYTES
            if baseline is None or baseline.samples < MIN_SAMPLES or value - baseline.median < least:
                continue
            if _is_above(value, baseline):
                found.append(UnusualUsage(key, resource, value, baseline))
    return sorted(found, key=lambda unusual: (-_ratio(unusual), unusual.key, unusual.resource))


def _ratio(unusual: UnusualUsage) -> float:
    return unusual.value / unusual.baseline.median if unusual.baseline.median else unusual.value
