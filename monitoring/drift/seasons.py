"""The week in a series: taken out first, so that a Saturday is not a drift.

Half a year knows nothing of longer seasons; they are not guessed.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

WEEK: Final = 7
LEAST_WEEKS: Final = 4
"""With fewer weeks a weekday has too few days to have a habit."""


def weekday_factors(x: ArrayLike, y: ArrayLike, days: Sequence[dt.date]) -> Floats:
    """Return how a ratio of each weekday stands to that of the seven days around it, mean one, Monday first.

    The median over the weeks is taken, so that an incident of days does not make a weekday. With fewer than
    `LEAST_WEEKS` weeks, or a weekday without a figure, every factor is 1.

    Args:
        x: What stands above the line, shape (n_days,).
        y: Below the line.
        days: Consecutive.

    Source: Cleveland, Devlin 1982, "Calendar effects in monthly time series", J. American Statistical Association
        77:520, in its simplest form: ratio to moving average.

    Example:
        >>> days = [dt.date(2026, 1, 5) + dt.timedelta(days=n) for n in range(28)]
        >>> clicks = [20 if day.weekday() == 5 else 10 for day in days]
        >>> weekday_factors(clicks, [100] * 28, days).round(3).tolist()
        [0.875, 0.875, 0.875, 0.875, 0.875, 1.75, 0.875]
    """
    above, below = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(days) < LEAST_WEEKS * WEEK:
        return np.ones(WEEK)
    window = np.ones(WEEK)
    with np.errstate(divide="ignore", invalid="ignore"):
        around = np.convolve(above, window, "valid") / np.convolve(below, window, "valid")
        inner = slice(WEEK // 2, len(days) - WEEK // 2)
        quotient = (above / below)[inner] / around
    weekday = np.array([day.weekday() for day in days])[inner]
    found = [quotient[(weekday == number) & np.isfinite(quotient)] for number in range(WEEK)]
    if any(len(one) == 0 for one in found):
        return np.ones(WEEK)
    factors = np.array([np.median(one) for one in found])
    if not (factors > 0).all():
        return np.ones(WEEK)
    mean_one: Floats = factors / factors.mean()
    return mean_one


def expected_by_day(factors: ArrayLike, days: Sequence[dt.date]) -> Floats:
    """Return the factor of each day, shape (n_days,)."""
    table = np.asarray(factors, dtype=np.float64)
    return np.array([table[day.weekday()] for day in days])
