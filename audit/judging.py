"""Comparing two groups, and saying what the comparison shows.

The rule, fixed before any number is seen, with the band of ratios that count as parity:

- *disparity*: the adjusted p is below alpha and the ratio lies outside the band;
- *parity shown*: the ratio's interval, at the level that matches the adjusted p, lies inside the band. A difference may
  be significant and still be parity; the row says so;
- *flagged*: the adjusted p is below alpha, the ratio inside the band and its interval reaches out of it; or the ratio
  lies outside the band and p is below alpha only before adjustment;
- *not enough evidence*: everything else.

A ratio to 0 is "not estimable": no number, no verdict.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.clusters import Spread, spread
from audit.contrasts import Contrast, Means, Shares
from audit.detectable import detectable_ratio
from audit.disparity import Interval, score_interval
from audit.results import Verdict
from experiments.estimates import check_alpha, critical_value
from experiments.multiplicity import Correction, adjust, matching_alpha
from workspace.errors import InvalidValueError, NotEstimableError

OUTSIDE_FAMILY: Final = "outside the declared family: listed, not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A group against its reference.

    Args:
        p: Of "no difference"; None when not estimable.
        ratio: Group over reference.
        ratio_interval: At 1 − alpha; None when it has no bound.
        difference: Group minus reference.
        difference_interval: At 1 − alpha.
        value: Mean or share of the group.
        interval: Its interval.
        value_reference: Mean or share of the reference.
        n: Units of the group: users, or clusters of personas with one history.
        n_reference: Units of the reference.
        method: Estimator and interval in words.
        reason: Why there is no ratio; empty when there is.
        contrast: What answers at other levels.
        most: Largest value the measure can take; None for no limit.
    """

    p: float | None = None
    ratio: float | None = None
    ratio_interval: Interval | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    value: float | None = None
    interval: Interval | None = None
    value_reference: float | None = None
    n: int = 0
    n_reference: int = 0
    method: str = ""
    reason: str = ""
    contrast: Contrast | None = field(default=None, repr=False, compare=False)
    most: float | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a comparison says among all those of its plan.

    Args:
        p_adjusted: Holm inside the family, Benjamini–Hochberg outside; None when not estimable.
        verdict: Of rows of the family; None with a reason.
        ratio_interval: At the level that matches ``p_adjusted``: it leaves 1 out exactly when that is below alpha.
        difference_interval: At the same level.
        detectable_ratio: The ratio on the figure's side missed with a chance of one in five at alpha over the number
            of tests, the level at which a row is safe to be significant; None when none would be seen.
        reason: Why there is no verdict, or what it rests on.
    """

    p_adjusted: float | None = None
    verdict: Verdict | None = None
    ratio_interval: Interval | None = None
    difference_interval: Interval | None = None
    detectable_ratio: float | None = None
    reason: str = ""


def compare_binary(
    group: ArrayLike,
    reference: ArrayLike,
    *,
    alpha: float = 0.05,
    paired: bool = False,
    clusters_group: ArrayLike | None = None,
    clusters_reference: ArrayLike | None = None,
) -> Comparison:
    """Compare two shares.

    Without common clusters by Newcombe's limits and their ratio (`audit.contrasts.Shares`), otherwise by the
    differences inside the clusters (`audit.contrasts.Means`).

    Args:
        group: Whether each row has it, bool ``(n1,)``.
        reference: The same of the reference, ``(n0,)``.
        alpha: Error the intervals allow.
        paired: Whether row i of both is the same user; then both have as many.
        clusters_group: Base taste or user of every row; rows of one cluster are no independent units.
        clusters_reference: The same; a label in both is one cluster.

    Returns:
        The comparison; with a ``reason`` and no ratio when a group is empty, when the reference's share is 0, or when
        there are fewer than two clusters.

    Raises:
        InvalidValueError: When values are no flags, ``alpha`` is outside (0, 1) or lengths do not fit.
    """
    check_alpha(alpha)
    values = []
    for name, given in (("group", group), ("reference", reference)):
        flags: NDArray[np.generic] = np.asarray(given)
        if flags.ndim != 1 or (flags.dtype != np.bool_ and flags.size):
            raise InvalidValueError(f"{name} of type {flags.dtype}", "must be flags, one a row", "pass bool")
        values.append(flags.astype(np.float64))
    return _compare(
        values[0],
        values[1],
        _clusters(values, paired, clusters_group, clusters_reference),
        alpha,
        binary=True,
    )


def compare_means(
    group: ArrayLike,
    reference: ArrayLike,
    *,
    alpha: float = 0.05,
    paired: bool = False,
    clusters_group: ArrayLike | None = None,
    clusters_reference: ArrayLike | None = None,
    most: float | None = None,
) -> Comparison:
    """Compare two means of values that are not negative: by Welch's t, or by the differences inside common clusters.

    Args:
        group: A value a row, ``(n1,)``; NaN is a user the measure does not exist for, and is left out (of both when
            ``paired``).
        reference: The same of the reference.
        alpha: As `compare_binary`.
        paired: As `compare_binary`.
        clusters_group: As `compare_binary`.
        clusters_reference: As `compare_binary`.
        most: Largest value the measure can take, for what could have been seen.

    Returns:
        The comparison; with a ``reason`` and no ratio when a group is empty, the reference's mean 0 or below, nothing
        varies, or there are fewer than two units.

    Raises:
        InvalidValueError: When a value is infinite, ``alpha`` is outside (0, 1) or lengths do not fit.
    """
    check_alpha(alpha)
    values = [np.asarray(given, dtype=np.float64) for given in (group, reference)]
    for name, one in zip(("group", "reference"), values, strict=True):
        if one.ndim != 1 or np.isinf(one).any():
            raise InvalidValueError(f"{name} of shape {one.shape}", "must be one number a row, NaN where there is none")
    clusters = _clusters(values, paired, clusters_group, clusters_reference)
    known = [~np.isnan(one) for one in values]
    if paired and clusters_group is None:
        known = [known[0] & known[1]] * 2
    values = [one[keep] for one, keep in zip(values, known, strict=True)]
    if clusters is not None:
        clusters = (clusters[0][known[0]], clusters[1][known[1]])
    return _compare(values[0], values[1], clusters, alpha, binary=False, most=most)


def judge(
    comparisons: Sequence[Comparison | None],
    *,
    in_family: Sequence[bool],
    alpha: float = 0.05,
    parity: Interval = (0.8, 1.25),
) -> list[Judgement]:
    """Say what every comparison shows, all together; the rule is at the top of this module.

    Args:
        comparisons: In any order; None is a row that is withheld.
        in_family: Whether each was declared confirmatory: Holm keeps the chance of any false disparity among those
            below alpha. The rest get Benjamini–Hochberg and no verdict.
        alpha: Error of the family.
        parity: Ratios that count as parity.

    Raises:
        InvalidValueError: When lengths do not fit, alpha is outside (0, 1), or the band does not hold 1.
    """
    check_alpha(alpha)
    if len(comparisons) != len(in_family):
        raise InvalidValueError(f"{len(in_family)} flags", f"must be one a comparison, {len(comparisons)}")
    if not 0 < parity[0] < 1 < parity[1]:
        raise InvalidValueError(f"parity == {parity}", "must hold 1 inside", "pass (0.8, 1.25)")
    p = np.array([np.nan if one is None or one.p is None else one.p for one in comparisons], dtype=np.float64)
    inside = np.array(in_family, dtype=bool)
    adjusted = np.full(p.shape, np.nan)
    tests = np.zeros(p.shape, dtype=np.int64)
    corrections: tuple[tuple[NDArray[np.bool_], Correction], ...] = ((inside, "holm"), (~inside, "bh"))
    for members, correction in corrections:
        if members.any():
            adjusted[members] = adjust(p[members], correction)
            tests[members] = (~np.isnan(p[members])).sum()
    return [
        _judged(one, float(after), bool(member), alpha, parity, int(m))
        for one, after, member, m in zip(comparisons, adjusted, inside, tests, strict=True)
    ]


def _judged(
    one: Comparison | None, p_adjusted: float, member: bool, alpha: float, parity: Interval, tests: int
) -> Judgement:
    if one is None or one.p is None or one.ratio is None or one.contrast is None or one.value_reference is None:
        return Judgement(reason="withheld" if one is None else one.reason)
    # Rounding may leave an adjusted p a hair below p.
    p_adjusted = max(p_adjusted, one.p)
    level = matching_alpha(one.p, p_adjusted, alpha)
    interval = one.contrast.ratio_interval(level)
    verdict, reason = (
        _verdict(one.p, p_adjusted, one.ratio, interval, alpha, parity) if member else (None, OUTSIDE_FAMILY)
    )
    return Judgement(
        p_adjusted=p_adjusted,
        verdict=verdict,
        ratio_interval=interval,
        difference_interval=one.contrast.difference_interval(level),
        detectable_ratio=detectable_ratio(
            one.contrast, one.value_reference, alpha=alpha / tests, below=one.ratio <= 1, most=one.most
        ),
        reason=reason,
    )


def _verdict(
    p: float, p_adjusted: float, ratio: float, interval: Interval | None, alpha: float, parity: Interval
) -> tuple[Verdict, str]:
    inside = parity[0] <= ratio <= parity[1]
    contained = interval is not None and parity[0] <= interval[0] and interval[1] <= parity[1]
    band = f"{parity[0]:g}–{parity[1]:g}"
    if p_adjusted < alpha and not inside:
        return Verdict.DISPARITY, f"adjusted p below {alpha:g} and the ratio outside {band}"
    if contained:
        also = "; there is a difference, and it is inside it" if p_adjusted < alpha else ""
        return Verdict.PARITY, f"the interval of the ratio lies inside {band}{also}"
    if p_adjusted < alpha:
        return Verdict.FLAGGED, f"adjusted p below {alpha:g}, the ratio inside {band}, its interval reaches out of it"
    if not inside and p < alpha:
        return Verdict.FLAGGED, f"the ratio outside {band}, p below {alpha:g} only before adjustment"
    return Verdict.UNCLEAR, f"the interval of the ratio reaches out of {band}"


def _clusters(
    values: Sequence[NDArray[np.float64]],
    paired: bool,
    clusters_group: ArrayLike | None,
    clusters_reference: ArrayLike | None,
) -> tuple[NDArray[np.generic], NDArray[np.generic]] | None:
    sizes = [one.size for one in values]
    if (clusters_group is None) != (clusters_reference is None):
        raise InvalidValueError("clusters of one group only", "must be given for both or for none")
    if clusters_group is not None and clusters_reference is not None:
        given = np.asarray(clusters_group), np.asarray(clusters_reference)
        if [one.shape for one in given] != [(size,) for size in sizes]:
            raise InvalidValueError(f"clusters of shapes {given[0].shape}, {given[1].shape}", f"must be {sizes}")
        return given
    if not paired:
        return None
    if sizes[0] != sizes[1]:
        raise InvalidValueError(f"{sizes[0]} rows paired with {sizes[1]}", "must be as many")
    return np.arange(sizes[0]), np.arange(sizes[0])


def _compare(
    group: NDArray[np.float64],
    reference: NDArray[np.float64],
    clusters: tuple[NDArray[np.generic], NDArray[np.generic]] | None,
    alpha: float,
    *,
    binary: bool,
    most: float | None = None,
) -> Comparison:
    for name, values in (("group", group), ("reference", reference)):
        if not values.size:
            return Comparison(reason=f"not estimable: the {name} has no units")
    one, two = clusters if clusters is not None else (None, None)
    try:
        found = spread(group, reference, clusters_group=one, clusters_reference=two)
    except NotEstimableError as error:
        return Comparison(reason=f"not estimable: {error.what}, {error.limit}")
    own = _own_interval(found, alpha, binary=binary)
    contrast = _contrast(found, binary=binary)
    facts = Comparison(
        value=found.mean,
        interval=own,
        value_reference=found.mean_reference,
        n=found.units,
        n_reference=found.units_reference,
        method=_method(found, contrast, binary=binary),
    )
    return _filled(facts, contrast, alpha, 1.0 if binary else most)


def _filled(facts: Comparison, contrast: Contrast | None, alpha: float, most: float | None) -> Comparison:
    value, held = facts.value, facts.value_reference
    if value is None or held is None or contrast is None:
        return replace(facts, reason="not estimable: nothing varies in either group")
    facts = replace(facts, difference=value - held, difference_interval=contrast.difference_interval(alpha))
    if held <= 0:
        what = "0" if held == 0 else "below 0"
        return replace(facts, reason=f"not estimable: the reference's value is {what}, no ratio to it")
    interval = contrast.ratio_interval(alpha)
    return replace(facts, p=contrast.p, ratio=value / held, ratio_interval=interval, contrast=contrast, most=most)


def _contrast(found: Spread, *, binary: bool) -> Contrast | None:
    apart = not found.shared
    if binary and (apart or found.difference_variance <= 0):
        return Shares.of(found)
    return Means.of(found)


def _own_interval(found: Spread, alpha: float, *, binary: bool) -> Interval:
    if binary:
        shares = Shares.of(found)
        df = math.inf if found.singletons else found.units - 1.0
        critical = shares.critical(alpha) if math.isinf(df) else critical_value(df, alpha, "two")
        return score_interval(found.mean, shares.n1, critical)
    reach = critical_value(found.units - 1.0, alpha, "two") * math.sqrt(found.var)
    return found.mean - reach, found.mean + reach


def _method(found: Spread, contrast: Contrast | None, *, binary: bool) -> str:
    rows = (
        "" if found.singletons else f"; {found.rows} and {found.rows_reference} rows in clusters, which are the units"
    )
    if isinstance(contrast, Shares):
        return f"shares, Wilson; difference by Newcombe's limits, ratio by MOVER from them{rows}"
    kind = "shares, Wilson" if binary else "means, t"
    if found.shared:
        return f"{kind}; differences inside {found.shared} common units, ratio by Fieller{rows}"
    return f"{kind}; Welch, ratio by Fieller{rows}"
