"""The contract with runnable's private parts: a test fails when a release of the host moves one of them."""

import inspect
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from extensions.job_executor import GenericJobExecutor
from extensions.job_executor.local import LocalJobExecutor
from extensions.pipeline_executor.argo import ArgoExecutor
from extensions.pipeline_executor.local import LocalExecutor
from extensions.run_log_store.chunked_fs import ChunkedFileSystemRunLogStore
from extensions.run_log_store.chunked_minio import ChunkedMinioRunLogStore
from extensions.run_log_store.file_system import FileSystemRunLogstore
from runnable import context, tasks, utils
from runnable.datastore import BranchLog
from runnable.sdk import AsyncPipeline, Pipeline, TaskNode

from runlog_otel.hosts.runnable import private
from runlog_otel.hosts.runnable.stores import MemoryRunLogStore

MOVED = "runnable has moved {}; update runlog_otel/hosts/runnable/private.py"


def write() -> None:
    """Write to both streams, and in pieces."""
    print("out", 1)
    print("err", 2, "err", file=sys.stderr)
    print("out ", end="")
    print("err after out", file=sys.stderr)
    sys.stderr.write("err\nerr\n")


class Host:
    """The exceptions that the host reports while a task runs: to its logger, and with events to its stream queue."""

    def __init__(self) -> None:
        self.logged: list[BaseException] = []
        self.handled: list[BaseException | None] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the exception of a record."""
        if record.exc_info and record.exc_info[1]:
            self.logged.append(record.exc_info[1])
        return False

    def put_nowait(self, event: dict[str, Any]) -> None:
        """Keep the exception that is handled when a task is said to have failed."""
        if private.is_task_error(event):
            self.handled.append(sys.exc_info()[1])


@pytest.fixture
def host() -> Iterator[Host]:
    """A run context, in which a task can be run alone."""
    store = MemoryRunLogStore()
    store.create_run_log("r")
    reports = Host()
    context.set_run_context(SimpleNamespace(run_id="r", run_log_store=store, retry_indicator=""))
    private.replace_stream_queue(reports)
    private.host_logger().addFilter(reports)
    yield reports
    private.host_logger().removeFilter(reports)
    private.replace_stream_queue(None)
    context.set_run_context(None)


def fail() -> None:
    """Fail as a user's function does."""
    raise LookupError("no such row")


@pytest.mark.parametrize(
    ("runner", "read"),
    [
        *((getattr(TaskNode, name), "get_step_log") for name in private.CODE_RUNNERS),
        (GenericJobExecutor.execute_job, "get_job_log"),
    ],
    ids=[*private.CODE_RUNNERS, "job"],
)
def test_the_host_reads_a_log_right_before_it_runs_the_code(runner: Any, read: str) -> None:
    """This is when the attempt becomes current."""
    calls = [name for name in runner.__code__.co_names if name in (read, "execute_command")]
    assert calls == [read, "execute_command"], MOVED.format(f"{read} in {runner.__qualname__}")


def test_the_caller_of_a_store_is_known_by_its_name() -> None:
    """A store's method asks who called it."""

    def execute() -> bool:
        return get_step_log()

    def get_step_log() -> bool:
        return private.is_read_before_code()

    assert execute()
    assert not get_step_log()


@pytest.mark.parametrize(
    ("key", "of", "executor", "expected"),
    [
        ("pipeline_executor", context.PipelineContext, LocalExecutor, True),
        ("pipeline_executor", context.AsyncPipelineContext, ArgoExecutor, False),
        ("job_executor", context.JobContext, LocalJobExecutor, True),
    ],
)
def test_an_executor_declares_whether_it_runs_everything(key: str, of: Any, executor: Any, expected: bool) -> None:
    """An attribute of the executor in the run context."""
    attribute = "_should_setup_run_log_at_traversal"
    assert key in of.model_fields, MOVED.format(f"{key} of {of.__name__}")
    assert attribute in executor.__private_attributes__, MOVED.format(attribute)
    declared = {attribute: executor.__private_attributes__[attribute].default}
    context.set_run_context(SimpleNamespace(**{key: SimpleNamespace(**declared)}))
    try:
        assert private.is_orchestrator() is expected, MOVED.format(attribute)
    finally:
        context.set_run_context(None)


def test_a_chunked_store_lists_the_files_of_branches(tmp_path: Path) -> None:
    """`_list_branch_logs`, `_retrieve`, and how the files are named."""
    store = ChunkedFileSystemRunLogStore(log_folder=str(tmp_path))
    assert private.is_chunked(store), MOVED.format("_list_branch_logs")
    assert private.is_chunked(ChunkedMinioRunLogStore), MOVED.format("_list_branch_logs")
    assert not private.is_chunked(FileSystemRunLogstore), MOVED.format("_list_branch_logs")
    store.create_run_log("r")
    store.add_branch_log(BranchLog(internal_name="mp.1.5"), "r")
    files = private.branch_files(store, "r")
    assert list(files) == ["mp.1.5"], MOVED.format("the names of branch files")
    branch = private.read_branch(store, "r", files["mp.1.5"])
    assert branch.internal_name == "mp.1.5", MOVED.format("_retrieve")


