"""The command line: `runlog-otel`."""

from collections.abc import Sequence
from contextlib import suppress

from runlog_otel.cli import guard, output
from runlog_otel.errors import OutputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; an error is one line on standard error.

    Args:
        arguments: default: those of the process.

    Returns:
        The exit status, see docs/operation.md.
    """
    output.prepare()
    output.log_to_stderr()
    try:
        from runlog_otel.cli.app import app

        status = app(arguments, prog_name="runlog-otel", standalone_mode=False) or 0
        output.flush()
    except KeyboardInterrupt:
        return guard.INTERRUPTED
    except Exception as error:  # noqa: BLE001 the last guard: a traceback only on request
        if problem := guard.problem_of(error):
            output.problem(problem)
        with suppress(OutputError):
            output.flush()
        return guard.status_of(error)
    return status
