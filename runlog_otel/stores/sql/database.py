"""One database: its engine per process, and transactions that are tried again as a whole until a deadline."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, Row, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from runlog_otel.errors import MissingExtraError, StoreError, StoreUnavailableError
from runlog_otel.loggers import package_logger
from runlog_otel.private_files import make_private
from runlog_otel.stores.connection_string import is_in_memory, masked
from runlog_otel.stores.sql import dialects, schema_version
from runlog_otel.stores.sql.faults import fault_from_error
from runlog_otel.stores.sql.schema import DEFAULT_TABLE_NAME, REVISION, Tables, tables_named

logger = package_logger(__name__)

Result = TypeVar("Result")

_FIRST_PAUSE_SECONDS = 0.01
_MAX_PAUSE_SECONDS = 0.5
_random = SystemRandom()  # the user's `random.seed` must not make all writers wait for the same time
_making = threading.Lock()
_left_behind: list[Engine] = []
"""Engines of the parent process: closing or collecting one here would end the parent's connections."""


@dataclass(slots=True)
class _Live:
    pid: int
    engine: Engine
    guard: AbstractContextManager[Any]
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_checked: bool = False


class Database:
    """A SQLite file, a SQLite database in memory, or a PostgreSQL database. Safe to pickle and to fork.

    Arguments:
        url: a SQLAlchemy URL without placeholders; the drivers are `sqlite` and `postgresql+psycopg`.
        table_name: what the names of the tables begin with.
        timeout_seconds: for one statement; also the default of `patience_seconds`.
        patience_seconds: for connecting, and for all tries of one transaction together.
        max_connections: of this process.
        creates_tables: whether the tables are made at first use; by default on SQLite only.
        must_exist: whether a missing SQLite file is an error (for tools that only look).
        where: how messages name it; else the URL without credentials.
        is_foreign: whether the tables are another program's: nothing of the database is made or set then.

    Raises:
        ConfigError: the URL or the table name is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        table_name: str = DEFAULT_TABLE_NAME,
        timeout_seconds: float = 30,
        patience_seconds: float | None = None,
        max_connections: int = 20,
        creates_tables: bool | None = None,
        must_exist: bool = False,
        where: str = "",
        is_foreign: bool = False,
    ) -> None:
        self._url = url
        self.where = where or masked(url)
        self.table_name = table_name
        self.timeout_seconds = timeout_seconds
        self._patience_seconds = timeout_seconds if patience_seconds is None else patience_seconds
        self.max_connections = max_connections
        self.is_in_memory = is_in_memory(url)
        self.is_sqlite = dialects.parsed(url).get_backend_name() == "sqlite"
        self._creates_tables = self.is_sqlite if creates_tables is None else creates_tables
        self._must_exist = must_exist
        self._is_foreign = is_foreign
        self.tables  # noqa: B018 - a wrong name fails before the first run
        self._live: _Live | None = None

    @property
    def tables(self) -> Tables:
        """The tables of this store."""
        return tables_named(self.table_name)

    @property
    def is_missing(self) -> bool:
        """Whether it is a SQLite file that is not there yet."""
        if not self.is_sqlite or self.is_in_memory:
            return False
        try:
            return not dialects.file_of(dialects.parsed(self._url)).exists()
        except OSError:  # its folder is not readable: opening the file reports it
            return False

    def refuse_missing(self) -> None:
        """Raise StoreError if it is a SQLite file that is not there: a reader must not create it."""
        if self.is_missing:
            raise StoreError(self.where, "the file does not exist", "check the path")

    def __repr__(self) -> str:
        return f"Database({self.where!r}, table_name={self.table_name!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_live": None}

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """The result of `work` in one transaction that may write; it may be called more than once.

        Raises:
            StoreUnavailableError: locked or unreachable until the deadline.
            SchemaVersionError: the tables are missing, older or newer than this code.
            StoreError: anything else that the database refused.
        """
        return self._tried(work, partial(dialects.transaction, is_write=True))

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """The result of `work` on one snapshot of the database; raises as `write` does."""
        return self._tried(work, partial(dialects.transaction, is_write=False))

    def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """The rows of one statement that reads, without a transaction around it; raises as `write` does."""
        return self._tried(lambda connection: connection.execute(statement, parameters).all(), dialects.connected)

    def without_schema_check(self, work: Callable[[Connection], Result]) -> Result:
        """As `write`, on a database whose tables may be missing or of another version."""
        return self._tried(work, partial(dialects.transaction, is_write=True), is_checked=False)

    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        live, self._live = self._live, None
        if live is not None and live.pid == os.getpid():
            live.engine.dispose()

    def _tried(
        self,
        work: Callable[[Connection], Result],
        opened: Callable[[Engine], AbstractContextManager[Connection]],
        *,
        is_checked: bool = True,
    ) -> Result:
        deadline = time.monotonic() + self._patience_seconds
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                with self._translated():
                    live = self._ready(is_checked)
                    with live.guard, opened(live.engine) as connection:
                        return work(connection)
            except StoreUnavailableError as error:
                if time.monotonic() + pause_seconds >= deadline:
                    raise
                logger.info("trying again: %s", error)
            time.sleep(_random.uniform(0, pause_seconds))
            pause_seconds = min(pause_seconds * 2, _MAX_PAUSE_SECONDS)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        # `from None`: the driver's text may quote the connection string, and tracebacks are logged.
        try:
            yield
        except DBAPIError as error:
            fault = fault_from_error(error, dialects.parsed(self._url).password)
            if fault.is_schema and self._is_foreign:
                raise StoreError(self.where, "the table is not there", "name the right one: ?table=NAME") from None
            raise fault.as_error(self.where) from None
        except UnicodeError as error:
            raise StoreError(self.where, f"its encoding cannot hold a text: {error}") from None
        except PoolTimeoutError:
            reason = f"all {self.max_connections} connections were in use for {self.timeout_seconds:g} s"
            raise StoreUnavailableError(self.where, reason, "raise max_connections") from None

    def _ready(self, is_checked: bool) -> _Live:
        live = self._live
        if live is None or live.pid != os.getpid():
            with _making:
                live = self._made()
        if is_checked and not live.is_checked and not self._is_foreign:
            with live.lock:
                if not live.is_checked:
                    self._check_schema(live)
                    live.is_checked = True
        return live

    def _made(self) -> _Live:
        live = self._live
        if live is not None and live.pid == os.getpid():
            return live
        if live is not None:
            _left_behind.append(live.engine)
        guard = threading.RLock() if self.is_in_memory else nullcontext()
        self._live = made = _Live(os.getpid(), self._engine(), guard)
        return made

    def _check_schema(self, live: _Live) -> None:
        with live.guard, dialects.transaction(live.engine, is_write=False) as connection:
            revision = schema_version.schema_revision(connection, self.tables)
            if revision is None and not self.is_sqlite and connection.scalar(select(func.current_schema())) is None:
                problem = "the role may not use a schema of its search_path"
                raise StoreError(self.where, problem, "GRANT USAGE ON SCHEMA public TO the role")
        if self._creates_tables and (revision is None or revision < REVISION):
            with live.guard, dialects.transaction(live.engine, is_write=True) as connection:
                schema_version.upgrade(connection, self.tables)
            return
        schema_version.refuse_other_schema(revision, self.where)

    def _engine(self) -> Engine:
        url = dialects.parsed(self._url)
        limits = dialects.Limits(self.timeout_seconds, self._patience_seconds, self.max_connections)
        if self.is_sqlite:
            if not self.is_in_memory:
                self._make_folder(dialects.file_of(url))
            return dialects.sqlite_engine(url, limits, is_foreign=self._is_foreign)
        try:
            return dialects.server_engine(url, limits, is_foreign=self._is_foreign)
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"a {url.get_backend_name()} run log store", "postgres") from error

    def _make_folder(self, path: Path) -> None:
        if self._must_exist and self.is_missing:
            raise StoreError(self.where, "the file does not exist", "check connection_string")
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises in a folder that may not be looked into
            raise StoreError(self.where, "it is a folder", "name a file in it")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(self.where, f"its folder cannot be made: {error.strerror}") from error
        with suppress(OSError):  # SQLite says why; its other files get the mode of this one
            make_private(path)


def _forget_lock() -> None:
    global _making  # noqa: PLW0603 - a thread of the parent may have held it
    _making = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
