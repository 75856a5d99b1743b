"""`sqlite:///FILE`: our SQL run log store; runs of a plain file are listed and read in bulk without SQLAlchemy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from typing_extensions import override

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.settings import Settings
from runlog_otel.sources.port import RunLogTarget
from runlog_otel.stores.entries import Document
from runlog_otel.stores.sql.bulk import changed, changed_ns, documents
from runlog_otel.stores.sql.sqlite_reader import SqliteReader, plain_file

if TYPE_CHECKING:
    from runlog_otel.sources.sql import SqlRuns
    from runlog_otel.stores.sql.database import Database
    from runlog_otel.stores.sql.retention import RetainedSqlStore


@dataclass(frozen=True)
class SqliteFileRuns(RunLogTarget):
    """Lists runs and reads many at once; all else is done through SQLAlchemy, which is imported for it."""

    url: str
    settings: Settings

    @cached_property
    def _sql(self) -> "SqlRuns":
        return _by_sqlalchemy(self.url, self.settings)

    @cached_property
    def _reader(self) -> SqliteReader:
        return SqliteReader(self.url, self._reader_by_sqlalchemy)

    def _reader_by_sqlalchemy(self) -> "Database":
        return self._sql.reader()

    @property
    @override
    def where(self) -> str:
        return self._reader.where

    @override
    def changes(self, since_ns: int) -> Iterator[StoredRun]:
        return changed(self._reader, since_ns)

    @override
    def changed_ns(self, run_id: str) -> int | None:
        return changed_ns(self._reader, run_id)

    @override
    def read_runs(self, run_ids: Sequence[str]) -> Iterator[Run | Exception]:
        return self.mapped(documents(self._reader, run_ids))

    @override
    def document(self, run_id: str) -> Document:
        return self._sql.document(run_id)

    @override
    def prepare(self) -> None:
        self._sql.prepare()

    @override
    def put(self, document: Document) -> None:
        self._sql.put(document)

    @override
    def close(self) -> None:
        if "_sql" in self.__dict__:
            self._sql.close()

    @override
    def missing(self, run_ids: Sequence[str]) -> set[str]:
        return self._sql.missing(run_ids)

    @override
    def size_bytes(self) -> int | None:
        return self._sql.size_bytes()

    @override
    def sql_store(self, *, must_exist: bool = True) -> "RetainedSqlStore":
        return self._sql.sql_store(must_exist=must_exist)


def source_from_url(url: str, settings: Settings) -> RunLogTarget:
    """The store in a file, or whatever else the URL names: an option, a database in memory, an error."""
    return SqliteFileRuns(url, settings) if plain_file(url) else _by_sqlalchemy(url, settings)


def _by_sqlalchemy(url: str, settings: Settings) -> "SqlRuns":
    from runlog_otel.sources.sql import source_from_url

    return source_from_url(url, settings)
