"""Proxy leak: how well a group can be told from the user vector, block by block.

Each block is reduced to its 16 strongest directions (principal components) first; a linear discriminant, fitted by
ridge least squares on four fifths of the tastes, scores the personas of the last fifth. A taste lies in one fold, so
that a shared history can't help. Where personas share histories, only personas of one taste and one declared situation
are held against each other, with that situation's mean taken out: identical vectors give an AUC of one half exactly.

Where nobody shares a history, the discriminants of the folds were fitted on nearly the same users, which DeLong's
variance does not know of: it makes the error of an AUC a third too small. There the spread over groups dealt out anew
counts wherever it is larger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.multitest import multipletests

from audit import names
from audit.plan import DECLARED_AXES
from audit.results import Leak
from audit.runs.grouping import Grouping
from recommender.features.layout import Layout

Floats = npt.NDArray[np.float64]
Fits = list[tuple[npt.NDArray[np.bool_], Floats]]
"""By fold: who is in it, and what turns the targets of all others into a discriminant, shape ``(dim, others)``."""
Codes = npt.NDArray[np.int64]

WHOLE: Final = "all"
DIRECTIONS: Final = 16
FOLDS: Final = 5
_RIDGE: Final = 1e-3
_DIGITS: Final = 9
_EVEN: Final = 0.5
_NOTHING: Final = 1e-18
_LEAST_CLUSTERS: Final = 2
PERMUTATIONS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """An area under the ROC curve with what each cluster adds to its error.

    Args:
        auc: The area; NaN where no group has both members and others.
        influence: By cluster; they sum to zero.
        null_error: Standard deviation over permuted groups; 0 where histories are shared.
    """

    auc: float
    influence: Floats
    null_error: float = 0.0


def leak_table(
    vectors: npt.NDArray[np.float32],
    layout: Layout,
    axes: Iterable[Grouping],
    clusters: Codes,
    strata: Mapping[str, Codes] | None,
    *,
    alpha: float,
    seed: int,
) -> tuple[Leak, ...]:
    """Return the leak of every axis by block, and from the whole vector.

    Args:
        vectors: User vectors, shape ``(n, dim)``.
        layout: Where the blocks lie.
        axes: Who belongs where.
        clusters: Taste (or user) of each persona, 0 … C − 1, shape ``(n,)``.
        strata: By axis, the personas whose vectors must be alike; None when nobody shares a history.
        alpha: Error of the intervals, and family-wise over all blocks and axes.
        seed: Of the folds.

    Source:
        DeLong, DeLong and Clarke-Pearson 1988 for the components of an AUC's variance; Obuchowski 1997 for clusters.
    """
    known = list(axes)
    folds = _folds(clusters, seed)
    rows: list[Leak] = []
    reduced: dict[bytes, dict[str, Floats]] = {}
    for axis in known:
        own = None if strata is None else strata[axis.axis]
        key = b"" if own is None else own.tobytes()
        if key not in reduced:
            reduced[key] = _reduced(vectors, layout, own)
        for block, values in reduced[key].items():
            area = _area(values, axis, clusters, own, folds)
            rows.append(_row(axis, block, area, alpha))
    return _adjusted(rows, alpha)


def within_strata(scores: Floats, positive: npt.NDArray[np.bool_], strata: Codes, clusters: Codes, size: int) -> Area:
    """Return the AUC over pairs of one stratum, weighted by how many pairs there are.

    Args:
        scores: Shape ``(n,)``.
        positive: Who belongs to the group.
        strata: Units that are held against each other; each lies within one cluster.
        clusters: Shape ``(n,)``.
        size: Number of clusters.
    """
    order = np.lexsort((scores, strata))
    stratum, value, hit = strata[order], scores[order], positive[order].astype(np.float64)
    n = len(order)
    new_stratum = np.r_[True, stratum[1:] != stratum[:-1]] if n else np.empty(0, np.bool_)
    starts = np.flatnonzero(new_stratum)
    index = np.cumsum(new_stratum) - 1
    run_starts = np.flatnonzero(np.r_[new_stratum[:1], new_stratum[1:] | (value[1:] != value[:-1])])
    lengths = np.diff(np.r_[run_starts, n])
    run = np.repeat(np.arange(len(run_starts)), lengths)
    rank = run_starts[run] - starts[index] + (lengths[run] + 1) / 2
    hits = np.bincount(index, hit, len(starts))
    others = np.bincount(index, minlength=len(starts)) - hits
    won = np.bincount(index, rank * hit, len(starts)) - hits * (hits + 1) / 2
    pairs = hits * others
    home = clusters[order][starts]
    total = pairs.sum()
    if not total:
        return Area(auc=float("nan"), influence=np.zeros(size))
    auc = won.sum() / total
    return Area(auc=float(auc), influence=np.bincount(home, won - auc * pairs, size) / total)


def pooled(scores: Floats, positive: npt.NDArray[np.bool_], clusters: Codes, size: int) -> Area:
    """Return the AUC over all pairs, with DeLong's components summed by cluster."""
    hits, others = int(positive.sum()), int((~positive).sum())
    if not hits or not others:
        return Area(auc=float("nan"), influence=np.zeros(size))
    ranks = stats.rankdata(scores)
    above = (ranks[positive] - stats.rankdata(scores[positive])) / others
    below = 1 - (ranks[~positive] - stats.rankdata(scores[~positive])) / hits
    auc = float(above.mean())
    influence: Floats = np.bincount(clusters[positive], (above - auc) / hits, size).astype(np.float64)
    influence += np.bincount(clusters[~positive], (below - auc) / others, size)
    return Area(auc=auc, influence=influence)


