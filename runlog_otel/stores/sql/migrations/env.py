"""Run by alembic: migrates on the connection, and under the table names, that `upgrade` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
tables = context.config.attributes["tables"]

context.configure(
    connection=connection,
    target_metadata=tables.metadata,
    version_table=tables.version_table,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
