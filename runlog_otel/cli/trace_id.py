"""`runlog-otel trace-id`: the trace id that follows from a run id."""

from typing import Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.loading import settings_for
from runlog_otel.cli.options import ConfigFile
from runlog_otel.core import identity


def trace_id(
    run_id: Annotated[str, typer.Argument(help="The run id; the run need not exist yet.")],
    execution: Annotated[int, typer.Option(min=1, help="1 is the first, each retry is one more.")] = 1,
    config: ConfigFile = "",
) -> None:
    """Print the trace id of a run, which follows from the run id (and the setting `namespace`)."""
    output.line(identity.trace_id(settings_for("", config).namespace, run_id, execution).hex())
