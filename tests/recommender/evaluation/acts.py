"""Acts and grounds made by hand for the tests of the evaluation."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.acts import Acts
from recommender.catalogue import build_catalogue
from recommender.evaluation.ground import Ground
from tests.recommender import catalogue_frames as frames
from workspace.columns import Film, Interaction

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def acts(
    users: Sequence[int],
    films: Sequence[int],
    days: Sequence[float] | None = None,
    positive: Sequence[bool] | None = None,
) -> Acts:
    """Acts in the order given; positive and a day apart unless told otherwise."""
    count = len(users)
    liked = np.ones(count, np.bool_) if positive is None else np.array(positive, np.bool_)
    return Acts(
        users=np.array(users, np.int64),
        films=np.array(films, np.int64),
        likes=np.where(liked, 1.0, -0.5),
        watched=np.ones(count, np.bool_),
        positive=liked,
        days=np.arange(count, dtype=np.float64) if days is None else np.array(days, np.float64),
    )


def ground_of(matrix: npt.ArrayLike, genres: Sequence[Sequence[str]] | None = None) -> Ground:
    """A ground in which user u rated film f with ``matrix[u, f]``; 0 is no act; one act a day."""
    ratings = np.asarray(matrix, np.float64)
    n_users, n_films = ratings.shape
    kinds = genres or [["Drama"]] * n_films
    films = frames.films(*(frames.film(str(f + 1), f"Film {f + 1}", **{Film.GENRES: list(kinds[f])})
                           for f in range(n_films)))  # fmt: skip
    rows = [
        (f"u{u + 1}", str(f + 1), "rated", float(ratings[u, f]), START + dt.timedelta(days=int(day)))
        for u in range(n_users)
        for day, f in enumerate(np.flatnonzero(ratings[u]))
    ]
    users = frames.users(*(f"u{u + 1}" for u in range(n_users)))
    return Ground.of(build_catalogue(films, users, frames.interactions(*rows)))


def movielens(folder: Path) -> Ground:
    """MovieLens' own two files and nothing else: ratings, genres and years."""
    movies = pd.read_csv(folder / "movies.csv", encoding="utf-8")
    years = movies["title"].str.extract(r"\((\d{4})\)")[0].astype(float)
    films = frames.films(*(
        frames.film(str(film), title, **{
            Film.GENRES: [genre for genre in genres.split("|") if not genre.startswith("(")],
            Film.RELEASE_DATE: None if np.isnan(year) else dt.date(int(year), 1, 1),
        })
        for film, title, genres, year in zip(movies["movieId"], movies["title"], movies["genres"], years, strict=True)
    ))  # fmt: skip
    ratings = pd.read_csv(folder / "ratings.csv")
    table = pd.DataFrame({
        Interaction.USER: ratings["userId"].astype(str),
        Interaction.FILM: ratings["movieId"].astype(str),
        Interaction.KIND: "rated",
        Interaction.VALUE: ratings["rating"],
        Interaction.TS: pd.to_datetime(ratings["timestamp"], unit="s", utc=True),
    })  # fmt: skip
    users = frames.users(*sorted(set(table[Interaction.USER]), key=int))
    return Ground.of(build_catalogue(films, users, table))
