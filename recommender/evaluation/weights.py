"""Block weights by cross-validation: non-negative, by user, from films held back inside the training part.

The weights maximise the likelihood of the held-back films under a softmax over each user's pool of candidates. Users
count by the square root of how many films were held back, so that neither the many with one nor the few with hundreds
decide alone. Users are dealt into folds; each fold's weights are fitted on the other folds, judged on it, and the
weights kept are the mean over folds.

Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach" (ICML 2007), equation 4, top-one
probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.evaluation.metrics import hits, precision_per_user, top_k
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

WEIGHT_FOLDS: Final = 5
_JUDGED_K: Final = 5
_START: Final = 0.3
_STEPS: Final = 40
_FOLD_STEPS: Final = 20
_OUT_OF_POOL: Final = -1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Every block's score of each user's candidates.

    Args:
        blocks: Names, b of them.
        scores: Shape ``(b, m, c)``.
        relevant: Which candidates were held back and liked, shape ``(m, c)``.
        allowed: Which may be shown at all, shape ``(m, c)``.
    """

    blocks: Sequence[str]
    scores: Vectors
    relevant: Mask
    allowed: Mask

    def take(self, users: Rows) -> "Pool":
        """Return some users."""
        return Pool(
            blocks=self.blocks,
            scores=self.scores[:, users],
            relevant=self.relevant[users],
            allowed=self.allowed[users],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedWeights:
    """Block weights and what they rest on.

    Args:
        weights: ``{block: weight >= 0}``.
        evidence: Folds with their held-out figures, importances, settings; plain JSON values.
    """

    weights: dict[str, float]
    evidence: dict[str, Any]


def fit_weights(pool: Pool, *, folds: int = WEIGHT_FOLDS, seed: int = 0) -> FittedWeights:
    """Fit block weights by cross-validation over users.

    Args:
        pool: What every block says.
        folds: How many folds; at least two users are needed for each.
        seed: Deals the users.

    Raises:
        InvalidValueError: With fewer than two users a fold that have a held-back film in their pool.
    """
    check_scalar(folds, "folds", ge=2)
    useful = np.flatnonzero((pool.relevant & pool.allowed).any(axis=1))
    if len(useful) < 2 * folds:
        raise InvalidValueError(
            f"users with a held-back film == {len(useful)}",
            f"must be >= {2 * folds} for {folds} folds",
            "use the default weights, or more data",
        )
    pool = pool.take(useful)
    spread = _spread(pool)
    dealt = np.random.default_rng(seed).permutation(len(useful)) % folds
    start = _fit(pool, spread, np.full(len(spread), _START), _STEPS)
    kept, facts = [], []
    for fold in range(folds):
        weights = _fit(pool.take(np.flatnonzero(dealt != fold)), spread, start, _FOLD_STEPS)
        kept.append(weights)
        held = pool.take(np.flatnonzero(dealt == fold))
        facts.append({
            "users": len(held.relevant),
            "precision_at_5": float(_precision(held, weights / spread)),
            "loss": _Likelihood(held, spread)(weights)[0],
        })  # fmt: skip
    importance = np.mean(kept, axis=0)
    return FittedWeights(
        weights={name: float(weight) for name, weight in zip(pool.blocks, importance / spread, strict=True)},
        evidence={
            "method": "listwise softmax, non-negative, mean over folds of users",
            "seed": seed,
            "users": len(useful),
            "folds": facts,
            "held_out_precision_at_5": float(np.average([f["precision_at_5"] for f in facts],
                                                        weights=[f["users"] for f in facts])),
            "importance": {name: round(float(v), 4) for name, v in zip(pool.blocks, importance, strict=True)},
            "fold_spread": {name: round(float(v), 4)
                            for name, v in zip(pool.blocks, np.std(kept, axis=0), strict=True)},
        },
    )  # fmt: skip


def rough_weights(pool: Pool) -> dict[str, float]:
    """Fit block weights once on all users, without folds or evidence.

    Raises:
        InvalidValueError: When no user has a held-back film in the pool.
    """
    useful = np.flatnonzero((pool.relevant & pool.allowed).any(axis=1))
    if not len(useful):
        raise InvalidValueError("users with a held-back film == 0", "must be >= 1", "use the default weights")
    pool = pool.take(useful)
    spread = _spread(pool)
    found = _fit(pool, spread, np.full(len(spread), _START), _FOLD_STEPS) / spread
    return {name: float(weight) for name, weight in zip(pool.blocks, found, strict=True)}


class _Likelihood:
    """Negative mean log-likelihood of the held-back films and its gradient, in units of each block's spread."""

    def __init__(self, pool: Pool, spread: Floats) -> None:
        self._spread = spread
        self._shape = pool.relevant.shape
        self._flat = pool.scores.reshape(len(spread), -1)
        self._closed = np.where(pool.allowed, 0, _OUT_OF_POOL).astype(np.float32)
        relevant = pool.relevant & pool.allowed
        count = relevant.sum(axis=1)
        self._share = np.sqrt(count) / np.sqrt(count).sum()
        target = (relevant * (self._share / count)[:, None]).astype(np.float32)
        self._wanted = (self._flat @ target.ravel()).astype(np.float64)

    def __call__(self, importance: Floats) -> tuple[float, Floats]:
        """Return loss and gradient at weights = importance / spread."""
        weights = importance / self._spread
        scores = (weights.astype(np.float32) @ self._flat).reshape(self._shape) + self._closed
        top = scores.max(axis=1, keepdims=True)
        likely = np.exp(scores - top)
        total = likely.sum(axis=1, keepdims=True)
        loss = float(self._share @ (np.log(total) + top)[:, 0] - self._wanted @ weights)
        likely *= (self._share[:, None] / total).astype(np.float32)
        gradient = (self._flat @ likely.ravel()).astype(np.float64) - self._wanted
        return loss, gradient / self._spread


def _spread(pool: Pool) -> Floats:
    """Return each block's standard deviation over the pool; 1 for a block that never differs, which then gets 0."""
    out = pool.scores.reshape(len(pool.scores), -1).std(axis=1, dtype=np.float64)
    return np.where(out > 0, out, 1.0)


def _fit(pool: Pool, spread: Floats, start: Floats, steps: int) -> Floats:
    constant = np.ptp(pool.scores.reshape(len(spread), -1), axis=1) == 0
    bounds = [(0.0, 0.0) if flat else (0.0, None) for flat in constant]
    found = minimize(
        _Likelihood(pool, spread),
        np.where(constant, 0.0, start),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps},
    )
    return np.asarray(found.x, np.float64)


def _precision(pool: Pool, weights: Floats) -> float:
    scores = np.tensordot(weights.astype(np.float32), pool.scores, 1)
    return float(precision_per_user(hits(top_k(scores, pool.allowed, _JUDGED_K), pool.relevant)).mean())
