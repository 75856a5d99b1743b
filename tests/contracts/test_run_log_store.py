"""What runnable asks of a run log store: one suite for ours and for the host's own."""

import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runnable import exceptions
from runnable.datastore import (
    BaseRunLogStore,
    BranchLog,
    JobLog,
    JsonParameter,
    MetricParameter,
    ObjectParameter,
    RunLog,
    StepAttempt,
    StepLog,
)

from runlog_otel.hosts.runnable.stores import DocumentRunLogStore, MemoryRunLogStore, SqlRunLogStore
from tests.contracts.stores_under_test import HOSTS, OURS

RUN = "run-1"


@pytest.fixture(params=[*OURS, "postgres", *HOSTS])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    yield from _store(request, tmp_path)


@pytest.fixture(params=[*OURS, "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    yield from _store(request, tmp_path)


def _store(request: pytest.FixtureRequest, folder: Path) -> Iterator[Any]:
    if request.param != "postgres":
        made = (OURS | HOSTS)[request.param](folder)
    else:
        from runlog_otel.stores.sql.upgrade import create_tables

        url = request.getfixturevalue("postgres").create_database()
        create_tables(url)
        made = SqlRunLogStore(connection_string=url)
    yield made
    if isinstance(made, DocumentRunLogStore):
        made.close()


def task(name: str, path: str, status: str = "SUCCESS", **fields: Any) -> StepLog:
    attempt = StepAttempt(
        start_time="2026-01-01 10:00:00",
        end_time="2026-01-01 10:00:05.250000",
        status=status,
        message="Call to the function boom did not succeed.\n" if status == "FAIL" else "",
        output_parameters={"x": JsonParameter(kind="json", value={"b": 1, "a": [None, 1.5]})},
    )
    return StepLog(name=name, internal_name=path, status=status, attempts=[attempt], **fields)


def numbers(**values: Any) -> dict[str, Any]:
    return {name: JsonParameter(kind="json", value=value) for name, value in values.items()}


def nested(store: Any) -> None:
    """Write the run of a map of two iterations, as the host does it, step by step."""
    store.create_run_log(RUN, dag_hash="abc", tag="nightly", status="PROCESSING")
    store.set_parameters(RUN, numbers(n=[1, 2]))
    store.set_run_config(RUN, {"pipeline_definition_file": "pipe.main", "dag": {"name": ""}})
    store.add_step_log(task("first", "first"), RUN)
    store.add_step_log(StepLog(name="mp", internal_name="mp", status="PROCESSING", step_type="map"), RUN)
    for value in ("1", "2"):
        branch = store.create_branch_log(f"mp.{value}", parameters=numbers(x=value))
        store.add_branch_log(branch, RUN)
        store.add_step_log(task("work", f"mp.{value}.work"), RUN)
        store.set_parameters(RUN, numbers(result=value * 2), f"mp.{value}")
        branch = store.get_branch_log(f"mp.{value}", RUN)
        branch.status = "SUCCESS"
        store.add_branch_log(branch, RUN)
    mapped = store.get_step_log("mp", RUN)
    mapped.status = "SUCCESS"
    store.add_step_log(mapped, RUN)
    run = store.get_branch_log("", RUN)
    run.status = "SUCCESS"
    store.add_branch_log(run, RUN)


def expected_nested() -> RunLog:
    branches = {
        f"mp.{value}": BranchLog(
            internal_name=f"mp.{value}",
            status="SUCCESS",
            steps={f"mp.{value}.work": task("work", f"mp.{value}.work")},
            parameters=numbers(x=value, result=value * 2),
        )
        for value in ("1", "2")
    }
    return RunLog(
        run_id=RUN,
        dag_hash="abc",
        tag="nightly",
        status="SUCCESS",
        steps={
            "first": task("first", "first"),
            "mp": StepLog(name="mp", internal_name="mp", status="SUCCESS", step_type="map", branches=branches),
        },
        parameters=numbers(n=[1, 2]),
        run_config={"pipeline_definition_file": "pipe.main", "dag": {"name": ""}},
    )


def test_a_nested_run_is_read_as_it_was_written(any_store: Any) -> None:
    """A map written step by step reads back whole."""
    nested(any_store)
    assert any_store.get_run_log_by_id(RUN, full=True) == expected_nested()


def test_a_run_is_created_once(any_store: Any) -> None:
    """The second create of a run id is refused and changes nothing."""
    any_store.create_run_log(RUN, tag="first")
    with pytest.raises(exceptions.RunLogExistsError):
        any_store.create_run_log(RUN, tag="second")
    assert any_store.get_run_log_by_id(RUN) == RunLog(run_id=RUN, dag_hash="", tag="first", status="CREATED")


def test_an_absent_tag_stays_absent(any_store: Any) -> None:
    """The host passes None when there is no tag, and reads None back."""
    any_store.create_run_log(RUN, tag=None)
    assert any_store.get_run_log_by_id(RUN, full=True).tag is None


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get_run_log_by_id(RUN),
        lambda store: store.get_run_log_by_id(RUN, full=True),
        lambda store: store.update_run_log_status(RUN, "FAIL"),
        lambda store: store.get_parameters(RUN),
        lambda store: store.set_parameters(RUN, numbers(a=1)),
        lambda store: store.get_run_config(RUN),
        lambda store: store.set_run_config(RUN, {"a": 1}),
        lambda store: store.get_step_log("a", RUN),
        lambda store: store.add_step_log(task("a", "a"), RUN),
        lambda store: store.get_branch_log("", RUN),
        lambda store: store.get_job_log(RUN),
        lambda store: store.add_job_log(RUN, JobLog()),
    ],
)
def test_an_unknown_run_is_not_found(any_store: Any, call: Any) -> None:
    """Every method but put says that the run is not there."""
    with pytest.raises(exceptions.RunLogNotFoundError):
        call(any_store)


