"""Runs that were retried, killed or failed, as a host logs them: each attempt by a process whose clock is off."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st

from runlog_otel.core.model import Attempt, Branch, Header, Run, Status, Step
from tests.core.logs import START

DAY = 86_400 * 10**9
_GRAPH: Mapping[str, tuple[str, ...]] = {"load": (), "fan": ("x", "y"), "work": (), "again": ("z",), "close": ()}
"""Steps of the root graph; a composite one has branches of two tasks each."""
_TASKS = ("one", "two")


@dataclass
class _Logged:
    kind: str
    attempts: list[Attempt] = field(default_factory=list)
    branches: dict[str, dict[str, "_Logged"]] = field(default_factory=dict)
    status: Status = Status.PROCESSING


@dataclass
class History:
    """A run, and the execution that each of its attempts was part of."""

    indicators: tuple[str, ...] = ("",)
    """Of the executions, in turn."""
    is_noted: bool = False
    """Whether each attempt says its execution."""
    skews: tuple[int, ...] = (0,)
    """How far the clocks of the processes are off, in nanoseconds; each attempt is recorded by another one in turn."""
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)
    retries: list[tuple[int, int]] = field(default_factory=list)
    executions: int = 0
    status: Status = Status.PROCESSING
    _steps: dict[str, _Logged] = field(default_factory=dict)
    _now: int = START
    _recorded: int = 0

    def execute(self, fails: str = "", killed: str = "") -> None:
        """Run what has not succeeded, until one task fails, or its process is killed."""
        self.executions += 1
        self._now += 10**9
        try:
            is_ok = self._graph(self._steps, "", {**_GRAPH}, fails, killed)
        except InterruptedError:
            return
        self.status = Status.SUCCESS if is_ok else Status.FAIL

    def note_retry(self) -> None:
        """As the wrapper does it in the header when a retry begins."""
        self.retries.append((self.executions + 1, self._now + self._skew()))

    def run(self, executor: str = "local") -> Run:
        """The run log."""
        header = Header(created_ns=START, utc_offset_seconds=0, retries=tuple(self.retries))
        steps = tuple(_step(path, logged) for path, logged in self._steps.items())
        is_argo = executor == "argo"
        return Run("calm-otter", "train", "runnable", self.status, header, steps, has_executor_retries=is_argo)

    def _graph(
        self, steps: dict[str, _Logged], prefix: str, nodes: Mapping[str, tuple[str, ...]], fails: str, killed: str
    ) -> bool:
        is_ok = True
        for name, branches in nodes.items():
            path = prefix + name
            logged = steps.setdefault(path, _Logged("parallel" if branches else "task"))
            if logged.status is Status.SUCCESS:
                continue
            if path == killed:
                raise InterruptedError
            if branches:
                tasks = dict.fromkeys(_TASKS, ())
                places = [f"{path}.{branch}" for branch in branches]
                inner = [logged.branches.setdefault(place, {}) for place in places]
                ended = [
                    self._graph(graph, f"{place}.", tasks, fails, killed)
                    for graph, place in zip(inner, places, strict=True)
                ]
                is_ok = all(ended)
            else:
                is_ok = path != fails
                self._record(path, logged, is_ok=is_ok)
            logged.status = Status.SUCCESS if is_ok else Status.FAIL
            if not is_ok:
                break
        kind = "success" if is_ok else "fail"
        self._record(prefix + kind, steps.setdefault(prefix + kind, _Logged(kind)), is_ok=True)
        return is_ok

    def _record(self, path: str, logged: _Logged, *, is_ok: bool) -> None:
        self._now += 10**9
        start = self._now + self._skew()
        self.numbers[path, len(logged.attempts)] = self.executions
        attempt = Attempt(
            number=len(logged.attempts) + 1,
            status=Status.SUCCESS if is_ok else Status.FAIL,
            start_ns=start,
            end_ns=start + 10**9,
            retry_indicator=self.indicators[(self.executions - 1) % len(self.indicators)],
            execution=self.executions if self.is_noted else None,
        )
        logged.attempts.append(attempt)

    def _skew(self) -> int:
        self._recorded += 1
        return self.skews[self._recorded % len(self.skews)]


def _step(path: str, logged: _Logged) -> Step:
    branches = tuple(
        Branch(
            place.rpartition(".")[2],
            place,
            Status.SUCCESS if f"{place}.success" in inner else Status.FAIL,
            tuple(_step(inner_path, part) for inner_path, part in inner.items()),
        )
        for place, inner in logged.branches.items()
    )
    return Step(path.rpartition(".")[2], path, logged.kind, logged.status, False, tuple(logged.attempts), branches)


PATHS = tuple(
    path
    for name, branches in _GRAPH.items()
    for path in ([f"{name}.{branch}.{task}" for branch in branches for task in _TASKS] or [name])
)
"""Every task, in the order in which they run."""
plans = st.lists(st.sampled_from(PATHS), max_size=4).map(lambda failing: sorted(failing, key=PATHS.index))
"""The tasks that fail, one execution each."""
skews = st.lists(st.integers(-DAY, DAY), min_size=1, max_size=5).map(tuple)
