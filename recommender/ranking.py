"""From a user's query to the best k lawful films: search, re-rank, and the terms that make each score.

The score is ``Σ_b w_b ⟨u_b, f_b⟩`` and, where their weights are set, two signed terms of the re-rank: the similarity to
the closest liked film of the history, and the penalty for resembling a film already on the slate (maximal marginal
relevance). The terms are what is added up; nothing is explained that was not scored.

Source: Carbonell & Goldstein, "The Use of MMR" (SIGIR 1998), section 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from recommender.features.layout import CONTENT_BLOCKS, Layout
from recommender.index import IndexVersion
from recommender.profile import Profile
from recommender.rules import Mask

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

CANDIDATES: Final = 200
CLOSEST: Final = "closest_film"
DIVERSITY: Final = "diversity"
RERANK_TERMS: Final = (CLOSEST, DIVERSITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Films in order with their terms.

    Args:
        rows: Film rows, best first.
        scores: Shape ``(n,)``; each is the sum of its terms.
        terms: ``{term: shape (n,)}``: every block and every re-rank term that counts.
        path: How the index searched.
    """

    rows: Rows
    scores: Floats
    terms: dict[str, Floats]
    path: str

    def contributions(self, place: int) -> dict[str, float]:
        """Return the terms of one film."""
        return {name: float(values[place]) for name, values in self.terms.items()}


def block_terms(layout: Layout, query: Floats, vectors: Vectors) -> dict[str, Floats]:
    """Split dot products by block.

    Args:
        layout: Where each block lies.
        query: User vector with the block weights on it, shape ``(dim,)``.
        vectors: Film vectors, shape ``(n, dim)``.

    Returns:
        ``{block: shape (n,)}``, bit for bit the same however many films are asked for at once.
    """
    product = vectors.astype(np.float64) * query
    starts = [start for start, _ in layout.ranges.values()]
    sums = np.add.reduceat(product, starts, axis=1)
    return {name: sums[:, place] for place, name in enumerate(layout)}


def rank(
    index: IndexVersion,
    layout: Layout,
    profile: Profile,
    query: Floats,
    weights: Mapping[str, float],
    *,
    allowed: Mask,
    k: int,
    candidates: int = CANDIDATES,
) -> Ranked:
    """Return the best k allowed films, all of them when fewer are allowed.

    Args:
        index: The opened version.
        layout: Its blocks.
        profile: The user; its history feeds the closest-film term.
        query: `Profile.vector` with the block weights on it.
        weights: Block weights and the weights of the re-rank terms.
        allowed: Shape ``(rows,)``.
        k: How many, >= 1.
        candidates: How many the index hands to the re-rank.
    """
    hits = index.search(query, k=k, allowed=allowed, candidates=candidates)
    vectors = index.take(hits.rows)
    terms = block_terms(layout, query, vectors)
    closest = weights.get(CLOSEST, 0.0)
    if closest and len(profile.rows):
        similarity, _ = closest_film(index, layout, profile, vectors)
        terms[CLOSEST] = closest * similarity
    scores = total(terms)
    if penalty := weights.get(DIVERSITY, 0.0):
        order, terms[DIVERSITY] = _diversify(scores, content_similarity(layout, vectors, vectors), penalty, k)
        scores = total(terms)
    else:
        order = np.lexsort((hits.rows, -scores))[:k]
    return Ranked(
        rows=hits.rows[order],
        scores=scores[order],
        terms={name: values[order] for name, values in terms.items()},
        path=hits.path,
    )


def total(terms: Mapping[str, Floats]) -> Floats:
    """Add up terms in their order, so that a score is the same sum wherever it is taken."""
    values = list(terms.values())
    out = values[0].copy()
    for part in values[1:]:
        out += part
    return out


def content_similarity(layout: Layout, left: Vectors, right: Vectors) -> Floats:
    """Return the mean cosine over the content blocks, shape ``(n_left, n_right)``, in −1 … 1."""
    blocks = [name for name in layout if name in CONTENT_BLOCKS]
    out = np.zeros((len(left), len(right)))
    for name in blocks:
        columns = layout.columns(name)
        out += left[:, columns].astype(np.float64) @ right[:, columns].astype(np.float64).T
    return out / max(1, len(blocks))


def closest_film(index: IndexVersion, layout: Layout, profile: Profile, vectors: Vectors) -> tuple[Floats, Rows]:
    """Return each film's similarity to the closest liked history film, and that film's row.

    A user without a liked film has no closest film: similarity 0, row −1.
    """
    liked = profile.rows[profile.liked]
    if not len(liked):
        return np.zeros(len(vectors)), np.full(len(vectors), -1, np.int64)
    similarity = content_similarity(layout, vectors, index.take(liked))
    best = similarity.argmax(axis=1)
    return similarity.max(axis=1), liked[best]


def _diversify(scores: Floats, similarity: Floats, penalty: float, k: int) -> tuple[Rows, Floats]:
    chosen: list[int] = []
    taken = np.zeros(len(scores))
    penalties = np.zeros(len(scores))
    left = scores.copy()
    for _ in range(min(k, len(scores))):
        best = int(np.argmax(left))
        taken[best] = penalties[best]
        chosen.append(best)
        penalties = np.minimum(penalties, -penalty * np.maximum(similarity[:, best], 0.0))
        left = scores + penalties
        left[chosen] = -np.inf
    return np.array(chosen, np.int64), taken
