"""Which films name which terms, and which terms keep company: what stuffed and borrowed metadata give away."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from workspace.columns import Film

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

NOBODY: Final = -1
"""Row in the norm of a film that is not in it."""
KNOWN_FROM: Final = 3
"""A term of fewer other films is too rare to say whom it meets."""
SELDOM: Final = 0.5
"""Two terms seldom meet when they do so less than this many times as often as chance would have them."""
ASKED_FROM: Final = 20
"""A term of fewer other films gains a stuffed film next to nothing."""
ASKED: Final = 1.0
"""Sum of the logarithms of lifts up to which a film's other terms do not lead one to expect a term."""
CAST_COUNTED: Final = 6
SAME_MOST: Final = 30
"""A phrase or term of more films is common property, and no sign of copying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidence:
    """Terms by film.

    Args:
        vocabulary: Column of each term.
        matrix: 1 where a film names a term, shape ``(n_films, n_terms)``.
    """

    vocabulary: dict[str, int]
    matrix: sparse.csr_matrix

    @classmethod
    def fit(cls, named: Sequence[Iterable[str]]) -> Self:
        """Number the terms of a catalogue, and mark who names them."""
        vocabulary: dict[str, int] = {}
        for terms in named:
            for term in terms:
                vocabulary.setdefault(term, len(vocabulary))
        return cls(vocabulary=vocabulary, matrix=incidence(named, vocabulary))


def incidence(named: Sequence[Iterable[str]], vocabulary: dict[str, int]) -> sparse.csr_matrix:
    """Mark the known terms of films, shape ``(n, n_terms)``, values 1."""
    rows, columns = [], []
    for row, terms in enumerate(named):
        known = {vocabulary[term] for term in terms if term in vocabulary}
        rows.extend([row] * len(known))
        columns.extend(sorted(known))
    shape = (len(named), max(1, len(vocabulary)))
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def own_rows(matrix: sparse.csr_matrix, own: Rows) -> sparse.csr_matrix:
    """Return each film's own row in the norm, an empty one for films that are not in it."""
    blank = sparse.csr_matrix((1, matrix.shape[1]))
    stacked = sparse.vstack([matrix, blank], format="csr")
    return stacked[np.where(own == NOBODY, matrix.shape[0], own)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Which terms are named together.

    Args:
        terms: Terms by film of the norm.
        together: Films that name both, shape ``(n_terms, n_terms)``.
        films: Films that name each, shape ``(n_terms,)``.
    """

    terms: Incidence
    together: sparse.csr_matrix
    films: Floats

    @classmethod
    def fit(cls, named: Sequence[Iterable[str]]) -> Self:
        """Count a catalogue's terms and pairs of terms."""
        terms = Incidence.fit(named)
        together = (terms.matrix.T @ terms.matrix).tocsr()
        return cls(terms=terms, together=together, films=np.asarray(terms.matrix.sum(axis=0)).ravel())

    def shares(self, named: Sequence[Iterable[str]], own: Rows) -> sparse.csr_matrix:
        """Return the share of other films that name each term of each film, shape ``(n, n_terms)``.

        Terms of many films are what a stuffed film gains by.

        Args:
            named: Terms of each film.
            own: Its row in the norm, whose counts are taken out; `NOBODY` where it has none.
        """
        shares = incidence(named, self.terms.vocabulary).tocoo()
        others = self.films[shares.col] - _at(own_rows(self.terms.matrix, own), shares.row, shares.col)
        shares.data = others / max(1, self.terms.matrix.shape[0] - 1)
        return shares.tocsr()

    def seldom(self, named: Sequence[Iterable[str]], own: Rows) -> tuple[Floats, Floats]:
        """Return how many pairs of each film's terms seldom meet, and how much less than by chance; ``(n,)`` each.

        A pair is counted when it meets less often than half of what chance would give. The second figure sums, over all
        pairs that meet less often than by chance, the logarithm of how many times less.

        Args:
            named: Terms of each film.
            own: Its row in the norm, whose counts are taken out; `NOBODY` where it has none.
        """
        matrix = incidence(named, self.terms.vocabulary)
        before = own_rows(self.terms.matrix, own)
        film, left, right = _pairs(matrix)
        self_left, self_right = _at(before, film, left), _at(before, film, right)
        alone, others = self.films[left] - self_left, self.films[right] - self_right
        met = _at(self.together, left, right) - self_left * self_right
        chance = alone * others / max(1, self.terms.matrix.shape[0] - 1)
        seldom = (alone >= KNOWN_FROM) & (others >= KNOWN_FROM) & (met < SELDOM * chance)
        lacking = np.maximum(0.0, -_log_lift(met, chance))
        count = np.bincount(film, weights=seldom, minlength=len(named)).astype(np.float64)
        return count, np.bincount(film, weights=lacking, minlength=len(named)).astype(np.float64)


def _log_lift(met: Floats, chance: Floats) -> Floats:
    """Return how much more often terms meet than by chance; one more of each keeps what is rare near nothing."""
    lift: Floats = np.log((met + 1.0) / (chance + 1.0))
    return lift


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Which terms a film's other terms lead one to expect, its further ones of the same kind and those of another.

    A term of the film is asked for by the sum of its log lifts, log((met + 1) ÷ (chance + 1)), over all the others: how
    much more often than by chance the other films of the norm name both. Terms that belong together lift one another; a
    frequent term that was only added meets the others about as often as chance would have it.

    Args:
        kind: The terms that are judged.
        other: Terms of another kind beside them.
        beside: Films that name a term and one of the other kind, shape ``(n_terms, n_others)``.
    """

    kind: Company
    other: Company
    beside: sparse.csr_matrix

    @classmethod
    def fit(cls, kind: Company, other: Company) -> Self:
        """Count which terms of two kinds are named by the same films."""
        return cls(kind=kind, other=other, beside=(kind.terms.matrix.T @ other.terms.matrix).tocsr())

    def unasked(self, named: Sequence[Iterable[str]], others: Sequence[Iterable[str]], own: Rows) -> sparse.csr_matrix:
        """Mark the terms of films that nothing else about them asks for, values 1, shape ``(n, n_terms)``.

        Args:
            named: Terms of each film.
            others: Its terms of the other kind.
            own: Its row in the norm, whose counts are taken out; `NOBODY` where it has none.
        """
        matrix = incidence(named, self.kind.terms.vocabulary)
        before = own_rows(self.kind.terms.matrix, own)
        film, left, right = _pairs(matrix)
        itself = _at(before, film, left), _at(before, film, right)
        same = self._log_lifts(self.kind.together, self.kind.films, left, right, itself)
        there = incidence(others, self.other.terms.vocabulary)
        at, mine, beside = _pairs_across(matrix, there)
        itself = _at(before, at, mine), _at(own_rows(self.other.terms.matrix, own), at, beside)
        across = self._log_lifts(self.beside, self.other.films, mine, beside, itself)
        rows, columns = np.concatenate([film, film, at]), np.concatenate([left, right, mine])
        sums = sparse.csr_matrix((np.concatenate([same, same, across]), (rows, columns)), shape=matrix.shape)
        marks = matrix.tocoo()
        known = self.kind.films[marks.col] - _at(before, marks.row, marks.col) >= ASKED_FROM
        marks.data = (known & (_at(sums, marks.row, marks.col) <= ASKED)).astype(np.float64)
        return marks.tocsr()

    def _log_lifts(
        self, together: sparse.csr_matrix, films: Floats, left: Rows, right: Rows, itself: tuple[Floats, Floats]
    ) -> Floats:
        """Return the log lift of pairs of terms, the film itself, where it is in the norm, taken out of the counts."""
        met = _at(together, left, right) - itself[0] * itself[1]
        chance = (self.kind.films[left] - itself[0]) * (films[right] - itself[1])
        return _log_lift(met, chance / max(1, self.kind.terms.matrix.shape[0] - 1))


def _pairs_across(matrix: sparse.csr_matrix, other: sparse.csr_matrix) -> tuple[Rows, Rows, Rows]:
    """Return film, term and term of the other kind of every pair a film names."""
    terms = matrix.tocoo()
    lengths = np.diff(other.indptr)[terms.row]
    # The others of a term's film lie behind one another: where they start, and how far this one is from there.
    steps = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)
    places = np.repeat(other.indptr[terms.row], lengths) + steps
    film, left = np.repeat(terms.row, lengths), np.repeat(terms.col, lengths)
    return film.astype(np.int64), left.astype(np.int64), other.indices[places].astype(np.int64)


def _pairs(matrix: sparse.csr_matrix) -> tuple[Rows, Rows, Rows]:
    """Return film, term and other term of every pair of different terms of a film, each pair once."""
    films, lefts, rights = [], [], []
    for row, (start, stop) in enumerate(zip(matrix.indptr, matrix.indptr[1:], strict=False)):
        own = matrix.indices[start:stop].astype(np.int64)
        if len(own) > 1:
            left, right = np.repeat(own, len(own)), np.tile(own, len(own))
            differ = left < right
            lefts.append(left[differ])
            rights.append(right[differ])
            films.append(np.full(int(differ.sum()), row, np.int64))
    if not films:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    return np.concatenate(films), np.concatenate(lefts), np.concatenate(rights)


def _at(matrix: sparse.csr_matrix, rows: Rows, columns: Rows) -> Floats:
    # A sparse matrix asked for no places answers with a matrix.
    return np.asarray(matrix[rows, columns], np.float64).ravel() if len(rows) else np.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike a film is to the one most like it, by rare terms: cosine of idf weights, in 0 … 1.

    Args:
        terms: Terms by film of the norm.
        idf: Weight of each term; 0 for one that more than 30 films share.
        unit: The norm's films weighted, rows of norm one.
        family: Studio and collection of each film of the norm: parts of a series may be alike.
    """

    terms: Incidence
    idf: Floats
    unit: sparse.csr_matrix
    family: npt.NDArray[np.object_]

    @classmethod
    def fit(cls, named: Sequence[Iterable[str]], family: npt.NDArray[np.object_]) -> Self:
        """Weigh a catalogue's terms."""
        terms = Incidence.fit(named)
        count = np.asarray(terms.matrix.sum(axis=0)).ravel()
        idf = np.where(count <= SAME_MOST, np.log1p(len(named) / np.maximum(count, 1)), 0.0)
        return cls(terms=terms, idf=idf, unit=_unit(terms.matrix, idf, terms.matrix), family=family)

    def nearest(
        self, named: Sequence[Iterable[str]], own: Rows, family: npt.NDArray[np.object_]
    ) -> tuple[Floats, Rows]:
        """Return the largest cosine with another film of the norm, and its row; shape ``(n,)`` each.

        Args:
            named: Terms of each film.
            own: Its row in the norm, which does not count.
            family: As at the fit; films of one family do not count either.
        """
        known = incidence(named, self.terms.vocabulary)
        vocabulary = self.terms.vocabulary
        unknown = np.array([len({term for term in terms if term not in vocabulary}) for terms in named], np.float64)
        rare = float(np.log1p(len(self.family))) ** 2
        mine = _unit(known, self.idf, known, extra=unknown * rare)
        alike = (mine @ self.unit.T).tocoo()
        kin = (family[alike.row] == self.family[alike.col]) & (family[alike.row] != "")
        counts = (own[alike.row] != alike.col) & ~kin
        rows, columns, cosine = alike.row[counts], alike.col[counts], alike.data[counts]
        best, at = np.zeros(len(named)), np.full(len(named), NOBODY, np.int64)
        np.maximum.at(best, rows, cosine)
        largest = cosine == best[rows]
        at[rows[largest]] = columns[largest]
        return np.minimum(best, 1.0), at


def _unit(
    matrix: sparse.csr_matrix, idf: Floats, lengths: sparse.csr_matrix, extra: Floats | float = 0.0
) -> sparse.csr_matrix:
    weighted = matrix.multiply(idf[None, :]).tocsr()
    square = np.asarray(lengths.multiply((idf**2)[None, :]).sum(axis=1)).ravel() + extra
    return sparse.diags(1.0 / np.sqrt(np.maximum(square, 1e-12))) @ weighted


def families(films: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Return studio and collection of each film, empty where one of them is unknown."""
    pairs = zip(films[Film.STUDIOS], films[Film.COLLECTION], strict=True)
    return np.array([f"{studios[0]}\x1f{name}" if studios and name else "" for studios, name in pairs], dtype=object)


def people_and_keywords(films: pd.DataFrame) -> list[list[str]]:
    """Return what a mimicry has to borrow to be near its model: leads, directors and keywords."""
    columns = zip(films[Film.CAST], films[Film.DIRECTORS], films[Film.KEYWORDS], strict=True)
    return [
        [*(f"p:{name}" for name in [*cast[:CAST_COUNTED], *directors]), *(f"k:{word}" for word in words)]
        for cast, directors, words in columns
    ]
