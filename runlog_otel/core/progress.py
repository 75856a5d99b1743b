"""What of a run is done, runs now, and is still to come, from its log at one moment. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from runlog_otel.core.endings import noted_ending, open_end_of
from runlog_otel.core.executions import Timeline, timeline_of
from runlog_otel.core.expectation import RUN_KEY, Key, branch_key, remaining_ns, step_key, total_ns
from runlog_otel.core.intervals import Interval, Intervals
from runlog_otel.core.model import NO_PLAN, Attempt, Branch, Plan, PlannedStep, Run, Status, Step
from runlog_otel.core.spans import is_execution_complete
from runlog_otel.core.trace import Execution, Result, result_of


class State(str, Enum):
    """The state of a part: a result (`trace.Result`), or what it has instead while it has none."""

    SUCCESS = Result.SUCCESS.value
    FAILURE = Result.FAILURE.value
    ERROR = Result.ERROR.value
    TIMEOUT = Result.TIMEOUT.value
    CANCELLATION = Result.CANCELLATION.value
    SKIP = Result.SKIP.value
    RUNNING = "running"
    QUEUED = "queued"
    NOT_RUN = "not run"
    """It was to come when the execution ended."""

    @property
    def is_done(self) -> bool:
        """Whether it needed nothing more."""
        return self in (State.SUCCESS, State.SKIP)

    @property
    def is_open(self) -> bool:
        """Whether another state follows."""
        return self in (State.RUNNING, State.QUEUED)

    @property
    def has_failed(self) -> bool:
        """Whether it ended otherwise than it should."""
        return not (self.is_done or self.is_open or self is State.NOT_RUN)


@dataclass(frozen=True, slots=True)
class Part:
    """A step, with its branches as parts; or a branch, with its steps."""

    name: str
    path: str
    key: Key
    state: State
    start_ns: int | None = None
    """Derived for a step that runs, as the log has its times when it has ended; None if nothing tells."""
    end_ns: int | None = None
    attempts: tuple[Attempt, ...] = ()
    parts: tuple["Part", ...] = ()
    is_branch: bool = False

    def remaining_ns(self, usual: Mapping[Key, int], now_ns: int) -> int | None:
        """How long it usually still takes, in nanoseconds; 0 if it has ended, None if unknown."""
        if not self.state.is_open:
            return 0
        duration_ns = usual.get(self.key)
        return duration_ns if self.state is State.QUEUED else remaining_ns(duration_ns, self.start_ns, now_ns)


@dataclass(frozen=True, slots=True)
class Progress:
    """The last execution of a run."""

    execution: int
    is_complete: bool
    """Whether nothing more will be recorded of the execution."""
    start_ns: int | None
    end_ns: int | None
    parts: tuple[Part, ...]
    is_planned: bool = False
    """Whether the log says which steps are to come."""

    def remaining_ns(self, usual: Mapping[Key, int], now_ns: int) -> int | None:
        """How long what runs and what is to come usually still takes, in nanoseconds; None if unknown."""
        if not self.is_planned:
            return remaining_ns(usual.get(RUN_KEY), self.start_ns, now_ns)
        return total_ns(part.remaining_ns(usual, now_ns) for part in self.parts)

    def all_parts(self) -> Iterator[Part]:
        """Every part, depth first."""
        waiting = list(reversed(self.parts))
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.parts))


def progress_of(run: Run, seen_ns: Mapping[str, int] | None = None) -> Progress:
    """The progress of the last execution of a run.

    Args:
        run: the run log.
        seen_ns: when branches were first seen to run, by their paths: the log does not say it before a step has ended.
    """
    timeline = timeline_of(run)
    number = timeline.count
    is_complete = is_execution_complete(run, timeline, number)
    if is_complete and _is_retried(run, timeline):
        number, is_complete = number + 1, False
    builder = _Builder(run, timeline, number, seen_ns or {}, is_complete=is_complete)
    start_ns = timeline.starts_ns.get(number)
    interval = builder.intervals.of_graph(run.steps, start_ns)
    return Progress(
        number,
        is_complete,
        start_ns if interval is None else interval[0],
        interval[1] if interval and is_complete else None,
        tuple(builder.graph(run.steps, run.plan, RUN_KEY, "", start_ns)),
        is_planned=bool(run.plan.steps),
    )


class _Builder:
    """Makes the parts of one execution."""

    def __init__(
        self, run: Run, timeline: Timeline, number: int, seen_ns: Mapping[str, int], *, is_complete: bool
    ) -> None:
        self._timeline = timeline
        self._number = number
        self._seen_ns = seen_ns
        self._is_complete = is_complete
        self.intervals = Intervals(timeline, self._number)
        end = open_end_of(run.header, Execution(run.run_id, run.pipeline, self._number))
        self._open = State(end.result.value) if is_complete else State.RUNNING

    def graph(
        self, steps: tuple[Step, ...], plan: Plan, key: Key, path: str, start_ns: int | None, *, is_open: bool = True
    ) -> Iterator[Part]:
        """The steps of a graph that the log has, then those that the plan says are to come, if the graph is open."""
        planned = {step.name: step for step in plan.steps.values()}
        states: dict[str, State] = {}
        now_ns = start_ns
        for step in steps:
            if not step.is_terminal:
                part = self._step(step, planned.get(step.name), step_key(key, step.name), now_ns)
                states[step.name] = part.state
                now_ns = max((ns for ns in (now_ns, part.end_ns) if ns is not None), default=None)
                yield part
        if is_open and not self._is_complete and not self._verdict(steps):
            for later in _following(plan, states):
                own_path = f"{path}.{later.name}" if path else later.name
                yield Part(later.name, own_path, step_key(key, later.name), State.QUEUED)

    def _step(self, step: Step, planned: PlannedStep | None, key: Key, before_ns: int | None) -> Part:
        attempts = tuple(self._timeline.attempts(step, self._number))
        interval = self.intervals.of(step)
        start_ns = interval[0] if interval and (attempts or before_ns is None) else before_ns
        branches = sorted(step.branches, key=self.intervals.position)
        parts = tuple(
            sorted(
                (self._branch(step, branch, planned, key, start_ns) for branch in branches),
                key=lambda part: part.state in (State.QUEUED, State.NOT_RUN),
            )
        )
        state = self._state_of_step(step, attempts, parts)
        if state is State.RUNNING and attempts:  # it is tried again
            start_ns = attempts[-1].end_ns or start_ns
        started, ended = self._moments(state, start_ns, interval)
        return Part(step.name, step.path, key, state, started, ended, attempts, parts)

    def _branch(
        self, step: Step, branch: Branch, planned: PlannedStep | None, step_key: Key, step_start_ns: int | None
    ) -> Part:
        key = branch_key(step_key, branch, is_iteration=step.has_iterations)
        interval = self.intervals.of(branch)
        start_ns = interval[0] if interval else self._seen_ns.get(branch.path)
        if start_ns is None and not step.has_iterations:
            start_ns = step_start_ns
        plan = planned.plan_of(branch.name) if planned else NO_PLAN
        is_open = self._verdict(branch.steps) is None and bool(branch.steps)
        parts = tuple(self.graph(branch.steps, plan, key, branch.path, start_ns, is_open=is_open))
        state = self._state_of_branch(branch, parts)
        started, ended = self._moments(state, start_ns, interval)
        return Part(branch.name, branch.path, key, state, started, ended, parts=parts, is_branch=True)

    @staticmethod
    def _moments(state: State, start_ns: int | None, interval: Interval | None) -> tuple[int | None, int | None]:
        """Start and end of a part as far as its state has them; when it has ended, those of its span."""
        if state is State.RUNNING:
            return start_ns, None
        return (None, None) if interval is None or state in (State.QUEUED, State.NOT_RUN) else interval

    def _state_of_step(self, step: Step, attempts: tuple[Attempt, ...], parts: tuple[Part, ...]) -> State:
        if attempts and attempts[-1].status.is_final and not step.is_composite:
            is_tried_again = attempts[-1].status is Status.FAIL and not (step.status.is_final or self._is_complete)
            return State.RUNNING if is_tried_again else State(result_of(attempts[-1]).value)
        if step.is_mock:
            return State.SKIP
        if any(part.state is State.RUNNING for part in parts):
            return State.RUNNING
        if step.status is Status.SUCCESS:
            return State.SUCCESS
        if step.status is Status.FAIL:
            return State.FAILURE if self._is_of_this(step) else self._to_come
        is_waiting = step.status is Status.CREATED and not attempts and not step.is_job  # a job has it while it runs
        return self._to_come if is_waiting else self._open

    def _state_of_branch(self, branch: Branch, parts: tuple[Part, ...]) -> State:
        verdict = self._verdict(branch.steps)
        if verdict is not None:
            return State.SUCCESS if verdict is Status.SUCCESS else State.FAILURE
        if not branch.steps:
            return self._to_come
        if any(part.state is State.RUNNING for part in parts):
            return State.RUNNING
        if branch.status is Status.SUCCESS:
            return State.SUCCESS
        if branch.status is Status.FAIL:
            return State.FAILURE if self._is_of_this(branch) else self._to_come
        return self._open

    @property
    def _to_come(self) -> State:
        return State.NOT_RUN if self._is_complete else State.QUEUED

    def _is_of_this(self, part: Step | Branch) -> bool:
        """Whether a final status is from this execution, not from one before."""
        executions = self._timeline.executions(part)
        return not executions or self._number in executions

    def _verdict(self, steps: tuple[Step, ...]) -> Status | None:
        verdicts = (step for step in steps if step.is_terminal and self._timeline.attempts(step, self._number))
        return next((step.verdict for step in verdicts), None)


def _is_retried(run: Run, timeline: Timeline) -> bool:
    """Whether a retry has begun of which nothing is recorded yet: a step runs although the last execution failed.

    The hosts leave the status of the run as it is until the retry has ended.
    """
    has_failed = any(step.verdict is Status.FAIL and timeline.attempts(step, timeline.count) for step in run.steps)
    ending = noted_ending(run.header, timeline.count)
    left_open = ending.open_steps if ending else ()
    return has_failed and any(
        step.status is Status.PROCESSING and not step.is_terminal and step.path not in left_open
        for step in run.all_steps()
    )


def _following(plan: Plan, states: Mapping[str, State]) -> Iterator[PlannedStep]:
    """The steps that are not in the log and follow, if none of those that have not ended fails."""
    name = plan.start_at
    passed: set[str] = set()
    while (step := plan.steps.get(name)) and name not in passed:
        passed.add(name)
        state = states.get(step.name)
        if state is None:
            yield step
        name = step.on_failure if state is not None and state.has_failed else step.next_name
