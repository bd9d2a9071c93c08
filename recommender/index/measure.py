"""How often a graph finds what the exact scan finds: measured when it is built, on queries like those to come."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from recommender.index.graph import EXPANSIONS, TRUSTED_RECALL, Graph
from recommender.index.segment import Mask, Scores, Segment, best, choose, scan, score_rows

_SAMPLES: Final = 200
_BLENDED: Final = 30
_TASTES: Final = 3
_K: Final = 5
_SEED: Final = 20_160_101
# The smallest share the router gives to a graph: every second sample is measured under such a mask.
_NARROW_SHARE: Final = 0.2


def measured(graph: Graph, segment: Segment, queries: ArrayLike | None = None) -> Graph:
    """Return the graph set to the narrowest search that reaches the trusted recall, with its recall.

    Args:
        graph: As built.
        segment: The rows it is over.
        queries: ``(m, n_columns)`` sample queries; None: blends of rows from three tastes.

    Returns:
        The same graph with its facts; its recall stays under the limit when no search reaches it.
    """
    samples = _blends(segment) if queries is None else np.asarray(queries, dtype=np.float64)
    masks = _masks(len(segment.vectors), len(samples))
    truth = [
        scan(segment, query, chosen, min(_K, chosen.count))[0]
        for query, chosen in zip(samples, map(choose, masks), strict=True)
    ]
    for fetch in EXPANSIONS:
        graph.use(fetch)
        recall = float(np.mean([_recall(graph, segment, *case) for case in zip(samples, masks, truth, strict=True)]))
        # The mean of so few samples can be lucky: ask for half the misses that would be allowed.
        if recall >= (1 + TRUSTED_RECALL) / 2:
            break
    graph.facts = replace(graph.facts, fetch=fetch, expansion_search=fetch, recall_at_5=recall, samples=len(samples))
    return graph


def _recall(graph: Graph, segment: Segment, query: Scores, mask: Mask, truth: np.ndarray) -> float:
    near = graph.nearest(query * segment.steps)
    near = near[mask[near]]
    found, _ = best(near, score_rows(segment.vectors, near, query), _K)
    return float(np.isin(truth, found).mean())


def _masks(rows: int, samples: int) -> list[Mask]:
    rng = np.random.default_rng(_SEED)
    whole = np.ones(rows, dtype=np.bool_)
    masks = [whole if i % 2 == 0 else rng.random(rows) < _NARROW_SHARE for i in range(samples)]
    return [mask if mask.any() else whole for mask in masks]


def _blends(segment: Segment) -> Scores:
    """Return queries that are means of history: a few rows and what lies nearest to them."""
    rng = np.random.default_rng(_SEED)
    rows = len(segment.vectors)
    blends = np.empty((_SAMPLES, segment.vectors.shape[1]))
    pool = np.sort(rng.choice(rows, min(rows, 20_000), replace=False))
    around = np.asarray(segment.vectors[pool])
    for i in range(_SAMPLES):
        tastes = around[rng.integers(len(pool), size=_TASTES)]
        near = np.argpartition(around @ tastes.T, -min(_BLENDED // _TASTES, len(pool)), axis=0)
        chosen = near[-min(_BLENDED // _TASTES, len(pool)) :].ravel()
        blends[i] = (around[chosen] * rng.uniform(0.2, 1.0, len(chosen))[:, None]).mean(axis=0)
    return blends
