"""Ratings to interactions, and users from those who rated."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from recommender.catalogue import QuarantineLog, screen_interactions
from recommender.catalogue.schema import TIME_TYPE
from recommender.catalogue.tables import Table
from recommender.movielens.cells import parse_id
from recommender.movielens.details import MOVIE_ID
from workspace.columns import Interaction, User

USER_ID: Final = "userId"
RATING: Final = "rating"
TIMESTAMP: Final = "timestamp"
NEEDED: Final = (USER_ID, MOVIE_ID, RATING, TIMESTAMP)
KIND: Final = "rated"
REGION: Final = "US"
MARKET: Final = "north_america"
SUPERSEDED: Final = "the same user rated the same film later"
# Beyond this a count of seconds is not a date (the year 9999).
_LAST_SECOND: Final = 253_402_300_799


def read_ratings(table: Table, films: pd.DataFrame, *, now: datetime, log: QuarantineLog) -> pd.DataFrame:
    """Return the ratings as interactions; those that can't count go to quarantine.

    Args:
        table: Rows of ``ratings.csv``.
        films: The known films.
        now: The present moment.
        log: Where refusals go.

    Returns:
        Columns `Interaction.ALL`; of several ratings of a film by a user the latest.
    """
    seconds = pd.to_numeric(pd.Series(table.cells(TIMESTAMP), dtype=object), errors="coerce").astype("float64")
    seconds = seconds.where(seconds.between(0, _LAST_SECOND))
    values = pd.to_numeric(pd.Series(table.cells(RATING), dtype=object), errors="coerce").astype("float64")
    rows = pd.DataFrame(
        {
            Interaction.USER: _ids(table.cells(USER_ID)),
            Interaction.FILM: _ids(table.cells(MOVIE_ID)),
            Interaction.KIND: KIND,
            Interaction.VALUE: values.to_numpy(),
            Interaction.TS: pd.to_datetime(seconds, unit="s", utc=True).astype(TIME_TYPE).to_numpy(),
        }
    )
    rows[Interaction.TS] = pd.to_datetime(rows[Interaction.TS], utc=True)
    rows.index = pd.Index(table.numbers, dtype="int64")
    rows = screen_interactions(rows, films, None, now=now, source=table.name, log=log)
    pair = [Interaction.USER, Interaction.FILM]
    later = rows.sort_values(Interaction.TS, kind="stable").duplicated(pair, keep="last").reindex(rows.index)
    for number, row in rows[later].iterrows():
        key = f"{row[Interaction.USER]}/{row[Interaction.FILM]}"
        log.refuse(table.name, int(str(number)), key, SUPERSEDED, f"{RATING}={row[Interaction.VALUE]:g}")
    return rows[~later].reset_index(drop=True)


def users_of(interactions: pd.DataFrame) -> pd.DataFrame:
    """Return one user for each who rated; MovieLens tells nothing else of them.

    They live in one region, have no premium, exclude nothing, and joined with their first rating.
    """
    first = interactions.groupby(Interaction.USER, sort=False)[Interaction.TS].min()
    return pd.DataFrame(
        {
            User.ID: first.index,
            User.REGION: REGION,
            User.MARKET: MARKET,
            User.PREMIUM: False,
            User.JOINED_AT: first.to_numpy(),
            User.EXCLUDED_GENRES: [[] for _ in range(len(first))],
            User.MAXIMUM_AGE: np.nan,
            User.CONSENT: True,
        }
    )


def _ids(cells: Sequence[str]) -> list[str]:
    known = {cell: parse_id(cell) for cell in set(cells)}
    return [known[cell] for cell in cells]
