"""The truth of a world: what each user really likes. Evaluation may look; no recommender may."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from data.synthetic.taste import FAVOURITE_PULL
from workspace.errors import InvalidValueError

LARGEST_BLOCK: Final = 200_000_000
"""Scores of one call; more would take over 800 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Latent factors of films and users.

    Preference is in standard deviations over the films of one user (favourite people come on top), so that 2 means
    about the best two films of a hundred.

    Attributes:
        film_factors: Shape (n_films, d).
        film_people: Director and three leads as person ids, -1 where none, shape (n_films, 4).
        user_vectors: Shape (n_users, d).
        favourites: Person ids a user admires, -1 where none, shape (n_users, 4).
        bar: Preference from which a user enjoys a film, shape (n_users,).
    """

    film_factors: npt.NDArray[np.float32]
    film_people: npt.NDArray[np.int32]
    user_vectors: npt.NDArray[np.float32]
    favourites: npt.NDArray[np.int32]
    bar: npt.NDArray[np.float32]

    def preference(self, user_rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the true preference of some users for every film.

        Args:
            user_rows: Rows of the users in the order of ``World.users``, shape (m,).

        Returns:
            Scores, higher is better, shape (m, n_films).

        Raises:
            InvalidValueError: When a row does not exist or the block would be too large for memory.
        """
        rows = np.atleast_1d(np.asarray(user_rows, dtype=np.int64))
        if rows.size and (rows.min() < 0 or rows.max() >= len(self.user_vectors)):
            raise InvalidValueError(f"user_rows up to {rows.max()}", f"must lie in 0..{len(self.user_vectors) - 1}")
        if rows.size * len(self.film_factors) > LARGEST_BLOCK:
            raise InvalidValueError(
                f"{rows.size} users × {len(self.film_factors)} films",
                f"must be at most {LARGEST_BLOCK} scores",
                "ask for fewer users at a time",
            )
        scores: npt.NDArray[np.float32] = self.user_vectors[rows] @ self.film_factors.T
        Filmographies(self.film_people).add(scores, self.favourites[rows])
        return scores


class Filmographies:
    """The films of each person, for adding a favourite's pull without a users × people matrix.

    Args:
        film_people: Person ids, -1 where none, shape (n_films, p).
    """

    def __init__(self, film_people: npt.NDArray[np.int32]) -> None:
        flat = film_people.ravel()
        order = np.argsort(flat, kind="stable")
        self._films = order // film_people.shape[1]
        self._sorted = flat[order]

    def add(self, scores: npt.NDArray[np.float32], favourites: npt.NDArray[np.int32]) -> None:
        """Add the pull of the favourites to ``scores`` (m, n_films), in place."""
        users = np.repeat(np.arange(len(favourites)), favourites.shape[1])
        persons = favourites.ravel()
        # Somebody who is a favourite twice over (for a film directed, another played) pulls once.
        first = np.unique(users * (int(persons.max(initial=0)) + 2) + persons + 1, return_index=True)[1]
        users, persons = users[first], persons[first]
        users, persons = users[persons >= 0], persons[persons >= 0]
        low = np.searchsorted(self._sorted, persons, side="left")
        counts = np.searchsorted(self._sorted, persons, side="right") - low
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        films = self._films[np.repeat(low, counts) + within]
        np.add.at(scores, (np.repeat(users, counts), films), np.float32(FAVOURITE_PULL))
