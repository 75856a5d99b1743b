"""The commands: each is a function in a module of its own, with its options and its help."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from runlog_otel.cli import db, output
from runlog_otel.cli.audit import audit
from runlog_otel.cli.check import check
from runlog_otel.cli.demo import demo
from runlog_otel.cli.export import export
from runlog_otel.cli.runs import runs
from runlog_otel.cli.serve import serve
from runlog_otel.cli.show import show
from runlog_otel.cli.trace_id import trace_id

_COMMANDS: tuple[Callable[..., None], ...] = (runs, demo, show, audit, export, serve, trace_id, check)

app = typer.Typer(
    name="runlog-otel",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
db_app = typer.Typer(no_args_is_help=True, help=db.HELP)
app.add_typer(db_app, name="db")
for command in _COMMANDS:
    app.command()(command)
for command in db.COMMANDS:
    db_app.command()(command)


def _print_version(is_asked: bool) -> None:
    if is_asked:
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
