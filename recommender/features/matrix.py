"""All films of a version as one matrix, with the history side where it differs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recommender.features import layout
from recommender.features.layout import Layout
from recommender.features.priors import Priors

Vectors = npt.NDArray[np.float32]


class RowSource(Protocol):
    """Rows of a matrix by number: an array, a memory map, or a base with a delta."""

    def __getitem__(self, rows: npt.NDArray[np.int64], /) -> Vectors:
        """Return the rows, shape ``(len(rows), dim)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMatrix:
    """Film vectors and what a profile needs besides.

    Args:
        layout: Where each block lies.
        candidates: Shape ``(n_films, dim)``.
        audience_history: The audience block as history, shape ``(n_films, audience dim)``; None without the block.
        priors: The priors' user side.
        market_means: Mean content vector of what a market watches, ``""`` for everybody; shape ``(content dim,)`` each.
    """

    layout: Layout
    candidates: RowSource
    audience_history: RowSource | None
    priors: Priors
    market_means: dict[str, Vectors]

    @property
    def content_columns(self) -> slice:
        """The columns of all content blocks; they come first."""
        stops = [stop for name, (_, stop) in self.layout.ranges.items() if name in layout.CONTENT_BLOCKS]
        return slice(0, max(stops, default=0))
