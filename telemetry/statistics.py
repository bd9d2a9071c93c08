"""Intervals of ratios, by user or by random group of users, from centred sums.

A metric is R = Σx / Σy over users, for example clicks over impressions. Events of one user resemble one another, so the
unit of chance is the user: with the residual e = x − R·y of every unit, Var(R) ≈ Σe² / ((n − 1)·n·ȳ²).

The engine returns counts, means and centred second moments only; never raw sums of squares, which cancel.

Source: Deng, Knoblich, Lu 2018, "Applying the Delta Method in Metric Analytics", section 3 (users); Wolter 2007,
"Introduction to Variance Estimation", chapter 2 (random groups, with one degree of freedom less than groups).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from workspace.checks import check_scalar

Floats = NDArray[np.float64]

LEAST_POINTS: Final = 4
"""Fisher's interval of a correlation divides by n − 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Means and centred second moments of two quantities over the units of each cell, shape (n_cells,) each.

    Args:
        units: Units with any row.
        contributing: Units that have a share in either sum; the others are neither counted nor a degree of freedom.
    """

    units: Floats
    contributing: Floats
    mean_x: Floats
    mean_y: Floats
    var_x: Floats
    var_y: Floats
    cov_xy: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Ratios with their intervals, shape (n_cells,); not estimable is NaN, never 0."""

    value: Floats
    low: Floats
    high: Floats


def ratios(moments: Moments, *, confidence: float = 0.95) -> Ratios:
    """Return R = Σx / Σy of each cell with its interval.

    Args:
        moments: What the units have.
        confidence: Share of intervals that hold the truth, in (0, 1).

    Example:
        >>> one = np.ones(1)
        >>> m = Moments(units=4*one, contributing=4*one, mean_x=one, mean_y=2*one, var_x=one, var_y=one, cov_xy=0*one)
        >>> ratios(m).value.tolist()
        [0.5]
    """
    confidence = check_scalar(confidence, "confidence", gt=0, lt=1)
    value = _divided(moments.mean_x, moments.mean_y)
    residual = moments.var_x - 2 * value * moments.cov_xy + value**2 * moments.var_y
    # The residuals of units that contribute nothing are 0, and their mean is 0: leaving them out changes no sum.
    squares = np.clip(residual, 0, None) * (moments.units - 1)
    total_y = moments.mean_y * moments.units
    variance = _divided(squares * moments.contributing, (moments.contributing - 1) * total_y**2)
    margin = _quantile(moments.contributing, confidence) * np.sqrt(variance)
    return Ratios(value=value, low=value - margin, high=value + margin)


def relative_change(
    means: ArrayLike, covariance: ArrayLike, units: float, *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return how much a ratio changed between two periods, R₁/R₂ − 1, with its interval.

    The same users are in both periods, so their covariance counts. The logarithm of the quotient is what is near to
    normal: its variance is that of the mean of x₁/x̄₁ − y₁/ȳ₁ − x₂/x̄₂ + y₂/ȳ₂.

    Args:
        means: x₁, y₁, x₂, y₂ a unit, shape (4,).
        covariance: Of the four over units, shape (4, 4).
        units: How many units.
        confidence: Share of intervals that hold the truth, in (0, 1).

    Returns:
        The change, the low and the high end; NaN where a sum is 0 or units are fewer than two.

    Example:
        >>> change, low, high = relative_change([1.1, 10, 1, 10], np.diag([0.1, 0, 0.1, 0]), 1000)
        >>> round(change, 3), low < 0.1 < high
        (0.1, True)
    """
    confidence = check_scalar(confidence, "confidence", gt=0, lt=1)
    mean = np.asarray(means, dtype=np.float64)
    if units < 2 or not np.all(mean > 0):  # noqa: PLR2004 - one unit has no variance
        return (np.nan, np.nan, np.nan)
    gradient = np.array([1.0, -1.0, -1.0, 1.0]) / mean
    variance = max(float(gradient @ np.asarray(covariance, dtype=np.float64) @ gradient), 0.0) / units
    quotient = float(np.log(mean[0] / mean[1]) - np.log(mean[2] / mean[3]))
    margin = float(_quantile([units], confidence)[0]) * variance**0.5
    return (
        float(np.expm1(quotient)),
        float(np.expm1(quotient - margin)),
        float(np.expm1(quotient + margin)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Pearson's correlation of two series with its interval.

    Args:
        value: In [−1, 1].
        low: Low end.
        high: High end.
        points: How many pairs.
    """

    value: float
    low: float
    high: float
    points: int

    def to_dict(self) -> dict[str, Any]:
        """Return the correlation as plain data."""
        return {"value": self.value, "ci95": [self.low, self.high], "points": self.points}


def correlation(x: ArrayLike, y: ArrayLike, *, confidence: float = 0.95) -> Correlation | None:
    """Return the correlation of two series, or None when there are too few pairs or one series stands still.

    The interval takes the pairs for independent. Neighbouring weeks are not quite, so it is rather too narrow.

    Args:
        x: One series, shape (n,); pairs with a NaN are left out.
        y: The other.
        confidence: Share of intervals that hold the truth, in (0, 1).

    Source: Fisher 1921, the z transformation: atanh(r) ± z/√(n − 3).

    Example:
        >>> correlation([1, 2, 3], [1, 2, 3]) is None
        True
    """
    confidence = check_scalar(confidence, "confidence", gt=0, lt=1)
    pairs = np.column_stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < LEAST_POINTS or np.any(np.ptp(pairs, axis=0) == 0):
        return None
    value = float(np.clip(np.corrcoef(pairs[:, 0], pairs[:, 1])[0][1], -1, 1))
    with np.errstate(divide="ignore"):
        centre = np.arctanh(value)
    margin = stats.norm.ppf(0.5 + confidence / 2) / np.sqrt(len(pairs) - 3)
    return Correlation(
        value=value, low=float(np.tanh(centre - margin)), high=float(np.tanh(centre + margin)), points=len(pairs)
    )


def distinct_users(harmonic: ArrayLike, seen: ArrayLike, registers: int) -> Floats:
    """Estimate distinct users from the registers of a HyperLogLog sketch.

    Args:
        harmonic: Σ 2^−register over all registers, shape (n_cells,).
        seen: Registers that are not 0, shape (n_cells,); each is at least one user.
        registers: How many there are, m; the standard error is 1.04/√m.

    Source: Flajolet, Fusy, Gandouet, Meunier 2007; hashes of 63 bits need no correction for large counts.

    Example:
        >>> distinct_users([4096.0], [0], 4096).tolist()
        [0.0]
    """
    sums, occupied = np.asarray(harmonic, dtype=np.float64), np.asarray(seen, dtype=np.float64)
    raw = 0.7213 / (1 + 1.079 / registers) * registers**2 / sums
    empty = registers - occupied
    counted = registers * np.log(registers / np.maximum(empty, 1))
    estimate = np.where((raw <= 2.5 * registers) & (empty > 0), counted, raw)
    return np.asarray(np.maximum(np.rint(estimate), occupied), dtype=np.float64)


def _divided(above: Floats, below: Floats) -> Floats:
    # Nothing below the line: there is no rate, and certainly not one of 0.
    out = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=out, where=np.asarray(below) > 0)
    return out


def _quantile(units: ArrayLike, confidence: float) -> Floats:
    degrees = np.maximum(np.asarray(units, dtype=np.float64) - 1, 1)
    quantiles: Floats = np.atleast_1d(stats.t.ppf(0.5 + confidence / 2, degrees))
    return quantiles
