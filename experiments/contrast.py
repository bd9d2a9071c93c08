"""The one way in which two arms are compared, whatever the metric.

Every estimator is the same three steps: a figure of each arm that depends on the arm's means, its gradient in those
means (the delta method), and the variance that the covariance of the means gives along the gradient. Strata enter by
their weights, a covariate by a term of the gradient.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from experiments.estimates import Estimate, Question, p_value
from experiments.moments import FloatArray, Moments
from workspace.errors import InvalidValueError, NotEstimableError

Method = Literal["mean", "ratio", "cuped"]

_EPSILON: Final = float(np.finfo(np.float64).eps)
_NOISE: Final = 64 * _EPSILON
"""A variance below this share of the variances it is made of is rounding."""
_LEAST: Final = {"mean": 1, "ratio": 2, "cuped": 2}
"""Columns a method needs at least."""
_OF_RATIOS: Final = 4
"""Columns of CUPED on ratios."""
_MOST_OF_MEANS: Final = 2


@dataclass(frozen=True, slots=True)
class _Arm:
    """One arm over its strata.

    Args:
        name: How errors call it.
        n: Users, ``(s,)``.
        centres: Means, ``(s, d)``.
        comoments: Centred sums of products, ``(s, d, d)``.
        weights: Share of all users of both arms, ``(s,)``.
    """

    name: str
    n: FloatArray
    centres: FloatArray
    comoments: FloatArray
    weights: FloatArray

    @property
    def means(self) -> FloatArray:
        """Weighted means, ``(d,)``."""
        return np.asarray(self.weights @ self.centres)

    @property
    def scale(self) -> FloatArray:
        """What turns a centred sum of squares of a stratum into its part of the figure's variance, ``(s,)``."""
        return self.weights**2 / (self.n * (self.n - 1))

    def parts(self, slope: FloatArray) -> FloatArray:
        """Return what every stratum adds to the figure's variance, ``(s,)``; mere rounding is 0."""
        found = (self.comoments @ slope) @ slope
        apart = np.diagonal(self.comoments, axis1=1, axis2=2) @ slope**2
        return np.where(found > _NOISE * apart, found, 0.0) * self.scale

    def whole(self) -> FloatArray:
        """Return the comoments of all its users as if there were no strata, ``(d, d)``."""
        apart = self.centres - self.n @ self.centres / self.n.sum()
        return np.asarray(self.comoments.sum(axis=0) + (apart * self.n[:, None]).T @ apart)


@dataclass(frozen=True, slots=True)
class _Figure:
    """An arm's figure and its gradient ``(d,)`` in the arm's own means."""

    value: float
    slope: FloatArray


@dataclass(frozen=True, slots=True)
class _Figures:
    """Both arms' figures, and the gradient that both have in the means of both arms pooled: 0 without CUPED."""

    control: _Figure
    variant: _Figure
    shared: FloatArray


def contrast(
    controls: Sequence[Moments], variants: Sequence[Moments], method: Method, name: str, question: Question
) -> Estimate:
    """Return the estimate; see `experiments.statistics` for formulas, sources and errors.

    Args:
        controls: Control's moments, one a stratum.
        variants: The variant's, in the same order.
        method: Figure to compare.
        name: What the result calls the method; extended where it did something else than asked.
        question: Level, margin and side.
    """
    d = _columns(controls, variants, method)
    control, variant = _arms(controls, variants)
    of_ratios = method == "ratio" or (method == "cuped" and d == _OF_RATIOS)
    outcome = (0, 1) if of_ratios else (0,)
    raw = _Figures(_figure_of(control, outcome), _figure_of(variant, outcome), np.zeros(d))
    found = raw
    if method == "cuped":
        adjusted = _adjust(control, variant, raw, outcome, (2, 3) if of_ratios else (1,))
        if isinstance(adjusted, str):
            name += f" (unadjusted: {adjusted})"
        else:
            found = adjusted
            name += " of ratios" if of_ratios else ""
    return _estimate(control, variant, found, _pooled_sd(control, variant, raw), name, question)


def _estimate(control: _Arm, variant: _Arm, found: _Figures, sd: float, name: str, question: Question) -> Estimate:
    parts = np.concatenate([control.parts(found.control.slope), variant.parts(found.variant.slope)])
    users = np.concatenate([control.n, variant.n])
    variance = float(parts.sum())
    # As scipy has it: a spread of a few units in the last place of the mean is none.
    least = 10 * _EPSILON * max(abs(found.control.value), abs(found.variant.value))
    if variance <= least * least / float(users.max()):
        raise NotEstimableError(
            "a comparison of two arms without variance", "needs values that differ between users", "check the metric"
        )
    df = variance**2 / float((parts**2 / (users - 1)).sum())
    se = math.sqrt(variance)
    diff = found.variant.value - found.control.value
    statistic = (diff - question.margin) / se
    var_control, covariance = _joint(control, variant, found)
    bare = Estimate(
        n_control=_count(control),
        n_variant=_count(variant),
        mean_control=found.control.value,
        mean_variant=found.variant.value,
        diff=diff,
        se=se,
        statistic=statistic,
        df=df,
        p=p_value(statistic, df, question.side),
        ci=(diff, diff),
        rel=diff / found.control.value if found.control.value else None,
        rel_ci=(0.0, 0.0),
        method=name,
        cohen_d=diff / sd if sd > 0 else None,
        alpha=question.alpha,
        margin=question.margin,
        side=question.side,
        var_control=var_control,
        covariance=covariance,
    )
    return bare.at(question.alpha)


