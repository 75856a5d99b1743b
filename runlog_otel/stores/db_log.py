"""The table of magnus's database store (`db_log`): a row per run log, step, branch and parameter, each with its JSON.

Source: `magnus_extension_datastore_db.db.DBLog`. That store selects, then inserts, without a unique key: concurrent
writers leave duplicates. It never changes `created_at`, which says when a row was added, not when it was changed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Sequence,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.types import TypeDecorator

from runlog_otel.core.model import StoredRun
from runlog_otel.errors import RunLogFormatError, RunNotFoundError
from runlog_otel.loggers import package_logger
from runlog_otel.stores.entries import Document, document_from_parts, text_from_value
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.schema import tables_named

logger = package_logger(__name__)

DEFAULT_TABLE_NAME = "db_log"
_RUN, _STEP, _BRANCH, _PARAMETER = "RunLog", "StepLog", "BranchLog", "Parameter"
_KINDS = (_RUN, _STEP, _BRANCH, _PARAMETER)
_RUN_KEY = "run_log"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the column is naive, and in UTC
_MICROSECOND = timedelta(microseconds=1)

Part = tuple[str, str]
"""`attribute_type` and `attribute_key`."""


class DbLog:
    """Run logs in such a table. Raises StoreError when the database fails.

    Arguments:
        database: where; a foreign one.
        table_name: the table's; a plain identifier, else ConfigError.
    """

    def __init__(self, database: Database, table_name: str = DEFAULT_TABLE_NAME) -> None:
        self.database = database
        self.table = _table(tables_named(table_name).name)
        self.where = f"table {self.table.name} of {database.where}"

    def changes(self, since_ns: int = 0) -> Iterator[StoredRun]:
        """The runs to which a row was added at or after a moment, in the order of their newest rows.

        A changed row keeps its moment, which has microseconds: the nanoseconds below them tell by the length of its
        texts that a run was changed. A run whose newest moment is none (SQLite takes anything) stands first.
        """
        columns = self.table.c
        newest = func.max(columns.created_at)
        statement = (
            select(columns.run_id, newest, func.sum(func.length(columns.attribute_value)))
            .where(columns.run_id.is_not(None))
            .group_by(columns.run_id)
            .order_by(newest, columns.run_id)
        )
        if since_ns > 0:
            since = _EPOCH + timedelta(microseconds=since_ns // 1000)
            statement = statement.where(columns.run_id.in_(select(columns.run_id).where(columns.created_at >= since)))
        for run_id, created_at, length in self.database.read(lambda connection: connection.execute(statement).all()):
            if created_at is None and since_ns <= 0:
                logger.warning("%s: created_at of run %s holds no time", self.where, run_id)
            yield StoredRun(run_id, _microseconds(created_at) * 1000 + int(length or 0) % 1000)

    def missing(self, run_ids: Iterable[str]) -> set[str]:
        """Those of some runs of which the table has no row."""
        columns, ids = self.table.c, set(run_ids)
        statement = select(columns.run_id).where(columns.run_id.in_(ids)).distinct()
        present = self.database.read(lambda connection: connection.execute(statement).scalars().all()) if ids else ()
        return ids.difference(present)

    def document(self, run_id: str) -> Document:
        """The whole run log; of duplicates the newest counts, which is logged.

        Raises:
            RunNotFoundError: it has none of that id.
            RunLogFormatError: a row holds no JSON object.
        """
        rows = self.database.read(lambda connection: self._rows(connection, run_id))
        values = {part: value for part, _, value in rows}  # in the order of their first rows: no clock has a say
        if (_RUN, _RUN_KEY) not in values:
            raise RunNotFoundError(run_id, self.where)
        if duplicates := len(rows) - len(values):
            logger.warning("%s has %d duplicate rows of run %s; the newest count", self.where, duplicates, run_id)
        parsed = {part: self._parsed(run_id, part, value) for part, value in values.items()}
        header = parsed.pop((_RUN, _RUN_KEY))
        parts = [value for (kind, _), value in parsed.items() if kind in (_STEP, _BRANCH)]
        document, lost = document_from_parts(header, parts)
        if lost:
            logger.warning("%s has rows of run %s that belong to nothing: %s", self.where, run_id, ", ".join(lost))
        parameters = {key: value for (kind, key), value in parsed.items() if kind == _PARAMETER}
        return {**document, "parameters": {**(document.get("parameters") or {}), **parameters}}

    def create(self) -> None:
        """Make the table as magnus's store does it, unless there is one."""

        def work(connection: Connection) -> None:
            if not inspect(connection).has_table(self.table.name):
                self.table.metadata.create_all(connection)

        self.database.write(work)

    def put(self, document: Mapping[str, Any]) -> None:
        """Add or merge a run log as magnus's store would; doing it again changes nothing.

        Of duplicates all are written, as magnus's store does it.
        """
        values = dict(_rows_from_document(document))
        self.database.write(lambda connection: self._merge(connection, document["run_id"], values))

    def _rows(self, connection: Connection, run_id: str) -> list[tuple[Part, int, str | None]]:
        columns = self.table.c
        statement = (
            select(columns.attribute_type, columns.attribute_key, columns.pk, columns.attribute_value)
            .where(columns.run_id == run_id, columns.attribute_type.in_(_KINDS), columns.attribute_key.is_not(None))
            .order_by(columns.pk)
        )
        return [((kind, key), pk, value) for kind, key, pk, value in connection.execute(statement)]

    def _parsed(self, run_id: str, part: Part, value: str | None) -> Any:
        try:
            parsed = json.loads(value or "")
            if part[0] != _PARAMETER and not isinstance(parsed, dict):
                raise ValueError("it is no JSON object")
        except (ValueError, TypeError, RecursionError) as error:
            raise RunLogFormatError(f"{part[0]} {part[1]!r} of {run_id!r} in {self.where}", str(error)) from error
        return parsed

    def _merge(self, connection: Connection, run_id: str, values: Mapping[Part, str]) -> None:
        if connection.dialect.name == "postgresql":  # no key of the table keeps two copies apart
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"{self.table.name} {run_id}"))))
        columns = self.table.c
        there: dict[Part, set[str | None]] = {}
        for part, _, value in self._rows(connection, run_id):
            there.setdefault(part, set()).add(value)
        for part, value in values.items():
            if part in there and there[part] != {value}:
                is_part = (columns.attribute_type == part[0], columns.attribute_key == part[1])
                changed = update(self.table).where(columns.run_id == run_id, *is_part)
                connection.execute(changed.values(attribute_value=value))
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        new = [
            {
                "run_id": run_id,
                "attribute_type": part[0],
                "attribute_key": part[1],
                "attribute_value": value,
                "created_at": now + index * _MICROSECOND,  # magnus reads in this order
            }
            for index, (part, value) in enumerate(values.items())
            if part not in there
        ]
        if new:
            connection.execute(insert(self.table).values(**self._own_key(connection)), new)

    def _own_key(self, connection: Connection) -> Mapping[str, Any]:
        """A table that magnus did not make may count by itself, without magnus's sequence."""
        key = {column["name"]: column for column in inspect(connection).get_columns(self.table.name)}["pk"]
        counts = connection.dialect.name == "postgresql" and (key.get("default") or key.get("identity"))
        return {"pk": text("DEFAULT")} if counts else {}


