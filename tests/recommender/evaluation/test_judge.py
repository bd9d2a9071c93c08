"""Judging: per user over splits, and the recommender as a subject."""

import json
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from recommender.acts import Acts
from recommender.evaluation.baselines import Popularity
from recommender.evaluation.ground import Ground
from recommender.evaluation.judge import HIT_RATE, PER_USER, PRECISION, judge
from recommender.evaluation.protocols import Protocol, split
from recommender.evaluation.subject import FittedBlocks, Subject
from recommender.features import layout
from recommender.profile import profile
from tests.recommender import world
from tests.recommender.evaluation.acts import ground_of
from workspace.columns import User
from workspace.errors import InvalidValueError

BLOCKS = tuple(name for name in layout.BLOCKS if name != layout.TEXT)


@dataclass(frozen=True)
class Fixed:
    """A scorer that says the same whatever it was fitted on; it notes how often it was."""

    table: npt.NDArray[np.float32]
    fits: list[int]
    name: str = "fixed"

    def fit(self, ground: Ground, train: Acts) -> "Fixed":
        assert len(self.table) == ground.n_users
        self.fits.append(len(train))
        return self

    def scores(self, users: npt.NDArray[np.int64], days: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        assert len(users) == len(days)
        return self.table[users]


@pytest.fixture(scope="module")
def small() -> Ground:
    return Ground.of(world.catalogue())


@pytest.fixture(scope="module")
def subject(small: Ground) -> Subject:
    return Subject.of(small, text=None, blocks=BLOCKS)


@pytest.fixture(scope="module")
def fitted(small: Ground, subject: Subject) -> FittedBlocks:
    found = subject.fit(small, split(small.acts, "temporal")[0].train)
    assert isinstance(found, FittedBlocks)
    return found


def test_judge_by_hand_counts_users_without_hits_as_zero() -> None:
    # Both rated ten films; films 9 and 10 are the test. The first user is given film 10, the second film 11.
    ratings = np.zeros((2, 12))
    ratings[:, :10] = 5.0
    table = np.zeros((2, 12), np.float32)
    table[0, 9] = table[1, 10] = 1.0
    ground = ground_of(ratings)
    judged = judge(Fixed(table, []), ground, split(ground.acts, "temporal"), k=1)
    assert judged.per_user[PRECISION].tolist() == [1.0, 0.0]
    assert judged.mean(HIT_RATE).value == 0.5
    assert judged.coverage == 2 / 12


def test_judge_takes_each_users_mean_over_the_folds_in_which_it_is_judged() -> None:
    rng = np.random.default_rng(1)
    ratings = np.where(rng.random((4, 30)) < 0.5, rng.choice([2.0, 5.0], (4, 30)), 0)
    ratings[0] = 0
    ratings[0, :10], ratings[0, 7] = 2.0, 5.0  # one like only: judged in one fold
    ground, table = ground_of(ratings), rng.random((4, 30)).astype(np.float32)
    splits = split(ground.acts, "kfold", seed=2)
    whole = judge(Fixed(table, []), ground, splits, k=3)
    single = [judge(Fixed(table, []), ground, [one], k=3) for one in splits]
    for place, user in enumerate(whole.users):
        own = [one.per_user[PRECISION][one.users == user] for one in single]
        found = np.concatenate(own)
        assert whole.per_user[PRECISION][place] == pytest.approx(found.mean())
        assert len(found) == 1 or user != 0
    assert whole.coverage == pytest.approx(np.mean([one.coverage for one in single]))


def test_judge_fits_once_a_split_on_the_training_part_only() -> None:
    ground = ground_of(np.full((3, 10), 5.0))
    scorer = Fixed(np.zeros((3, 10), np.float32), [])
    judge(scorer, ground, split(ground.acts, "kfold"), k=2)
    assert len(scorer.fits) == 5
    assert sum(scorer.fits) == 4 * 30


@pytest.mark.parametrize("k", [0, 11])
def test_judge_refuses_a_k_outside_the_catalogue(k: int) -> None:
    ground = ground_of(np.full((1, 10), 5.0))
    with pytest.raises(InvalidValueError, match=f"k == {k}"):
        judge(Popularity(), ground, split(ground.acts, "temporal"), k=k)


def test_judged_is_plain_data_and_progress_ends_full(small: Ground) -> None:
    told: list[tuple[str, int, int]] = []
    judged = judge(Popularity(), small, split(small.acts, "random"), progress=lambda *step: told.append(step))
    document = judged.to_dict()
    assert set(PER_USER) | {"ci95", "users", "coverage", "standard_error"} == set(document)
    json.dumps(document, allow_nan=False)
    assert told[-1] == ("judge popularity", 1, 1)


@pytest.mark.parametrize("protocol", ["temporal", "random", "kfold"])
def test_subject_beats_popularity_where_users_have_tastes(small: Ground, subject: Subject, protocol: Protocol) -> None:
    splits = split(small.acts, protocol, seed=1)
    own = judge(replace(subject, protocol=protocol), small, splits)
    assert own.mean().value > judge(Popularity(), small, splits).mean().value
    assert all(weight >= 0 for weights in own.weights for weight in weights.values())


def test_subject_fitted_on_train_is_blind_to_the_test(small: Ground, subject: Subject, fitted: FittedBlocks) -> None:
    one = split(small.acts, "temporal")[0]
    # A world in which the test never happened: whoever looked at it would score differently.
    catalogue = replace(small.catalogue, interactions=small.catalogue.interactions.iloc[:0])
    again = subject.fit(replace(small, catalogue=catalogue, acts=one.train), one.train)
    assert np.array_equal(again.scores(one.users, one.days), fitted.scores(one.users, one.days))
    peeking = subject.fit(small, small.acts)
    assert not np.array_equal(peeking.scores(one.users, one.days), fitted.scores(one.users, one.days))


def test_subject_scores_are_those_of_the_profile(small: Ground, fitted: FittedBlocks) -> None:
    one = split(small.acts, "temporal")[0]
    scores = fitted.scores(one.users, one.days)
    for place in (0, 7, len(one.users) - 1):
        user = int(one.users[place])
        own = one.train.take(one.train.users == user)
        market = small.catalogue.users[User.MARKET].iloc[user]
        alone = profile(fitted.matrix, replace(own, users=np.zeros(len(own), np.int64)),
                        day=float(one.days[place]), market=market, pooling=fitted.pooling)  # fmt: skip
        weighted = alone.vector * fitted.matrix.layout.spread(fitted.weights)
        expected = np.asarray(fitted.matrix.candidates) @ weighted
        shown = np.isfinite(scores[place])
        assert scores[place][shown] == pytest.approx(expected[shown], abs=1e-4)


def test_subject_never_scores_what_a_rule_forbids(small: Ground, fitted: FittedBlocks) -> None:
    one = split(small.acts, "temporal")[0]
    scores = fitted.scores(one.users, one.days)
    regions = small.catalogue.users[User.REGION].to_numpy()[one.users]
    ages = small.catalogue.users[User.MAXIMUM_AGE].to_numpy(float, na_value=np.nan)[one.users]
    row = small.catalogue.film_row
    assert np.isneginf(scores[regions == "DE", row(world.BLOCKED_IN_DE)]).all()
    assert np.isneginf(scores[regions != "SE", row(world.ONLY_IN_SE)]).all()
    assert np.isneginf(scores[:, row(world.UNRELEASED)]).all()
    assert np.isneginf(scores[ages <= 12, row(world.FOR_ADULTS)]).all()
    assert (regions == "DE").any()
    assert (ages <= 12).any()


def test_given_weights_are_taken_as_they_are(small: Ground, subject: Subject) -> None:
    given = {"genre": 2.0, "acclaim": 1.0}
    found = replace(subject, weights=given).fit(small, small.acts)
    assert isinstance(found, FittedBlocks)
    assert (found.weights, found.evidence) == (given, {})


def test_too_little_data_leaves_the_default_weights_and_says_so() -> None:
    ground = ground_of(np.full((4, 12), 5.0))
    found = Subject.of(ground, text=None, blocks=("genre", "acclaim")).fit_weights(ground, ground.acts)
    assert found.evidence["method"] == "defaults"
    assert "must be >= 10" in found.evidence["reason"]
    assert set(found.weights) == {"genre", "acclaim"}


def test_days_before_the_first_film_are_answered(small: Ground, fitted: FittedBlocks) -> None:
    scores = fitted.scores(np.array([0]), np.array([-20_000.0]))
    assert scores.shape == (1, small.n_films)
