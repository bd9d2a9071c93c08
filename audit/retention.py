"""Retention: what is older than it may be kept is deleted, whole partitions at a time, and a dry run lists it.

One limit for everything that says what people did (`Settings.retention_days`, 13 months unless set): events and their
rollups, refused rows, recommendation slates, lines of logs. It is never under 12 months: a season can't be compared
with the same one a year before otherwise, and experiments could not be audited. Not here: an account's own history,
which is kept while the account is (`recommendr erase`), and samples of services, which are about no person.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, select

from audit.erasure.lines import drop_lines
from recommender.slates import SlateItemRow, SlateRow
from telemetry.parts import EVENTS, PartLog
from telemetry.privacy import retain
from telemetry.pseudonyms import KeyRing
from telemetry.quarantine import Quarantine
from telemetry.rollups import pending, roll_up
from telemetry.warehouse import open_warehouse
from telemetry.warehouse.tables import USER_DAY
from workspace.clock import Clock, SystemClock
from workspace.errors import InvalidValueError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

LEAST_DAYS: Final = 365
APPLY: Final = "retention.apply"
_MOST_LISTED: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How one store stands.

    Args:
        store: Which.
        unit: What is counted.
        oldest: The oldest day it holds; None when it is empty.
        limit: The oldest day it may hold.
        overdue: How much is older.
        listed: The days or files that are older.
    """

    store: str
    unit: str
    oldest: dt.date | None
    limit: dt.date
    overdue: int
    listed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "store": self.store,
            "unit": self.unit,
            "oldest": self.oldest.isoformat() if self.oldest else None,
            "limit": self.limit.isoformat(),
            "overdue": self.overdue,
            "listed": list(self.listed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a run of retention found and did.

    Args:
        days: The limit.
        stores: How every store stood before.
        removed: What was removed, by store; empty in a dry run.
        dry_run: Whether nothing was changed.
    """

    days: int
    stores: tuple[Kept, ...]
    removed: dict[str, int]
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "days": self.days,
            "dry_run": self.dry_run,
            "stores": [store.to_dict() for store in self.stores],
            "removed": dict(self.removed),
        }


class Retention:
    """Finds and deletes what is too old.

    Args:
        settings: The workspace and its limit.
        store: The operational store.
        clock: What is today.

    Raises:
        InvalidValueError: When the limit is under 12 months.
    """

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        self.days: Final = checked_days(settings.retention_days)
        self._settings = settings
        self._store = store
        self._clock = clock or SystemClock()
        self._paths = Paths(settings.home)
        self._parts = PartLog(store, self._paths, self._clock)
        self.limit: Final = self._clock.now().date() - dt.timedelta(days=self.days)
        self._moment = dt.datetime.combine(self.limit, dt.time(), dt.UTC)

    def stores(self) -> tuple[Kept, ...]:
        """Return how every store stands."""
        return (*self._telemetry(), self._refused(), self._slates(), self._logs())

    def apply(self, *, actor: str, dry_run: bool = False, rollups: bool = True) -> Applied:
        """Delete what is too old; a ledger record says what.

        Args:
            actor: Who asked for it.
            dry_run: Only list it.
            rollups: Whether to drop the rollups of the days as well; false when a rollup follows anyway.
        """
        found = self.stores()
        if dry_run or not any(one.overdue for one in found):
            return Applied(days=self.days, stores=found, removed={}, dry_run=dry_run)
        ledger = Ledger(self._store, self._clock)
        removed = {"events": retain(self._parts, self.days, self._clock, ledger, actor=actor)}
        if rollups:
            removed["rollups"] = self._drop_rollups()
        removed["refused rows"] = len(Quarantine(self._paths, self._keys()).expire(self._moment))
        removed["slates"] = self._delete_slates()
        removed["logs"] = sum(drop_lines(path, self._is_old) for path in self._log_files())
        removed = {name: count for name, count in removed.items() if count}
        ledger.append(actor, APPLY, "retention", {"limit": self.limit.isoformat(), "removed": removed})
        return Applied(days=self.days, stores=found, removed=removed, dry_run=False)

    def _telemetry(self) -> tuple[Kept, Kept]:
        warehouse = open_warehouse(self._settings, self._store)
        try:
            rolled = sorted(warehouse.digests(USER_DAY))
        finally:
            warehouse.close()
        return (
            self._kept("events", "days", self._parts.dates(EVENTS)),
            self._kept("rollups", "days", rolled),
        )

    def _kept(self, store: str, unit: str, days: Sequence[dt.date]) -> Kept:
        old = [day for day in days if day < self.limit]
        listed = tuple(day.isoformat() for day in old[:_MOST_LISTED])
        oldest = min(days, default=None)
        return Kept(store=store, unit=unit, oldest=oldest, limit=self.limit, overdue=len(old), listed=listed)

    def _refused(self) -> Kept:
        # The day a file of refused rows was written is the day its batch came in.
        files = {
            path.name: dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
            for path in sorted((self._paths.telemetry / "quarantine").glob("*.jsonl"))
        }
        old = [name for name, at in files.items() if at < self._moment]
        return Kept(
            store="refused rows",
            unit="files",
            oldest=min(files.values()).date() if files else None,
            limit=self.limit,
            overdue=len(old),
            listed=tuple(old[:_MOST_LISTED]),
        )

    def _slates(self) -> Kept:
        with self._store.reading() as session:
            oldest = session.scalar(select(func.min(SlateRow.made_at)))
            old = session.scalar(select(func.count()).select_from(SlateRow).where(SlateRow.made_at < self._moment))
        return Kept(
            store="slates",
            unit="slates",
            oldest=oldest.date() if oldest else None,
            limit=self.limit,
            overdue=int(old or 0),
        )

    def _logs(self) -> Kept:
        days: list[dt.date] = []
        old = 0
        for path in self._log_files():
            for line in path.read_text("utf-8", "replace").splitlines():
                day = _day_of(line)
                if day is not None:
                    days.append(day)
                    old += day < self.limit
        return Kept(store="logs", unit="lines", oldest=min(days, default=None), limit=self.limit, overdue=old)

    def _drop_rollups(self) -> int:
        warehouse = open_warehouse(self._settings, self._store)
        try:
            gone = [day for day in pending(self._parts, warehouse) if day < self.limit]
            return len(roll_up(self._parts, warehouse, self._clock, dates=gone).dropped) if gone else 0
        finally:
            warehouse.close()

    def _delete_slates(self) -> int:
        old = select(SlateRow.slate_id).where(SlateRow.made_at < self._moment)
        with self._store.session() as session:
            session.execute(delete(SlateItemRow).where(SlateItemRow.slate_id.in_(old)))
            gone = session.execute(delete(SlateRow).where(SlateRow.made_at < self._moment))
            return int(gone.rowcount)  # type: ignore[attr-defined]

    def _log_files(self) -> list[Any]:
        return sorted(self._paths.logs.glob("*.jsonl"))

    def _is_old(self, line: str) -> bool:
        day = _day_of(line)
        return day is not None and day < self.limit

    def _keys(self) -> KeyRing:
        return KeyRing.open(self._settings, self._clock)


def checked_days(days: int) -> int:
    """Return the limit when it is one that may be set.

    Raises:
        InvalidValueError: When it is under 12 months.

    Example:
        >>> checked_days(396)
        396
    """
    if days < LEAST_DAYS:
        raise InvalidValueError(
            f"retention_days == {days}", f"must be >= {LEAST_DAYS}", "set RECOMMENDR_RETENTION_DAYS; 396 is 13 months"
        )
    return days


def _day_of(line: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(json.loads(line)["ts"])[:10])
    except (ValueError, KeyError, TypeError):
        return None  # a line without a time is not known to be old
