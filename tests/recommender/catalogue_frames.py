"""Small films, users and interactions for the tests of the catalogue and the providers."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from workspace.columns import Film, Interaction, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def film(film_id: str, title: str, **facts: Any) -> dict[str, Any]:
    row: dict[str, Any] = {name: [] if name in Film.LISTS else None for name in Film.ALL}
    row |= {Film.ID: film_id, Film.TITLE: title, Film.RELEASE_DATE: date(2001, 2, 3), Film.GENRES: ["Drama"],
            Film.PROVIDER: "aurora", Film.UPDATED_AT: NOW}  # fmt: skip
    return row | facts


def films(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(Film.ALL))


def users(*ids: str) -> pd.DataFrame:
    rows = [{User.ID: i, User.REGION: "SE", User.MARKET: "nordic", User.PREMIUM: False, User.JOINED_AT: NOW,
             User.EXCLUDED_GENRES: [], User.MAXIMUM_AGE: None, User.CONSENT: True} for i in ids]  # fmt: skip
    return pd.DataFrame(rows, columns=list(User.ALL))


def interactions(*rows: tuple[str, str, str, float, datetime]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(Interaction.ALL))
    return frame.assign(ts=pd.to_datetime(frame[Interaction.TS], utc=True))
