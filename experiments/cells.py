"""Sums of users by cell: count, means, centred second moments, merged without a look at a single user.

A *cell* is one row: users of a variant, a region, a hash bucket and so on. Every figure of a scorecard is folded from
cells, so that what is stored is small, holds nobody's rows and can be split in any way the cells are split.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from experiments.metrics import Needs
from experiments.moments import Moments
from workspace.columns import Trial
from workspace.errors import IntegrityError, InvalidValueError, UnknownError

Floats = NDArray[np.float64]

KEYS: Final = (Trial.VARIANT, Trial.REGION, Trial.BUCKET, Trial.DEVICE, Trial.AGE, Trial.DATE)
_MEAN: Final = "mean_"
_COMOMENT: Final = "comoment_"
_THIRD: Final = "third_"
_NAMES: Final = b"cells"
_FEW: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Moments of the sums of users, a row a cell.

    Args:
        keys: Which users a row is about; columns are some of `KEYS`, shape ``(c, keys)``.
        columns: Names of the d sums.
        pairs: Which two sums, by their places in ``columns``, have a comoment; ``(i, i)`` is there for every i.
        n: Users, shape ``(c,)``.
        means: Mean of each sum over the users, shape ``(c, d)``.
        comoments: Σ (x − mean of x)(y − mean of y) over the users, shape ``(c, p)``.
        third: Σ (x − mean of x)³ over the users, shape ``(c, d)``; None when nobody asked for it.

    Raises:
        InvalidValueError: When shapes don't fit, a cell has no user, or a figure is not finite.

    Example:
        >>> one = cells_of({"variant": ["a", "a"], "region": ["DE", "US"]}, [[[1.0], [3.0]], [[8.0]]], ["clicks"])
        >>> both = one.fold(["variant"])
        >>> both.n.tolist(), both.means.tolist(), both.comoments.tolist()
        ([3.0], [[4.0]], [[26.0]])
    """

    keys: pd.DataFrame
    columns: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    n: Floats
    means: Floats
    comoments: Floats
    third: Floats | None = None

    def __post_init__(self) -> None:
        c, d, p = len(self.keys), len(self.columns), len(self.pairs)
        shapes = [("n", self.n, (c,)), ("means", self.means, (c, d)), ("comoments", self.comoments, (c, p))]
        if self.third is not None:
            shapes.append(("third", self.third, (c, d)))
        for name, values, shape in shapes:
            if values.shape != shape:
                raise InvalidValueError(f"{name} has shape {values.shape}", f"must be {shape}")
            if not np.isfinite(values).all():
                raise InvalidValueError(f"{name} of a cell is not finite", "must be finite numbers")
        if not (self.n > 0).all():
            raise InvalidValueError("a cell has no user", "must have one at least")
        unknown = set(self.keys.columns) - set(KEYS)
        if unknown:
            raise InvalidValueError(f"keys {sorted(unknown)} of cells", f"must be some of {', '.join(KEYS)}")

    @classmethod
    def empty(cls, keys: Sequence[str], needs: Needs) -> "Cells":
        """Return no cells of some sums."""
        columns, pairs = needs.columns, places(needs)
        return cls(
            keys=pd.DataFrame({name: pd.Series(dtype=object) for name in keys}),
            columns=columns,
            pairs=pairs,
            n=np.empty(0),
            means=np.empty((0, len(columns))),
            comoments=np.empty((0, len(pairs))),
            third=np.empty((0, len(columns))),
        )

    def __len__(self) -> int:
        return len(self.n)

    @property
    def users(self) -> int:
        """Users of all cells."""
        return int(self.n.sum())

    @property
    def totals(self) -> Floats:
        """Each sum over all users of each cell, shape ``(c, d)``."""
        return self.means * self.n[:, None]

    def place(self, column: str) -> int:
        """Return where a sum stands in ``columns``.

        Raises:
            UnknownError: When the cells don't have it.
        """
        if column not in self.columns:
            raise UnknownError(f"sum == {column!r}", f"must be one of {', '.join(self.columns)}")
        return self.columns.index(column)

    def skewness(self, column: str) -> Floats:
        """Return the skewness of a sum over the users of each cell, shape ``(c,)``; NaN where all users are alike.

        Raises:
            UnknownError: When the cells don't have the sum, or no third moments.
        """
        if self.third is None:
            raise UnknownError("third moments of cells", "must be computed with them")
        at = self.place(column)
        m2 = self.comoments[:, self.pairs.index((at, at))] / self.n
        m3 = self.third[:, at] / self.n
        with np.errstate(divide="ignore", invalid="ignore"):
            # Users who are all alike have no skewness: not estimable, never 0.
            skewness: Floats = np.where(m2 > 0, m3 / m2**1.5, np.nan)
        return skewness

    def where(self, **equal: Any) -> "Cells":  # noqa: ANN401 - whatever a key holds
        """Return the cells whose keys have some values.

        Args:
            **equal: The value of each key, or a set, list or tuple of values.

        Raises:
            UnknownError: When the cells are not split by that key.
        """
        kept = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            if name not in self.keys.columns:
                raise UnknownError(f"key == {name!r}", f"must be one of {', '.join(self.keys.columns) or 'none'}")
            values = list(value) if isinstance(value, set | frozenset | list | tuple) else [value]
            kept &= self.keys[name].isin(values).to_numpy(dtype=bool)
        return self if kept.all() else self._rows(np.flatnonzero(kept))

    def fold(self, by: Sequence[str]) -> "Cells":
        """Return fewer cells, split by some of the keys only, in the order of those.

        Args:
            by: Names of keys; none folds everything into one cell.

        Raises:
            UnknownError: When the cells are not split by that key.

        Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances",
            1979, equation 2.1; Pébay, SAND2008-6212, equation 3.1 for third moments.
        """
        for name in by:
            if name not in self.keys.columns:
                raise UnknownError(f"key == {name!r}", f"must be one of {', '.join(self.keys.columns) or 'none'}")
        if not len(self):
            return replace(self, keys=self.keys[list(by)])
        keys, starts, order = _groups(self.keys, list(by))
        n, means, comoments = self.n[order], self.means[order], self.comoments[order]
        total = np.add.reduceat(n, starts)
        group = np.repeat(np.arange(len(starts)), np.diff([*starts, len(n)]))
        # Around the group's first cell: a mean of large numbers that are nearly equal loses no digit.
        origin = means[starts]
        shift = np.add.reduceat(n[:, None] * (means - origin[group]), starts, axis=0) / total[:, None]
        merged = origin + shift
        off = means - merged[group]
        left, right = (np.array([pair[side] for pair in self.pairs], dtype=np.intp) for side in (0, 1))
        between = n[:, None] * off[:, left] * off[:, right]
        third = None
        if self.third is not None:
            own = comoments[:, [self.pairs.index((at, at)) for at in range(len(self.columns))]]
            third = np.add.reduceat(self.third[order] + 3 * off * own + n[:, None] * off**3, starts, axis=0)
        return replace(
            self,
            keys=keys,
            n=total,
            means=merged,
            comoments=np.add.reduceat(comoments + between, starts, axis=0),
            third=third,
        )

    def merge(self, *others: "Cells") -> "Cells":
        """Return these cells and others of the same keys and sums as one; users of one cell in both are added up.

        Raises:
            InvalidValueError: When keys or sums differ.
        """
        every = [self, *others]
        for one in others:
            if (one.columns, one.pairs) != (self.columns, self.pairs) or set(one.keys) != set(self.keys):
                raise InvalidValueError("cells of other keys or sums", "must be the same to be merged")
        filled = [one for one in every if len(one)]
        if not filled:
            return self
        names = list(self.keys.columns)
        thirds = [one.third for one in filled if one.third is not None]
        joined = replace(
            self,
            keys=pd.concat([one.keys[names] for one in filled], ignore_index=True),
            n=np.concatenate([one.n for one in filled]),
            means=np.concatenate([one.means for one in filled]),
            comoments=np.concatenate([one.comoments for one in filled]),
            third=np.concatenate(thirds) if len(thirds) == len(filled) else None,
        )
        return joined.fold(names)

    def moments(self, columns: Sequence[str]) -> list[Moments]:
        """Return the moments of some sums, one for each cell, in the order of the cells.

        Args:
            columns: The sums, in the order the moments shall have them.

        Raises:
            UnknownError: When the cells don't have a sum, or not the comoment of two.
        """
        at = [self.place(name) for name in columns]
        index = {pair: number for number, pair in enumerate(self.pairs)}
        square = np.empty((len(at), len(at)), dtype=np.intp)
        for i, j in combinations_with_replacement(range(len(at)), 2):
            pair = (min(at[i], at[j]), max(at[i], at[j]))
            if pair not in index:
                raise UnknownError(f"comoment of {columns[i]} and {columns[j]}", "must be computed with the cells")
            square[i, j] = square[j, i] = index[pair]
        comoments = self.comoments[:, square.ravel()].reshape(-1, *square.shape)
        return Moments.from_cells(self.n, self.means[:, at], comoments)

    def to_table(self) -> pa.Table:
        """Return the cells as a table of a few columns; `from_table` gives back the same bits."""
        keys = pa.Table.from_pandas(self.keys, preserve_index=False)
        figures = {name: _listed(values) for name, values in self._figures().items()}
        named = {name: keys.column(name) for name in self.keys.columns} | {Trial.N: pa.array(self.n, pa.float64())}
        table = pa.table(named | figures)
        # By lists: every column of its own would cost a reader more than its figures.
        return table.replace_schema_metadata({_NAMES: json.dumps([self.columns, self.pairs])})

    @classmethod
    def from_table(cls, table: pa.Table) -> "Cells":
        """Return cells from their table, or from one with a column for every figure as they were once kept.

        Raises:
            IntegrityError: When it is not one of cells.
        """
        names = table.column_names
        keys = [name for name in names if name in KEYS]
        try:
            columns, pairs = _names_of(table)
            figures = [
                ("means", [f"{_MEAN}{name}" for name in columns]),
                ("comoments", [f"{_COMOMENT}{i}_{j}" for i, j in pairs]),
                ("third", [f"{_THIRD}{name}" for name in columns]),
            ]
            found = {name: _matrix(table, name, single) for name, single in figures if _has(names, name, single)}
            return cls(
                # By column: pandas' own reading of a whole table costs more than all the figures.
                keys=pd.DataFrame({name: table.column(name).to_pandas() for name in keys}, index=range(len(table))),
                columns=columns,
                pairs=pairs,
                n=np.array(table.column(Trial.N).to_numpy(), dtype=np.float64),
                **found,
            )
        except (KeyError, ValueError, TypeError) as error:
            raise IntegrityError(f"a table of cells is damaged: {error}", hint="compute it again") from error

    def _figures(self) -> dict[str, Floats]:
        out = {"means": self.means, "comoments": self.comoments}
        return out if self.third is None else out | {"third": self.third}

    def _rows(self, kept: NDArray[np.intp]) -> "Cells":
        return replace(
            self,
            keys=self.keys.iloc[kept].reset_index(drop=True),
            n=self.n[kept],
            means=self.means[kept],
            comoments=self.comoments[kept],
            third=None if self.third is None else self.third[kept],
        )


