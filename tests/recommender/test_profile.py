"""Profiles: pooled by hand, one at a time as all at once, linear, and short where the history is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.acts import Acts
from recommender.features.layout import Layout
from recommender.features.matrix import FeatureMatrix
from recommender.features.priors import PopularityBins, Priors, Recency
from recommender.profile import EVERYBODY, Pooling, market_means, profile, profiles
from workspace.errors import InvalidValueError

FILMS = 9
RNG = np.random.default_rng(3)
CONTENT = RNG.normal(size=(FILMS, 5)).astype(np.float32)
HISTORY = RNG.normal(size=(FILMS, 2)).astype(np.float32)
PRIORS = Priors(
    blocks=("acclaim", "popularity"), bins=PopularityBins(edges=(0.0, 50.0)), recency=Recency(origin_year=2020.0)
)
PLACES = Layout.of({"genre": 2, "keyword": 3, "acclaim": 1, "popularity": 2, "audience": 2})
MEANS = {EVERYBODY: CONTENT.mean(axis=0), "nordic": CONTENT[:3].mean(axis=0)}
MATRIX = FeatureMatrix(
    layout=PLACES,
    candidates=np.hstack([CONTENT, RNG.normal(size=(FILMS, 5)).astype(np.float32)]),
    audience_history=HISTORY,
    priors=PRIORS,
    market_means=MEANS,
)
POOLING = Pooling(half_life_days=30.0, shrinkage=2.0)


def acts(*rows: tuple[int, int, float, float]) -> Acts:
    """Return acts of (user, film, liking, day)."""
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    return Acts(users=columns[0].astype(np.int64), films=columns[1].astype(np.int64), likes=columns[2],
                watched=np.ones(len(rows), np.bool_), positive=columns[2] > 0.6, days=columns[3])  # fmt: skip


def test_profile_is_the_weighted_sum_against_the_market_s_mean() -> None:
    person = profile(MATRIX, acts((0, 1, 1.0, 100.0), (0, 4, -0.5, 70.0)), day=60.0, market="nordic", pooling=POOLING)
    # By hand: the older act is one half-life old, so it counts −0.25; mass 1.25, shrinkage 2.
    film = CONTENT.astype(np.float64) - MEANS["nordic"]
    summed = 1.0 * film[1] - 0.25 * film[4]
    heard = 1.0 * HISTORY[1].astype(np.float64) - 0.25 * HISTORY[4]
    assert person.vector[:2] == pytest.approx(summed[:2] / 3.25)
    assert person.vector[2:5] == pytest.approx(summed[2:] / np.sqrt(3.25))
    assert person.vector[5:8].tolist() == [1.0, 0.0, 1.0]
    assert person.vector[8:] == pytest.approx(heard / np.sqrt(3.25))
    assert person.coefficients == pytest.approx([1.0, -0.25])
    assert person.liked.tolist() == [True, False]


def test_without_history_only_the_priors_speak() -> None:
    person = profile(MATRIX, Acts.none(), day=10.0, market="nordic", pooling=POOLING)
    assert person.vector.tolist() == [0] * 5 + [1.0, 1.0, 0.0] + [0, 0]
    assert np.array_equal(person.vector, person.prior)
    assert (
        profile(MATRIX, Acts.none(), day=-1.0, market="x", pooling=POOLING).vector.tolist() == [0] * 5 + [1] + [0] * 4
    )


def test_an_unknown_market_is_held_against_everybody() -> None:
    some = acts((0, 1, 1.0, 0.0))
    assert np.array_equal(
        profile(MATRIX, some, day=0, market="moon", pooling=POOLING).vector,
        profile(MATRIX, some, day=0, market=EVERYBODY, pooling=POOLING).vector,
    )


histories = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, FILMS - 1), st.floats(-1, 1), st.floats(0, 500)), max_size=20
)


@settings(max_examples=40)
@given(histories, st.lists(st.sampled_from(["nordic", "moon", EVERYBODY]), min_size=4, max_size=4))
def test_many_at_once_equal_one_at_a_time(rows: list[tuple[int, int, float, float]], markets: list[str]) -> None:
    days = np.array([0.0, 60.0, -5.0, 60.0])
    many = profiles(MATRIX, acts(*rows), days=days, markets=markets, pooling=POOLING)
    for user in range(4):
        own = acts(*((0, *row[1:]) for row in rows if row[0] == user))
        one = profile(MATRIX, own, day=float(days[user]), market=markets[user], pooling=POOLING)
        assert many[user] == pytest.approx(one.vector, abs=2e-6)


@settings(max_examples=40)
@given(histories, st.integers(0, 19))
def test_a_profile_is_the_sum_of_its_acts(rows: list[tuple[int, int, float, float]], cut: int) -> None:
    some = acts(*((0, *row[1:]) for row in rows))
    whole = profile(MATRIX, some, day=0.0, market="nordic", pooling=POOLING)
    summed = whole.prior.copy()
    for part in (slice(None, cut), slice(cut, None)):
        weight, films = whole.coefficients[part], whole.rows[part]
        summed[:5] += weight @ (CONTENT[films].astype(np.float64) - whole.centre)
        summed[8:] += weight @ HISTORY[films].astype(np.float64)
    for name, scale in whole.scales.items():
        summed[PLACES.columns(name)] *= scale
    assert whole.vector == pytest.approx(summed, abs=1e-9)


def test_a_longer_history_of_the_same_taste_gives_a_longer_vector_up_to_a_limit() -> None:
    lengths = []
    for count in (1, 2, 8, 1_000):
        some = acts(*((0, 1, 1.0, 0.0) for _ in range(count)))
        lengths.append(np.linalg.norm(profile(MATRIX, some, day=0, market="", pooling=POOLING).vector[:2]))
    limit = np.linalg.norm(CONTENT[1][:2] - MEANS[EVERYBODY][:2])
    assert lengths == sorted(lengths)
    assert lengths[0] == pytest.approx(limit / 3)
    assert lengths[-1] == pytest.approx(limit, rel=0.01)


def test_seconds_and_days_agree_on_the_half_life() -> None:
    aged = profile(MATRIX, acts((0, 1, 1.0, 130.0), (0, 2, 1.0, 100.0)), day=0, market="", pooling=POOLING)
    assert aged.coefficients == pytest.approx([1.0, 0.5])
    ageless = profile(MATRIX, acts((0, 1, 1.0, 130.0), (0, 2, 1.0, 100.0)), day=0, market="", pooling=Pooling())
    assert ageless.coefficients == pytest.approx([1.0, 1.0])


def test_market_means_are_of_what_the_market_acts_on() -> None:
    some = acts((0, 1, 1.0, 0.0), (0, 2, -1.0, 0.0), (1, 2, 1.0, 0.0))
    means = market_means(CONTENT, some, markets=["nordic", "central", "empty"])
    assert means["nordic"] == pytest.approx(CONTENT[[1, 2]].mean(axis=0), abs=1e-6)
    assert means["central"] == pytest.approx(CONTENT[2], abs=1e-6)
    assert means[EVERYBODY] == pytest.approx(CONTENT[[1, 2, 2]].mean(axis=0), abs=1e-6)
    assert np.array_equal(means["empty"], means[EVERYBODY])
    assert not market_means(CONTENT, Acts.none(), markets=["nordic"])["nordic"].any()


def test_nobody_at_all_is_no_failure() -> None:
    assert profiles(MATRIX, Acts.none(), days=np.empty(0), markets=[], pooling=POOLING).shape == (0, 10)


@pytest.mark.parametrize("wrong", [{"half_life_days": 0}, {"shrinkage": 0}, {"shrinkage": float("nan")}])
def test_pooling_refuses_impossible_values(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError):
        Pooling(**wrong)
    assert Pooling.from_dict(POOLING.to_dict()) == POOLING
