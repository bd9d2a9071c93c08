"""One opened version: the exact best rows for a query under a mask."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import Final, Literal, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommender.index.graph import Graph
from recommender.index.manifest import Manifest
from recommender.index.quantize import CHUNK_ROWS
from recommender.index.segment import (
    DIRECT_CELLS,
    Chosen,
    Mask,
    Rows,
    Scores,
    Segment,
    best,
    choose,
    direct,
    float32_error,
    float32_scores,
    scan,
    score_rows,
)
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

# Where less is allowed the scan is quicker than the graph, and never wrong.
GRAPH_SHARE: Final = 0.2
# With fewer survivors of the mask the graph's answer may lack rows.
GRAPH_SURVIVORS: Final = 50
_PAGE_BYTES: Final = 4_096
_BATCH_CELLS: Final = 1 << 24
_LARGEST_QUERY: Final = 1e150


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """The best rows of one search.

    Attributes:
        rows: int64, best first, ties by the lower row.
        scores: float64 dot products, the same bits on every path.
        path: ``exact`` (floats only), ``scan`` (codes, proven) or ``graph`` (measured recall).
        allowed: How many rows the mask allowed.
    """

    rows: Rows
    scores: Scores
    path: Literal["exact", "scan", "graph"]
    allowed: int

    def top(self, k: int) -> "Hits":
        """Return the first k of them."""
        return Hits(rows=self.rows[:k], scores=self.scores[:k], path=self.path, allowed=self.allowed)


class RowView:
    """The rows of a base with a delta laid over them; reads like a ``(rows, dim)`` array without building one."""

    def __init__(self, base: NDArray[np.float32], changed: NDArray[np.float32], places: Rows, rows: int) -> None:
        self._base = base
        self._changed = changed
        self.shape = (rows, base.shape[1])
        self.dtype = base.dtype
        # Place in the delta of each row that it holds, -1 for those of the base.
        self._place = np.full(rows, -1, dtype=np.int64)
        self._place[places] = np.arange(len(places))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | slice | Sequence[int] | NDArray[np.int64] | Mask) -> NDArray[np.float32]:
        """Return one row, or a new matrix of several."""
        wanted = np.arange(len(self))[key]
        rows = np.atleast_1d(wanted)
        place = self._place[rows]
        found = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        of_base = place < 0
        found[of_base] = self._base[rows[of_base]]
        found[~of_base] = self._changed[place[~of_base]]
        return found if np.ndim(wanted) else found[0]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Return the whole as one array in memory."""
        if copy is False:
            raise ValueError("the rows of a delta can't be one array without a copy")
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)


