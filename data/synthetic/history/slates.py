"""Slates that a recommender really made, shown in a user's last visit, so that a drill-down ends at a replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.synthetic.history.draws import CELL, Ints, Rows, Seconds
from data.synthetic.history.plan import Plan
from data.synthetic.history.repertoire import Repertoire
from workspace.columns import Event
from workspace.errors import SchemaError, UnknownError

MADE_AT: Final = "made_at"
FILM_IDS: Final = "film_ids"
COLUMNS: Final = (Event.SLATE, Event.USER, MADE_AT, FILM_IDS, Event.INDEX_VERSION, Event.TRANSACTION)
LAST_MINUTES: Final = 120
SPREAD_MINUTES: Final = 97
POSITIONS: Final = 5
NO_FILM: Final = -1
"""Stands behind the last film of a slate that is shorter than others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSlates:
    """Slates by day, user and time.

    Attributes:
        day: Day of the history, shape (n,).
        user: Row of the user, shape (n,).
        second: Second of the day of the visit, shape (n,).
        films: Rows of the films, -1 behind the last, shape (n, k).
        slate: Slate ids.
        transaction: Transaction ids.
        version: Index versions.
    """

    day: Ints
    user: Ints
    second: Seconds
    films: Rows
    slate: tuple[str, ...] = ()
    transaction: tuple[str, ...] = ()
    version: tuple[str, ...] = ()

    def of(self, day: int, cell: int) -> Ints:
        """Return the rows of a day and a cell of users."""
        rows: Ints = np.flatnonzero((self.day == day) & (self.user // CELL == cell))
        return rows


_NONE: Final[npt.NDArray[np.int64]] = np.empty(0, dtype=np.int64)
NO_SLATES: Final = RealSlates(
    day=_NONE, user=_NONE, second=_NONE.astype(np.float64), films=np.empty((0, 5), dtype=np.int32)
)


def real_slates(
    frame: pd.DataFrame, plan: Plan, films: Repertoire, users: Sequence[str], last_visit: Seconds
) -> RealSlates:
    """Return slates of the recommender as those of the last visits.

    A slate made inside the history is shown when it was made; one made later in the user's last visit, since a history
    holds nothing of the time after it.

    Args:
        frame: Columns `COLUMNS`; ``film_ids`` holds lists in the order of their ranks.
        plan: The plan.
        films: The films.
        users: Raw ids of the users by their row.
        last_visit: When each user came last, in days since the start, NaN for those who did not.

    Raises:
        SchemaError: When a column is missing or a slate is empty.
        UnknownError: When a film or user is not of this history.
    """
    shown, user = _checked(frame, films, users)
    if not shown:
        return NO_SLATES
    wide = max(POSITIONS, *(len(rows) for rows in shown))
    made = pd.to_datetime(frame[MADE_AT], utc=True)
    moment = ((made - pd.Timestamp(plan.spec.start, tz="UTC")) / pd.Timedelta(days=1)).to_numpy(np.float64)
    # Who never came comes once, in the last evening.
    evening = plan.spec.days - (LAST_MINUTES - user % SPREAD_MINUTES) / 1440
    last = np.where(np.isnan(last_visit[user]), evening, last_visit[user])
    within = (moment >= 0) & (moment < plan.spec.days)
    order = np.lexsort((moment, user, np.floor(np.where(within, moment, last))))
    moment = np.where(within, moment, last)[order]
    day = np.floor(moment).astype(np.int64)
    padded = np.array([rows + [NO_FILM] * (wide - len(rows)) for rows in shown], dtype=np.int32)
    return RealSlates(
        day=day,
        user=user[order],
        second=np.round((moment - day) * 86_400, 6),
        films=padded[order],
        slate=tuple(frame[Event.SLATE].to_numpy()[order].tolist()),
        transaction=tuple(frame[Event.TRANSACTION].to_numpy()[order].tolist()),
        version=tuple(frame[Event.INDEX_VERSION].to_numpy()[order].tolist()),
    )


def _checked(frame: pd.DataFrame, films: Repertoire, users: Sequence[str]) -> tuple[list[list[int]], Ints]:
    """Return (rows of the films of each slate, row of its user)."""
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise SchemaError(f"slates have no {', '.join(missing)}", f"must have {', '.join(COLUMNS)}")
    film = {name: row for row, name in enumerate(films.ids.to_pylist())}
    who = {name: row for row, name in enumerate(users)}
    shown = [[_row(film, one, "film") for one in names] for names in frame[FILM_IDS]]
    if not all(shown):
        raise SchemaError("a slate is empty", "must name a film", "leave it out")
    return shown, np.array([_row(who, one, "user") for one in frame[Event.USER]], dtype=np.int64)


def _row(rows: dict[str, int], name: str, what: str) -> int:
    if name not in rows:
        raise UnknownError(f"{what} == {name!r}", "must be of this history", "pass the world the slates were made of")
    return rows[name]
