"""Audit: films kept for review, requests of the people the data is about, and what was erased."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "film_reviews",
        sa.Column("review_id", sa.String(64), primary_key=True),
        sa.Column("film_id", sa.Text, nullable=False, index=True),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("snapshot_id", sa.Text, nullable=False),
        sa.Column("studio", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("film", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("appeal", sa.Text, nullable=True),
        sa.Column("appealed_by", sa.Text, nullable=True),
        sa.Column("appealed_at", MOMENT, nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("decision_reason", sa.Text, nullable=True),
    )
    op.create_table(
        "subject_requests",
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False, index=True),
        sa.Column("subject", sa.String(64), nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("completed_at", MOMENT, nullable=True),
        sa.Column("certificate", sa.Text, nullable=True),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_table(
        "erased_subjects",
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("erased_at", MOMENT, nullable=False),
    )
    op.create_table(
        "erased_slates",
        sa.Column("slate_id", sa.String, primary_key=True),
        sa.Column("erased_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    """Go back to the one before."""
    for table in ("erased_slates", "erased_subjects", "subject_requests", "film_reviews"):
        op.drop_table(table)
