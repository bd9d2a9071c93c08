"""Refusing the question whose answer, beside those already given, tells about a few people.

Whoever asks for "region KG" and then for "region KG without premium" has the premium users of KG by subtraction. The
guard remembers what was answered, as sets of the finest cells, and refuses:

- a filter that matches fewer than k units, nobody included;
- a filter that leaves 1 to k − 1 units when it is taken from one already answered, or the other way round, whether
  the one lies inside the other or the two overlap;
- a filter after which a group of 1 to k − 1 units could be had by adding and subtracting any number of answers. Groups
  are unions of up to three of the pieces into which the filters cut the population.

A refusal names the two filters, never a number.
"""

import itertools
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workspace.checks import check_scalar
from workspace.errors import InputError, InvalidValueError, UnknownError

Cell = Hashable

_TIE: Final = 1e-8
_HINT: Final = "ask for a wider group"
_TOGETHER: Final = 3


class DifferencingError(InputError):
    """A question whose answer would tell about fewer than k units."""


class DifferencingGuard:
    """What was answered about one population, and what may be asked after it.

    Args:
        sizes: Units of every finest cell; every filter is a set of these.
        k: Least units an answer, or a difference of answers, may be about.
        answered: Filters answered earlier, as `answered` has them: taken as they are, for they are out.

    Raises:
        InvalidValueError: When a size is negative or no whole number, or ``k`` below 2.
        UnknownError: When an earlier filter has a cell that is not of this population.

    Example:
        >>> guard = DifferencingGuard({"KG free": 40, "KG premium": 3, "UZ": 50}, k=10)
        >>> guard.admit("KG", ["KG free", "KG premium"])
        43
        >>> guard.admit("KG without premium", ["KG free"])
        Traceback (most recent call last):
        ...
        audit.suppression.differencing.DifferencingError: 'KG without premium' beside 'KG' tells about ...
    """

    def __init__(
        self, sizes: Mapping[Any, int], *, k: int, answered: Iterable[tuple[str, Iterable[Cell]]] = ()
    ) -> None:
        self._k = check_scalar(k, "k", ge=2)
        for cell, size in sizes.items():
            check_scalar(size, f"units of {cell}", ge=0)
            if size != int(size):
                raise InvalidValueError(f"units of {cell} == {size}", "must be a whole number")
        self._sizes = {cell: int(size) for cell, size in sizes.items()}
        self._place = {cell: at for at, cell in enumerate(self._sizes)}
        self._answered: dict[frozenset[Cell], str] = {self._known(cells): name for name, cells in answered}

    @property
    def answered(self) -> tuple[tuple[str, frozenset[Cell]], ...]:
        """What was answered, in order: the name of the filter and its cells."""
        return tuple((name, cells) for cells, name in self._answered.items())

    def admit(self, name: str, cells: Iterable[Cell]) -> int:
        """Answer how many units a filter matches, and remember it.

        Args:
            name: The filter in words, for refusals.
            cells: The finest cells it matches.

        Returns:
            Its units. A filter that was answered before is answered again.

        Raises:
            DifferencingError: When the answer would tell about fewer than k units.
            UnknownError: When a cell is not of this population.
        """
        asked = self._known(cells)
        if asked in self._answered:
            return self._units(asked)
        self._refuse(name, asked)
        self._answered[asked] = name
        return self._units(asked)

    def may(self, name: str, cells: Iterable[Cell]) -> bool:
        """Tell whether a filter would be answered, without answering it.

        Raises:
            UnknownError: When a cell is not of this population.
        """
        asked = self._known(cells)
        try:
            if asked not in self._answered:
                self._refuse(name, asked)
        except DifferencingError:
            return False
        return True

    def _known(self, cells: Iterable[Cell]) -> frozenset[Cell]:
        asked = frozenset(cells)
        unknown = [cell for cell in asked if cell not in self._sizes]
        if unknown:
            raise UnknownError(f"cell == {unknown[0]!r}", "must be one of this population")
        # Cells without units are in no group and make no difference.
        return frozenset(cell for cell in asked if self._sizes[cell])

    def _units(self, cells: frozenset[Cell]) -> int:
        return sum(self._sizes[cell] for cell in cells)

    def _small(self, cells: frozenset[Cell]) -> bool:
        return 0 < self._units(cells) < self._k

    def _refuse(self, name: str, asked: frozenset[Cell]) -> None:
        limit = f"must be {self._k} or more"
        if self._units(asked) < self._k:
            raise DifferencingError(f"{name!r} matches too few users", limit, _HINT)
        for before, other in self._answered.items():
            if self._small(asked - before) or self._small(before - asked):
                raise DifferencingError(f"{name!r} beside {other!r} tells about too few users", limit, _HINT)
        if self._derivable(asked):
            raise DifferencingError(f"{name!r} beside what was answered tells about too few users", limit, _HINT)

    def _derivable(self, asked: frozenset[Cell]) -> bool:
        """Tell whether sums and differences of answers give a small group.

        Source: Chin & Ozsoyoglu (1982), Auditing and inference control in statistical databases, IEEE Trans. Software
        Engineering 8:574: a sum is known exactly when its cells' indicator lies in the row space of the answers.
        """
        sets = [*self._answered, asked]
        # Answers can't tell cells apart that lie in the same filters: only unions of such atoms can be had, and a small
        # union is one of small atoms.
        atoms: dict[tuple[bool, ...], set[Cell]] = {}
        for cell in frozenset().union(*sets):
            atoms.setdefault(tuple(cell in one for one in sets), set()).add(cell)
        small = [frozenset(cells) for cells in atoms.values() if self._small(frozenset(cells))]
        unions = (
            frozenset().union(*some)
            for together in range(1, _TOGETHER + 1)
            for some in itertools.combinations(small, together)
        )
        suspects = [one for one in unions if self._small(one)]
        if not suspects:
            return False
        wanted = np.array([self._indicator(one) for one in suspects])
        basis = _row_space(np.array([self._indicator(one) for one in sets]))
        rest = wanted - wanted @ basis.T @ basis
        return bool((np.abs(rest).max(axis=1) < _TIE).any())

    def _indicator(self, cells: frozenset[Cell]) -> NDArray[np.float64]:
        found = np.zeros(len(self._place))
        found[[self._place[cell] for cell in cells]] = 1.0
        return found


def _row_space(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis of the rows, ``(rank, cells)``."""
    _, singular, basis = np.linalg.svd(rows, full_matrices=False)
    kept: NDArray[np.float64] = basis[singular > _TIE * singular.max(initial=1.0)]
    return kept
