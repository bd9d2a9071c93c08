"""Figures against hand-computed values and independent libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

from recommender.evaluation.metrics import (
    calibration_per_user,
    coverage,
    genre_shares,
    hit_per_user,
    hits,
    mean_over_users,
    ndcg_per_user,
    novelty_per_user,
    precision_per_user,
    recall_per_user,
    top_k,
)
from workspace.errors import InvalidValueError

RELEVANT = np.array([[1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0]], bool)
LISTS = np.array([[2, 1, 0], [3, 2, 1], [1, -1, -1]])


def test_top_k_orders_by_score_and_equal_scores_by_row() -> None:
    scores = np.array([[1, 3, 3, 2, 3]], np.float32)
    assert top_k(scores, np.ones((1, 5), bool), 4).tolist() == [[1, 2, 4, 3]]


def test_top_k_never_lists_what_is_no_candidate_forbidden_or_unscored() -> None:
    scores = np.array([[9, -np.inf, np.nan, 1, 2]], np.float32)
    candidates = np.array([[False, True, True, True, True]])
    assert top_k(scores, candidates, 6).tolist() == [[4, 3, -1, -1, -1, -1]]


def test_top_k_refuses_zero() -> None:
    with pytest.raises(InvalidValueError, match="k == 0, must be >= 1"):
        top_k(np.zeros((1, 2), np.float32), np.ones((1, 2), bool), 0)


def test_precision_divides_by_k_also_for_a_shorter_list() -> None:
    assert precision_per_user(hits(LISTS, RELEVANT)).tolist() == pytest.approx([2 / 3, 0, 1 / 3])


def test_recall_and_hit_rate_by_hand() -> None:
    hit = hits(LISTS, RELEVANT)
    assert recall_per_user(hit, RELEVANT).tolist() == pytest.approx([2 / 3, 0, 1])
    assert hit_per_user(hit).tolist() == [1, 0, 1]


def test_recall_and_ndcg_are_not_estimable_without_a_relevant_film() -> None:
    nothing = np.zeros((1, 6), bool)
    hit = hits(LISTS[:1], nothing)
    assert np.isnan(recall_per_user(hit, nothing)).all()
    assert np.isnan(ndcg_per_user(hit, nothing)).all()


def test_ndcg_by_hand() -> None:
    # Hits at ranks 1 and 3 of three relevant: (1 + 1/2) / (1 + 1/log2(3) + 1/2).
    assert ndcg_per_user(hits(LISTS, RELEVANT), RELEVANT)[0] == pytest.approx(1.5 / (1.5 + 1 / np.log2(3)))


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_ndcg_agrees_with_scikit_learn(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(20, dtype=np.float32), (6, 1)), axis=1)
    relevant = rng.random((6, 20)) < 0.2
    relevant[:, 0] = True
    hit = hits(top_k(scores, np.ones_like(relevant), k), relevant)
    expected = [ndcg_score(relevant[u : u + 1].astype(int), scores[u : u + 1], k=k) for u in range(6)]
    assert ndcg_per_user(hit, relevant).tolist() == pytest.approx(expected)


def test_coverage_counts_films_once_and_no_gaps() -> None:
    assert coverage(LISTS, 8) == 4 / 8


def test_novelty_by_hand() -> None:
    # 3 of 7 users know film 0: log2(8 / 4) = 1 bit; nobody knows film 1: log2(8) = 3 bits.
    bits = novelty_per_user(np.array([[0, 1], [1, -1], [-1, -1]]), np.array([3, 0]), 7)
    assert bits[:2].tolist() == [2, 3]
    assert np.isnan(bits[2])


def test_genre_shares_sum_to_one_for_a_film_with_genres() -> None:
    assert genre_shares([["B", "A"], ["A"], [], ["B", "B"]]).tolist() == [[0.5, 0.5], [1, 0], [0, 0], [0, 1]]


def test_calibration_agrees_with_scipy_entropy() -> None:
    shares = genre_shares([["A"], ["B"], ["A", "B"], ["C"]])
    taste = np.array([[3.0, 1.0, 0.0]])
    p = np.array([0.75, 0.25, 0])
    for films, q in (([0, 3], [0.5, 0, 0.5]), ([0, 2, 3, -1], [0.5, 1 / 6, 1 / 3])):
        expected = stats.entropy(p, 0.99 * np.array(q) + 0.01 * p)
        assert calibration_per_user(np.array([films]), shares, taste)[0] == pytest.approx(expected)


def test_calibration_is_zero_when_shares_agree_and_not_estimable_without_genres() -> None:
    shares = genre_shares([["A"], ["B"], []])
    figures = calibration_per_user(
        np.array([[0, 1], [2, -1], [0, 1]]), shares, np.array([[2.0, 2.0], [1.0, 1.0], [0.0, 0.0]])
    )
    assert figures[0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(figures[1:]).all()


def test_mean_over_users_agrees_with_scipy_and_leaves_out_what_is_not_estimable() -> None:
    values = np.array([0.2, 0.4, np.nan, 0.0, 0.6, 0.2])
    known = values[~np.isnan(values)]
    mean = mean_over_users(values)
    low, high = stats.t.interval(0.95, 4, loc=known.mean(), scale=stats.sem(known))
    assert (mean.value, mean.low, mean.high) == pytest.approx((known.mean(), low, high))
    assert mean.users == 5


def test_mean_of_nobody_and_interval_of_one_are_not_estimable() -> None:
    assert np.isnan(mean_over_users(np.array([np.nan])).value)
    one = mean_over_users(np.array([0.4]))
    assert one.value == 0.4
    assert np.isnan(one.low)
