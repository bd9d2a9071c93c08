"""Error budgets and how fast they burn: from counts of good and bad over stretches of time, without any store.

A burn rate of 1 uses the budget up exactly at the end of its window. An alert fires when a long and a short window both
burn faster than a factor: the long one says that it matters, the short one that it still goes on.

Source: Beyer, Murphy, Rensin, Kawahara, Thorne (eds.), The Site Reliability Workbook (2018), chapter 5, "Alerting on
SLOs": section 6, multiwindow, multi-burn-rate alerts (table 5-8), and "Low-traffic services and error budget alerting".
"""

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from monitoring.findings import Interval
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Level = Literal["page", "ticket"]
Floats = npt.NDArray[np.float64]
LEAST_SLOT: Final = dt.timedelta(minutes=10)
"""The shortest window that holds two samples five minutes apart; a shorter one of a rule is taken this wide."""
LEAST_COVERED: Final = 0.5
"""Share of a window that must be known for its rate to be judged."""
LEAST_DAYS: Final = 7
CONFIDENCE: Final = 0.95
_DURATION: Final = re.compile(r"([1-9]\d{0,4})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY_S: Final = 86_400


def duration(text: str) -> dt.timedelta:
    """Return how long a text says.

    Raises:
        InvalidValueError: When it is no whole number with a unit.

    Example:
        >>> duration("28d").days
        28
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise InvalidValueError(f"duration == {text!r}", "must be a number and s, m, h, d or w", "write 10m, 6h or 28d")
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def words(length: dt.timedelta) -> str:
    """Return a length of time as people say it, in its two largest units.

    Example:
        >>> words(dt.timedelta(hours=63))
        '2 d 15 h'
    """
    minutes = max(0, round(length.total_seconds() / 60))
    parts = [(minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "min")]
    said = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(said[:2]) or "0 min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Good and bad over slots of time, one after another; slots may have different widths.

    Args:
        end_s: End of each slot, in seconds since 1970, ascending, shape (n_slots,).
        width_s: Its width.
        total: What was counted in it (requests, or minutes); NaN where nothing is known.
        bad: How much of that was bad; NaN likewise.

    Raises:
        InvalidValueError: When the shapes differ, the slots are not in order, or more is bad than was counted.
    """

    end_s: Floats
    width_s: Floats
    total: Floats
    bad: Floats

    def __post_init__(self) -> None:
        shapes = {one.shape for one in (self.end_s, self.width_s, self.total, self.bad)}
        if len(shapes) > 1:
            raise InvalidValueError(f"the counts have shapes {sorted(shapes)}", "must have one shape")
        if (np.diff(self.end_s) <= 0).any():
            raise InvalidValueError("the slots are not in order", "must end one after another")
        with np.errstate(invalid="ignore"):
            if (self.bad > self.total * (1 + 1e-9)).any() or (self.bad < 0).any():
                raise InvalidValueError("a slot has more bad than there was, or less than none", "must be 0 … total")

    def over(self, window: dt.timedelta, until_s: float) -> "Stretch":
        """Add up the slots that lie wholly in the window before a moment."""
        width = max(window, LEAST_SLOT).total_seconds()
        inside = (self.end_s <= until_s) & (self.end_s - self.width_s >= until_s - width - 1e-6)
        known = inside & ~np.isnan(self.total) & ~np.isnan(self.bad)
        return Stretch(
            total=float(self.total[known].sum()),
            bad=float(self.bad[known].sum()),
            covered=float(self.width_s[known].sum()) / width,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What was counted in a window.

    Args:
        total: What was counted.
        bad: How much of it was bad.
        covered: Share of the window that is known, 0 … 1.
    """

    total: float
    bad: float
    covered: float

    def rate(self, target: float) -> float | None:
        """Return the burn rate: the share that is bad by the share that may be; None where it is not estimable."""
        if self.covered < LEAST_COVERED or self.total <= 0:
            return None
        return self.bad / self.total / (1 - target)


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRule:
    """When a budget burns too fast.

    Args:
        level: Whether somebody is woken up.
        factor: Burn rate that both windows must reach.
        long: The window that says it matters.
        short: The one that says it goes on.

    Raises:
        InvalidValueError: When the factor is not above 0, or the short window is not the shorter.
    """

    level: Level
    factor: float
    long: dt.timedelta
    short: dt.timedelta

    def __post_init__(self) -> None:
        check_scalar(self.factor, "factor", gt=0)
        if not self.short < self.long:
            raise InvalidValueError(f"short == {words(self.short)}", f"must be shorter than {words(self.long)}")

    @property
    def text(self) -> str:
        """The rule in words."""
        return f"{self.factor:g} times the allowed rate over {words(self.long)} and {words(self.short)}"


WORKBOOK: Final = (
    BurnRule(level="page", factor=14.4, long=dt.timedelta(hours=1), short=dt.timedelta(minutes=5)),
    BurnRule(level="page", factor=6.0, long=dt.timedelta(hours=6), short=dt.timedelta(minutes=30)),
    BurnRule(level="ticket", factor=3.0, long=dt.timedelta(days=1), short=dt.timedelta(hours=2)),
    BurnRule(level="ticket", factor=1.0, long=dt.timedelta(days=3), short=dt.timedelta(hours=6)),
)
"""The table of the workbook, its third line (1 d and 2 h) included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """How much must have been counted before a budget may alert: at low traffic one error must not page.

    Args:
        least_total: Of the long window.
        least_bad: Likewise, bad ones.
    """

    least_total: float = 500.0
    least_bad: float = 5.0

    def __post_init__(self) -> None:
        check_scalar(self.least_total, "least_total", ge=0)
        check_scalar(self.least_bad, "least_bad", ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """How one rule stands.

    Args:
        rule: The rule.
        long_rate: Burn rate of the long window; None where it is not estimable.
        short_rate: Of the short one.
        total: Counted in the long window.
        bad: Bad ones of them.
        fires: Whether both burn too fast and enough was counted.
        note: Why it can't be judged, or is held back; empty otherwise.
    """

    rule: BurnRule
    long_rate: float | None
    short_rate: float | None
    total: float
    bad: float
    fires: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "level": self.rule.level,
            "factor": self.rule.factor,
            "long_s": self.rule.long.total_seconds(),
            "short_s": self.rule.short.total_seconds(),
            "long_rate": self.long_rate,
            "short_rate": self.short_rate,
            "total": self.total,
            "bad": self.bad,
            "fires": self.fires,
            "note": self.note,
        }


def burn(counts: Counts, rule: BurnRule, *, target: float, until_s: float, guard: Guard | None = None) -> Burn:
    """Judge one rule at a moment.

    Args:
        counts: Good and bad.
        rule: The rule.
        target: Share that shall be good, 0 … 1 exclusive.
        until_s: The moment, in seconds since 1970.
        guard: How much must have been counted.

    Raises:
        InvalidValueError: When the target is not between 0 and 1.

    Example:
        >>> slots = np.arange(1, 7) * 600.0
        >>> counts = Counts(end_s=slots, width_s=slots * 0 + 600, total=slots * 0 + 200, bad=slots * 0 + 4)
        >>> burn(counts, WORKBOOK[0], target=0.999, until_s=3600).fires
        True
    """
    check_scalar(target, "target", gt=0, lt=1)
    guard = guard or Guard()
    long, short = counts.over(rule.long, until_s), counts.over(rule.short, until_s)
    long_rate, short_rate = long.rate(target), short.rate(target)
    fast = long_rate is not None and short_rate is not None and min(long_rate, short_rate) >= rule.factor
    enough = long.total >= guard.least_total and long.bad >= guard.least_bad
    note = ""
    if long_rate is None or short_rate is None:
        which, stretch = (rule.long, long) if long_rate is None else (rule.short, short)
        note = f"not estimable: {stretch.covered:.0%} of {words(which)} is known, {LEAST_COVERED:.0%} are needed"
        if stretch.covered >= LEAST_COVERED:
            note = f"not estimable: nothing was counted in {words(which)}"
    elif fast and not enough:
        note = (
            f"held back: {long.bad:.0f} bad of {long.total:.0f} in {words(rule.long)}, "
            f"{guard.least_bad:g} of {guard.least_total:g} are needed"
        )
    return Burn(
        rule=rule,
        long_rate=long_rate,
        short_rate=short_rate,
        total=long.total,
        bad=long.bad,
        fires=fast and enough,
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What is left of an error budget.

    Args:
        attained: Share that was good; None where nothing was counted. Its interval is that of other windows of the
            same length from the same services: days are the units, since bad moments come together.
        remaining: Share of the budget that is left; below 0 when more was bad than may be.
        total: What was counted.
        bad: How much of it was bad.
        allowed: How much may be bad.
        covered: Share of the window that is known.
        note: What is missing; empty when nothing is.
    """

    attained: Interval | None
    remaining: Interval | None
    total: float
    bad: float
    allowed: float
    covered: float
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "attained": self.attained.to_dict() if self.attained else None,
            "remaining": self.remaining.to_dict() if self.remaining else None,
            "total": self.total,
            "bad": self.bad,
            "allowed": self.allowed,
            "covered": self.covered,
            "note": self.note,
        }


def budget(counts: Counts, *, target: float, window: dt.timedelta, until_s: float) -> Budget:
    """Return what is left of the budget of a window.

    Args:
        counts: Good and bad.
        target: Share that shall be good, 0 … 1 exclusive.
        window: Over which.
        until_s: Its end, in seconds since 1970.

    Raises:
        InvalidValueError: When the target is not between 0 and 1.

    Source: Cochran, Sampling Techniques (1977), section 2.11: the ratio of two means over days.
    """
    check_scalar(target, "target", gt=0, lt=1)
    stretch = counts.over(window, until_s)
    allowed = (1 - target) * stretch.total
    if stretch.total <= 0:
        return Budget(
            attained=None,
            remaining=None,
            total=0.0,
            bad=0.0,
            allowed=0.0,
            covered=stretch.covered,
            note=f"not estimable: nothing was counted in {words(window)}",
        )
    share = stretch.bad / stretch.total
    days, half = _half_width(counts, window, until_s)
    note = "" if half is not None else f"no interval: {days} whole days are known, {LEAST_DAYS} are needed"
    if stretch.covered < 1 - 0.5 / 24:
        known = dt.timedelta(seconds=stretch.covered * window.total_seconds())
        note = "; ".join(filter(None, (f"{words(known)} of {words(window)} are known", note)))
    low, high = (None, None) if half is None else (max(0.0, share - half), min(1.0, share + half))
    return Budget(
        attained=_interval(1 - share, high if high is None else 1 - high, low if low is None else 1 - low),
        remaining=_interval(
            1 - share / (1 - target),
            None if high is None else 1 - high / (1 - target),
            None if low is None else 1 - low / (1 - target),
        ),
        total=stretch.total,
        bad=stretch.bad,
        allowed=allowed,
        covered=stretch.covered,
        note=note,
    )


def _interval(value: float, low: float | None, high: float | None) -> Interval:
    return Interval(value=value, low=low, high=high)


def _half_width(counts: Counts, window: dt.timedelta, until_s: float) -> tuple[int, float | None]:
    """Return (days, half the width of the interval of the bad share) with days, counted back from the end, as units."""
    from scipy.special import stdtrit

    known = (counts.end_s <= until_s) & (counts.end_s - counts.width_s >= until_s - window.total_seconds() - 1e-6)
    known &= ~np.isnan(counts.total) & ~np.isnan(counts.bad)
    # Days end where the window ends, so that all are whole.
    day = ((until_s - counts.end_s[known]) // _DAY_S).astype(np.int64)
    total = np.bincount(day, counts.total[known])
    bad = np.bincount(day, counts.bad[known])
    there = total > 0
    total, bad = total[there], bad[there]
    days = len(total)
    if days < LEAST_DAYS:
        return days, None
    residual = bad - bad.sum() / total.sum() * total
    error = math.sqrt((residual**2).sum() / (days - 1) / days) / float(total.mean())
    return days, float(stdtrit(days - 1, (1 + CONFIDENCE) / 2)) * error
