"""What two groups differ by: difference and ratio with intervals at any level, and a p-value that agrees with them."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

from scipy import optimize, special

from audit.clusters import Spread
from audit.disparity import Interval, score_interval
from experiments.estimates import Estimate, check_alpha, critical_value, p_value

_FURTHEST: Final = 38.0
"""Critical value beyond which a normal p-value is 0 in double precision."""


class Contrast(Protocol):
    """A comparison of two groups that answers at any level."""

    @property
    def p(self) -> float:
        """Of "no difference"."""
        ...

    def difference_interval(self, alpha: float) -> Interval:
        """Return the interval of group minus reference."""
        ...

    def ratio_interval(self, alpha: float) -> Interval | None:
        """Return the interval of group over reference; None when it has no bound."""
        ...

    def critical(self, alpha: float) -> float:
        """Return the two-sided critical value."""
        ...

    def se_at(self, ratio: float) -> float:
        """Return the standard error of the difference, were the ratio this."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Two shares of groups that have no unit in common: limits put together from Wilson's intervals.

    Difference, ratio and p are one procedure: the ratio's interval holds 1 exactly when the difference's holds 0, and
    both do exactly when p ≥ alpha. Shares of 0 and 1 are no special case.

    Source: Newcombe (1998), as `audit.disparity.newcombe`, for the difference; Donner & Zou (2012), Closed-form
    confidence intervals for functions of the normal mean and standard deviation, Statistical Methods in Medical
    Research 21:347, eq. 9 (MOVER-R), for the ratio. With clusters, Wilson's intervals take the effective number of
    units and the t quantile: Korn & Graubard (1998), Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data, Survey Methodology 24:193.

    Args:
        p1: Share of the group.
        n1: Its effective units.
        p0: Share of the reference.
        n0: Its effective units.
        df: Degrees of freedom; infinite without clusters.
    """

    p1: float
    n1: float
    p0: float
    n0: float
    df: float

    @classmethod
    def of(cls, spread: Spread) -> "Shares":
        """Return the contrast of two shares from their spread over clusters."""
        return cls(
            p1=spread.mean,
            n1=_effective(spread.mean, spread.var, spread.rows, spread.units),
            p0=spread.mean_reference,
            n0=_effective(spread.mean_reference, spread.var_reference, spread.rows_reference, spread.units_reference),
            df=math.inf if spread.singletons else spread.df,
        )

    @property
    def p(self) -> float:
        """The alpha at which the interval of the difference ends at 0."""
        apart = abs(self.p1 - self.p0)
        if apart == 0:
            return 1.0

        def short(critical: float) -> float:
            low, high = self._reach(critical)
            return (low if self.p1 > self.p0 else high) - apart

        if short(_FURTHEST) < 0:
            return _two_sided(_FURTHEST, self.df)
        return _two_sided(float(optimize.brentq(short, 0.0, _FURTHEST, xtol=1e-12, rtol=1e-14)), self.df)

    def difference_interval(self, alpha: float) -> Interval:
        """Return the interval of group minus reference."""
        low, high = self._reach(self.critical(alpha))
        return self.p1 - self.p0 - low, self.p1 - self.p0 + high

    def ratio_interval(self, alpha: float) -> Interval | None:
        """Return the interval of group over reference; None when the reference's share is 0."""
        if self.p0 == 0:
            return None
        critical = self.critical(alpha)
        (l1, u1), (l0, u0) = score_interval(self.p1, self.n1, critical), score_interval(self.p0, self.n0, critical)
        middle = self.p1 * self.p0
        below = math.sqrt(max(middle**2 - l1 * u0 * (2 * self.p1 - l1) * (2 * self.p0 - u0), 0.0))
        above = math.sqrt(max(middle**2 - u1 * l0 * (2 * self.p1 - u1) * (2 * self.p0 - l0), 0.0))
        # The lower root in the form that keeps its digits, and its value where u0 is 2 p0.
        low = l1 * (2 * self.p1 - l1) / (middle + below) if middle + below > 0 else 0.0
        return low, (middle + above) / (l0 * (2 * self.p0 - l0))

    def critical(self, alpha: float) -> float:
        """Return the two-sided critical value."""
        check_alpha(alpha)
        if math.isinf(self.df):
            return float(-special.ndtri(alpha / 2))
        return critical_value(self.df, alpha, "two")

    def se_at(self, ratio: float) -> float:
        """Return the standard error of the difference, were the ratio this."""
        moved = min(ratio * self.p0, 1.0)
        return math.sqrt(moved * (1 - moved) / self.n1 + self.p0 * (1 - self.p0) / self.n0)

    def _reach(self, critical: float) -> Interval:
        (l1, u1), (l0, u0) = score_interval(self.p1, self.n1, critical), score_interval(self.p0, self.n0, critical)
        return math.hypot(self.p1 - l1, u0 - self.p0), math.hypot(u1 - self.p1, self.p0 - l0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Two means with their covariance: t for the difference, Fieller for the ratio.

    Where the reference's mean can't be told from 0, Fieller's set has no bound; then the interval of the log ratio
    stands in, when both means are above 0.

    Source: `experiments.estimates.Estimate` (Fieller 1954); Katz, Baptista, Azen & Pike (1978), Obtaining confidence
    intervals for the risk ratio in cohort studies, Biometrics 34:469, with the variance by the delta method.

    Args:
        estimate: The reference as control, the group as variant.
    """

    estimate: Estimate

    @classmethod
    def of(cls, spread: Spread) -> "Means | None":
        """Return the contrast of two means from their spread over clusters; None when nothing varies."""
        spread = spread.careful
        variance = spread.difference_variance
        if variance <= 0:
            return None
        diff, se = spread.mean - spread.mean_reference, math.sqrt(variance)
        estimate = Estimate(
            n_control=spread.units_reference,
            n_variant=spread.units,
            mean_control=spread.mean_reference,
            mean_variant=spread.mean,
            diff=diff,
            se=se,
            statistic=diff / se,
            df=spread.df,
            p=p_value(diff / se, spread.df, "two"),
            ci=(-math.inf, math.inf),
            rel=None,
            rel_ci=(-math.inf, math.inf),
            method="clusters",
            cohen_d=None,
            alpha=0.05,
            margin=0.0,
            side="two",
            var_control=spread.var_reference,
            covariance=spread.bounded_covariance if spread.shared else 0.0,
        )
        return cls(estimate=estimate)

    @property
    def p(self) -> float:
        """Of "no difference", by t."""
        return self.estimate.p

    def difference_interval(self, alpha: float) -> Interval:
        """Return the interval of group minus reference."""
        return self.estimate.interval(self.critical(alpha))

    def ratio_interval(self, alpha: float) -> Interval | None:
        """Return the interval of group over reference."""
        low, high = self.estimate.fieller(self.critical(alpha))
        if math.isfinite(low) and math.isfinite(high):
            return 1 + low, 1 + high
        return self._log_interval(alpha)

    def critical(self, alpha: float) -> float:
        """Return the two-sided critical value."""
        return critical_value(self.estimate.df, check_alpha(alpha), "two")

    def se_at(self, ratio: float) -> float:  # noqa: ARG002 - the spread of values is taken as it is
        """Return the standard error of the difference."""
        return self.estimate.se

    def _log_interval(self, alpha: float) -> Interval | None:
        one = self.estimate
        if one.mean_variant <= 0 or one.mean_control <= 0:
            return None
        # Var(log m1 − log m0) from Var(m1) = se² − Var(m0) + 2 Cov.
        var = one.se**2 - one.var_control + 2 * one.covariance
        squared = (
            var / one.mean_variant**2
            + one.var_control / one.mean_control**2
            - 2 * one.covariance / (one.mean_variant * one.mean_control)
        )
        ratio, reach = one.mean_variant / one.mean_control, self.critical(alpha) * math.sqrt(max(squared, 0.0))
        return ratio * math.exp(-reach), ratio * math.exp(min(reach, 700.0))


def _effective(p: float, var: float, rows: int, units: int) -> float:
    """Return how many independent units would give a share this variance; rows at most, clusters where none varies."""
    if var <= 0 or not 0 < p < 1:
        return float(units)
    # As many as the rows when each is a cluster: p(1 − p)/(n − 1) is then the variance.
    return min(float(rows), rows * p * (1 - p) / ((rows - 1) * var))


def _two_sided(critical: float, df: float) -> float:
    if math.isinf(df):
        return float(min(2 * special.ndtr(-critical), 1.0))
    return p_value(critical, df, "two")
