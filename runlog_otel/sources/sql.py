"""`sqlite:///FILE`, `postgresql://…`: our SQL run log store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.runlogs.json_runlog import host_of, pipeline_from_config, run_from_log
from runlog_otel.settings import Settings
from runlog_otel.sources.databases import database_at, place, string_and_table
from runlog_otel.sources.port import RunLogTarget
from runlog_otel.stores.entries import Document
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunHistory
from runlog_otel.stores.sql.schema import DEFAULT_TABLE_NAME
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import upgrade_database


@dataclass(frozen=True, slots=True)
class SqlRuns(RunLogTarget):
    """The runs of a SQL store."""

    database: Database
    settings: Settings

    @property
    def where(self) -> str:
        """See `Source.where`."""
        return place(self.database.where, self.database.table_name, DEFAULT_TABLE_NAME)

    @property
    def history(self) -> RunHistory:
        """What was run, with filters and pages."""
        return RunHistory(SqlStore(self.database))

    def changes(self, since_ns: int) -> Iterator[StoredRun]:
        """See `Source.changes`."""
        self.database.refuse_missing()
        return self.history.changed(since_ns)

    def run(self, run_id: str) -> Run:
        """See `Source.run`."""
        return run_from_log(self.document(run_id), self.settings.pipeline, self.settings.zone)

    def document(self, run_id: str) -> Document:
        """See `RunLogs.document`."""
        self.database.refuse_missing()
        return SqlStore(self.database).document(run_id)

    def prepare(self) -> None:
        """See `RunLogTarget.prepare`: the tables are made, or brought to this version."""
        upgrade_database(self.database)

    def put(self, document: Document) -> None:
        """See `RunLogTarget.put`."""
        pipeline = pipeline_from_config(document.get("run_config") or {})
        SqlStore(self.database, source=host_of(document), zone=self.settings.zone).put(document, pipeline)

    def close(self) -> None:
        """See `Source.close`."""
        self.database.close()

    def missing(self, run_ids: Sequence[str]) -> set[str]:
        """See `Source.missing`."""
        return self.history.missing(run_ids)

    def size_bytes(self) -> int | None:
        """See `Source.size_bytes`."""
        return None if self.database.is_missing else self.history.size_bytes()


def source_from_url(url: str, settings: Settings) -> SqlRuns:
    """The store at a connection string; `?table=` for another `table_name`."""
    connection_string, table = string_and_table(url, DEFAULT_TABLE_NAME)
    return SqlRuns(database_at(connection_string, table_name=table, creates_tables=False), settings)
