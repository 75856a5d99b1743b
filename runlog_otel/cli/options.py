"""Options that several commands have, and how an age is written."""

import re
from datetime import timedelta
from typing import Annotated

import typer

from runlog_otel.errors import ConfigError

ConfigFile = Annotated[
    str,
    typer.Option("--config", "-c", help="The host's config file; default: as the host finds it.", show_default=False),
]
SourceUrl = Annotated[
    str,
    typer.Option(
        "--source",
        help="Where the runs are, instead of the config's store: a folder, a JSON file, another config, or a URL, as "
        "sqlite:///FILE, db-log+postgresql://…, constellation+http://… (docs/sources.md).",
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
RunNamed = Annotated[str, typer.Argument(help="A run id, or a run log's JSON file.", metavar="RUN_ID")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

_AGE = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age_from_text(text: str) -> timedelta | None:
    """An age as people write it (`30m`, `24h`, `7d`, `2w`); None when it is none."""
    parts = _AGE.fullmatch(text)
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])}) if parts else None


def age(text: str, option: str, at_least: timedelta = timedelta(0)) -> timedelta:
    """An age that must be one, and not shorter than another; raises ConfigError."""
    found = age_from_text(text.strip())
    if found is None:
        raise ConfigError(option, f"{text!r} is no age; write it as 30m, 24h, 7d")
    if found < at_least:
        raise ConfigError(option, f"must be at least {at_least.total_seconds():g}s, not {text}")
    return found
