"""Keeping the rollups up to date: only the days whose events changed are computed, a week at a time.

A rollup remembers the digest of the parts it was computed from. A day is pending when that digest differs from the one
its events have now, so that a crash, a late event or a deleted partition are all the same case.
"""

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final

from telemetry.parts import EVENTS, PartLog
from telemetry.rollups import statements
from telemetry.warehouse.protocol import Step, Warehouse
from telemetry.warehouse.sql import Value
from telemetry.warehouse.tables import ACTIVE_DAY, ACTIVE_WEEK, BUCKET_DAY, BUCKET_WEEK, HOUR_ROLLUP, USER_DAY
from workspace.clock import Clock
from workspace.columns import Rollup

Progress = Callable[[str, int, int], None]

_DAY: Final = dt.timedelta(days=1)
_WEEK: Final = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupReport:
    """What one run did.

    Args:
        dates: Days computed anew, in order.
        dropped: Days whose rollups went because their events are gone.
        weeks: Mondays of the weeks computed anew.
        rows: Rows written.
        seconds: How long it took.
        finished_at: When it ended.
    """

    dates: tuple[dt.date, ...]
    dropped: tuple[dt.date, ...]
    weeks: tuple[dt.date, ...]
    rows: int
    seconds: float
    finished_at: dt.datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)


def pending(parts: PartLog, warehouse: Warehouse | None = None) -> list[dt.date]:
    """Return the days whose rollups are not those of their events, oldest first.

    Args:
        parts: The visible parts.
        warehouse: Where the rollups are; None means they are parts too.
    """
    now = parts.digests(EVENTS)
    rolled = warehouse.digests(USER_DAY) if warehouse else _rolled(parts)
    return sorted(date for date in now.keys() | rolled.keys() if now.get(date) != rolled.get(date))


def roll_up(
    parts: PartLog,
    warehouse: Warehouse,
    clock: Clock,
    progress: Progress | None = None,
    dates: Collection[dt.date] | None = None,
) -> RollupReport:
    """Bring the rollups up to date.

    Args:
        parts: The visible parts.
        warehouse: Computes and keeps them.
        clock: Stamps the report.
        progress: Told ``("rollup", done, total)`` in days.
        dates: Days to compute whether they are pending or not; None means the pending ones.

    Raises:
        IntegrityError: When a part of the events is missing or damaged.
    """
    began = time.perf_counter()
    chosen = pending(parts, warehouse) if dates is None else sorted(dates)
    computed: list[dt.date] = []
    dropped: list[dt.date] = []
    weeks: list[dt.date] = []
    rows = 0
    for monday, days in groupby(chosen, monday_of):
        # One lock and one commit a week: ingestion waits for seconds, and a crash costs one week's work.
        with parts.writing():
            steps = list(_steps(parts, warehouse, monday, list(days)))
            rows += warehouse.apply(steps)
        weeks.append(monday)
        for step in steps:
            if step.table is USER_DAY:
                (computed if step.sql else dropped).append(step.date)
        if progress is not None:
            progress("rollup", len(computed) + len(dropped), len(chosen))
    return RollupReport(
        dates=tuple(computed),
        dropped=tuple(dropped),
        weeks=tuple(weeks),
        rows=rows,
        seconds=time.perf_counter() - began,
        finished_at=clock.now(),
    )


def monday_of(date: dt.date) -> dt.date:
    """Return the first day of the ISO week.

    Example:
        >>> monday_of(dt.date(2026, 1, 1))
        datetime.date(2025, 12, 29)
    """
    return date - dt.timedelta(days=date.weekday())


def _rolled(parts: PartLog) -> dict[dt.date, str]:
    return {part.date: part.source_digest for part in parts.parts(USER_DAY.dataset)}


def _steps(parts: PartLog, warehouse: Warehouse, monday: dt.date, days: list[dt.date]) -> Iterator[Step]:
    now = parts.digests(EVENTS)
    for day in days:
        yield from _day_steps(day, now.get(day, ""))
    rolled = {date for date in warehouse.digests(USER_DAY) if monday <= date < monday + _WEEK}
    left = {date for date in rolled | set(days) if date in now}
    yield from _week_steps(monday, _digest([now[date] for date in sorted(left)]))


def _day_steps(day: dt.date, digest: str) -> Iterator[Step]:
    around = _midnights(day)
    between: dict[str, Value] = {"start": day, "end": day + _DAY}
    made = (
        (USER_DAY, statements.user_day(), around),
        (HOUR_ROLLUP, statements.hour(), around),
        (BUCKET_DAY, statements.bucket_day(), between),
        (ACTIVE_DAY, statements.active(Rollup.DATE), between),
    )
    for table, sql, parameters in made:
        yield Step(
            table=table,
            date=day,
            # A day without events has no rollup: retention deletes both.
            sql=sql if digest else "",
            window=(day, day),
            digest=digest,
            parameters=parameters,
        )


def _week_steps(monday: dt.date, digest: str) -> Iterator[Step]:
    between: dict[str, Value] = {"start": monday, "end": monday + _WEEK}
    for table, sql in ((BUCKET_WEEK, statements.bucket_week()), (ACTIVE_WEEK, statements.active(Rollup.WEEK))):
        yield Step(
            table=table,
            date=monday,
            sql=sql if digest else "",
            window=(monday, monday + _WEEK - _DAY),
            digest=digest,
            parameters=between,
        )


def _midnights(day: dt.date) -> dict[str, Value]:
    # Events are stored in UTC without a zone.
    midnight = dt.datetime.combine(day, dt.time())
    return {"start": midnight, "end": midnight + _DAY}


def _digest(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16] if digests else ""
