"""What magnus asks of a run log store: one suite for ours and for magnus's own. Run in magnus's environment."""

import inspect
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from magnus import exceptions
from magnus.datastore import BaseRunLogStore, BranchLog, RunLog, StepAttempt, StepLog
from magnus.extensions.run_log_store.chunked_file_system.implementation import ChunkedFileSystemRunLogStore
from magnus.extensions.run_log_store.file_system.implementation import FileSystemRunLogstore

from runlog_otel.hosts.magnus.plugins import DocumentRunLogStore, HostAdapter, MemoryRunLogStore, SqlRunLogStore
from runlog_otel.settings import Settings
from runlog_otel.sources.copying import COPIED, DIFFERS, THERE, Copy, copy_runs

RUN = "run-1"
OURS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: MemoryRunLogStore(),
    "sqlite": lambda folder: SqlRunLogStore(connection_string=f"sqlite:///{folder}/runs.db"),
    "sqlite-in-memory": lambda _: SqlRunLogStore(connection_string="sqlite:///:memory:"),
    "postgres": lambda _: SqlRunLogStore(connection_string=os.environ["POSTGRES_URL"]),
}
HOSTS: dict[str, Callable[[Path], Any]] = {
    "file-system": lambda folder: FileSystemRunLogstore(log_folder=str(folder)),
    "chunked-fs": lambda folder: ChunkedFileSystemRunLogStore(log_folder=str(folder)),
}


@pytest.fixture(params=[*OURS, *HOSTS])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    yield from _store(request.param, tmp_path)


@pytest.fixture(params=[*OURS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    yield from _store(request.param, tmp_path)


def _store(kind: str, folder: Path) -> Iterator[Any]:
    if kind == "postgres" and "POSTGRES_URL" not in os.environ:
        pytest.skip("peer postgres is not installed, run `make peers`")
    made = (OURS | HOSTS)[kind](folder)
    yield made
    if isinstance(made, DocumentRunLogStore):
        if isinstance(made, SqlRunLogStore) and kind == "postgres":
            from runlog_otel.stores.sql.retention import clear

            clear(made.documents.database)
        made.close()


def task(name: str, path: str, status: str = "SUCCESS", **fields: Any) -> StepLog:
    attempt = StepAttempt(
        attempt_number=1,
        start_time="2026-01-01 10:00:00",
        end_time="2026-01-01 10:00:05.250000",
        duration="0:00:05.250000",
        status=status,
        message="it is broken" if status == "FAIL" else "",
        parameters={"x": {"b": 1, "a": [None, 1.5]}},
    )
    return StepLog(name=name, internal_name=path, status=status, attempts=[attempt], **fields)


def nested(store: Any) -> None:
    """Write the run of a map of two iterations, as the host does it, step by step."""
    store.create_run_log(
        RUN, dag_hash="abc", tag="nightly", status="PROCESSING", use_cached=True, original_run_id="run-0"
    )
    store.set_parameters(RUN, {"n": [1, 2]})
    store.set_run_config(RUN, {"pipeline_file": "pipe.yaml", "dag": {"name": ""}})
    store.add_step_log(task("first", "first", user_defined_metrics={"loss": {"0": 0.5}}), RUN)
    store.add_step_log(StepLog(name="mp", internal_name="mp", status="PROCESSING", step_type="map"), RUN)
    for value in ("1", "2"):
        branch = store.create_branch_log(f"mp.{value}")
        store.add_branch_log(branch, RUN)
        store.add_step_log(task("work", f"mp.{value}.work"), RUN)
        store.set_parameters(RUN, {f"result of {value}": value * 2})
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
        )
        for value in ("1", "2")
    }
    return RunLog(
        run_id=RUN,
        dag_hash="abc",
        use_cached=True,
        tag="nightly",
        original_run_id="run-0",
        status="SUCCESS",
        steps={
            "first": task("first", "first", user_defined_metrics={"loss": {"0": 0.5}}),
            "mp": StepLog(name="mp", internal_name="mp", status="SUCCESS", step_type="map", branches=branches),
        },
        parameters={"n": [1, 2], "result of 1": "11", "result of 2": "22"},
        run_config={"pipeline_file": "pipe.yaml", "dag": {"name": ""}},
    )


