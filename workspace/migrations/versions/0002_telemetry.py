"""Telemetry: the parts that are visible, the batches that brought them, what was refused, who asked, who arrived."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go to this revision."""
    _create_parts()
    _create_batches()
    _create_access()


def _create_parts() -> None:
    op.create_table(
        "telemetry_parts",
        sa.Column("part_id", sa.String(64), primary_key=True),
        sa.Column("dataset", sa.String(32), nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("source_digest", sa.Text, nullable=False),
        sa.Column("batch_id", sa.String(64), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("retired_at", MOMENT, nullable=True),
    )
    op.create_index("ix_telemetry_parts_visible", "telemetry_parts", ["dataset", "retired_at", "date"])


def _create_batches() -> None:
    op.create_table(
        "telemetry_batches",
        sa.Column("batch_id", sa.String(64), primary_key=True),
        sa.Column("source", sa.Text, nullable=False, index=True),
        sa.Column("source_digest", sa.Text, nullable=False),
        sa.Column("position", sa.JSON, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False, index=True),
        sa.Column("read", BIG, nullable=False),
        sa.Column("accepted", BIG, nullable=False),
        sa.Column("duplicates", BIG, nullable=False),
        sa.Column("quarantined", BIG, nullable=False),
        sa.Column("late", BIG, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("first_ts", MOMENT, nullable=True),
        sa.Column("last_ts", MOMENT, nullable=True),
        sa.Column("lag_s", sa.Double, nullable=True),
    )
    op.create_table(
        "telemetry_rejections",
        sa.Column("batch_id", sa.String(64), sa.ForeignKey("telemetry_batches.batch_id"), primary_key=True),
        sa.Column("field", sa.String(64), primary_key=True),
        sa.Column("reason", sa.String(255), primary_key=True),
        sa.Column("rows", BIG, nullable=False),
    )


def _create_access() -> None:
    op.create_table(
        "telemetry_access",
        sa.Column("seq", BIG, primary_key=True, autoincrement=True),
        sa.Column("at", MOMENT, nullable=False, index=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("question", sa.JSON, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("suppressed", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "arrivals",
        sa.Column("event_id", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("ts", MOMENT, nullable=False),
        sa.Column("applied_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    """Go back to the one before."""
    for table in ("arrivals", "telemetry_access", "telemetry_rejections", "telemetry_batches", "telemetry_parts"):
        op.drop_table(table)
