"""Stretches in which a daily series lay elsewhere than before, made of its levels."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.dating import Levels, levels, noise
from monitoring.findings import Onset

Floats = NDArray[np.float64]
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One stretch.

    Args:
        first: Its first day, a place in the series.
        stop: The day after its last; None while it lasts.
        low: The earliest day it can have begun on.
        high: The latest.
        before: Level before it.
        level: Mean level within it.
        z: How many standard errors apart.
    """

    first: int
    stop: int | None
    low: int
    high: int
    before: float
    level: float
    z: float

    def onset(self, days: Sequence[dt.date]) -> Onset:
        """Return when it began; a day is the grain, so the interval is a day on either side at least."""
        at, low, high = (midnight(days[place]) for place in (self.first, self.low, self.high))
        return Onset(at=at, low=min(low, at - DAY), high=max(high, at + DAY))

    def ended(self, days: Sequence[dt.date]) -> dt.datetime | None:
        """Return when it was over; None while it lasts."""
        return None if self.stop is None else midnight(days[self.stop - 1]) + DAY


def episodes(values: Floats, weights: Floats, *, least_rel: float, least_abs: float, penalty: float) -> list[Episode]:
    """Return the stretches that lie away from the level before by a least effect.

    Args:
        values: The series, shape (n_days,).
        weights: Inversely as each day's variance, up to a common factor.
        least_rel: Least change, relative to the level before.
        least_abs: Least change in the unit of the series.
        penalty: What a change of level must explain, in variances of a day.
    """
    sigma = noise(values, weights)
    fitted = levels(values, weights, sigma=sigma, penalty=penalty)
    if not fitted.steps or not sigma > 0:
        return []
    return _joined(fitted, weights / sigma**2, least_rel, least_abs)


def _joined(fitted: Levels, weights: Floats, least_rel: float, least_abs: float) -> list[Episode]:
    bounds = [step.day for step in fitted.steps] + [len(weights)]
    found: list[Episode] = []
    base_from, base_to = 0, bounds[0]
    place = 0
    while place < len(fitted.steps):
        step = fitted.steps[place]
        base = _mean(fitted.level, weights, base_from, base_to)
        least = max(least_abs, least_rel * abs(base))
        if abs(step.after - base) < least:
            base_to = bounds[place + 1]
            place += 1
            continue
        last = place
        side = np.sign(step.after - base)
        while last + 1 < len(fitted.steps) and side * (fitted.steps[last + 1].after - base) >= least / 2:
            last += 1
        stop = bounds[last + 1]
        level = _mean(fitted.level, weights, step.day, stop)
        error = (1 / weights[base_from:base_to].sum() + 1 / weights[step.day : stop].sum()) ** 0.5
        found.append(
            Episode(
                first=step.day,
                stop=stop if stop < len(weights) else None,
                low=step.low,
                high=step.high,
                before=base,
                level=level,
                z=float((level - base) / error),
            )
        )
        # What comes back is the old level again, which the next change is held against.
        base_from, base_to = (bounds[last + 1], bounds[last + 2]) if last + 1 < len(fitted.steps) else (base_from, stop)
        place = last + 2
    return found


def midnight(day: dt.date) -> dt.datetime:
    """Return the first moment of a day."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _mean(level: Floats, weights: Floats, first: int, stop: int) -> float:
    return float((level[first:stop] * weights[first:stop]).sum() / weights[first:stop].sum())
