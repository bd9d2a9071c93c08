"""What every part of an evaluation stands on: a catalogue as numbers, and what can be fitted on a part of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from recommender.acts import Acts
from recommender.catalogue import Catalogue
from workspace.columns import Film, User

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A catalogue with its interactions as rows.

    Args:
        catalogue: Films, users, interactions.
        acts: Every interaction, in the order of user, time, film.
    """

    catalogue: Catalogue
    acts: Acts

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Number the films and users of a catalogue by their place in it."""
        films = {film: row for row, film in enumerate(catalogue.films[Film.ID])}
        users = {user: code for code, user in enumerate(catalogue.users[User.ID])}
        acts = Acts.of(catalogue.interactions, films, users)
        # Films stand in natural order, so their rows order equal times as (time, numeric film id) asks.
        return cls(catalogue=catalogue, acts=acts.take(np.lexsort((acts.films, acts.days, acts.users))))

    @property
    def n_films(self) -> int:
        """How many films there are; all of them are candidates."""
        return len(self.catalogue.films)

    @property
    def n_users(self) -> int:
        """How many users there are."""
        return len(self.catalogue.users)


class FittedScorer(Protocol):
    """Scores films for users, having seen the training part only."""

    def scores(self, users: Rows, days: Floats) -> Vectors:
        """Score every film for some users.

        Args:
            users: User codes, shape ``(m,)``.
            days: Date of each user's request, days since 1970, shape ``(m,)``.

        Returns:
            Shape ``(m, n_films)``; −inf for a film that is never to be shown to the user. The films of the user's
            training part may have any score: they are no candidates.
        """


@runtime_checkable
class Weighted(Protocol):
    """A fitted scorer that has block weights to show."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each block."""

    @property
    def evidence(self) -> Mapping[str, object]:
        """What the weights rest on; empty for given ones."""


class Scorer(Protocol):
    """What can be evaluated: the recommender in some configuration, or a baseline."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def fit(self, ground: Ground, train: Acts) -> FittedScorer:
        """Fit on the training part and nothing else."""
