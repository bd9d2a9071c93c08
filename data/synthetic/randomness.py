"""Random numbers that depend on the seed and the place of a thing, never on the order or the size of batches.

Films and users are drawn in cells of :data:`CELL` consecutive rows. A cell has its own generator, so that any batch of
whole cells gives the rows that one pass over everything would give.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

CELL: Final = 256
"""Rows that share one generator."""

Item = TypeVar("Item")
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Draw(IntEnum):
    """What a generator is for; each purpose has its own sequence."""

    PEOPLE = 1
    FILM = 2
    TEXT = 3
    SHELF = 4
    USER = 5
    TASTE = 6
    CHOICE = 7
    PROVIDER = 8
    FOLD = 9


def generator(seed: int, draw: Draw, cell: int = 0) -> np.random.Generator:
    """Return the generator of one cell for one purpose."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, int(draw), cell])))


def cells(rows: int) -> Iterator[tuple[int, range]]:
    """Yield (cell, its rows), the last one cut at ``rows``."""
    for cell in range(-(-rows // CELL)):
        yield cell, range(cell * CELL, min(rows, (cell + 1) * CELL))


class Dice:
    """Uniform numbers drawn in advance for one row, spent one by one.

    Drawing 96 numbers at once costs as much as two scalar draws.
    """

    __slots__ = ("_next", "_uniforms")

    def __init__(self, uniforms: Sequence[float]) -> None:
        self._uniforms = uniforms
        self._next = 0

    def uniform(self) -> float:
        """Return the next number in [0, 1); wraps round when all are spent."""
        value = self._uniforms[self._next % len(self._uniforms)]
        self._next += 1
        return value

    def below(self, limit: int) -> int:
        """Return a whole number in [0, limit)."""
        return int(self.uniform() * limit)

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of the items, each as likely."""
        return items[self.below(len(items))]

    def some(self, items: Sequence[Item], count: int) -> list[Item]:
        """Return ``count`` different items (all of them when there are fewer)."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.uniform() < probability


def choose_rows(weights: Floats, uniforms: Floats) -> Ints:
    """Return one column per row, drawn by weight.

    Args:
        weights: Non-negative weights, shape (rows, columns) or (columns,).
        uniforms: One number in [0, 1) per row, shape (rows,).
    """
    cumulated = np.cumsum(np.atleast_2d(weights), axis=1)
    thresholds = uniforms[:, None] * cumulated[:, -1:]
    chosen: Ints = (cumulated <= thresholds).sum(axis=1)
    bounded: Ints = np.minimum(chosen, cumulated.shape[1] - 1)
    return bounded
