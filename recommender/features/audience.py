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
from threadpoolctl import threadpool_limits

from recommender.acts import Acts
from workspace.checks import check_scalar

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Decomposition = tuple[Floats, Floats, Floats]

RIDGE: Final = 200.0
DIM: Final = 192
MOST_ROWS: Final = 4_000
"""The smaller side of the solved system; a dense decomposition beyond takes minutes and gigabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceVectors:
    """The two sides of the block, shape ``(n_films, dim)`` each; candidate rows have norm at most one."""

    history: Vectors
    candidate: Vectors


def fit_audience(acts: Acts, n_films: int, *, dim: int = DIM, ridge: float = RIDGE) -> AudienceVectors:
    """Factorise EASE's item weights.

    Solved in the smaller of user and film space. With X of shape ``(n_users, n_films)`` and ``K = (XXᵀ + λI)⁻¹``, the
    off-diagonal of B equals ``Xᵀ K X diag(1 / (1 − d))``, ``d_j = x_jᵀ K x_j`` (Woodbury). Where both sides exceed
    4,000, only the most active users count.

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
    few_users = liked.shape[0] <= liked.shape[1]
    # These factorisations are chains of small steps: BLAS threads that wait for each other made them 200 times slower
    # on a busy machine, and gain little on an idle one.
    with threadpool_limits(limits=1, user_api="blas"):
        left, values, right = _by_users(liked, ridge) if few_users else _by_films(liked, ridge)
    order = np.argsort(-values, kind="stable")[: max(1, min(dim, int(np.sum(values > values.max() * 1e-9))))]
    root = np.sqrt(np.maximum(values[order], 0.0))
    history, candidate = left[:, order] * root, right[:, order] * root
    largest = max(float(np.linalg.norm(candidate, axis=1).max(initial=0.0)), 1e-12)
    return AudienceVectors(
        history=(history * largest).astype(np.float32), candidate=(candidate / largest).astype(np.float32)
    )


def _like_matrix(acts: Acts, n_films: int) -> sparse.csr_matrix:
    liked = acts.likes > 0
    users, films = acts.users[liked], acts.films[liked]
    n_users = int(users.max(initial=-1)) + 1
    matrix = sparse.csr_matrix((acts.likes[liked], (users, films)), shape=(max(2, n_users), n_films))
    matrix.data = np.minimum(matrix.data, 1.0)  # a film liked twice counts as one liked fully
    return matrix


def _by_users(liked: sparse.csr_matrix, ridge: float) -> Decomposition:
    """Decompose ``B = Xᵀ S``, both of rank n_users: QR of each, then a small dense decomposition."""
    dense = liked.toarray()
    gram = dense @ dense.T
    gram[np.diag_indices_from(gram)] += ridge
    solved: Floats = np.linalg.solve(gram, dense)
    scaled = solved / np.maximum(1.0 - (dense * solved).sum(axis=0), 1e-9)
    left, left_small = np.linalg.qr(dense.T)
    right, right_small = np.linalg.qr(scaled.T)
    inner_left, values, inner_right = np.linalg.svd(left_small @ right_small.T)
    return left @ inner_left, values, right @ inner_right.T


def _by_films(liked: sparse.csr_matrix, ridge: float) -> Decomposition:
    """Decompose B itself: ``B = (D − P) diag(1 / P_jj)`` with a symmetric P, by its eigenvectors."""
    gram = (liked.T @ liked).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    inverse: Floats = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    # The diagonal of the low-rank form, so that both ways factorise the same matrix.
    np.fill_diagonal(weights, 1.0 / (ridge * np.diag(inverse)) - 1.0)
    left, values, right = np.linalg.svd(weights)
    return left, values, right.T
