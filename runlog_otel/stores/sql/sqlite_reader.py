"""Reads a plain SQLite file with the standard library alone: SQLAlchemy takes 0.2 s of CPU to import."""

import os
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from runlog_otel.stores.connection_string import masked
from runlog_otel.stores.sql import sqlite_files
from runlog_otel.stores.sql.bulk import Query, Reader, Result
from runlog_otel.stores.sql.names import DEFAULT_TABLE_NAME, REVISION, escaped, version_table

_PLAIN = re.compile(r"sqlite:///([A-Za-z0-9_./+-]+)")
"""URLs without anything to decode, and without options."""


def plain_file(url: str) -> Path | None:
    """The existing file that a URL names, if it is so plain that `SqliteReader` may read it; else None."""
    match = _PLAIN.fullmatch(url)
    if match is None or not os.path.isfile(match[1]):  # noqa: PTH113 - a Path has no slash at its end
        return None
    file = Path(match[1])
    return None if sqlite_files.is_unwritable(file) else file


class SqliteReader(Reader):
    """Reads a file of this version. Anything else, and every error, goes to `otherwise`, which retries and reports.

    Arguments:
        url: what `plain_file` finds a file by.
        otherwise: gives what reads the same file through SQLAlchemy; raises StoreError if it is not there any more.
    """

    def __init__(self, url: str, otherwise: Callable[[], Reader]) -> None:
        self.where = masked(url)
        self.table_name = DEFAULT_TABLE_NAME
        self._file = plain_file(url)
        self._otherwise = otherwise

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """See `Reader`."""
        return self.snapshot(lambda query: query(sql, parameters))

    def snapshot(self, work: Callable[[Query], Result]) -> Result:
        """See `Reader`."""
        if self._file is not None:
            uri = sqlite_files.existing_uri(self._file)
            try:
                # 0.4 ms of CPU each time; nothing is left open, which a fork or a thread could share.
                with closing(sqlite3.connect(uri, uri=True, timeout=0)) as connection:
                    sqlite_files.prepare(connection)
                    connection.execute("BEGIN")
                    if _revision(connection) == REVISION:
                        return work(partial(_rows, connection))
            except (sqlite3.Error, UnicodeError):  # read again below, which says the same in our words
                pass
            self._file = None
        return self._otherwise().snapshot(work)


def _revision(connection: sqlite3.Connection) -> Any:
    sql = f"SELECT version_num FROM {version_table(DEFAULT_TABLE_NAME)}"  # noqa: S608 - a constant
    row = connection.execute(sql).fetchone()
    return row and row[0]


def _rows(connection: sqlite3.Connection, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    bound: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, int):
            bound[name] = value
            continue
        items = {f"{name}_{number}": item for number, item in enumerate(value)}
        bound |= {key: escaped(item) if isinstance(item, str) else item for key, item in items.items()}
        sql = sql.replace(f":{name}", f"({', '.join(f':{key}' for key in items)})")
    return connection.execute(sql, bound).fetchall()
