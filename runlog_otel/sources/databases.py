"""The URL of a source that is a table of a SQL database: a connection string, and the table's name in its query."""

from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from runlog_otel.errors import ConfigError
from runlog_otel.stores.connection_string import WANTED, masked, with_driver
from runlog_otel.stores.sql.database import Database

_PATIENCE_SECONDS = 5.0
"""How long a database that is out of reach is waited for: somebody looks on, or `serve` has other sources to read."""


def string_and_table(url: str, default_table: str) -> tuple[str, str]:
    """The connection string without, and the name after, `?table=`.

    Raises:
        ConfigError: it is no such URL.
    """
    try:
        parsed = make_url(with_driver(url))
    except (ArgumentError, ValueError):
        raise ConfigError("--source", f"{masked(url)} is no URL of a database; {WANTED}") from None
    table = parsed.query.get("table", default_table)
    if not isinstance(table, str):
        raise ConfigError("--source", "name one table: ?table=NAME")
    return parsed.difference_update_query(["table"]).render_as_string(hide_password=False), table


def database_at(connection_string: str, **options: Any) -> Database:
    """The database; options are those of `Database`."""
    return Database(connection_string, patience_seconds=_PATIENCE_SECONDS, **options)


def place(where: str, table: str, default_table: str) -> str:
    """The database without credentials, and the table if it is not the usual one."""
    return where if table == default_table else f"{where}, table {table}"
