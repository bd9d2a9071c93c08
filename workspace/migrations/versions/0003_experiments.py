"""Experiments: their frozen plans, how far they were ramped, the flags they decide, and who is in none of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("flag", sa.String(64), nullable=False, index=True),
        sa.Column("layer", sa.String(64), nullable=False, index=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("adopted", sa.Boolean, nullable=False),
        sa.Column("placement", sa.JSON, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("launched_at", MOMENT, nullable=True),
        sa.Column("stopped_at", MOMENT, nullable=True),
        sa.Column("stop_reason", sa.Text, nullable=True),
        sa.Column("rolled_back", sa.Boolean, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decision", sa.String(32), nullable=True),
        sa.Column("decision_reason", sa.Text, nullable=True),
        sa.Column("decided_as_of", sa.Date, nullable=True),
    )
    op.create_table(
        "experiment_ramps",
        sa.Column("seq", BIG, primary_key=True, autoincrement=True),
        sa.Column(
            "experiment_id", sa.String(64), sa.ForeignKey("experiments.experiment_id"), nullable=False, index=True
        ),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "experiment_flags",
        sa.Column("flag", sa.String(64), primary_key=True),
        sa.Column("experiment_id", sa.String(64), sa.ForeignKey("experiments.experiment_id"), nullable=True),
        sa.Column("forced", sa.String(64), nullable=True),
        sa.Column("index_version", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
    )
    op.create_table(
        "experiment_holdout",
        sa.Column("period", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    """Go back to the one before."""
    for table in ("experiment_holdout", "experiment_flags", "experiment_ramps", "experiments"):
        op.drop_table(table)
