"""Every use of runnable (0.50) beyond its documented interface; `tests/hosts/test_private.py` checks each of them."""

import contextlib
import functools
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from rich.style import Style
from runnable import context, defaults, exceptions, get_stream_queue, set_stream_queue, task_console
from runnable.datastore import BranchLog
from runnable.sdk import AsyncPipeline, Pipeline

from runlog_otel.hosts.kit.stack import frame_of

STORE_FACTORY = "get_service_by_name"
"""The function of `runnable.context` that makes a store from its config, and prints the config when that fails."""
VARIABLE_PREFIX = "RUNNABLE_"
"""A shell task passes only variables with this prefix to its program (`ShellTaskType.execute_command`)."""
EXECUTION_LOG_SUFFIX = ".execution.log"
"""How the names of execution logs end in the catalog (`runnable.utils.make_log_file_name`)."""
END_OF_OUTPUT = rb"=\n?=\n?=\s+COLLECT\s+==="
"""What a shell task prints, perhaps folded, after its output; its environment follows, with parameters and secrets."""
CODE_RUNNERS = ("execute", "execute_async")
"""The methods of `TaskNode` that read a step's log right before they run its code."""
_BRANCH_FILE = "BranchLog-"
_BOX = ("╭", "│", "╰")
"""How lines of tracebacks begin, which the host draws in red."""
_STDERR_STYLES = (Style(color="red"), defaults.warning_style, defaults.error_style)
Around = Callable[[Any], AbstractContextManager[None]]
"""Makes a context around the execution of a run from the host's run context."""


def surround_executions(around: Around) -> None:
    """Have every run executed within a context: no other place sees each exception that ends one, interrupts too."""
    for owner in (context.PipelineContext, context.JobContext):
        owner.execute = _surrounded(owner.execute, around)
    for owner in (context.PipelineContext, context.AsyncPipelineContext):
        owner.execute_async = _surrounded_async(owner.execute_async, around)


def _surrounded(execute: Callable[..., Any], around: Around) -> Callable[..., Any]:
    @functools.wraps(execute)
    def surrounded(self: Any) -> Any:
        with around(self):
            return execute(self)

    return surrounded


def _surrounded_async(execute: Callable[..., Any], around: Around) -> Callable[..., Any]:
    @functools.wraps(execute)
    async def surrounded(self: Any) -> Any:
        with around(self):
            return await execute(self)

    return surrounded


def pipeline_name() -> str:
    """The name of the pipeline that is executed, which is not in its log; empty if it has none.

    The host makes its stores in these functions, and records the run of an asynchronous pipeline in another task. Its
    log does not say where it is defined: without a name, it is the function that executes it, as for other pipelines.
    """
    frame = frame_of((Pipeline.execute.__code__, AsyncPipeline.execute_streaming.__code__))
    if frame is None:
        return ""
    pipeline = frame.f_locals["self"]
    return str(pipeline.name) or (_caller(frame) if isinstance(pipeline, AsyncPipeline) else "")


def _caller(frame: FrameType) -> str:
    """The module and function that called a function, as `Pipeline.get_caller` writes it."""
    caller = frame.f_back
    with contextlib.suppress(OSError, ValueError):
        if caller is not None:
            module = Path(caller.f_code.co_filename).relative_to(Path.cwd()).with_suffix("")
            return ".".join((*module.parts, caller.f_code.co_name))
    return ""


def is_read_before_code() -> bool:
    """Whether the store's method that asks is called by the host to run a step's code.

    Nothing else tells: on Argo, a retried step still has the status of the attempt before.
    """
    return sys._getframe(2).f_code.co_name in CODE_RUNNERS


def is_orchestrator() -> bool:
    """Whether this process runs the whole pipeline or job, as `BaseExecutor` declares it."""
    current: Any = context.get_run_context()
    executor = getattr(current, "pipeline_executor", None) or getattr(current, "job_executor", None)
    return bool(getattr(executor, "_should_setup_run_log_at_traversal", False))


def is_chunked(store: Any) -> bool:
    """Whether a store keeps branches in files or objects of their own."""
    return hasattr(store, "_list_branch_logs")


def branch_files(store: Any, run_id: str) -> dict[str, str]:
    """The file names of a chunked store's branches, by the branch's path."""
    return {name.removeprefix(_BRANCH_FILE): name for name in store._list_branch_logs(run_id)}


def read_branch(store: Any, run_id: str, file_name: str) -> BranchLog:
    """The branch in a file of a chunked store."""
    return BranchLog.model_validate(store._retrieve(run_id=run_id, name=file_name))


def host_logger() -> logging.Logger:
    """The logger that gets the exceptions of all tasks but Python ones (`expose_secrets`, `execution_context`)."""
    return logging.getLogger(defaults.LOGGER_NAME)


def stream_queue() -> Any:
    """The queue that gets the events of Python tasks (`BaseTaskType._emit_event`); None without one."""
    return get_stream_queue()


def replace_stream_queue(queue: Any) -> None:
    """Let another queue, or none, get the events."""
    set_stream_queue(queue)


def is_task_error(event: dict[str, Any]) -> bool:
    """Whether an event says that a Python task failed; the host sends it while it handles the exception."""
    return event.get("type") == "task_error"


def log_width() -> int:
    """The width at which the host wraps the lines of an execution log."""
    return int(task_console.width)


def stderr_lines() -> Iterator[int]:
    """The numbers of the lines in the current execution log that stderr got.

    Nothing else tells, and only until the host saves the log, as plain text. `TeeIO` records what Python writes there
    in red, and a shell task prints what its program wrote there as a warning or an error. A line is what it begins as.
    """
    recorded = [part for part in task_console._record_buffer if not part[2]]
    line, at_start, done = 0, True, 0
    for number, (text, style, _) in enumerate(recorded):
        if style is None or style not in _STDERR_STYLES or text.startswith(_BOX):
            continue
        if before := "".join([part[0] for part in recorded[done:number]]):
            line, at_start = line + before.count("\n"), before.endswith("\n")
        ends, is_ended = text.count("\n"), text.endswith("\n")
        yield from range(line if at_start else line + 1, line + ends + (not is_ended))
        line, at_start, done = line + ends, is_ended, number + 1


def program_exit(error: BaseException) -> tuple[int, str] | None:
    """The exit status of a shell task's failed program, and its standard error; None for another error."""
    if isinstance(error, exceptions.CommandCallError):
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for value in list(frame.f_locals.values()):
                if isinstance(value, subprocess.Popen) and value.returncode:
                    output = frame.f_locals.get("result") or ("", str(error))
                    return value.returncode, str(output[1])
    return None


def error_of_code(error: BaseException) -> tuple[BaseException, TracebackType | None]:
    """The exception of the user's code, without the host's own exception and frames around it."""
    if isinstance(error, exceptions.CommandCallError):
        error = error.__cause__ or error
    trace = error.__traceback__
    while trace and trace.tb_next and trace.tb_frame.f_globals.get("__name__") == "runnable.tasks":
        trace = trace.tb_next
    return error, trace
