"""What is deleted: by age, by number or on demand, in short transactions; who did it, and when, is kept."""

import getpass
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select
from typing_extensions import override

from runlog_otel.errors import StoreError
from runlog_otel.loggers import package_logger
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore

logger = package_logger(__name__)

RETENTION, ON_DEMAND, CAPACITY = "retention", "on demand", "capacity"
_BATCH = 100
_WITH_EACH_RUN = 20
_DAY_NS = 86_400_000_000_000


def delete_runs(database: Database, run_ids: Sequence[str]) -> int:
    """Delete these runs, finished or not; how many of them were there."""
    runs = database.tables.runs.c
    deleted = 0
    for start in range(0, len(run_ids), _BATCH):
        deleted += _delete_batch(database, ON_DEMAND, runs.run_id.in_(list(run_ids[start : start + _BATCH])))
    return deleted


def clear(database: Database) -> int:
    """Delete all runs, finished or not; returns how many there were."""
    return _delete_all(database, ON_DEMAND)


def expired(database: Database, days: float) -> int:
    """How many finished runs were written to for the last time more than `days` days ago."""
    statement = select(func.count()).select_from(database.tables.runs).where(_is_expired(database, days))
    return database.read(lambda connection: int(connection.execute(statement).scalar_one()))


def prune(database: Database, days: float, progress: Callable[[int], None] | None = None) -> int:
    """Delete the finished runs that are `expired`, in batches; how many.

    Arguments:
        progress: called with the number deleted so far.
    """
    return _delete_all(database, RETENTION, _is_expired(database, days), progress)


class RetainedSqlStore(SqlStore):
    """A SQL store that deletes a few expired runs whenever a run is created: no job of its own is needed.

    Arguments:
        retention_days: age from which finished runs expire; 0 keeps all.
    """

    def __init__(self, database: Database, *, retention_days: float, **options: Any) -> None:
        super().__init__(database, **options)
        self.retention_days = retention_days

    @override
    def create(self, header: Mapping[str, Any]) -> None:
        """A failure to delete expired runs is logged and does not fail the run."""
        super().create(header)
        if self.retention_days:
            try:
                _delete_batch(
                    self.database, RETENTION, _is_expired(self.database, self.retention_days), limit=_WITH_EACH_RUN
                )
            except StoreError as error:
                logger.warning("expired runs were not deleted: %s", error)


def keep_newest(database: Database, count: int) -> int:
    """Delete all but the newest `count` runs, finished or not; how many."""
    runs = database.tables.runs.c
    newest = select(runs.seq).order_by(runs.created_ns.desc(), runs.seq.desc()).limit(count)
    return _delete_all(database, CAPACITY, runs.seq.not_in(newest))


def _is_expired(database: Database, days: float) -> ColumnElement[bool]:
    return database.tables.runs.c.finished_ns < time.time_ns() - int(days * _DAY_NS)


def _delete_all(
    database: Database,
    reason: str,
    condition: ColumnElement[bool] | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    deleted = 0
    while count := _delete_batch(database, reason, condition):
        deleted += count
        if progress is not None:
            progress(deleted)
    return deleted


def _delete_batch(
    database: Database, reason: str, condition: ColumnElement[bool] | None = None, limit: int = _BATCH
) -> int:
    tables = database.tables
    chosen: Select[Any] = select(tables.runs.c.seq, tables.runs.c.run_id).order_by(tables.runs.c.finished_ns)
    if condition is not None:
        chosen = chosen.where(condition)
    # A run that is being written to right now is no longer what the condition saw.
    chosen = chosen.limit(limit).with_for_update(skip_locked=reason == RETENTION)
    by = _who()

    def work(connection: Connection) -> list[str]:
        rows = connection.execute(chosen).all()
        if not rows:
            return []
        seqs = [row.seq for row in rows]
        now_ns = time.time_ns()
        connection.execute(delete(tables.entries).where(tables.entries.c.run_seq.in_(seqs)))
        connection.execute(delete(tables.runs).where(tables.runs.c.seq.in_(seqs)))
        connection.execute(
            insert(tables.deletions),
            [{"run_id": row.run_id, "deleted_ns": now_ns, "deleted_by": by, "reason": reason} for row in rows],
        )
        return [row.run_id for row in rows]

    deleted = database.write(work)
    if deleted:
        logger.info("%s deleted %d runs of %s (%s)", by, len(deleted), database.where, reason)
    return len(deleted)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id need not have a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
