"""Per market: one ratio pooled over markets, whether they agree, and a market's own index against the general one."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit import names
from audit.plan import CROSS, MARKET, REGION
from audit.pooling import PooledRatio, pooled_ratio
from audit.results import Pooled
from audit.runs.measuring import OBSERVED, Column, Measured, columns_of
from audit.runs.users import compared_members
from audit.runs.withholding import Withheld
from audit.subject import Subject
from workspace.errors import NotEstimableError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

INDEX: Final = "index"
_LEAST_MARKETS: Final = 2


def pool_markets(measured: Measured, withheld: Withheld) -> Iterator[Pooled]:
    """Pool the shares of users (reach, hit rate) of every compared group over markets.

    An axis that contains the market can't be pooled over it, and one market alone has nothing to pool.

    Args:
        measured: What was shown.
        withheld: What may not be said.
    """
    codes, names = _markets(measured)
    if len(names) < _LEAST_MARKETS:
        return
    for axis in measured.users.values():
        if {REGION, MARKET} & set(axis.axis.split(CROSS)):
            continue
        for code in axis.compared:
            for column in measured.columns:
                if not column.binary or withheld.row(axis, code, column):
                    continue
                one, other = (_known(column, part) for part in compared_members(measured, axis, code))
                found = _pool(
                    (column.by_user[one], column.by_user[other]), (codes[one], codes[other]),
                    (measured.clusters[one], measured.clusters[other]), measured.plan.alpha,
                )  # fmt: skip
                told = not _small(measured, column, codes, (one, other))
                yield _row((axis.axis, axis.names[code], axis.reference_name), column, found, names, told=told)


def pool_index(measured: Measured, subject: Subject, market_subject: Subject) -> Iterator[Pooled]:
    """Hold the market's own index against the general one, on the same accounts, over markets.

    Args:
        measured: What the general index showed.
        subject: The general index.
        market_subject: The market's own, opened on the same day and snapshot.
    """
    rows = translated(
        market_subject.slates(measured.panel, measured.plan.k)[0], market_subject.film_ids, subject.film_ids
    )
    codes, names = _markets(measured)
    columns = columns_of(measured.plan, measured.panel, subject.view.films, measured.films, rows)
    for general, own in zip(measured.columns, columns, strict=True):
        if not general.binary:
            continue
        known = np.flatnonzero(np.isfinite(general.by_user) & np.isfinite(own.by_user))
        found = _pool(
            (own.by_user[known], general.by_user[known]), (codes[known],) * 2, (measured.clusters[known],) * 2,
            measured.plan.alpha,
        )  # fmt: skip
        told = not _small(measured, general, codes, (known,)) and not _small(measured, own, codes, (known,))
        yield _row((INDEX, market_subject.view.version, subject.view.version), general, found, names, told=told)


def translated(rows: Codes, from_ids: tuple[str, ...], to_ids: tuple[str, ...]) -> Codes:
    """Return rows of one version as rows of another; a film the other does not have is an empty place."""
    if from_ids == to_ids:
        return rows
    place = {film: row for row, film in enumerate(to_ids)}
    table = np.array([*(place.get(film, -1) for film in from_ids), -1], np.int64)
    return table[rows]


def _markets(measured: Measured) -> tuple[Codes, tuple[str, ...]]:
    codes, names = pd.factorize(measured.panel.accounts[MARKET], sort=True)
    return codes.astype(np.int64), tuple(map(str, names))


def _known(column: Column, members: Codes) -> Codes:
    return members[np.isfinite(column.by_user[members])]


def _pool(
    values: tuple[Floats, Floats], markets: tuple[Codes, Codes], clusters: tuple[Codes, Codes], alpha: float
) -> PooledRatio | str:
    try:
        return pooled_ratio(*values, *markets, clusters_group=clusters[0], clusters_reference=clusters[1], alpha=alpha)
    except NotEstimableError as error:
        return f"not estimable: {error.what}, {error.limit}"


def _small(measured: Measured, column: Column, markets: Codes, groups: Sequence[Codes]) -> bool:
    """Say whether some market of an observed panel has too few users of a group, or too few who said yes or no."""
    if measured.panel.kind != OBSERVED:
        return False
    for members in groups:
        for part in (members, *(members[column.by_user[members] == answer] for answer in (0.0, 1.0))):
            sizes = np.bincount(markets[part])
            if np.any((sizes > 0) & (sizes < measured.plan.k_anonymity)):
                return True
    return False


def _row(
    who: tuple[str, str, str], column: Column, found: PooledRatio | str, known: tuple[str, ...], *, told: bool
) -> Pooled:
    axis, group, reference = who
    what = names.figure({"measure": column.measure, "film_axis": column.film_axis, "film_group": column.film_group,
                         "group": group, "reference": reference})  # fmt: skip
    shared = {
        "axis": axis, "measure": column.measure, "group": group, "reference": reference,
        "film_axis": column.film_axis, "film_group": column.film_group,
    }  # fmt: skip
    if isinstance(found, str):
        return Pooled(
            **shared, ratio=None, interval=None, p=None, heterogeneity_p=None, markets=(),
            words=f"{what}: {found}.",
        )  # fmt: skip
    markets = tuple(dict(one.to_dict()) | {"market": known[int(one.name)]} for one in found.strata)
    words = f"{what}, pooled over {len(markets)} markets: ratio {found.ratio:.3f}"
    if found.interval:
        words += f" ({found.interval[0]:.3f} to {found.interval[1]:.3f})"
    if found.heterogeneity_p is not None:
        words += f"; that the markets agree has p {found.heterogeneity_p:.2g}"
    if not told:
        words += "; single markets are withheld, one of them has too few users"
    return Pooled(
        **shared, ratio=found.ratio, interval=found.interval, p=found.p, heterogeneity_p=found.heterogeneity_p,
        # One market's figures could be had from the pooled one and the others: all are told, or none.
        markets=markets if told else (), words=f"{words}. {found.method}.",
    )  # fmt: skip
