"""The critical path of an execution: the chain of steps that set its length, and the slack of every step.

Steps of a graph run one after another. Of branches, and of the nodes of a graph whose starts follow from its edges, one
ran after another if it began when that had ended, or later: the path goes back from the one that ended last. A step is
on the path from its first attempt to its last, with the pauses between them; a composite step is represented by the
steps of its branches. Time in which no step of the path ran is waiting time.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TypeVar

from runlog_otel.core.endings import interval_of_execution
from runlog_otel.core.executions import Timeline, timeline_of
from runlog_otel.core.intervals import Interval, Intervals
from runlog_otel.core.model import Branch, Run, Step

_Part = TypeVar("_Part", Step, Branch)


@dataclass(frozen=True, slots=True)
class CriticalStep:
    """A step on the critical path, and the time that it is there, in nanoseconds since the epoch.

    `start_ns` is later than the step's start if the step before on the path ended later, by other clocks.
    """

    step: Step
    start_ns: int
    end_ns: int
    wait_ns: int
    """The time without a step of the path, from the end of the step before, or from the start of the execution."""

    @property
    def own_ns(self) -> int:
        """How long the step is on the path."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The critical path of one execution, which begins and ends at these moments, in nanoseconds since the epoch.

    `own_ns` of its steps, `wait_ns` of its steps and `final_wait_ns` add up to `duration_ns`.
    """

    start_ns: int
    end_ns: int
    steps: tuple[CriticalStep, ...]
    """In the order of time; none is composite."""
    slack_ns: Mapping[str, int] = field(repr=False)
    """By the path of each step that has a time in the log, composite ones included: how much longer it could have taken
    without a longer execution, if everything else took its time and waited as it did. It is 0 on the critical path."""

    @property
    def duration_ns(self) -> int:
        """How long the execution took."""
        return self.end_ns - self.start_ns

    @property
    def own_ns(self) -> int:
        """The time in which a step of the path ran."""
        return sum(step.own_ns for step in self.steps)

    @property
    def wait_ns(self) -> int:
        """The time in which none ran."""
        return self.duration_ns - self.own_ns

    @property
    def final_wait_ns(self) -> int:
        """The waiting time after the last step."""
        return self.end_ns - (self.steps[-1].end_ns if self.steps else self.start_ns)


def critical_path(run: Run, number: int, timeline: Timeline | None = None) -> CriticalPath | None:
    """The critical path of an execution of a run; of one that has not ended, up to the latest time in the log.

    It takes O(n log n) for n steps.

    Args:
        run: the run.
        number: the number of the execution, from 1.
        timeline: the run's, if it is known.

    Returns:
        The path; None if the log has no time for the execution.
    """
    timeline = timeline or timeline_of(run)
    intervals = Intervals(timeline, number)
    interval = interval_of_execution(run, timeline, number, intervals)
    if interval is None:
        return None
    steps: list[CriticalStep] = []
    reached = interval[0]
    for step, (start, end) in critical_intervals(run.steps, intervals, reached):
        steps.append(CriticalStep(step, start, end, start - reached))
        reached = end
    slack_ns: dict[str, int] = {}
    _add_slack(run.steps, intervals, 0, slack_ns)
    return CriticalPath(*interval, tuple(steps), slack_ns)


def critical_intervals(steps: tuple[Step, ...], intervals: Intervals, reached: int) -> list[tuple[Step, Interval]]:
    """The steps of a graph on its critical path, in order, without overlaps; `reached` is where the path begins."""
    path: list[tuple[Step, Interval]] = []
    _extend(path, steps, intervals, reached)
    return path


def _extend(path: list[tuple[Step, Interval]], steps: tuple[Step, ...], intervals: Intervals, reached: int) -> None:
    """Append the part of the critical path that goes through a graph, after the moment that it has reached."""
    timed = intervals.of_work(steps)
    for interval, step in _chain(timed) if _is_parallel(timed) else timed:
        start, end = interval
        if end <= reached:
            continue
        if step.branches and (branches := intervals.of_branches(step)):
            for (branch_start, branch_end), branch in _chain(branches):
                if branch_end > reached:
                    _extend(path, branch.steps, intervals, max(branch_start, reached))
                    reached = branch_end
        else:
            path.append((step, interval if start >= reached else (reached, end)))
        reached = end


def _add_slack(steps: tuple[Step, ...], intervals: Intervals, of_graph: int, slack_ns: dict[str, int]) -> None:
    """Add the slack of the steps of a graph that has some itself."""
    timed = intervals.of_work(steps)
    own_slack = _slack_of_parallel(timed) if _is_parallel(timed) else _slack_of_sequence(timed)
    for (_, step), own in zip(timed, own_slack, strict=True):
        slack_ns[step.path] = of_graph + own
        if branches := intervals.of_branches(step):
            for (_, branch), of_branch in zip(branches, _slack_of_parallel(branches), strict=True):
                _add_slack(branch.steps, intervals, of_graph + own + of_branch, slack_ns)


def _is_parallel(timed: Sequence[tuple[Interval, Step]]) -> bool:
    """Whether the starts in a graph follow from its edges, so that its steps may run at the same time.

    Others overlap only by their clocks.
    """
    return bool(timed) and any(attempt.is_start_derived for attempt in timed[0][1].attempts)


def _chain(timed: list[tuple[Interval, _Part]]) -> list[tuple[Interval, _Part]]:
    """The part that ended last, and before each the one that ended last before it began; in the order of time."""
    if all(before[1] <= after[0] for (before, _), (after, _) in pairwise(timed)):
        return timed
    by_end = _by_end(timed)
    ends = [timed[at][0][1] for at in by_end]
    chain = []
    position = len(by_end) - 1
    while position >= 0:
        part = timed[by_end[position]]
        chain.append(part)
        position = bisect_right(ends, part[0][0]) - 1
    return chain[::-1]


def _slack_of_parallel(timed: Sequence[tuple[Interval, _Part]]) -> list[int]:
    """The slack of each part, up to the end of the last one, as if whatever began after it had waited for it.

    What began next after the part that ended last waited as long as it did: that wait is no slack.
    """
    by_end = _by_end(timed)
    ends = [timed[at][0][1] for at in by_end]
    starts = [start for (start, _), _ in timed]
    slack = [ends[-1] - end for (_, end), _ in timed]
    latest_start = [ends[-1]] * (len(timed) + 1)
    """By position, how late the parts from there on can begin."""
    for at in range(len(timed) - 1, -1, -1):
        start, end = timed[at][0]
        slack[at] = min(slack[at], latest_start[bisect_left(starts, end)] - end)
        latest_start[at] = min(latest_start[at + 1], start + slack[at])
        if position := bisect_right(ends, start):
            before = by_end[position - 1]
            slack[before] = min(slack[before], slack[at])
    return slack


def _slack_of_sequence(timed: Sequence[tuple[Interval, _Part]]) -> list[int]:
    """The slack of each step: none, but where a clock says that it ended before the one before it."""
    ends = [end for (_, end), _ in timed]
    return [reached - end for reached, end in zip(accumulate(ends, max), ends, strict=True)]


def _by_end(timed: Sequence[tuple[Interval, _Part]]) -> list[int]:
    """The positions of parts by their end; of those that ended together, the one that began first is the last.

    The path of a part decides the rest, as the order of the log depends on the store.
    """
    return sorted(range(len(timed)), key=lambda at: (timed[at][0][1], -timed[at][0][0], timed[at][1].path))
