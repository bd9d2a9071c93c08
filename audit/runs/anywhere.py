"""Whether any group of an axis differs at all, by permutation: one answer where a table of rows gives many."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from audit import names
from audit.results import Figure
from audit.runs.grouping import Grouping
from audit.runs.measuring import MATCHED, OBSERVED, Column, Measured
from audit.runs.users import cell_means

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

ANY: Final = "any_difference"
DRAWS: Final = 999
_TIE: Final = 1e-9


def any_differences(measured: Measured) -> Iterator[Figure]:
    """Return one row an axis, measure and film axis: the p of "no group differs from any other".

    Args:
        measured: What was shown; of observed users only panels whose groups may all be told of.
    """
    for place, axis in enumerate(measured.users.values()):
        values, codes, strata = units(measured, axis)
        blocks = _blocks(measured.columns)
        found = permuted(values, codes, strata, list(blocks.values()), seed=(measured.plan.seed, place))
        for (measure, film_axis), p in zip(blocks, found, strict=True):
            yield _figure(measured, axis, measure, film_axis, p)


def units(measured: Measured, axis: Grouping) -> tuple[Floats, Codes, Codes]:
    """Return what is exchanged: values by unit, their groups, and the strata within which groups may be exchanged.

    Where personas share histories, the unit is the mean of a taste's personas of one group; otherwise the user, of
    matched panels within their taste.
    """
    values = np.column_stack([column.by_user for column in measured.columns])
    kept = np.isin(axis.codes, [code for code, judged in enumerate(axis.judged) if judged])
    if measured.strata is None:
        strata = measured.clusters if measured.panel.kind == MATCHED else np.zeros(len(values), np.int64)
        return values[kept], axis.codes[kept], strata[kept]
    sizes = int(measured.clusters.max()) + 1, len(axis.names)
    # Regions are taken out first: a group that lives elsewhere in some taste must not differ by that.
    strata = measured.strata[axis.axis]
    means = cell_means(values[kept], strata[kept], axis.codes[kept], (int(strata.max()) + 1, sizes[1]))
    whole = np.nanmean(np.where(np.isfinite(means), means, np.nan), axis=1, keepdims=True) if means.size else means
    apart = np.nan_to_num(means - whole)
    home = np.zeros(len(means), np.int64)
    home[strata] = measured.clusters
    onto = sparse.csr_matrix((np.ones(len(means)), (home, np.arange(len(means)))), shape=(sizes[0], len(means)))
    summed = np.stack([onto @ apart[:, code, :] for code in range(sizes[1])], axis=1)
    present = np.zeros(sizes, np.bool_)
    present[measured.clusters[kept], axis.codes[kept]] = True
    taste, code = np.nonzero(present)
    return np.round(summed[taste, code], 10), code.astype(np.int64), taste.astype(np.int64)


def permuted(
    values: Floats, codes: Codes, strata: Codes, blocks: list[list[int]], *, seed: tuple[int, ...], draws: int = DRAWS
) -> list[float]:
    """Return for each block of columns the p of "no group differs".

    The statistic is Σ_g n_g (m_g − m)² over the columns, each in units of its total sum of squares; groups are
    exchanged within strata, the same exchanges for all blocks. p = (1 + draws at least as extreme) / (1 + draws).

    Source: as `audit.inference.permutation_p`.

    Args:
        values: Shape ``(n, m)``; where a unit has no value it takes the column's mean.
        codes: Group of each unit.
        strata: Within which groups are exchanged.
        blocks: Columns that belong together.
        seed: Of the draws.
        draws: How many.
    """
    mean = np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else 0.0 for column in values.T])
    centred = np.where(np.isfinite(values), values - mean, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0))
    centred = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > _TIE)
    groups = np.unique(codes, return_inverse=True)[1]
    size = int(groups.max(initial=0)) + 1
    weights = 1 / np.bincount(groups, minlength=size)

    def between(labels: Codes) -> Floats:
        onto = sparse.csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(size, len(labels)))
        columns = (np.asarray(onto @ centred) ** 2 * weights[:, None]).sum(axis=0)
        return np.array([columns[block].sum() for block in blocks])

    observed = between(groups)
    # Exchanging equals changes nothing: no draw is needed to know p.
    if size == 1 or not np.any(observed > _TIE):
        return [1.0] * len(blocks)
    rng = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    sorted_strata, sorted_groups = strata[order], groups[order]
    reached = np.zeros(len(blocks))
    moved = np.empty_like(groups)
    for _ in range(draws):
        moved[order] = sorted_groups[np.lexsort((rng.random(len(groups)), sorted_strata))]
        reached += between(moved) >= observed * (1 - _TIE)
    return [float(p) for p in (1 + reached) / (1 + draws)]


def _blocks(columns: tuple[Column, ...]) -> dict[tuple[str, str], list[int]]:
    blocks: dict[tuple[str, str], list[int]] = {}
    for place, column in enumerate(columns):
        blocks.setdefault((column.measure, column.film_axis), []).append(place)
    return blocks


def _figure(measured: Measured, axis: Grouping, measure: str, film_axis: str, p: float) -> Figure:
    groups = [name for name, judged in zip(axis.names, axis.judged, strict=True) if judged]
    what = names.MEASURES[measure].lower()
    what += f" by {names.inside(film_axis)}" if film_axis else ""
    said = "at least one group differs" if p < measured.plan.alpha else "no difference between any groups is shown"
    return Figure(
        measure=ANY, side="user", axis=axis.axis, group=measure, reference="", film_axis=film_axis,
        n=sum(count for count, judged in zip(axis.counts, axis.judged, strict=True) if judged), p=p,
        reason="one test of all groups together, listed beside the family",
        method=f"permutation of groups within tastes, {DRAWS} draws" if measured.panel.kind != OBSERVED
        else f"permutation of groups among users, {DRAWS} draws",
        words=f"Over the {len(groups)} groups by {names.inside(axis.axis)}, {what}: {said} (permutation p {p:.3g}).",
    )  # fmt: skip
