"""The message and the exit status of an error (docs/operation.md)."""

import os
from typing import Any

import typer

from runlog_otel.cli import output
from runlog_otel.errors import OutputError, RunlogOtelError, StoreError

FAILED, WRONG, UNFORESEEN, INTERRUPTED = 1, 2, 70, 130
_DEBUG = "RUNLOG_OTEL_DEBUG"
_MAX_PROBLEM_BYTES = 2000
_UsageError: Any = typer.BadParameter.__mro__[1]
"""Click's, or that of the copy of Click that newer versions of Typer bundle."""


def status_of(error: Exception) -> int:
    """The exit status of a command that failed with an error."""
    if isinstance(error, RunlogOtelError):
        return FAILED if isinstance(error, StoreError | OutputError) else WRONG
    if isinstance(error, typer.Abort):
        return INTERRUPTED if isinstance(error.__context__, KeyboardInterrupt) else FAILED
    if isinstance(error, _UsageError):
        return WRONG
    return FAILED if isinstance(error, OSError) else UNFORESEEN


def problem_of(error: Exception) -> str:
    """An error in one line, for people; with `RUNLOG_OTEL_DEBUG` its traceback goes to standard error, masked."""
    from runlog_otel.core.redaction import bounded, redacted  # not before there is an error: 20 ms

    if os.environ.get(_DEBUG):
        import traceback

        output.note(redacted("".join(traceback.format_exception(error))), keeps_lines=True)
    if isinstance(error, RunlogOtelError):
        text = str(error)
    elif isinstance(error, typer.Abort):
        text = "aborted"
    elif isinstance(error, _UsageError):
        command = error.ctx.command_path if error.ctx else "runlog-otel"
        message = error.format_message()
        text = f"{message.rstrip('.')}; see `{command} --help`"
        if error.ctx and message == error.ctx.get_help():  # a call without arguments
            output.note(message, keeps_lines=True)
            text = ""
    else:
        kind = "" if isinstance(error, OSError) else f"unexpected {type(error).__name__}: "
        text = f"{kind}{redacted(str(error))}; {_DEBUG}=1 shows where"
    return bounded(text, _MAX_PROBLEM_BYTES)
