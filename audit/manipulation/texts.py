"""Signs of made-up metadata in texts and terms: each a figure a film, held against the genre's or catalogue's norm."""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from audit.manipulation.norms import Floats, Labels, Line, Norm, stabilised
from audit.manipulation.terms import (
    Company,
    Context,
    Incidence,
    Likeness,
    families,
    incidence,
    own_rows,
    people_and_keywords,
)
from workspace.columns import Film

Rows = npt.NDArray[np.int64]

KEYWORDS: Final = "keywords"
GENRES: Final = "genres"
REACH: Final = "keyword reach"
FREQUENT: Final = "frequent keywords"
UNASKED: Final = "unasked keywords"
SELDOM: Final = "seldom genres"
MISMATCH: Final = "tags off the synopsis"
COMPRESSION: Final = "repetition"
SAME_TEXT: Final = "same text"
SAME_TERMS: Final = "same people and keywords"

SHINGLE: Final = 3
SUPPORT_FROM: Final = 5
MOST_WORDS: Final = 4_000
MOST_KEYWORDS: Final = 1_000
"""Rarer words and keywords are left to the other signs: the table of both is dense."""
_BY_GENRE: Final = frozenset({KEYWORDS, REACH, FREQUENT})
_SHARED: Final = "keywords shared with the average film"
_CHUNK: Final = 512
_SHORTEST_TEXT: Final = 40
_WORD: Final = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """One sign of every film.

    Args:
        name: Which.
        values: The figure as a reader counts it, shape ``(n,)``; NaN where a film has none.
        usual: What it is held against.
        z: Robust z, shape ``(n,)``: larger is odder.
        like: Row in the norm of the film it resembles most, −1 where that is not what the sign is about.
    """

    name: str
    values: Floats
    usual: Floats
    z: Floats
    like: Rows


def words_of(text: str) -> list[str]:
    """Return the words of a text, lower case.

    Example:
        >>> words_of("A Bank, again!")
        ['bank', 'again']
    """
    return [word.casefold() for word in _WORD.findall(text)]


def shingles(text: str) -> set[str]:
    """Return runs of three words: two texts share them only where one was copied from the other, or both from a third.

    Source: Broder, "On the resemblance and containment of documents" (1997).
    """
    told = words_of(text)
    return {" ".join(told[at : at + SHINGLE]) for at in range(len(told) - SHINGLE + 1)}


def compression_ratio(text: str) -> float:
    """Return bytes before over bytes after compression; NaN for texts too short to repeat anything.

    Example:
        >>> compression_ratio("heist " * 50) > 10
        True
    """
    raw = text.encode("utf-8", "replace")
    return len(raw) / len(zlib.compress(raw, 6)) if len(raw) >= _SHORTEST_TEXT else float("nan")


def first_genres(films: pd.DataFrame) -> Labels:
    """Return each film's first genre, empty where it has none."""
    return np.array([genres[0] if genres else "" for genres in films[Film.GENRES]], dtype=object)


def _told(films: pd.DataFrame) -> list[str]:
    return [f"{tagline} {synopsis}".strip() for tagline, synopsis in zip(films[Film.TAGLINE], films[Film.SYNOPSIS],
                                                                         strict=True)]  # fmt: skip