def test_unknown_parts_are_not_found(any_store: Any) -> None:
    """A step or a branch that was never added is not found."""
    any_store.create_run_log(RUN)
    with pytest.raises(exceptions.StepLogNotFoundError):
        any_store.get_step_log("a", RUN)
    with pytest.raises(exceptions.StepLogNotFoundError):
        any_store.get_step_log("a.b.c", RUN)
    with pytest.raises(exceptions.BranchLogNotFoundError):
        any_store.get_branch_log("a.b", RUN)


def test_parts_of_unknown_parents_are_refused(store: Any) -> None:
    """A step of an unknown branch, and a branch of an unknown step, are not kept."""
    store.create_run_log(RUN)
    with pytest.raises(exceptions.BranchLogNotFoundError):
        store.add_step_log(task("c", "a.b.c"), RUN)
    with pytest.raises(exceptions.StepLogNotFoundError):
        store.add_branch_log(BranchLog(internal_name="a.b"), RUN)
    with pytest.raises(exceptions.BranchLogNotFoundError):
        store.set_parameters(RUN, numbers(a=1), "a.b")
    with pytest.raises(exceptions.BranchLogNotFoundError):
        store.get_parameters(RUN, "a.b")
    assert store.get_run_log_by_id(RUN, full=True) == RunLog(run_id=RUN, dag_hash="", status="CREATED")


def test_parameters_merge_in_their_scope(any_store: Any) -> None:
    """Parameters of one name live apart in the run and in each branch; setting some keeps the others."""
    any_store.create_run_log(RUN)
    any_store.add_step_log(StepLog(name="p", internal_name="p", step_type="parallel"), RUN)
    any_store.add_branch_log(BranchLog(internal_name="p.b"), RUN)
    any_store.set_parameters(RUN, numbers(a=1, b=1))
    any_store.set_parameters(RUN, numbers(b=2, c=2))
    any_store.set_parameters(RUN, numbers(a="of the branch"), "p.b")
    assert any_store.get_parameters(RUN) == numbers(a=1, b=2, c=2)
    assert any_store.get_parameters(RUN, "p.b") == numbers(a="of the branch")
    assert any_store.get_run_log_by_id(RUN).parameters == numbers(a=1, b=2, c=2)


def test_every_kind_of_parameter_is_kept(any_store: Any) -> None:
    """JSON, metric and object parameters read back as what they are."""
    parameters = {
        "json": JsonParameter(kind="json", value=None),
        "metric": MetricParameter(kind="metric", value={"loss": {"0": 0.25}}),
        "object": ObjectParameter(kind="object", value="pickled"),
    }
    any_store.create_run_log(RUN)
    any_store.set_parameters(RUN, parameters)
    assert any_store.get_parameters(RUN) == parameters