class IndexVersion:
    """One immutable version, opened.

    Args:
        manifest: What it says about itself.
        folder: Where its files lie.
        segments: The stored matrices; together they hold every row once.
        graph: The graph over the first segment, when there is one.
        removed: Rows that are no longer served.
    """

    def __init__(
        self, *, manifest: Manifest, folder: Path, segments: Sequence[Segment], graph: Graph | None, removed: Rows
    ) -> None:
        self.manifest = manifest
        self.folder = folder
        self.rows = manifest.rows
        self.dim = manifest.dim
        self.blocks = manifest.blocks
        self.alive: Mask = np.ones(self.rows, dtype=np.bool_)
        self.alive[removed] = False
        self._any_removed = bool(len(removed))
        self._segments = tuple(segments)
        self._graph = graph
        base = self._segments[0]
        self.vectors: NDArray[np.float32] | RowView = base.vectors
        if len(self._segments) > 1:
            delta = self._segments[1]
            places = delta.named(np.arange(len(delta.vectors)))
            self.vectors = RowView(base.vectors, delta.vectors, places, self.rows)

    @property
    def version(self) -> str:
        """Its name."""
        return self.manifest.version

    @property
    def graph(self) -> Graph | None:
        """The graph over the base, when there is one."""
        return self._graph

    def base_segment(self, live: Mask) -> Segment:
        """Return the first segment with only some of its rows counting, for a delta to lie over."""
        return replace(self._segments[0], live=live)

    def warm(self) -> None:
        """Touch every page once, so that no request has to wait for one; takes up to a second a gigabyte."""
        for segment in self._segments:
            for stored in (segment.codes, segment.vectors):
                stored.reshape(-1).view(np.uint8)[::_PAGE_BYTES].max(initial=0)

    def take(self, rows: ArrayLike) -> NDArray[np.float32]:
        """Return the vectors of some rows, float32 ``(len(rows), dim)``."""
        return np.asarray(self.vectors[np.asarray(rows, dtype=np.int64)])

    def search(
        self,
        query: ArrayLike,
        *,
        k: int,
        allowed: Mask | None = None,
        candidates: int = 200,
        path: Literal["exact", "scan", "graph"] | None = None,
    ) -> Hits:
        """Return the best allowed rows: ``max(k, candidates)`` of them, or all when fewer are allowed.

        Args:
            query: ``(dim,)``, finite; with the block weights already in it.
            k: How many the caller will show, at least 1.
            allowed: bool ``(rows,)``; None: all.
            candidates: How many the caller will look at before showing k.
            path: Force a way to search; None: the quickest that is right.

        Returns:
            The rows with exact scores. ``exact`` and ``scan`` equal a full exact search, proven for each answer;
            ``graph`` is only taken where its measured recall allows it.

        Raises:
            InvalidValueError: When k < 1, or the query or the mask has the wrong shape or a NaN.

        Example:
            >>> hits = version.search(query, k=5, allowed=mask)  # doctest: +SKIP
        """
        k, candidates = _whole(k, "k", 1), _whole(candidates, "candidates", 0)
        wanted, chosen = self._query(query), choose(self._mask(allowed))
        want = min(max(k, candidates), chosen.count)
        if want == 0:
            return _none()
        path = path or self._route(chosen.count, want)
        if path == "graph":
            found = self._by_graph(wanted, chosen, want, k)
            if found is not None:
                return Hits(rows=found[0], scores=found[1], path="graph", allowed=chosen.count)
            path = "scan"
        rows, scores = self._exactly(wanted, chosen, want, path)
        return Hits(rows=rows, scores=scores, path=path, allowed=chosen.count)

    def exact(self, query: ArrayLike, *, k: int, allowed: Mask | None = None) -> Hits:
        """Return the k best allowed rows from the floats alone; arguments and errors as `search`."""
        return self.search(query, k=k, allowed=allowed, candidates=0, path="exact")

    def shadow(self, query: ArrayLike, rows: Rows, *, k: int, allowed: Mask | None = None) -> float:
        """Return the share of the exact best k that an answer's first k rows hold; 1 when nothing is allowed."""
        truth = self.exact(query, k=k, allowed=allowed).rows
        return float(np.isin(truth, rows[:k]).mean()) if len(truth) else 1.0

    def rank_of(self, query: ArrayLike, row: int, *, allowed: Mask | None = None) -> int:
        """Return the exact rank of one row, from 1: how many allowed rows come before it, plus 1.

        Args:
            query: As for `search`.
            row: The row; it need not be allowed itself.
            allowed: Who it is ranked among.

        Raises:
            InvalidValueError: As `search`, or when there is no such row.
        """
        row = check_scalar(_whole(row, "row", 0), "row", lt=self.rows)
        wanted, chosen = self._query(query), choose(self._mask(allowed))
        score = float((self.take([row]).astype(np.float64)[0] * wanted).sum())
        before = 0
        for segment in self._segments:
            local = segment.local(chosen).rows
            if not len(local):
                continue
            approximate, error = float32_scores(segment.vectors, local, wanted, segment.bounds.row_norm)
            before += int(np.count_nonzero(approximate > score + error))
            close = local[np.abs(approximate - score) <= error]
            exact, names = score_rows(segment.vectors, close, wanted), segment.named(close)
            before += int(np.count_nonzero((exact > score) | ((exact == score) & (names < row))))
        return before + 1

    def search_many(self, queries: ArrayLike, *, k: int, allowed: Mask | None = None) -> list[Hits]:
        """Return the exact best k allowed rows of each query, many at a time.

        Args:
            queries: ``(m, dim)``, finite.
            k: How many for each, at least 1.
            allowed: bool ``(m, rows)``, one mask a query; None: all.

        Returns:
            One `Hits` a query, equal to `search` with ``candidates=0``.

        Raises:
            InvalidValueError: As `search`.
        """
        k = _whole(k, "k", 1)
        many = np.asarray(queries, dtype=np.float64)
        if many.shape[1:] != (self.dim,):
            raise InvalidValueError(f"queries.shape == {many.shape}", f"must be (m, {self.dim})")
        if allowed is not None and np.shape(allowed) != (len(many), self.rows):
            raise InvalidValueError(f"allowed.shape == {np.shape(allowed)}", f"must be ({len(many)}, {self.rows})")
        block = max(1, _BATCH_CELLS // max(1, self.rows))
        found: list[Hits] = []
        for start in range(0, len(many), block):
            part = np.stack([self._query(query) for query in many[start : start + block]])
            masks = None if allowed is None else allowed[start : start + block]
            found.extend(self._batch(part, masks, k))
        return found

    def _batch(self, queries: Scores, masks: Mask | None, k: int) -> list[Hits]:
        scales = np.abs(queries).max(axis=1)
        units = queries / np.where(scales > 0, scales, 1.0)[:, None]
        narrow = units.astype(np.float32)
        scores = np.empty((len(queries), self.rows), dtype=np.float32)
        for segment in self._segments:  # the delta is second: it overwrites what it replaces
            for start in range(0, len(segment.vectors), CHUNK_ROWS):
                stop = min(start + CHUNK_ROWS, len(segment.vectors))
                place = slice(start, stop) if segment.rows is None else segment.rows[start:stop]
                scores[:, place] = narrow @ segment.vectors[start:stop].T
        row_norm = max(segment.bounds.row_norm for segment in self._segments)
        return [
            self._pick(
                scores[i],
                self._mask(None if masks is None else masks[i]),
                queries[i],
                k,
                float32_error(units[i], row_norm),
            )
            for i in range(len(queries))
        ]

    def _pick(self, scores: NDArray[np.float32], mask: Mask, query: Scores, k: int, error: float) -> Hits:
        count = int(np.count_nonzero(mask))
        if count == 0:
            return _none()
        masked = np.where(mask, scores, np.float32(-np.inf))
        rows = np.flatnonzero(mask)
        if count > k:
            kth = float(np.partition(masked, self.rows - k)[self.rows - k])
            rows = np.flatnonzero(masked >= kth - 2 * error)
        exact = self._scores(rows, query)
        rows, exact = best(rows, exact, min(k, count))
        return Hits(rows=rows, scores=exact, path="exact", allowed=count)

    def _scores(self, rows: Rows, query: Scores) -> Scores:
        if len(self._segments) == 1:
            return score_rows(self._segments[0].vectors, rows, query)
        return score_rows(self.take(rows), np.arange(len(rows)), query)

    def _exactly(self, query: Scores, chosen: Chosen, want: int, path: Literal["exact", "scan"]) -> tuple[Rows, Scores]:
        exactly = scan if path == "scan" else direct
        return _merged(
            [
                exactly(segment, query, local, min(want, local.count))
                for segment in self._segments
                if (local := segment.local(chosen)).count
            ],
            want,
        )

    def _by_graph(self, query: Scores, chosen: Chosen, want: int, k: int) -> tuple[Rows, Scores] | None:
        """Return the graph's survivors of the mask with the delta's best, or None when too few survive."""
        base, *deltas = self._segments
        if self._graph is None:
            raise InvalidValueError("path == 'graph'", "must have a graph", "build the version with graph=True")
        allowed = chosen.mask[: len(base.vectors)]
        near = self._graph.nearest(query * base.steps)
        near = near[allowed[near] if base.live is None else allowed[near] & base.live[near]]
        if len(near) < min(want, max(k, GRAPH_SURVIVORS)):
            return None
        found = [best(base.named(near), score_rows(base.vectors, near, query), want)]
        found += [
            scan(segment, query, local, min(want, local.count))
            for segment in deltas
            if (local := segment.local(chosen)).count
        ]
        return _merged(found, want)

    def _route(self, count: int, want: int) -> Literal["exact", "scan", "graph"]:
        if count <= want or count * self.dim <= DIRECT_CELLS:
            return "exact"
        if self._graph is not None and self._graph.trusted and count >= GRAPH_SHARE * self.rows:
            return "graph"
        return "scan"

    def _query(self, query: ArrayLike) -> Scores:
        wanted = np.asarray(query, dtype=np.float64)
        if wanted.shape != (self.dim,):
            raise InvalidValueError(
                f"query.shape == {wanted.shape}",
                f"must be ({self.dim},)",
                f"version {self.version} has {self.dim} columns",
            )
        if not (np.abs(wanted) <= _LARGEST_QUERY).all():
            place = int(np.flatnonzero(~(np.abs(wanted) <= _LARGEST_QUERY))[0])
            raise InvalidValueError(f"query[{place}] == {wanted[place]}", "must be finite and below 1e150")
        return wanted

    def _mask(self, allowed: Mask | None) -> Mask:
        if allowed is None:
            return self.alive
        mask = np.asarray(allowed)
        if mask.shape != (self.rows,) or mask.dtype != np.bool_:
            raise InvalidValueError(
                f"allowed == {mask.dtype} of shape {mask.shape}", f"must be bool of shape ({self.rows},)"
            )
        return mask & self.alive if self._any_removed else mask


def _none() -> Hits:
    return Hits(rows=np.empty(0, dtype=np.int64), scores=np.empty(0), path="exact", allowed=0)


def _merged(parts: list[tuple[Rows, Scores]], want: int) -> tuple[Rows, Scores]:
    """Return the best of the best of each segment."""
    if len(parts) == 1:
        return parts[0]
    return best(np.concatenate([rows for rows, _ in parts]), np.concatenate([scores for _, scores in parts]), want)


def _whole(value: SupportsIndex, name: str, least: int) -> int:
    try:
        return check_scalar(index(value), name, ge=least)
    except TypeError as error:
        raise InvalidValueError(f"{name} == {value!r}", "must be a whole number") from error
