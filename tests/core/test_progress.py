"""What is done, runs and is to come, at one moment of a run."""

from dataclasses import replace

from hypothesis import given

from runlog_otel.core.executions import timeline_of
from runlog_otel.core.expectation import Key
from runlog_otel.core.model import Ending, Header, Plan, PlannedStep, Run, Status, Step
from runlog_otel.core.progress import Part, Progress, State, progress_of
from runlog_otel.core.runlogs.json_runlog import run_from_log
from tests.core.logs import SECOND, at, attempt, branch, composite, run, runs, task, verdict

RUNNING = Status.PROCESSING


def plan(*names: str, **on_failure: str) -> Plan:
    """Steps one after another; after the last comes the verdict."""
    following = [*names[1:], "success"]
    steps = [PlannedStep(name, next_, on_failure.get(name, "")) for name, next_ in zip(names, following, strict=True)]
    return Plan(names[0], {step.name: step for step in steps})


def states(progress: Progress) -> dict[str, str]:
    return {part.path: part.state.value for part in progress.all_parts()}


def part(progress: Progress, path: str) -> Part:
    return next(part for part in progress.all_parts() if part.path == path)


def going(*steps: Step, planned: Plan | None = None) -> Run:
    return replace(run(*steps, status=RUNNING), plan=planned or Plan())


def test_steps_are_done_running_and_queued() -> None:
    """What is to come is in the definition only."""
    progress = progress_of(going(task("a", attempt(0, 2)), task("b", status=RUNNING), planned=plan("a", "b", "c", "d")))
    assert states(progress) == {"a": "success", "b": "running", "c": "queued", "d": "queued"}
    assert (progress.is_complete, progress.is_planned) == (False, True)


def test_a_step_that_runs_began_where_the_one_before_ended() -> None:
    """The log has its own times only when it has ended; the first one began with the run."""
    progress = progress_of(going(task("a", attempt(1, 2)), task("b", status=RUNNING)))
    assert (part(progress, "b").start_ns, part(progress, "b").end_ns) == (at(2), None)
    assert part(progress_of(going(task("a", status=RUNNING))), "a").start_ns == at(0)


def test_a_step_that_is_tried_again_runs() -> None:
    """It began where the attempt before ended."""
    again = task("a", attempt(1, 2, ok=False), status=RUNNING)
    progress = progress_of(going(again))
    assert (part(progress, "a").state, part(progress, "a").start_ns) == (State.RUNNING, at(2))


def test_a_step_that_was_only_created_is_queued() -> None:
    """But a job runs: runnable leaves its status as it is until it has ended."""
    created = task("a", status=Status.CREATED)
    assert states(progress_of(going(created))) == {"a": "queued"}
    job = replace(created, kind="job")
    assert states(progress_of(going(job))) == {"a": "running"}
    assert part(progress_of(going(job)), "a").start_ns == at(0)


def test_a_failed_step_is_followed_by_its_on_failure() -> None:
    """And by nothing, if it has none."""
    failed = task("a", attempt(0, 1, ok=False))
    rescue = plan("a", "b", "mend", a="mend")
    assert states(progress_of(going(failed, planned=rescue))) == {"a": "failure", "mend": "queued"}
    assert states(progress_of(going(failed, planned=plan("a", "b")))) == {"a": "failure"}


def test_a_definition_that_goes_in_a_circle_ends() -> None:
    """Each step is queued once."""
    circle = Plan("a", {"a": PlannedStep("a", "b"), "b": PlannedStep("b", "a")})
    assert states(progress_of(going(planned=circle))) == {"a": "queued", "b": "queued"}


def test_branches_are_queued_until_one_of_their_steps_is_there() -> None:
    """The hosts write all branches of a map when it begins."""
    done = branch("m.1", task("m.1.t", attempt(0, 1)), verdict("success", 1, prefix="m.1."))
    begun = branch("m.2", task("m.2.t", status=RUNNING), status=RUNNING)
    inner = replace(plan("m"), steps={"m": PlannedStep("m", "success", "", {"": plan("t", "u")})})
    mapped = composite("m", "map", done, begun, branch("m.3", status=RUNNING), status=RUNNING)
    progress = progress_of(going(mapped, planned=inner), {"m.2": at(3)})
    assert states(progress) == {
        "m": "running",
        "m.1": "success",
        "m.1.t": "success",
        "m.2": "running",
        "m.2.t": "running",
        "m.2.u": "queued",
        "m.3": "queued",
    }
    assert part(progress, "m.2").start_ns == at(3)
    assert part(progress, "m.3").start_ns is None


def test_a_composite_step_runs_while_one_of_its_branches_does() -> None:
    """A failed branch has not ended it yet."""
    failed = branch(
        "m.1", task("m.1.t", attempt(0, 1, ok=False)), verdict("fail", 1, prefix="m.1."), status=Status.FAIL
    )
    begun = branch("m.2", task("m.2.t", status=RUNNING), status=RUNNING)
    progress = progress_of(going(composite("m", "map", failed, begun, status=RUNNING)))
    assert {path: state for path, state in states(progress).items() if path.count(".") < 2} == {
        "m": "running",
        "m.1": "failure",
        "m.2": "running",
    }


