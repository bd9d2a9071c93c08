"""The content half of a film vector: what the film is, whoever has watched it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.features import layout
from recommender.features.layout import Layout
from recommender.features.numbers import NUMBER_BLOCKS, NumberBlock
from recommender.features.terms import TERM_BLOCKS, FittedTermBlock, TermEntries
from workspace.columns import Film

Vectors = npt.NDArray[np.float32]


def film_text(film: Mapping[str, Any]) -> str:
    """Join what is encoded of a film: title, tagline, synopsis; blank when there is neither tagline nor synopsis.

    A title alone says little of a film and its vector would attract others by chance words.
    """
    told = [film[name].strip() for name in (Film.TAGLINE, Film.SYNOPSIS) if film[name].strip()]
    return ". ".join([film[Film.TITLE].strip().rstrip("."), *told]) if told else ""


def film_texts(films: pd.DataFrame) -> list[str]:
    """Return `film_text` of every film, in order."""
    columns = [Film.TITLE, Film.TAGLINE, Film.SYNOPSIS]
    return [film_text(dict(zip(columns, cells, strict=True))) for cells in films[columns].itertuples(index=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentVectors:
    """Content blocks of some films.

    Args:
        dims: Width of each block, in order.
        vectors: Shape ``(n, sum of dims)``.
        entries: The named terms of each term block.
    """

    dims: dict[str, int]
    vectors: Vectors
    entries: dict[str, TermEntries]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFeatures:
    """Fitted content blocks; a later film is encoded by the same fit and so stays comparable.

    Args:
        text_dim: Width of the text block; 0 leaves it out.
        terms: Fitted term blocks.
        numbers: Number blocks.
    """

    text_dim: int
    terms: tuple[FittedTermBlock, ...]
    numbers: tuple[NumberBlock, ...]

    @classmethod
    def fit(cls, films: pd.DataFrame, *, text_dim: int, blocks: Sequence[str]) -> Self:
        """Fit the named blocks on a catalogue."""
        return cls(
            text_dim=text_dim if layout.TEXT in blocks else 0,
            terms=tuple(block.fit(films) for block in TERM_BLOCKS if block.name in blocks),
            numbers=tuple(block for block in NUMBER_BLOCKS if block.name in blocks),
        )

    @property
    def layout(self) -> Layout:
        """Where each block lies."""
        return Layout.of(self.dims)

    @property
    def dims(self) -> dict[str, int]:
        """Width of each block, in order."""
        text = {layout.TEXT: self.text_dim} if self.text_dim else {}
        return {
            **text,
            **{fit.block.name: fit.block.dim for fit in self.terms},
            **{block.name: block.dim for block in self.numbers},
        }

    def encode(self, films: pd.DataFrame, text: Vectors | None) -> ContentVectors:
        """Encode films.

        Args:
            films: Shape ``(n, …)`` by the film contract.
            text: Their text vectors, shape ``(n, text_dim)``; None when the block is left out.
        """
        entries = {fit.block.name: fit.entries(films) for fit in self.terms}
        parts: list[Vectors] = [] if text is None or not self.text_dim else [text]
        parts += [entries[fit.block.name].vectors(len(films), fit.block.dim) for fit in self.terms]
        parts += [block.vectors(films) for block in self.numbers]
        vectors = np.hstack(parts) if parts else np.zeros((len(films), 0), dtype=np.float32)
        return ContentVectors(dims=self.dims, vectors=vectors, entries=entries)

    def to_dict(self) -> dict[str, Any]:
        """Return what a version's folder keeps."""
        return {
            "text_dim": self.text_dim,
            "terms": {fit.block.name: fit.to_dict() for fit in self.terms},
            "numbers": [block.name for block in self.numbers],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Restore from `to_dict`."""
        return cls(
            text_dim=int(state["text_dim"]),
            terms=tuple(
                FittedTermBlock.from_dict(block, state["terms"][block.name])
                for block in TERM_BLOCKS
                if block.name in state["terms"]
            ),
            numbers=tuple(block for block in NUMBER_BLOCKS if block.name in state["numbers"]),
        )
