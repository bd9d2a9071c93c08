"""Stretches in which one measure of one service in one region was bad, and when exactly they began and ended.

A stretch is found by the hour: worse than the limit, and worse than is usual there by more than chance. Its ends are
then dated on finer windows: the state changed between two samples, and the moment between them is what is reported.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from monitoring.burn import Floats
from monitoring.findings import Onset

Measure = Literal["errors", "latency", "availability", "memory", "cpu"]
LEVEL: Final = 1e-9
"""Chance of a window so bad when nothing is the matter: 26 weeks of 50 series are 650,000 windows of three measures."""
WORSE: Final = 2.0
"""A stretch must be this many times what is usual in its series: what is always bad is a missed objective."""
SAME: Final = 0.2
"""A window beside a stretch belongs to it from this share of the way from the usual to the worst on."""
LEAST_BAD: Final = 10
"""Bad ones in a window: at low traffic a few errors are no incident."""
BRIDGED: Final = 1
"""Good or unknown windows inside a stretch that do not end it."""
CHI_SQUARE: Final = 3.841
"""Of one degree of freedom, 95 %."""
LEAST_POINTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Windows of a series that belong together.

    Args:
        first: Index of the first.
        last: Index of the last.
        p_value: Of the least likely window, before any adjustment.
    """

    first: int
    last: int
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One stretch, dated.

    Args:
        measure: What was bad.
        service: Where.
        region: Likewise.
        began: When it began.
        ended: When it was over; None while it lasts.
        usual: What is usual there: a share.
        level: What it was in the stretch, all of it together; a growth by day where memory leaks.
        low: The least it may have been.
        high: The most.
        worst: The worst window.
        total: Requests or minutes in it.
        p_value: Of the least likely window.
        leaking: Whether memory grew in a line.
    """

    measure: Measure
    service: str
    region: str
    began: Onset
    ended: Onset | None
    usual: float
    level: float
    low: float | None = None
    high: float | None = None
    worst: float
    total: float = 0.0
    p_value: float | None = None
    leaking: bool = False

    @property
    def until(self) -> dt.datetime:
        """The latest it can have been over."""
        return self.ended.high if self.ended else dt.datetime.max.replace(tzinfo=dt.UTC)


def usual_share(bad: Floats, total: Floats, limit: float) -> float:
    """Return the share that is usual in a series: all its windows together, without those beyond the limit.

    A series in which most windows are beyond has its median.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = bad / total
    known = ~np.isnan(share)
    if not known.any():
        return math.nan
    within = known & (share <= limit)
    if 2 * within.sum() < known.sum():
        return float(np.median(share[known]))
    return float(bad[within].sum() / total[within].sum())


def bad_runs(bad: Floats, total: Floats, *, limit: float, usual: float, least: int = 1) -> list[Run]:
    """Find the stretches in which a share was too high.

    Args:
        bad: Bad ones in each window, shape (n_windows,).
        total: All of each window; NaN where nothing is known.
        limit: Share that may not be passed.
        usual: Share that is usual.
        least: Windows in a row that make a stretch.

    Source: of the chance, the Poisson tail P(X >= k) = P(k, mu), the regularised incomplete gamma function (Abramowitz
        and Stegun 1964, 26.4.21).

    Example:
        >>> bad, total = np.array([1.0, 0, 2, 80, 90, 1]), np.full(6, 1000.0)
        >>> [(run.first, run.last) for run in bad_runs(bad, total, limit=0.01, usual=0.001)]
        [(3, 4)]
    """
    from scipy.special import gammainc

    with np.errstate(divide="ignore", invalid="ignore"):
        share = bad / total
        # A usual of 0 was counted, not known: half a bad one in all there was.
        expected = np.maximum(usual, 0.5 / max(1.0, float(np.nansum(total)))) * total
        chance = np.where(bad > 0, gammainc(np.maximum(bad, 1e-9), np.maximum(expected, 1e-12)), 1.0)
        beyond = (share > max(limit, WORSE * usual)) & (chance < LEVEL) & (bad >= LEAST_BAD)
    return [
        Run(first=first, last=last, p_value=float(np.nanmin(chance[first : last + 1])))
        for first, last in _stretches(beyond, share, usual, least)
    ]


