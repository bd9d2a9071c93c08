"""Two groups' means when the unit is a user or a cluster of rows, never the row.

Personas that share a history get lists that hang together: they are one cluster, whatever their number. Where both
groups have members in the same clusters, what varies is the difference inside them, and the covariance carries it.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workspace.errors import InvalidValueError, NotEstimableError

Floats = NDArray[np.float64]

_FEWEST: Final = 2
_TELLING: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Two means, with the covariance of their estimates.

    Args:
        mean: Of the group.
        mean_reference: Of the reference.
        rows: Rows of the group.
        rows_reference: Rows of the reference.
        units: Clusters of the group; its rows when each stands alone.
        units_reference: Clusters of the reference.
        shared: Clusters in which both have rows.
        var: Sampling variance of the group's mean.
        var_reference: Of the reference's.
        covariance: Of the two.
        df: Degrees of freedom of a t for their difference.
        singletons: Whether no cluster has two rows of one group.
        telling: Clusters of the group that differ from its commonest value.
        telling_reference: The same of the reference.
    """

    mean: float
    mean_reference: float
    rows: int
    rows_reference: int
    units: int
    units_reference: int
    shared: int
    var: float
    var_reference: float
    covariance: float
    df: float
    singletons: bool
    telling: int
    telling_reference: int

    @property
    def careful(self) -> "Spread":
        """The same, where a group that tells little of its own spread does not vary less than both do together.

        Most users of a small group may have the same value, 0 above all. Their sample variance is then too small
        exactly when their mean is, and t is wrong many times more often than it says, far out most of all. So a group
        of which fewer than 20 clusters differ from the commonest value borrows from the other.
        """
        together = (self.var * self.units**2 + self.var_reference * self.units_reference**2) / (
            self.units + self.units_reference
        )
        var, held = self.var, self.var_reference
        if self.telling < _TELLING:
            var = max(var, together / self.units)
        if self.telling_reference < _TELLING:
            held = max(held, together / self.units_reference)
        df = self.df if self.shared else _satterthwaite(var, self.units, held, self.units_reference)
        return replace(self, var=var, var_reference=held, df=df)

    @property
    def difference_variance(self) -> float:
        """Sampling variance of the difference, not less than what one unit that differs would make of it.

        Where both groups share their clusters and no cluster differs, the sample variance is 0, and an interval
        without width would claim to know all other clusters. So it is never less than if one cluster of C had differed
        by a standard deviation: s²/C², s² that of a cluster's mean.
        """
        plain = self.var + self.var_reference - 2 * self.covariance
        if not self.shared:
            return max(plain, 0.0)
        return max(plain, max(self.var, self.var_reference) / self.shared)

    @property
    def bounded_covariance(self) -> float:
        """The covariance that goes with `difference_variance`."""
        return (self.var + self.var_reference - self.difference_variance) / 2


