"""The critical paths of many executions of a pipeline, added up by step: the first one shortens it most."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from runlog_otel.core.critical_path import critical_path
from runlog_otel.core.executions import timeline_of
from runlog_otel.core.model import Run, Step
from runlog_otel.core.spans import is_execution_complete


@dataclass(frozen=True, slots=True)
class CriticalTimes:
    """How long an execution took, and the times of the steps on its critical path, in nanoseconds."""

    duration_ns: int
    steps: Mapping[str, tuple[int, int]]
    """Own and waiting time by the path of the step, with `*` for the values of iterations, which are added up."""


@dataclass(frozen=True, slots=True)
class CriticalStepTotal:
    """A step, under one name for all its iterations, on the critical paths of executions; times are in nanoseconds."""

    step: str
    executions: int
    """How many have it on their path."""
    own_ns: int
    wait_ns: int


@dataclass(frozen=True, slots=True)
class CriticalTotals:
    """The critical paths of executions; times are in nanoseconds."""

    executions: int
    duration_ns: int
    steps: tuple[CriticalStepTotal, ...]
    """The one that took most time on the paths first."""

    @property
    def wait_ns(self) -> int:
        """The time in which no step of a path ran."""
        return self.duration_ns - sum(step.own_ns for step in self.steps)


def critical_times(run: Run, text: Callable[[str], str]) -> list[CriticalTimes]:
    """The critical paths of those executions of a run that have ended, in order.

    Args:
        run: the run.
        text: makes the path of a step fit to be shown.
    """
    timeline = timeline_of(run)
    names = {path: text(name) for path, name in _names(run.steps)}
    found = []
    for number in range(1, timeline.count + 1):
        path = critical_path(run, number, timeline) if is_execution_complete(run, timeline, number) else None
        if path is None:
            continue
        steps: dict[str, tuple[int, int]] = {}
        for on_path in path.steps:
            own_ns, wait_ns = steps.get(name := names[on_path.step.path], (0, 0))
            steps[name] = (own_ns + on_path.own_ns, wait_ns + on_path.wait_ns)
        found.append(CriticalTimes(path.duration_ns, steps))
    return found


def critical_totals(executions: Iterable[CriticalTimes]) -> CriticalTotals:
    """The critical paths of executions, added up."""
    count = duration_ns = 0
    steps: dict[str, tuple[int, int, int]] = {}
    for execution in executions:
        count += 1
        duration_ns += execution.duration_ns
        for name, (own_ns, wait_ns) in execution.steps.items():
            before = steps.get(name, (0, 0, 0))
            steps[name] = (before[0] + 1, before[1] + own_ns, before[2] + wait_ns)
    totals = [CriticalStepTotal(name, *times) for name, times in steps.items()]
    return CriticalTotals(count, duration_ns, tuple(sorted(totals, key=lambda total: (-total.own_ns, total.step))))


def _names(steps: Iterable[Step], path: str = "", name: str = "") -> Iterator[tuple[str, str]]:
    """The path of each step of a graph, at every depth, without and with `*`; the graph has `path` and `name`."""
    for step in steps:
        own = name + step.path.removeprefix(path)
        yield step.path, own
        for branch in step.branches:
            inner = f"{own}.*" if step.has_iterations else own + branch.path.removeprefix(step.path)
            yield from _names(branch.steps, branch.path, inner)
