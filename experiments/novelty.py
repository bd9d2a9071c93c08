"""Does the lift fade? The lift of a user's later days held against that of the same user's first days."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from experiments.metrics import METRICS, MetricSpec
from experiments.plan import ExperimentPlan
from workspace.columns import Trial

if TYPE_CHECKING:
    from experiments.cells import Cells
    from experiments.moments import FloatArray, Moments

EARLY: Final = "early_"
LATE: Final = "late_"
_LEAST_USERS: Final = 2
_LEFT: Final = 0.5
"""A lift that is down to less than this share of what it was is fading."""
_SHOWN_ALPHA: Final = 0.05

Course = Literal["steady", "fading", "growing", "not_estimable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """How the lift of one primary metric changes with the days since exposure.

    Args:
        metric: Its name.
        variant: Which treatment.
        course: ``fading`` (novelty), ``growing`` (primacy), ``steady`` or ``not_estimable``.
        early_rel: Relative lift over the first half of the days since exposure.
        early_ci: Its 95 % interval.
        late_rel: The same over the second half.
        late_ci: Its 95 % interval.
        statistic: z of the difference of the two log ratios.
        p: Two-sided p-value of it.
        p_adjusted: The same, adjusted by Holm over primary metrics × treatments.
        n_control: Users it rests on.
        n_variant: The same.
        reason: Why it can't be estimated.
    """

    metric: str
    variant: str
    course: Course
    early_rel: float | None = None
    early_ci: tuple[float, float] | None = None
    late_rel: float | None = None
    late_ci: tuple[float, float] | None = None
    statistic: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n_control: int = 0
    n_variant: int = 0
    reason: str | None = None

    @property
    def flagged(self) -> bool:
        """Whether it is a novelty effect."""
        return self.course == "fading"

    @property
    def lasts(self) -> bool:
        """Whether the later lift alone is significantly away from none, in the direction of the early one."""
        if self.late_ci is None or self.early_rel is None:
            return False
        low, high = self.late_ci
        return low > 0 if self.early_rel > 0 else high < 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("early_ci", "late_ci"):
            document[name] = None if document[name] is None else list(document[name])
        return document | {"flagged": self.flagged, "lasts": self.lasts}


def novelties(plan: ExperimentPlan, halves: "Cells") -> tuple[Novelty, ...]:
    """Test, for every primary metric × treatment, whether its lift differs between a user's first and later days.

    The statistic is log(Rᵥ,late / Rᵥ,early) − log(R꜀,late / R꜀,early): what changes for everybody alike, such as a
    season or users who tire of the service, cancels. A lift *fades* when that difference is significant, the early lift
    is significant by itself, and the late one is less than half of it. The other way round it *grows*, which is told
    and forbids nothing.

    Args:
        plan: The plan; `novelty_alpha` is the error over all primary metrics × treatments, by Holm.
        halves: Sums of the users with both halves, by variant and perhaps region: ``early_…`` and ``late_…`` columns.

    Source: Deng, Knoblich, Lu, "Applying the delta method in metric analytics", KDD 2018, section 3; Kohavi, Tang, Xu,
        "Trustworthy online controlled experiments", 2020, chapter 23, for the check itself.
    """
    from experiments.multiplicity import adjust

    arms = halves.fold([Trial.VARIANT])
    found = [
        _novelty(METRICS[one.metric], plan.control, variant, arms)
        for one in plan.kinds("primary")
        for variant in plan.names[1:]
    ]
    ps = adjust([float("nan") if one.p is None else one.p for one in found], method="holm")
    return tuple(
        one if one.p is None else _classified(replace(one, p_adjusted=float(p)), plan.rule.novelty_alpha)
        for one, p in zip(found, ps, strict=True)
    )


def _novelty(spec: MetricSpec, control: str, variant: str, arms: "Cells") -> Novelty:
    bare = Novelty(metric=spec.name, variant=variant, course="not_estimable")
    columns = [f"{half}{name}" for half in (EARLY, LATE) for name in (spec.top, spec.denominator)]
    if missing := [name for name in columns if name not in arms.columns]:
        return replace(bare, reason=f"there are no sums {', '.join(missing)}")
    sides: list[_Logs] = []
    for name in (control, variant):
        mine = arms.where(**{Trial.VARIANT: name})
        if mine.users < _LEAST_USERS:
            return replace(bare, reason=f"fewer than {_LEAST_USERS} users of {name} have both halves")
        moments = mine.moments(columns)[0]
        if not (moments.means > 0).all():
            # A log needs something above and below the line in both halves: not estimable, never 0.
            return replace(bare, reason=f"{name} has nothing to compare in one of the halves")
        sides.append(_logs(moments))
    before, after = sides
    return _compared(bare, before, after)


@dataclass(frozen=True, slots=True)
class _Logs:
    """Log ratios of both halves of an arm, their covariance matrix, and how many users they rest on."""

    early: float
    late: float
    covariance: "FloatArray"
    n: float


def _logs(moments: "Moments") -> _Logs:
    """Return log(Σx/Σy) of both halves; by the delta method its gradient is 1/x̄ and −1/ȳ."""
    x, y, u, v = moments.means
    gradient = np.array([[1 / x, -1 / y, 0, 0], [0, 0, 1 / u, -1 / v]])
    covariance = gradient @ moments.covariance @ gradient.T / moments.n
    return _Logs(early=math.log(x / y), late=math.log(u / v), covariance=covariance, n=moments.n)


def _compared(bare: Novelty, control: _Logs, variant: _Logs) -> Novelty:
    from scipy import stats

    covariance = control.covariance + variant.covariance
    change = np.array([-1.0, 1.0])
    variance = float(change @ covariance @ change)
    if not variance > 0:
        return replace(bare, reason="nothing varies between users")
    early, late = variant.early - control.early, variant.late - control.late
    statistic = (late - early) / math.sqrt(variance)
    wide = float(stats.norm.isf(_SHOWN_ALPHA / 2))
    return replace(
        bare,
        course="steady",
        early_rel=math.expm1(early),
        early_ci=_interval(early, covariance[0, 0], wide),
        late_rel=math.expm1(late),
        late_ci=_interval(late, covariance[1, 1], wide),
        statistic=statistic,
        p=float(2 * stats.norm.sf(abs(statistic))),
        n_control=int(control.n),
        n_variant=int(variant.n),
    )


def _interval(middle: float, variance: float, wide: float) -> tuple[float, float]:
    reach = wide * math.sqrt(variance)
    return math.expm1(middle - reach), math.expm1(middle + reach)


def _classified(one: Novelty, alpha: float) -> Novelty:
    if one.p_adjusted is None or one.p_adjusted >= alpha or one.early_rel is None or one.late_rel is None:
        return one
    early, late = math.log1p(one.early_rel), math.log1p(one.late_rel)
    if _away(one.early_ci) and late * math.copysign(1, early) < _LEFT * abs(early):
        return replace(one, course="fading")
    if _away(one.late_ci) and early * math.copysign(1, late) < _LEFT * abs(late):
        return replace(one, course="growing")
    return one


def _away(interval: tuple[float, float] | None) -> bool:
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def flagged(found: Sequence[Novelty]) -> tuple[Novelty, ...]:
    """Return those that are novelty effects."""
    return tuple(one for one in found if one.flagged)
