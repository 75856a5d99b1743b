"""Assigns the attempts of a log without notes to executions, by the order of the log.

Clocks differ and jump, so times only decide where the order leaves a choice. Imported where a log needs it: a step's
process does not.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from graphlib import CycleError, TopologicalSorter
from heapq import merge
from itertools import groupby, pairwise

from runlog_otel.core.model import Attempt, Run, Status, Step

Key = tuple[str, int]
"""Path of a step, and the index of one of its attempts."""


def count_and_numbers(run: Run, at_least: int) -> tuple[int, dict[Key, int]]:
    """How many executions a run has, at least those that it notes, and the number of each attempt."""
    ranks = _indicator_ranks(run)
    slots = _slots(run, at_least, ranks)
    return len(slots), _Numbering(run, slots, ranks).numbers


@dataclass(slots=True)
class _Slot:
    """An execution: its indicator, and its verdict where it reached one."""

    indicator: str
    verdict: tuple[Key, Attempt] | None = None


def _slots(run: Run, at_least: int, ranks: Mapping[str, int]) -> list[_Slot]:
    """The executions of a run in order, as the log shows them without any clock.

    Each verdict of the root graph ends one, and each change of the retry indicator within a step begins one. The header
    may list more, without a verdict, and one is open if the log has work after the last verdict.
    """
    slots = [_Slot(attempt.retry_indicator, (key, attempt)) for key, attempt in _verdicts(run.steps, run.status, ranks)]
    starts: dict[str, int] = {}
    sequences: set[tuple[str, ...]] = set()
    for step in run.all_steps():
        sequences.add(tuple(indicator for indicator, _ in groupby(a.retry_indicator for a in step.attempts)))
        for attempt in step.attempts:
            began = _start(attempt)
            starts[attempt.retry_indicator] = min(began, starts.get(attempt.retry_indicator, began))
    for sequence in sorted(sequences, key=lambda sequence: (-len(sequence), sequence)):
        slots = _merged(slots, sequence, starts)
    for number, _ in sorted(run.header.retries):
        if len(slots) < number:  # a recorded retry follows an execution without a verdict
            at = min(number - 2, len(slots))
            slots.insert(max(at, 0), _Slot(slots[min(at, len(slots) - 1)].indicator if slots else ""))
    missing = max(at_least, _shown(run, slots)) - len(slots)
    return slots + [_Slot(slots[-1].indicator if slots else "") for _ in range(missing)]


def _merged(slots: list[_Slot], sequence: Sequence[str], starts: Mapping[str, int]) -> list[_Slot]:
    """The slots, with as few added as needed to contain the sequence of indicators in order."""
    merged: list[_Slot] = []
    matcher = SequenceMatcher(None, [slot.indicator for slot in slots], sequence, autojunk=False)
    for kind, first, last, other_first, other_last in matcher.get_opcodes():
        own = slots[first:last]
        more = [] if kind == "equal" else [_Slot(indicator) for indicator in sequence[other_first:other_last]]
        parts = [part for part in (own, more) if part]
        for part in sorted(parts, key=lambda part: (part[0].indicator != "", starts.get(part[0].indicator, 0))):
            merged += part
    return merged


def _shown(run: Run, slots: list[_Slot]) -> int:
    """How many executions the order of the log proves: a failed step runs again only after `fail` was reached.

    Each failed attempt of a job ends an execution.
    """
    if jobs := [step for step in run.steps if step.is_job]:
        return 1 + sum(_failures(job.attempts[:-1]) for job in jobs)
    paths = {step.path for step in run.steps if step.verdict is Status.FAIL}
    fails = [number for number, slot in enumerate(slots, 1) if slot.verdict and slot.verdict[0][0] in paths]
    if not fails:
        return 1
    shown = 1
    if not run.has_executor_retries:
        for step in run.all_steps():
            unnoted = [attempt for attempt in step.attempts if attempt.execution is None]
            shown = max(shown, 1 + min(len(fails), _failures(unnoted[:-1])))
    return max(shown, fails[0] + any(map(_has_attempts, _behind_fail(run.steps))))


class _Numbering:
    """Assigns each attempt to an execution by the order of the log; times decide only where that leaves a choice."""

    def __init__(self, run: Run, slots: list[_Slot], ranks: Mapping[str, int]) -> None:
        self._slots = slots
        self._has_executor_retries = run.has_executor_retries
        self._ranks = ranks
        self.numbers: dict[Key, int] = {}
        self._run_started = dict(run.header.retries)
        for number, slot in enumerate(slots, 1):
            if slot.verdict is not None:
                key, attempt = slot.verdict
                self.numbers[key] = attempt.execution or number
                self._run_started.setdefault(number + 1, _start(attempt) + 1)
        self._graph(run.steps, run.status, 1, len(slots))

    def _graph(self, steps: tuple[Step, ...], status: Status, floor: int, ceiling: int) -> None:
        """Number the attempts of a graph whose first execution is between `floor` and `ceiling`.

        Its steps are in the order in which they first ran, one after another.
        """
        self._terminals(steps, status, floor, ceiling)
        behind = {step.path for step in _behind_fail(steps)}
        ceilings: dict[str, int] = {}
        latest = len(self._slots)
        for step in reversed(steps):
            latest = min(latest, self.numbers[step.path, 0] if self._is_reached(step) else self._latest_start(step))
            ceilings[step.path] = latest if step.path in behind else min(latest, ceiling)
        for step in steps:
            if step.is_terminal:
                continue
            if step.path in behind:
                fails = (self.numbers[other.path, 0] for other in steps if _has_reached_fail(other))
                floor = max(floor, min(len(self._slots), 1 + next(fails)))
            lowest = min(floor, ceilings[step.path])
            last = self._step(step, lowest, ceilings[step.path])
            for branch in step.branches:
                self._graph(branch.steps, branch.status, lowest, ceilings[step.path])
            inner = (self.numbers[key] for branch in step.branches for key in _keys(branch.steps))
            floor = max(floor, last, max(inner, default=0))

    @staticmethod
    def _is_reached(step: Step) -> bool:
        return step.is_terminal and bool(step.attempts)

    def _terminals(self, steps: tuple[Step, ...], status: Status, floor: int, ceiling: int) -> None:
        """Number the verdicts of a graph, one per execution."""
        verdicts = [item for item in _verdicts(steps, status, self._ranks) if item[0] not in self.numbers]
        for index, (key, attempt) in enumerate(verdicts):
            highest = len(self._slots) - (len(verdicts) - 1 - index)
            floor = self._number(key, attempt, floor, highest if index else min(highest, ceiling)) + 1

    def _is_strict(self, step: Step) -> bool:
        """Whether a step runs once in an execution, so that what failed was run again in a later one."""
        return not self._has_executor_retries and _failures(step.attempts[:-1]) < len(self._slots)

    def _latest_start(self, step: Step) -> int:
        """The latest execution in which a step can have run first, as each failure was retried in a later one."""
        inner = (self._latest_start(inner) for branch in step.branches for inner in branch.steps)
        own = len(self._slots) - (_failures(step.attempts[:-1]) if self._is_strict(step) else 0)
        return min([own, *inner])

    def _step(self, step: Step, lowest: int, highest: int) -> int:
        """Number a step's own attempts; returns the last number, or 0 without attempts."""
        count, is_strict, number = len(self._slots), self._is_strict(step), 0
        for index, attempt in enumerate(step.attempts):
            left = count - (_failures(step.attempts[index:-1]) if is_strict else 0)
            noted = (later.execution for later in step.attempts[index:] if later.execution is not None)
            number = self._number((step.path, index), attempt, lowest, min([highest, left, *noted]))
            lowest, highest = number + (is_strict and attempt.status is Status.FAIL), count
        return number

    def _number(self, key: Key, attempt: Attempt, lowest: int, highest: int) -> int:
        """Number one attempt: as recorded, else by its retry indicator, else by time."""
        count = len(self._slots)
        lowest = min(lowest, count)
        # An execution ends with its verdict; one that was killed has none.
        highest = min(highest, next((at for at in range(lowest, count) if self._slots[at - 1].verdict), count))
        number = attempt.execution
        if number is None:
            indicators = [slot.indicator for slot in self._slots]
            same_indicator = [at for at in range(lowest, count + 1) if indicators[at - 1] == attempt.retry_indicator]
            in_bounds = [at for at in same_indicator if at <= highest]
            candidates = in_bounds or same_indicator or range(lowest, max(lowest, highest) + 1)
            by_clock = max([1, *(at for at, began in self._run_started.items() if began <= _start(attempt))])
            number = min(candidates, key=lambda at: (abs(at - by_clock), at))
        self.numbers[key] = number
        return number


