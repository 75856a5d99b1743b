"""What `serve` keeps between restarts: the series, which executions they count, and how far each source was read.

One SQLite file, changed in one transaction per batch of runs: a kill leaves it before or after a batch.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from runlog_otel.errors import ConfigError, StateInUseError
from runlog_otel.exporters.metrics.series import Key, Series, SeriesTable
from runlog_otel.private_files import make_private

_VERSION = 2
_TABLES = """
CREATE TABLE series (
    metric TEXT NOT NULL, labels TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (metric, labels)
) WITHOUT ROWID;
CREATE TABLE counted (
    source TEXT NOT NULL, run_id TEXT NOT NULL, execution INTEGER NOT NULL, PRIMARY KEY (source, run_id, execution)
) WITHOUT ROWID;
CREATE TABLE active (
    source TEXT NOT NULL, run_id TEXT NOT NULL, pipeline TEXT NOT NULL, tag TEXT NOT NULL,
    started_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL, PRIMARY KEY (source, run_id)
) WITHOUT ROWID;
CREATE TABLE sources (
    source TEXT NOT NULL PRIMARY KEY, read_until_ns INTEGER NOT NULL, is_read INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE origin (created_ns INTEGER NOT NULL)
"""
_ASIDE = """
CREATE TABLE aside (
    source TEXT NOT NULL, run_id TEXT NOT NULL, changed_ns INTEGER NOT NULL, PRIMARY KEY (source, run_id)
) WITHOUT ROWID
"""
"""New in version 2."""


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run that has not ended: when it started, and when it last moved, in nanoseconds since the epoch."""

    source: str
    run_id: str
    pipeline: str
    tag: str
    started_ns: int
    changed_ns: int


class State:
    """The file, held by this process until it is closed.

    Raises:
        StateInUseError: another process holds it.
        ConfigError: it cannot be opened, or is another database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with ExitStack() as on_failure:
            try:
                make_private(path)
                self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)
                on_failure.callback(self._connection.close)
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._connection.execute("BEGIN EXCLUSIVE")
                version = self._connection.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    self._check_empty()
                    self._make()
                if version < _VERSION:
                    self._connection.execute(_ASIDE)
                    self._connection.execute(f"PRAGMA user_version = {_VERSION}")
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise StateInUseError(path) from error
                raise ConfigError("--state", f"{path} cannot be used: {error}") from error
            except (sqlite3.DatabaseError, OSError) as error:
                raise ConfigError("--state", f"{path} cannot be used: {error}") from error
            if version > _VERSION:
                raise ConfigError("--state", f"{path} was written by a newer runlog-otel; upgrade this one")
            (self.created_ns,) = self._connection.execute("SELECT created_ns FROM origin").fetchone()
            on_failure.pop_all()

    def _check_empty(self) -> None:
        if self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise ConfigError("--state", f"{self.path} is another database; name a file of its own")

    def _make(self) -> None:
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO origin VALUES (?)", (time.time_ns(),))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what happens inside is kept, or nothing."""
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def restore(self, table: SeriesTable) -> None:
        """Fill a table with the series that were kept."""
        for metric, labels, document in self._connection.execute("SELECT metric, labels, document FROM series"):
            pairs = tuple((name, value) for name, value in json.loads(labels))
            table.restore(metric, pairs, Series.from_document(json.loads(document)))

    def keep(self, changed: Iterable[tuple[Key, Series]]) -> None:
        """Write series."""
        rows = ((metric, json.dumps(labels), json.dumps(series.document())) for (metric, labels), series in changed)
        self._connection.executemany("INSERT OR REPLACE INTO series VALUES (?, ?, ?)", rows)

    def count(self, source: str, run_id: str, execution: int) -> bool:
        """Note an execution as counted; False when it was before."""
        statement = "INSERT OR IGNORE INTO counted VALUES (?, ?, ?)"
        return self._connection.execute(statement, (source, _kept(run_id), execution)).rowcount == 1

    def set_active(self, run: ActiveRun) -> None:
        """Note a run that has not ended."""
        values = (run.source, _kept(run.run_id), run.pipeline, run.tag, run.started_ns, run.changed_ns)
        self._connection.execute("INSERT OR REPLACE INTO active VALUES (?, ?, ?, ?, ?, ?)", values)

    def moved(self, source: str, run_id: str, changed_ns: int) -> bool:
        """Note that a run that has not ended was written again; False if it was not noted as active."""
        statement = "UPDATE active SET changed_ns = ? WHERE source = ? AND run_id = ?"
        return self._connection.execute(statement, (changed_ns, source, _kept(run_id))).rowcount == 1

    def set_ended(self, source: str, run_id: str) -> None:
        """Forget a run that has not ended."""
        self._connection.execute("DELETE FROM active WHERE source = ? AND run_id = ?", (source, _kept(run_id)))

    def active(self) -> list[ActiveRun]:
        """The runs that have not ended."""
        statement = "SELECT source, run_id, pipeline, tag, started_ns, changed_ns FROM active ORDER BY started_ns"
        rows = self._connection.execute(statement)
        return [ActiveRun(source, _restored(run_id), *more) for source, run_id, *more in rows]

    def set_aside(self, source: str, run_id: str, changed_ns: int) -> None:
        """Note a run that cannot be counted as it was written at a moment."""
        values = (source, _kept(run_id), changed_ns)
        self._connection.execute("INSERT OR REPLACE INTO aside VALUES (?, ?, ?)", values)

    def take_back(self, source: str, run_id: str) -> None:
        """Forget a run that could not be counted."""
        self._connection.execute("DELETE FROM aside WHERE source = ? AND run_id = ?", (source, _kept(run_id)))

    def aside(self, source: str) -> dict[str, int]:
        """The runs of a source that cannot be counted, and when they were written."""
        rows = self._connection.execute("SELECT run_id, changed_ns FROM aside WHERE source = ?", (source,))
        return {_restored(run_id): changed_ns for run_id, changed_ns in rows}

    def read_until_ns(self, source: str) -> int:
        """Until when the changes of a source were read, in nanoseconds since the epoch."""
        row = self._connection.execute("SELECT read_until_ns FROM sources WHERE source = ?", (source,)).fetchone()
        return int(row[0]) if row else 0

    def is_read(self, source: str) -> bool:
        """Whether a source was ever read to its end."""
        row = self._connection.execute("SELECT is_read FROM sources WHERE source = ?", (source,)).fetchone()
        return bool(row and row[0])

    def set_read(self, source: str, until_ns: int, *, is_read: bool = False) -> None:
        """Note how far a source was read, which is less after a clock was set back; `is_read` stays true."""
        statement = (
            "INSERT INTO sources VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
            "SET read_until_ns = excluded.read_until_ns, is_read = max(is_read, excluded.is_read)"
        )
        self._connection.execute(statement, (source, until_ns, is_read))


def _kept(run_id: str) -> str | bytes:
    """A run id as SQLite takes it: a file's name need not be UTF-8."""
    try:
        run_id.encode()
    except UnicodeEncodeError:
        return run_id.encode("utf-8", "surrogatepass")
    return run_id


def _restored(kept: str | bytes) -> str:
    return kept if isinstance(kept, str) else kept.decode("utf-8", "surrogatepass")
