"""Which version the tables have, and the upgrade to the version of this code. Imports alembic only to upgrade."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, select, table, text

from runlog_otel.errors import SchemaVersionError
from runlog_otel.stores.sql.names import REVISION
from runlog_otel.stores.sql.schema import Tables

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x72756E6C6F67  # "runlog": the key of PostgreSQL's advisory lock


def schema_revision(connection: Connection, tables: Tables) -> str | None:
    """Which migration the tables are at; None where there are none."""
    if not connection.dialect.has_table(connection, tables.version_table):
        return None
    version = table(tables.version_table, column("version_num"))
    return connection.execute(select(version.c.version_num)).scalar()


def refuse_other_schema(revision: str | None, where: str) -> None:
    """Raise SchemaVersionError unless the tables are those that this code was written for."""
    if revision is None:
        raise SchemaVersionError(where, "the tables are not there", "run `runlog-otel db upgrade`")
    if revision < REVISION:
        reason = f"the tables are of version {revision}, older than {REVISION} of this program"
        raise SchemaVersionError(where, reason, "run `runlog-otel db upgrade`")
    if revision > REVISION:
        reason = f"the tables are of version {revision}, newer than {REVISION} of this program"
        raise SchemaVersionError(where, reason, "upgrade runlog-otel")


def upgrade(connection: Connection, tables: Tables) -> bool:
    """Upgrade in the caller's transaction; True when there was something to do.

    Of several processes one does the work, the others wait for its commit: the transaction on SQLite is
    `BEGIN IMMEDIATE`, on PostgreSQL an advisory lock is taken in it.
    """
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    revision = schema_revision(connection, tables)
    if revision is not None and revision >= REVISION:
        return False
    config = alembic_config()
    config.attributes["connection"] = connection
    config.attributes["tables"] = tables
    command.upgrade(config, REVISION)
    return True


def alembic_config() -> "Config":
    """Where the migrations are."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
