"""The outbox: messages that are committed with what they tell, and stay until their receiver has said that it has them.

At least once: a message leaves before it is crossed out, so a process killed in between sends it again, under the same
id. It is never given up: the pauses between attempts grow to an hour and stay there.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from monitoring.alerts.grouping import Notice
from monitoring.alerts.records import AT_ONCE, DeliveryRow, aware, aware_or_none, iso
from workspace.ids import new_id
from workspace.store import Store

WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
FIRST_PAUSE: Final = dt.timedelta(seconds=30)
LONGEST_PAUSE: Final = dt.timedelta(hours=1)
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message on its way.

    Args:
        delivery_id: Stays the same over all attempts: a receiver that has seen it may pass over the second.
        route: Where it goes.
        event: What it tells.
        body: The notice as plain data, with the id.
        attempts: How often it was tried.
        last_error: Why the last attempt failed.
    """

    delivery_id: str
    route: str
    event: str
    body: Mapping[str, Any]
    state: str
    attempts: int
    created_at: dt.datetime
    next_attempt_at: dt.datetime
    delivered_at: dt.datetime | None = None
    last_error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without the notice."""
        return {
            "delivery_id": self.delivery_id,
            "route": self.route,
            "event": self.event,
            "title": self.body["title"],
            "state": self.state,
            "attempts": self.attempts,
            "created_at": self.created_at.isoformat(),
            "next_attempt_at": self.next_attempt_at.isoformat(),
            "delivered_at": iso(self.delivered_at),
            "last_error": self.last_error,
        }


def put(session: Session, route: str, notice: Notice) -> str:
    """Add a message in the session that commits what it tells; return its id."""
    delivery_id = new_id("delivery")
    body = {**notice.to_dict(), "delivery_id": delivery_id}
    session.add(
        DeliveryRow(
            delivery_id=delivery_id,
            route=route,
            event=notice.event,
            alert_ids=[alert.alert_id for alert in notice.alerts],
            payload=json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False),
            state=WAITING,
            attempts=0,
            created_at=notice.at,
            next_attempt_at=notice.at,
        )
    )
    return delivery_id


def due(store: Store, now: dt.datetime) -> tuple[Message, ...]:
    """Return the messages whose time has come, in the order they were made.

    What came of an alert later waits for what came before it: nobody is told that it is over before it fires.
    """
    ready: list[Message] = []
    behind: set[tuple[str, str]] = set()
    with store.reading() as session:
        query = select(DeliveryRow).where(DeliveryRow.state == WAITING).order_by(DeliveryRow.delivery_id)
        for row in session.scalars(query):
            own = {(row.route, alert_id) for alert_id in row.alert_ids}
            if aware(row.next_attempt_at) <= now and behind.isdisjoint(own):
                ready.append(_message(row))
            else:
                behind |= own
    return tuple(ready)


def messages(store: Store, limit: int = 100) -> tuple[Message, ...]:
    """Return the latest messages, the newest first."""
    with store.reading() as session:
        query = select(DeliveryRow).order_by(DeliveryRow.created_at.desc(), DeliveryRow.delivery_id.desc())
        return tuple(_message(row) for row in session.scalars(query.limit(limit)))


def waiting(store: Store) -> int:
    """Return how many messages have not been received yet."""
    with store.reading() as session:
        query = select(func.count()).select_from(DeliveryRow).where(DeliveryRow.state == WAITING)
        return session.scalar(query) or 0


def cross_out(store: Store, delivery_id: str, now: dt.datetime) -> None:
    """Remember that a message was received."""
    with store.session() as session:
        row = session.get(DeliveryRow, delivery_id)
        if row is not None:
            row.state, row.delivered_at, row.attempts, row.last_error = DELIVERED, now, row.attempts + 1, None


def put_off(store: Store, delivery_id: str, now: dt.datetime, reason: str) -> dt.datetime:
    """Remember that an attempt failed; return when the next one is due."""
    with store.session() as session:
        row = session.get(DeliveryRow, delivery_id)
        if row is None or row.state != WAITING:
            return now
        row.attempts += 1
        row.next_attempt_at = now + pause(row.attempts)
        row.last_error = reason[:_LONGEST_ERROR]
        return row.next_attempt_at


def pause(attempts: int) -> dt.timedelta:
    """Return how long to wait after a number of failed attempts: 30 s, doubled each time, up to an hour.

    Example:
        >>> [int(pause(number).total_seconds()) for number in (1, 2, 3, 8, 1_000)]
        [30, 60, 120, 3600, 3600]
    """
    return min(LONGEST_PAUSE, FIRST_PAUSE * float(1 << min(attempts - 1, 10)))


def let_go(store: Store, before: dt.datetime) -> int:
    """Delete what was received before a moment; return how many messages."""
    with store.session() as session:
        gone = delete(DeliveryRow).where(DeliveryRow.state == DELIVERED, DeliveryRow.delivered_at < before)
        return int(session.execute(gone, execution_options=AT_ONCE).rowcount)  # type: ignore[attr-defined] # a delete has a count


def _message(row: DeliveryRow) -> Message:
    return Message(
        delivery_id=row.delivery_id,
        route=row.route,
        event=row.event,
        body=json.loads(row.payload),
        state=row.state,
        attempts=row.attempts,
        created_at=aware(row.created_at),
        next_attempt_at=aware(row.next_attempt_at),
        delivered_at=aware_or_none(row.delivered_at),
        last_error=row.last_error,
    )
