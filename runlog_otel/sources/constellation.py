"""`constellation+sqlite:///FILE`, `constellation+postgresql://…`: Constellation's table `executions`, only read.

Source: Constellation's guide to its `ExecutionStorage`. JSON is JSONB on PostgreSQL and TEXT on SQLite, which has no
`dag_viz_ir`; times are milliseconds since the epoch.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TableClause, column, func, literal_column, or_, select, table, text
from typing_extensions import override

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.runlogs.constellation import STATUSES, run_from_execution
from runlog_otel.errors import RunLogFormatError, RunNotFoundError
from runlog_otel.settings import Settings
from runlog_otel.sources.constellation_http import history_at
from runlog_otel.sources.databases import database_at, place, string_and_table
from runlog_otel.sources.port import Source
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.schema import tables_named

_DEFAULT_TABLE_NAME = "executions"
_PAGE = 1000
_MS = 1_000_000
_FIELDS = {
    "execution_id": "executionId",
    "dag_name": "dagName",
    "script_path": "scriptPath",
    "start_time": "startTime",
    "end_time": "endTime",
    "status": "status",
    "sample_rate": "sampleRate",
    "source": "source",
}
_JSON_FIELDS = {
    "inputs": "inputs",
    "outputs": "outputs",
    "node_results": "nodeResults",
    "dag_viz_ir": "dagVizIR",
}


@dataclass(frozen=True, slots=True)
class ExecutionsTable(Source):
    """The executions in such a table."""

    database: Database
    table_name: str
    settings: Settings

    @property
    @override
    def where(self) -> str:
        return place(f"constellation+{self.database.where}", self.table_name, _DEFAULT_TABLE_NAME)

    @override
    def changes(self, since_ns: int) -> Iterator[StoredRun]:
        """Constellation writes an execution when it starts, and when it ends."""
        self.database.refuse_missing()
        columns = self._table().c
        changed = func.coalesce(columns.end_time, columns.start_time, literal_column("0"))
        statement = select(columns.execution_id, changed.label("changed"), columns.status)
        after: tuple[Any, str] = (max(0, since_ns) // _MS, "")
        while True:
            is_later = or_(changed > after[0], (changed == after[0]) & (columns.execution_id > after[1]))
            page = statement.where(is_later).order_by(changed, columns.execution_id).limit(_PAGE)
            rows = self.database.read(lambda connection: connection.execute(page).all())  # noqa: B023 - read at once
            for execution_id, changed_ms, status in rows:
                is_final = status not in STATUSES or STATUSES[status].is_final
                yield StoredRun(execution_id, _milliseconds(changed_ms) * _MS, is_final)
            if len(rows) < _PAGE:
                return
            after = (rows[-1].changed, rows[-1].execution_id)

    @override
    def run(self, run_id: str) -> Run:
        self.database.refuse_missing()
        row = self.database.read(lambda connection: self._row(connection, run_id))
        if row is None:
            raise RunNotFoundError(run_id, self.where)
        try:
            execution = _execution(row)
        except (ValueError, RecursionError) as error:
            raise RunLogFormatError(f"execution {run_id!r} in {self.where}", str(error)) from error
        return run_from_execution(execution, self.settings.pipeline)

    @override
    def close(self) -> None:
        self.database.close()

    @override
    def missing(self, run_ids: Sequence[str]) -> set[str]:
        columns = self._table().c
        statement = select(columns.execution_id).where(columns.execution_id.in_(list(run_ids)))
        rows = self.database.read(lambda connection: connection.execute(statement).scalars().all()) if run_ids else ()
        return set(run_ids).difference(rows)

    def _row(self, connection: Connection, run_id: str) -> Mapping[str, Any] | None:
        executions = self._table()
        # Every column that is there: the tables of the two dialects differ in one.
        statement = select(text("*")).select_from(executions).where(executions.c.execution_id == run_id)
        row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else dict(row)

    def _table(self) -> TableClause:
        return table(self.table_name, *map(column, _FIELDS))


def _milliseconds(value: Any) -> int:
    """0 for what is no time (SQLite takes anything): reading that execution says what is wrong with it."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _execution(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row as Constellation's own JSON has it; raises ValueError, RecursionError."""

    def value(stored: Any) -> Any:
        return json.loads(stored) if isinstance(stored, str) else stored  # the driver has parsed what is JSONB

    plain = {field: row.get(name) for name, field in _FIELDS.items()}
    return plain | {field: value(row.get(name)) for name, field in _JSON_FIELDS.items()}


def source_from_url(url: str, settings: Settings) -> Source:
    """The table of a database (`?table=` where it is not `executions`), or the history of a server."""
    inner = url.partition("+")[2]
    if inner.startswith(("http://", "https://")):
        return history_at(inner, settings)
    connection_string, name = string_and_table(inner, _DEFAULT_TABLE_NAME)
    return ExecutionsTable(database_at(connection_string, is_foreign=True), tables_named(name).name, settings)