def _adjust(
    control: _Arm, variant: _Arm, raw: _Figures, outcome: tuple[int, ...], covariate: tuple[int, ...]
) -> _Figures | str:
    """Return both figures adjusted by one pooled θ, or why there is nothing to adjust by."""
    users = control.n + variant.n
    between = variant.centres - control.centres
    pooled = control.centres + between * (variant.n / users)[:, None]
    means = np.asarray(control.weights @ pooled)
    for at, which in ((covariate[-1], "covariate's"), (outcome[-1], "pooled")):
        if len(covariate) > 1 and not (means[at] and control.means[at] and variant.means[at]):
            return f"the {which} denominator is 0"
    centred = (control.comoments + variant.comoments).sum(axis=0)
    centred = centred + (between * (control.n * variant.n / users)[:, None]).T @ between
    before = _figure(means, covariate)
    spread = float(before.slope @ centred @ before.slope)
    apart = float(np.diagonal(centred) @ before.slope**2)
    if spread <= max(_NOISE * apart, float(users.sum()) * (10 * _EPSILON * before.value) ** 2):
        return "the covariate does not vary"
    theta = float(_figure(means, outcome).slope @ centred @ before.slope) / spread
    adjusted = []
    for arm, figure in ((control, raw.control), (variant, raw.variant)):
        own = _figure(arm.means, covariate)
        adjusted.append(_Figure(figure.value - theta * (own.value - before.value), figure.slope - theta * own.slope))
    return _Figures(adjusted[0], adjusted[1], theta * before.slope)


def _joint(control: _Arm, variant: _Arm, found: _Figures) -> tuple[float, float]:
    """Return the sampling variance of control's figure and its covariance with the variant's.

    The pooled covariate is itself estimated, from both arms: it moves both figures alike. That leaves the difference
    as it is, but not the ratio of the two.
    """
    if not found.shared.any():
        return float(control.parts(found.control.slope).sum()), 0.0
    var_control = covariance = 0.0
    users = control.n + variant.n
    nothing = np.zeros_like(found.shared)
    for arm, own, other in ((control, found.control.slope, nothing), (variant, nothing, found.variant.slope)):
        common = (arm.n / users)[:, None] * found.shared
        along = np.einsum("si,sij->sj", own + common, arm.comoments)
        var_control += float((along * (own + common)).sum(axis=1) @ arm.scale)
        covariance += float((along * (other + common)).sum(axis=1) @ arm.scale)
    return var_control, covariance


def _figure_of(arm: _Arm, at: tuple[int, ...]) -> _Figure:
    if len(at) > 1 and arm.means[at[1]] == 0:
        raise NotEstimableError(
            f"a ratio whose denominator sums to 0 in {arm.name}",
            "needs a denominator",
            "wait for data or check the metric",
        )
    return _figure(arm.means, at)


def _figure(means: FloatArray, at: tuple[int, ...]) -> _Figure:
    """Return a mean, or a ratio of two, with its gradient."""
    slope = np.zeros(means.size)
    value = float(means[at[0]])
    if len(at) == 1:
        slope[at[0]] = 1.0
        return _Figure(value, slope)
    below = float(means[at[1]])
    slope[at[0]], slope[at[1]] = 1.0 / below, -value / below / below
    return _Figure(value / below, slope)


def _pooled_sd(control: _Arm, variant: _Arm, raw: _Figures) -> float:
    """Return the standard deviation of a user's unadjusted value inside the arms."""
    squares = sum(
        float(figure.slope @ arm.whole() @ figure.slope)
        for arm, figure in ((control, raw.control), (variant, raw.variant))
    )
    return math.sqrt(max(squares, 0.0) / (float(control.n.sum() + variant.n.sum()) - 2.0))


def _columns(controls: Sequence[Moments], variants: Sequence[Moments], method: Method) -> int:
    """Return how many columns there are, which are as many everywhere and enough."""
    if method not in _LEAST:
        raise InvalidValueError(f"method == {method!r}", "must be mean, ratio or cuped", "see stratified")
    if not controls or len(controls) != len(variants):
        raise InvalidValueError(
            f"strata == {len(controls)} of control, {len(variants)} of the variant",
            "must be as many, and one at least",
            "pass one Moments a stratum for each arm, in the same order",
        )
    found = {one.d for one in (*controls, *variants)}
    least = _LEAST[method]
    d = min(found)
    if len(found) > 1 or d < least or (method == "cuped" and d not in {_MOST_OF_MEANS, _OF_RATIOS}):
        limit = "2 (outcome, covariate) or 4 (of ratios)" if method == "cuped" else f"{least} or more"
        raise InvalidValueError(
            f"columns == {sorted(found)}", f"must be {limit} and as many in every arm", "select them"
        )
    return d


def _arms(controls: Sequence[Moments], variants: Sequence[Moments]) -> tuple[_Arm, _Arm]:
    for name, arm in (("control", controls), ("the variant", variants)):
        for at, one in enumerate(arm):
            if one.n < 2:  # noqa: PLR2004 - one user has no spread
                where = f" in stratum {at}" if len(arm) > 1 else ""
                raise NotEstimableError(
                    f"users of {name}{where} == {one.n}",
                    "must be 2 or more",
                    "leave the stratum out and say so, or wait for users" if where else "wait for users",
                )
    n_control, n_variant = (np.array([one.n for one in arm], dtype=np.float64) for arm in (controls, variants))
    users = n_control + n_variant
    weights = users / users.sum()
    return _arm("control", controls, n_control, weights), _arm("the variant", variants, n_variant, weights)


def _arm(name: str, strata: Sequence[Moments], n: FloatArray, weights: FloatArray) -> _Arm:
    return _Arm(name, n, np.array([one.means for one in strata]), np.array([one.comoments for one in strata]), weights)


def _count(arm: _Arm) -> int | float:
    n = float(arm.n.sum())
    return int(n) if n.is_integer() else n
