"""What differs by database: which URLs it takes, how it is connected to, how a transaction begins."""

import codecs
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, StaticPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from runlog_otel.errors import ConfigError
from runlog_otel.stores.connection_string import WANTED, is_in_memory, masked, with_driver
from runlog_otel.stores.sql import sqlite_files
from runlog_otel.stores.sql.schema import SERVER_CODEC

_SQLITE_OPTIONS = ("cached_statements", "check_same_thread", "detect_types", "isolation_level", "timeout", "uri")
_NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "prepare_threshold",
    "tcp_user_timeout",
)
_OWN_OPTIONS = ("client_encoding", "replication")
_UNIVERSAL = ("UTF8", "SQL_ASCII")
"""The encodings of databases that keep any text as we send it."""

_NEEDS_TRANSACTION = "runlog_otel_needs_transaction"
"""Set on an engine where even a single statement needs a transaction."""
SENT_WITH_NEXT = "runlog_otel_sent_with_next"
"""The option of a statement whose result is not needed: PostgreSQL gets it together with the next one."""
ENDS_TRANSACTION = "runlog_otel_ends_transaction"
"""The option of the last statement of a transaction: PostgreSQL gets COMMIT together with it."""
_TRANSACTION = "runlog_otel_transaction"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often a database is asked."""

    timeout_seconds: float
    patience_seconds: float
    max_connections: int

    @property
    def pool(self) -> dict[str, Any]:
        """The arguments of a pool of connections."""
        kept = min(5, self.max_connections)
        return {
            "pool_size": kept,
            "max_overflow": self.max_connections - kept,
            "pool_timeout": self.timeout_seconds,
        }


@dataclass(slots=True)
class _Transaction:
    is_write: bool
    is_begun: bool = False
    unsent: list[str] = field(default_factory=list)


@contextmanager
def transaction(engine: Engine, *, is_write: bool) -> Iterator[Connection]:
    """A connection in a transaction, which the first statement begins."""
    options = {_TRANSACTION: _Transaction(is_write)}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection for one statement without a transaction."""
    if engine.get_execution_options().get(_NEEDS_TRANSACTION):
        with transaction(engine, is_write=False) as connection:
            yield connection
    else:  # the drivers are in autocommit mode, and SQLAlchemy must not begin either
        with Connection(engine, _allow_autobegin=False) as connection:
            yield connection


def parsed(url: str) -> URL:
    """The URL of a database that is supported.

    Raises:
        ConfigError: it is none.
    """
    try:
        database_url = make_url(with_driver(url))
        dialect = database_url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise _wrong(f"{masked(url)!r} is no URL of a database; {WANTED}") from None
    if "@" in (database_url.host or ""):  # a part of the password, which messages of the driver would show
        raise _wrong(f"in {masked(url)} write the @ of the password as %40")
    if dialect.name not in ("sqlite", "postgresql") or database_url.get_driver_name() not in ("pysqlite", "psycopg"):
        raise _wrong(f"{database_url.drivername} is not supported; {WANTED}")
    if dialect.name == "sqlite":
        _refuse_other_file(url, database_url)
    return database_url


def _refuse_other_file(url: str, database_url: URL) -> None:
    file = database_url.database or ""
    if database_url.host or database_url.username or database_url.port:
        path = "/".join(part for part in (database_url.host, file) if part)
        raise _wrong(f"{masked(url)} has a host, but SQLite has none; with three slashes it is sqlite:///{path}")
    if file == "~" or file.startswith("~/"):
        raise _wrong(f"in {masked(url)} write the folder for ~: sqlite:///{Path(file).expanduser()}")
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]|\\\\", file):
        raise _wrong(f"{masked(url)} is a Windows path, but this machine does not run Windows")
    if "\x00" in file:
        raise _wrong("a file name must not contain NUL")
    is_uri = database_url.query.get("uri") == "true"
    unknown = [] if is_uri else [name for name in database_url.query if name not in _SQLITE_OPTIONS]
    if unknown:
        raise _wrong(f"{masked(url)} has an unknown option {unknown[0]}; SQLite's own need uri=true and a file:PATH")


