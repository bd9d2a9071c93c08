"""Baselines every figure is held against; all of them learn from positive training acts and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.acts import Acts
from recommender.evaluation.ground import FittedScorer, Ground, Scorer
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

EASE_RIDGE: Final = 200.0


def positive_matrix(acts: Acts, n_users: int, n_films: int) -> sparse.csr_matrix:
    """Return 1 where a user liked a film (rated >= 4 or watched to the end), shape ``(n_users, n_films)``."""
    users, films = acts.users[acts.positive], acts.films[acts.positive]
    matrix = sparse.csr_matrix((np.ones(len(users), np.float32), (users, films)), shape=(n_users, n_films))
    matrix.data[:] = 1.0  # a film liked twice is liked once
    return matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Popular:
    counts: Vectors

    def scores(self, users: Rows, days: Floats) -> Vectors:  # noqa: ARG002 - the same for everybody, at all times
        """Return the counts for everybody, shape ``(m, n_films)``."""
        return np.tile(self.counts, (len(users), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity:
    """The films that most users liked."""

    name: str = "popularity"

    def fit(self, ground: Ground, train: Acts) -> FittedScorer:
        """Count likes."""
        liked = positive_matrix(train, ground.n_users, ground.n_films)
        return _Popular(counts=np.asarray(liked.sum(axis=0), np.float32).ravel())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linear:
    """Scores x_uᵀ L R: the item weights stay in two factors, which is exact and far smaller than their product."""

    liked: sparse.csr_matrix
    left: sparse.csr_matrix
    right: Vectors | sparse.csr_matrix

    def scores(self, users: Rows, days: Floats) -> Vectors:  # noqa: ARG002 - time-blind
        """Return ``x_u · item weights``, shape ``(m, n_films)``."""
        product = (self.liked[users] @ self.left) @ self.right
        return np.asarray(product.toarray() if sparse.issparse(product) else product, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKnn:
    """Films liked by the users who liked the history's films, by cosine between film columns.

    Source: Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms" (WWW 2001), section 3.1.1;
    with all neighbours.
    """

    name: str = "item-knn"

    def fit(self, ground: Ground, train: Acts) -> FittedScorer:
        """Scale every film's column to norm one."""
        liked = positive_matrix(train, ground.n_users, ground.n_films)
        norms = np.sqrt(np.asarray(liked.sum(axis=0), np.float32).ravel())
        unit = liked @ sparse.diags(1 / np.maximum(norms, 1)).tocsr()
        return _Linear(liked=liked, left=unit.T.tocsr(), right=unit.tocsr())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ease:
    """Embarrassingly shallow autoencoder: the linear item-item model of least squares with a zero diagonal.

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019), equation 8. Solved in user space:
    with ``K = (XXᵀ + λI)⁻¹`` the off-diagonal of B is ``Xᵀ K X diag(1 / (1 − x_jᵀ K x_j))`` (Woodbury). The diagonal
    only speaks for films of the history, which are no candidates.
    """

    ridge: float = EASE_RIDGE
    name: str = "ease"

    def __post_init__(self) -> None:
        """Check the ridge."""
        check_scalar(self.ridge, "ridge", gt=0)

    def fit(self, ground: Ground, train: Acts) -> FittedScorer:
        """Solve for the item weights."""
        liked = positive_matrix(train, ground.n_users, ground.n_films).astype(np.float64)
        used = np.flatnonzero(np.diff(liked.indptr))  # users without a like have nothing to say
        rows = liked[used]
        gram = (rows @ rows.T).toarray()
        gram[np.diag_indices_from(gram)] += self.ridge
        solved: Floats = np.linalg.solve(gram, rows.toarray())
        kept = 1.0 - np.asarray(rows.multiply(solved).sum(axis=0)).ravel()
        return _Linear(liked=liked, left=rows.T.tocsr(), right=(solved / np.maximum(kept, 1e-12)).astype(np.float32))


BASELINES: Final[Mapping[str, Callable[[], Scorer]]] = {"popularity": Popularity, "item-knn": ItemKnn, "ease": Ease}


def baselines(names: Sequence[str]) -> list[Scorer]:
    """Return the named baselines.

    Raises:
        InvalidValueError: For a name nobody knows.
    """
    for name in names:
        if name not in BASELINES:
            raise InvalidValueError(f"baseline == {name!r}", f"must be one of {', '.join(BASELINES)}")
    return [BASELINES[name]() for name in dict.fromkeys(names)]
