"""Bring the tables to the version of this code. Imports alembic: only when there is something to do."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from runlog_otel.stores.sql.database import Database, schema_revision
from runlog_otel.stores.sql.schema import DEFAULT_TABLE_NAME, REVISION, Tables

_LOCK = 0x72756E6C6F67  # "runlog": the key of PostgreSQL's advisory lock


def upgrade(connection: Connection, tables: Tables) -> bool:
    """Upgrade in the caller's transaction; True when there was something to do.

    Of several processes one does the work, the others wait for its commit: the transaction on SQLite is
    `BEGIN IMMEDIATE`, on PostgreSQL an advisory lock is taken in it.
    """
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


def alembic_config() -> Config:
    """Where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def create_tables(url: str, table_name: str = DEFAULT_TABLE_NAME) -> bool:
    """Make or upgrade the tables; True when there was something to do.

    Needs a role that may create tables; runs need SELECT, INSERT, UPDATE and DELETE only.

    Raises:
        StoreError: as `Database.write` does.
    """
    return upgrade_database(Database(url, table_name=table_name))


def upgrade_database(database: Database) -> bool:
    """As `create_tables`; the database is closed afterwards."""
    try:
        return database.without_schema_check(lambda connection: upgrade(connection, database.tables))
    finally:
        database.close()
