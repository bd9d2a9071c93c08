"""Taste: the latent wishes of users over the latent side of films, as one inner product."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from data.synthetic.randomness import CELL, Draw, Floats, Ints, generator
from data.synthetic.regions import REGIONS
from data.synthetic.shelf import HIDDEN, Shelf
from data.synthetic.spec import WorldSpec
from data.synthetic.vocabulary import GENRES, countries, themes

ERA_CENTRES: Final = np.arange(1955, 2030, 10)
ERA_WIDTH_YEARS: Final = 7.0
LIKED_GENRES: Final = 3
LIKED_GENRE_SPREAD: Final = 0.15
LOVED_THEMES: Final = 2
THEME_SPREAD: Final = 0.05
FAVOURITES: Final = 4
FAVOURITE_PULL: Final = 1.0
EXCLUDED_PULL: Final = 4.0

BLOCK_WEIGHTS: Final = {
    "genre": 0.4,
    "theme": 2.2,
    "country": 0.35,
    "era": 0.45,
    "tone": 0.15,
    "quality": 0.45,
    "fame": 0.25,
    "hidden": 0.12,
}
"""Share of each block in the spread of a user's preferences, before a personal scale."""

WIDTHS: Final = {
    "genre": len(GENRES),
    "theme": len(themes()),
    "country": len(countries()),
    "era": len(ERA_CENTRES),
    "tone": 4,
    "quality": 1,
    "fame": 1,
    "hidden": HIDDEN,
}
STARTS: Final = dict(zip(WIDTHS, np.cumsum([0, *WIDTHS.values()])[:-1].tolist(), strict=True))
BLOCKS: Final = {name: slice(STARTS[name], STARTS[name] + width) for name, width in WIDTHS.items()}
DIMENSIONS: Final = sum(WIDTHS.values())


FACTOR_GRID: Final = 256
VECTOR_GRID: Final = 1024
"""Latent numbers are multiples of 1/256 and 1/1024: their products and sums below 64 are exact in float32 (24 bits), so
that a preference has the same bits on every processor and in every batch."""


def on_grid(values: Floats, grid: int) -> npt.NDArray[np.float32]:
    """Return the values rounded to multiples of 1/grid."""
    rounded: npt.NDArray[np.float32] = (np.round(values * grid) / grid).astype(np.float32)
    return rounded


def film_factors(shelf: Shelf) -> npt.NDArray[np.float32]:
    """Return the latent vector of each film, shape (n_films, DIMENSIONS)."""
    rows = np.arange(len(shelf))
    factors = np.zeros((len(shelf), DIMENSIONS))
    for name, columns, weights in (
        ("genre", shelf.genre, (1.0, 0.8, 0.6, 0.5)),
        ("theme", shelf.theme, (1.0, 0.7, 0.45)),
        ("country", shelf.country, (1.0, 0.5)),
    ):
        for place, weight in enumerate(weights):
            here = columns[:, place] >= 0
            factors[rows[here], STARTS[name] + columns[here, place]] += weight
    year = 1970 + shelf.release_day / 365.25
    factors[:, BLOCKS["era"]] = np.exp(-0.5 * ((year[:, None] - ERA_CENTRES) / ERA_WIDTH_YEARS) ** 2)
    factors[:, BLOCKS["tone"]] = shelf.tone
    factors[:, BLOCKS["quality"]] = shelf.quality[:, None]
    factors[:, BLOCKS["fame"]] = shelf.fame[:, None]
    factors[:, BLOCKS["hidden"]] = shelf.hidden
    return on_grid(factors, FACTOR_GRID)


def film_people(shelf: Shelf) -> npt.NDArray[np.int32]:
    """Return the people a viewer notices, director and three leads, shape (n_films, 4)."""
    return np.concatenate([shelf.crew[:, :1], shelf.cast[:, :3]], axis=1).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class TasteCell:
    """Latent wishes of one cell of users.

    Attributes:
        vectors: Weights over the film factors, shape (m, DIMENSIONS).
        favourites: Person ids, -1 where none, shape (m, FAVOURITES).
        bar: Preference from which a film is enjoyed, shape (m,).
    """

    vectors: npt.NDArray[np.float32]
    favourites: npt.NDArray[np.int32]
    bar: npt.NDArray[np.float32]


def _spread(weights: Floats, covariance: Floats) -> Floats:
    """Return the standard deviation over the films of each user's weighted sum, shape (m,)."""
    variance: Floats = ((weights @ covariance) * weights).sum(axis=1)
    return np.sqrt(variance)