def _indicator_ranks(run: Run) -> dict[str, int]:
    """The retry indicators in the order in which steps were attempted with them; empty where steps disagree."""
    before: dict[str, set[str]] = defaultdict(set)
    for step in run.all_steps():
        indicators = [indicator for indicator, _ in groupby(attempt.retry_indicator for attempt in step.attempts)]
        for earlier, later in pairwise(indicators):
            before[later].add(earlier)
    ranks: dict[str, int] = {}
    try:
        for indicator in TopologicalSorter(before).static_order():
            ranks[indicator] = 1 + max((ranks[earlier] for earlier in before.get(indicator, ())), default=0)
    except CycleError:
        return {}
    return ranks


def _verdicts(steps: tuple[Step, ...], status: Status, ranks: Mapping[str, int]) -> list[tuple[Key, Attempt]]:
    """The attempts of a graph's terminal steps in order.

    The first is of the terminal step that is first in the log, the last is of the one that the graph's status names.
    """
    terminals = [step for step in steps if step.is_terminal and step.attempts]
    lists = ([((step.path, index), attempt) for index, attempt in enumerate(step.attempts)] for step in terminals)
    verdicts = list(merge(*lists, key=lambda item: _verdict_order(item[1], ranks)))
    first = next((at for at, (key, _) in enumerate(verdicts) if key == (terminals[0].path, 0)), 0)
    if verdicts and verdicts[first][1].execution is None:
        verdicts.insert(0, verdicts.pop(first))
    paths = {step.path for step in terminals if (step.verdict is Status.SUCCESS) == (status is Status.SUCCESS)}
    last = max((index for index, (key, _) in enumerate(verdicts) if key[0] in paths), default=None)
    if status.is_final and last is not None:
        verdicts.append(verdicts.pop(last))
    return verdicts


