"""Makes or upgrades the tables of a whole database."""

from runlog_otel.stores.sql import schema_version
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.names import DEFAULT_TABLE_NAME


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
        return database.without_schema_check(lambda connection: schema_version.upgrade(connection, database.tables))
    finally:
        database.close()
