"""Two feeds that together give the world."""

import pandas as pd
import pytest

from data.synthetic import World, providers
from data.synthetic.providers import AURORA, BOREAL, BROKEN_DATES
from workspace.columns import Film


@pytest.fixture(scope="module")
def feeds(world: World) -> dict[str, pd.DataFrame]:
    return providers(world)


def test_providers_cover_most_films_each_and_all_together(world: World, feeds: dict[str, pd.DataFrame]) -> None:
    assert list(feeds) == [AURORA, BOREAL]
    for name, feed in feeds.items():
        assert set(feed.columns) < set(Film.ALL)
        assert 0.9 < feed[Film.ID].nunique() / len(world.films) < 0.99
        assert feed[Film.PROVIDER].eq(name).all()
    assert set(feeds[AURORA][Film.ID]) | set(feeds[BOREAL][Film.ID]) == set(world.films[Film.ID])


def test_providers_are_dirty_and_differ(feeds: dict[str, pd.DataFrame]) -> None:
    together = pd.concat(feeds.values())
    assert any(feed[Film.ID].duplicated().any() for feed in feeds.values())
    assert together[Film.RELEASE_DATE].isin(BROKEN_DATES).any()
    assert together[Film.TITLE].eq("").any()
    clean = [feed.drop_duplicates(Film.ID).set_index(Film.ID) for feed in feeds.values()]
    shared = clean[0].index.intersection(clean[1].index)
    runtime = [feed.loc[shared, Film.RUNTIME_MIN] for feed in clean]
    assert 0.01 < ((runtime[0] - runtime[1]).abs() > 1).mean() < 0.15
    assert 0 < (clean[0].loc[shared, Film.TITLE] != clean[1].loc[shared, Film.TITLE]).mean() < 0.05
    assert (clean[0].loc[shared, Film.UPDATED_AT] != clean[1].loc[shared, Film.UPDATED_AT]).mean() > 0.9


@pytest.mark.parametrize("field", [Film.SYNOPSIS, Film.KEYWORDS, Film.CAST, Film.GENRES, Film.AGE_RATING])
def test_providers_reconcile_to_the_world(world: World, feeds: dict[str, pd.DataFrame], field: str) -> None:
    stated = {
        film: value
        for feed in feeds.values()
        for film, value in zip(feed[Film.ID], feed[field], strict=True)
        if len(value)
    }
    for film, value in zip(world.films[Film.ID], world.films[field], strict=True):
        assert stated.get(film, [] if field in Film.LISTS else "") == value


def test_providers_always_have_a_clean_row(world: World, feeds: dict[str, pd.DataFrame]) -> None:
    clean: set[str] = set()
    for feed in feeds.values():
        fine = feed[feed[Film.TITLE].ne("") & ~feed[Film.RELEASE_DATE].isin(BROKEN_DATES)]
        clean |= set(fine[Film.ID])
    assert clean == set(world.films[Film.ID])


def test_providers_never_dispute_legal_blocks(world: World, feeds: dict[str, pd.DataFrame]) -> None:
    law = dict(zip(world.films[Film.ID], world.films[Film.BLOCKED_REGIONS], strict=True))
    for feed in feeds.values():
        assert all(
            law[film] == blocked for film, blocked in zip(feed[Film.ID], feed[Film.BLOCKED_REGIONS], strict=True)
        )


def test_providers_are_deterministic(world: World, feeds: dict[str, pd.DataFrame]) -> None:
    for name, feed in providers(world).items():
        pd.testing.assert_frame_equal(feed, feeds[name])
