"""Did a ratio change between two windows of days? Tests over users, never over events.

A metric is R = Σx / Σy. The same users are in both windows, so the windows are paired: what is random is each unit's
share in the *difference*. Units are users, or random groups of users. `Days` keeps the second moments between days, so
that any two windows are compared, with any season taken out, without going back to the units.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Floats = NDArray[np.float64]

LEAST_UNITS: Final = 20
"""Fewer units that act, counted by their weight, have no distribution to speak of."""
LEAST_UNPAIRED: Final = 50
"""Units that are not paired have each window's whole skewness in their difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Ratios of later windows against earlier ones, shape (n_windows,) each; NaN is not estimable, never 0.

    Args:
        now: The later ratio.
        before: The earlier ratio.
        log_change: ln(now / before).
        se: Standard error of that.
        t: The statistic of the test.
        df: Its degrees of freedom.
        p: Two-sided p-value.
    """

    now: Floats
    before: Floats
    log_change: Floats
    se: Floats
    t: Floats
    df: Floats
    p: Floats

    def interval(self, *, confidence: float = 0.95) -> tuple[Floats, Floats, Floats]:
        """Return the relative change with the ends of its interval.

        Args:
            confidence: Share of intervals that hold the truth, in (0, 1).
        """
        from scipy import special

        confidence = check_scalar(confidence, "confidence", gt=0, lt=1)
        margin = special.stdtrit(np.maximum(self.df, 1), 0.5 + confidence / 2) * self.se
        return np.expm1(self.log_change), np.expm1(self.log_change - margin), np.expm1(self.log_change + margin)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        names = ("now", "before", "log_change", "se", "t", "df", "p")
        return {name: getattr(self, name).tolist() for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """What days add up to, and how the units' sums of one day go with those of another.

    Args:
        above: What stands above the line of each day, shape (n_days,).
        below: Below the line.
        products: Σ over units of x_d·x_e, x_d·y_e and y_d·y_e, shape (2·n_days, 2·n_days), x first.
        units: How many units have any share.
    """

    above: Floats
    below: Floats
    products: Floats
    units: float

    @classmethod
    def of(cls, x: ArrayLike, y: ArrayLike) -> Self:
        """Sum up units.

        Args:
            x: What stands above the line, shape (n_units, n_days).
            y: Below the line.

        Raises:
            InvalidValueError: When the shapes differ.
        """
        above, below = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if above.shape != below.shape or above.ndim != 2:  # noqa: PLR2004 - units and days
            raise InvalidValueError(
                f"shapes == {above.shape}, {below.shape}", "must be (n_units, n_days) twice", "pass one row for a unit"
            )
        both = np.hstack([above, below])
        there = (both != 0).any(axis=1)
        return cls(above=above.sum(axis=0), below=below.sum(axis=0), products=both.T @ both, units=float(there.sum()))

    def compare(
        self, now: ArrayLike, before: ArrayLike, *, season: ArrayLike = 1.0, least_units: float = LEAST_UNITS
    ) -> Comparison:
        """Compare later windows with earlier ones over the same units.

        Under the hypothesis both windows have the pooled ratio P, and each unit adds
        u = (x₁ − P·y₁)/Y₁ − (x₀ − P·y₀)/Y₀ to the difference R₁ − R₀ = Σu, whose variance is n/(n − 1)·Σ(u − ū)². With
        the pooled ratio, and not each window's own, the error keeps its level for rare acts too. The interval is that
        of the log quotient, with each window's own ratio. Units that act are counted by their weight, (Σx)²/Σx²: one
        robot among hundred people makes few units of many, and never are there more of them than users who acted.

        Args:
            now: 1 for the days of a later window, 0 for others, shape (n_days,) or (n_days, n_windows).
            before: The same for the earlier windows.
            season: What the ratio of each day is expected to be beside the others; taken out, shape (n_days,).
            least_units: Units that act in each of the windows, without which nothing is estimable.

        Source: Deng, Knoblich, Lu 2018, "Applying the Delta Method in Metric Analytics", section 3 (ratio, paired);
            Wolter 2007, "Introduction to Variance Estimation", chapter 2 (random groups); Cox, Hinkley 1974,
            "Theoretical Statistics", section 9.3 (score form); Kish 1965, "Survey Sampling", section 11.7 (effective
            number).
        """
        later, earlier = (np.asarray(one, dtype=np.float64).reshape(len(self.above), -1) for one in (now, before))
        expected = np.broadcast_to(np.asarray(season, dtype=np.float64), self.above.shape)[:, None]
        (x1, y1), (x0, y0) = (
            (self.above @ one, self.below @ (one * expected)) for one in (later, earlier)
        )  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio1, ratio0, pooled = x1 / y1, x0 / y0, (x1 + x0) / (y1 + y0)
            under = later / y1 - earlier / y0
            variance = self._spread(under, -pooled * under * expected) * self.units / (self.units - 1)
            own = self._spread(
                later / x1 - earlier / x0, -(later * ratio1 / x1 - earlier * ratio0 / x0) * expected, centred=False
            )
            acting1, acting0 = self.acting(later), self.acting(earlier)
            se = np.sqrt(own * self.units / (self.units - 1))
            t = (ratio1 - ratio0) / np.sqrt(variance)
        return _judged(ratio1, ratio0, se, t, acting1 + acting0 - 2, np.minimum(acting1, acting0) >= least_units)

    def slope(self, *, season: ArrayLike = 1.0, least_units: float = LEAST_UNITS) -> Comparison:
        """Test for a straight line over all days, over the same units.

        The line is fitted to the days' ratios with weights y; ``now`` and ``before`` are its ends, and ``log_change``
        says how the last stands to the first.

        Args:
            season: As `compare`.
            least_units: As `compare`.

        Source: Fuller 2009, "Sampling Statistics", section 2.2 (regression over a linearised ratio).
        """
        weight = self.below * np.broadcast_to(np.asarray(season, dtype=np.float64), self.below.shape)
        expected = np.broadcast_to(np.asarray(season, dtype=np.float64), self.below.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            when = np.arange(len(weight), dtype=np.float64)
            when -= (weight * when).sum() / weight.sum()
            tilt = when / (weight * when**2).sum()
            ratio = self.above.sum() / weight.sum()
            steep = float(self.above @ tilt)
            scale = self.units / (self.units - 1)
            error = self._spread(tilt[:, None], (-ratio * tilt * expected)[:, None]) * scale
            line = ratio + steep * when
            own = self._spread(tilt[:, None], (-line * tilt * expected)[:, None]) * scale
            # d ln(last / first) / d slope
            turn = abs(when[-1] / line[-1] - when[0] / line[0])
            acting = self.acting(np.ones((len(weight), 1)))
            enough = (acting >= least_units) & (line[0] > 0) & (line[-1] > 0)
            return _judged(line[-1:], line[:1], np.sqrt(own) * turn, steep / np.sqrt(error), acting - 1, enough)

    def acting(self, window: Floats) -> Floats:
        """Return how many units act in windows, counted by their weight, shape (n_windows,)."""
        size = len(self.above)
        squares = (window * (self.products[:size, :size] @ window)).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            effective = np.where(squares > 0, (self.above @ window) ** 2 / squares, 0.0)
        return np.asarray(effective, dtype=np.float64)

    def _spread(self, of_x: Floats, of_y: Floats, *, centred: bool = True) -> Floats:
        """Return Σu² about the mean for u = Σ_d (a_d·x_d + b_d·y_d), shape (n_windows,)."""
        both = np.vstack([of_x, of_y])
        squares = (both * (self.products @ both)).sum(axis=0)
        if centred:
            squares = squares - (self.above @ of_x + self.below @ of_y) ** 2 / self.units
        return np.asarray(np.maximum(squares, 0.0), dtype=np.float64)


def paired(x_now: ArrayLike, y_now: ArrayLike, x_before: ArrayLike, y_before: ArrayLike) -> Comparison:
    """Compare two windows over the same units; see `Days.compare`.

    Args:
        x_now: What stands above the line of each unit in the later window, shape (n_units,).
        y_now: Below the line.
        x_before: The same for the earlier window.
        y_before: Below the line.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> shown = rng.poisson(50, (400, 2))
        >>> clicked = rng.binomial(shown, 0.1)
        >>> one = paired(clicked[:, 1], shown[:, 1], clicked[:, 0], shown[:, 0])
        >>> bool(one.p[0] > 0.05)
        True
    """
    x, y = (
        np.column_stack([np.ravel(before), np.ravel(now)]) for before, now in ((x_before, x_now), (y_before, y_now))
    )
    return Days.of(x, y).compare([0, 1], [1, 0])


def welch(x_now: ArrayLike, y_now: ArrayLike, x_before: ArrayLike, y_before: ArrayLike) -> Comparison:
    """Compare two windows over different units, for example on both sides of a change of the pseudonym key.

    Over the same units it is safe but weak: it does not know that users stay who they are.

    Args:
        x_now: What stands above the line of each unit of the later window, shape (n_now,).
        y_now: Below the line.
        x_before: Of the earlier window, shape (n_before,).
        y_before: Below the line.

    Source: Welch 1947, "The generalization of Student's problem", Biometrika 34:28, on the linearised ratio.
    """
    (x1, y1), (x0, y0) = (
        (np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        for x, y in ((x_now, y_now), (x_before, y_before))
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        now, before = x1.sum() / y1.sum(), x0.sum() / y0.sum()
        pooled = (x1.sum() + x0.sum()) / (y1.sum() + y0.sum())
        later, earlier = (_variance((x - pooled * y) / y.sum()) for x, y in ((x1, y1), (x0, y0)))
        own = _variance((x1 - now * y1) / x1.sum())[0] + _variance((x0 - before * y0) / x0.sum())[0]
        both = later[0] + earlier[0]
        df = both**2 / (later[0] ** 2 / later[1] + earlier[0] ** 2 / earlier[1])
        acting = min(x.sum() ** 2 / (x**2).sum() if x.any() else 0.0 for x in (x1, x0))
        t = (now - before) / np.sqrt(both)
    ratio1, ratio0, se, statistic, degrees = (np.array([value]) for value in (now, before, np.sqrt(own), t, df))
    return _judged(ratio1, ratio0, se, statistic, degrees, np.array([acting >= LEAST_UNPAIRED]))


def _variance(shares: Floats) -> tuple[float, float]:
    """Return the variance of the sum of the units' shares, and its degrees of freedom."""
    units = len(shares)
    return float(np.var(shares, ddof=1) * units), units - 1.0


def _judged(now: Floats, before: Floats, se: Floats, t: Floats, df: Floats, enough: NDArray[np.bool_]) -> Comparison:
    from scipy import special

    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log(now / before)
    # A series that never varies has no variance to test by.
    known = enough & np.isfinite(t) & np.isfinite(change) & (se > 0)
    held = [np.where(known, value, np.nan) for value in (change, se, t)]
    df = np.maximum(df, 1.0)
    p = np.where(known, 2 * special.stdtr(df, -np.abs(np.where(known, t, 0.0))), np.nan)
    return Comparison(now=now, before=before, log_change=held[0], se=held[1], t=held[2], df=df, p=p)
