import datetime as dt

import numpy as np
import pytest

from monitoring.inputs.features import FILM_COLUMNS, film_features, taste_profiles, user_features
from recommender.catalogue import build_catalogue
from tests.recommender import catalogue_frames as frames
from workspace.columns import Film, Trait, User

DAY = dt.timedelta(days=1)


def test_film_features_are_counted_and_unknown_stays_unknown() -> None:
    text = "A harbour master counts the ships."
    catalogue = build_catalogue(
        frames.films(
            frames.film("1", "One", **{Film.SYNOPSIS: text, Film.KEYWORDS: ["Sea", "sea ", "ship"]}),
            frames.film("2", "Two", **{Film.SYNOPSIS: text.upper(), Film.RUNTIME_MIN: 90.0}),
            frames.film("3", "Three", **{Film.SYNOPSIS: "short"}),
        ),
        frames.users("u1"),
        frames.interactions(("u1", "1", "watched", 1.0, frames.NOW)),
    )
    found = film_features(catalogue.films)
    assert tuple(found.columns) == FILM_COLUMNS
    assert found[Trait.KEYWORDS].tolist() == [3, 0, 0]
    assert found[Trait.REPEATED_KEYWORDS].tolist() == [1, 0, 0]
    assert found[Trait.SAME_SYNOPSIS].tolist() == [1, 1, 0]
    assert found[Trait.NO_SYNOPSIS].tolist() == [0, 0, 1]
    assert np.isnan(found[Trait.SYNOPSIS_CHARS][2])
    assert np.isnan(found[Film.RUNTIME_MIN][0])
    assert found[Trait.RELEASE_YEAR].tolist() == [2001, 2001, 2001]
    users = user_features(catalogue.users)
    assert users[User.MARKET].tolist() == ["nordic"]
    assert np.isnan(users[User.MAXIMUM_AGE][0])


def test_taste_profiles_are_shares_of_genres_by_hand() -> None:
    films = frames.films(
        frames.film("1", "One", **{Film.GENRES: ["Drama"]}),
        frames.film("2", "Two", **{Film.GENRES: ["Drama", "War"]}),
        frames.film("3", "Three", **{Film.GENRES: []}),
    )
    acts = frames.interactions(
        ("u1", "1", "watched", 1.0, frames.NOW),
        ("u1", "2", "rated", 4.0, frames.NOW),
        ("u2", "2", "watched", 1.0, frames.NOW),
        ("u2", "1", "dismissed", -1.0, frames.NOW),
        ("u3", "3", "watched", 1.0, frames.NOW),
        ("u1", "2", "watched", 1.0, frames.NOW - 10 * DAY),
    )
    found = taste_profiles(films, acts, frames.NOW - DAY, frames.NOW + DAY)
    assert found.loc["u1"].to_dict() == pytest.approx({"Drama": 0.75, "War": 0.25})
    assert found.loc["u2"].to_dict() == pytest.approx({"Drama": 0.5, "War": 0.5})
    # A film without genres says nothing of taste, and dismissing is not liking.
    assert "u3" not in found.index
    assert taste_profiles(films, acts, frames.NOW + DAY, frames.NOW + 2 * DAY).empty
