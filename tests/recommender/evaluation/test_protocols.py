"""Splits: what trains never tests, and who counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.acts import Acts
from recommender.evaluation.protocols import PROTOCOLS, Protocol, Split, split
from tests.recommender.evaluation.acts import acts, ground_of
from workspace.errors import InvalidValueError


def many(seed: int, n_users: int, n_films: int) -> Acts:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, min(30, n_films), n_users)
    counts[0] = min(20, n_films)  # somebody has to count
    users = np.repeat(np.arange(n_users), counts)
    films = np.concatenate([rng.permutation(n_films)[:count] for count in counts])
    days = rng.integers(0, 5, len(users)).astype(float)  # few days, so that many acts tie
    positive = rng.random(len(users)) < 0.7
    order = np.lexsort((films, days, users))
    made = acts(users.tolist(), films.tolist(), days.tolist(), positive.tolist())
    return made.take(order)


def rows(some: Acts) -> list[tuple[int, int, float]]:
    return list(zip(some.users.tolist(), some.films.tolist(), some.days.tolist(), strict=True))


def split_or_skip(made: Acts, protocol: Protocol, seed: int = 0) -> list[Split]:
    try:
        return split(made, protocol, seed=seed)
    except InvalidValueError:
        return []


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(12, 40), st.sampled_from(PROTOCOLS))
def test_split_parts_every_act_once_and_relevant_films_are_candidates(
    seed: int, n_users: int, n_films: int, protocol: Protocol
) -> None:
    made = many(seed, n_users, n_films)
    for one in split_or_skip(made, protocol, seed):
        assert sorted(rows(one.train) + rows(one.test)) == sorted(rows(made))
        assert not np.any(one.relevant(n_films) & ~one.candidates(n_films))
        assert np.all(one.relevant(n_films).any(axis=1))
        trained = set(zip(one.train.users.tolist(), one.train.films.tolist(), strict=True))
        seen = {(int(one.users[u]), int(f)) for u, f in np.argwhere(~one.candidates(n_films))}
        assert seen == {pair for pair in trained if pair[0] in one.users}


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(12, 40))
def test_temporal_train_never_comes_after_test(seed: int, n_users: int, n_films: int) -> None:
    made = many(seed, n_users, n_films)
    for one in split_or_skip(made, "temporal"):
        for user in np.unique(one.test.users):
            train, test = one.train.users == user, one.test.users == user
            last = max(zip(one.train.days[train], one.train.films[train], strict=True))
            assert last < min(zip(one.test.days[test], one.test.films[test], strict=True))
            count = int(train.sum() + test.sum())
            assert train.sum() == count * 8 // 10
            assert count >= 10
        place = np.searchsorted(one.users, one.users)
        assert np.all(one.days[place] == [one.train.days[one.train.users == u].max() for u in one.users])


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(12, 40))
def test_kfold_tests_every_act_in_exactly_one_fold_and_deals_evenly(seed: int, n_users: int, n_films: int) -> None:
    made = many(seed, n_users, n_films)
    folds = split_or_skip(made, "kfold", seed)
    if not folds:
        return
    assert len(folds) == 5
    assert sorted(row for one in folds for row in rows(one.test)) == sorted(rows(made))
    for user in range(n_users):
        sizes = [int((one.test.users == user).sum()) for one in folds]
        assert max(sizes) - min(sizes) <= 1


def test_temporal_keeps_whole_shares_whole() -> None:
    # 0.8 · 35 is 28 exactly, and 28.000000000000004 − or 27.999… in floats.
    made = acts([0] * 35, list(range(35)))
    (one,) = split(made, "temporal")
    assert len(one.train) == 28
    assert one.test.films.tolist() == list(range(28, 35))


def test_temporal_breaks_ties_by_numeric_film_id() -> None:
    # As text "10" comes before "9".
    ratings = np.full((1, 10), 5.0)
    ground = ground_of(ratings)
    same_day = ground.acts.take(np.arange(10))
    tied = acts([0] * 10, same_day.films.tolist(), [7.0] * 10)
    (one,) = split(tied, "temporal")
    assert ground.catalogue.films["film_id"].take(one.test.films).tolist() == ["9", "10"]


def test_user_with_nine_acts_is_trained_on_and_not_tested() -> None:
    made = acts([0] * 10 + [1] * 9, [*range(10), *range(9)])
    (one,) = split(made, "temporal")
    assert one.users.tolist() == [0]
    assert int((one.train.users == 1).sum()) == 9


def test_user_without_relevant_test_film_is_not_counted() -> None:
    liked = [True] * 8 + [False] * 2
    made = acts([0] * 10 + [1] * 10, [*range(10), *range(10)], positive=[*liked, *([True] * 10)])
    (one,) = split(made, "temporal")
    assert one.users.tolist() == [1]


def test_film_that_is_also_in_train_is_not_relevant() -> None:
    made = acts([0] * 10, [0, 1, 2, 3, 4, 5, 6, 7, 0, 9])
    (one,) = split(made, "temporal")
    assert one.relevant_films.tolist() == [9]


def test_random_tests_a_fifth_of_the_rows_by_its_seed() -> None:
    made = acts([0] * 50 + [1] * 50, [*range(50), *range(50)])
    (one,), (again,), (other,) = (split(made, "random", seed=seed) for seed in (3, 3, 4))
    assert len(one.test) == 20
    assert rows(one.test) == rows(again.test)
    assert rows(one.test) != rows(other.test)


@pytest.mark.parametrize("protocol", ["global", "", "Temporal"])
def test_split_refuses_an_unknown_protocol(protocol: str) -> None:
    with pytest.raises(InvalidValueError, match="must be one of temporal, random, kfold"):
        split(acts([0] * 10, list(range(10))), protocol)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 9])
def test_split_says_when_nobody_is_left_to_be_judged(count: int) -> None:
    with pytest.raises(InvalidValueError, match="no user with a relevant test film"):
        split(acts([0] * count, list(range(count))), "temporal")


def test_split_of_some_users_is_the_same_rows_of_the_whole() -> None:
    made = many(3, 8, 30)
    (one,) = split(made, "random", seed=1)
    places = np.arange(0, len(one.users), 2)
    some = one.of_users(places)
    assert len(places) > 1
    assert np.array_equal(some.users, one.users[places])
    assert np.array_equal(some.days, one.days[places])
    assert np.array_equal(some.relevant(30), one.relevant(30)[places])
    assert np.array_equal(some.candidates(30), one.candidates(30)[places])
