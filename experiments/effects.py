"""Effects: every metric of a plan × every treatment, estimated from cells and corrected for how many there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from experiments.metrics import METRICS, MetricSpec
from experiments.plan import ExperimentPlan
from experiments.results import Arms, MetricResult, Role, Status, good, guarded
from workspace.columns import Trial
from workspace.errors import NotEstimableError, UnknownError

if TYPE_CHECKING:
    from experiments.cells import Cells
    from experiments.statistics import Estimate, Method

SHOWN_ALPHA: Final = 0.05
"""Error of the intervals that are shown unadjusted, whatever the rule's own."""
_LEAST_USERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric of a plan, or one that stands beside it.

    Args:
        spec: What it is.
        role: What it is used as.
        margin_rel: What a guardrail tolerates.
    """

    spec: MetricSpec
    role: Role
    margin_rel: float | None = None


def measured(plan: ExperimentPlan) -> tuple[Measured, ...]:
    """Return the metrics of a plan in order, then those that must stand beside them.

    Example:
        >>> from experiments.plan import MetricPlan
        >>> plan = ExperimentPlan.model_validate({
        ...     "experiment_id": "exp_1", "hypothesis": "Genres first raise clicks.", "owner": "pm", "flag": "genres",
        ...     "variants": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}], "start": "2026-01-01",
        ...     "metrics": [{"metric": "ctr", "kind": "primary"}, {"metric": "survey_score", "kind": "secondary"}]})
        >>> [(one.spec.name, one.role) for one in measured(plan)]
        [('ctr', 'primary'), ('survey_score', 'secondary'), ('survey_response_rate', 'beside')]
    """
    own = [
        Measured(
            spec=METRICS[one.metric], role=one.kind, margin_rel=one.margin_rel if one.kind == "guardrail" else None
        )
        for one in plan.metrics
    ]
    names = {one.spec.name for one in own}
    beside = dict.fromkeys(name for one in own for name in one.spec.beside if name not in names)
    return (*own, *(Measured(spec=METRICS[name], role="beside") for name in beside))


def effects(
    plan: ExperimentPlan,
    cells: "Cells",
    *,
    caps: Mapping[str, float] | None = None,
    cuped: bool = True,
    stratum: str | None = Trial.REGION,
) -> tuple[MetricResult, ...]:
    """Estimate every metric × treatment, corrected over its family.

    Args:
        plan: The plan.
        cells: Sums of users by variant, and by the stratum when there is one.
        caps: Value at which a sum of a user was cut, by its name.
        cuped: Whether the judged figure is adjusted by the days before, where the cells know them.
        stratum: Key within which arms are compared; None compares all users of an arm together.
    """
    source = _source(plan, cells, stratum)
    found = [
        _effect(one, plan.control, variant, source, caps or {}, cuped=cuped)
        for one in measured(plan)
        for variant in plan.names[1:]
    ]
    return _corrected(found, plan.rule.alpha)


def effect(plan: ExperimentPlan, cells: "Cells", metric: str, variant: str, *, cuped: bool = True) -> MetricResult:
    """Estimate one metric of one treatment within regions, corrected for nothing.

    Raises:
        UnknownError: When the plan has no such metric or treatment.
    """
    chosen = {one.spec.name: one for one in measured(plan)}
    if metric not in chosen:
        raise UnknownError(f"metric == {metric!r}", "must be one of the plan", f"it has {', '.join(chosen)}")
    if variant not in plan.names[1:]:
        raise UnknownError(f"variant == {variant!r}", "must be a treatment", f"they are {', '.join(plan.names[1:])}")
    source = _source(plan, cells, Trial.REGION)
    return _effect(chosen[metric], plan.control, variant, source, {}, cuped=cuped)


def _source(plan: ExperimentPlan, cells: "Cells", stratum: str | None) -> "_Source":
    by = [Trial.VARIANT, *([stratum] if stratum else [])]
    folded = cells.where(**{Trial.VARIANT: list(plan.names)}).fold(by)
    whole = folded.fold([Trial.VARIANT])
    variants = folded.keys[Trial.VARIANT].tolist()
    strata = folded.keys[stratum].tolist() if stratum else [""] * len(folded)
    return _Source(
        folded=folded,
        whole=whole,
        rows={(str(name), str(place)): row for row, (name, place) in enumerate(zip(variants, strata, strict=True))},
        arms={str(name): row for row, name in enumerate(whole.keys[Trial.VARIANT])},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Cells by variant and stratum, and the same by variant alone, with the row of each."""

    folded: "Cells"
    whole: "Cells"
    rows: Mapping[tuple[str, str], int]
    arms: Mapping[str, int]

    def strata(self, control: str, variant: str) -> tuple[tuple[str, ...], dict[str, int]]:
        """Strata that both arms are in, and the users of the others."""
        users: dict[str, dict[str, int]] = {}
        for (name, place), row in self.rows.items():
            if name in (control, variant):
                users.setdefault(place, {})[name] = int(self.folded.n[row])
        both = tuple(
            place
            for place, counts in sorted(users.items())
            if min(counts.get(control, 0), counts.get(variant, 0)) >= _LEAST_USERS
        )
        return both, {place: sum(counts.values()) for place, counts in sorted(users.items()) if place not in both}

    def users(self, variant: str) -> int:
        """Users of a variant, wherever."""
        return int(self.whole.n[self.arms[variant]]) if variant in self.arms else 0