def _wrong(problem: str) -> ConfigError:
    return ConfigError("connection_string", problem)


def file_of(url: URL) -> Path:
    """The file of a SQLite database."""
    return Path((url.database or "").removeprefix("file:").split("?", 1)[0])


def sqlite_engine(url: URL, limits: Limits, *, is_foreign: bool) -> Engine:
    """Connections to a SQLite database: those to a file that may not be written only read.

    Raises:
        ConfigError: an option of the URL has a wrong value.
    """
    connect: dict[str, Any] = {"timeout": limits.timeout_seconds, "check_same_thread": False}
    options: dict[str, Any] = {"hide_parameters": True}
    file = file_of(url)
    in_memory = is_in_memory(str(url))
    is_read_only = not in_memory and "uri" not in url.query and sqlite_files.is_unwritable(file)
    if in_memory:
        options |= {"connect_args": connect, "poolclass": StaticPool}
    elif is_read_only:  # each transaction looks anew how the file can be read
        options |= {
            "creator": lambda: sqlite3.connect(sqlite_files.read_only_uri(file), uri=True, **connect),
            "poolclass": NullPool,
        }
    else:
        options |= {"connect_args": connect, **limits.pool}
    engine = _made(url, options)
    event.listen(
        engine, "connect", sqlite_files.prepare_foreign if is_foreign or is_read_only else sqlite_files.prepare
    )
    for execute in ("do_execute", "do_executemany"):
        event.listen(engine, execute, _begin_sqlite)
    if is_read_only:
        engine.update_execution_options(**{_NEEDS_TRANSACTION: True})
        event.listen(engine, "begin", lambda connection: connection.info.update(state=sqlite_files.state_of(file)))
        event.listen(engine, "commit", lambda connection: sqlite_files.refuse_changed(file, connection.info["state"]))
    return engine


