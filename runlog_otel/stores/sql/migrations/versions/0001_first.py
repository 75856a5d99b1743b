"""The first tables."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    name = context.config.attributes["tables"].name
    _make_runs(name)
    _make_entries(name)
    op.create_table(
        f"{name}_deletions",
        sa.Column("seq", _ID, primary_key=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("deleted_ns", sa.BigInteger(), nullable=False),
        sa.Column("deleted_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
    )


def _make_runs(name: str) -> None:
    op.create_table(
        name,
        sa.Column("seq", _ID, primary_key=True),
        sa.Column("run_id", sa.Text(), nullable=False, unique=True),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("original_run_id", sa.Text(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.Column("started_ns", sa.BigInteger()),
        sa.Column("ended_ns", sa.BigInteger()),
        sa.Column("finished_ns", sa.BigInteger()),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("failed_steps", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{name}_by_created", name, ["created_ns", "seq"])
    for column in ("status", "tag", "pipeline"):
        op.create_index(f"{name}_by_{column}", name, [column, "created_ns", "seq"])
    op.create_index(f"{name}_by_finished", name, ["finished_ns"])


def _make_entries(name: str) -> None:
    entries = f"{name}_entries"
    op.create_table(
        entries,
        sa.Column("seq", _ID, primary_key=True),
        sa.Column("run_seq", _ID, sa.ForeignKey(f"{name}.seq"), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text()),
        sa.Column("status", sa.String(32)),
        sa.Column("step_type", sa.Text()),
        sa.Column("started_ns", sa.BigInteger()),
        sa.Column("ended_ns", sa.BigInteger()),
        sa.Column("failure", sa.Text()),
        sa.Column("body", sa.Text()),
        sa.Column("packed", sa.LargeBinary()),
    )
    op.create_index(f"{entries}_by_key", entries, ["run_seq", "identity"], unique=True)
    failed = sa.text("failure IS NOT NULL")
    op.create_index(f"{entries}_by_failure", entries, ["run_seq"], sqlite_where=failed, postgresql_where=failed)
