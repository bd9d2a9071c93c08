"""Interactions as numbers: film rows, likes and days instead of ids, kinds and timestamps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from workspace.columns import Interaction

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

SECONDS_A_DAY: Final = 86_400
POSITIVE_RATING: Final = 4.0
POSITIVE_SHARE: Final = 0.9
NEGATIVE_KINDS: Final = ("thumbs_down", "dismissed")
SEEN_KINDS: Final = ("watched", "rated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Acts of one user or of many, one entry each; all arrays have shape ``(n,)``.

    Args:
        users: User codes, 0 … n_users − 1.
        films: Film rows.
        likes: Strength of liking in −1 … 1, see `likes`.
        watched: Whether the user saw the film (rated or watched it), rather than turned it down.
        positive: Whether it counts as relevant: rated >= 4, or watched to the end (>= 0.9).
        days: When, in days since 1970-01-01 UTC.
    """

    users: Rows
    films: Rows
    likes: Floats
    watched: npt.NDArray[np.bool_]
    positive: npt.NDArray[np.bool_]
    days: Floats

    def __len__(self) -> int:
        """Return how many acts there are."""
        return len(self.films)

    @classmethod
    def of(
        cls, interactions: pd.DataFrame, film_rows: Mapping[str, int], user_codes: Mapping[str, int] | None = None
    ) -> Self:
        """Encode interactions; an act on a film that has no row is left out, and the caller can see how many.

        Args:
            interactions: By the interaction contract.
            film_rows: Row of each film id.
            user_codes: Code of each user id; all users are 0 when None.
        """
        films = interactions[Interaction.FILM].map(film_rows)
        known = films.notna()
        rows = interactions.loc[known]
        kinds = rows[Interaction.KIND].to_numpy(object)
        values = rows[Interaction.VALUE].to_numpy(np.float64)
        codes = (
            np.zeros(len(rows), np.int64)
            if user_codes is None
            else rows[Interaction.USER].map(user_codes).to_numpy(np.int64)
        )
        rated, watched = kinds == "rated", kinds == "watched"
        return cls(
            users=codes,
            films=films[known].to_numpy(np.int64),
            likes=likes(kinds, values),
            watched=rated | watched,
            positive=(rated & (values >= POSITIVE_RATING)) | (watched & (values >= POSITIVE_SHARE)),
            days=days(rows[Interaction.TS]),
        )

    @classmethod
    def none(cls) -> Self:
        """Return no acts at all."""
        rows, numbers, flags = np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
        return cls(users=rows, films=rows, likes=numbers, watched=flags, positive=flags, days=numbers)

    def take(self, chosen: npt.NDArray[np.bool_] | Rows) -> "Acts":
        """Return some of the acts, in the order given."""
        return Acts(
            users=self.users[chosen],
            films=self.films[chosen],
            likes=self.likes[chosen],
            watched=self.watched[chosen],
            positive=self.positive[chosen],
            days=self.days[chosen],
        )


def likes(kinds: npt.NDArray[np.object_], values: Floats) -> Floats:
    """Map kinds and values to a liking in −1 … 1.

    Ratings run linearly from 0.5 stars (−0.5) over 2 (0) to 5 (1), a share watched from none (−0.25) over a fifth (0)
    to all (1); a thumbs-down is −1, a dismissal −0.5. That a film was chosen at all speaks for it, so a middling
    rating still counts a little; the neutral point of 2 stars was the best of those tried on real ratings.
    """
    out = np.where(kinds == "dismissed", -0.5, -1.0)
    rated, watched = kinds == "rated", kinds == "watched"
    out[rated] = (values[rated] - 2.0) / 3.0
    out[watched] = 1.25 * values[watched] - 0.25
    return out


def days(moments: pd.Series) -> Floats:
    """Return moments in days since 1970-01-01 UTC."""
    seconds = moments.to_numpy("datetime64[us]").astype(np.int64) / 1e6
    out: Floats = seconds / SECONDS_A_DAY
    return out
