"""A world keeps the contracts and its own promises."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data.synthetic import World, WorldSpec, generate
from data.synthetic.regions import MARKETS, REGION_CODES
from data.synthetic.vocabulary import GENRES
from workspace.columns import Film, Interaction, User


def _joined(world: World) -> pd.DataFrame:
    return world.interactions.merge(world.films, on=Film.ID).merge(world.users, on=User.ID)


def test_generate_is_deterministic(world: World, spec: WorldSpec) -> None:
    again = generate(replace(spec))
    pd.testing.assert_frame_equal(world.films, again.films)
    pd.testing.assert_frame_equal(world.users, again.users)
    pd.testing.assert_frame_equal(world.interactions, again.interactions)
    assert np.array_equal(world.truth.preference([0, 599]), again.truth.preference([0, 599]))


def test_generate_depends_on_the_seed(world: World, spec: WorldSpec) -> None:
    other = generate(replace(spec, seed=12))
    assert (world.films[Film.TITLE] != other.films[Film.TITLE]).mean() > 0.95
    assert set(world.users[User.ID]).isdisjoint(other.users[User.ID])


def test_generate_gives_a_user_the_same_history_however_many_follow(world: World, spec: WorldSpec) -> None:
    fewer = generate(replace(spec, users=300))
    mine = world.interactions[world.interactions[Interaction.USER].isin(fewer.users[User.ID])]
    pd.testing.assert_frame_equal(mine.reset_index(drop=True), fewer.interactions)


def test_films_keep_the_contract(world: World) -> None:
    films = world.films
    assert films.columns.tolist() == list(Film.ALL)
    assert films[Film.ID].is_unique
    assert films[Film.ID].is_monotonic_increasing
    for column in Film.LISTS:
        assert all(type(cell) is list and all(type(item) is str for item in cell) for cell in films[column])
    for column in Film.TEXTS:
        assert films[column].notna().all()
    assert set(films[Film.GENRES].explode()) <= set(GENRES)
    assert films[Film.GENRES].str.len().between(1, 4).all()
    assert films[Film.RUNTIME_MIN].between(40, 240).all()
    assert films[Film.VOTE_AVERAGE].between(0, 10).all()
    assert films[Film.VOTE_COUNT].ge(1).all()
    assert films[Film.MINIMUM_AGE].dropna().between(0, 19).all()
    assert (films[Film.MINIMUM_AGE].isna() == (films[Film.AGE_RATING] == "")).all()
    assert films[Film.CAST].map(lambda names: len(set(names)) == len(names)).all()


def test_films_are_dated_from_1950_and_some_are_fresh(world: World, spec: WorldSpec) -> None:
    end = pd.Timestamp(spec.end)
    assert world.films[Film.RELEASE_DATE].between("1950-01-01", end).all()
    age = end.tz_localize("UTC") - world.films[Film.UPDATED_AT]
    assert (age > pd.Timedelta(0)).all()
    assert 3 <= (age < pd.Timedelta(days=1)).sum() <= 100


def test_films_read_like_different_films(world: World) -> None:
    words = world.films[Film.SYNOPSIS].str.split().str.len()
    assert words.between(40, 90).all()
    assert world.films[Film.SYNOPSIS].is_unique
    assert world.films[Film.TITLE].nunique() >= 0.95 * len(world.films)
    for column in (Film.TITLE, Film.ORIGINAL_TITLE, Film.TAGLINE, Film.SYNOPSIS):
        flawed = world.films[column].str.contains(
            r"[{}<>]|\b[Aa] (?:honest|un[a-hj-z]|epic|old)|\s{2}|\.\.|\b[Tt]he [Tt]he\b"
        )
        assert world.films.loc[flawed, column].tolist() == []


def test_films_mention_their_keywords_theme(world: World) -> None:
    """Films that share a keyword share more words than films that do not: the text carries the content."""
    bags = [{word for word in text.lower().split() if len(word) > 5} for text in world.films[Film.SYNOPSIS]]
    tags = [set(tags) for tags in world.films[Film.KEYWORDS]]
    rng = np.random.default_rng(0)
    near, far = [], []
    for one, two in rng.integers(0, len(bags), (20_000, 2)):
        overlap = len(bags[one] & bags[two]) / len(bags[one] | bags[two])
        if one != two:
            (near if len(tags[one] & tags[two]) > 1 else far).append(overlap)
    assert np.mean(near) > 2 * np.mean(far)


def test_sequels_share_a_collection_and_follow_their_first_part(world: World) -> None:
    collections = world.films[world.films[Film.COLLECTION] != ""].groupby(Film.COLLECTION)
    sizes = collections.size()
    assert len(sizes) > 20
    assert sizes.ge(2).mean() > 0.95
    for _, films in list(collections)[:30]:
        first = films.sort_values(Film.RELEASE_DATE).iloc[0]
        assert "sequel" not in first[Film.KEYWORDS]


def test_users_keep_the_contract(world: World, spec: WorldSpec) -> None:
    users = world.users
    assert users.columns.tolist() == list(User.ALL)
    assert users[User.ID].is_unique
    assert users[User.ID].str.fullmatch("u[0-9a-f]{10}").all()
    assert set(users[User.REGION]) == set(REGION_CODES)
    assert set(users[User.MARKET]) == set(MARKETS)
    assert users.groupby(User.REGION)[User.MARKET].nunique().eq(1).all()
    assert (users[User.JOINED_AT] < pd.Timestamp(spec.end, tz="UTC")).all()
    assert 0 < users[User.EXCLUDED_GENRES].str.len().gt(0).mean() < 0.3
    assert 0 < users[User.MAXIMUM_AGE].notna().mean() < 0.2
    assert 0.8 < users[User.CONSENT].mean() < 1


def test_interactions_keep_the_contract(world: World, spec: WorldSpec) -> None:
    acts = world.interactions
    assert acts.columns.tolist() == list(Interaction.ALL)
    assert acts[Interaction.USER].isin(world.users[User.ID]).all()
    assert acts[Interaction.FILM].isin(world.films[Film.ID]).all()
    assert not acts.duplicated([Interaction.USER, Interaction.FILM]).any()
    values = dict(iter(acts.groupby(Interaction.KIND)[Interaction.VALUE]))
    assert set(values) == {"watched", "rated", "thumbs_down", "dismissed"}
    assert values["watched"].between(0, 1).all()
    assert set((2 * values["rated"]).unique()) <= set(range(1, 11))
    assert values["thumbs_down"].eq(-1).all()
    assert values["dismissed"].eq(-1).all()
    assert acts[Interaction.TS].between(pd.Timestamp(spec.start, tz="UTC"), pd.Timestamp(spec.end, tz="UTC")).all()
    place = pd.Index(world.users[User.ID]).get_indexer(acts[Interaction.USER])
    order = pd.DataFrame({"user": place, "ts": acts[Interaction.TS], "film": acts[Interaction.FILM]})
    assert order.sort_values(["user", "ts", "film"]).index.equals(order.index)


def test_interactions_come_after_release_and_joining(world: World) -> None:
    acts = _joined(world)
    assert (acts[Interaction.TS] >= acts[Film.RELEASE_DATE].dt.tz_localize("UTC")).all()
    assert (acts[Interaction.TS] >= acts[User.JOINED_AT]).all()


def test_interactions_respect_law_and_preferences(world: World) -> None:
    acts = _joined(world)
    assert world.films[Film.BLOCKED_REGIONS].str.len().gt(0).any()
    assert world.films[Film.AVAILABLE_REGIONS].str.len().gt(0).any()
    for act in acts.to_dict("records"):
        assert act[User.REGION] not in act[Film.BLOCKED_REGIONS]
        assert not act[Film.AVAILABLE_REGIONS] or act[User.REGION] in act[Film.AVAILABLE_REGIONS]
        assert not set(act[User.EXCLUDED_GENRES]) & set(act[Film.GENRES])
        assert not act[Film.MINIMUM_AGE] > act[User.MAXIMUM_AGE]


def test_new_films_are_watched_most_when_they_are_new(world: World, spec: WorldSpec) -> None:
    acts = _joined(world)
    release = acts[Film.RELEASE_DATE].dt.tz_localize("UTC")
    recent = acts[(release > pd.Timestamp(spec.start, tz="UTC")) & (release < pd.Timestamp("2025-01-01", tz="UTC"))]
    days = (recent[Interaction.TS] - recent[Film.RELEASE_DATE].dt.tz_localize("UTC")).dt.days
    assert (days < 90).sum() > 2 * ((days >= 90) & (days < 180)).sum()


def test_later_positives_still_follow_taste(world: World) -> None:
    preference = world.truth.preference(np.arange(len(world.users)))
    users = pd.Index(world.users[User.ID]).get_indexer(world.interactions[Interaction.USER])
    films = pd.Index(world.films[Film.ID]).get_indexer(world.interactions[Interaction.FILM])
    liking = pd.Series(preference[users, films])
    late = world.interactions[Interaction.TS] > world.interactions[Interaction.TS].quantile(0.8)
    assert liking[late].mean() == pytest.approx(liking[~late].mean(), abs=0.15)
    assert liking[late].mean() > 1.0


@pytest.mark.parametrize(("films", "users"), [(8, 1), (20, 3), (257, 1)])
def test_generate_makes_small_worlds(spec: WorldSpec, films: int, users: int) -> None:
    small = generate(replace(spec, films=films, users=users))
    assert (len(small.films), len(small.users)) == (films, users)
    assert small.films.columns.tolist() == list(Film.ALL)


def test_users_without_history_exist(world: World) -> None:
    acts = world.interactions.groupby(Interaction.USER).size().reindex(world.users[User.ID], fill_value=0)
    assert (acts == 0).any()
    assert acts.mean() == pytest.approx(30, abs=4)