def _begin_sqlite(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
    """Begin a transaction with its first statement, by the driver as the commit: 1 µs instead of 6."""
    begun: _Transaction | None = context.execution_options.get(_TRANSACTION)
    if begun is not None and not begun.is_begun:
        begun.is_begun = True
        cursor.connection.execute("BEGIN IMMEDIATE" if begun.is_write else "BEGIN")


def server_engine(url: URL, limits: Limits, *, is_foreign: bool) -> Engine:
    """Connections to PostgreSQL, on which nothing is set for longer than a transaction: poolers lend them to others.

    Raises:
        ConfigError: an option of the URL is unknown, or has a wrong value.
        ModuleNotFoundError: psycopg is not installed.
    """
    connect = {
        "connect_timeout": max(2, int(limits.patience_seconds)),  # libpq takes less than 2 for 2
        "prepare_threshold": None,  # a pooler's next connection does not know what this one prepared
        **_numbers(url.query),
        "client_encoding": "utf8",
        "autocommit": True,  # `_Sender` begins, in one message with the settings
    }
    options = {"connect_args": connect, **limits.pool, "hide_parameters": True}
    engine = _made(url, options | {"use_native_hstore": False})  # a query for each connection less
    settings = {"statement_timeout": str(int(limits.timeout_seconds * 1000))}
    if is_foreign:  # a column with time zone is compared to times in UTC
        settings["TimeZone"] = "UTC"
    is_preparing = connect["prepare_threshold"] is not None
    if is_preparing:  # a statement does not share a message with its settings then
        engine.update_execution_options(**{_NEEDS_TRANSACTION: True})
    sender = _Sender(settings, is_preparing=is_preparing)
    event.listen(engine, "do_execute", sender.execute)
    event.listen(engine, "do_executemany", sender.executemany)

    @event.listens_for(engine, "connect")
    def _note_encoding(connection: Any, _: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        setattr(engine.dialect, SERVER_CODEC, None if encoding in _UNIVERSAL else _codec(encoding))

    return engine


class _Sender:
    """Sends what it can in one message: each takes the time that the server is away.

    A plain step waits for the server 6 times instead of 33. Several statements in one message are bound here: a write
    in psycopg's pipeline mode took 0.25 ms of CPU instead of 0.09.

    Arguments:
        settings: what is set for each transaction.
        is_preparing: whether statements are prepared, which they are not in a message of several.
    """

    def __init__(self, settings: Mapping[str, str], *, is_preparing: bool) -> None:
        from psycopg import ClientCursor, ServerCursor

        self._client_cursor, self._server_cursor = ClientCursor, ServerCursor
        self._is_preparing = is_preparing
        local = (f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        self._settings = f"SELECT {', '.join(local)}"

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Whether the statement was executed here; as SQLAlchemy's event `do_execute`."""
        options = context.execution_options
        begun: _Transaction | None = options.get(_TRANSACTION)
        unsent = self._unsent(begun)
        if begun is not None and options.get(SENT_WITH_NEXT):
            begun.unsent = [*unsent, self._bound(cursor, statement, parameters)]
            return True
        last = ["COMMIT"] if options.get(ENDS_TRANSACTION) else []
        if self._is_preparing or isinstance(cursor, self._server_cursor) or not (unsent or last):
            self._send(cursor, unsent)
            return False
        cursor.execute("; ".join([*unsent, self._bound(cursor, statement, parameters), *last]))
        for _ in unsent:
            cursor.nextset()
        return True

    def executemany(self, cursor: Any, _: str, __: Any, context: Any) -> bool:
        """As `execute`, for many parameters."""
        self._send(cursor, self._unsent(context.execution_options.get(_TRANSACTION)))
        return False

    def _unsent(self, begun: _Transaction | None) -> list[str]:
        """What goes before the next statement."""
        if begun is None:
            return [self._settings]  # for this statement: a message is a transaction
        unsent, begun.unsent = begun.unsent, []
        if not begun.is_begun:
            begun.is_begun = True
            unsent = ["BEGIN" if begun.is_write else "BEGIN ISOLATION LEVEL REPEATABLE READ", self._settings]
        return unsent

    def _bound(self, cursor: Any, statement: str, parameters: Any) -> str:
        return str(self._client_cursor(cursor.connection).mogrify(statement, parameters))

    def _send(self, cursor: Any, statements: list[str]) -> None:
        if statements:
            cursor.connection.execute("; ".join(statements), prepare=False)


def _numbers(query: Mapping[str, Any]) -> dict[str, int | None]:
    """The options of a URL that are whole numbers; raises ConfigError for any that is wrong."""
    from psycopg.pq import Conninfo

    options = {option.keyword.decode() for option in Conninfo.get_defaults()} - {*_OWN_OPTIONS} | {"prepare_threshold"}
    numbers: dict[str, int | None] = {}
    for name, value in query.items():
        if name not in options:
            raise _wrong(f"option {name}: not known; docs/stores.md lists options")
        if not isinstance(value, str) and name != "host":
            raise _wrong(f"option {name}: is given twice")
        if name == "prepare_threshold" and value == "none":
            numbers[name] = None
        elif name in _NUMBERS:
            if not re.fullmatch(r"[0-9]{1,9}", str(value)):
                raise _wrong(f"option {name}: must be a whole number, not {value!r}")
            numbers[name] = int(str(value))
    return numbers


def _codec(encoding: str) -> str:
    """Python's codec for an encoding of PostgreSQL, else the one that keeps what any of them does."""
    try:
        return codecs.lookup(encoding.replace("WIN", "cp")).name
    except LookupError:
        return "ascii"


def _made(url: URL, options: Mapping[str, Any]) -> Engine:
    make: Callable[..., Engine] = create_engine
    try:
        return make(url, **options)
    except (ArgumentError, ValueError) as error:
        raise _wrong(f"{masked(url.render_as_string())}: {' '.join(str(error).split())}") from None
