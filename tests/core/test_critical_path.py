"""The critical path of an execution, and the slack of its steps."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.critical_path import CriticalPath, critical_path
from runlog_otel.core.executions import timeline_of
from runlog_otel.core.model import Branch, Ending, Header, Run, Status, Step
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import SpanRole
from tests.core.histories import History, plans, skews
from tests.core.logs import SECOND, START, at, attempt, branch, composite, run, runs, task, verdict
from tests.core.test_clocks import retried

Timed = tuple[str, float, float]
"""A step on the path: its path, how long it waits, how long it is on the path, in seconds."""


def path_of(log: Run, number: int = 1) -> CriticalPath:
    """The critical path of an execution that has times."""
    path = critical_path(log, number)
    assert path is not None
    return path


def told(path: CriticalPath) -> list[Timed]:
    return [(link.step.path, link.wait_ns / SECOND, link.own_ns / SECOND) for link in path.steps]


def slack(path: CriticalPath) -> dict[str, float]:
    """The steps that are not critical, and their slack in seconds."""
    return {step: slack_ns / SECOND for step, slack_ns in path.slack_ns.items() if slack_ns}


def branches(prefix: str, **intervals: tuple[float, float]) -> list[Branch]:
    """Branches of one step each."""
    return [
        branch(f"{prefix}.{name}", task(f"{prefix}.{name}.work", attempt(start, end)))
        for name, (start, end) in intervals.items()
    ]


def derived(path: str, start: float, end: float) -> Step:
    """A node whose start follows from the edges of its graph."""
    return task(path, replace(attempt(start, end), is_start_derived=True))


_SEQUENCE = run(task("a", attempt(1, 3)), task("b", attempt(3, 4)), task("c", attempt(6, 7)), verdict("success", 8))
_PARALLEL = run(task("a", attempt(0, 1)), composite("p", "parallel", *branches("p", x=(1, 4), y=(1, 9), z=(2, 8))))
_ITERATIONS = run(composite("m", "map", *branches("m", b=(3, 5), a=(0, 3), c=(5.5, 9))))
_POOL = run(composite("m", "map", *branches("m", a=(0, 5), b=(0, 7), c=(5, 12), d=(7, 9))))
_NESTED = run(
    composite(
        "m",
        "map",
        branch("m.1", composite("m.1.n", "map", *branches("m.1.n", a=(0, 2), b=(0, 1)))),
        branch(
            "m.2", task("m.2.pre", attempt(0, 1)), composite("m.2.n", "map", *branches("m.2.n", a=(1, 4), b=(1, 6)))
        ),
    ),
    task("end", attempt(7, 8)),
)
_CONDITIONAL = run(
    task("ask", attempt(0, 1)),
    Step("if", "if", "conditional", Status.SUCCESS, branches=tuple(branches("if", yes=(1, 5)))),
    task("end", attempt(5, 6)),
)
_JOB = run(Step("job", "job", "job", Status.SUCCESS, attempts=(attempt(2, 5),)))
_RETRIED_STEP = run(
    task("a", attempt(0, 2, ok=False), attempt(5, 7, number=2)),
    task("b", attempt(8, 9)),
    verdict("success", 9),
    has_executor_retries=True,
)
_REVERSED = run(task("a", attempt(0, 10)), task("b", attempt(9, 12)), task("c", attempt(14, 13)), verdict("success", 5))
_UNTIMED = run(
    task("a", attempt(1, 2)),
    task("b", replace(attempt(0, 0), start_ns=None, end_ns=None)),
    task("c", replace(attempt(0, 4), start_ns=None)),
    task("d"),
    status=Status.PROCESSING,
)
_EDGES = run(derived("slow", 0, 6), derived("short", 0, 5), derived("after short", 5, 8), derived("last", 8, 9))
_EMPTY_BRANCH = run(
    composite("m", "map", branch("m.1", verdict("success", 4, prefix="m.1.")), *branches("m", b=(1, 3))),
    task("a", attempt(4, 5)),
)
_TINY = 1e-9


@pytest.mark.parametrize(
    ("log", "path", "final_wait", "slacks"),
    [
        pytest.param(_SEQUENCE, [("a", 1, 2), ("b", 0, 1), ("c", 2, 1)], 1 + _TINY, {}, id="sequence"),
        pytest.param(
            _PARALLEL,
            [("a", 0, 1), ("p.y.work", 0, 8)],
            0,
            {"p.x.work": 5, "p.z.work": 1},
            id="parallel: the branch that ended last",
        ),
        pytest.param(
            _ITERATIONS,
            [("m.a.work", 0, 3), ("m.b.work", 0, 2), ("m.c.work", 0.5, 3.5)],
            0,
            {},
            id="iterations one after another",
        ),
        pytest.param(
            _POOL,
            [("m.a.work", 0, 5), ("m.c.work", 0, 7)],
            0,
            {"m.b.work": 3, "m.d.work": 3},
            id="a pool of two: the worker that ended last",
        ),
        pytest.param(
            _NESTED,
            [("m.2.pre", 0, 1), ("m.2.n.b.work", 0, 5), ("end", 1, 1)],
            0,
            {"m.1.n": 4, "m.1.n.a.work": 4, "m.1.n.b.work": 5, "m.2.n.a.work": 2},
            id="nested maps",
        ),
        pytest.param(_CONDITIONAL, [("ask", 0, 1), ("if.yes.work", 0, 4), ("end", 0, 1)], 0, {}, id="conditional"),
        pytest.param(_JOB, [("job", 2, 3)], 0, {}, id="job"),
        pytest.param(_RETRIED_STEP, [("a", 0, 7), ("b", 1, 1)], _TINY, {}, id="attempts and the pause between them"),
        pytest.param(_REVERSED, [("a", 0, 10), ("b", 0, 2), ("c", 2, _TINY)], 0, {}, id="clocks that differ"),
        pytest.param(_UNTIMED, [("a", 1, 1), ("c", 2, _TINY)], 0, {}, id="steps without times, in a run in progress"),
        pytest.param(
            _EDGES,
            [("short", 0, 5), ("after short", 0, 3), ("last", 0, 1)],
            0,
            {"slow": 2},
            id="nodes whose starts follow from edges",
        ),
        pytest.param(
            _EMPTY_BRANCH, [("m.b.work", 1, 2), ("a", 1 + _TINY, 1 - _TINY)], 0, {}, id="a branch without a step"
        ),
    ],
)
def test_the_steps_that_set_the_length_are_the_path(
    log: Run, path: list[Timed], final_wait: float, slacks: dict[str, float]
) -> None:
    """In order, with what each waits and takes; the others have slack."""
    found = path_of(log)
    assert (told(found), found.final_wait_ns / SECOND, slack(found)) == (path, final_wait, slacks)


def test_each_execution_has_a_path_of_its_own() -> None:
    """A step that had succeeded before is not on that of the retry, which waits from its noted start."""
    log = run(
        task("a", attempt(0, 3)),
        task("b", attempt(3, 4, ok=False), attempt(22, 25)),
        verdict("fail", 4),
        verdict("success", 25),
        header=Header(created_ns=START, retries=((2, at(20)),)),
    )
    paths = [path_of(log, number) for number in (1, 2)]
    assert [told(path) for path in paths] == [[("a", 0, 3), ("b", 0, 1)], [("b", 2, 3)]]
    assert paths[1].slack_ns == {"b": 0}


def test_an_execution_waits_for_its_noted_end() -> None:
    """Nobody knows when the step began that was cancelled."""
    ending = Ending(1, "cancellation", at(9), open_steps=("b",))
    log = run(
        task("a", attempt(0, 3)),
        task("b"),
        status=Status.PROCESSING,
        header=Header(created_ns=START, endings=(ending,)),
    )
    path = path_of(log)
    assert (told(path), path.final_wait_ns) == ([("a", 0, 3)], 6 * SECOND + 1)


def test_an_execution_without_times_has_no_path() -> None:
    """As it has no trace."""
    assert critical_path(run(task("a"), header=Header()), 1) is None


def test_the_order_of_branches_in_the_log_means_nothing() -> None:
    """Of branches that ended together, the longest is on the path, then the first by its path."""
    ways = branches("p", x=(0, 5), y=(2, 5), z=(0, 5))
    logs = [run(composite("p", "parallel", *order)) for order in (ways, ways[::-1])]
    assert [told(path_of(log)) for log in logs] == [[("p.z.work", 0, 5)]] * 2


def test_a_hundred_thousand_steps_have_a_path() -> None:
    """Of a pool with two workers, whose iterations have two lengths."""
    ways = {f"i{number}": ((number // 2) * 3, (number // 2) * 3 + 2 + number % 2) for number in range(100_000)}
    path = path_of(run(composite("m", "map", *branches("m", **ways))))
    assert [link.step.path for link in path.steps] == [f"m.i{number}.work" for number in range(1, 100_000, 2)]
    assert (path.own_ns, path.wait_ns) == (150_000 * SECOND, 0)
    assert {path.slack_ns[f"m.i{number}.work"] for number in range(0, 100_000, 2)} == {SECOND}


def assert_holds(log: Run) -> None:
    """The path of each execution fills its time exactly, in order, and has no slack."""
    timeline = timeline_of(log)
    traces = {trace.execution.number: trace for trace in spans_from_run(log, is_abandoned=True)}
    paths = {number: critical_path(log, number, timeline) for number in range(1, timeline.count + 1)}
    assert {number for number, path in paths.items() if path} == traces.keys()
    for number, trace in traces.items():
        path = path_of(log, number)
        assert (path.start_ns, path.end_ns) == (trace.spans[0].start_ns, trace.spans[0].end_ns)
        marked = [span.span_id for span in trace.spans if semconv.STEP_IS_CRITICAL in span.attributes]
        on_path = [trace.execution.span_id(SpanRole.STEP, link.step.path) for link in path.steps]
        assert sorted(marked) == sorted(on_path)
        reached = path.start_ns
        for link in path.steps:
            assert reached + link.wait_ns == link.start_ns < link.end_ns
            assert link.wait_ns >= 0
            reached = link.end_ns
        assert path.final_wait_ns >= 0
        assert sum(link.wait_ns + link.own_ns for link in path.steps) + path.final_wait_ns == path.duration_ns
        assert path.own_ns + path.wait_ns == path.duration_ns
        assert [path.slack_ns[link.step.path] for link in path.steps] == [0] * len(path.steps)
        assert min(path.slack_ns.values(), default=0) >= 0


@given(runs())
def test_the_path_of_any_run_fills_its_time(log: Run) -> None:
    """To the nanosecond, whatever the log holds."""
    assert_holds(log)


@given(plans, skews, st.booleans())
def test_the_paths_of_retried_runs_fill_their_time(plan: list[str], off: tuple[int, ...], is_failed: bool) -> None:
    """Of each execution, however far the clocks are off."""
    assert_holds(retried(plan, History(skews=off), is_last_failed=is_failed).run())


@dataclass(frozen=True)
class Task:
    """A step that is to run: it waits, unless it is the first of its graph."""

    wait: int
    duration: int


@dataclass(frozen=True)
class Fork:
    """A composite step: its graphs run at the same time, or one after another."""

    graphs: tuple[tuple["Task | Fork", ...], ...]
    is_parallel: bool


_TASKS = st.builds(Task, st.integers(0, 3), st.integers(1, 9))
_NODES = st.recursive(
    _TASKS,
    lambda nodes: st.builds(
        Fork,
        st.lists(st.lists(nodes, min_size=1, max_size=3).map(tuple), min_size=1, max_size=4).map(tuple),
        st.booleans(),
    ),
    max_leaves=12,
)


def scheduled(
    nodes: tuple[Task | Fork, ...], now: int, longer: dict[str, int], prefix: str = ""
) -> tuple[tuple[Step, ...], int]:
    """The steps of a graph that begins now, and when it ends; some of them take longer."""
    steps = []
    for number, node in enumerate(nodes):
        path = f"{prefix}s{number}"
        if isinstance(node, Task):
            start = now + (node.wait if number else 0)
            now = start + node.duration + longer.get(path, 0)
            steps.append(task(path, attempt(start, now)))
            continue
        began, ends, ways = now, [now], []
        for position, graph in enumerate(node.graphs):
            inner, end = scheduled(graph, began if node.is_parallel else ends[-1], longer, f"{path}.b{position}.")
            ways.append(branch(f"{path}.b{position}", *inner))
            ends.append(end)
        steps.append(composite(path, "map", *ways))
        now = max(ends)
    return tuple(steps), now


@given(st.lists(_NODES, min_size=1, max_size=4).map(tuple))
def test_a_step_may_take_its_slack_longer_and_no_more(nodes: tuple[Task | Fork, ...]) -> None:
    """The run takes as long as before; a second more, and it takes a second more."""
    steps, end = scheduled(nodes, 0, {})
    log = run(*steps)
    path = path_of(log)
    for step in log.all_steps():
        if not step.is_composite:
            slack_seconds = path.slack_ns[step.path] // SECOND
            ends = [scheduled(nodes, 0, {step.path: slack_seconds + more})[1] for more in (0, 1)]
            assert ends == [end, end + 1]