class Tastes:
    """Draws the wishes of users, cell by cell.

    Args:
        spec: The world.
        factors: Film factors, shape (n_films, DIMENSIONS).
        people: Noticed people of each film, shape (n_films, 4).
    """

    def __init__(self, spec: WorldSpec, factors: npt.NDArray[np.float32], people: npt.NDArray[np.int32]) -> None:
        self._spec = spec
        self._factors = factors
        self._people = people
        self._covariance = np.atleast_2d(np.cov(factors, rowvar=False, dtype=np.float64))
        self._theme_genres = np.array([[genre in theme.genres for genre in GENRES] for theme in themes()], dtype=float)
        home = np.zeros((len(REGIONS), len(countries())))
        for row, region in enumerate(REGIONS):
            home[row] = [1.6 if country.code in region.home_countries else 0.0 for country in countries()]
        self._home = home

    def draw(self, cell: int, region: Ints, excluded: npt.NDArray[np.bool_]) -> TasteCell:
        """Return the wishes of one whole cell.

        Args:
            cell: Number of the cell.
            region: Region of each user, shape (CELL,).
            excluded: Genres each user refuses, shape (CELL, n_genres).
        """
        rng = generator(self._spec.seed, Draw.TASTE, cell)
        vectors = np.zeros((CELL, DIMENSIONS))
        for name, values in self._blocks(rng, region).items():
            block = BLOCKS[name]
            spread = _spread(values, self._covariance[block, block])
            scale = BLOCK_WEIGHTS[name] * rng.lognormal(0.0, 0.3, CELL)
            vectors[:, block] = values * (scale / np.maximum(spread, 1e-9))[:, None]
        spread = _spread(vectors, self._covariance)
        vectors /= np.maximum(spread, 1e-9)[:, None]
        vectors[:, BLOCKS["genre"]] -= EXCLUDED_PULL * excluded
        rounded = on_grid(vectors, VECTOR_GRID)
        bar = on_grid(rng.normal(1.0, 0.25, CELL), VECTOR_GRID)
        return TasteCell(vectors=rounded, favourites=self._admired(rng, rounded), bar=bar)

    def _blocks(self, rng: np.random.Generator, region: Ints) -> dict[str, Floats]:
        genre = LIKED_GENRE_SPREAD * rng.standard_normal((CELL, len(GENRES)))
        ranking = np.argsort(rng.random((CELL, len(GENRES))), axis=1)
        np.put_along_axis(genre, ranking[:, :LIKED_GENRES], rng.uniform(0.8, 1.6, (CELL, LIKED_GENRES)), axis=1)
        np.put_along_axis(
            genre, ranking[:, LIKED_GENRES : LIKED_GENRES + 2], rng.uniform(-1.4, -0.6, (CELL, 2)), axis=1
        )
        # People come to subjects through genres, so the loved themes lean toward the loved genres.
        lean = 0.9 * genre @ self._theme_genres.T / np.sqrt(self._theme_genres.sum(axis=1)) + rng.gumbel(
            size=(CELL, len(themes()))
        )
        order = np.argsort(-lean, axis=1)
        theme = THEME_SPREAD * rng.standard_normal(lean.shape)
        np.put_along_axis(theme, order[:, :LOVED_THEMES], rng.uniform(1.2, 2.0, (CELL, LOVED_THEMES)), axis=1)
        np.put_along_axis(theme, order[:, -LOVED_THEMES:], rng.uniform(-0.9, -0.3, (CELL, LOVED_THEMES)), axis=1)
        country = self._home[region] + 0.4 * rng.standard_normal((CELL, len(countries())))
        country[:, 0] += 0.5
        abroad = rng.integers(0, len(countries()), (CELL, 2))
        np.put_along_axis(
            country, abroad, np.take_along_axis(country, abroad, axis=1) + rng.uniform(0.5, 1.8, (CELL, 2)), axis=1
        )
        centre = 2030 - rng.gamma(2.0, 11.0, CELL)
        era = np.exp(-0.5 * ((ERA_CENTRES - centre[:, None]) / rng.uniform(8, 22, CELL)[:, None]) ** 2)
        return {
            "genre": genre,
            "theme": theme,
            "country": country,
            "era": era,
            "tone": rng.standard_normal((CELL, 4)),
            "quality": np.abs(rng.normal(1.0, 0.3, (CELL, 1))),
            "fame": rng.normal(0.4, 0.6, (CELL, 1)),
            "hidden": rng.standard_normal((CELL, HIDDEN)),
        }

    def _admired(self, rng: np.random.Generator, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Return favourites: makers and players of films the user would like anyway."""
        films = len(self._factors)
        seen = rng.integers(0, films, (CELL, 40))
        liking = np.einsum("ud,usd->us", vectors, self._factors[seen])
        best = np.take_along_axis(seen, np.argsort(-liking, axis=1)[:, :FAVOURITES], axis=1)
        seat = rng.choice(4, (CELL, FAVOURITES), p=[0.55, 0.25, 0.12, 0.08])
        return self._people[best, seat]
