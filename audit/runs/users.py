"""The user side: what each group of users was shown, held against its reference.

Where personas share histories, a taste is one observation: the mean of its personas in the group minus the mean of its
personas in the reference, of the same region. A thousand personas of sixty tastes are sixty pairs, not a thousand rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from audit.disparity import score_interval
from audit.judging import Comparison, compare_binary, compare_means
from audit.plan import EXPOSURE, HIT_RATE, PRECISION, REACH
from audit.runs.grouping import Grouping
from audit.runs.measuring import MATCHED, Column, Measured
from audit.runs.popularity import mean_interval
from workspace.errors import NotEstimableError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

SHARES: Final = (REACH, EXPOSURE, PRECISION, HIT_RATE)
"""Measures that lie between 0 and 1."""
LEAST_ABOVE_ZERO: Final = 10
"""Users with a value above 0 without which a mean of mostly zeros is not compared between different people."""
NO_FILMS_KEPT: Final = "not estimable: no film was kept back of anybody in the group or its reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison of the user side before it is judged.

    Args:
        axis: The axis.
        code: The group.
        column: The measure.
        comparison: What was found.
        n: Users of the group who are compared.
        n_reference: Users of the reference they are held against.
        in_family: Whether the plan declared the test.
        history_share: The film group's share of the group's histories.
        gap: Exposure minus that share.
        gap_interval: Its interval.
    """

    axis: Grouping
    code: int
    column: Column
    comparison: Comparison
    n: int
    n_reference: int
    in_family: bool
    history_share: float | None = None
    gap: float | None = None
    gap_interval: tuple[float, float] | None = None


def compare_users(measured: Measured) -> Iterator[Row]:
    """Compare every judged group with its reference, on every measure, axis by axis."""
    tests = set(measured.plan.tests)
    for axis in measured.users.values():
        pairs = paired(measured, axis) if measured.strata is not None else None
        for code in axis.compared:
            one, other = compared_members(measured, axis, code)
            for place, column in enumerate(measured.columns):
                comparison, group, history, clusters = (
                    _by_taste(pairs, code, place, measured)
                    if pairs is not None
                    else _by_user(measured, one, other, column)
                )
                share, gap, span = _gap(group, history, clusters, measured.plan.alpha)
                yield Row(
                    axis=axis, code=code, column=column, comparison=comparison, n=len(one), n_reference=len(other),
                    in_family=(axis.axis, column.measure) in tests, history_share=share, gap=gap, gap_interval=span,
                )  # fmt: skip


