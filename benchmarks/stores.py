"""SQL stores that hold runs which nothing ran, and many rows at once."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, Table, text

from benchmarks.documents import Document
from runlog_otel.hosts.runnable.stores import SqlRunLogStore

_AT_ONCE = 50_000


def store(connection_string: str, table_name: str = "runnable_logs") -> SqlRunLogStore:
    """The plugin of the host."""
    return SqlRunLogStore(connection_string=connection_string, table_name=table_name, retention_days=0)


def fill(connection_string: str, documents: Iterable[Document]) -> None:
    """Put runs into a SQL store."""
    filled = store(connection_string)
    for run in documents:
        filled.documents.put(run)
    filled.close()


def multiply(filled: SqlRunLogStore, run_id: str, count: int, updated_ns: int) -> None:
    """Copy a run of a SQLite store, with its parts, inside the database; the copies are of 50 pipelines."""
    database = filled.documents.database
    runs, entries = database.tables.runs, database.tables.entries

    def work(connection: Connection, count: int) -> None:
        last = connection.execute(text(f"SELECT max(seq) FROM {runs.name}")).scalar_one()
        values = {"id": run_id, "last": last, "count": count, "now": updated_ns}
        copies = "WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < :count)"
        changed = {
            "seq": ":last + n",
            "run_id": "'run-' || (:last + n)",
            "pipeline": "'pipeline_' || (n % 50)",
            "header": "replace(header, '\"' || :id || '\"', '\"run-' || (:last + n) || '\"')",
            "created_ns": "created_ns + :last + n",
            "updated_ns": ":now",
        }
        where = f"FROM {runs.name}, copies WHERE run_id = :id"
        connection.execute(text(f"{_insert(runs, changed)} {copies} SELECT {_columns(runs, changed)} {where}"), values)
        changed = {"run_seq": ":last + n"}
        where = f"FROM {entries.name}, copies WHERE run_seq = (SELECT seq FROM {runs.name} WHERE run_id = :id)"
        selected = _columns(entries, changed, "seq")
        connection.execute(text(f"{_insert(entries, changed, 'seq')} {copies} SELECT {selected} {where}"), values)

    for done in range(0, count, _AT_ONCE):
        database.write(lambda connection, done=done: work(connection, min(_AT_ONCE, count - done)))


def _insert(table: Table, changed: Mapping[str, str], left_out: str = "") -> str:
    return f"INSERT INTO {table.name} ({_columns(table, dict.fromkeys(changed, ''), left_out)})"


def _columns(table: Table, changed: Mapping[str, str], left_out: str = "") -> str:
    return ", ".join(changed.get(name) or f'"{name}"' for name in table.columns.keys() if name != left_out)  # noqa: SIM118
