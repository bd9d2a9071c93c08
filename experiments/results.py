"""What one metric of one treatment says, as data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from experiments.metrics import Direction, Unit

if TYPE_CHECKING:
    from experiments.health import Srm
    from experiments.statistics import Estimate

Role = Literal["primary", "guardrail", "secondary", "beside"]
"""What a metric is used as; ``beside`` ones are shown because another can't be read without them."""
Status = Literal["better", "worse", "unclear", "non_inferior", "harmed", "not_estimable"]
"""``non_inferior`` and ``harmed`` are said of guardrails only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """What stands above and below the line of a metric, summed over all users of each arm, nothing adjusted."""

    users_control: int
    users_variant: int
    numerator_control: float
    numerator_variant: float
    denominator_control: float
    denominator_variant: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """One metric of one treatment against the control.

    Args:
        name: Name of the metric.
        title: How people call it.
        role: What it is used as.
        unit: Of its value.
        better: Which way is good.
        variant: The treatment.
        control: The control.
        margin_rel: Change for the worse a guardrail tolerates, relative to control; None for others.
        status: What it says: after correction for its family, at the plain 5 % of the rule, not at a look's boundary.
        reason: Why it can't be estimated; None when it can.
        judged: The estimate that is judged: stratified by region, CUPED when the rule says so; intervals of 95 %.
        raw: The same without CUPED.
        plain: Neither stratified nor adjusted: all users of an arm together.
        p_adjusted: Two-sided p-value, adjusted over its family.
        ci_adjusted: Interval that excludes 0 exactly when ``p_adjusted`` is below alpha.
        rel_ci_adjusted: The same, relative to control.
        p_harm: One-sided p-value of being worse than control.
        p_harm_adjusted: The same, adjusted by Holm over the guardrails; None for others.
        cohen_d: Difference in standard deviations of a user.
        totals: Raw numerator and denominator of both arms.
        strata: Regions it was estimated within.
        left_out: Users in regions that could not take part, by region.
        beside: Metrics to be read with it.
        cap: Value at which the numerator of a user was cut; None when it was not.
        skew: Warning about the normal approximation; None when there is no need.
        balance_p: p-value of the difference the arms had before the experiment; None without a pre-period.
        variance_left: Variance of the judged estimate ÷ variance of the raw one.
    """

    name: str
    title: str
    role: Role
    unit: Unit
    better: Direction
    variant: str
    control: str
    margin_rel: float | None = None
    status: Status = "not_estimable"
    reason: str | None = None
    judged: "Estimate | None" = None
    raw: "Estimate | None" = None
    plain: "Estimate | None" = None
    p_adjusted: float | None = None
    ci_adjusted: tuple[float, float] | None = None
    rel_ci_adjusted: tuple[float, float] | None = None
    p_harm: float | None = None
    p_harm_adjusted: float | None = None
    cohen_d: float | None = None
    totals: Arms | None = None
    strata: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    cap: float | None = None
    skew: str | None = None
    balance_p: float | None = None
    variance_left: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; the keys of the command line first, then more."""
        return {
            "name": self.name,
            "variant": self.variant,
            "control": self.control,
            **estimate_row(self.judged),
            "p_adjusted": self.p_adjusted,
            "title": self.title,
            "kind": self.role,
            "unit": self.unit,
            "better": self.better,
            "margin_rel": self.margin_rel,
            "status": self.status,
            "reason": self.reason,
            "ci_adjusted": _pair(self.ci_adjusted),
            "rel_ci_adjusted": _pair(self.rel_ci_adjusted),
            "p_harm": self.p_harm,
            "p_harm_adjusted": self.p_harm_adjusted,
            "cohen_d": self.cohen_d,
            "raw": None if self.raw is None else estimate_row(self.raw),
            "plain": None if self.plain is None else estimate_row(self.plain),
            "totals": None if self.totals is None else self.totals.to_dict(),
            "strata": list(self.strata),
            "left_out": dict(self.left_out),
            "beside": list(self.beside),
            "cap": self.cap,
            "skew": self.skew,
            "balance_p": self.balance_p,
            "variance_left": self.variance_left,
        }


def estimate_row(estimate: "Estimate | None") -> dict[str, Any]:
    """Return an estimate under the keys of the command line; without one every figure is None, never 0."""
    if estimate is None:
        names = ("n", "n_control", "n_variant", "mean_control", "mean_variant", "diff", "ci95", "rel", "rel_ci95")
        return dict.fromkeys((*names, "p", "df", "se", "statistic", "method"))
    return {
        "n": estimate.n_control + estimate.n_variant,
        "n_control": estimate.n_control,
        "n_variant": estimate.n_variant,
        "mean_control": estimate.mean_control,
        "mean_variant": estimate.mean_variant,
        "diff": estimate.diff,
        "ci95": _pair(estimate.ci),
        "rel": estimate.rel,
        "rel_ci95": _pair(estimate.rel_ci),
        "p": estimate.p,
        "df": estimate.df,
        "se": estimate.se,
        "statistic": estimate.statistic,
        "method": estimate.method,
    }


def srm_row(srm: "Srm | None") -> dict[str, Any]:
    """Return a sample ratio check under the keys of the command line."""
    if srm is None:
        return {"p": None, "counts": {}, "expected": {}, "ok": None}
    return {"p": srm.p, "counts": dict(srm.counts), "expected": dict(srm.expected), "ok": srm.ok}


def _pair(interval: tuple[float, float] | None) -> list[float | None] | None:
    # JSON has no infinity: an end without a bound is None.
    return None if interval is None else [float(end) if math.isfinite(end) else None for end in interval]


def good(one: MetricResult) -> int:
    """Return 1 when a metric moved the good way, −1 for the other way, 0 when it did not move or can't be told."""
    if one.judged is None or one.judged.diff == 0:
        return 0
    return 1 if (one.judged.diff > 0) == (one.better == "up") else -1


def guarded(one: MetricResult, level: float) -> Status:
    """Judge a guardrail by its margin.

    Args:
        one: The guardrail.
        level: What its one-sided p-value of harm, adjusted over the guardrails, is held against.

    Returns:
        ``harmed`` when it is significantly worse and by more than the margin; ``non_inferior`` when the relative 95 %
        interval ends before the margin; else ``unclear``.
    """
    estimate, margin = one.judged, one.margin_rel
    if estimate is None or estimate.rel is None or margin is None or one.p_harm_adjusted is None:
        return "not_estimable"
    sign = 1 if one.better == "down" else -1
    if one.p_harm_adjusted <= level and sign * estimate.rel > margin:
        return "harmed"
    low, high = estimate.rel_ci
    worst_end = high if sign > 0 else -low
    return "non_inferior" if worst_end < margin else "unclear"