def runs_of(store: Any) -> HostAdapter:
    return HostAdapter(store, Settings.load({}, {}))


def test_a_nested_run_is_read_as_it_was_written(any_store: Any) -> None:
    """A map written step by step reads back whole, by the host's own reading and by ours."""
    nested(any_store)
    assert any_store.get_run_log_by_id(RUN, full=True) == expected_nested()
    assert runs_of(any_store).document(RUN) == expected_nested().model_dump()


def test_a_run_is_created_once(any_store: Any) -> None:
    """The second create of a run id is refused and changes nothing."""
    any_store.create_run_log(RUN, tag="first")
    with pytest.raises(exceptions.RunLogExistsError):
        any_store.create_run_log(RUN, tag="second")
    expected = RunLog(run_id=RUN, dag_hash="", tag="first", status="CREATED")
    assert any_store.get_run_log_by_id(RUN) == expected


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get_run_log_by_id(RUN),
        lambda store: store.get_run_log_by_id(RUN, full=True),
        lambda store: store.update_run_log_status(RUN, "FAIL"),
        lambda store: store.get_parameters(RUN),
        lambda store: store.set_parameters(RUN, {"a": 1}),
        lambda store: store.get_run_config(RUN),
        lambda store: store.set_run_config(RUN, {"a": 1}),
        lambda store: store.get_step_log("a", RUN),
        lambda store: store.add_step_log(task("a", "a"), RUN),
        lambda store: store.get_branch_log("", RUN),
    ],
)
def test_an_unknown_run_is_not_found(store: Any, call: Any) -> None:
    """Every method but put says that the run is not there, in words that the exception keeps."""
    with pytest.raises(exceptions.RunLogNotFoundError) as caught:
        call(store)
    assert caught.value.message == f"Run id for {RUN} is not found in the datastore"


def test_unknown_parts_are_not_found(store: Any) -> None:
    """As magnus's base class documents it, where magnus's own stores raise KeyError and an error of theirs."""
    store.create_run_log(RUN)
    for name in ("a", "a.b.c"):
        with pytest.raises(exceptions.StepLogNotFoundError):
            store.get_step_log(name, RUN)
    with pytest.raises(exceptions.BranchLogNotFoundError):
        store.get_branch_log("a.b", RUN)


def test_parts_of_unknown_parents_are_refused(store: Any) -> None:
    """A step of an unknown branch, and a branch of an unknown step, are not kept."""
    store.create_run_log(RUN)
    with pytest.raises(exceptions.BranchLogNotFoundError):
        store.add_step_log(task("c", "a.b.c"), RUN)
    with pytest.raises(exceptions.StepLogNotFoundError):
        store.add_branch_log(BranchLog(internal_name="a.b"), RUN)
    assert store.get_run_log_by_id(RUN, full=True) == RunLog(run_id=RUN, dag_hash="", status="CREATED")


def test_parameters_and_run_config_merge(any_store: Any) -> None:
    """What is set later joins what was set before; a key set again is replaced as a whole."""
    any_store.create_run_log(RUN)
    any_store.set_parameters(RUN, {"a": {"x": 1}, "b": 1})
    any_store.set_parameters(RUN, {"a": {"y": None}, "c": "text"})
    any_store.set_run_config(RUN, {"a": {"x": 1}, "b": [1]})
    any_store.set_run_config(RUN, {"a": {"y": 2}})
    assert any_store.get_parameters(RUN) == {"a": {"y": None}, "b": 1, "c": "text"}
    assert any_store.get_run_config(RUN) == {"a": {"y": 2}, "b": [1]}


def test_a_header_put_back_deletes_nothing(store: Any) -> None:
    """What the host reads without steps and puts back leaves the steps, and so do branches and composite steps."""
    nested(store)
    store.put_run_log(store.get_run_log_by_id(RUN))
    store.add_branch_log(store.get_branch_log("", RUN), RUN)
    store.add_branch_log(store.get_branch_log("mp.1", RUN), RUN)
    store.add_step_log(store.get_step_log("mp", RUN), RUN)
    assert store.get_run_log_by_id(RUN, full=True) == expected_nested()


