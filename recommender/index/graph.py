"""A usearch graph over the codes: quick where nearly everything is allowed, trusted only as far as it was measured.

The graph holds the int8 codes themselves, not a second quantisation. usearch's ``i8`` is only sound with ``cos``, and
cosine ranks as the dot product when all rows have one norm: slack columns fill each row up to the largest. A slack
column holds at most 127 like any other, so there are several; a row too short to be filled up is overrated, and the
exact scores that follow put it right.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from recommender.index.manifest import GraphFacts
from recommender.index.quantize import TOP_CODE
from workspace.errors import IntegrityError

CONNECTIVITY: Final = 16
EXPANSION_ADD: Final = 64
EXPANSIONS: Final = (256, 512, 768, 1024)
TRUSTED_RECALL: Final = 0.99
_MOST_SLACK: Final = 8
_ADD_ROWS: Final = 4_096

Progress = Callable[[str, int, int], None]


class Graph:
    """An opened graph with what was measured of it."""

    def __init__(self, index: Index, facts: GraphFacts) -> None:
        self._index = index
        self.facts = facts
        self.use(facts.fetch)

    @property
    def trusted(self) -> bool:
        """Whether its measured recall is high enough to answer requests."""
        return self.facts.recall_at_5 >= TRUSTED_RECALL

    def use(self, fetch: int) -> None:
        """Set how many neighbours are asked for; the search is as broad as that."""
        self._fetch = min(fetch, len(self._index))
        # The setter is there at run time; the package's annotations hide it.
        self._index.expansion_search = fetch  # type: ignore[misc]

    def nearest(self, folded: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the rows near a query that has the steps folded in, in no order that matters."""
        peak = float(np.abs(folded).max()) or 1.0
        padded = np.zeros(len(folded) + self.facts.slack_columns, dtype=np.int8)
        padded[: len(folded)] = np.rint(folded * (TOP_CODE / peak))
        return np.asarray(self._index.search(padded, self._fetch, threads=1).keys).astype(np.int64)

    def save(self, path: Path) -> None:
        """Write it; the caller provides the folder that is published at once."""
        self._index.save(str(path))


def build_graph(codes: NDArray[np.int8], progress: Progress | None = None) -> Graph:
    """Return a graph over all rows, not yet measured (recall 0), the same bytes each time.

    Args:
        codes: int8 ``(n, n_columns)``, n at least 1.
        progress: Told of the stage, rows done and rows in all.
    """
    squares = np.concatenate(
        [
            np.einsum("ij,ij->i", part, part)
            for part in (codes[i : i + _ADD_ROWS].astype(np.float32) for i in range(0, len(codes), _ADD_ROWS))
        ]
    )
    slack = min(_MOST_SLACK, max(1, math.ceil(float(squares.max() - squares.min()) / TOP_CODE**2)))
    index = _new_index(codes.shape[1] + slack)
    for start in range(0, len(codes), _ADD_ROWS):
        stop = min(start + _ADD_ROWS, len(codes))
        padded = np.hstack([codes[start:stop], _slack(squares.max() - squares[start:stop], slack)])
        index.add(np.arange(start, stop, dtype=np.uint64), padded, threads=1)
        if progress:
            progress("graph", stop, len(codes))
    facts = GraphFacts(
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSIONS[0],
        dtype="i8",
        threads=1,
        slack_columns=slack,
        fetch=EXPANSIONS[0],
        recall_at_5=0.0,
        samples=0,
    )
    return Graph(index, facts)


def open_graph(path: Path, facts: GraphFacts, rows: int, dim: int) -> Graph:
    """Return a graph mapped from its file.

    Raises:
        IntegrityError: When usearch can't read it, or it holds another number of rows or columns.
    """
    index = _new_index(dim + facts.slack_columns)
    try:
        index.view(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise IntegrityError(f"{path} can't be opened: {error}") from error
    if len(index) != rows or index.ndim != dim + facts.slack_columns:
        raise IntegrityError(f"{path} holds {len(index)} rows of {index.ndim}", f"must hold {rows}")
    return Graph(index, facts)


def _new_index(columns: int) -> Index:
    return Index(
        ndim=columns,
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSIONS[0],
    )


def _slack(missing: NDArray[np.float32], columns: int) -> NDArray[np.int8]:
    """Return columns whose squares add up to what each row's squared norm lacks, as near as whole numbers come."""
    rest = missing.astype(np.float64)
    slack = np.zeros((len(missing), columns), dtype=np.int8)
    for column in range(columns):
        value = np.minimum(np.rint(np.sqrt(np.maximum(rest, 0))), TOP_CODE)
        slack[:, column] = value
        rest -= value**2
    return slack
