"""Which attempt belongs to which execution of its run: a retry adds to the same log, and is a trace of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runlog_otel.model import Attempt, Branch, Run, Step


@dataclass(frozen=True, slots=True)
class Timeline:
    """The executions of a run, told apart by what a log cannot change afterwards.

    A new execution begins after an attempt of a terminal step of the root graph, where the attempts'
    `retry_indicator` changes, and where the header says so.
    """

    count: int
    starts_ns: Mapping[int, int]
    numbers: Mapping[tuple[str, int], int]
    next_number: int
    last_indicator: str | None

    def attempts(self, step: Step, execution: int) -> Iterator[Attempt]:
        """Those attempts of a step that belong to an execution."""
        for index, attempt in enumerate(step.attempts):
            if self.numbers[step.path, index] == execution:
                yield attempt

    def executions(self, part: Step | Branch) -> set[int]:
        """The executions in which a step or a branch, or anything inside it, was attempted."""
        if isinstance(part, Branch):
            return set().union(*(self.executions(step) for step in part.steps))
        own = {self.numbers[part.path, index] for index in range(len(part.attempts))}
        return own.union(*(self.executions(branch) for branch in part.branches))

    def next_execution(self, retry_indicator: str) -> int:
        """The execution to which an attempt would belong that is recorded now."""
        is_changed = self.last_indicator is not None and retry_indicator != self.last_indicator
        return max(self.next_number, self.count + is_changed)


def timeline_of(run: Run) -> Timeline:
    """The executions of a run in the order of their attempts' starts; attempts without a time come last."""
    roots = {step.path for step in run.steps if step.is_terminal}
    events: list[tuple[float, int, tuple[str, int] | None, Attempt | None]] = [
        (start, -1, None, None) for start in run.header.retried_ns
    ]
    for step in run.all_steps():
        for index, attempt in enumerate(step.attempts):
            start = attempt.start_ns if attempt.start_ns is not None else attempt.end_ns
            events.append((float("inf") if start is None else start, len(events), (step.path, index), attempt))
    events.sort(key=lambda event: event[:2])

    number, ended = 1, False
    previous: Attempt | None = None
    numbers: dict[tuple[str, int], int] = {}
    starts = {1: run.header.created_ns} if run.header.created_ns is not None else {}
    for at_ns, _, key, recorded in events:
        if recorded is None or key is None:
            number, ended, previous = number + 1, False, None
            starts[number] = int(at_ns)
            continue
        if ended or (previous is not None and previous.retry_indicator != recorded.retry_indicator):
            number += 1
        numbers[key] = number
        ended, previous = key[0] in roots, recorded
    return Timeline(
        count=number,
        starts_ns=starts,
        numbers=numbers,
        next_number=number + ended,
        last_indicator=previous.retry_indicator if previous is not None else None,
    )
