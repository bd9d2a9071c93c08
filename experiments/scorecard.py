"""The scorecard: every metric of an experiment × every treatment, from sums alone."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from experiments.findings import Finding, Level, worst
from experiments.metrics import Direction, Unit
from experiments.novelty import Novelty

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """All metrics of an experiment as of a day, and the health of what they were computed from.

    Args:
        experiment_id: Of which experiment.
        plan_digest: SHA-256 of its plan.
        control: Name of the control.
        start: First day.
        as_of: Last day whose events it knows.
        alpha: Two-sided error of a family.
        cuped: Whether the judged estimates are adjusted by the days before.
        users: Exposed users by variant, those in two variants left out.
        metrics: Every metric of the plan × every treatment, then those beside them.
        srm: Sample ratio over all regions; None without users.
        findings: Every check, whatever came out.
        novelty: Whether lifts fade.
        left_out: What was left out, by reason, in users or events.
        caps: Value at which sums of a user were cut.
        sql: The statements the sums came from.
        source_digest: Digest of the events behind the sums.
        computed_at: When the sums were made.
        pending_dates: Days whose events are not in yet.
    """

    experiment_id: str
    plan_digest: str
    control: str
    start: dt.date
    as_of: dt.date
    alpha: float
    cuped: bool
    users: Mapping[str, int]
    metrics: tuple[MetricResult, ...]
    srm: "Srm | None" = None
    findings: tuple[Finding, ...] = ()
    novelty: tuple[Novelty, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, float] = field(default_factory=dict)
    sql: tuple[str, ...] = ()
    source_digest: str = ""
    computed_at: str = ""
    pending_dates: tuple[dt.date, ...] = ()

    def of(self, role: Role) -> tuple[MetricResult, ...]:
        """Return the metrics of one role."""
        return tuple(one for one in self.metrics if one.role == role)

    def metric(self, name: str, variant: str) -> MetricResult:
        """Return one metric of one treatment.

        Raises:
            StopIteration: When the scorecard has none such.
        """
        return next(one for one in self.metrics if one.name == name and one.variant == variant)

    @property
    def health(self) -> Level:
        """The worst of the findings."""
        return worst(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; the keys of the command line first, then more."""
        return {
            "experiment": self.experiment_id,
            "as_of": self.as_of.isoformat(),
            "srm": srm_row(self.srm),
            "metrics": [one.to_dict() for one in self.metrics],
            "plan_digest": self.plan_digest,
            "control": self.control,
            "start": self.start.isoformat(),
            "alpha": self.alpha,
            "cuped": self.cuped,
            "users": dict(self.users),
            "health": {"level": self.health, "findings": [one.to_dict() for one in self.findings]},
            "novelty": [one.to_dict() for one in self.novelty],
            "left_out": dict(self.left_out),
            "caps": dict(self.caps),
            "sql": list(self.sql),
            "source_digest": self.source_digest,
            "computed_at": self.computed_at,
            "pending_dates": [day.isoformat() for day in self.pending_dates],
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


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [float(interval[0]), float(interval[1])]
