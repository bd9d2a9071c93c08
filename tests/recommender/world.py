"""A small world for the tests of the recommender: films with texts and people, users with a taste in genres."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from recommender.catalogue import Catalogue, build_catalogue
from tests.recommender import catalogue_frames as frames
from workspace.columns import Film, Interaction, User

FILMS = 180
USERS = 56
TOLD = 24
NOW = dt.datetime(2022, 1, 15, 12, tzinfo=dt.UTC)
TODAY = NOW.date()
PAST = dt.date(2021, 1, 1)
GENRES = ("Drama", "Comedy", "Horror", "Western", "Romance", "War", "Animation", "Crime")
REGIONS = {"SE": "nordic", "US": "north_america", "DE": "central"}
SEEN_ALL_OF_ONE_GENRE = "u1"
NEWCOMERS = ("u55", "u56")
"""Users without any act."""
BLOCKED_IN_DE = "11"
ONLY_IN_SE = "12"
UNRELEASED = "13"
FOR_ADULTS = "14"
HOSTILE = "15"
UNDATED = "16"


def catalogue(*, films: int = FILMS, users: int = USERS, seed: int = 5) -> Catalogue:
    """Return the world; the same arguments give the same one."""
    rng = np.random.default_rng(seed)
    table = film_table(films, rng)
    people = user_table(users)
    return build_catalogue(table, people, interaction_table(table, people, rng))


def film_table(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return films "1" … by the film contract."""
    rows = [_film(number, rng) for number in range(1, count + 1)]
    special: dict[str, dict[str, Any]] = {
        BLOCKED_IN_DE: {Film.BLOCKED_REGIONS: ["DE"]},
        ONLY_IN_SE: {Film.AVAILABLE_REGIONS: ["SE"]},
        UNRELEASED: {Film.RELEASE_DATE: dt.date(2023, 5, 1)},
        FOR_ADULTS: {Film.MINIMUM_AGE: 18.0},
        HOSTILE: {Film.TITLE: "<b>**Bold**</b> & \u202bright"},
        UNDATED: {Film.RELEASE_DATE: None, Film.RUNTIME_MIN: None, Film.MINIMUM_AGE: None, Film.GENRES: []},
    }
    return frames.films(*({**row, **special.get(row[Film.ID], {})} for row in rows))


def _film(number: int, rng: np.random.Generator) -> dict[str, Any]:
    def some(pool: list[str], most: int) -> list[str]:
        return [pool[place] for place in rng.choice(len(pool), size=rng.integers(1, most + 1), replace=False)]

    genres = some(list(GENRES), 2)
    return frames.film(
        str(number),
        f"Film {number}",
        **{
            Film.SYNOPSIS: f"A {genres[0].lower()} about the {number}th harbour." if number <= TOLD else "",
            Film.RELEASE_DATE: dt.date(1960, 1, 1) + dt.timedelta(days=int(rng.integers(0, 61 * 365))),
            Film.GENRES: genres,
            Film.KEYWORDS: some([f"keyword {i}" for i in range(40)], 4),
            Film.CAST: some([f"Actor {i}" for i in range(60)], 8),
            Film.DIRECTORS: some([f"Director {i}" for i in range(20)], 1),
            Film.WRITERS: some([f"Writer {i}" for i in range(30)], 2),
            Film.STUDIOS: some([f"Studio {i}" for i in range(9)], 1),
            Film.COUNTRIES: some(["Sweden", "Germany", "France"], 1),
            Film.LANGUAGES: some(["sv", "de", "en"], 2),
            Film.COLLECTION: f"Saga {number % 7}" if number % 5 == 0 else "",
            Film.RUNTIME_MIN: float(rng.integers(60, 180)),
            Film.MINIMUM_AGE: float(rng.choice([0, 6, 12, 16])),
        },
    )


def user_table(count: int) -> pd.DataFrame:
    """Return users "u1" …; every ninth has an age limit, every seventh bans a genre."""
    table = frames.users(*(f"u{number}" for number in range(1, count + 1)))
    regions = [list(REGIONS)[number % len(REGIONS)] for number in range(count)]
    table[User.REGION] = regions
    table[User.MARKET] = [REGIONS[region] for region in regions]
    table[User.MAXIMUM_AGE] = [12.0 if number % 9 == 4 else None for number in range(count)]
    table[User.EXCLUDED_GENRES] = [["Horror"] if number % 7 == 3 else [] for number in range(count)]
    return table


def interaction_table(films: pd.DataFrame, users: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Let every user but the newcomers act on films between 2018 and 2021, more on those of two favourite genres."""
    rows: list[tuple[str, str, str, float, dt.datetime]] = []
    ids, genres = films[Film.ID].tolist(), films[Film.GENRES].tolist()
    fame = 1.0 / np.arange(1, len(ids) + 1) ** 0.6
    for place, user in enumerate(users[User.ID]):
        if user in NEWCOMERS:
            continue
        favourites = {GENRES[place % len(GENRES)], GENRES[(place + 3) % len(GENRES)]}
        liked = np.array([bool(favourites & set(cell)) for cell in genres])
        chance = fame * np.where(liked, 6.0, 1.0)
        chosen = rng.choice(len(ids), size=int(rng.integers(6, 22)), replace=False, p=chance / chance.sum())
        for film in chosen:
            ts = dt.datetime(2018, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=int(rng.integers(0, 4 * 365 * 86_400)))
            rows.append((user, ids[film], *_act(bool(liked[film]), rng), ts))
    return frames.interactions(*rows)


def _act(liked: bool, rng: np.random.Generator) -> tuple[str, float]:
    kind = str(rng.choice(["rated", "watched", "thumbs_down", "dismissed"], p=[0.6, 0.3, 0.05, 0.05]))
    if kind == "rated":
        return kind, float(rng.choice([3.5, 4.0, 4.5, 5.0] if liked else [0.5, 1.5, 2.5, 3.0, 4.0]))
    if kind == "watched":
        return kind, float(rng.uniform(0.6, 1.0) if liked else rng.uniform(0.0, 0.7))
    return kind, -1.0


def changed(known: Catalogue, *new: dict[str, Any], edits: dict[str, dict[str, Any]] | None = None,
            without: tuple[str, ...] = ()) -> Catalogue:  # fmt: skip
    """Return a catalogue with some films added, edited or gone; acts on films that are gone go with them."""
    films = known.films.loc[~known.films[Film.ID].isin(without)]
    rows = [{**row, **(edits or {}).get(row[Film.ID], {})} for row in films.to_dict("records")]
    kept = known.interactions.loc[~known.interactions[Interaction.FILM].isin(without)]
    return build_catalogue(frames.films(*rows, *new), known.users, kept)
