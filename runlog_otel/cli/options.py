"""Options that several commands share, and the parser of ages."""

from datetime import timedelta
from typing import Annotated

import typer

from runlog_otel.errors import ConfigError
from runlog_otel.sources.moments import age_from_text

ConfigFile = Annotated[
    str,
    typer.Option("--config", "-c", help="The host's config file; default: as the host finds it.", show_default=False),
]
SourceUrl = Annotated[
    str,
    typer.Option(
        "--source",
        help="Where the runs are, instead of the config's store: a folder, a JSON file, another config, or a URL "
        "such as sqlite:///FILE, db-log+postgresql://…, constellation+http://… (docs/sources.md).",
        metavar="URL",
        show_default=False,
    ),
]
DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--source",
        help="The database, instead of the config's: sqlite:///FILE or postgresql://…, with ?table=NAME for another "
        "table_name; ${NAME} is taken from the environment.",
        metavar="URL",
        show_default=False,
    ),
]
Endpoint = Annotated[
    str,
    typer.Option(
        help="The OTLP endpoint: http://HOST:4318, or file:///PATH. Overrides config and environment, also an exporter "
        "that they name.",
        show_default=False,
    ),
]
RunNamed = Annotated[str, typer.Argument(help="A run id, or a run log's JSON file.", metavar="RUN_ID")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def age(text: str, option: str, at_least: timedelta = timedelta(0)) -> timedelta:
    """Parse an age; raises ConfigError if it is not one, or shorter than `at_least`."""
    parsed = age_from_text(text, option)
    if parsed is None:
        raise ConfigError(option, f"{text!r} is not an age; write it as 30m, 24h, 7d")
    if parsed < at_least:
        raise ConfigError(option, f"must be at least {at_least.total_seconds():g}s, not {text}")
    return parsed
