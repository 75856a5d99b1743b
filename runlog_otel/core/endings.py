"""How an execution ended that reached no verdict, and with it every part of it that was open then."""

from typing import NamedTuple

from runlog_otel.core import semconv
from runlog_otel.core.executions import Timeline
from runlog_otel.core.failure import Failure
from runlog_otel.core.intervals import Interval, Intervals
from runlog_otel.core.model import Ending, Header, Run
from runlog_otel.core.trace import Execution, Result

_DESCRIPTIONS = {
    Result.CANCELLATION: "it was cancelled",
    Result.TIMEOUT: "it timed out",
    Result.ERROR: "it never ended",
}

_RESULTS = {result.value: result for result in _DESCRIPTIONS}


class OpenEnding(NamedTuple):
    """The end of what was open; without a noted ending nobody knows when or why."""

    result: Result = Result.ERROR
    error_type: str = semconv.ABANDONED
    at_ns: int | None = None
    failure: Failure | None = None
    """What the process saw that noted it."""
    steps: frozenset[str] = frozenset()
    """The paths of the steps that were in progress."""

    @property
    def description(self) -> str:
        """The description of the status of what was open."""
        return _DESCRIPTIONS[self.result]


_UNKNOWN = OpenEnding()


def noted_ending(header: Header, number: int) -> Ending | None:
    """The first ending that was noted for an execution: a second one must not change spans that were exported."""
    known = (ending for ending in header.endings if ending.execution == number)
    return next((ending for ending in known if ending.result in _RESULTS), None)


def open_end_of(header: Header, execution: Execution) -> OpenEnding:
    """How the open parts of an execution ended."""
    ending = noted_ending(header, execution.number)
    if ending is None:
        return _UNKNOWN
    result = _RESULTS[ending.result]
    failure = execution.parsed(ending.message) if ending.message else None
    seen = failure.type if failure else semconv.ABANDONED
    default = seen if result is Result.ERROR else result.value
    return OpenEnding(result, ending.error_type or default, ending.at_ns, failure, frozenset(ending.open_steps))


def interval_of_execution(run: Run, timeline: Timeline, number: int, intervals: Intervals) -> Interval | None:
    """Start and end of an execution, with what was noted of both; None if the log has no time for it.

    A verdict counts more than an end that was noted. `intervals` are those of the execution.
    """
    has_verdict = any(step.is_terminal and timeline.attempts(step, number) for step in run.steps)
    ending = None if has_verdict else noted_ending(run.header, number)
    return intervals.of_graph(run.steps, timeline.starts_ns.get(number), ending.at_ns if ending else None)


def open_steps(run: Run, timeline: Timeline, number: int) -> tuple[str, ...]:
    """The paths of the steps that are in progress in an execution, without an attempt."""
    steps = (step for step in run.all_steps() if not (step.is_terminal or step.status.is_final))
    return tuple(step.path for step in steps if number not in timeline.executions(step))