def test_any_keyword_may_come_along(store: Any) -> None:
    """magnus's signatures end in `**kwargs`: an integration may pass what ours does not know."""
    store.create_run_log(RUN, more=1)
    store.set_parameters(RUN, {"a": 1}, more=1)
    store.add_step_log(task("a", "a"), RUN, more=1)
    assert (store.get_parameters(run_id=RUN, more=1), store.get_step_log("a", run_id=RUN, more=1).status) == (
        {"a": 1},
        "SUCCESS",
    )


def test_branches_may_be_named_by_values_with_dots(store: Any) -> None:
    """Iterations 1 and 1.5 of a map each keep their place."""
    store.create_run_log(RUN)
    store.add_step_log(StepLog(name="mp", internal_name="mp", step_type="map"), RUN)
    for value in ("1", "1.5"):
        store.add_branch_log(BranchLog(internal_name=f"mp.{value}"), RUN)
        store.add_step_log(task("work", f"mp.{value}.work"), RUN)
    branches = store.get_run_log_by_id(RUN, full=True).steps["mp"].branches
    assert {name: list(branch.steps) for name, branch in branches.items()} == {
        "mp.1": ["mp.1.work"],
        "mp.1.5": ["mp.1.5.work"],
    }


def test_what_a_crashed_run_left_is_read(any_store: Any) -> None:
    """A run without a step, and a branch that has none: magnus's own reading raises, or leaves the branch out."""
    any_store.create_run_log(RUN, status="PROCESSING")
    assert runs_of(any_store).document(RUN)["steps"] == {}
    any_store.add_step_log(StepLog(name="mp", internal_name="mp", status="PROCESSING", step_type="map"), RUN)
    any_store.add_branch_log(BranchLog(internal_name="mp.1", status="PROCESSING"), RUN)
    assert list(runs_of(any_store).document(RUN)["steps"]["mp"]["branches"]) == ["mp.1"]


def test_runs_are_copied_to_every_store_and_compared(any_store: Any, tmp_path: Path) -> None:
    """A copy reads back equal, is there the second time, is left alone when it differs; the host can go on with it."""
    source = MemoryRunLogStore()
    nested(source)
    copy = (runs_of(source), runs_of(any_store), [RUN])
    assert list(copy_runs(*copy)) == [Copy(RUN, COPIED)]
    assert any_store.get_run_log_by_id(RUN, full=True) == expected_nested()
    assert (any_store.get_step_log("mp.1.work", RUN), any_store.get_branch_log("mp.1", RUN).status) == (
        task("work", "mp.1.work"),
        "SUCCESS",
    )
    assert list(copy_runs(*copy)) == [Copy(RUN, THERE)]
    source.set_parameters(RUN, {"n": 3})
    assert [copied.outcome for copied in copy_runs(*copy)] == [DIFFERS]


def test_every_method_that_touches_the_log_is_our_own() -> None:
    """No read-modify-write default of the host's base class is inherited."""
    methods = {
        name
        for name, member in vars(BaseRunLogStore).items()
        if inspect.isfunction(member) and not name.startswith(("_", "create_")) and name != "model_post_init"
    }
    ours = {
        name for kind in SqlRunLogStore.__mro__ if kind.__module__.startswith("runlog_otel.") for name in vars(kind)
    }
    assert methods - ours == set()


def test_a_store_survives_pickling(store: Any) -> None:
    """A copy is equal in config, and its connections are its own."""
    store.create_run_log(RUN)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.model_dump() == store.model_dump()
    if store.supports_parallel_writes:
        assert copy.get_run_log_by_id(RUN) == store.get_run_log_by_id(RUN)
    copy.close()


def test_the_config_may_be_changed_after_construction(tmp_path: Path) -> None:
    """An integration of magnus may do so: what counts is what it is when it is used."""
    store = SqlRunLogStore(connection_string=f"sqlite:///{tmp_path}/one.db")
    store.create_run_log(RUN)
    store.connection_string = f"sqlite:///{tmp_path}/two.db"  # type: ignore[assignment]  # as integrations do it
    with pytest.raises(exceptions.RunLogNotFoundError):
        store.get_run_log_by_id(RUN)
    store.close()