def high_runs(values: Floats, *, limit: float, least: int) -> list[Run]:
    """Find the stretches in which a value lay above its limit for some windows in a row.

    Example:
        >>> high_runs(np.array([0.5, 0.9, 0.5, 0.9, 0.9, 0.5]), limit=0.8, least=2)
        [Run(first=3, last=4, p_value=None)]
    """
    with np.errstate(invalid="ignore"):
        beyond = values > limit
    return [Run(first=first, last=last) for first, last in grouped(beyond, bridged=0) if last - first + 1 >= least]


def _stretches(beyond: npt.NDArray[np.bool_], share: Floats, usual: float, least: int) -> list[tuple[int, int]]:
    """Return runs with the windows beside them that are partly in it."""
    found: list[tuple[int, int]] = []
    for first, last in grouped(beyond, bridged=BRIDGED):
        if last - first + 1 < least:
            continue
        edge = usual + SAME * (float(np.nanmax(share[first : last + 1])) - usual)
        begin, end = first, last
        while begin > 0 and share[begin - 1] > edge:
            begin -= 1
        while end < len(share) - 1 and share[end + 1] > edge:
            end += 1
        if found and begin <= found[-1][1] + 1:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found


def grouped(flags: npt.NDArray[np.bool_], *, bridged: int) -> list[tuple[int, int]]:
    """Return (first, last) of the runs of true, over at most some false ones in between.

    Example:
        >>> grouped(np.array([True, False, True, False, False, True]), bridged=1)
        [(0, 2), (5, 5)]
    """
    places = np.flatnonzero(flags)
    if not len(places):
        return []
    cuts = np.flatnonzero(np.diff(places) > bridged + 1)
    firsts = places[np.concatenate([[0], cuts + 1])]
    lasts = places[np.concatenate([cuts, [len(places) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Where a series changed its state, in samples.

    Args:
        before: Index of the last sample of the state before.
        earliest: The earliest it can have been.
        latest: The latest.
    """

    before: int
    earliest: int
    latest: int


def edge(values: Floats, members: Sequence[int]) -> Edge | None:
    """Date the one change of level in a short series of overlapping windows.

    Args:
        values: One for each window; the windows end one sample after another.
        members: Which samples a window is made of, counted from its end: (-1, 0) for the growth of a counter over two,
            (-2, -1, 0) for a mean that takes in both ends.

    Returns:
        The sample after which it changed, with the interval of that; None when too few windows are known.

    Source: Hinkley 1970, "Inference about the change-point in a sequence of random variables", Biometrika 57(1),
        section 2: maximum likelihood with levels estimated; the interval is where twice the log likelihood ratio stays
        below its 95 % quantile, and at least one sample.

    Example:
        >>> edge(np.array([0, 0, 0, 0, 0, 0.5, 1, 1, 1, 1, 1]), (-1, 0)).before
        4
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < LEAST_POINTS:
        return None
    y = values[known]
    candidates = np.arange(known[0], known[-1])
    after = (known[None, :, None] + np.asarray(members)[None, None, :] > candidates[:, None, None]).mean(axis=2)
    centred = after - after.mean(axis=1, keepdims=True)
    spread = (centred**2).sum(axis=1)
    slope = np.divide(centred @ (y - y.mean()), spread, out=np.zeros(len(spread)), where=spread > 0)
    rest = ((y - y.mean()) ** 2).sum() - slope**2 * spread
    best = int(np.argmin(rest))
    noise = max(float(rest[best]) / max(1, len(y) - 3), 1e-12)
    near = np.flatnonzero(rest - rest[best] <= CHI_SQUARE * noise)
    return Edge(before=int(candidates[best]), earliest=int(candidates[near[0]]), latest=int(candidates[near[-1]]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinge:
    """A level that turns into a line.

    Args:
        at: Where it turns, in the unit of time that was given.
        low: The earliest, 95 %.
        high: The latest.
        level: Before it.
        growth: After it, by unit of time.
        error: Standard error of the growth.
    """

    at: float
    low: float
    high: float
    level: float
    growth: float
    error: float


def hinge(times: Floats, values: Floats) -> Hinge | None:
    """Fit y = level + growth · max(0, t - at) by least squares; return None when it does not grow.

    Args:
        times: Ascending, shape (n,).
        values: NaN where nothing is known.

    Source: Hudson 1966, "Fitting segmented curves whose join points have to be estimated", JASA 61(316); the interval
        from the profile of the sum of squares, widened by the correlation of neighbouring residuals.

    Example:
        >>> times = np.arange(100.0)
        >>> round(hinge(times, 0.5 + 0.01 * np.maximum(0, times - 40)).at)
        40
    """
    known = ~np.isnan(values)
    t, y = times[known], values[known]
    if len(t) < LEAST_POINTS:
        return None
    coarse = np.linspace(t[0], t[-1], 201)[:-1]
    rest, _, _ = _hinges(t, y, coarse)
    width = coarse[1] - coarse[0]
    middle = coarse[int(np.argmin(rest))]
    turns = np.linspace(max(t[0], middle - 20 * width), min(t[-2], middle + 20 * width), 2_001)
    rest, level, growth = _hinges(t, y, turns)
    best = int(np.argmin(rest))
    if growth[best] <= 0:
        return None
    fitted = level[best] + growth[best] * np.maximum(0, t - turns[best])
    residual = y - fitted
    together = _together(residual)
    noise = max(float(rest[best]) / max(1, len(y) - 3), 1e-18) * together
    near = np.flatnonzero(rest - rest[best] <= CHI_SQUARE * noise)
    ramp = np.maximum(0, t - turns[best])
    spread = float(((ramp - ramp.mean()) ** 2).sum())
    return Hinge(
        at=float(turns[best]),
        low=float(turns[near[0]]),
        high=float(turns[near[-1]]),
        level=float(level[best]),
        growth=float(growth[best]),
        error=math.sqrt(noise / spread) if spread > 0 else math.inf,
    )


def _hinges(t: Floats, y: Floats, turns: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (sum of squares, level, growth) of the best hinge that turns at each moment."""
    ramps = np.maximum(0, t[None, :] - turns[:, None])
    centred = ramps - ramps.mean(axis=1, keepdims=True)
    spread = (centred**2).sum(axis=1)
    growth = np.divide(centred @ (y - y.mean()), spread, out=np.zeros(len(turns)), where=spread > 0)
    rest = ((y - y.mean()) ** 2).sum() - growth**2 * spread
    return rest, y.mean() - growth * ramps.mean(axis=1), growth


def _together(residual: Floats) -> float:
    """Return by how much the variance of sums is larger than that of independent residuals: neighbours only."""
    power = float((residual**2).sum())
    if power <= 0:
        return 1.0
    return max(1.0, 1 + 2 * float((residual[1:] * residual[:-1]).sum()) / power)


def between(before_s: float, after_s: float, *, low_s: float | None = None, high_s: float | None = None) -> Onset:
    """Return the moment between two samples, with its interval.

    Args:
        before_s: The last sample of the state before, in seconds since 1970.
        after_s: The first of the state after.
        low_s: The earliest it can have been, where that is before.
        high_s: The latest, where that is after.
    """
    low, high = min(before_s, low_s or before_s), max(after_s, high_s or after_s)
    at = (before_s + after_s) / 2
    return Onset(at=moment(at), low=moment(low), high=moment(high))


def moment(seconds: float) -> dt.datetime:
    """Return a moment from seconds since 1970."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
