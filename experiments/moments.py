"""Counts, means and centred second moments: all that the statistics ever see of the users."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from workspace.errors import InvalidValueError, NotEstimableError

FloatArray = npt.NDArray[np.float64]

_TOLERANCE: Final = 1e-9
"""Asymmetry, or excess of a covariance over what its variances allow, relative to those, that rounding may cause."""
_ROUNDING: Final = 1e-13
"""The same relative to the uncentred squares: what an engine leaves behind where there is no variance at all."""
_MATRIX: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """How many users, their means, and the sums of products of their deviations from those means.

    Raw sums of squares are never formed: at a mean of 10⁷ and a standard deviation of 0.1 they keep no digit of it.

    Args:
        n: Users, 0 or more.
        means: Means, ``(d,)``; zeros without users.
        comoments: Σ (x − x̄)(x − x̄)ᵀ, ``(d, d)``, symmetric; the diagonal is the centred sum of squares.
        residues: What rounding to a double took off the means, ``(d,)``; keeps long chains of merges exact. None is 0.

    Raises:
        InvalidValueError: When a number is not finite, a count or a centred sum of squares is negative, or the shapes
            do not fit.

    Example:
        >>> left, right = Moments.from_values([1.0, 2.0]), Moments.from_values([6.0])
        >>> both = left.merge(right)
        >>> both.n, both.means.tolist(), both.comoments.tolist()
        (3, [3.0], [[14.0]])
    """

    n: int | float
    means: FloatArray
    comoments: FloatArray
    residues: FloatArray | None = None

    def __post_init__(self) -> None:
        means = np.atleast_1d(np.array(self.means, dtype=np.float64))
        comoments = np.atleast_2d(np.array(self.comoments, dtype=np.float64))
        n = _checked_count(self.n)
        _check(n, means, comoments)
        if self.residues is not None:
            object.__setattr__(self, "residues", _frozen(np.array(self.residues, dtype=np.float64)))
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "means", _frozen(means))
        object.__setattr__(self, "comoments", _frozen(comoments))

    @classmethod
    def from_values(cls, values: npt.ArrayLike) -> Self:
        """Return the moments of one row a user.

        Args:
            values: ``(n,)`` or ``(n, d)``.

        Raises:
            InvalidValueError: When a value is not a finite number, or the squares leave the range of a double.
        """
        rows = _rows(values)
        n, d = rows.shape
        if n == 0:
            return cls(n=0, means=np.zeros(d), comoments=np.zeros((d, d)))
        # A column of one value has no variance at all; its rounded mean would invent one.
        constant = rows.min(axis=0) == rows.max(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            centre = np.where(constant, rows[0], rows.mean(axis=0))
            apart = rows - centre
            rest = apart.mean(axis=0)
            comoments = apart.T @ apart - n * np.outer(rest, rest)
        means, residues = _two_sum(centre, rest)
        np.fill_diagonal(comoments, np.maximum(np.diagonal(comoments), 0.0))
        return cls(n=n, means=means, comoments=(comoments + comoments.T) / 2, residues=residues)

    @classmethod
    def from_sums(cls, n: float, means: npt.ArrayLike, comoments: npt.ArrayLike) -> Self:
        """Return moments that somebody else computed.

        Args:
            n: Users.
            means: ``(d,)``.
            comoments: Centred, ``(d, d)``: n times the population covariance.
        """
        return cls(n=n, means=np.asarray(means, np.float64), comoments=np.asarray(comoments, np.float64))

    @classmethod
    def from_cells(cls, n: FloatArray, means: FloatArray, comoments: FloatArray) -> list[Self]:
        """Return the moments of many cells, checked all at once: a scorecard takes hundreds.

        Args:
            n: Users, ``(c,)``.
            means: ``(c, d)``.
            comoments: Centred, ``(c, d, d)``.
        """
        fit = _fit(n, means, comoments)
        made = []
        for at, fits in enumerate(fit.tolist()):
            if not fits:  # checked alone, it is mended or says what is wrong
                made.append(cls.from_sums(float(n[at]), means[at], comoments[at]))
                continue
            one = object.__new__(cls)
            object.__setattr__(one, "n", _checked_count(float(n[at])))
            object.__setattr__(one, "means", _frozen(means[at]))
            object.__setattr__(one, "comoments", _frozen(comoments[at]))
            object.__setattr__(one, "residues", None)
            made.append(one)
        return made

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.means.size)

    @property
    def covariance(self) -> FloatArray:
        """Unbiased covariance, ``(d, d)``.

        Raises:
            NotEstimableError: With fewer than two users.
        """
        if self.n < 2:  # noqa: PLR2004 - one user has no spread
            raise NotEstimableError(
                f"a variance of {self.n} user{'' if self.n == 1 else 's'}",
                "needs 2 or more",
                "wait for more users or widen the filter",
            )
        return self.comoments / (self.n - 1)

    @property
    def variance(self) -> FloatArray:
        """Unbiased variance of every column, ``(d,)``."""
        return np.diagonal(self.covariance).copy()

    def columns(self, *indices: int) -> "Moments":
        """Return the moments of some columns, in the order given; a column may be taken twice.

        Raises:
            InvalidValueError: When there is no such column.
        """
        for index in indices:
            if not 0 <= index < self.d:
                raise InvalidValueError(f"column == {index}", f"must be 0 to {self.d - 1}", "count columns from 0")
        at = list(indices)
        residues = None if self.residues is None else self.residues[at]
        # A part of what was checked needs no second check: a scorecard takes hundreds of such parts.
        part = object.__new__(Moments)
        for name, value in (
            ("n", self.n),
            ("means", _frozen(self.means[at])),
            ("comoments", _frozen(self.comoments[np.ix_(at, at)])),
            ("residues", residues),
        ):
            object.__setattr__(part, name, value)
        return part

    def merge(self, *others: "Moments") -> "Moments":
        """Return the moments of all users together.

        Source: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, The American Statistician
        37:242, eq. 2.1; here for cross moments and for any number of groups at once.

        Raises:
            InvalidValueError: When the numbers of columns differ.
        """
        return merge((self, *others))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Moments):
            return NotImplemented
        return (
            self.n == other.n
            and np.array_equal(self.means, other.means)
            and np.array_equal(self.comoments, other.comoments)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash


def merge(groups: Sequence[Moments]) -> Moments:
    """Return the moments of all groups together; see `Moments.merge`."""
    if not groups:
        raise InvalidValueError("groups == 0", "must be 1 or more", "pass moments to merge")
    d = groups[0].d
    if any(one.d != d for one in groups):
        raise InvalidValueError(
            f"columns == {sorted({one.d for one in groups})}", "must be as many in every group", "merge like with like"
        )
    filled = [one for one in groups if one.n]
    if len(filled) <= 1:
        return filled[0] if filled else groups[0]
    n = _checked_count(math.fsum(one.n for one in filled))
    centre = max(filled, key=lambda one: one.n).means
    # Shifts from a common centre are small and nearly exact, so the digits of a large mean are never lost.
    shifts = np.array([(one.means - centre) + _residues(one) for one in filled])
    counts = np.array([one.n for one in filled], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        shift = counts @ shifts / n
        apart = shifts - shift
        between = (apart * counts[:, None]).T @ apart
        comoments = np.sum([one.comoments for one in filled], axis=0) + between
    means, residues = _two_sum(centre, shift)
    return Moments(n=n, means=means, comoments=(comoments + comoments.T) / 2, residues=residues)


def _residues(moments: Moments) -> FloatArray:
    return np.zeros(moments.d) if moments.residues is None else moments.residues


def _two_sum(large: FloatArray, small: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the rounded sum and what rounding took off it (Knuth, The Art of Computer Programming 2, §4.2.2)."""
    total = large + small
    back = total - large
    return total, (large - (total - back)) + (small - back)


