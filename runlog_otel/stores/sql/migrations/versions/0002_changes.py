"""An index by the last change: `serve` asks what changed since it looked."""

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    name = context.config.attributes["tables"].name
    op.create_index(f"{name}_by_updated", name, ["updated_ns", "seq"])
