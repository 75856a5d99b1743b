"""Indexes for lists with two filters, and for the search of a failure's text, which would else read every run."""

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    name = context.config.attributes["tables"].name
    for pair in (("pipeline", "status"), ("pipeline", "tag"), ("tag", "status")):
        op.create_index(f"{name}_by_{'_'.join(pair)}", name, [*pair, "created_ns", "seq"])
    failed = sa.text("failed_steps > 0 OR status = 'FAIL'")
    op.create_index(f"{name}_by_failed", name, ["created_ns", "seq"], sqlite_where=failed, postgresql_where=failed)
