"""A span of days as the fewest stretches of the rollups by bucket: four weeks, weeks, days."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from telemetry.warehouse.tables import BUCKET_BLOCK, BUCKET_DAY, BUCKET_WEEK, FIRST_MONDAY, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Rows of one table that lie side by side.

    Args:
        table: Which.
        first: Moment of the first of them, a day.
        last: Moment of the last.
    """

    table: Table
    first: dt.date
    last: dt.date


DAYS: Final = (BUCKET_DAY,)
WEEKS: Final = (BUCKET_WEEK, BUCKET_DAY)
BLOCKS: Final = (BUCKET_BLOCK, BUCKET_WEEK, BUCKET_DAY)


def cover(start: dt.date, end: dt.date, tables: Sequence[Table] = BLOCKS) -> tuple[Stretch, ...]:
    """Return the stretches that hold every day of a span once, in order.

    Args:
        start: First day.
        end: Last day, included.
        tables: What may be used, the coarsest first, down to days.

    Example:
        >>> [(s.table.name, s.first.day, s.last.day) for s in cover(dt.date(2026, 3, 1), dt.date(2026, 3, 16), WEEKS)]
        [('BUCKET_DAY', 1, 1), ('BUCKET_WEEK', 2, 9), ('BUCKET_DAY', 16, 16)]
    """
    if start > end:
        return ()
    table, finer = tables[0], tables[1:]
    first, last = whole_periods(start, end, table.days)
    if first > last:
        return cover(start, end, finer)
    step = dt.timedelta(days=1)
    before = cover(start, first - step, finer) if finer else ()
    after = cover(last + table.days * step, end, finer) if finer else ()
    return (*before, Stretch(table=table, first=first, last=last), *after)


def whole_periods(start: dt.date, end: dt.date, days: int) -> tuple[dt.date, dt.date]:
    """Return the first days of the first and the last period that lie within a span; the last before the first: none.

    Example:
        >>> whole_periods(dt.date(2026, 3, 1), dt.date(2026, 3, 16), 7)
        (datetime.date(2026, 3, 2), datetime.date(2026, 3, 9))
    """
    first = period_of(start + dt.timedelta(days=days - 1), days)
    last = period_of(end + dt.timedelta(days=1), days) - dt.timedelta(days=days)
    return first, last


def period_of(date: dt.date, days: int) -> dt.date:
    """Return the first day of the period a day lies in.

    Example:
        >>> period_of(dt.date(2026, 3, 4), 7)
        datetime.date(2026, 3, 2)
    """
    return date - dt.timedelta(days=(date - FIRST_MONDAY).days % days)
