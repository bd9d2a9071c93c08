"""Baselines against direct formulas and independent libraries."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from recommender.evaluation.baselines import Ease, ItemKnn, Popularity, baselines, positive_matrix
from recommender.evaluation.ground import Ground
from recommender.evaluation.judge import judge
from recommender.evaluation.protocols import split
from recommender.evaluation.subject import Subject
from tests.recommender.evaluation.acts import acts, ground_of, movielens
from workspace.errors import InvalidValueError

LIKED = np.random.default_rng(4).random((9, 12)) < 0.4
EVERYBODY = np.arange(9)
NO_DAYS = np.zeros(9)


@pytest.fixture(scope="module")
def ground() -> Ground:
    # What is not liked was rated 2, which no baseline may take for a like.
    return ground_of(np.where(LIKED, 4.5, 2.0))


def test_popularity_counts_likes(ground: Ground) -> None:
    scores = Popularity().fit(ground, ground.acts).scores(EVERYBODY, NO_DAYS)
    assert scores.tolist() == np.tile(LIKED.sum(axis=0), (9, 1)).tolist()


def test_item_knn_agrees_with_scikit_learn(ground: Ground) -> None:
    scores = ItemKnn().fit(ground, ground.acts).scores(EVERYBODY, NO_DAYS)
    assert scores == pytest.approx(LIKED @ cosine_similarity(LIKED.T), abs=1e-5)


@pytest.mark.parametrize("ridge", [0.5, 3.0, 200.0])
def test_ease_agrees_with_the_closed_form_on_films_outside_the_history(ground: Ground, ridge: float) -> None:
    gram = LIKED.T.astype(float) @ LIKED
    precision = np.linalg.inv(gram + ridge * np.eye(12))
    weights = np.eye(12) - precision / np.diag(precision)
    np.fill_diagonal(weights, 0)
    scores = Ease(ridge=ridge).fit(ground, ground.acts).scores(EVERYBODY, NO_DAYS)
    assert scores[~LIKED] == pytest.approx((LIKED @ weights)[~LIKED], abs=1e-5)


def test_ease_weights_solve_each_film_by_ridge_regression_on_the_others(ground: Ground) -> None:
    # With a zero diagonal the columns of B don't touch each other: each is a ridge regression of its own.
    film, ridge = 5, 3.0
    others = np.delete(np.arange(12), film)
    x = LIKED.astype(float)
    solved = np.linalg.solve(x[:, others].T @ x[:, others] + ridge * np.eye(11), x[:, others].T @ x[:, film])
    scores = Ease(ridge=ridge).fit(ground, ground.acts).scores(EVERYBODY, NO_DAYS)
    unseen = ~LIKED[:, film]
    assert scores[unseen, film] == pytest.approx((x[:, others] @ solved)[unseen], abs=1e-5)


def test_film_liked_twice_is_liked_once() -> None:
    assert positive_matrix(acts([0, 0, 0], [1, 1, 2], positive=[True, True, False]), 1, 3).toarray().tolist() == [
        [0, 1, 0]
    ]


def test_baselines_are_named_once_and_unknown_ones_refused() -> None:
    assert [one.name for one in baselines(["ease", "popularity", "ease"])] == ["ease", "popularity"]
    with pytest.raises(InvalidValueError, match="'magic', must be one of popularity, item-knn, ease"):
        baselines(["magic"])


def test_ease_refuses_a_ridge_of_zero() -> None:
    with pytest.raises(InvalidValueError, match="ridge"):
        Ease(ridge=0.0)


@pytest.mark.real_data
def test_real_ratings_give_the_published_figures_and_the_recommender_beats_them(real_data: Path) -> None:
    ground = movielens(real_data)
    splits = split(ground.acts, "temporal")
    assert len(splits[0].users) == 658
    popularity = judge(Popularity(), ground, splits).mean()
    ease = judge(Ease(), ground, splits).mean()
    assert popularity.value == pytest.approx(0.064, abs=0.004)
    assert ease.value == pytest.approx(0.113, abs=0.004)
    assert ease.standard_error == pytest.approx(0.007, abs=0.001)
    # Genres and years alone, without the film tables: still above popularity and the floor asked for.
    subject = Subject.of(ground, text=None, blocks=("genre", "era", "acclaim", "popularity", "recency"))
    assert judge(subject, ground, splits).mean().value >= 0.075