def places(needs: Needs) -> tuple[tuple[int, int], ...]:
    """Return the pairs of places of what some metrics need, each sum with itself first.

    Example:
        >>> places(Needs(columns=("clicks", "impressions"), pairs=(("clicks", "impressions"),)))
        ((0, 0), (1, 1), (0, 1))
    """
    at = {name: number for number, name in enumerate(needs.columns)}
    own = tuple((number, number) for number in range(len(needs.columns)))
    return own + tuple((min(at[a], at[b]), max(at[a], at[b])) for a, b in needs.pairs)


def cells_of(
    keys: Mapping[str, Sequence[Any]], values: Iterable[Any], columns: Sequence[str], *, pairs: bool = True
) -> Cells:
    """Return cells from the sums of single users: for simulations and for other people's data.

    Args:
        keys: Values of each key, shape ``(c,)`` each.
        values: For each cell the sums of its users, shape ``(users, d)``.
        columns: Names of the d sums.
        pairs: Whether every two sums have a comoment, not only each with itself.
    """
    d = len(columns)
    own = [(at, at) for at in range(d)]
    chosen = own + [pair for pair in combinations_with_replacement(range(d), 2) if pairs and pair not in own]
    left, right = (np.array([pair[side] for pair in chosen], dtype=np.intp) for side in (0, 1))
    rows = [np.asarray(one, dtype=np.float64).reshape(-1, d) for one in values]
    means = np.array([one.mean(axis=0) for one in rows]).reshape(len(rows), d)
    off = [one - mean for one, mean in zip(rows, means, strict=True)]
    return Cells(
        keys=pd.DataFrame(dict(keys), index=range(len(rows))),
        columns=tuple(columns),
        pairs=tuple(chosen),
        n=np.array([len(one) for one in rows], dtype=np.float64),
        means=means,
        comoments=np.array([(one[:, left] * one[:, right]).sum(axis=0) for one in off]).reshape(len(rows), len(chosen)),
        third=np.array([(one**3).sum(axis=0) for one in off]).reshape(len(rows), d),
    )


