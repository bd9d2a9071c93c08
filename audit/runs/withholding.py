"""What a run may not say of observed users: cells under k, and what would give them away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from audit.groups import UNKNOWN
from audit.plan import EXPOSURE, HIT_RATE, PRECISION, REACH
from audit.runs.grouping import Grouping
from audit.runs.measuring import OBSERVED, Column, Measured
from audit.suppression.release import TOTAL, Key, Line, Release
from audit.suppression.withholding import withhold as withhold_cells

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_WHOLE: Key = (TOTAL,)
_COUNTED_BY: Final = {EXPOSURE: REACH, PRECISION: HIT_RATE}
"""Yes-or-no measures that say how many users stand behind a mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """What is withheld.

    Args:
        groups: By axis, the groups whose size, and so everything about them, is withheld.
        rows: Of yes-or-no measures ``(axis, group, measure, film axis, film group)``, where too few said yes or no.
        cells: How many cells are withheld.
        whole: Whether the size of the whole panel is.
    """

    groups: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    rows: frozenset[tuple[str, str, str, str, str]] = frozenset()
    cells: int = 0
    whole: bool = False

    def row(self, axis: Grouping, code: int, column: Column) -> bool:
        """Return whether a comparison of a group with its reference is withheld."""
        mine = self.groups.get(axis.axis, {})
        # A mean of values that are above 0 for three users alone tells about those three.
        measure = _COUNTED_BY.get(column.measure, column.measure)
        return any(
            mine.get(group, False) or (axis.axis, group, measure, column.film_axis, column.film_group) in self.rows
            for group in (axis.names[code], axis.reference_name)
        )


def withhold(measured: Measured) -> Withheld:
    """Return what may not be said of a panel; nothing of personas, who are nobody.

    Sizes of groups of all axes are one release: a region's count is what its market's leaves over. So are, measure by
    measure, the users who said yes and those who said no.
    """
    if measured.panel.kind != OBSERVED:
        return Withheld()
    k, lines = measured.plan.k_anonymity, sum_lines(measured.users)
    everybody = np.ones(len(measured.panel), np.bool_)
    sizes = withhold_cells(Release(counts=counted(measured.users, everybody), lines=lines), k=k)
    hidden = set(sizes.hidden)
    rows: set[tuple[str, str, str, str, str]] = set()
    for column in yes_or_no(measured):
        known = np.isfinite(column.by_user)
        tables = [
            Release(counts=counted(measured.users, part), lines=lines)
            for part in (known & (column.by_user > 0), known & (column.by_user == 0))
        ]
        found = withhold_cells(tables[0], k=k, positives=tables[1], already=hidden)
        rows |= {
            (key[0], key[1], column.measure, column.film_axis, column.film_group)
            for key in found.hidden - hidden - {_WHOLE}
        }
    return Withheld(
        groups={
            axis: {name: (axis, name) in hidden for name in (*groups.names, UNKNOWN)}
            for axis, groups in measured.users.items()
        },
        rows=frozenset(rows),
        cells=len(hidden) + len(rows),
        whole=_WHOLE in hidden,
    )


def yes_or_no(measured: Measured) -> list[Column]:
    """Return the measures that count users: those asked for, and those that stand behind a mean that is."""
    have = {(one.measure, one.film_axis, one.film_group): one for one in measured.columns}
    out = [one for one in measured.columns if one.binary]
    for one in measured.columns:
        measure = _COUNTED_BY.get(one.measure)
        if measure and (measure, one.film_axis, one.film_group) not in have:
            above = np.where(np.isfinite(one.by_user), (one.by_user > 0).astype(np.float64), np.nan)
            out.append(Column(measure=measure, film_axis=one.film_axis, film_group=one.film_group, by_user=above))
    return out


def counted(axes: Mapping[str, Grouping], chosen: Mask) -> dict[Key, int]:
    """Return how many chosen users each group of each axis has, and how many there are.

    Args:
        axes: The axes.
        chosen: Who is counted, shape ``(n,)``.
    """
    out: dict[Key, int] = {_WHOLE: int(chosen.sum())}
    for axis, groups in axes.items():
        sizes = np.bincount(groups.codes[chosen] + 1, minlength=len(groups.names) + 1).tolist()
        out |= {(axis, name): size for name, size in zip((UNKNOWN, *groups.names), sizes, strict=True)}
    return out


def sum_lines(axes: Mapping[str, Grouping]) -> tuple[Line, ...]:
    """Return every sum a reader can take: of an axis, and of a finer axis within a group of a coarser one."""
    out = [Line(total=_WHOLE, parts=_keys(axis, groups)) for axis, groups in axes.items()]
    for coarse, outer in axes.items():
        for fine, inner in axes.items():
            if coarse == fine:
                continue
            inside = _inside(outer.codes, inner.codes, len(inner.names))
            if inside is None:
                continue
            names, keys = (UNKNOWN, *outer.names), _keys(fine, inner)
            out.extend(
                Line(
                    total=(coarse, name),
                    parts=tuple(key for key, at in zip(keys, inside.tolist(), strict=True) if at == code),
                )
                for code, name in enumerate(names)
                if np.any(inside == code)
            )
    return tuple(out)


def _inside(outer: Codes, inner: Codes, names: int) -> Codes | None:
    """Return the outer group of each inner one, counted from unknown; None when an inner group lies in several."""
    home = np.full(names + 1, -1, np.int64)
    home[inner + 1] = outer + 1
    return home if np.array_equal(home[inner + 1], outer + 1) else None


def _keys(axis: str, groups: Grouping) -> tuple[Key, ...]:
    return tuple((axis, name) for name in (UNKNOWN, *groups.names))
