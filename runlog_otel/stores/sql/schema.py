"""The tables, as queries see them; the migrations make them."""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

from runlog_otel.errors import ConfigError
from runlog_otel.stores.sql.names import DEFAULT_TABLE_NAME, entries_table, escaped, restored, version_table

MAX_TABLE_NAME = 40
"""PostgreSQL cuts identifiers at 63 bytes; the longest index name adds 23 to the table's."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SERVER_CODEC = "runlog_otel_codec"
"""The attribute of a dialect that names the codec of a database that cannot hold any text; else None."""
HAS_FAILED = "failed_steps > 0 OR status = 'FAIL'"
"""Whether something was said of a failure in a run. A query has the same words, as the index on them."""


class Name(TypeDecorator[str]):
    """Text that keeps what a database cannot hold, escaped as Python does it.

    PostgreSQL's text holds no NUL and no lone surrogates; a database of another encoding than UTF-8 holds less.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        if value is None:
            return None
        kept = escaped(value)
        codec = getattr(dialect, SERVER_CODEC, None)
        return kept.encode(codec, "backslashreplace").decode(codec) if codec else kept

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """From the database."""
        return None if value is None else restored(str(value))


Id = BigInteger().with_variant(Integer, "sqlite")


class Tables:
    """The tables of one store; all their names begin with its `table_name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.version_table = version_table(name)
        self.metadata = MetaData()
        self.runs = Table(
            name,
            self.metadata,
            Column("seq", Id, primary_key=True),
            Column("run_id", Name, nullable=False, unique=True),
            Column("source", String(32), nullable=False),
            Column("pipeline", Name, nullable=False),
            Column("tag", Name, nullable=False),
            Column("status", String(32), nullable=False),
            Column("original_run_id", Name, nullable=False),
            Column("created_ns", BigInteger, nullable=False),
            Column("updated_ns", BigInteger, nullable=False),
            Column("started_ns", BigInteger),
            Column("ended_ns", BigInteger),
            Column("finished_ns", BigInteger),
            Column("steps", Integer, nullable=False),
            Column("failed_steps", Integer, nullable=False),
            Column("token", String(32), nullable=False),
            Column("header", Text, nullable=False),
            sqlite_autoincrement=True,
        )
        self.entries = self._entries()
        self.deletions = self._deletions()
        self._index()

    def _entries(self) -> Table:
        return Table(
            entries_table(self.name),
            self.metadata,
            Column("seq", Id, primary_key=True),
            Column("run_seq", Id, ForeignKey(f"{self.name}.seq"), nullable=False),
            Column("identity", LargeBinary, nullable=False),
            Column("kind", String(16), nullable=False),
            Column("key", Name, nullable=False),
            Column("parent", Name),
            Column("status", String(32)),
            Column("step_type", Name),
            Column("started_ns", BigInteger),
            Column("ended_ns", BigInteger),
            Column("failure", Name),
            Column("body", Text),
            Column("packed", LargeBinary),
        )

    def _deletions(self) -> Table:
        return Table(
            f"{self.name}_deletions",
            self.metadata,
            Column("seq", Id, primary_key=True),
            Column("run_id", Name, nullable=False),
            Column("deleted_ns", BigInteger, nullable=False),
            Column("deleted_by", Name, nullable=False),
            Column("reason", String(32), nullable=False),
        )

    def _index(self) -> None:
        runs, entries = self.runs.c, self.entries.c
        newest = (runs.created_ns, runs.seq)
        Index(f"{self.name}_by_created", *newest)
        for column in (runs.status, runs.tag, runs.pipeline):
            Index(f"{self.name}_by_{column.name}", column, *newest)
        for first, second in ((runs.pipeline, runs.status), (runs.pipeline, runs.tag), (runs.tag, runs.status)):
            Index(f"{self.name}_by_{first.name}_{second.name}", first, second, *newest)
        Index(f"{self.name}_by_failed", *newest, sqlite_where=text(HAS_FAILED))
        Index(f"{self.name}_by_finished", runs.finished_ns)
        Index(f"{self.name}_by_updated", runs.updated_ns, runs.seq)
        Index(f"{self.name}_entries_by_key", entries.run_seq, entries.identity, unique=True)
        # In PostgreSQL its condition stands in the migration alone: SQLAlchemy imports the dialect for it, 40 ms.
        Index(f"{self.name}_entries_by_failure", entries.run_seq, sqlite_where=text("failure IS NOT NULL"))


@lru_cache
def tables_named(name: str = DEFAULT_TABLE_NAME) -> Tables:
    """The tables whose names begin with `name`.

    Raises:
        ConfigError: the name is not a plain SQL identifier, or too long.
    """
    if not _IDENTIFIER.fullmatch(name) or len(name) > MAX_TABLE_NAME:
        raise ConfigError(
            "table_name", f"letters, digits and _ only, {MAX_TABLE_NAME} at most, and no digit first; not {name!r}"
        )
    return Tables(name.lower())
