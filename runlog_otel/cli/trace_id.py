"""`runlog-otel trace-id`: the trace id of a run."""

from typing import TYPE_CHECKING, Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.loading import settings_for
from runlog_otel.cli.options import ConfigFile, SourceUrl
from runlog_otel.core import identity
from runlog_otel.errors import ConfigError, RunNotFoundError

if TYPE_CHECKING:
    from runlog_otel.settings import Settings


def trace_id(
    run_id: Annotated[str, typer.Argument(help="The run id; the run need not exist yet.")],
    execution: Annotated[int, typer.Option(min=1, help="1 is the first, each retry is one more.")] = 1,
    traceparent: Annotated[
        str, typer.Option(help="The caller's, of a run that joins its trace (`parent: child`).", show_default=False)
    ] = "",
    url: SourceUrl = "",
    config: ConfigFile = "",
) -> None:
    """Print the trace id of a run, which follows from the run id (and the setting `namespace`).

    With `parent: child` it is the caller's, which the run's log has: then, and with --source, it is read there.
    """
    settings = settings_for(url, config)
    if traceparent:
        output.line(_of_caller(traceparent))
    elif url or settings.parent == "child":
        output.line(_in_log(run_id, execution, url, config, settings))
    else:
        output.line(identity.trace_id(settings.namespace, run_id, execution).hex())


def _of_caller(traceparent: str) -> str:
    from runlog_otel.core.caller import caller_from

    caller = caller_from(traceparent)
    if caller is None:
        raise ConfigError("--traceparent", "is not valid; write it as 00-TRACE_ID-SPAN_ID-01 (W3C Trace Context)")
    return caller.trace_id.hex()


def _in_log(run_id: str, execution: int, url: str, config: str, settings: "Settings") -> str:
    from runlog_otel.cli.loading import run_named, source
    from runlog_otel.mapping import execution_of_run

    try:
        run = run_named(source(url, config), run_id)
    except RunNotFoundError as error:
        if settings.parent == "link":
            raise
        raise ConfigError("--traceparent", f"is needed, as {error}") from error
    return execution_of_run(run, settings, execution).trace_id.hex()
