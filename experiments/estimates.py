"""What a comparison of two arms comes to: difference, test, interval, and the same relative to control."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from scipy import special

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Side = Literal["two", "less", "greater"]
Interval = tuple[float, float]

WHOLE_LINE: Interval = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of two arms.

    Args:
        alpha: Error the intervals allow.
        margin: Difference to test against, in the metric's unit.
        side: ``two``; ``greater`` asks whether diff > margin, ``less`` whether diff < margin.
    """

    alpha: float = 0.05
    margin: float = 0.0
    side: Side = "two"

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_scalar(self.margin, "margin", hint="pass a difference in the metric's unit")
        if self.side not in {"two", "less", "greater"}:
            raise InvalidValueError(f"side == {self.side!r}", "must be two, less or greater", "see Estimate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One variant against control.

    Args:
        n_control: Users in control.
        n_variant: Users in the variant.
        mean_control: Mean, or ratio, of control; adjusted when the method adjusts.
        mean_variant: The same of the variant.
        diff: Variant minus control.
        se: Standard error of the difference.
        statistic: (diff − margin) / se.
        df: Degrees of freedom of the t distribution the statistic is held against (Welch–Satterthwaite).
        p: From a survival function, so that 1e-23 is 1e-23.
        ci: Interval of the difference at 1 − alpha; one bound is infinite when one-sided.
        rel: diff / mean_control, or None when control's mean is 0.
        rel_ci: Fieller's interval of ``rel``. The whole line when control's mean can't be told from 0.
        method: What was done, in words a reader of a table understands.
        cohen_d: Difference in standard deviations of a user's value before any adjustment, both arms pooled.
        alpha: Error the intervals allow.
        margin: Difference the test is against, in the metric's unit.
        side: ``two``; ``greater`` asks whether diff > margin, ``less`` whether diff < margin.
        var_control: Sampling variance of ``mean_control``.
        covariance: Sampling covariance of the two means: not 0 where both are adjusted to one pooled covariate.
    """

    n_control: int | float
    n_variant: int | float
    mean_control: float
    mean_variant: float
    diff: float
    se: float
    statistic: float
    df: float
    p: float
    ci: Interval
    rel: float | None
    rel_ci: Interval
    method: str
    cohen_d: float | None
    alpha: float
    margin: float
    side: Side
    var_control: float
    covariance: float

    @property
    def n(self) -> int | float:
        """Users of both arms."""
        return self.n_control + self.n_variant

    def at(self, alpha: float) -> "Estimate":
        """Return the same estimate with intervals at another level, for example adjusted for multiplicity.

        Args:
            alpha: Error the intervals allow, inside (0, 1).
        """
        check_alpha(alpha)
        critical = critical_value(self.df, alpha, self.side)
        return dataclasses.replace(
            self, alpha=alpha, ci=self.interval(critical, side=self.side), rel_ci=self.fieller(critical, side=self.side)
        )

    def interval(self, critical: float, *, side: Side = "two") -> Interval:
        """Return diff ± critical · se, or its one bound.

        Args:
            critical: Half-width in standard errors.
            side: ``greater`` gives a lower bound, ``less`` an upper one.
        """
        low = -math.inf if side == "less" else self.diff - critical * self.se
        high = math.inf if side == "greater" else self.diff + critical * self.se
        return (low, high)

    def fieller(self, critical: float, *, side: Side = "two") -> Interval:
        """Return the interval of the relative difference that matches `interval`.

        It holds every ρ for which |diff − ρ·mean_control| ≤ critical · its standard error. 0 is among them exactly
        when `interval` holds 0, so the two never disagree. When control's own mean is inside its error, the set is
        not an interval, and the whole line is returned: there is nothing to be relative to.

        Source: Fieller (1954), Some problems in interval estimation, J. Royal Statistical Society B 16:175, §4.

        Args:
            critical: Half-width in standard errors.
            side: As the difference's: with a negative mean of control the bound changes side.
        """
        squared = critical * critical
        leading = self.mean_control * self.mean_control - squared * self.var_control
        if not (math.isfinite(squared) and leading > 0):
            return WHOLE_LINE
        # In ρ itself rather than in the ratio 1 + ρ, where a small lift would lose its digits.
        middle = self.diff * self.mean_control - squared * (self.covariance - self.var_control)
        constant = (self.diff - critical * self.se) * (self.diff + critical * self.se)
        root = math.sqrt(max(middle * middle - leading * constant, 0.0))
        far = middle + math.copysign(root, middle)
        bounds = (0.0, 0.0) if far == 0 else (far / leading, constant / far)
        low, high = sorted(bounds, reverse=critical < 0)
        if side == "two":
            return (low, high)
        return (low, math.inf) if (side == "greater") == (self.mean_control > 0) else (-math.inf, high)

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain data; an unbounded end is None, as JSON has no infinity."""
        plain = dataclasses.asdict(self)
        for name in ("ci", "rel_ci"):
            plain[name] = [bound if math.isfinite(bound) else None for bound in plain[name]]
        return plain


def p_value(statistic: float, df: float, side: Side) -> float:
    """Return the p-value of a t statistic, by the survival function."""
    # scipy.stats.t.sf is this call behind 50 µs of argument checks; a scorecard makes hundreds.
    if side == "two":
        return float(min(2.0 * special.stdtr(df, -abs(statistic)), 1.0))
    return float(special.stdtr(df, -statistic if side == "greater" else statistic))


def critical_value(df: float, alpha: float, side: Side) -> float:
    """Return the t quantile that an interval at 1 − alpha reaches, in standard errors."""
    return float(-special.stdtrit(df, alpha / 2 if side == "two" else alpha))


def check_alpha(alpha: float) -> float:
    """Return ``alpha`` when it is inside (0, 1)."""
    return check_scalar(alpha, "alpha", gt=0, lt=1, hint="pass 0.05 for 95 % intervals")