def _verdict_order(attempt: Attempt, ranks: Mapping[str, int]) -> tuple[int, int, int]:
    return attempt.execution or 0, ranks.get(attempt.retry_indicator, 0), _start(attempt)


def _keys(steps: Iterable[Step]) -> Iterator[Key]:
    """The keys of all attempts in these steps, at every depth."""
    for step in steps:
        yield from ((step.path, index) for index in range(len(step.attempts)))
        for branch in step.branches:
            yield from _keys(branch.steps)


def _behind_fail(steps: tuple[Step, ...]) -> list[Step]:
    """The steps that were added to the log after the graph had failed and reached `fail`."""
    at = next((index for index, step in enumerate(steps) if _has_reached_fail(step)), len(steps))
    if not any(map(_has_failed, steps[:at])):
        return []
    return [step for step in steps[at:] if not step.is_terminal]


def _has_reached_fail(step: Step) -> bool:
    return step.verdict is Status.FAIL and bool(step.attempts)


def _has_failed(step: Step) -> bool:
    inner = (step for branch in step.branches for step in branch.steps)
    return _failures(step.attempts) > 0 or any(map(_has_failed, inner))


def _has_attempts(step: Step) -> bool:
    return bool(step.attempts) or any(_has_attempts(inner) for branch in step.branches for inner in branch.steps)


def _failures(attempts: Sequence[Attempt]) -> int:
    return sum(attempt.status is Status.FAIL for attempt in attempts)


def _start(attempt: Attempt) -> int:
    start = attempt.start_ns if attempt.start_ns is not None else attempt.end_ns
    return start if start is not None else 2**63