def spread(
    group: ArrayLike,
    reference: ArrayLike,
    *,
    clusters_group: ArrayLike | None = None,
    clusters_reference: ArrayLike | None = None,
) -> Spread:
    """Return both means, linearised by cluster.

    m = Σ x / Σ n over clusters; a cluster's influence is u_c = (x_c − m n_c) / Σ n, and the variance is
    C/(C − 1) Σ u_c², the covariance Σ u_c u′_c with the factor's geometric mean. df is Welch–Satterthwaite's when the
    groups share no cluster, and one less than the clusters of the smaller group when they do. With clusters of one row
    this is Welch's, or the paired, t test.

    Source: Liang & Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika 73:13; for
    ratios of cluster totals Rao & Scott (1992), A simple method for the analysis of clustered binary data, Biometrics
    48:577, eq. 2.

    Args:
        group: A value a row, ``(n1,)``.
        reference: A value a row, ``(n0,)``.
        clusters_group: Cluster of every row of the group; None: each row stands alone.
        clusters_reference: Cluster of every row of the reference. The same label is the same cluster.

    Raises:
        InvalidValueError: When values are not finite, or clusters are given for one group only or not one a row.
        NotEstimableError: When a group has fewer than two clusters.
    """
    x1, x0 = _finite(group, "group"), _finite(reference, "reference")
    if (clusters_group is None) != (clusters_reference is None):
        raise InvalidValueError("clusters of one group only", "must be given for both or for none")
    if clusters_group is None or clusters_reference is None:
        # Rows that stand alone are clusters that share no name.
        codes1, codes0 = np.arange(x1.size), np.arange(x1.size, x1.size + x0.size)
    else:
        codes1, codes0 = _joint_codes(clusters_group, clusters_reference, x1.size, x0.size)
    total = int(max(codes1.max(initial=-1), codes0.max(initial=-1))) + 1
    mean1, u1, in1, telling1 = _influence(x1, codes1, total, "group")
    mean0, u0, in0, telling0 = _influence(x0, codes0, total, "reference")
    c1, c0, shared = int(in1.sum()), int(in0.sum()), int((in1 & in0).sum())
    factor1, factor0 = c1 / (c1 - 1), c0 / (c0 - 1)
    var1, var0 = factor1 * float(u1 @ u1), factor0 * float(u0 @ u0)
    return Spread(
        mean=mean1,
        mean_reference=mean0,
        rows=x1.size,
        rows_reference=x0.size,
        units=c1,
        units_reference=c0,
        shared=shared,
        var=var1,
        var_reference=var0,
        covariance=(factor1 * factor0) ** 0.5 * float(u1 @ u0),
        df=min(c1, c0) - 1.0 if shared else _satterthwaite(var1, c1, var0, c0),
        singletons=c1 == x1.size and c0 == x0.size,
        telling=telling1,
        telling_reference=telling0,
    )


def cluster_codes(clusters: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Return clusters as numbers from 0, one a row.

    Raises:
        InvalidValueError: When there are not as many as rows.
    """
    labels = np.asarray(clusters)
    if labels.shape != (rows,):
        raise InvalidValueError(f"clusters of shape {labels.shape}", f"must be one a row, ({rows},)")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise InvalidValueError("a cluster == nan", "must be a name or a number")
    codes: NDArray[np.int64] = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return codes


def _joint_codes(
    first: ArrayLike, second: ArrayLike, rows: int, others: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    one, two = np.asarray(first), np.asarray(second)
    if one.shape != (rows,) or two.shape != (others,):
        raise InvalidValueError(
            f"clusters of shapes {one.shape} and {two.shape}", f"must be one a row, ({rows},) and ({others},)"
        )
    codes = cluster_codes(np.concatenate([one, two]), rows + others)
    return codes[:rows], codes[rows:]


def _influence(
    x: Floats, codes: NDArray[np.int64], total: int, name: str
) -> tuple[float, Floats, NDArray[np.bool_], int]:
    sizes = np.bincount(codes, minlength=total)
    present = sizes > 0
    count = int(present.sum())
    if count < _FEWEST:
        raise NotEstimableError(f"the {name}'s spread over {count} unit{'' if count == 1 else 's'}", "needs 2 or more")
    mean = float(x[0]) if x.min() == x.max() else float(x.mean())
    own = np.bincount(codes, x, total)[present] / sizes[present]
    commonest = int(np.unique(own.round(12), return_counts=True)[1].max())
    return mean, np.bincount(codes, x - mean, total) / x.size, present, count - commonest


def _satterthwaite(var1: float, c1: int, var0: float, c0: int) -> float:
    both = var1 + var0
    if both == 0:
        return float(min(c1, c0) - 1)
    # As shares of the whole: squares of tiny variances would leave the range of a double.
    return 1.0 / ((var1 / both) ** 2 / (c1 - 1) + (var0 / both) ** 2 / (c0 - 1))


def _finite(values: ArrayLike, name: str) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or not np.isfinite(given).all():
        raise InvalidValueError(f"{name} of shape {given.shape}", "must be one finite number a row")
    return given
