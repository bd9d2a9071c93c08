"""A whole world in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from data.synthetic.films import Filmography, film_ids
from data.synthetic.interactions import Behaviour, interaction_table
from data.synthetic.people import People
from data.synthetic.randomness import cells
from data.synthetic.shelf import Shelf
from data.synthetic.spec import WorldSpec
from data.synthetic.tables import frame
from data.synthetic.taste import TasteCell, Tastes, film_factors, film_people
from data.synthetic.truth import Truth
from data.synthetic.users import draw_users, user_ids, user_table


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Films, users and what they did, by the contract in ``workspace.columns``; and the truth, kept apart.

    Attributes:
        spec: What it was made from.
        films: Columns ``Film.ALL``, by film id.
        users: Columns ``User.ALL``.
        interactions: Columns ``Interaction.ALL``, by user in the order of ``users``, then time, then film.
        truth: What the users really like; rows as in ``users``, columns as in ``films``.
    """

    spec: WorldSpec
    films: pd.DataFrame
    users: pd.DataFrame
    interactions: pd.DataFrame
    truth: Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The rows of one cell of users."""

    users: pa.Table
    interactions: pa.Table
    taste: TasteCell


class Source:
    """Makes a world piece by piece; both :func:`generate` and the streaming writer draw from it.

    Args:
        spec: The world to make.
    """

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        people = People.hire(seed=spec.seed, films=spec.films)
        shelf = Shelf.stock(spec, people)
        self.filmography = Filmography(spec, shelf, people)
        self.factors = film_factors(shelf)
        self.noticed: npt.NDArray[np.int32] = film_people(shelf)
        self._tastes = Tastes(spec, self.factors, self.noticed)
        self._behaviour = Behaviour(
            spec=spec,
            shelf=shelf,
            factors=self.factors,
            people=self.noticed,
            lawful=self.filmography.lawful,
            minimum_age=np.maximum(self.filmography.minimum_age, 0),
        )
        self._film_ids = pa.array(film_ids(range(spec.films)))

    def batches(self) -> Iterator[Batch]:
        """Yield the users and their history, one cell at a time."""
        for cell, rows in cells(self.spec.users):
            drawn = draw_users(self.spec, cell)
            taste = self._tastes.draw(cell, drawn.region, drawn.excluded)
            acts = self._behaviour.act(cell, rows, drawn, taste)
            ids = pa.array(user_ids(self.spec.seed, rows))
            yield Batch(
                users=user_table(self.spec, rows, drawn),
                interactions=interaction_table(acts, ids, rows.start, self._film_ids),
                taste=TasteCell(
                    vectors=taste.vectors[: len(rows)],
                    favourites=taste.favourites[: len(rows)],
                    bar=taste.bar[: len(rows)],
                ),
            )

    def truth(self, tastes: list[TasteCell]) -> Truth:
        """Return the truth from the tastes of all batches."""
        return Truth(
            film_factors=self.factors,
            film_people=self.noticed,
            user_vectors=np.concatenate([taste.vectors for taste in tastes]),
            favourites=np.concatenate([taste.favourites for taste in tastes]),
            bar=np.concatenate([taste.bar for taste in tastes]),
        )


def generate(spec: WorldSpec) -> World:
    """Return the world of a spec, whole and in memory.

    Args:
        spec: Sizes, seed and window; up to about 100,000 users fit comfortably. For more see
            :func:`data.synthetic.stream`.

    Example:
        >>> from datetime import date
        >>> world = generate(WorldSpec(films=40, users=5, seed=1, end=date(2026, 1, 1)))
        >>> len(world.films), len(world.users)
        (40, 5)
    """
    source = Source(spec)
    films = pa.concat_tables(source.filmography.tables())
    batches = list(source.batches())
    return World(
        spec=spec,
        films=frame(films),
        users=frame(pa.concat_tables([batch.users for batch in batches])),
        interactions=frame(pa.concat_tables([batch.interactions for batch in batches])),
        truth=source.truth([batch.taste for batch in batches]),
    )
