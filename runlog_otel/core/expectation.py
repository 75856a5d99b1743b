"""How long the parts of a run usually take, from runs of the same pipeline, and how long they may still take. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from runlog_otel.core.executions import timeline_of
from runlog_otel.core.intervals import Intervals
from runlog_otel.core.model import Branch, Run, Step

Key = tuple[str, ...]
"""Identifies a part in every run of a pipeline: the names on the way to it, with `""` for any iteration."""
RUN_KEY: Key = ()
"""The key of the whole run."""


def step_key(graph: Key, name: str) -> Key:
    """The key of a step in a graph: in the root graph `()`, or in a branch."""
    return (*graph, name)


def branch_key(step: Key, branch: Branch, *, is_iteration: bool) -> Key:
    """The key of a branch of a step: all iterations of a map or loop have the same."""
    return (*step, "" if is_iteration else branch.name)


def durations_of(run: Run) -> dict[Key, int]:
    """How long each part of a run took, in nanoseconds: of iterations, the median.

    A part that ran in several executions, or has no time in the log, is left out: it says nothing of a usual run.
    """
    timeline = timeline_of(run)
    intervals = {number: Intervals(timeline, number) for number in range(1, timeline.count + 1)}
    durations: dict[Key, list[int]] = defaultdict(list)

    def add(part: Step | Branch, key: Key) -> None:
        executions = timeline.executions(part)
        interval = intervals[executions.pop()].of(part) if len(executions) == 1 else None
        if interval is not None:
            durations[key].append(interval[1] - interval[0])

    if timeline.count == 1 and (interval := intervals[1].of_graph(run.steps, timeline.starts_ns.get(1))):
        durations[RUN_KEY].append(interval[1] - interval[0])
    waiting: list[tuple[Key, Sequence[Step]]] = [(RUN_KEY, run.steps)]
    while waiting:
        graph, steps = waiting.pop()
        for step in steps:
            if not step.is_terminal:
                add(step, key := step_key(graph, step.name))
                for branch in step.branches:
                    inner = branch_key(key, branch, is_iteration=step.has_iterations)
                    add(branch, inner)
                    waiting.append((inner, branch.steps))
    return {key: _median(values) for key, values in durations.items()}


def usual_durations(runs: Iterable[Mapping[Key, int]]) -> dict[Key, int]:
    """How long each part usually takes, in nanoseconds: the median over some runs, each as `durations_of` has it."""
    durations: dict[Key, list[int]] = defaultdict(list)
    for run in runs:
        for key, duration_ns in run.items():
            durations[key].append(duration_ns)
    return {key: _median(values) for key, values in durations.items()}


def remaining_ns(duration_ns: int | None, start_ns: int | None, now_ns: int) -> int | None:
    """How long a part that has started usually still takes, in nanoseconds: 0 if it takes longer than usual.

    Args:
        duration_ns: how long it usually takes; None if that is unknown.
        start_ns: when it started; None if that is unknown.
        now_ns: the time; an earlier one than the start is that of another machine's clock.

    Returns:
        The time from 0 to `duration_ns`, or None if it is unknown.
    """
    if duration_ns is None or start_ns is None:
        return None
    return max(0, duration_ns - max(0, now_ns - start_ns))


def total_ns(parts: Iterable[int | None]) -> int | None:
    """How long parts take one after another, in nanoseconds; None if that of one is unknown."""
    known = list(parts)
    return sum(part for part in known if part is not None) if None not in known else None


def _median(values: Sequence[int]) -> int:
    """The middle value; of two, the smaller."""
    return sorted(values)[(len(values) - 1) // 2]