def interval(area: Area, alpha: float) -> tuple[tuple[float, float], float]:
    """Return an AUC's interval and the p of one half, from clusters alone.

    Without any spread between clusters a normal interval has no width; the exact sign test over clusters then says
    what so many agreeing clusters can show.
    """
    size = len(area.influence)
    variance = size / max(size - 1, 1) * float(np.sum(area.influence**2))
    if area.auc == _EVEN and variance == 0 and not area.null_error:
        return (_EVEN, _EVEN), 1.0
    if variance < _NOTHING and not area.null_error:
        edge = (alpha / 2) ** (1 / size)
        span = (area.auc * edge, area.auc) if area.auc > _EVEN else (area.auc, 1 - (1 - area.auc) * edge)
        return span, float(min(1.0, 2.0 ** (1 - size)))
    error = max(variance**0.5, area.null_error)
    freedom = max(min(size, PERMUTATIONS) - 1 if area.null_error else size - 1, 1)
    half = float(stats.t.ppf(1 - alpha / 2, freedom)) * error
    p = 2 * float(stats.t.sf(abs(area.auc - _EVEN) / error, freedom))
    return (max(0.0, area.auc - half), min(1.0, area.auc + half)), p


def _folds(clusters: Codes, seed: int) -> Codes:
    size = int(clusters.max()) + 1
    folds = np.random.default_rng(seed).permutation(size) % min(FOLDS, max(size, 1))
    out: Codes = folds[clusters]
    return out


def _reduced(vectors: npt.NDArray[np.float32], layout: Layout, strata: Codes | None) -> dict[str, Floats]:
    """Return each block's strongest directions, scaled to unit spread, and all of them side by side."""
    parts: dict[str, Floats] = {}
    for block in layout:
        values = _centred(vectors[:, layout.columns(block)].astype(np.float64), strata)
        if values.shape[1] > DIRECTIONS:
            _, directions = np.linalg.eigh(values.T @ values)
            values = values @ directions[:, ::-1][:, :DIRECTIONS]
        spread = np.sqrt(np.mean(values**2, axis=0))
        kept = spread > 1e-9 * max(float(spread.max(initial=0.0)), 1e-12)
        parts[block] = values[:, kept] / spread[kept]
    return {**parts, WHOLE: np.hstack(list(parts.values()))}


def _centred(values: Floats, strata: Codes | None) -> Floats:
    if strata is None:
        low, high = values.min(axis=0), values.max(axis=0)
        out: Floats = np.where(low == high, 0.0, values - values.mean(axis=0))
        return out
    order = np.argsort(strata, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, np.diff(strata[order]) != 0])
    lengths = np.diff(np.r_[starts, len(order)])
    means = np.add.reduceat(ordered, starts) / lengths[:, None]
    # A mean of equal numbers can miss them by a rounding: where nothing varies the difference is 0, not 1e-17.
    even = np.minimum.reduceat(ordered, starts) == np.maximum.reduceat(ordered, starts)
    place = np.repeat(np.arange(len(starts)), lengths)
    out = np.empty_like(values)
    out[order] = np.where(even[place], 0.0, ordered - means[place])
    return out


def _area(values: Floats, axis: Grouping, clusters: Codes, strata: Codes | None, folds: Codes) -> Area:
    groups = [code for code, judged in enumerate(axis.judged) if judged]
    size = int(clusters.max()) + 1
    mine = np.flatnonzero(np.isin(axis.codes, groups))
    if len(groups) < _LEAST_CLUSTERS or not len(mine):
        return Area(auc=float("nan"), influence=np.zeros(size))
    if not values.shape[1]:
        return Area(auc=_EVEN, influence=np.zeros(size))  # no column varies, so nothing can be told from it
    codes = axis.codes[mine]
    targets = _centred(
        (codes[:, None] == np.array(groups)).astype(np.float64), None if strata is None else strata[mine]
    )
    fits = _fits(values[mine], folds[mine])
    scores = _held_out(values[mine], targets, fits)
    areas: list[tuple[float, Area]] = []
    for place, group in enumerate(groups):
        hit = codes == group
        one = (
            pooled(scores[:, place], hit, clusters[mine], size)
            if strata is None
            else within_strata(scores[:, place], hit, strata[mine], clusters[mine], size)
        )
        if np.isfinite(one.auc):
            areas.append((float(hit.sum()), one))
    total = sum(weight for weight, _ in areas)
    if not total:
        return Area(auc=float("nan"), influence=np.zeros(size))
    return Area(
        auc=sum(weight * one.auc for weight, one in areas) / total,
        influence=sum((weight * one.influence for weight, one in areas), np.zeros(size)) / total,
        null_error=0.0 if strata is not None else _null_error(values[mine], codes, groups, clusters[mine], fits),
    )