def compared_members(measured: Measured, axis: Grouping, code: int) -> tuple[Codes, Codes]:
    """Return the users of a group and of its reference that are held against each other.

    Where histories are shared, those of strata in which both have members: alike in taste and region.
    """
    one, other = axis.members(code), axis.members(axis.reference)
    if measured.strata is None:
        return one, other
    strata = measured.strata[axis.axis]
    return one[np.isin(strata[one], strata[other])], other[np.isin(strata[other], strata[one])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Means by taste, of a group and of the reference beside it.

    Args:
        groups: Shape ``(n_tastes, n_groups, n_columns)``; NaN where a taste has no pair.
        references: The reference's, over the same regions as each group's; same shape.
        histories: Shares of histories, like ``groups``; NaN for measures that have none.
    """

    groups: Floats
    references: Floats
    histories: Floats


def paired(measured: Measured, axis: Grouping) -> Pairs:
    """Return means by taste of each group and of its reference in the same strata."""
    strata, clusters = (measured.strata or {})[axis.axis], measured.clusters
    nothing = np.full(len(clusters), np.nan)
    values = np.column_stack(
        [column.by_user for column in measured.columns]
        + [nothing if column.history is None else column.history for column in measured.columns]
    )
    sizes = int(strata.max()) + 1, len(axis.names)
    means = cell_means(values, strata, axis.codes, sizes)
    home = np.zeros(sizes[0], np.int64)
    home[strata] = clusters
    tastes, width = int(clusters.max()) + 1, len(measured.columns)
    onto = sparse.csr_matrix((np.ones(sizes[0]), (home, np.arange(sizes[0]))), shape=(tastes, sizes[0]))
    reference = means[:, axis.reference, :]
    groups = np.full((tastes, sizes[1], values.shape[1]), np.nan)
    references = np.full_like(groups, np.nan)
    for code in range(sizes[1]):
        both = np.isfinite(means[:, code, :]) & np.isfinite(reference)
        count = onto @ both.astype(np.float64)
        for out, part in ((groups, means[:, code, :]), (references, reference)):
            total = onto @ np.where(both, part, 0.0)
            out[:, code, :] = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return Pairs(groups=groups[:, :, :width], references=references[:, :, :width], histories=groups[:, :, width:])


def cell_means(values: Floats, strata: Codes, codes: Codes, sizes: tuple[int, int]) -> Floats:
    """Return means by stratum and group, NaN for an empty cell, shape ``(n_strata, n_groups, n_columns)``."""
    known = np.flatnonzero(codes >= 0)
    cells = strata[known] * sizes[1] + codes[known]
    onto = sparse.csr_matrix(
        (np.ones(len(known)), (cells, np.arange(len(known)))), shape=(sizes[0] * sizes[1], len(known))
    )
    finite = np.isfinite(values[known])
    count = onto @ finite.astype(np.float64)
    total = onto @ np.where(finite, values[known], 0.0)
    # A mean of equal numbers can miss them by a rounding: where nothing differs, nothing must seem to.
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    out: Floats = np.round(mean, 12).reshape(*sizes, values.shape[1])
    return out


_Compared = tuple[Comparison, Floats, Floats, Codes]
"""A comparison, with the group's values, shares of histories and clusters it rests on."""


def _by_taste(pairs: Pairs, code: int, place: int, measured: Measured) -> _Compared:
    group, reference = pairs.groups[:, code, place], pairs.references[:, code, place]
    known = np.flatnonzero(np.isfinite(group) & np.isfinite(reference))
    column = measured.columns[place]
    if not len(known) and column.measure in {PRECISION, HIT_RATE}:
        found = Comparison(reason=NO_FILMS_KEPT)
    else:
        most = 1.0 if column.measure in SHARES else None
        found = compare_means(group[known], reference[known], alpha=measured.plan.alpha, paired=True, most=most)
    if column.measure in SHARES and found.value is not None:
        # A taste's share is no less sure than a yes or no: Wilson's interval over tastes stays inside 0 to 1.
        critical = float(stats.t.ppf(1 - measured.plan.alpha / 2, max(len(known) - 1, 1)))
        found = replace(found, interval=score_interval(min(max(found.value, 0.0), 1.0), len(known), critical))
    return found, group[known], pairs.histories[known, code, place], known


def _by_user(measured: Measured, one: Codes, other: Codes, column: Column) -> _Compared:
    """Compare groups whose users have histories of their own."""
    members = [part[np.isfinite(column.by_user[part])] for part in (one, other)]
    group, reference = (column.by_user[part] for part in members)
    matched = measured.panel.kind == MATCHED
    clusters = [measured.clusters[part] if matched else None for part in members]
    few = _few(column, group, reference)
    if few:
        return Comparison(reason=few), group, np.full(len(group), np.nan), measured.clusters[members[0]]
    history = np.full(len(group), np.nan) if column.history is None else column.history[members[0]]
    rest = (group, history, measured.clusters[members[0]])
    alpha = measured.plan.alpha
    if not (len(group) and len(reference)) and column.measure in {PRECISION, HIT_RATE}:
        return Comparison(reason=NO_FILMS_KEPT), *rest
    if column.binary:
        found = compare_binary(
            group > 0, reference > 0, alpha=alpha, clusters_group=clusters[0], clusters_reference=clusters[1]
        )
        return found, *rest
    found = compare_means(
        group, reference, alpha=alpha, clusters_group=clusters[0], clusters_reference=clusters[1],
        most=1.0 if column.measure in SHARES else None,
    )  # fmt: skip
    if column.measure in SHARES and found.interval is not None:
        found = replace(found, interval=(max(found.interval[0], 0.0), min(found.interval[1], 1.0)))
    return found, *rest


def _few(column: Column, group: Floats, reference: Floats) -> str:
    """Return why a mean of a measure that is 0 for most users can't be compared; empty where it can."""
    if column.measure not in {EXPOSURE, PRECISION}:
        return ""
    # A group without any has no spread, and a t test would take that for certainty; reach and hit rate, which have
    # Wilson's intervals, answer there.
    if min(np.count_nonzero(group), np.count_nonzero(reference)) < LEAST_ABOVE_ZERO and len(group) and len(reference):
        other = REACH if column.measure == EXPOSURE else HIT_RATE
        return f"not estimable: fewer than {LEAST_ABOVE_ZERO} users of the group or its reference have any; see {other}"
    return ""


def _gap(
    group: Floats, history: Floats, clusters: Codes, alpha: float
) -> tuple[float | None, float | None, tuple[float, float] | None]:
    known = np.isfinite(group) & np.isfinite(history)
    if not known.any():
        return None, None, None
    gap, span = mean_interval(group[known] - history[known], clusters[known], alpha)
    return float(history[known].mean()), gap, span


def reference_rows(measured: Measured) -> Iterable[tuple[Grouping, Column, float | None, tuple[float, float] | None]]:
    """Return each reference's own measure with its interval; None where it is not estimable."""
    for axis in measured.users.values():
        members = axis.members(axis.reference)
        for column in measured.columns:
            try:
                value, span = mean_interval(column.by_user[members], measured.clusters[members], measured.plan.alpha)
                yield axis, column, value, span
            except NotEstimableError:
                yield axis, column, None, None
