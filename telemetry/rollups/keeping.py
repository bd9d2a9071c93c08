"""Keeping the rollups up to date: only the days whose events changed are computed, a week at a time.

A rollup remembers the digest of the parts it was computed from. A day is pending when that digest differs from the one
its events have now, so that a crash, a late event or a deleted partition are all the same case.
"""

import datetime as dt
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from telemetry.parts import EVENTS, PartLog
from telemetry.rollups import statements
from telemetry.warehouse.protocol import Step, Warehouse
from telemetry.warehouse.stretches import period_of
from telemetry.warehouse.tables import (
    ACTIVE_DAY,
    ACTIVE_WEEK,
    BUCKET_BLOCK,
    BUCKET_DAY,
    BUCKET_WEEK,
    FILM_DAY,
    HOUR_ROLLUP,
    USER_DAY,
    Table,
)
from workspace.clock import Clock

if TYPE_CHECKING:
    from telemetry.warehouse.sql import Value

Progress = Callable[[str, int, int], None]

VERSION: Final = 3
"""Raised whenever the statements or the tables change, which puts every day out of date."""
MOST_EVENTS: Final = 2_000_000
"""Days in a row are rolled up by one statement while they have no more events than this together."""
_DAY: Final = dt.timedelta(days=1)
_WEEK_DAYS: Final = 7


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
    now = _wanted(parts)
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
    for days in _batches(parts, chosen):
        # One lock and one commit a batch: ingestion waits for seconds, and a crash costs no more than that.
        with parts.writing():
            steps = list(_steps(parts, warehouse, days))
            rows += warehouse.apply(steps)
        weeks += sorted({monday_of(day) for day in days})
        for step in steps:
            if step.table is USER_DAY:
                (computed if step.sql else dropped).extend(step.dates)
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
    return period_of(date, _WEEK_DAYS)


def _wanted(parts: PartLog) -> dict[dt.date, str]:
    return {date: f"{digest}.{VERSION}" for date, digest in parts.digests(EVENTS).items()}


def _rolled(parts: PartLog) -> dict[dt.date, str]:
    return {part.date: part.source_digest for part in parts.parts(USER_DAY.dataset)}


def _batches(parts: PartLog, chosen: list[dt.date]) -> list[list[dt.date]]:
    """Return the days in whole weeks, and as many small weeks together as have few events."""
    if not chosen:
        return []
    events = _events(parts, chosen)
    batches: list[list[dt.date]] = []
    rows = 0
    for _, week in groupby(chosen, monday_of):
        days = list(week)
        size = sum(events[day] for day in days)
        if batches and rows + size <= MOST_EVENTS:
            batches[-1] += days
            rows += size
        else:
            batches.append(days)
            rows = size
    return batches


def _events(parts: PartLog, days: list[dt.date]) -> Mapping[dt.date, int]:
    events: Counter[dt.date] = Counter()
    for part in parts.parts(EVENTS, start=days[0], end=days[-1]):
        events[part.date] += part.rows
    return events


def _steps(parts: PartLog, warehouse: Warehouse, days: list[dt.date]) -> Iterator[Step]:
    now = _wanted(parts)
    for run in _runs(days, now, _events(parts, days)):
        yield from _day_steps(run, tuple(now.get(day, "") for day in run))
    left = {date: now[date] for date in warehouse.digests(USER_DAY).keys() | set(days) if date in now}
    for monday in sorted({monday_of(day) for day in days}):
        yield _period_step(BUCKET_WEEK, monday, statements.summed_up(BUCKET_WEEK, BUCKET_DAY), left)
        yield _period_step(ACTIVE_WEEK, monday, statements.active_week(), left)
    for block in sorted({period_of(day, BUCKET_BLOCK.days) for day in days}):
        yield _period_step(BUCKET_BLOCK, block, statements.summed_up(BUCKET_BLOCK, BUCKET_WEEK), left)


def _runs(days: list[dt.date], now: Mapping[dt.date, str], events: Mapping[dt.date, int]) -> list[tuple[dt.date, ...]]:
    """Return days in a row that one statement makes: each costs as much to plan as a small day to compute."""
    runs: list[list[dt.date]] = []
    rows = 0
    for day in days:
        follows = bool(runs) and runs[-1][-1] + _DAY == day and (runs[-1][-1] in now) == (day in now)
        if follows and rows + events[day] <= MOST_EVENTS:
            runs[-1].append(day)
            rows += events[day]
        else:
            runs.append([day])
            rows = events[day]
    return [tuple(run) for run in runs]


def _day_steps(run: tuple[dt.date, ...], digests: tuple[str, ...]) -> Iterator[Step]:
    first, after = run[0], run[-1] + _DAY
    # Events are stored in UTC without a zone.
    around: dict[str, Value] = {
        "start": dt.datetime.combine(first, dt.time()),
        "end": dt.datetime.combine(after, dt.time()),
    }
    between: dict[str, Value] = {"start": first, "end": after}
    made = (
        (USER_DAY, statements.user_day(), around),
        (HOUR_ROLLUP, statements.hour(), around),
        (FILM_DAY, statements.film_day(), around),
        (BUCKET_DAY, statements.bucket_day(), between),
        (ACTIVE_DAY, statements.active_day(), between),
    )
    for table, sql, parameters in made:
        yield Step(
            table=table,
            dates=run,
            # A day without events has no rollup: retention deletes both.
            sql=sql if digests[0] else "",
            window=(first, run[-1]),
            digests=digests,
            parameters=parameters,
        )


def _period_step(table: Table, start: dt.date, sql: str, left: Mapping[dt.date, str]) -> Step:
    end = start + dt.timedelta(days=table.days)
    digest = _digest([left[date] for date in sorted(left) if start <= date < end])
    return Step(
        table=table,
        dates=(start,),
        sql=sql if digest else "",
        window=(start, end - _DAY),
        digests=(digest,),
        parameters={"start": start, "end": end},
    )


def _digest(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16] if digests else ""
