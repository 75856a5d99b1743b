"""`runlog-otel mcp`: answers an agent's questions about runs, over standard input and output."""

import signal
from typing import Annotated

import typer

from runlog_otel.cli.loading import sources
from runlog_otel.cli.options import ConfigFile
from runlog_otel.errors import MissingExtraError

_LIBRARIES = ("anyio", "mcp", "mcp_types")


def mcp(
    urls: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="Where runs are, instead of the config's store, as for `show`; can be repeated.",
            metavar="URL",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = "",
) -> None:
    """Serve read-only answers about runs to an agent, by the Model Context Protocol.

    A client starts it, and speaks to it over standard input and output (docs/mcp.md); it ends when the client closes
    its input. Nothing is sent that traces may not have.
    """
    try:
        from runlog_otel.mcp_server.server import serve
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in _LIBRARIES:
            raise
        raise MissingExtraError("the MCP server", "mcp") from error
    loaded = sources(urls or (), config)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread waits for input, which no exception ends
    serve(loaded)