def test_a_retry_does_what_had_failed_again() -> None:
    """It has begun when a step runs that had failed; what had succeeded stays done."""
    before = (task("a", attempt(0, 1)), task("b", attempt(1, 2, ok=False)), verdict("fail", 2))
    failed = replace(run(*before, status=Status.FAIL), plan=plan("a", "b", "c"))
    assert (progress_of(failed).execution, progress_of(failed).is_complete) == (1, True)
    assert states(progress_of(failed)) == {"a": "success", "b": "failure"}
    begun = replace(failed, steps=(before[0], replace(before[1], status=RUNNING), before[2]))
    progress = progress_of(begun)
    assert (progress.execution, progress.start_ns, progress.is_complete) == (2, None, False)
    assert states(progress) == {"a": "success", "b": "running", "c": "queued"}
    mended = task("b", attempt(1, 2, ok=False), attempt(51, 52, number=2))
    progress = progress_of(replace(failed, steps=(before[0], mended, task("c", status=RUNNING), before[2])))
    assert (progress.execution, progress.start_ns, progress.is_complete) == (2, at(51), False)
    assert states(progress) == {"a": "success", "b": "success", "c": "running"}


def test_a_retry_that_is_noted_begins_with_what_had_failed() -> None:
    """The wrapper notes the retry of a run that was killed."""
    before = (task("a", attempt(0, 1)), task("b", attempt(1, 2, ok=False)))
    header = Header(created_ns=at(0), retries=((2, at(50)),))
    progress = progress_of(replace(going(*before, planned=plan("a", "b", "c")), header=header))
    assert (progress.execution, progress.start_ns, progress.is_complete) == (2, at(50), False)
    assert states(progress) == {"a": "success", "b": "queued", "c": "queued"}


def test_an_execution_that_was_cancelled_has_no_part_that_runs() -> None:
    """What was to come was not run."""
    ended = Header(created_ns=at(0), endings=(Ending(1, "cancellation", at(9), open_steps=("b",)),))
    mapped = composite("m", "map", branch("m.1", status=RUNNING), status=RUNNING)
    log = replace(going(task("a", attempt(0, 1)), task("b", status=RUNNING), mapped, planned=plan("a", "b", "c")))
    progress = progress_of(replace(log, header=ended))
    assert progress.is_complete
    assert states(progress) == {"a": "success", "b": "cancellation", "m": "cancellation", "m.1": "not run"}


def test_what_remains_is_the_rest_of_what_runs_and_all_that_is_to_come() -> None:
    """Unknown if one of these is; without a definition, the rest of the whole run."""
    log = going(task("a", attempt(0, 2)), task("b", status=RUNNING), planned=plan("a", "b", "c"))
    usual: dict[Key, int] = {("a",): 2 * SECOND, ("b",): 5 * SECOND, ("c",): 10 * SECOND}
    rest: dict[Key, int] = {("b",): 5 * SECOND}
    whole: dict[Key, int] = {(): 9 * SECOND}
    progress = progress_of(log)
    assert progress.remaining_ns(usual, at(4)) == 13 * SECOND
    assert progress.remaining_ns(usual, at(400)) == 10 * SECOND
    assert progress.remaining_ns(rest, at(4)) is None
    assert progress_of(replace(log, plan=Plan())).remaining_ns(whole, at(4)) == 5 * SECOND


@given(runs())
def test_any_log_has_a_progress(log: Run) -> None:
    """Each part of the log has one, nothing ends before it starts, and only what has ended has an end."""
    progress = progress_of(log)
    paths = [part.path for part in progress.all_parts()]
    assert set(paths) >= {step.path for step in log.all_steps() if not step.is_terminal}
    assert progress.execution - timeline_of(log).count in (0, 1)
    for each in progress.all_parts():
        assert each.end_ns is None or (each.start_ns is not None and each.start_ns < each.end_ns)
        assert each.end_ns is None or not each.state.is_open
        assert not (progress.is_complete and each.state.is_open)
        left = each.remaining_ns({each.key: SECOND}, at(5))
        assert left is None or 0 <= left <= SECOND


def _graph(*, key: str, following: str) -> dict[str, object]:
    inner = {"start_at": "t", "nodes": {"t": {key: "task", "name": "t", following: "success"}}}
    nodes = {
        "a": {key: "task", "name": "a", following: "m", "on_failure": "mend"},
        "m": {key: "map", "name": "m", following: "p", "branch": inner},
        "p": {key: "parallel", "name": "p", following: "success", "branches": {"x": inner}},
        "mend": {key: "task", following: "success"},
        "success": {key: "success", "name": "success"},
        "fail": {key: "fail", "name": "fail"},
    }
    return {"start_at": "a", "nodes": nodes}


def test_the_definitions_of_both_hosts_are_read() -> None:
    """Their keys differ; a run that has succeeded needs none."""
    inner = Plan("t", {"t": PlannedStep("t", "success")})
    expected = Plan(
        "a",
        {
            "a": PlannedStep("a", "m", "mend"),
            "m": PlannedStep("m", "p", branches={"": inner}),
            "p": PlannedStep("p", "success", branches={"x": inner}),
            "mend": PlannedStep("mend", "success"),
        },
    )
    log = {"run_id": "r", "status": "PROCESSING", "steps": {}}
    for key, following in (("node_type", "next_node"), ("type", "next")):
        config = {"dag": _graph(key=key, following=following)}
        assert run_from_log({**log, "run_config": config}).plan == expected
        assert run_from_log({**log, "status": "SUCCESS", "run_config": config}).plan == Plan()