def _effect(
    one: Measured, control: str, variant: str, source: _Source, caps: Mapping[str, float], *, cuped: bool
) -> MetricResult:
    spec = one.spec
    strata, left_out = source.strata(control, variant)
    bare = MetricResult(
        name=spec.name,
        title=spec.title,
        role=one.role,
        unit=spec.unit,
        better=spec.better,
        variant=variant,
        control=control,
        margin_rel=one.margin_rel,
        totals=_arms(spec, control, variant, source),
        strata=tuple(name for name in strata if name),
        left_out={name or "all": users for name, users in left_out.items()},
        beside=spec.beside,
        cap=caps.get(spec.top),
        skew=_skew(spec, control, variant, source),
    )
    empty = [name for name in (control, variant) if not source.users(name)]
    if empty:
        return replace(bare, reason=f"nobody was exposed to {' and '.join(empty)}")
    if not strata:
        return replace(bare, reason="no region has two users or more in both arms")
    return _estimated(bare, spec, source, strata, cuped=cuped)


def _estimated(
    bare: MetricResult, spec: MetricSpec, source: _Source, strata: Sequence[str], *, cuped: bool
) -> MetricResult:
    from experiments.statistics import ratio, stratified

    has_before = set(spec.columns) <= set(source.folded.columns)
    rows = [[source.rows[name, place] for place in strata] for name in (bare.control, bare.variant)]

    def within(method: "Method", columns: Sequence[str]) -> "Estimate":
        moments = source.folded.moments(columns)
        left, right = ([moments[row] for row in side] for side in rows)
        return stratified(left, right, method=method, alpha=SHOWN_ALPHA)

    def together() -> "Estimate":
        arms = source.whole.moments(spec.columns[:2])
        left, right = (arms[source.arms[name]] for name in (bare.control, bare.variant))
        return ratio(left, right, alpha=SHOWN_ALPHA)

    raw, reason = _tried(lambda: within("ratio", spec.columns[:2]))
    if raw is None:
        return replace(bare, reason=reason)
    adjusted = _tried(lambda: within("cuped", spec.columns))[0] if cuped and has_before else None
    judged = adjusted or raw
    balance = _tried(lambda: within("ratio", spec.columns[2:]))[0] if has_before else None
    return replace(
        bare,
        judged=judged,
        raw=raw,
        plain=_tried(together)[0],
        cohen_d=judged.cohen_d,
        p_harm=_p_harm(judged, spec),
        balance_p=None if balance is None else balance.p,
        variance_left=(judged.se / raw.se) ** 2,
    )


def _tried(estimate: "Callable[[], Estimate]") -> "tuple[Estimate | None, str | None]":
    """Return an estimate, or the reason why there is none."""
    try:
        return estimate(), None
    except NotEstimableError as error:
        return None, str(error)


def _arms(spec: MetricSpec, control: str, variant: str, source: _Source) -> Arms:
    whole = source.whole

    def total(name: str, column: str) -> float:
        row = source.arms.get(name)
        return 0.0 if row is None else float(whole.means[row, whole.place(column)] * whole.n[row])

    x, y = spec.columns[:2]
    return Arms(
        users_control=source.users(control),
        users_variant=source.users(variant),
        numerator_control=total(control, x),
        numerator_variant=total(variant, x),
        denominator_control=total(control, y),
        denominator_variant=total(variant, y),
    )


def _skew(spec: MetricSpec, control: str, variant: str, source: _Source) -> str | None:
    if source.whole.third is None or not all(source.users(name) for name in (control, variant)):
        return None
    from experiments.skew import skew_warning

    # The skewness of a ratio is not in the sums: that of its numerator stands for it.
    every = source.whole.skewness(spec.top)
    skewness = [float(every[source.arms[name]]) for name in (control, variant)]
    if not np.isfinite(skewness).all():
        return None
    return skew_warning(source.users(control), source.users(variant), *skewness)


def _p_harm(estimate: "Estimate", spec: MetricSpec) -> float:
    from experiments.estimates import p_value

    return p_value(estimate.statistic, estimate.df, "greater" if spec.better == "down" else "less")


def _corrected(found: Sequence[MetricResult], alpha: float) -> tuple[MetricResult, ...]:
    """Return the results with their p-values adjusted: Holm over the primaries, BH over all others."""
    from experiments.multiplicity import adjust

    ps = np.array([np.nan if one.judged is None else one.judged.p for one in found])
    primary = np.array([one.role == "primary" for one in found], dtype=bool)
    guards = np.array([one.role == "guardrail" for one in found], dtype=bool)
    adjusted, harm = np.full(len(found), np.nan), np.full(len(found), np.nan)
    adjusted[primary] = adjust(ps[primary], method="holm")
    adjusted[~primary] = adjust(ps[~primary], method="bh")
    harms = np.array([np.nan if one.p_harm is None else one.p_harm for one in found])
    harm[guards] = adjust(harms[guards], method="holm")
    return tuple(
        _with_family(one, float(p), float(p_harm), alpha) for one, p, p_harm in zip(found, adjusted, harm, strict=True)
    )


def _with_family(one: MetricResult, p_adjusted: float, harm: float, alpha: float) -> MetricResult:
    from experiments.multiplicity import matching_alpha

    if one.judged is None:
        return one
    # The interval at this level excludes 0 exactly when the adjusted p-value is below alpha.
    level = matching_alpha(one.judged.p, p_adjusted, alpha)
    wide = one.judged.at(level)
    guard = one.role == "guardrail"
    result = replace(
        one,
        p_adjusted=p_adjusted,
        ci_adjusted=wide.ci,
        rel_ci_adjusted=wide.rel_ci,
        p_harm_adjusted=harm if guard else None,
    )
    status: Status = ("better" if good(one) > 0 else "worse") if p_adjusted < alpha else "unclear"
    return replace(result, status=guarded(result, alpha / 2) if guard else status)
