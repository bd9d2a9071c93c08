"""Silences: alerts that shall not be told for a while, with a reason and an end; each is a row of the ledger."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitoring.alerts.records import SilenceRow, aware, writing
from workspace.clock import Clock, SystemClock
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ids import new_id
from workspace.ledger import Ledger
from workspace.store import Store

SILENCE: Final = "alert.silence"
UNSILENCE: Final = "alert.unsilence"
LONGEST: Final = dt.timedelta(days=90)
_LONGEST_REASON: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One silence.

    Args:
        matchers: Patterns by label; an alert is meant when all of them match.
        ends_at: From then on alerts are told again.
    """

    silence_id: str
    matchers: Mapping[str, str]
    reason: str
    created_by: str
    created_at: dt.datetime
    ends_at: dt.datetime

    def means(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an alert with these labels is meant.

        Example:
            >>> now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
            >>> silence = Silence(silence_id="silence_1", matchers={"region": "D*"}, reason="moving", created_by="me",
            ...                   created_at=now, ends_at=now)
            >>> silence.means({"region": "DE"}), silence.means({"rule": "drift"})
            (True, False)
        """
        return all(name in labels and fnmatchcase(labels[name], pattern) for name, pattern in self.matchers.items())

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "silence_id": self.silence_id,
            "matchers": dict(self.matchers),
            "reason": self.reason,
            "created_by": self.created_by,
            "created_at": self.created_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }


class Silences:
    """Adds, ends and lists silences.

    Args:
        store: The operational store.
        ledger: Where every change is recorded; one on the same store when None.
        clock: What "now" means.
    """

    def __init__(self, store: Store, ledger: Ledger | None = None, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._ledger = ledger or Ledger(store, self._clock)

    def add(self, matchers: Mapping[str, str], reason: str, lasts: dt.timedelta, actor: str) -> Silence:
        """Keep alerts from being told.

        Args:
            matchers: Patterns by label, at least one.
            reason: Why.
            lasts: How long, up to 90 days.
            actor: Who.

        Raises:
            InvalidValueError: When there is no matcher, no reason, or it would last too long or not at all.
        """
        if not matchers or not all(name and pattern for name, pattern in matchers.items()):
            raise InvalidValueError(
                f"matchers == {dict(matchers)!r}", "must name at least one label", "write rule=drift or region=DE"
            )
        _checked_reason(reason)
        if not dt.timedelta(0) < lasts <= LONGEST:
            raise InvalidValueError(
                f"a silence of {lasts / dt.timedelta(days=1):g} days",
                "must last up to 90 days",
                "renew it when it ends",
            )
        now = self._clock.now()
        row = SilenceRow(
            silence_id=new_id("silence"),
            matchers=dict(matchers),
            reason=reason,
            created_by=actor,
            created_at=now,
            ends_at=now + lasts,
        )
        with writing(self._store) as session:
            session.add(row)
            details = {"matchers": dict(matchers), "reason": reason, "ends_at": row.ends_at.isoformat()}
            self._ledger.append(actor, SILENCE, row.silence_id, details, session=session)
            return _silence_of(row)

    def end(self, silence_id: str, reason: str, actor: str) -> Silence:
        """Let alerts be told again before the silence ends by itself.

        Raises:
            UnknownError: When there is none of that id.
            StateError: When it has ended.
        """
        _checked_reason(reason)
        with writing(self._store) as session:
            row = session.get(SilenceRow, silence_id)
            if row is None:
                raise UnknownError(
                    f"silence == {silence_id!r}", "must be a silence", "see `recommendr monitor silences`"
                )
            now = self._clock.now()
            if aware(row.ends_at) <= now:
                raise StateError(
                    f"{silence_id} has ended at {aware(row.ends_at):%Y-%m-%d %H:%M} UTC", hint="do nothing"
                )
            row.ends_at = now
            self._ledger.append(actor, UNSILENCE, silence_id, {"reason": reason}, session=session)
            return _silence_of(row)

    def all(self, *, active: bool = False) -> tuple[Silence, ...]:
        """Return the silences, the newest first; only those that still hold when ``active``."""
        with self._store.reading() as session:
            rows = session.scalars(select(SilenceRow).order_by(SilenceRow.created_at.desc(), SilenceRow.silence_id))
            now = self._clock.now()
            return tuple(one for one in map(_silence_of, rows) if not active or one.ends_at > now)


def active_silences(session: Session, now: dt.datetime) -> tuple[Silence, ...]:
    """Return the silences that hold at a moment, as a session sees them."""
    found = map(_silence_of, session.scalars(select(SilenceRow)))
    return tuple(one for one in found if one.created_at <= now < one.ends_at)


def silenced_by(labels: Mapping[str, str], silences: Iterable[Silence]) -> Silence | None:
    """Return the silence that means an alert with these labels, if there is one."""
    return next((one for one in silences if one.means(labels)), None)


def _silence_of(row: SilenceRow) -> Silence:
    return Silence(
        silence_id=row.silence_id,
        matchers=row.matchers,
        reason=row.reason,
        created_by=row.created_by,
        created_at=aware(row.created_at),
        ends_at=aware(row.ends_at),
    )


def _checked_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _LONGEST_REASON:
        raise InvalidValueError("the reason", f"must be 1 to {_LONGEST_REASON} characters", "say why, in a sentence")
