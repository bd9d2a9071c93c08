"""What an interaction must be to count; what it is not goes to quarantine with its reason."""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from recommender.catalogue.quarantine import QuarantineLog
from recommender.catalogue.schema import KINDS
from workspace.columns import Film, Interaction, User

# No film service is older: an earlier stamp is a clock that was never set.
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD_AT_MOST: Final = timedelta(days=1)
LIMITS: Final = {"watched": (0.0, 1.0), "rated": (0.5, 5.0), "thumbs_down": (-1.0, -1.0), "dismissed": (-1.0, -1.0)}

UNKNOWN_USER: Final = "unknown user"
UNKNOWN_FILM: Final = "unknown film"
UNKNOWN_KIND: Final = "unknown kind of interaction"
NOT_A_NUMBER: Final = "value is not a number"
OUT_OF_RANGE: Final = "value out of range"
NO_TIME: Final = "timestamp missing or not a time"
TOO_EARLY: Final = f"timestamp before {EARLIEST:%Y}"
IN_FUTURE: Final = "timestamp in the future"


def screen_interactions(
    interactions: pd.DataFrame,
    films: pd.DataFrame,
    users: pd.DataFrame | None,
    *,
    now: datetime,
    source: str,
    log: QuarantineLog,
) -> pd.DataFrame:
    """Return the interactions that count; the others go to quarantine, each with its first reason.

    Args:
        interactions: Columns `Interaction.ALL`; the index says the row in the source. Ids as text, ``value`` numeric
            or NaN, ``ts`` aware or NaT.
        films: The known films.
        users: The known users; None when the users are defined by their interactions.
        now: The present moment; a stamp more than a day later is refused.
        source: What to call the origin in the quarantine.
        log: Where refusals go.

    Returns:
        The rows that passed, in their order and with their index.
    """
    kind = interactions[Interaction.KIND]
    value = interactions[Interaction.VALUE].to_numpy(np.float64)
    moment = interactions[Interaction.TS]
    low = kind.map({name: LIMITS[name][0] for name in KINDS}).to_numpy(np.float64)
    high = kind.map({name: LIMITS[name][1] for name in KINDS}).to_numpy(np.float64)
    known_user = True if users is None else interactions[Interaction.USER].isin(set(users[User.ID])).to_numpy()
    verdicts = (
        (~(known_user & (interactions[Interaction.USER] != "").to_numpy()), UNKNOWN_USER, Interaction.USER),
        (~interactions[Interaction.FILM].isin(set(films[Film.ID])).to_numpy(), UNKNOWN_FILM, Interaction.FILM),
        (~kind.isin(KINDS).to_numpy(), UNKNOWN_KIND, Interaction.KIND),
        (~np.isfinite(value), NOT_A_NUMBER, Interaction.VALUE),
        (~((value >= low) & (value <= high)), OUT_OF_RANGE, Interaction.VALUE),
        (moment.isna().to_numpy(), NO_TIME, Interaction.TS),
        ((moment < EARLIEST).to_numpy(), TOO_EARLY, Interaction.TS),
        ((moment > now + AHEAD_AT_MOST).to_numpy(), IN_FUTURE, Interaction.TS),
    )
    refused = np.zeros(len(interactions), dtype=bool)
    for broken, reason, column in verdicts:
        _refuse(interactions[broken & ~refused], column, reason, source, log)
        refused |= broken
    return interactions[~refused]


def _refuse(rows: pd.DataFrame, column: str, reason: str, source: str, log: QuarantineLog) -> None:
    keys = rows[Interaction.USER] + "/" + rows[Interaction.FILM]
    for number, key, value in zip(rows.index, keys, rows[column], strict=True):
        log.refuse(source, int(number), key, reason, f"{column}={value}")