def _written(films: pd.DataFrame) -> list[str]:
    columns = zip(_told(films), films[Film.KEYWORDS], films[Film.GENRES], strict=True)
    return [" ".join([told, *words, *genres]) for told, words, genres in columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """Whether a film's keywords fit its text: words of films with the same keyword, against words of all films.

    Args:
        words: Words by film of the norm, words of two films or more.
        idf: Weight of each word.
        tags: Keywords by film of the norm.
        sums: Sum of the weighted texts of each keyword's films, shape ``(n_words, n_keywords)``.
        mean: Mean weighted text, shape ``(n_words,)``.
    """

    words: Incidence
    idf: Floats
    tags: Incidence
    sums: npt.NDArray[np.float32]
    mean: Floats

    @classmethod
    def fit(cls, films: pd.DataFrame) -> Self:
        """Learn which words go with which keyword."""
        texts = [words_of(text) for text in _told(films)]
        counts = Counter(word for words in texts for word in set(words))
        kept = [word for word, count in counts.most_common(MOST_WORDS) if count > 1]
        vocabulary = {word: column for column, word in enumerate(kept)}
        words = Incidence(vocabulary=vocabulary, matrix=incidence(texts, vocabulary))
        idf = np.log1p(len(films) / np.array([counts[word] for word in kept] or [1], np.float64))
        weighted = _weighted(words.matrix, idf)
        tagged = Counter(word for cell in films[Film.KEYWORDS] for word in set(cell))
        judged = {word: column for column, word in enumerate(
            word for word, count in tagged.most_common(MOST_KEYWORDS) if count >= SUPPORT_FROM)}  # fmt: skip
        tags = Incidence(vocabulary=judged, matrix=incidence(films[Film.KEYWORDS].tolist(), judged))
        sums = (weighted.T @ tags.matrix).toarray().astype(np.float32)
        return cls(words=words, idf=idf, tags=tags, sums=sums, mean=np.asarray(weighted.mean(axis=0)).ravel())

    def unsupported(self, films: pd.DataFrame, own: Rows) -> Floats:
        """Count a film's keywords whose usual words its text has no more of than any text; shape ``(n,)``.

        A film without a text, and a keyword of fewer than five films, say nothing.

        Args:
            films: The films.
            own: Row of each in the norm, taken out of the sums.
        """
        mine = _weighted(incidence([words_of(text) for text in _told(films)], self.words.vocabulary), self.idf)
        tags = incidence(films[Film.KEYWORDS].tolist(), self.tags.vocabulary).tocoo()
        before = own_rows(_weighted(self.words.matrix, self.idf), own)
        itself = np.asarray(mine.multiply(before).sum(axis=1)).ravel()[tags.row]
        tagged = np.asarray(own_rows(self.tags.matrix, own)[tags.row, tags.col]).ravel()
        support = self._supports(mine, tags.row, tags.col) - tagged * itself
        count = np.asarray(self.tags.matrix.sum(axis=0)).ravel()[tags.col] - tagged
        usual = np.asarray(mine @ self.mean).ravel()[tags.row]
        told = (np.diff(mine.indptr) > 0)[tags.row]
        without = told & (count >= SUPPORT_FROM - 1) & (support <= usual * np.maximum(count, 1))
        return np.bincount(tags.row, weights=without, minlength=len(films)).astype(np.float64)

    def _supports(self, mine: sparse.csr_matrix, rows: Rows, columns: Rows) -> Floats:
        out = np.zeros(len(rows))
        for start in range(0, mine.shape[0], _CHUNK):
            here = (rows >= start) & (rows < start + _CHUNK)
            part = mine[start : start + _CHUNK] @ self.sums
            out[here] = part[rows[here] - start, columns[here]]
        return out


def _weighted(matrix: sparse.csr_matrix, idf: Floats) -> sparse.csr_matrix:
    weighted = matrix.multiply(idf[None, :]).tocsr()
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return (sparse.diags(1.0 / np.maximum(lengths, 1e-12)) @ weighted).tocsr()


class TextNorm:
    """What is usual in the texts and terms of a catalogue.

    Args:
        films: The norm, columns `Film.ALL`.
    """

    def __init__(self, films: pd.DataFrame) -> None:
        self._films = films
        self._company = Company.fit(films[Film.KEYWORDS].tolist())
        self._mixtures = Company.fit(films[Film.GENRES].tolist())
        self._context = Context.fit(self._company, self._mixtures)
        self._support = Support.fit(films)
        self._texts = Likeness.fit([shingles(text) for text in films[Film.SYNOPSIS]], families(films))
        self._people = Likeness.fit(people_and_keywords(films), families(films))
        everybody = np.arange(len(films))
        unasked = self._unasked(films, everybody)
        leaning = self._leaning(films, everybody, unasked)
        self._lines = {name: Line.fit(at, figure) for name, (at, figure) in leaning.items()}
        self._norms: dict[str, Norm] = {}
        genres = first_genres(films)
        for name, figure, floor in self._figures(films, everybody):
            grouped = genres if name in _BY_GENRE else None
            self._norms[name] = Norm.fit(figure.scaled, floor=floor, groups=grouped)

    def signs(self, films: pd.DataFrame, own: Rows) -> list[Signs]:
        """Return every sign of films.

        Args:
            films: The films, of the norm or not.
            own: Row of each in the norm (its earlier self, for a film that was edited); −1 where it has none.
        """
        genres = first_genres(films)
        out = []
        for name, figure, _ in self._figures(films, own):
            norm, grouped = self._norms[name], genres if name in _BY_GENRE else None
            usual = figure.shown_as(norm.expected(len(films), grouped))
            z = norm.z(figure.scaled, grouped)
            out.append(Signs(name=name, values=figure.values, usual=usual, z=z, like=figure.like))
        return out

    def _figures(self, films: pd.DataFrame, own: Rows) -> "list[tuple[str, _Figure, float]]":
        nobody = np.full(len(films), -1, np.int64)
        keywords, genres = films[Film.KEYWORDS].tolist(), films[Film.GENRES].tolist()
        counts = [
            (KEYWORDS, _lengths(keywords)),
            (GENRES, _lengths(genres)),
            (MISMATCH, self._support.unsupported(films, own)),
        ]
        unasked = self._unasked(films, own)
        leaning = self._leaning(films, own, unasked)
        beyond = {name: figure - self._lines[name].at(at) for name, (at, figure) in leaning.items()}
        seldom, lacking = self._mixtures.seldom(genres, own)
        shared, usual = leaning[_SHARED][1], self._lines[_SHARED].at(leaning[_SHARED][0])
        alike, twin = self._texts.nearest([shingles(text) for text in films[Film.SYNOPSIS]], own, families(films))
        borrowed, lender = self._people.nearest(people_and_keywords(films), own, families(films))
        return [
            *((name, _Figure.count(values, nobody), 0.25) for name, values in counts),
            (SELDOM, _Figure(seldom, lacking, np.zeros_like, nobody), 0.05),
            (REACH, _Figure(shared, leaning[FREQUENT][1], lambda _: usual, nobody), 0.02),
            (FREQUENT, _Figure(shared, beyond[FREQUENT], lambda _: usual, nobody), 0.02),
            (UNASKED, _Figure(_sums(unasked), beyond[UNASKED], np.zeros_like, nobody), 0.02),
            (COMPRESSION, _Figure.plain(beyond[COMPRESSION], nobody), 0.02),
            (SAME_TEXT, _Figure.plain(alike, twin), 0.05),
            (SAME_TERMS, _Figure.plain(borrowed, lender), 0.05),
        ]

    def _unasked(self, films: pd.DataFrame, own: Rows) -> sparse.csr_matrix:
        return self._context.unasked(films[Film.KEYWORDS].tolist(), films[Film.GENRES].tolist(), own)

    def _leaning(self, films: pd.DataFrame, own: Rows, unasked: sparse.csr_matrix) -> dict[str, tuple[Floats, Floats]]:
        """Return figures that grow with another one, after that one; they are held against films with as much of it."""
        keywords = films[Film.KEYWORDS].tolist()
        shares = self._company.shares(keywords, own)
        # Roots lie between counting keywords and adding up shares, which the few most frequent keywords would rule.
        roots = shares.sqrt()
        number = _lengths(keywords)
        return {
            FREQUENT: (number, _sums(roots)),
            UNASKED: (number, _sums(roots.multiply(unasked))),
            _SHARED: (number, _sums(shares)),
            COMPRESSION: _ratios(films),
        }


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure as it is shown, and as it is compared."""

    values: Floats
    scaled: Floats
    shown_as: Callable[[Floats], Floats]
    like: Rows

    @classmethod
    def count(cls, values: Floats, like: Rows) -> Self:
        return cls(values, stabilised(values), lambda scaled: (scaled / 2.0) ** 2 - 0.375, like)

    @classmethod
    def plain(cls, values: Floats, like: Rows) -> Self:
        return cls(values, values, lambda scaled: scaled, like)


def _lengths(cells: Sequence[Sequence[str]]) -> Floats:
    return np.array([len(cell) for cell in cells], np.float64)


def _sums(matrix: sparse.csr_matrix) -> Floats:
    return np.asarray(matrix.sum(axis=1), np.float64).ravel()


def _ratios(films: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the logarithm of each film's length in characters, and its compression ratio: longer texts repeat more."""
    written = _written(films)
    ratio = np.array([compression_ratio(text) for text in written])
    return np.log(np.maximum([len(text) for text in written], 1)), ratio
