"""Days on which something stood out, put together to one finding, and said about nobody in particular."""

import datetime as dt
from collections.abc import Iterable
from typing import Final

import numpy as np

from monitoring.findings import Interval, Onset

DAY: Final = dt.timedelta(days=1)
GAP_DAYS: Final = 3
"""Days without a sign after which what comes is another episode."""


def episodes(days: Iterable[dt.date], gap: int = GAP_DAYS) -> list[tuple[dt.date, dt.date]]:
    """Return the first and the last day of each run of days, in order.

    Args:
        days: Days with a sign, in any order.
        gap: Days without one that end a run.

    Example:
        >>> d = dt.date
        >>> episodes([d(2026, 1, 2), d(2026, 1, 1), d(2026, 1, 20)])[0]
        (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2))
    """
    found: list[tuple[dt.date, dt.date]] = []
    for day in sorted(set(days)):
        if found and (day - found[-1][1]).days <= gap:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def midnight(day: dt.date) -> dt.datetime:
    """Return the first moment of a day, UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def onset_of(first: dt.date) -> Onset:
    """Return when an episode began whose first sign was on a day: at most a day before it, at the latest at its end."""
    return Onset(at=midnight(first), low=midnight(first - DAY), high=midnight(first + DAY))


def end_of(last: dt.date, newest: dt.date) -> dt.datetime | None:
    """Return when an episode was over; None when its last sign was on the newest day there is."""
    return midnight(last + DAY) if last < newest else None


def crowd_of(count: int, least: int, noun: str = "accounts") -> str:
    """Say how many there are, without counting fewer than may be told.

    Example:
        >>> crowd_of(2, 10), crowd_of(1234, 10)
        ('fewer than 10 accounts', '1,234 accounts')
    """
    return f"fewer than {least} {noun}" if count < least else f"{count:,} {noun}"


def share_of(part: float, whole: float, *, exact: bool) -> Interval:
    """Return a share; to one digit with what was rounded away when it is about too few to be exact about.

    Args:
        part: Their sum.
        whole: That of everybody.
        exact: Whether there are enough of them.

    Example:
        >>> share_of(137, 1000, exact=False)
        Interval(value=0.1, low=0.05, high=0.15)
    """
    share = float(part) / float(whole) if whole else float("nan")
    if exact or not np.isfinite(share) or share <= 0:
        return Interval(value=share)
    step = float(10.0 ** np.floor(np.log10(share)))
    value = round(round(share / step) * step, 12)
    return Interval(value=value, low=round(value - step / 2, 12), high=round(min(1.0, value + step / 2), 12))
