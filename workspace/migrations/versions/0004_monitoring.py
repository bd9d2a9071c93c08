"""Monitoring: runs, alerts with their silences and deliveries, remediation, benchmark scores, goals entered by hand."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "monitor_runs",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("started_at", MOMENT, nullable=False, index=True),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.Column("as_of", sa.Date, nullable=True),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False, index=True),
        sa.Column("rule", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("value", sa.Double, nullable=True),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("runbook", sa.Text, nullable=True),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("pending_at", MOMENT, nullable=False),
        sa.Column("fired_at", MOMENT, nullable=True),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("resolved_at", MOMENT, nullable=True),
        sa.Column("seen_at", MOMENT, nullable=False),
    )
    op.create_table(
        "alert_silences",
        sa.Column("silence_id", sa.String(64), primary_key=True),
        sa.Column("matchers", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False, index=True),
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("delivery_id", sa.String(64), primary_key=True),
        sa.Column("route", sa.String(128), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("alert_ids", sa.JSON, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
    )
    op.create_table(
        "remediations",
        sa.Column("remediation_id", sa.String(64), primary_key=True),
        sa.Column("rule", sa.String(128), nullable=False, index=True),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=True),
        sa.Column("after", sa.Text, nullable=True),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("performed_at", MOMENT, nullable=True),
        sa.Column("reversed_at", MOMENT, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_table(
        "benchmark_scores",
        sa.Column("seq", BIG, primary_key=True, autoincrement=True),
        sa.Column("index_version", sa.Text, nullable=False, index=True),
        sa.Column("benchmark_version", sa.String(64), nullable=False),
        sa.Column("k", sa.Integer, nullable=False),
        sa.Column("users", sa.Integer, nullable=False),
        sa.Column("precision", sa.Double, nullable=False),
        sa.Column("low", sa.Double, nullable=False),
        sa.Column("high", sa.Double, nullable=False),
        sa.Column("per_user", sa.Text, nullable=False),
        sa.Column("scored_at", MOMENT, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "goal_entries",
        sa.Column("seq", BIG, primary_key=True, autoincrement=True),
        sa.Column("goal", sa.String(64), nullable=False, index=True),
        sa.Column("period_start", sa.Date, nullable=False),
        sa.Column("period_end", sa.Date, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("entered_by", sa.Text, nullable=False),
        sa.Column("entered_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Go back to the one before."""
    for table in (
        "goal_entries",
        "benchmark_scores",
        "remediations",
        "alert_deliveries",
        "alert_silences",
        "alerts",
        "monitor_runs",
    ):
        op.drop_table(table)
