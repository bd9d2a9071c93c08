"""One stored matrix with its codes, and the exact top of it for a query under a mask.

Scores that leave this module come from `score_rows` alone: float64 products summed row by row, so a row's score does
not depend on the path that found it, on its neighbours or on the number of rows asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numkong
import numpy as np
from numpy.typing import NDArray

from recommender.index.quantize import CHUNK_ROWS, CodeBounds, CodedQuery, encode_query

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Scores = NDArray[np.float64]

# Below this many cells (rows times columns) reading the floats at once is quicker than two steps.
DIRECT_CELLS: Final = 1 << 19
# Above this share of allowed rows, scoring all and masking after beats gathering the allowed.
DENSE_SHARE: Final = 0.4
_GATHER_ROWS: Final = 8_192
_SCORE_ROWS: Final = 64
_SAMPLED: Final = 128
_LISTED_SHARE: Final = 0.02
_POOL_ROWS: Final = 8_192
_FLOAT32_UNIT: Final = 2.0**-24
_FLOAT32_TINY: Final = 2.0**-149


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The rows a mask allows.

    Attributes:
        mask: bool, one a row.
        count: How many are allowed.
        listed: Their numbers, ascending, where they are few enough to be listed.
    """

    mask: Mask
    count: int
    listed: Rows | None

    @property
    def rows(self) -> Rows:
        """Their numbers, ascending."""
        return np.flatnonzero(self.mask) if self.listed is None else self.listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Vectors, codes and the rows of the version they stand for.

    Attributes:
        vectors: float32 ``(n, n_columns)``.
        codes: int8 ``(n, n_columns)``.
        steps: float64 ``(n_columns,)``.
        bounds: Measured norms of the codes.
        rows: The version's row of each stored row, ascending within the replaced and the appended; None: the same.
        live: Which stored rows count; None: all. A base row replaced by a delta does not.
    """

    vectors: NDArray[np.float32]
    codes: NDArray[np.int8]
    steps: NDArray[np.float64]
    bounds: CodeBounds
    rows: Rows | None = None
    live: Mask | None = None

    def local(self, chosen: "Chosen") -> "Chosen":
        """Return which stored rows are chosen, from a choice over the version's rows."""
        if self.rows is None and self.live is None:
            return chosen
        mask = chosen.mask[: len(self.vectors)] if self.rows is None else chosen.mask[self.rows]
        return choose(mask if self.live is None else mask & self.live)

    def named(self, local: Rows) -> Rows:
        """Return the version's rows of stored rows."""
        return local if self.rows is None else self.rows[local]


def choose(mask: Mask) -> Chosen:
    """Return what a mask allows, with the least reading of it."""
    # A look at a few places tells whether to list the rows at once, which counts them too; it decides nothing else.
    sample = mask[: len(mask) // _SAMPLED * _SAMPLED].reshape(-1, _SAMPLED)[:: max(1, len(mask) // _SAMPLED**2)]
    if np.count_nonzero(sample) < _LISTED_SHARE * sample.size:
        rows = np.flatnonzero(mask)
        return Chosen(mask=mask, count=len(rows), listed=rows)
    return Chosen(mask=mask, count=int(np.count_nonzero(mask)), listed=None)


def score_rows(vectors: NDArray[np.float32], rows: Rows, query: Scores) -> Scores:
    """Return the dot products of some rows with a query, bit for bit the same on every path.

    Args:
        vectors: float32 ``(n, n_columns)``.
        rows: Which rows.
        query: float64 ``(n_columns,)``.

    Returns:
        float64 ``(len(rows),)``.
    """
    return sum_products(vectors[rows], query)


def sum_products(found: NDArray[np.float32], query: Scores) -> Scores:
    """Return the dot products of rows in memory with a query: float64, row by row, the same bits everywhere."""
    scores = np.empty(len(found))
    # Not a matrix product: BLAS sums in an order that depends on the machine and on the number of rows.
    buffer = np.empty((_SCORE_ROWS, len(query)))
    for start in range(0, len(found), _SCORE_ROWS):
        part = found[start : start + _SCORE_ROWS]
        np.multiply(part, query, out=buffer[: len(part)], dtype=np.float64)
        scores[start : start + len(part)] = buffer[: len(part)].sum(axis=1)
    return scores


def best(rows: Rows, scores: Scores, count: int) -> tuple[Rows, Scores]:
    """Return the highest scores in order, ties by the lower row."""
    if len(rows) > count:
        kth = np.partition(scores, len(scores) - count)[len(scores) - count]
        keep = scores >= kth
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -scores))[:count]
    return rows[order], scores[order]


