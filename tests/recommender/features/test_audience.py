"""The audience block against EASE's closed form, computed here densely."""

import numpy as np
import pytest

from recommender.acts import Acts
from recommender.features import audience
from recommender.features.audience import fit_audience
from workspace.errors import InvalidValueError

RIDGE = 20.0


def acts_of(likes: np.ndarray) -> Acts:
    """Return one act a non-zero cell of (users, films)."""
    users, films = np.nonzero(likes)
    count = len(users)
    return Acts(users=users, films=films, likes=likes[users, films], watched=np.ones(count, np.bool_),
                positive=np.ones(count, np.bool_), days=np.zeros(count))  # fmt: skip


def random_likes(users: int, films: int, seed: int) -> np.ndarray:
    """Return likings with a user who likes nothing and a film nobody likes, so that the factors can be exact."""
    rng = np.random.default_rng(seed)
    likes = np.where(rng.random((users, films)) < 0.3, rng.uniform(-0.5, 1.0, (users, films)), 0.0)
    likes[users // 2] = -np.abs(likes[users // 2])
    likes[:, films // 3] = 0.0
    likes[-1, -1] = 1.0
    return likes


def ease(likes: np.ndarray) -> np.ndarray:
    """Return EASE's item weights, Steck 2019, equation 8: B = I − P diag(1 / diag P), zero diagonal."""
    liked = np.maximum(likes, 0.0)
    inverse = np.linalg.inv(liked.T @ liked + RIDGE * np.eye(liked.shape[1]))
    weights = np.eye(liked.shape[1]) - inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0.0)
    return weights


@pytest.mark.parametrize(("users", "films"), [(12, 40), (60, 25)], ids=["solved by users", "solved by films"])
def test_factors_equal_ease_off_the_diagonal_at_full_rank(users: int, films: int) -> None:
    likes = random_likes(users, films, seed=users)
    vectors = fit_audience(acts_of(likes), films, dim=films, ridge=RIDGE)
    product = vectors.history.astype(np.float64) @ vectors.candidate.T.astype(np.float64)
    np.fill_diagonal(product, 0.0)
    assert product == pytest.approx(ease(likes), abs=2e-6)


def test_user_and_film_space_factorise_the_same_matrix() -> None:
    likes = random_likes(20, 20, seed=3)
    liked = audience._like_matrix(acts_of(likes), 20)
    by_users = audience._by_users(liked, RIDGE)
    solved = np.linalg.solve(liked.toarray() @ liked.toarray().T + RIDGE * np.eye(liked.shape[0]), liked.toarray())
    dense = (liked.toarray().T @ solved) / (1 - (liked.toarray() * solved).sum(axis=0))
    by_films = audience._by_films(liked, RIDGE)
    for left, values, right in (by_users, by_films):
        assert np.allclose((left * values) @ right.T, dense, atol=1e-9)


def test_candidates_have_norm_at_most_one_and_runs_agree() -> None:
    some = acts_of(random_likes(15, 30, seed=1))
    first, second = (fit_audience(some, 30, dim=6, ridge=RIDGE) for _ in range(2))
    assert np.linalg.norm(first.candidate, axis=1).max() == pytest.approx(1.0, abs=1e-6)
    assert first.history.shape == first.candidate.shape == (30, 6)
    assert np.array_equal(first.history, second.history)
    assert np.array_equal(first.candidate, second.candidate)


def test_a_film_liked_twice_counts_as_one_liked_fully() -> None:
    once = acts_of(random_likes(8, 12, seed=2))
    strong = Acts(users=np.array([0, 0]), films=np.array([1, 1]), likes=np.array([0.9, 0.9]),
                  watched=np.ones(2, np.bool_), positive=np.ones(2, np.bool_), days=np.zeros(2))  # fmt: skip
    both = Acts(**{name: np.concatenate([getattr(once, name), getattr(strong, name)])
                   for name in ("users", "films", "likes", "watched", "positive", "days")})  # fmt: skip
    assert audience._like_matrix(both, 12)[0, 1] == 1.0


def test_only_the_most_active_users_count_where_both_sides_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    likes = random_likes(30, 40, seed=4)
    monkeypatch.setattr(audience, "MOST_ROWS", 10)
    busiest = np.sort(np.argsort(-np.maximum(likes, 0).sum(axis=1), kind="stable")[:10])
    vectors = fit_audience(acts_of(likes), 40, dim=9, ridge=RIDGE)
    expected = fit_audience(acts_of(likes[busiest]), 40, dim=9, ridge=RIDGE)
    assert vectors.history @ vectors.candidate.T == pytest.approx(expected.history @ expected.candidate.T, abs=1e-5)


def test_nobody_liking_anything_and_a_single_film_are_no_failure() -> None:
    disliked = acts_of(np.array([[-1.0, 0.0, -0.5], [0.0, -0.2, 0.0]]))
    assert not fit_audience(disliked, 3, ridge=RIDGE).candidate.any()
    single = fit_audience(acts_of(np.array([[1.0], [0.5]])), 1, ridge=RIDGE)
    assert np.isfinite(single.history).all()
    assert single.history.shape[0] == 1


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"ridge": 0.0}, {"ridge": float("nan")}])
def test_fit_refuses_impossible_arguments(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError):
        fit_audience(Acts.none(), 3, **wrong)  # type: ignore[arg-type]
