"""The commands: each is a function of its own name in a module of its own, with its options and its help.

A module is imported when its command is called, not before: `--help` and `trace-id` need none of the others.
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command
from typing_extensions import override

from runlog_otel.cli import output

_COMMANDS = {
    "runs": "List runs, newest first, or compare them.",
    "demo": "Run a real pipeline through the wrapper and show its trace.",
    "show": "Show a run from its log: what ran when, how it ended, its trace id.",
    "report": "Write the page of a run as one HTML file, which makes no request.",
    "why": "Say why a run failed or was slow: the first cause, what changed, whether it was seen before.",
    "audit": "Print exactly what is exported of a run, and names and counts of what is held back.",
    "export": "Send whole runs from their logs; a backend drops what it already has.",
    "ui": "Serve pages of runs, pipelines and comparisons, read-only, until it is stopped.",
    "verify": "Compare what Jaeger, Tempo and Prometheus have with the run logs: spans one by one, and counters.",
    "serve": "Serve the metrics of all runs to Prometheus, from their logs; send missing traces.",
    "mcp": "Serve read-only answers about runs to an agent, by the Model Context Protocol.",
    "trace-id": "Print the trace id of a run, which follows from the run id (and the setting `namespace`).",
    "check": "Show the settings in force and where each came from; try the store and the endpoint.",
    "db": "The database of a SQL store; copies between stores.",
}
"""Name → its line in `--help`."""


class _Commands(TyperGroup):
    """Imports a command when it is called: importing them all costs 220 ms of CPU."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"runlog_otel.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            return get_command(command)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command()(command)
        return get_command(alone)

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


app = typer.Typer(
    cls=_Commands,
    name="runlog-otel",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's help costs 120 ms of CPU
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        output.line(f"runlog-otel {version('runlog-otel')}")
        raise typer.Exit


@app.callback()
def _every_command(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See pipeline runs in an observability stack: every run is a trace in Jaeger.

    Exit status: 0 all was done, 1 something failed, 2 the call or the config is wrong, 70 an unexpected error (set
    RUNLOG_OTEL_DEBUG=1 to see where), 130 interrupted, 141 the reader has closed the output.
    """