def _groups(keys: pd.DataFrame, by: list[str]) -> tuple[pd.DataFrame, NDArray[np.intp], NDArray[np.intp]]:
    """Return the keys of each group, where it starts among the sorted rows, and the rows sorted by group."""
    if not by:
        return pd.DataFrame(index=range(1)), np.zeros(1, dtype=np.intp), np.arange(len(keys))
    code = np.zeros(len(keys), dtype=np.int64)
    for name in by:
        codes, count = _codes(keys[name])
        code = code * count + codes
    order = np.argsort(code, kind="stable")
    found = code[order]
    starts = np.flatnonzero(np.concatenate([[True], found[1:] != found[:-1]]))
    return keys[by].iloc[order[starts]].reset_index(drop=True), starts, order


def _codes(key: pd.Series) -> tuple[NDArray[np.int64], int]:
    """Return the place of each value among the sorted ones, and how many there are."""
    if len(key) <= _FEW:
        # For a few cells, what pandas prepares costs more than all the figures.
        values = key.tolist()
        try:
            places_of = {value: place for place, value in enumerate(sorted(set(values)))}
        except TypeError:  # a key that is missing somewhere
            pass
        else:
            return np.array([places_of[value] for value in values], dtype=np.int64), len(places_of)
    codes, found = pd.factorize(key, sort=True, use_na_sentinel=False)
    return codes.astype(np.int64), len(found)


def _parsed(name: str) -> tuple[int, int]:
    left, right = name.removeprefix(_COMOMENT).split("_")
    return int(left), int(right)


def _names_of(table: pa.Table) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    kept = (table.schema.metadata or {}).get(_NAMES)
    if kept is not None:
        columns, pairs = json.loads(kept)
        return tuple(columns), tuple((int(i), int(j)) for i, j in pairs)
    names = table.column_names
    return (
        tuple(name.removeprefix(_MEAN) for name in names if name.startswith(_MEAN)),
        tuple(_parsed(name) for name in names if name.startswith(_COMOMENT)),
    )


def _has(names: Sequence[str], name: str, single: Sequence[str]) -> bool:
    return name in names or (bool(single) and single[0] in names) or name != "third"


def _listed(values: Floats) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float64()), values.shape[1])


def _matrix(table: pa.Table, name: str, single: Sequence[str]) -> Floats:
    if name in table.column_names:
        flat = table.column(name).combine_chunks().flatten().to_numpy()
        return np.array(flat, dtype=np.float64).reshape(len(table), len(single))
    out = np.empty((len(table), len(single)))
    for at, one in enumerate(single):
        out[:, at] = table.column(one).to_numpy()
    return out
