"""The audience block: who watched this also watched that, as two vectors a film.

EASE's item-weight matrix B is factorised to ``B ≈ P Qᵀ``; a film counts as P in a history and as Q as a candidate, so
that ``Σ_h c_h ⟨P_h, Q_j⟩`` is EASE's score of film j. B's diagonal is left as the factors give it: a film of the
history is no candidate, so it never speaks.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019), equation 8.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

from recommender.acts import Acts
from workspace.checks import check_scalar

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

RIDGE: Final = 200.0
DIM: Final = 192
MOST_ROWS: Final = 12_000
"""The smaller side of the solved system; a dense inverse beyond takes minutes and gigabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceVectors:
    """The two sides of the block, shape ``(n_films, dim)`` each; candidate rows have norm at most one."""

    history: Vectors
    candidate: Vectors


def fit_audience(acts: Acts, n_films: int, *, dim: int = DIM, ridge: float = RIDGE) -> AudienceVectors:
    """Factorise EASE's item weights.

    Solved in the smaller of user and film space. With X of shape ``(n_users, n_films)`` and ``K = (XXᵀ + λI)⁻¹``, the
    off-diagonal of B equals ``Xᵀ K X diag(1 / (1 − d))``, ``d_j = x_jᵀ K x_j`` (Woodbury). Where both sides exceed
    12,000, only the most active users count.

    Args:
        acts: Training acts; a film counts as much as it was liked, and not at all when disliked.
        n_films: Number of film rows.
        dim: Width of the block, >= 1; less where the data has a lower rank.
        ridge: λ, >= 1.
    """
    check_scalar(dim, "dim", ge=1)
    check_scalar(ridge, "ridge", ge=1)
    liked = _like_matrix(acts, n_films)
    if min(liked.shape) > MOST_ROWS:
        counts = np.asarray(liked.sum(axis=1)).ravel()
        liked = liked[np.sort(np.argsort(-counts, kind="stable")[:MOST_ROWS])]
    weights = _by_users(liked, ridge) if liked.shape[0] <= liked.shape[1] else _by_films(liked, ridge)
    rank = max(1, min(dim, min(liked.shape) - 1))
    # A fixed start makes the decomposition the same at every run.
    left, values, right = svds(weights, k=rank, v0=np.full(min(weights.shape), 1.0), solver="arpack")
    order = np.argsort(-values, kind="stable")
    root = np.sqrt(np.maximum(values[order], 0.0))
    history, candidate = left[:, order] * root, right[order].T * root
    largest = max(float(np.linalg.norm(candidate, axis=1).max(initial=0.0)), 1e-12)
    return AudienceVectors(history=(history * largest).astype(np.float32),
                           candidate=(candidate / largest).astype(np.float32))


def _like_matrix(acts: Acts, n_films: int) -> sparse.csr_matrix:
    liked = acts.likes > 0
    users, films = acts.users[liked], acts.films[liked]
    n_users = int(users.max(initial=-1)) + 1
    matrix = sparse.csr_matrix((acts.likes[liked], (users, films)), shape=(max(2, n_users), n_films))
    matrix.data = np.minimum(matrix.data, 1.0)  # a film liked twice counts as one liked fully
    return matrix


def _by_users(liked: sparse.csr_matrix, ridge: float) -> LinearOperator:
    gram = (liked @ liked.T).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    solved: Floats = np.linalg.solve(gram, liked.toarray())
    kept = 1.0 - np.asarray(liked.multiply(solved).sum(axis=0)).ravel()
    scaled = solved / np.maximum(kept, 1e-9)
    n_films = liked.shape[1]
    return LinearOperator(
        (n_films, n_films), dtype=np.float64,
        matvec=lambda vector: liked.T @ (scaled @ vector), rmatvec=lambda vector: scaled.T @ (liked @ vector))


def _by_films(liked: sparse.csr_matrix, ridge: float) -> Floats:
    gram = (liked.T @ liked).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    inverse: Floats = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    # The diagonal of the low-rank form, so that both ways factorise the same matrix.
    np.fill_diagonal(weights, 1.0 / (ridge * np.diag(inverse)) - 1.0)
    return weights