def test_run_config_merges_by_its_keys(any_store: Any) -> None:
    """Keys set later join those set before; a key set again is replaced as a whole."""
    any_store.create_run_log(RUN)
    any_store.set_run_config(RUN, {"a": {"x": 1}, "b": [1]})
    any_store.set_run_config(RUN, {"a": {"y": 2}, "runlog_otel": {"created_ns": 1}})
    expected = {"a": {"y": 2}, "b": [1], "runlog_otel": {"created_ns": 1}}
    assert any_store.get_run_config(RUN) == expected
    assert any_store.get_run_log_by_id(RUN).run_config == expected


def test_a_job_sets_the_status_of_its_run(any_store: Any) -> None:
    """The run has the status of its job, and no job is not found."""
    any_store.create_run_log(RUN)
    with pytest.raises(exceptions.JobLogNotFoundError):
        any_store.get_job_log(RUN)
    job = JobLog(status="FAIL", attempts=[StepAttempt(status="FAIL", message="no")])
    any_store.add_job_log(RUN, job)
    assert any_store.get_job_log(RUN) == job
    assert any_store.get_run_log_by_id(RUN) == RunLog(run_id=RUN, dag_hash="", status="FAIL", job=job)


def test_a_header_put_back_deletes_nothing(store: Any) -> None:
    """What the host reads without steps and puts back leaves the steps, and so do branches and composite steps."""
    nested(store)
    before = store.get_run_log_by_id(RUN, full=True)
    store.put_run_log(store.get_run_log_by_id(RUN))
    store.add_branch_log(store.get_branch_log("", RUN), RUN)
    store.add_branch_log(store.get_branch_log("mp.1", RUN), RUN)
    store.add_step_log(store.get_step_log("mp", RUN), RUN)
    assert store.get_run_log_by_id(RUN, full=True) == before


def test_a_composite_step_with_its_branches_is_merged(store: Any) -> None:
    """A step that carries a branch adds it beside those that are there."""
    nested(store)
    added = BranchLog(internal_name="mp.3", status="FAIL", steps={"mp.3.work": task("work", "mp.3.work", "FAIL")})
    carrier = StepLog(name="mp", internal_name="mp", status="FAIL", step_type="map", branches={"mp.3": added})
    store.add_step_log(carrier, RUN)
    expected = expected_nested()
    expected.steps["mp"].status = "FAIL"
    expected.steps["mp"].branches["mp.3"] = added
    assert store.get_run_log_by_id(RUN, full=True) == expected


def test_a_whole_run_is_put_at_once(any_store: Any) -> None:
    """A full run log that was never created here is kept as it is."""
    any_store.put_run_log(expected_nested())
    assert any_store.get_run_log_by_id(RUN, full=True) == expected_nested()


def test_putting_a_run_again_changes_nothing(any_store: Any) -> None:
    """Put is idempotent."""
    nested(any_store)
    any_store.put_run_log(any_store.get_run_log_by_id(RUN, full=True))
    assert any_store.get_run_log_by_id(RUN, full=True) == expected_nested()


def test_branches_may_be_named_by_values_with_dots(store: Any) -> None:
    """Iterations 1 and 1.5 of a map, and a branch inside of the latter, each keep their place."""
    store.create_run_log(RUN)
    store.add_step_log(StepLog(name="mp", internal_name="mp", step_type="map"), RUN)
    for value in ("1", "1.5", "a.b.c"):
        store.add_branch_log(BranchLog(internal_name=f"mp.{value}"), RUN)
        store.add_step_log(task("work", f"mp.{value}.work"), RUN)
    store.add_step_log(StepLog(name="in", internal_name="mp.1.5.in", step_type="map"), RUN)
    store.add_branch_log(BranchLog(internal_name="mp.1.5.in.0.1"), RUN)
    store.add_step_log(task("deep", "mp.1.5.in.0.1.deep"), RUN)
    run = store.get_run_log_by_id(RUN, full=True)
    assert {name: list(branch.steps) for name, branch in run.steps["mp"].branches.items()} == {
        "mp.1": ["mp.1.work"],
        "mp.1.5": ["mp.1.5.work", "mp.1.5.in"],
        "mp.a.b.c": ["mp.a.b.c.work"],
    }
    inner = run.steps["mp"].branches["mp.1.5"].steps["mp.1.5.in"]
    assert {name: list(branch.steps) for name, branch in inner.branches.items()} == {
        "mp.1.5.in.0.1": ["mp.1.5.in.0.1.deep"]
    }


