"""When a daily series changed: levels between changes, and the interval of the day of each change."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PENALTY: Final = 20.0
"""What one more change must explain, in variances of a day: of 200 days without a change it finds one in 100 series."""
LEAST_DAYS: Final = 2
CONFIDENCE_DROP: Final = 7.35
"""-2·ln(1 - √0.95): by so much twice the log likelihood falls at the ends of a 95 % interval of the day."""
NORMAL_MAD: Final = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change of level.

    Args:
        day: First day of the new level, a place in the series.
        low: The earliest it can have been.
        high: The latest.
        before: Level before.
        after: Level after.
    """

    day: int
    low: int
    high: int
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """A series as levels with changes between them.

    Args:
        steps: The changes, in order.
        level: Fitted level of each day, shape (n_days,).
        cost: What is left unexplained, in variances of a day, with the penalty of each step.
    """

    steps: tuple[Step, ...]
    level: Floats
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight line.

    Args:
        first: Its value on the first day.
        last: On the last.
        level: Of each day, shape (n_days,).
        cost: What is left unexplained, in variances of a day, with the penalty of one change.
    """

    first: float
    last: float
    level: Floats
    cost: float


def noise(values: ArrayLike, weights: ArrayLike) -> float:
    """Return the standard deviation of a day of weight one, from neighbouring days: a change of level adds little.

    Args:
        values: The series, shape (n_days,); NaN where a day has no figure.
        weights: Inversely as each day's variance.

    Source: Rice 1984, "Bandwidth choice for nonparametric regression", Annals of Statistics 12:1215 (differences);
        Rousseeuw, Croux 1993 (median absolute deviation as the scale).

    Example:
        >>> noise([1.0, 1.0, 1.0], [1, 1, 1])
        0.0
    """
    series, weight = _known(values, weights)
    if len(series) < 2:  # noqa: PLR2004 - one day has no neighbour
        return float("nan")
    apart = np.diff(series) / np.sqrt(1 / weight[1:] + 1 / weight[:-1])
    return float(NORMAL_MAD * np.median(np.abs(apart)))


def levels(values: ArrayLike, weights: ArrayLike, *, sigma: float | None = None, penalty: float = PENALTY) -> Levels:
    """Return the levels of a series: the fewest that explain it, found exactly.

    Args:
        values: The series without its season, shape (n_days,); NaN where a day has no figure.
        weights: Inversely as each day's variance; the mean of a level is weighted by them.
        sigma: Standard deviation of a day of weight one; None estimates it by `noise`.
        penalty: What one more change must explain.

    Source: Jackson et al. 2005, "An algorithm for optimal partitioning of data on an interval", IEEE Signal
        Processing Letters 12:105; interval of the day: Siegmund 1988, "Confidence sets in change-point problems",
        International Statistical Review 56:31 (likelihood ratio).

    Example:
        >>> found = levels([1, 1.1, 0.9, 1, 1.1, 0.9, 2, 2.1, 1.9, 2, 2.1, 1.9], [100] * 12, sigma=1.0)
        >>> [step.day for step in found.steps]
        [6]
    """
    series, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    there = np.isfinite(series) & (weight > 0)
    scale = noise(series, weight) if sigma is None else sigma
    if there.sum() < 2 * LEAST_DAYS or not scale > 0:
        mean = _mean(series, weight, there)
        return Levels(steps=(), level=np.full(len(series), mean), cost=float("nan"))
    cost = _Costs(np.where(there, series, 0.0), np.where(there, weight, 0.0) / scale**2)
    starts, total = _partition(cost, len(series), penalty)
    bounds = [*starts, len(series)]
    means = [cost.mean(first, stop) for first, stop in pairwise(bounds)]
    level = np.repeat(means, np.diff(bounds))
    steps = [_step(cost, bounds, means, place) for place in range(1, len(starts))]
    return Levels(steps=tuple(steps), level=level, cost=total)


def line(values: ArrayLike, weights: ArrayLike, *, sigma: float | None = None, penalty: float = PENALTY) -> Line:
    """Return the straight line through a series; arguments as `levels`."""
    series, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    there = np.isfinite(series) & (weight > 0)
    scale = noise(series, weight) if sigma is None else sigma
    when = np.arange(len(series), dtype=np.float64)
    weight = np.where(there, weight, 0.0)
    if there.sum() < 2 * LEAST_DAYS or not scale > 0:
        mean = _mean(series, weight, there)
        return Line(first=mean, last=mean, level=np.full(len(series), mean), cost=float("nan"))
    centre = (weight * when).sum() / weight.sum()
    filled = np.where(there, series, 0.0)
    mean = (weight * filled).sum() / weight.sum()
    steep = (weight * (when - centre) * (filled - mean)).sum() / (weight * (when - centre) ** 2).sum()
    level = mean + steep * (when - centre)
    left = float((weight * (filled - level) ** 2).sum() / scale**2)
    return Line(first=float(level[0]), last=float(level[-1]), level=level, cost=left + penalty)


def step_at(values: ArrayLike, weights: ArrayLike, bounds: tuple[int, int, int], *, sigma: float | None = None) -> Step:
    """Return the change on a given day, with the interval that day has by the series alone.

    Args:
        values: As `levels`.
        weights: As `levels`.
        bounds: First day of the stretch before, the day of the change, and the first day after the stretch from it on.
        sigma: As `levels`.
    """
    series, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    there = np.isfinite(series) & (weight > 0)
    scale = noise(series, weight) if sigma is None else sigma
    scaled = weight / scale**2 if scale > 0 else weight
    cost = _Costs(np.where(there, series, 0.0), np.where(there, scaled, 0.0))
    first, day, stop = bounds
    return _step(cost, bounds, (cost.mean(first, day), cost.mean(day, stop)), 1)


class _Costs:
    """Sums of squares about the mean of any stretch, in variances."""

    def __init__(self, values: Floats, weights: Floats) -> None:
        self._weight = np.concatenate([[0.0], np.cumsum(weights)])
        self._first = np.concatenate([[0.0], np.cumsum(weights * values)])
        self._second = np.concatenate([[0.0], np.cumsum(weights * values**2)])

    def of(self, first: NDArray[np.int64] | int, stop: NDArray[np.int64] | int) -> Floats:
        weight = self._weight[stop] - self._weight[first]
        total = self._first[stop] - self._first[first]
        with np.errstate(divide="ignore", invalid="ignore"):
            explained = np.where(weight > 0, total**2 / weight, 0.0)
        cost: Floats = np.maximum(self._second[stop] - self._second[first] - explained, 0.0)
        return cost

    def mean(self, first: int, stop: int) -> float:
        weight = self._weight[stop] - self._weight[first]
        return float((self._first[stop] - self._first[first]) / weight) if weight > 0 else float("nan")


def _partition(cost: _Costs, days: int, penalty: float) -> tuple[list[int], float]:
    """Return the first days of the stretches that cost least."""
    best = np.full(days + 1, np.inf)
    best[0] = -penalty
    origin = np.zeros(days + 1, dtype=np.int64)
    for stop in range(LEAST_DAYS, days + 1):
        first = np.arange(stop - LEAST_DAYS + 1)
        total = best[first] + cost.of(first, stop) + penalty
        origin[stop] = int(np.argmin(total))
        best[stop] = total[origin[stop]]
    starts, stop = [], days
    while stop > 0:
        stop = int(origin[stop])
        starts.append(stop)
    return starts[::-1], float(best[days])


def _step(cost: _Costs, bounds: Sequence[int], means: Sequence[float], place: int) -> Step:
    """Return one change with the interval of its day, between the changes beside it."""
    first, day, stop = bounds[place - 1], bounds[place], bounds[place + 1]
    days = np.arange(first + 1, stop)
    total = cost.of(first, days) + cost.of(days, stop)
    likely = days[total <= total.min() + CONFIDENCE_DROP]
    return Step(
        day=day,
        low=int(min(likely.min(initial=day), day)),
        high=int(max(likely.max(initial=day), day)),
        before=means[place - 1],
        after=means[place],
    )


def _known(values: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats]:
    series, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    there = np.isfinite(series) & (weight > 0)
    return series[there], weight[there]


def _mean(series: Floats, weight: Floats, there: NDArray[np.bool_]) -> float:
    if not there.any():
        return float("nan")
    return float((series[there] * weight[there]).sum() / weight[there].sum())
