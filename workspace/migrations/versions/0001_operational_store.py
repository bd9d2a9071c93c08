"""The ledger, the recommendation log and what users did and are since the catalogue was imported."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# SQLite numbers rows by itself only in a column whose type is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go to this revision."""
    _create_ledger()
    _create_slates()
    _create_live()


def _create_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("seq", BIG, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("transaction_id", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )


def _create_slates() -> None:
    op.create_table(
        "slates",
        sa.Column("seq", BIG, primary_key=True, autoincrement=True),
        sa.Column("slate_id", sa.String(64), nullable=False, unique=True),
        sa.Column("user_id", sa.Text, nullable=False, index=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("on_date", sa.Date, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("k", sa.Integer, nullable=False),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("index_version", sa.Text, nullable=False, index=True),
        sa.Column("weights", sa.JSON, nullable=False),
        sa.Column("snapshot_id", sa.Text, nullable=False),
        sa.Column("live_seq", BIG, nullable=False),
        sa.Column("transaction_id", sa.Text, nullable=False, index=True),
        sa.Column("funnel", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "slate_items",
        sa.Column("slate_id", sa.String(64), sa.ForeignKey("slates.slate_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("film_id", sa.Text, nullable=False, index=True),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("contributions", sa.JSON, nullable=False),
    )


def _create_live() -> None:
    op.create_table(
        "live_interactions",
        sa.Column("seq", BIG, primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.Text, nullable=False, index=True),
        sa.Column("film_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("ts", MOMENT, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "live_users",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("market", sa.Text, nullable=False),
        sa.Column("premium", sa.Boolean, nullable=False),
        sa.Column("joined_at", MOMENT, nullable=False),
        sa.Column("excluded_genres", sa.JSON, nullable=False),
        sa.Column("maximum_age", sa.Integer, nullable=True),
        sa.Column("consent", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Go back to the one before."""
    for table in ("live_users", "live_interactions", "slate_items", "slates", "ledger"):
        op.drop_table(table)
