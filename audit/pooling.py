"""One comparison in several markets: the common ratio, and whether the markets agree on it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from audit.clusters import cluster_codes
from audit.disparity import Interval, check_counts, normal_quantile
from experiments.estimates import check_alpha, critical_value, p_value
from workspace.errors import InvalidValueError, NotEstimableError

Floats = NDArray[np.float64]

_FEWEST: Final = 2
_TIE: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """One market's counts: independent users.

    Args:
        name: The market.
        k1: Successes of the group.
        n1: Its users.
        k0: Successes of the reference.
        n0: Its users.
    """

    name: str
    k1: int
    n1: int
    k0: int
    n0: int

    def __post_init__(self) -> None:
        check_counts(self.k1, self.n1)
        check_counts(self.k0, self.n0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumRatio:
    """One market's own ratio.

    Args:
        name: The market.
        n: Units of both groups in it.
        ratio: Group over reference; None when the reference's is 0.
        interval: Of the log ratio; None when one of the two is 0.
    """

    name: str
    n: int
    ratio: float | None
    interval: Interval | None

    def to_dict(self) -> Mapping[str, str | int | float | None]:
        """Return the row as `audit.results.Pooled` has it."""
        low, high = self.interval or (None, None)
        return {"market": self.name, "n": self.n, "ratio": self.ratio, "low": low, "high": high}


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledRatio:
    """The ratio over all markets.

    Args:
        ratio: Mantel–Haenszel.
        interval: At 1 − alpha; None when the ratio is 0.
        p: Of "1"; None when the ratio is 0.
        heterogeneity_p: Of "the same in all markets"; None with fewer than two markets that have a log ratio.
        statistic: Cochran's Q, or its like for clusters.
        strata: Every market's own.
        left_out: Markets without a log ratio, which say nothing of heterogeneity.
        method: In words.
    """

    ratio: float
    interval: Interval | None
    p: float | None
    heterogeneity_p: float | None
    statistic: float | None
    strata: tuple[StratumRatio, ...]
    left_out: tuple[str, ...]
    method: str


def mantel_haenszel(strata: Sequence[Stratum], *, alpha: float = 0.05) -> PooledRatio:
    """Return the common ratio of shares over markets of independent users.

    RR = R/S, R = Σ k1 n0/N, S = Σ k0 n1/N; Var(ln RR) = Σ (n1 n0 (k1 + k0) − k1 k0 N)/N² / (R S). Heterogeneity by
    Q = Σ w (ln rr − Σ w ln rr / Σ w)² with w the inverse of 1/k1 − 1/n1 + 1/k0 − 1/n0, χ² with one less than the
    markets.

    Source: Mantel & Haenszel (1959), J. National Cancer Institute 22:719; Greenland & Robins (1985), Estimation of a
    common effect parameter from sparse follow-up data, Biometrics 41:55, eq. 13; Cochran (1954), The combination of
    estimates from different experiments, Biometrics 10:101.

    Args:
        strata: Counts of every market.
        alpha: Error the interval allows.

    Raises:
        NotEstimableError: Without markets, or when no reference has a success.
        InvalidValueError: As `audit.disparity.check_counts`.
    """
    z = normal_quantile(alpha)
    counts = np.array([(one.k1, one.n1, one.k0, one.n0) for one in strata], dtype=np.float64).reshape(-1, 4)
    k1, n1, k0, n0 = counts.T
    both = n1 + n0
    above, below = float((k1 * n0 / both).sum()), float((k0 * n1 / both).sum())
    if below == 0:
        raise NotEstimableError("a pooled ratio to a reference of 0", "needs a success in the reference of one market")
    own = []
    for one in strata:
        ratio = None if one.k0 == 0 else one.k1 * one.n0 / (one.n1 * one.k0)
        se = None if not (one.k1 and one.k0) else math.sqrt(1 / one.k1 - 1 / one.n1 + 1 / one.k0 - 1 / one.n0)
        own.append((one.name, one.n1 + one.n0, ratio, se))
    spread = float(((n1 * n0 * (k1 + k0) - k1 * k0 * both) / both**2).sum())
    se = math.sqrt(max(spread, 0.0) / (above * below)) if above else None
    known = [(math.log(ratio), se_) for _, _, ratio, se_ in own if ratio and se_]
    statistic, heterogeneity = _cochran(known)
    return _pooled(
        above / below,
        se,
        [z, math.inf],
        own,
        (statistic, heterogeneity),
        "Mantel–Haenszel risk ratio, interval by Greenland and Robins; heterogeneity by Cochran's Q of log ratios",
    )


def pooled_ratio(
    group: ArrayLike,
    reference: ArrayLike,
    strata_group: ArrayLike,
    strata_reference: ArrayLike,
    *,
    clusters_group: ArrayLike,
    clusters_reference: ArrayLike,
    alpha: float = 0.05,
) -> PooledRatio:
    """Return the common ratio over markets when clusters reach over groups, and over markets.

    The estimate is Mantel and Haenszel's, with sums in place of successes. A cluster's influence on ln R is
    Σ_s (n0s/Ns)(x1sc − m1s n1sc)/R, on ln S likewise; Var = C/(C − 1) Σ_c (ψ_c)², t with C − 1. Heterogeneity is the
    Wald test of equal log ratios with their covariance over clusters, held against F as Hotelling's T².

    Source: as `mantel_haenszel`; variance as `audit.clusters.spread`; Hotelling (1931), The generalization of
    Student's ratio, Annals of Mathematical Statistics 2:360.

    Args:
        group: A value a row, 0 or above, ``(n1,)``.
        reference: The same of the reference, ``(n0,)``.
        strata_group: Market of every row of the group.
        strata_reference: Market of every row of the reference.
        clusters_group: Cluster of every row of the group.
        clusters_reference: Cluster of every row of the reference.
        alpha: Error the interval allows.

    Raises:
        NotEstimableError: When no market has both groups, the reference is 0 everywhere, or there are fewer than two
            clusters.
        InvalidValueError: When values are negative or not finite, or lengths do not fit.
    """
    check_alpha(alpha)
    sums = _Sums.of(group, reference, strata_group, strata_reference, clusters_group, clusters_reference)
    below = float((sums.weight0 * sums.x0.sum(axis=0)).sum())
    if below == 0:
        raise NotEstimableError("a pooled ratio to a reference of 0", "needs a value above 0 in the reference")
    above = float((sums.weight1 * sums.x1.sum(axis=0)).sum())
    clusters, df = sums.x1.shape[0], sums.x1.shape[0] - 1.0
    factor = clusters / (clusters - 1)
    se = None
    if above > 0:
        psi = (sums.residual1 @ sums.weight1) / above - (sums.residual0 @ sums.weight0) / below
        se = math.sqrt(factor * float(psi @ psi))
    own, influences = [], []
    for at, name in enumerate(sums.names):
        m1, m0 = sums.x1[:, at].sum() / sums.n1[:, at].sum(), sums.x0[:, at].sum() / sums.n0[:, at].sum()
        n = int(((sums.n1[:, at] > 0) | (sums.n0[:, at] > 0)).sum())
        one_se = None
        if m1 > 0 and m0 > 0:
            influence = sums.residual1[:, at] / sums.x1[:, at].sum() - sums.residual0[:, at] / sums.x0[:, at].sum()
            one_se = math.sqrt(factor * float(influence @ influence))
            influences.append((math.log(m1 / m0), influence))
        own.append((name, n, None if m0 <= 0 else float(m1 / m0), one_se))
    return _pooled(
        above / below,
        se,
        [critical_value(df, alpha, "two"), df],
        own,
        _hotelling(influences, factor),
        f"Mantel–Haenszel ratio, variance over {clusters} clusters, t; heterogeneity by Hotelling's T² of log ratios",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """Values and rows by cluster and market, of the markets that have both groups."""

    names: tuple[str, ...]
    x1: Floats
    n1: Floats
    x0: Floats
    n0: Floats

    @classmethod
    def of(
        cls,
        group: ArrayLike,
        reference: ArrayLike,
        strata_group: ArrayLike,
        strata_reference: ArrayLike,
        clusters_group: ArrayLike,
        clusters_reference: ArrayLike,
    ) -> "_Sums":
        x1, x0 = np.asarray(group, dtype=np.float64), np.asarray(reference, dtype=np.float64)
        values = np.concatenate([x1, x0])
        if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any():
            raise InvalidValueError(f"values of shape {values.shape}", "must be one finite number a row, 0 or above")
        if not np.shape(strata_group) == np.shape(clusters_group) == x1.shape or not (
            np.shape(strata_reference) == np.shape(clusters_reference) == x0.shape
        ):
            raise InvalidValueError("markets or clusters", "must be one a row")
        names, market = np.unique(
            np.concatenate([np.asarray(strata_group), np.asarray(strata_reference)]).astype(str), return_inverse=True
        )
        cluster = cluster_codes(
            np.concatenate([np.asarray(clusters_group), np.asarray(clusters_reference)]), values.size
        )
        total = int(cluster.max(initial=-1)) + 1
        if total < _FEWEST:
            raise NotEstimableError(f"a pooled ratio over {total} clusters", "needs 2 or more")
        place, first = cluster * names.size + market, np.arange(values.size) < x1.size

        def table(rows: NDArray[np.bool_], weights: Floats) -> Floats:
            flat: Floats = np.bincount(place[rows], weights[rows], total * names.size).astype(np.float64)
            return flat.reshape(total, names.size)

        ones = np.ones(values.size)
        x1c, n1c, x0c, n0c = (table(rows, weight) for rows in (first, ~first) for weight in (values, ones))
        both = (n1c.sum(axis=0) > 0) & (n0c.sum(axis=0) > 0)
        if not both.any():
            raise NotEstimableError("a pooled ratio of groups that share no market", "needs one with both")
        return cls(
            names=tuple(names[both].tolist()), x1=x1c[:, both], n1=n1c[:, both], x0=x0c[:, both], n0=n0c[:, both]
        )

    @property
    def weight1(self) -> Floats:
        """n0/N by market, what a success of the group weighs."""
        found: Floats = self.n0.sum(axis=0) / (self.n1.sum(axis=0) + self.n0.sum(axis=0))
        return found

    @property
    def weight0(self) -> Floats:
        """n1/N by market."""
        return 1.0 - self.weight1

    @property
    def residual1(self) -> Floats:
        """Each cluster's sum less what the market's mean would give it, ``(clusters, markets)``."""
        found: Floats = self.x1 - self.x1.sum(axis=0) / self.n1.sum(axis=0) * self.n1
        return found

    @property
    def residual0(self) -> Floats:
        """The same of the reference."""
        found: Floats = self.x0 - self.x0.sum(axis=0) / self.n0.sum(axis=0) * self.n0
        return found


def _pooled(
    ratio: float,
    se: float | None,
    reach: Sequence[float],
    own: Sequence[tuple[str, int, float | None, float | None]],
    heterogeneity: tuple[float | None, float | None],
    method: str,
) -> PooledRatio:
    critical, df = reach
    strata = tuple(
        StratumRatio(
            name=name, n=n, ratio=one, interval=None if not one or se_ is None else _around(one, critical, se_)
        )
        for name, n, one, se_ in own
    )
    p = None
    if se is not None:
        # Without variance the clusters agree to the last one: 1 is then certain, or certainly wrong.
        apart = 0.0 if abs(math.log(ratio)) < _TIE else math.inf
        statistic = math.log(ratio) / se if se > _TIE else apart
        p = p_value(statistic, df, "two") if math.isfinite(df) else float(2 * special.ndtr(-abs(statistic)))
    return PooledRatio(
        ratio=ratio,
        interval=None if se is None else _around(ratio, critical, se),
        p=p,
        heterogeneity_p=heterogeneity[1],
        statistic=heterogeneity[0],
        strata=strata,
        left_out=tuple(one.name for one in strata if one.interval is None),
        method=method,
    )


def _around(ratio: float, critical: float, se: float) -> Interval:
    reach = min(critical * se, 700.0)
    return ratio * math.exp(-reach), ratio * math.exp(reach)


def _cochran(known: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    if len(known) < _FEWEST:
        return None, None
    logs, se = np.array(known).T
    weights = 1 / se**2
    statistic = float(weights @ (logs - weights @ logs / weights.sum()) ** 2)
    return statistic, float(special.chdtrc(len(known) - 1, statistic))


def _hotelling(known: Sequence[tuple[float, Floats]], factor: float) -> tuple[float | None, float | None]:
    k = len(known)
    if k < _FEWEST:
        return None, None
    logs = np.array([one for one, _ in known])
    influence = np.column_stack([one for _, one in known])
    clusters = len(influence)
    contrasts, moved = logs[1:] - logs[0], influence[:, 1:] - influence[:, :1]
    covariance = factor * moved.T @ moved
    if abs(contrasts).max() < _TIE and abs(covariance).max() < _TIE:
        return 0.0, 1.0
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if rank < 1 or clusters <= rank:
        return None, None
    statistic = float(contrasts @ np.linalg.pinv(covariance, hermitian=True) @ contrasts)
    f = statistic * (clusters - rank) / ((clusters - 1) * rank)
    return statistic, float(special.fdtrc(rank, clusters - rank, f))