def _rows_from_document(document: Mapping[str, Any]) -> Iterator[tuple[Part, str]]:
    """What magnus's store has of a run log, parents first."""
    yield (_RUN, _RUN_KEY), text_from_value({**document, "steps": {}, "parameters": {}})
    for key, value in (document.get("parameters") or {}).items():
        yield (_PARAMETER, key), text_from_value(value)
    yield from _rows_from_branch(document)


def _rows_from_branch(branch: Mapping[str, Any]) -> Iterator[tuple[Part, str]]:
    for key, step in (branch.get("steps") or {}).items():
        yield (_STEP, key), text_from_value({**step, "branches": {}})
        for name, inner in (step.get("branches") or {}).items():
            yield (_BRANCH, name), text_from_value({**inner, "steps": {}})
            yield from _rows_from_branch(inner)


def _microseconds(moment: datetime | None) -> int:
    """Since the epoch; a schema of somebody's own may have a column with time zone."""
    if moment is None:
        return 0
    naive = moment if moment.tzinfo is None else moment.astimezone(timezone.utc).replace(tzinfo=None)
    return (naive - _EPOCH) // _MICROSECOND


class _Moment(TypeDecorator[datetime]):
    """A time; None where SQLite, which keeps anything in any column, has something else."""

    impl = DateTime
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], datetime | None]:
        """From the database."""
        process = super().result_processor(dialect, coltype)

        def moment(value: Any) -> datetime | None:
            try:
                return process(value) if process else value
            except (TypeError, ValueError):
                return None

        return moment


@lru_cache
def _table(name: str) -> Table:
    return Table(
        name,
        MetaData(),
        Column("pk", Integer, Sequence("id_seq"), primary_key=True),
        Column("run_id", Text),
        Column("attribute_key", Text),
        Column("attribute_type", Text),
        Column("attribute_value", Text),
        Column("created_at", _Moment),
    )