def _rows(values: npt.ArrayLike) -> FloatArray:
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidValueError("values", "must be numbers", "leave out or convert what is not one") from error
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != _MATRIX or rows.shape[1] == 0:
        raise InvalidValueError(f"shape of values == {rows.shape}", "must be (n,) or (n, d)", "pass one row a user")
    bad = int(np.count_nonzero(~np.isfinite(rows).all(axis=1)))
    if bad:
        raise InvalidValueError(
            f"{bad:,} of {len(rows):,} rows", "must hold finite numbers only", "leave such rows out and count them"
        )
    return rows


def _checked_count(n: float) -> int | float:
    if isinstance(n, bool) or not math.isfinite(n) or n < 0:
        raise InvalidValueError(f"n == {n!r}", "must be a finite number >= 0", "pass the number of users")
    return int(n) if float(n).is_integer() else float(n)


def _check(n: float, means: FloatArray, comoments: FloatArray) -> None:
    d = means.size
    if means.ndim != 1 or comoments.shape != (d, d):
        raise InvalidValueError(
            f"shapes of means and comoments == {means.shape}, {comoments.shape}", "must be (d,) and (d, d)"
        )
    for wrong, name, limit in _faults(n, means, comoments):
        if wrong:
            what = {"means": means, "comoments": comoments}.get(name)
            told = f"{name} == {n if what is None else what.tolist()}"
            raise InvalidValueError(told, limit, "pass centred sums: n times the population covariance")


def _faults(n: float, means: FloatArray, comoments: FloatArray) -> Iterator[tuple[bool, str, str]]:
    """Yield each fault that moments can have, and of what; the comoments' rounding below 0 is cut off on the way."""
    said = "comoments"
    yield not np.isfinite(means).all(), "means", "must be finite numbers"
    yield not np.isfinite(comoments).all(), said, "must be finite numbers; the values may be too large to square"
    yield not n and bool(means.any() or comoments.any()), "n", "must come with zero means and comoments"
    squares = np.diagonal(comoments)
    scale = np.sqrt(np.abs(squares)) + math.sqrt(n) * np.abs(means)
    yield bool((squares < -_ROUNDING * scale**2).any()), said, "must have centred sums of squares >= 0"
    np.fill_diagonal(comoments, np.maximum(squares, 0.0))
    spread = np.sqrt(np.diagonal(comoments))
    most = np.outer(spread, spread)
    room = _TOLERANCE * most + _ROUNDING * np.outer(scale, scale)
    yield bool((np.abs(comoments - comoments.T) > room).any()), said, "must be symmetric"
    yield bool((np.abs(comoments) > most + room).any()), said, "must not exceed what the sums of squares allow"


def _fit(n: FloatArray, means: FloatArray, comoments: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which cells are moments as they stand, ``(c,)``: no fault of `_faults`, and nothing to mend."""
    squares = np.diagonal(comoments, axis1=1, axis2=2)
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(squares)
        most = spread[:, :, None] * spread[:, None, :]
        fit = np.isfinite(means).all(axis=1) & np.isfinite(comoments).all(axis=(1, 2)) & (n > 0)
        fit &= (squares >= 0).all(axis=1) & (comoments == comoments.transpose(0, 2, 1)).all(axis=(1, 2))
        return np.asarray(fit & (np.abs(comoments) <= most * (1 + _TOLERANCE)).all(axis=(1, 2)))


def _frozen(values: FloatArray) -> FloatArray:
    values.setflags(write=False)
    return values
