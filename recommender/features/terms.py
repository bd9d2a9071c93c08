"""Blocks made of named terms: genres, keywords, people, collections, origins.

A film's block vector is the sum of its terms' signed unit directions, weighted by inverse document frequency and
scaled to norm one. Frequent terms own a dimension; the rare ones share the remaining dimensions by a signed hash.
The sum is kept term by term, so a block's contribution splits exactly into its named features.

Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009), section 2.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.features import layout
from workspace.checks import check_scalar
from workspace.columns import Film

Vectors = npt.NDArray[np.float32]

_NOTHING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class TermField:
    """One film field whose values become terms.

    Args:
        column: The film column, a list of names or one name.
        label: What a reader calls it, as in "director: Agnès Varda".
        weight: How much a term of this field counts beside the block's other fields.
        most: At most this many values of the field, in the order given (billing order for a cast).
    """

    column: str
    label: str
    weight: float = 1.0
    most: int | None = None

    def terms(self, value: str | Sequence[str]) -> list[str]:
        """Return the labelled terms of one cell, each once."""
        names = [value] if isinstance(value, str) else list(value)
        cleaned = dict.fromkeys(name.strip() for name in names if isinstance(name, str) and name.strip())
        return [f"{self.label}: {name}" for name in list(cleaned)[: self.most]]


@dataclass(frozen=True, slots=True)
class TermEntries:
    """Terms of many films in coordinate form: entry e says that film ``rows[e]`` has ``labels[e]`` at ``columns[e]``.

    ``columns`` count inside the block; ``values`` are signed and scaled, so that their sum a film is the block vector.
    """

    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    labels: list[str]

    def vectors(self, n_films: int, dim: int) -> Vectors:
        """Return the block vectors, shape ``(n_films, dim)``."""
        out = np.zeros((n_films, dim), dtype=np.float32)
        np.add.at(out, (self.rows, self.columns), self.values)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class TermBlock:
    """A block's fields and width, before it has seen a catalogue.

    Args:
        name: The block.
        fields: Where its terms come from.
        dim: Its width.
        least: A term of fewer films is left out: it can't make two films alike, it only gets in the way of others.
        idf: Whether rare terms weigh more; genres are better equal.
    """

    name: str
    fields: tuple[TermField, ...]
    dim: int
    least: int = 1
    idf: bool = True

    def __post_init__(self) -> None:
        """Check the width."""
        check_scalar(self.dim, f"{self.name}.dim", ge=8)

    def fit(self, films: pd.DataFrame) -> "FittedTermBlock":
        """Count the terms of a catalogue and deal out the dimensions.

        The most frequent terms own one dimension each, in three quarters of the width (or all terms, where they fit);
        the rest share what is left.
        """
        counts: Counter[str] = Counter()
        for terms in self._terms(films):
            counts.update(label for label, _ in terms)
        ranked = sorted(
            (label for label in counts if counts[label] >= self.least), key=lambda label: (-counts[label], label)
        )
        owners = ranked[: self.dim - max(4, self.dim // 4)]
        films_count = max(1, len(films))
        idf = {label: float(np.log(1 + films_count / counts[label])) if self.idf else 1.0 for label in ranked}
        unseen = float(np.log(1 + films_count)) if self.idf else 1.0
        return FittedTermBlock(
            block=self,
            owners={label: i for i, label in enumerate(owners)},
            idf=idf,
            unseen_idf=unseen if self.least <= 1 else 0.0,
        )

    def _terms(self, films: pd.DataFrame) -> list[list[tuple[str, float]]]:
        out: list[list[tuple[str, float]]] = [[] for _ in range(len(films))]
        for field in self.fields:
            for row, value in enumerate(films[field.column].tolist()):
                out[row].extend((label, field.weight) for label in field.terms(value))
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTermBlock:
    """A term block that knows its vocabulary; films that come later are encoded by the same one."""

    block: TermBlock
    owners: Mapping[str, int]
    idf: Mapping[str, float]
    unseen_idf: float

    def entries(self, films: pd.DataFrame) -> TermEntries:
        """Encode films term by term.

        Args:
            films: Any films of the contract.

        Returns:
            Entries whose sums have norm one; a film without terms has none, and so the zero vector.
        """
        rows: list[int] = []
        columns: list[int] = []
        values: list[float] = []
        labels: list[str] = []
        for row, terms in enumerate(self.block._terms(films)):  # noqa: SLF001 - the fitted half of the same class
            placed = [
                (self.place(label), weight * idf, label)
                for label, weight in terms
                if (idf := self.idf.get(label, self.unseen_idf)) > 0
            ]
            sums: defaultdict[int, float] = defaultdict(float)
            for (column, sign), weight, _ in placed:
                sums[column] += sign * weight
            norm = float(np.sqrt(sum(value * value for value in sums.values())))
            if norm < _NOTHING:  # no terms, or two that cancel in a shared dimension: the film says nothing here
                continue
            for (column, sign), weight, label in placed:
                rows.append(row)
                columns.append(column)
                values.append(sign * weight / norm)
                labels.append(label)
        return TermEntries(np.array(rows, np.int32), np.array(columns, np.int32), np.array(values, np.float32), labels)

    def place(self, label: str) -> tuple[int, int]:
        """Return a term's column inside the block and its sign."""
        if label in self.owners:
            return self.owners[label], 1
        digest = hashlib.blake2b(label.encode("utf-8"), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        free = self.block.dim - len(self.owners)
        return len(self.owners) + (number >> 1) % free, 1 if number & 1 else -1

    def to_dict(self) -> dict[str, Any]:
        """Return what the version's folder keeps of the fit."""
        return {"owners": list(self.owners), "idf": dict(self.idf), "unseen_idf": self.unseen_idf}

    @classmethod
    def from_dict(cls, block: TermBlock, state: Mapping[str, Any]) -> "FittedTermBlock":
        """Restore a fit from a version's folder."""
        owners: Sequence[str] = state["owners"]
        return cls(
            block=block,
            owners={label: i for i, label in enumerate(owners)},
            idf=dict(state["idf"]),
            unseen_idf=float(state["unseen_idf"]),
        )


TERM_BLOCKS = (
    TermBlock(name=layout.GENRE, fields=(TermField(column=Film.GENRES, label="genre"),), dim=48, idf=False),
    TermBlock(name=layout.KEYWORD, fields=(TermField(column=Film.KEYWORDS, label="keyword"),), dim=256, least=2),
    TermBlock(
        name=layout.PEOPLE,
        dim=256,
        least=2,
        fields=(
            TermField(column=Film.DIRECTORS, label="director"),
            TermField(column=Film.WRITERS, label="writer"),
            TermField(column=Film.CAST, label="cast", most=6),
        ),
    ),
    TermBlock(name=layout.COLLECTION, fields=(TermField(column=Film.COLLECTION, label="collection"),), dim=128),
    TermBlock(
        name=layout.ORIGIN,
        dim=128,
        least=2,
        fields=(
            TermField(column=Film.COUNTRIES, label="country"),
            TermField(column=Film.LANGUAGES, label="language"),
            TermField(column=Film.STUDIOS, label="studio"),
        ),
    ),
)
