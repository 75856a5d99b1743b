"""`db-log+sqlite:///FILE`, `db-log+postgresql://…`: the table of magnus's database store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.settings import Settings
from runlog_otel.sources.databases import database_at, place, string_and_table
from runlog_otel.sources.port import RunLogTarget
from runlog_otel.stores.db_log import DEFAULT_TABLE_NAME, DbLog
from runlog_otel.stores.entries import Document


@dataclass(frozen=True, slots=True)
class DbLogRuns(RunLogTarget):
    """The runs in such a table."""

    table: DbLog
    settings: Settings

    @property
    def where(self) -> str:
        """See `Source.where`."""
        return place(f"db-log+{self.table.database.where}", self.table.table.name, DEFAULT_TABLE_NAME)

    def changes(self, since_ns: int) -> Iterator[StoredRun]:
        """See `Source.changes`."""
        self.table.database.refuse_missing()
        yield from self.table.changes(since_ns)

    def run(self, run_id: str) -> Run:
        """See `Source.run`."""
        return run_from_log(self.document(run_id), self.settings.pipeline, self.settings.zone)

    def document(self, run_id: str) -> Document:
        """See `RunLogs.document`."""
        self.table.database.refuse_missing()
        return self.table.document(run_id)

    def prepare(self) -> None:
        """See `RunLogTarget.prepare`: the table is made as magnus's store does it."""
        self.table.create()

    def put(self, document: Document) -> None:
        """See `RunLogTarget.put`."""
        self.table.put(document)

    def close(self) -> None:
        """See `Source.close`."""
        self.table.database.close()

    def missing(self, run_ids: Sequence[str]) -> set[str]:
        """See `Source.missing`."""
        return self.table.missing(run_ids)

    def size_bytes(self) -> int | None:
        """See `Source.size_bytes`."""
        return None


def source_from_url(url: str, settings: Settings) -> DbLogRuns:
    """The table of a database; `?table=` where it is not `db_log`."""
    connection_string, table = string_and_table(url.removeprefix("db-log+"), DEFAULT_TABLE_NAME)
    return DbLogRuns(DbLog(database_at(connection_string, is_foreign=True), table), settings)