def test_a_shell_task_logs_how_its_program_ended(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame of `CommandCallError` has the process, and the program has the variables with the prefix."""
    monkeypatch.setenv(f"{private.VARIABLE_PREFIX}PROBE", "passed on")
    command = f'echo "${private.VARIABLE_PREFIX}PROBE" >&2; exit 3'
    tasks.ShellTaskType(command=command).execute_command()
    exits = [private.program_exit(error) for error in host.logged]
    assert (3, "passed on\n") in exits, MOVED.format("the logger, CommandCallError, its process or its variables")


def test_a_python_task_reports_its_error_while_it_is_handled(host: Host) -> None:
    """An event goes to the stream queue; the host's own exception and frames are left out of the error."""
    tasks.PythonTaskType(command=f"{__name__}.fail").execute_command()
    assert len(host.handled) == 1, MOVED.format("the event task_error")
    assert host.handled[0] is not None, MOVED.format("the event task_error out of its except clause")
    error, trace = private.error_of_code(host.handled[0])
    assert isinstance(error, LookupError), MOVED.format("the cause of CommandCallError")
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "fail", MOVED.format("the module of tasks")


def test_execution_logs_have_a_width_and_a_name() -> None:
    """The console that records them, and the suffix in the catalog."""
    assert tasks.task_console.width == private.log_width(), MOVED.format("task_console")
    name = utils.make_log_file_name(name="a step", iter_variable=None)
    assert name.endswith(private.EXECUTION_LOG_SUFFIX), MOVED.format("make_log_file_name")


@pytest.mark.parametrize(
    "task",
    [
        tasks.PythonTaskType(command=f"{__name__}.write"),
        tasks.ShellTaskType(command="echo out 1; echo err 2 >&2; printf 'err\\nerr 3' >&2"),
        tasks.ShellTaskType(command="echo out 1; echo err 2 >&2; exit 3"),
    ],
    ids=["python", "shell", "failing shell"],
)
def test_lines_of_the_standard_error_are_recorded_in_styles_of_their_own(host: Host, task: tasks.BaseTaskType) -> None:
    """Until the execution log is saved."""
    tasks.task_console.export_text(clear=True)
    task.execute_command()
    numbers = set(private.stderr_lines())
    lines = tasks.task_console.export_text(clear=True).split("\n")
    written = {number for number, line in enumerate(lines) if line.startswith("err")}
    assert numbers == written != set(), MOVED.format("_record_buffer, or the styles of standard error")


@pytest.mark.parametrize("width", [10, 67, 80])
@pytest.mark.parametrize("said", ["", "no end of line", "x" * 79, "x" * 300, "=", "word " * 30])
def test_a_shell_task_marks_the_end_of_its_output(
    host: Host, monkeypatch: pytest.MonkeyPatch, width: int, said: str
) -> None:
    """Its environment follows, after whatever the program wrote last, at any width of the console."""
    monkeypatch.setattr(tasks.task_console, "_width", width)
    monkeypatch.setenv(f"{private.VARIABLE_PREFIX}CANARY", "canary")
    tasks.task_console.export_text(clear=True)
    tasks.ShellTaskType(command=f"printf '%s' '{said}'").execute_command()
    text = tasks.task_console.export_text(clear=True).encode()
    end = re.search(private.END_OF_OUTPUT, text)
    assert end, MOVED.format("the mark in ShellTaskType.execute_command")
    before, after = (part.replace(b"\n", b"") for part in (text[: end.start()], text[end.start() :]))
    assert b"canary" in after, MOVED.format("the order of output and environment")
    assert b"canary" not in before, MOVED.format("the order of output and environment")


def test_the_config_that_the_host_prints_can_be_masked() -> None:
    """`mask_what_the_host_prints` changes a local variable of the function that makes stores."""
    config = {"type": "sql", "config": {"connection_string": "sqlite://", "password": "hunter22"}}
    with pytest.raises(Exception, match="config") as raised:
        getattr(context, private.STORE_FACTORY)("run_log_store", config, None)
    assert "hunter22" not in str(raised.value), MOVED.format(f"service_config in {private.STORE_FACTORY}")


@pytest.mark.parametrize("kind", [Pipeline, AsyncPipeline])
def test_a_pipeline_has_a_name_while_it_makes_its_stores(kind: Any) -> None:
    """Its functions are found on the stack by their code, and the pipeline by its name in them."""
    function = Pipeline.execute if kind is Pipeline else AsyncPipeline.execute_streaming
    assert "name" in kind.model_fields, MOVED.format("the name of a pipeline")
    assert function.__code__.co_varnames[0] == "self", MOVED.format(function.__qualname__)
    assert "model_validate" in function.__code__.co_names, MOVED.format("where a pipeline makes its stores")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (context.PipelineContext, "execute"),
        (context.JobContext, "execute"),
        (context.PipelineContext, "execute_async"),
        (context.AsyncPipelineContext, "execute_async"),
    ],
)
def test_a_run_is_executed_by_a_method_of_its_context(owner: Any, name: str) -> None:
    """The wrapper surrounds it; the context has the store and the id of the run."""
    method = inspect.unwrap(getattr(owner, name))
    assert "_should_setup_run_log_at_traversal" in method.__code__.co_names, MOVED.format(f"{owner.__name__}.{name}")
    assert {"run_log_store", "run_id"} <= set(owner.model_fields), MOVED.format(f"fields of {owner.__name__}")