def _null_error(
    values: Floats,
    codes: Codes,
    groups: list[int],
    clusters: Codes,
    fits: Fits,
) -> float:
    """Return the standard deviation of the AUC when groups are dealt out anew within clusters, fits and all."""
    # The same draws for every block and axis: a report is the same twice.
    rng = np.random.default_rng(PERMUTATIONS)
    order = np.argsort(clusters, kind="stable")
    # Where every cluster is one user, nothing could be dealt out within it.
    home = clusters if len(np.unique(clusters)) < len(clusters) else np.zeros_like(clusters)
    weights = np.array([np.sum(codes == group) for group in groups], np.float64)
    hits, ranks = weights, np.arange(1.0, len(codes) + 1)[:, None]
    found = np.empty(PERMUTATIONS)
    for draw in range(PERMUTATIONS):
        dealt = np.empty_like(codes)
        dealt[order] = codes[np.lexsort((rng.random(len(codes)), home))]
        positive = dealt[:, None] == np.array(groups)
        scores = _held_out(values, _centred(positive.astype(np.float64), None), fits)
        placed = np.take_along_axis(positive, np.argsort(scores, axis=0), axis=0)
        won = np.sum(placed * ranks, axis=0) - hits * (hits + 1) / 2
        found[draw] = np.average(won / (hits * (len(codes) - hits)), weights=weights)
    return float(found.std(ddof=1))


def _fits(values: Floats, folds: Codes) -> Fits:
    """Return for each fold who is in it, and what turns the targets of all others into a discriminant."""
    fits: Fits = []
    for fold in np.unique(folds):
        held = folds == fold
        known = values[~held]
        if len(known):
            ridge = _RIDGE * len(known) * np.eye(values.shape[1])
            fits.append((held, np.linalg.solve(known.T @ known + ridge, known.T)))
    return fits


def _held_out(values: Floats, targets: Floats, fits: Fits) -> Floats:
    """Return scores of each unit by a discriminant that saw no unit of its fold."""
    out = np.zeros_like(targets)
    for held, solved in fits:
        out[held] = values[held] @ (solved @ targets[~held])
    # Equal vectors can get scores a rounding apart, by where they lie in the matrix: that is no difference.
    return np.round(out, _DIGITS)


def _row(axis: Grouping, block: str, area: Area, alpha: float) -> Leak:
    groups = sum(axis.judged)
    n = int(sum(count for count, judged in zip(axis.counts, axis.judged, strict=True) if judged))
    if not np.isfinite(area.auc):
        return Leak(
            axis=axis.axis, block=block, auc=None, interval=None, groups=groups, n=n, p=None, p_adjusted=None,
            carries=False, words=f"{names.axis(axis.axis)} from {block}: not estimable, no two groups to compare.",
        )  # fmt: skip
    span, p = interval(area, alpha)
    return Leak(
        axis=axis.axis, block=block, auc=area.auc, interval=span, groups=groups, n=n, p=p, p_adjusted=None,
        carries=False, words="",
    )  # fmt: skip


def _adjusted(rows: list[Leak], alpha: float) -> tuple[Leak, ...]:
    tested = [row for row in rows if row.p is not None]
    adjusted = iter(multipletests([row.p for row in tested], method="holm")[1].tolist() if tested else ())
    out: list[Leak] = []
    for row in rows:
        if row.p is None or row.auc is None or row.interval is None:
            out.append(row)
            continue
        p = float(next(adjusted))
        carries = p < alpha and row.auc > _EVEN
        out.append(
            Leak(
                axis=row.axis, block=row.block, auc=row.auc, interval=row.interval, groups=row.groups, n=row.n,
                p=row.p, p_adjusted=p, carries=carries, words=_words(row, p, carries=carries, alpha=alpha),
            )
        )  # fmt: skip
    return tuple(out)


def _words(row: Leak, p: float, *, carries: bool, alpha: float) -> str:
    low, high = row.interval or (0.0, 0.0)
    source = "the whole user vector" if row.block == WHOLE else f"the block {row.block}"
    what = f"the {names.inside(row.axis)}"
    told = f"From {source}, {what} is told with an AUC of {row.auc:.3f} ({1 - alpha:.0%} interval {low:.3f} to "
    told += f"{high:.3f}; 0.5 is chance; {row.n:,} users in {row.groups} groups; adjusted p {p:.3g})"
    if not carries:
        return f"{told}: no leak is shown."
    if row.axis in DECLARED_AXES:
        return f"{told}: it carries {what}, which is a declared input."
    return f"{told}: it carries {what}."