def scan(segment: Segment, query: Scores, chosen: Chosen, count: int) -> tuple[Rows, Scores]:
    """Return the exact best allowed rows of a segment by way of the codes.

    The codes give every allowed row an approximate score and a proven bound on its error. The exact scores of the best
    approximate ones give a floor; a row whose approximate score plus the bound stays under the floor can't be among
    the best. The others are looked at again: two query digits, then float32, then float64.

    Args:
        segment: Where to look.
        query: float64 ``(n_columns,)``.
        chosen: Which stored rows are allowed, at least ``count``.
        count: How many to return, at least 1.

    Returns:
        The version's rows and their exact scores, best first, ties by the lower row.
    """
    coded = encode_query(query, segment.steps, segment.bounds)
    if coded.units[0] == 0:  # every score is 0: the lowest rows win
        return _first_rows(segment, chosen, count)
    rows, first = _pool(segment, coded, chosen, count)
    top = rows if len(rows) <= count else rows[np.argpartition(first, len(first) - count)[len(first) - count :]]
    floor = float(score_rows(segment.vectors, top, query).min())
    rows, first = _not_below(rows, first, floor - coded.errors[0])
    if len(rows) > 2 * count:
        second = first + coded.units[1] * _code_scores(segment, coded.digits[1:], rows)
        rows, _ = _not_below(rows, second, floor - coded.errors[1])
    if len(rows) > 2 * count:
        rows = _by_float32(segment, query, rows, floor)
    return best(segment.named(rows), score_rows(segment.vectors, rows, query), count)


def direct(segment: Segment, query: Scores, chosen: Chosen, count: int) -> tuple[Rows, Scores]:
    """Return the exact best allowed rows of a segment from the floats alone; the reference `scan` must equal."""
    rows = chosen.rows
    if len(rows) <= count:
        return best(segment.named(rows), score_rows(segment.vectors, rows, query), count)
    if len(rows) * segment.vectors.shape[1] > DIRECT_CELLS:
        approximate, error = float32_scores(segment.vectors, rows, query, segment.bounds.row_norm)
        rows = rows[_leaders(approximate, error, count)]
        return best(segment.named(rows), score_rows(segment.vectors, rows, query), count)
    found = segment.vectors[rows]  # few: read once for both steps
    approximate, error = float32_scores(found, np.arange(len(rows)), query, segment.bounds.row_norm)
    leaders = _leaders(approximate, error, count)
    return best(segment.named(rows[leaders]), sum_products(found[leaders], query), count)


def _leaders(approximate: Scores, error: float, count: int) -> Rows:
    """Return the places that can be among the best, given approximate scores and their error."""
    kth = np.partition(approximate, len(approximate) - count)[len(approximate) - count]
    return np.flatnonzero(approximate >= kth - 2 * error)


def float32_scores(vectors: NDArray[np.float32], rows: Rows, query: Scores, row_norm: float) -> tuple[Scores, float]:
    """Return scores by float32 products, with a proven bound on their error.

    Args:
        vectors: float32 ``(n, n_columns)``.
        rows: Which rows; a full ascending range is read without a copy.
        query: float64 ``(n_columns,)``, not all zero.
        row_norm: Largest norm of a row.

    Returns:
        float64 scores and the largest possible |score - exact|.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1 (any summation order).
    """
    scale = float(np.abs(query).max()) or 1.0
    unit = query / scale
    narrow = unit.astype(np.float32)
    scores = np.empty(len(rows), dtype=np.float32)
    whole = len(rows) == len(vectors)
    for start in range(0, len(rows), CHUNK_ROWS):
        stop = start + CHUNK_ROWS
        scores[start:stop] = (vectors[start:stop] if whole else vectors[rows[start:stop]]) @ narrow
    return scores.astype(np.float64) * scale, float32_error(unit, row_norm) * scale


