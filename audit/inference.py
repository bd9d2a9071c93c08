"""Inference by drawing again, users or clusters whole: bootstrap and permutation; and intervals of a log ratio.

For figures that have no formula of their own. Every draw comes from a seed: the same call gives the same bits.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from audit.clusters import cluster_codes, spread
from audit.disparity import Interval, normal_quantile
from experiments.estimates import check_alpha, critical_value
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Statistic = Callable[[Floats], Floats]

DRAWS: Final = 1_999
_FEWEST: Final = 2
_TIE: Final = 1e-9
_BATCH: Final = 250


def log_ratio(
    group: ArrayLike,
    reference: ArrayLike,
    *,
    alpha: float = 0.05,
    clusters_group: ArrayLike | None = None,
    clusters_reference: ArrayLike | None = None,
) -> tuple[float, Interval]:
    """Return the ratio of two means with the interval of its logarithm.

    exp(ln(m1/m0) ± t √(V11/m1² + V00/m0² − 2 V10/(m1 m0))), V of the clusters. For shares of independent users it is
    Katz's interval but for the factor n/(n − 1) and t.

    Source: Katz, Baptista, Azen & Pike (1978), Obtaining confidence intervals for the risk ratio in cohort studies,
    Biometrics 34:469, method C; variance by `audit.clusters.spread`.

    Args:
        group: A value a row, ``(n1,)``.
        reference: A value a row, ``(n0,)``.
        alpha: Error the interval allows.
        clusters_group: Cluster of every row; None: each row stands alone.
        clusters_reference: The same of the reference.

    Raises:
        NotEstimableError: When one mean is 0 or below, or there are fewer than two clusters.
        InvalidValueError: As `audit.clusters.spread`.
    """
    check_alpha(alpha)
    found = spread(group, reference, clusters_group=clusters_group, clusters_reference=clusters_reference)
    m1, m0 = found.mean, found.mean_reference
    if m1 <= 0 or m0 <= 0:
        raise NotEstimableError(f"the logarithm of {m1:g} over {m0:g}", "needs both above 0")
    covariance = found.bounded_covariance if found.shared else 0.0
    var = found.var / m1**2 + found.var_reference / m0**2 - 2 * covariance / (m1 * m0)
    reach = critical_value(found.df, alpha, "two") * math.sqrt(max(var, 0.0))
    return m1 / m0, (m1 / m0 * math.exp(-reach), m1 / m0 * math.exp(reach))


def bootstrap_ratio(
    group: ArrayLike,
    reference: ArrayLike,
    *,
    alpha: float = 0.05,
    clusters_group: ArrayLike | None = None,
    clusters_reference: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, Interval]:
    """Return the ratio of two means with its bootstrap interval, clusters drawn whole.

    Where both groups share clusters, one draw serves both; clusters of one group alone are drawn within that group.

    Source: `bootstrap_interval`, on the logarithm of the ratio.

    Args:
        group: A value a row, ``(n1,)``.
        reference: A value a row, ``(n0,)``.
        alpha: Error the interval allows.
        clusters_group: Cluster of every row; None: each row is a user of its own.
        clusters_reference: The same of the reference; a label in both is one cluster.
        draws: Times to draw, 199 or more.
        seed: Of the draws.

    Raises:
        NotEstimableError: When a mean is 0 or below, or a stratum has fewer than two clusters.
        InvalidValueError: When values are not finite or arguments outside their limits.
    """
    x1, x0 = np.asarray(group, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if (clusters_group is None) != (clusters_reference is None):
        raise InvalidValueError("clusters of one group only", "must be given for both or for none")
    if clusters_group is None or clusters_reference is None:
        codes = np.arange(x1.size + x0.size)
    else:
        labels = np.concatenate([np.asarray(clusters_group), np.asarray(clusters_reference)])
        codes = cluster_codes(labels, x1.size + x0.size)
    values = np.concatenate([x1, x0])
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InvalidValueError(f"values of shape {values.shape}", "must be one finite number a row")
    first = np.arange(values.size) < x1.size
    sums = np.column_stack(
        [np.bincount(codes, weight) for weight in (values * first, first * 1.0, values * ~first, ~first * 1.0)]
    )
    if (sums.sum(axis=0) <= 0).any():
        raise NotEstimableError("a ratio of means that are 0 or below, or of nobody", "needs both above 0")
    strata = np.where(sums[:, 1] == 0, 2, np.where(sums[:, 3] == 0, 1, 0))

    def log_of(total: Floats) -> Floats:
        # A draw without any positive has no ratio; it is further out than any that has one.
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.log(total[:, 0] / total[:, 1]) - np.log(total[:, 2] / total[:, 3])
        return found

    low, high = bootstrap_interval(sums, log_of, alpha=alpha, strata=strata, draws=draws, seed=seed)
    whole = float(np.exp(log_of(sums.sum(axis=0)[None])[0]))
    return whole, (math.exp(low), math.exp(high))


def bootstrap_interval(
    sums: ArrayLike,
    statistic: Statistic,
    *,
    alpha: float = 0.05,
    strata: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Return the bias-corrected and accelerated (BCa) interval of a function of sums over clusters.

    Source: Efron (1987), Better bootstrap confidence intervals, J. American Statistical Association 82:171, with the
    acceleration from leaving one cluster out; clusters drawn whole as Davison & Hinkley (1997), Bootstrap Methods and
    their Application, §3.8.

    Args:
        sums: What each cluster adds, ``(clusters, d)``.
        statistic: From totals ``(m, d)`` to values ``(m,)``; NaN where it does not exist.
        alpha: Error the interval allows.
        strata: Within which clusters are drawn, ``(clusters,)``; None: among all.
        draws: Times to draw, 199 or more.
        seed: Of the draws.

    Raises:
        NotEstimableError: When a stratum has fewer than two clusters, or the statistic does not exist on one draw in
            ten.
        InvalidValueError: When arguments are outside their limits.
    """
    check_alpha(alpha)
    check_scalar(draws, "draws", ge=199)
    rows = np.asarray(sums, dtype=np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():  # noqa: PLR2004 - clusters by sums
        raise InvalidValueError(f"sums of shape {rows.shape}", "must be (clusters, d), finite")
    groups = cluster_codes(np.zeros(len(rows)) if strata is None else strata, len(rows))
    members = [np.flatnonzero(groups == code) for code in np.unique(groups)]
    if not members or min(one.size for one in members) < _FEWEST:
        raise NotEstimableError("a bootstrap of fewer than 2 clusters", "needs 2 or more in every stratum")
    rng = np.random.default_rng([seed, draws])
    again = np.concatenate(
        [statistic(_drawn(rows, members, rng, min(_BATCH, draws - at))) for at in range(0, draws, _BATCH)]
    )
    whole = rows.sum(axis=0)
    observed = float(statistic(whole[None])[0])
    known = np.sort(again[~np.isnan(again)])
    if math.isnan(observed) or known.size < 0.9 * draws:
        raise NotEstimableError("a figure that most draws have no value of", "needs more clusters with positives")
    left = statistic(whole - rows)
    return _bca(known, observed, left[np.isfinite(left)], alpha)


def permutation_p(
    values: ArrayLike,
    codes: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> float:
    """Return the p-value of "no difference between any groups", by exchanging the labels of groups.

    The statistic is Σ_g n_g (m_g − m)², in shares of the total sum of squares, summed over columns. Labels are
    exchanged within ``strata``, of whole ``clusters``. Personas of one taste in every group: the taste is the stratum.
    Users with several rows: the user is the cluster. p = (1 + draws at least as extreme) / (1 + draws).

    Source: Pitman (1937), Significance tests which may be applied to samples from any populations, Suppl. J. Royal
    Statistical Society 4:119; Phipson & Smyth (2010), Permutation p-values should never be zero, Statistical
    Applications in Genetics and Molecular Biology 9:39.

    Args:
        values: ``(n,)`` or ``(n, d)``, finite.
        codes: Group of every row, ``(n,)``; −1 is unknown, and left out.
        strata: Within which labels may be exchanged, ``(n,)``; None: everywhere.
        clusters: Rows that keep one label, ``(n,)``; None: each row alone.
        draws: Times to exchange, 99 or more.
        seed: Of the draws.

    Returns:
        The p-value; 1 when no column varies.

    Raises:
        InvalidValueError: When lengths do not fit, or a cluster lies in two groups or strata.
        NotEstimableError: When fewer than two groups have members.
    """
    check_scalar(draws, "draws", ge=99)
    groups = np.asarray(codes)
    rows = np.asarray(values, dtype=np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if groups.shape != (len(rows),) or not np.isfinite(rows).all():
        raise InvalidValueError(f"{len(rows)} rows and {groups.shape} groups", "must be as many, values finite")
    keep = groups >= 0
    rows, groups = rows[keep], np.unique(groups[keep], return_inverse=True)[1]
    if groups.max(initial=0) < 1:
        raise NotEstimableError("a difference between fewer than 2 groups", "needs 2 or more")
    units = cluster_codes(np.arange(keep.size) if clusters is None else clusters, keep.size)[keep]
    blocks = cluster_codes(np.zeros(keep.size) if strata is None else strata, keep.size)[keep]
    units = np.unique(units, return_inverse=True)[1]
    labels, places = _of_unit(groups, units, "group"), _of_unit(blocks, units, "stratum")
    centred = rows - rows.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0))
    varies = scale > _TIE * np.sqrt(len(rows)) * np.maximum(abs(rows).max(axis=0), np.finfo(float).tiny)
    if not varies.any():
        return 1.0
    centred = centred[:, varies] / scale[varies]
    sums: Floats = np.column_stack([np.bincount(units, column) for column in centred.T]).astype(np.float64)
    sizes = np.bincount(units).astype(np.float64)
    observed = _between(labels, sums, sizes)
    rng = np.random.default_rng([seed, draws])
    order = np.argsort(places, kind="stable")
    reached = 0
    for _ in range(draws):
        # Sorted by stratum, and at random inside it: labels move only among the units of one stratum.
        moved = np.empty_like(labels)
        moved[order] = labels[np.lexsort((rng.random(labels.size), places))]
        reached += _between(moved, sums, sizes) >= observed * (1 - _TIE)
    return (1 + reached) / (1 + draws)


def _of_unit(values: NDArray[np.generic], units: Ints, name: str) -> Ints:
    codes = np.asarray(values, dtype=np.int64)
    of: Ints = np.zeros(int(units.max()) + 1, dtype=np.int64)
    of[units] = codes
    if (of[units] != codes).any():
        raise InvalidValueError(
            f"a cluster in more than one {name}", "must lie in one", "pass what groups have in common as strata"
        )
    return of


def _between(labels: Ints, sums: Floats, sizes: Floats) -> float:
    # Values are centred, so the group's sum squared over its size is all there is.
    weight = np.maximum(np.bincount(labels, sizes), 1.0)
    return sum(float((np.bincount(labels, column) ** 2 / weight).sum()) for column in sums.T)


def _drawn(rows: Floats, members: list[NDArray[np.intp]], rng: np.random.Generator, times: int) -> Floats:
    totals = np.zeros((times, rows.shape[1]))
    for one in members:
        counts = rng.multinomial(one.size, np.full(one.size, 1.0 / one.size), size=times)
        totals += counts @ rows[one]
    return totals


def _bca(known: Floats, observed: float, left: Floats, alpha: float) -> Interval:
    below = float((known < observed).sum() + 0.5 * (known == observed).sum()) / known.size
    if known[0] == known[-1]:
        return float(known[0]), float(known[-1])
    bias = float(special.ndtri(min(max(below, 1 / known.size), 1 - 1 / known.size)))
    apart = left.mean() - left
    spreads = float((apart**2).sum())
    acceleration = 0.0 if spreads == 0 else float((apart**3).sum()) / (6 * spreads**1.5)
    bounds = []
    for z in (-normal_quantile(alpha), normal_quantile(alpha)):
        moved = bias + (bias + z) / (1 - acceleration * (bias + z))
        bounds.append(float(np.quantile(known, float(special.ndtr(moved)), method="nearest")))
    return bounds[0], bounds[1]
