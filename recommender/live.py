"""Interactions and users that arrived since the last import: effective at once, in the operational store.

The catalogue snapshot is immutable; what a user does meanwhile stands here, numbered, so that a slate can name the
last act it knew of and be replayed later.
"""

import datetime as dt
from typing import Any

import pandas as pd
from sqlalchemy import JSON, DateTime, Float, Integer, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from workspace.checks import check_scalar
from workspace.clock import Clock
from workspace.columns import Interaction, User
from workspace.errors import InvalidValueError
from workspace.store import Base, Store

KINDS = ("watched", "rated", "thumbs_down", "dismissed")
_LIMITS = {"watched": (0.0, 1.0), "rated": (0.5, 5.0), "thumbs_down": (-1.0, -1.0), "dismissed": (-1.0, -1.0)}


class LiveInteraction(Base):
    """One act of a user on a film."""

    __tablename__ = "live_interactions"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String, index=True)
    film_id: Mapped[str] = mapped_column(String)
    kind: Mapped[str] = mapped_column(String)
    value: Mapped[float] = mapped_column(Float)
    ts: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    recorded_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class LiveUser(Base):
    """A user who joined since the last import."""

    __tablename__ = "live_users"

    user_id: Mapped[str] = mapped_column(String, primary_key=True)
    region: Mapped[str] = mapped_column(String)
    market: Mapped[str] = mapped_column(String)
    premium: Mapped[bool] = mapped_column()
    joined_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    excluded_genres: Mapped[list[str]] = mapped_column(JSON)
    maximum_age: Mapped[int | None] = mapped_column(Integer)
    consent: Mapped[bool] = mapped_column()


def default_value(kind: str) -> float:
    """Return the value an act has when nothing else is said: watched to the end, or a plain no."""
    return 1.0 if kind == "watched" else -1.0


class LiveLog:
    """Reads and appends the live rows.

    Args:
        store: The operational store.
        clock: Stamps what is recorded.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record(self, user_id: str, film_id: str, kind: str, value: float, ts: dt.datetime | None = None) -> int:
        """Append one act and return its number.

        Raises:
            InvalidValueError: For an unknown kind or a value outside the kind's range.
        """
        if kind not in KINDS:
            raise InvalidValueError(f"kind == {kind!r}", f"must be one of {', '.join(KINDS)}")
        low, high = _LIMITS[kind]
        check_scalar(value, f"value of {kind}", ge=low, le=high)
        now = self._clock.now()
        row = LiveInteraction(user_id=user_id, film_id=film_id, kind=kind, value=value, ts=ts or now, recorded_at=now)
        with self._store.session() as session:
            session.add(row)
            session.flush()
            return row.seq

    def add_user(self, user: dict[str, Any]) -> None:
        """Add or replace one user, by the columns of the user contract."""
        with self._store.session() as session:
            session.merge(LiveUser(**{name: user[name] for name in User.ALL}))

    def user(self, user_id: str) -> dict[str, Any] | None:
        """Return a live user's columns, or None."""
        with self._store.reading() as session:
            row = session.get(LiveUser, user_id)
            return None if row is None else {name: getattr(row, name) for name in User.ALL}

    def user_ids(self) -> list[str]:
        """Return every live user's id, sorted."""
        with self._store.reading() as session:
            return list(session.scalars(select(LiveUser.user_id).order_by(LiveUser.user_id)))

    def last_seq(self) -> int:
        """Return the number of the newest act, 0 when there is none."""
        with self._store.reading() as session:
            return int(session.scalar(select(func.max(LiveInteraction.seq))) or 0)

    def history(self, user_id: str, *, until_seq: int | None = None) -> pd.DataFrame:
        """Return a user's live acts, oldest first, by the interaction contract.

        Args:
            user_id: The user.
            until_seq: Only acts up to this number, for replays.
        """
        query = select(LiveInteraction).where(LiveInteraction.user_id == user_id).order_by(LiveInteraction.seq)
        if until_seq is not None:
            query = query.where(LiveInteraction.seq <= until_seq)
        with self._store.reading() as session:
            rows = [(row.user_id, row.film_id, row.kind, row.value, row.ts) for row in session.scalars(query)]
        frame = pd.DataFrame(rows, columns=list(Interaction.ALL))
        frame[Interaction.TS] = pd.to_datetime(frame[Interaction.TS], utc=True)
        return frame
