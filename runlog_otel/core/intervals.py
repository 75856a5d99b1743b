"""When the attempts and the parts of an execution started and ended, as far as the log has times."""

from operator import itemgetter

from runlog_otel.core.executions import Timeline
from runlog_otel.core.model import Attempt, Branch, Step

MIN_SPAN_DURATION_NS = 1
"""No span is shorter: Jaeger warns of a negative duration when a span ends at its start."""
Interval = tuple[int, int]
_INTERVAL = itemgetter(0)


class Intervals:
    """The intervals of one execution's steps and branches, each computed once."""

    def __init__(self, timeline: Timeline, number: int) -> None:
        self._timeline = timeline
        self._number = number
        self._known: dict[int, Interval | None] = {}
        """By the id of a step or branch, which the run keeps alive."""
        self._work: dict[int, list[tuple[Interval, Step]]] = {}
        """By the id of a graph's tuple of steps."""

    def of(self, part: Step | Branch) -> Interval | None:
        """Start and end of a part; None if the log has no time for it."""
        key = id(part)
        if key not in self._known:
            self._known[key] = self.of_graph(part.steps) if isinstance(part, Branch) else self._of_step(part)
        return self._known[key]

    def of_work(self, steps: tuple[Step, ...]) -> list[tuple[Interval, Step]]:
        """The steps of a graph that have a time, with it, in the order of time; without the terminal ones."""
        if id(steps) not in self._work:
            timed = [(times, step) for step in steps if not step.is_terminal and (times := self.of(step))]
            timed.sort(key=_INTERVAL)
            self._work[id(steps)] = timed
        return self._work[id(steps)]

    def of_branches(self, step: Step) -> list[tuple[Interval, Branch]]:
        """The branches of a step that have a time, with it, in the order of time."""
        timed = [(times, branch) for branch in step.branches if (times := self.of(branch))]
        timed.sort(key=_INTERVAL)
        return timed

    def of_graph(self, steps: tuple[Step, ...], *recorded_ns: int | None) -> Interval | None:
        """Start and end of a graph: from its recorded start or its first step to its verdict, or its recorded end.

        The verdict counts for the end only: a clock that is behind puts it before the steps.
        """
        work = _enclosing([*(times for times, _ in self.of_work(steps)), *map(_moment, recorded_ns)])
        verdict = self._of_verdict(steps)
        if work is None or verdict is None:
            return work or verdict
        return work[0], max(work[1], verdict[1])

    def is_adjusted(self, steps: tuple[Step, ...], interval: Interval, recorded_ns: int | None = None) -> bool:
        """Whether a graph began before its recorded start, or its verdict is earlier than its end."""
        verdict = self._of_verdict(steps)
        return interval[0] != (recorded_ns or interval[0]) or (verdict is not None and verdict[1] < interval[1])

    def position(self, branch: Branch) -> tuple[float, str]:
        """The sort key of a branch: its start, as the order of the log depends on the store."""
        interval = self.of(branch)
        return (interval[0] if interval else float("inf"), branch.path)

    def _of_step(self, step: Step) -> Interval | None:
        attempts = self._timeline.attempts(step, self._number)
        if len(attempts) == 1 and not step.branches:
            return times_of(attempts[0])
        return _enclosing([times_of(attempt) for attempt in attempts] + [self.of(b) for b in step.branches])

    def _of_verdict(self, steps: tuple[Step, ...]) -> Interval | None:
        return _enclosing([self.of(step) for step in steps if step.is_terminal])


def _moment(at_ns: int | None) -> Interval | None:
    return None if at_ns is None else (at_ns, at_ns + MIN_SPAN_DURATION_NS)


def _enclosing(intervals: list[Interval | None]) -> Interval | None:
    timed = [interval for interval in intervals if interval is not None]
    return (min(start for start, _ in timed), max(end for _, end in timed)) if timed else None


def has_times(attempt: Attempt) -> bool:
    """Whether the log has a time for the attempt, so that it can be mapped alone."""
    return times_of(attempt) is not None


def times_of(attempt: Attempt) -> Interval | None:
    """Start and end of an attempt; if its clock went backwards, it has the minimum duration."""
    start = attempt.start_ns if attempt.start_ns is not None else attempt.end_ns
    if start is None:
        return None
    return start, max(start + MIN_SPAN_DURATION_NS, attempt.end_ns if attempt.end_ns is not None else start)


def is_reversed(attempt: Attempt) -> bool:
    """Whether an attempt ended before it started."""
    return None not in (attempt.start_ns, attempt.end_ns) and attempt.end_ns < attempt.start_ns  # type: ignore[operator]
