"""`sqlite:///FILE`, `postgresql://…`: our SQL run log store, through SQLAlchemy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.runlogs.json_runlog import host_of, pipeline_from_config
from runlog_otel.settings import Settings
from runlog_otel.sources.databases import database_at, place, string_and_table
from runlog_otel.sources.port import RunLogTarget
from runlog_otel.stores.entries import Document
from runlog_otel.stores.sql.bulk import changed, changed_ns, documents
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunHistory
from runlog_otel.stores.sql.names import DEFAULT_TABLE_NAME
from runlog_otel.stores.sql.retention import RetainedSqlStore
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import upgrade_database


@dataclass(frozen=True, slots=True)
class SqlRuns(RunLogTarget):
    """The runs of a SQL store."""

    database: Database
    settings: Settings

    @property
    @override
    def where(self) -> str:
        return place(self.database.where, self.database.table_name, DEFAULT_TABLE_NAME)

    @property
    def history(self) -> RunHistory:
        """What was run, with filters and pages."""
        return RunHistory(SqlStore(self.database))

    def reader(self) -> Database:
        """What reads the runs; raises StoreError if there is no file."""
        self.database.refuse_missing()
        return self.database

    @override
    def changes(self, since_ns: int) -> Iterator[StoredRun]:
        return changed(self.reader(), since_ns)

    @override
    def changed_ns(self, run_id: str) -> int | None:
        return changed_ns(self.reader(), run_id)

    @override
    def document(self, run_id: str) -> Document:
        return SqlStore(self.reader()).document(run_id)

    @override
    def read_runs(self, run_ids: Sequence[str]) -> Iterator[Run | Exception]:
        return self.mapped(documents(self.reader(), run_ids))

    @override
    def prepare(self) -> None:
        upgrade_database(self.database)

    @override
    def put(self, document: Document) -> None:
        pipeline = pipeline_from_config(document.get("run_config") or {})
        SqlStore(self.database, source=host_of(document), zone=self.settings.zone).put(document, pipeline)

    @override
    def close(self) -> None:
        self.database.close()

    @override
    def missing(self, run_ids: Sequence[str]) -> set[str]:
        return self.history.missing(run_ids)

    @override
    def size_bytes(self) -> int | None:
        return None if self.database.is_missing else self.history.size_bytes()

    @override
    def sql_store(self, *, must_exist: bool = True) -> RetainedSqlStore:
        if must_exist:
            self.database.refuse_missing()
        return RetainedSqlStore(self.database, retention_days=0)


def source_from_url(url: str, settings: Settings) -> SqlRuns:
    """The store at a connection string; `?table=` for another `table_name`."""
    connection_string, table = string_and_table(url, DEFAULT_TABLE_NAME)
    return SqlRuns(database_at(connection_string, table_name=table, creates_tables=False), settings)