def float32_error(query: Scores, row_norm: float) -> float:
    """Return the largest possible error of a float32 dot product of a row with a query."""
    columns = len(query)
    gamma = (columns + 2) * _FLOAT32_UNIT / (1 - (columns + 2) * _FLOAT32_UNIT)
    conversion = float(np.linalg.norm(query - query.astype(np.float32)))
    return (gamma * float(np.linalg.norm(query)) + conversion) * row_norm * 1.001 + columns * _FLOAT32_TINY


def _first_rows(segment: Segment, chosen: Chosen, count: int) -> tuple[Rows, Scores]:
    rows = np.sort(segment.named(chosen.rows))[:count]
    return rows, np.zeros(len(rows))


def _pool(segment: Segment, coded: CodedQuery, chosen: Chosen, count: int) -> tuple[Rows, Scores]:
    """Return every row that can be among the best after one digit, with its approximate score.

    Chunks fit the cache: scored, masked and cut before the next is read. The cut rises as better rows are met.
    """
    unit = coded.units[0]
    width = 2 * coded.errors[0] / unit
    cut = -np.inf
    opened = False
    rows_kept: list[Rows] = []
    scores_kept: list[Scores] = []
    pooled = 0
    for rows, scores, inside in _chunks(segment, coded.digits[:1], chosen):
        above = np.flatnonzero(scores >= cut)
        if inside is not None:  # after the cut, when only few are left to be looked up
            above = above[inside[above]]
        rows_kept.append(rows[above])
        scores_kept.append(scores[above])
        pooled += len(above)
        if pooled > _POOL_ROWS + count or (not opened and pooled >= count):
            opened = True
            merged_rows, merged = np.concatenate(rows_kept), np.concatenate(scores_kept)
            kth = float(np.partition(merged, len(merged) - count)[len(merged) - count])
            cut = max(cut, kth - width)
            merged_rows, merged = _not_below(merged_rows, merged, cut)
            rows_kept, scores_kept, pooled = [merged_rows], [merged], 0
    return np.concatenate(rows_kept), np.concatenate(scores_kept) * unit


def _chunks(segment: Segment, digit: NDArray[np.int8], chosen: Chosen) -> Iterator[tuple[Rows, Scores, Mask | None]]:
    """Yield rows with their integer scores, and which of them count where not all do."""
    codes, mask = segment.codes, chosen.mask
    if chosen.count < DENSE_SHARE * len(mask):
        rows = chosen.rows
        for start in range(0, len(rows), _GATHER_ROWS):
            part = rows[start : start + _GATHER_ROWS]
            yield part, _products(digit, _gather(codes, part)), None
        return
    for start in range(0, len(codes), CHUNK_ROWS):
        scores = _products(digit, codes[start : start + CHUNK_ROWS])
        yield np.arange(start, start + len(scores)), scores, mask[start : start + CHUNK_ROWS]


def _products(digit: NDArray[np.int8], codes: NDArray[np.int8]) -> Scores:
    # The integer sums are exact in float64.
    products: Scores = np.asarray(numkong.cdist(digit, codes, metric="dot"), dtype=np.float64)[0]
    return products


def _gather(codes: NDArray[np.int8], rows: Rows) -> NDArray[np.int8]:
    # Whole rows as one opaque item each: twice as quick as fancy indexing.
    items = codes.view(np.dtype((np.void, codes.shape[1])))[:, 0].take(rows)
    return items.view(np.int8).reshape(len(rows), codes.shape[1])


def _code_scores(segment: Segment, digit: NDArray[np.int8], rows: Rows) -> Scores:
    parts = (rows[start : start + _GATHER_ROWS] for start in range(0, len(rows), _GATHER_ROWS))
    return np.concatenate([_products(digit, _gather(segment.codes, part)) for part in parts])


def _by_float32(segment: Segment, query: Scores, rows: Rows, floor: float) -> Rows:
    approximate, error = float32_scores(segment.vectors, rows, query, segment.bounds.row_norm)
    return rows[approximate >= floor - error]


def _not_below(rows: Rows, scores: Scores, cut: float) -> tuple[Rows, Scores]:
    keep = scores >= cut
    return rows[keep], scores[keep]
