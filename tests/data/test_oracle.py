"""The difficulty figures, against counts made by hand."""

import numpy as np
import pytest

from data.synthetic.oracle import History, folds, precision_at_k
from workspace.errors import InvalidValueError


def _acts(users: int, each: int, films: int) -> History:
    rng = np.random.default_rng(3)
    film = np.concatenate([rng.choice(films, each, replace=False) for _ in range(users)])
    return History(user=np.repeat(np.arange(users), each), film=film, positive=np.ones(users * each, dtype=np.bool_))


def test_folds_deal_each_user_evenly() -> None:
    user = np.repeat(np.arange(9), 12)
    dealt = folds(user, 5, seed=0)
    for row in range(9):
        counts = np.bincount(dealt[user == row], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.array_equal(dealt, folds(user, 5, seed=0))
    assert not np.array_equal(dealt, folds(user, 5, seed=1))


def test_precision_is_one_for_who_knows_the_fold() -> None:
    acts = _acts(users=7, each=25, films=60)

    def knows(rows: np.ndarray, _: History) -> np.ndarray:
        scores = np.zeros((len(rows), 60), dtype=np.float32)
        for place, row in enumerate(rows):
            scores[place, acts.film[acts.user == row]] = 1
        return scores

    found = precision_at_k(acts, knows, users=7, films=60)
    assert found.mean == 1.0
    assert found.folds == (1.0,) * 5


def test_precision_of_a_short_fold_is_its_positives_over_k() -> None:
    # Ten films a user: two in each fold, so at best 2 of 5.
    acts = _acts(users=4, each=10, films=30)

    def knows(rows: np.ndarray, _: History) -> np.ndarray:
        return np.stack([np.isin(np.arange(30), acts.film[acts.user == row]) for row in rows]).astype(np.float32)

    assert precision_at_k(acts, knows, users=4, films=30).mean == pytest.approx(0.4)


def test_precision_does_not_count_users_with_nothing_relevant() -> None:
    acts = _acts(users=3, each=10, films=30)
    none = History(user=acts.user, film=acts.film, positive=acts.user != 1)
    found = precision_at_k(none, lambda rows, _: np.zeros((len(rows), 30), dtype=np.float32), users=3, films=30)
    assert len(found.per_user) == 2


@pytest.mark.parametrize(("k", "count"), [(0, 5), (31, 5), (5, 1)])
def test_precision_refuses_impossible_protocols(k: int, count: int) -> None:
    acts = _acts(users=2, each=10, films=30)
    with pytest.raises(InvalidValueError):
        precision_at_k(acts, lambda rows, _: np.zeros((len(rows), 30)), users=2, films=30, k=k, fold_count=count)
