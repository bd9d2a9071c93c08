"""Fitted weights: non-negative, the likelihood's own optimum, and the truth where there is one."""

import json

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import log_softmax

from recommender.evaluation.weights import Pool, _Likelihood, fit_weights, rough_weights
from workspace.errors import InvalidValueError

TRUTH = np.array([2.0, 0.5, 0.0, -1.0, 0.0])
NAMES = ("strong", "weak", "noise", "against", "constant")


def pool_of(users: int = 150, films: int = 60, seed: int = 0) -> Pool:
    """Users who like two films each, drawn by softmax of the true weights."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(5, users, films)).astype(np.float32)
    scores[4] = 1.0
    utility = np.tensordot(TRUTH, scores, 1) + rng.gumbel(size=(users, films))
    relevant = np.zeros((users, films), bool)
    np.put_along_axis(relevant, np.argsort(-utility, axis=1)[:, :2], values=True, axis=1)
    return Pool(blocks=NAMES, scores=scores, relevant=relevant, allowed=np.ones((users, films), bool))


def test_weights_come_near_the_truth_and_never_below_zero() -> None:
    weights = fit_weights(pool_of()).weights
    assert weights["strong"] == pytest.approx(2.0, abs=0.45)  # the second choice dilutes the first
    assert weights["weak"] == pytest.approx(0.5, abs=0.15)
    assert weights["noise"] == pytest.approx(0, abs=0.12)
    assert weights["against"] == 0
    assert weights["constant"] == 0


def test_likelihood_and_gradient_agree_with_scipy() -> None:
    pool = pool_of(users=7, films=9)
    pool.relevant[0, 3:6] = True  # users of unequal counts
    pool.allowed[1, :4] = False
    relevant = pool.relevant & pool.allowed
    users = np.flatnonzero(relevant.any(axis=1))
    pool, relevant = pool.take(users), relevant[users]
    spread, at = np.ones(5), np.array([0.4, 0.1, 0.3, 0.2, 0.0])
    scores = np.where(pool.allowed, np.tensordot(at, pool.scores.astype(float), 1), -np.inf)
    own = [-log_softmax(scores[u])[relevant[u]].mean() for u in range(len(scores))]
    expected = np.average(own, weights=np.sqrt(relevant.sum(axis=1)))
    likelihood = _Likelihood(pool, spread)
    assert likelihood(at)[0] == pytest.approx(expected, abs=1e-5)
    error = check_grad(lambda x: likelihood(x)[0], lambda x: likelihood(x)[1], at, epsilon=1e-3)
    assert error < 1e-3


def test_weights_are_the_same_at_every_run_and_whatever_unit_a_block_has() -> None:
    pool = pool_of()
    first, again = fit_weights(pool, seed=1), fit_weights(pool, seed=1)
    assert first == again
    scaled = Pool(blocks=pool.blocks, relevant=pool.relevant, allowed=pool.allowed,
                  scores=pool.scores * np.array([100, 1, 1, 1, 1], np.float32)[:, None, None])  # fmt: skip
    assert fit_weights(scaled, seed=1).weights["strong"] == pytest.approx(first.weights["strong"] / 100, rel=0.02)


def test_evidence_says_what_the_weights_rest_on() -> None:
    evidence = fit_weights(pool_of()).evidence
    assert [fold["users"] for fold in evidence["folds"]] == [30] * 5
    assert 0 < evidence["held_out_precision_at_5"] <= 0.4
    assert set(evidence["importance"]) == set(NAMES)
    json.dumps(evidence, allow_nan=False)


def test_held_out_precision_beats_chance_clearly() -> None:
    # Two of sixty films at random give 1/30.
    assert fit_weights(pool_of()).evidence["held_out_precision_at_5"] > 3 / 30


def test_rough_weights_point_the_same_way() -> None:
    pool = pool_of()
    rough, fitted = rough_weights(pool), fit_weights(pool).weights
    assert rough["strong"] == pytest.approx(fitted["strong"], rel=0.1)
    assert rough["against"] == 0


def test_too_few_users_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="users with a held-back film == 9, must be >= 10"):
        fit_weights(pool_of(users=9))
    with pytest.raises(InvalidValueError, match="must be >= 1"):
        rough_weights(pool_of(users=3).take(np.empty(0, np.int64)))
