"""`db-log+sqlite:///FILE`, `db-log+postgresql://…`: the table of magnus's database store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from runlog_otel.core.model import StoredRun
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
    @override
    def where(self) -> str:
        return place(f"db-log+{self.table.database.where}", self.table.table.name, DEFAULT_TABLE_NAME)

    @override
    def changes(self, since_ns: int) -> Iterator[StoredRun]:
        self.table.database.refuse_missing()
        yield from self.table.changes(since_ns)

    @override
    def document(self, run_id: str) -> Document:
        self.table.database.refuse_missing()
        return self.table.document(run_id)

    @override
    def prepare(self) -> None:
        self.table.create()

    @override
    def put(self, document: Document) -> None:
        self.table.put(document)

    @override
    def close(self) -> None:
        self.table.database.close()

    @override
    def missing(self, run_ids: Sequence[str]) -> set[str]:
        return self.table.missing(run_ids)


def source_from_url(url: str, settings: Settings) -> DbLogRuns:
    """The table of a database; `?table=` where it is not `db_log`."""
    connection_string, table = string_and_table(url.removeprefix("db-log+"), DEFAULT_TABLE_NAME)
    return DbLogRuns(DbLog(database_at(connection_string, is_foreign=True), table), settings)
