"""Batch lists equal single requests; counts that could single somebody out are withheld."""

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.batch import LEAST_USERS, who_gets
from recommender.catalogue import Catalogue
from recommender.engine import Recommender
from tests.recommender import catalogue_frames as frames
from tests.recommender import world
from tests.recommender.conftest import Workspace
from workspace.columns import Film, Interaction, User
from workspace.errors import InvalidValueError, UnknownError


@pytest.mark.parametrize("on", [None, world.PAST])
def test_recommend_all_equals_recommend_for_every_user(engine: Recommender, on: dt.date | None) -> None:
    everybody = engine.recommend_all(k=7, on=on)
    lists = everybody.groupby(User.ID)
    assert lists.ngroups == world.USERS
    for user, own in lists:
        slate = engine.recommend(str(user), k=7, on=on, shown_lately=False, log=False)
        assert own[Film.ID].tolist() == [item.film_id for item in slate.items]
        assert own["rank"].tolist() == [item.rank for item in slate.items]
        assert own["score"].tolist() == pytest.approx([item.score for item in slate.items], abs=1e-5)


def test_recommend_all_of_a_world_without_users_is_empty(fresh: Workspace) -> None:
    nobody = Catalogue(
        snapshot_id="c000000000000",
        films=fresh.catalogue.films,
        users=fresh.catalogue.users.iloc[:0],
        interactions=fresh.catalogue.interactions.iloc[:0],
        quarantine=fresh.catalogue.quarantine,
        provenance=fresh.catalogue.provenance,
        manifest={},
    )
    from recommender.batch import recommend_all
    from recommender.view import View

    frame = recommend_all(View.open(fresh.paths, None, nobody), k=5, on=world.TODAY)
    assert frame.empty
    assert list(frame.columns) == [User.ID, "rank", Film.ID, "score"]


@pytest.mark.parametrize("k", [0, 201, float("nan")])
def test_recommend_all_refuses_an_impossible_k(engine: Recommender, k: float) -> None:
    with pytest.raises(InvalidValueError, match="k =="):
        engine.recommend_all(k=k)  # type: ignore[arg-type]


def counted(**by_region: int) -> dict[str, object]:
    """Ask who gets the film "x", which so many users of each region get."""
    ids = [(f"{region}{i}", region) for region, count in by_region.items() for i in range(max(count, 1))]
    table = frames.users(*(user for user, _ in ids))
    table[User.REGION] = [region for _, region in ids]
    lists = pd.DataFrame({User.ID: [f"{r}{i}" for r, count in by_region.items() for i in range(count)]})
    lists[Film.ID] = "x"
    empty = pd.DataFrame()
    whole = Catalogue(snapshot_id="c", films=empty, users=table, interactions=empty, quarantine=empty,
                      provenance=empty, manifest={})  # fmt: skip
    return who_gets(lists, whole, "x")


def test_who_gets_shows_counts_of_ten_and_more_and_zeros() -> None:
    assert counted(SE=12, US=0, DE=10) == {"users": 22, "by_region": {"SE": 12, "US": 0, "DE": 10}, "suppressed": 0}
    assert counted(SE=0, US=0) == {"users": 0, "by_region": {"SE": 0, "US": 0}, "suppressed": 0}


def test_who_gets_hides_a_second_region_so_that_the_first_can_t_be_had_by_subtraction() -> None:
    assert counted(SE=17, US=3, DE=30) == {
        "users": 50,
        "by_region": {"SE": None, "US": None, "DE": 30},
        "suppressed": 2,
    }
    assert counted(SE=12, US=3) == {"users": None, "by_region": {"SE": None, "US": None}, "suppressed": 3}


def test_who_gets_hides_more_where_two_small_regions_tell_each_other() -> None:
    # 1 + 1 hidden and a total would say that both are 1.
    found = counted(SE=1, US=1, DE=30, FI=40)
    assert found == {"users": 72, "by_region": {"SE": None, "US": None, "DE": None, "FI": 40}, "suppressed": 3}
    assert counted(SE=1, US=1)["users"] is None


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["SE", "US", "DE", "FI", "NO"]), st.integers(0, 25), min_size=1))
def test_who_gets_leaves_every_small_count_open(by_region: dict[str, int]) -> None:
    found = counted(**by_region)
    cells: dict[str, int | None] = found["by_region"]  # type: ignore[assignment]
    total = found["users"]
    hidden = [region for region, count in cells.items() if count is None]
    assert all(count is None or count == 0 or count >= LEAST_USERS for count in [*cells.values(), total])
    assert all(count is None or count == by_region[region] for region, count in cells.items())
    small = [region for region, count in by_region.items() if 0 < count < LEAST_USERS]
    assert set(small) <= set(hidden)
    if small and isinstance(total, int):
        rest = total - sum(count for count in cells.values() if count is not None)
        # Everything a hidden small cell could be remains possible: 1 … 9, the others taking the rest.
        assert len(hidden) >= 2
        assert rest >= 2 * LEAST_USERS


def test_who_gets_counts_the_batch_lists(fresh: Workspace) -> None:
    engine = fresh.open()
    lists = engine.recommend_all(k=20)
    popular = lists[Film.ID].value_counts()
    film = str(popular.index[0])
    assert popular.iloc[0] >= LEAST_USERS
    assert engine.who_gets(film, k=20)["users"] == popular.iloc[0]
    with pytest.raises(UnknownError):
        engine.who_gets("nope")


def test_batch_masks_follow_age_and_banned_genres(engine: Recommender, told: Workspace) -> None:
    lists = engine.recommend_all(k=50).merge(told.catalogue.films[[Film.ID, Film.GENRES, Film.MINIMUM_AGE]], on=Film.ID)
    young = told.catalogue.users.loc[told.catalogue.users[User.MAXIMUM_AGE].notna(), User.ID]
    calm = told.catalogue.users.loc[told.catalogue.users[User.EXCLUDED_GENRES].map(len) > 0, User.ID]
    assert lists.loc[lists[User.ID].isin(young), Film.MINIMUM_AGE].max() <= 12
    assert not lists.loc[lists[User.ID].isin(calm), Film.GENRES].map(lambda names: "Horror" in names).any()
    seen = told.catalogue.interactions[[Interaction.USER, Interaction.FILM]]
    assert lists.merge(seen, on=[User.ID, Film.ID]).empty