def test_steps_keep_the_order_in_which_they_were_first_written(any_store: Any) -> None:
    """Writing a step again does not move it, and no clock has a say."""
    any_store.create_run_log(RUN)
    for name in ("z", "a", "m"):
        any_store.add_step_log(task(name, name), RUN)
    any_store.add_step_log(task("z", "z", "FAIL"), RUN)
    steps = any_store.get_run_log_by_id(RUN, full=True).steps
    assert [(name, step.status) for name, step in steps.items()] == [("z", "FAIL"), ("a", "SUCCESS"), ("m", "SUCCESS")]


def test_odd_text_survives(store: Any) -> None:
    """NUL, lone surrogates, infinities, long and empty names, and the order of keys come back as they were."""
    odd = 'nul \x00 surrogate \ud800 backslash \\u0041 quote " emoji 🏃 ' + "long" * 1000
    store.create_run_log(RUN, tag=odd)
    store.add_step_log(StepLog(name="mp", internal_name="mp", step_type="map"), RUN)
    store.add_branch_log(BranchLog(internal_name=f"mp.{odd}", parameters=numbers(**{odd: {"z": odd, "a": odd}})), RUN)
    store.add_step_log(task("work", f"mp.{odd}.work", message=odd), RUN)
    store.set_parameters(RUN, numbers(**{"": float("inf")}))
    run = store.get_run_log_by_id(RUN, full=True)
    branch = run.steps["mp"].branches[f"mp.{odd}"]
    assert (run.tag, run.parameters) == (odd, numbers(**{"": float("inf")}))
    assert (branch.parameters, list(branch.parameters[odd].value)) == (
        numbers(**{odd: {"z": odd, "a": odd}}),
        ["z", "a"],
    )
    assert branch.steps == {f"mp.{odd}.work": task("work", f"mp.{odd}.work", message=odd)}


def test_large_documents_are_compressed_and_read_back(store: Any) -> None:
    """A parameter of two million characters reads back as it was."""
    value = "0123456789" * 200_000
    store.create_run_log(RUN)
    store.set_parameters(RUN, numbers(big=value) if not isinstance(store, MemoryRunLogStore) else numbers(big="small"))
    expected = value if not isinstance(store, MemoryRunLogStore) else "small"
    assert store.get_parameters(RUN) == numbers(big=expected)


def test_objects_that_are_not_committed_are_plain(any_store: Any) -> None:
    """The create methods of parts give the host's defaults and write nothing."""
    any_store.create_run_log(RUN)
    made = [
        any_store.create_step_log("a", "a"),
        any_store.create_branch_log("a.b"),
        any_store.create_job_log(),
        any_store.create_data_catalog("file.csv").model_dump(),
        any_store.create_code_identity().model_dump(),
    ]
    defaults = [
        BaseRunLogStore.create_step_log(any_store, "a", "a"),
        BaseRunLogStore.create_branch_log(any_store, "a.b"),
        BaseRunLogStore.create_job_log(any_store),
        BaseRunLogStore.create_data_catalog(any_store, "file.csv").model_dump(),
        BaseRunLogStore.create_code_identity(any_store).model_dump(),
    ]
    assert made == defaults
    assert any_store.get_run_log_by_id(RUN, full=True) == RunLog(run_id=RUN, dag_hash="", status="CREATED")


def test_every_method_that_touches_the_log_is_our_own() -> None:
    """No read-modify-write default of the host's base class is inherited, of this version or of a later one."""
    committing_nothing = {
        name for name in vars(BaseRunLogStore) if name.startswith("create_") and name != "create_run_log"
    }
    methods = {
        name
        for name, member in vars(BaseRunLogStore).items()
        if inspect.isfunction(member) and not name.startswith("_") and name != "model_post_init"
    }
    kinds = [kind for kind in SqlRunLogStore.__mro__ if kind.__module__.startswith("runlog_otel.")]
    ours = {name for kind in kinds for name in vars(kind)}
    assert methods - committing_nothing - ours == set()


def test_a_store_survives_pickling(store: Any) -> None:
    """The host sends the store to pool workers: a copy is equal in config, and its connections are its own."""
    store.create_run_log(RUN)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.model_dump() == store.model_dump()
    if store.supports_parallel_writes:
        assert copy.get_run_log_by_id(RUN) == store.get_run_log_by_id(RUN)
    copy.close()
