"""What the store holds about alerts: its tables, and the records that are read from them."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import JSON, DateTime, Double, Integer, String, Text, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from workspace.store import Base, Store

State = Literal["pending", "firing", "resolved"]
Event = Literal["firing", "resolved", "passed"]
"""``passed``: it had begun and ended before anybody saw it."""
OPEN: Final = ("pending", "firing")
AT_ONCE: Final = {"synchronize_session": False}
"""For deletes: SQLAlchemy would compare what a session has loaded by itself, moments with a zone with some without."""


class AlertRow(Base):
    """One alert as stored."""

    __tablename__ = "alerts"

    alert_id: Mapped[str] = mapped_column(String, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String, index=True)
    rule: Mapped[str] = mapped_column(String)
    state: Mapped[str] = mapped_column(String, index=True)
    severity: Mapped[str] = mapped_column(String)
    labels: Mapped[dict[str, str]] = mapped_column(JSON)
    group_key: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None] = mapped_column(Double)
    summary: Mapped[str] = mapped_column(Text)
    runbook: Mapped[str | None] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    pending_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    fired_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    told_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    resolved_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class SilenceRow(Base):
    """One silence as stored."""

    __tablename__ = "alert_silences"

    silence_id: Mapped[str] = mapped_column(String, primary_key=True)
    matchers: Mapped[dict[str, str]] = mapped_column(JSON)
    reason: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), index=True)


class DeliveryRow(Base):
    """One message on its way as stored."""

    __tablename__ = "alert_deliveries"

    delivery_id: Mapped[str] = mapped_column(String, primary_key=True)
    route: Mapped[str] = mapped_column(String)
    event: Mapped[str] = mapped_column(String)
    alert_ids: Mapped[list[str]] = mapped_column(JSON)
    payload: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String, index=True)
    attempts: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    next_attempt_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    delivered_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    last_error: Mapped[str | None] = mapped_column(Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Args:
        alert_id: Its id; the same thing alerting again later is another alert.
        fingerprint: What stays the same when the same thing is seen again.
        labels: What it is told apart by: rule, severity, detector, segment and the labels of its rule.
        group_key: Alerts with the same key leave in one message.
        value: The figure that made it one, if there is one.
        pending_at: Since when it is so.
        fired_at: When it had lasted long enough; None while it is pending.
        told_at: When its message was put into the outbox; None while it is silenced or has nowhere to go.
        resolved_at: When it was over.
        seen_at: When a run last saw it.
    """

    alert_id: str
    fingerprint: str
    rule: str
    state: State
    severity: str
    labels: Mapping[str, str]
    group_key: str
    value: float | None
    summary: str
    runbook: str | None
    evidence: Mapping[str, Any]
    pending_at: dt.datetime
    seen_at: dt.datetime
    fired_at: dt.datetime | None = None
    told_at: dt.datetime | None = None
    resolved_at: dt.datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "alert_id": self.alert_id,
            "fingerprint": self.fingerprint,
            "rule": self.rule,
            "state": self.state,
            "severity": self.severity,
            "labels": dict(self.labels),
            "value": self.value,
            "summary": self.summary,
            "runbook": self.runbook,
            "pending_at": self.pending_at.isoformat(),
            "fired_at": iso(self.fired_at),
            "told_at": iso(self.told_at),
            "resolved_at": iso(self.resolved_at),
            "seen_at": self.seen_at.isoformat(),
            "evidence": dict(self.evidence),
        }


def alert_of(row: AlertRow) -> Alert:
    """Return the record of a stored row."""
    return Alert(
        alert_id=row.alert_id,
        fingerprint=row.fingerprint,
        rule=row.rule,
        state=row.state,  # type: ignore[arg-type] # only ever written by `states`
        severity=row.severity,
        labels=row.labels,
        group_key=row.group_key,
        value=row.value,
        summary=row.summary,
        runbook=row.runbook,
        evidence=row.evidence,
        pending_at=aware(row.pending_at),
        seen_at=aware(row.seen_at),
        fired_at=aware_or_none(row.fired_at),
        told_at=aware_or_none(row.told_at),
        resolved_at=aware_or_none(row.resolved_at),
    )


@contextmanager
def writing(store: Store) -> Iterator[Session]:
    """Open a session that may change alerts; those of all processes come one after the other."""
    with store.session() as session:
        # A writing session of SQLite holds the only write lock already.
        if not store.is_sqlite:
            session.execute(text("LOCK TABLE alerts IN SHARE ROW EXCLUSIVE MODE"))
        yield session


def aware(moment: dt.datetime) -> dt.datetime:
    """Return a stored moment with its zone, which SQLite does not keep."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def aware_or_none(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a stored moment with its zone, or None."""
    return None if moment is None else aware(moment)


def iso(moment: dt.datetime | None) -> str | None:
    """Return a moment as text, or None."""
    return None if moment is None else moment.isoformat()
