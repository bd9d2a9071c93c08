"""Slates that a recommender really made, shown in a user's last visit, so that a drill-down ends at a replay."""

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
MINUTES_APART: Final = 3.0
MINUTES_OF_A_VISIT: Final = 20.0


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


def real_slates(frame: pd.DataFrame, plan: Plan, films: Repertoire, users: list[str]) -> RealSlates:
    """Return slates of the recommender as those of the last visits.

    A slate made inside the history is shown when it was made; one made later is shown in the last two hours of the
    last day, since a history holds nothing of the time after it.

    Args:
        frame: Columns `COLUMNS`; ``film_ids`` holds lists in the order of their ranks.
        plan: The plan.
        films: The films.
        users: Raw ids of the users by their row.

    Raises:
        SchemaError: When a column is missing.
        UnknownError: When a film or user is not of this history.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise SchemaError(f"slates have no {', '.join(missing)}", f"must have {', '.join(COLUMNS)}")
    if frame.empty:
        return NO_SLATES
    film = {name: row for row, name in enumerate(films.ids.to_pylist())}
    who = {name: row for row, name in enumerate(users)}
    shown = [[_row(film, one, "film") for one in names] for names in frame[FILM_IDS]]
    wide = max(5, *(len(rows) for rows in shown))
    user = np.array([_row(who, one, "user") for one in frame[Event.USER]], dtype=np.int64)
    made = pd.to_datetime(frame[MADE_AT], utc=True)
    since = (made - pd.Timestamp(plan.spec.start, tz="UTC")) / pd.Timedelta(days=1)
    moment = since.to_numpy(np.float64)
    nth = pd.Series(user).groupby(user).cumcount().to_numpy()
    minutes = 1440 - LAST_MINUTES + user % SPREAD_MINUTES + np.minimum(nth * MINUTES_APART, MINUTES_OF_A_VISIT)
    late = plan.spec.days - 1 + minutes / 1440
    moment = np.where((moment >= 0) & (moment < plan.spec.days), moment, late)
    day = np.floor(moment).astype(np.int64)
    order = np.lexsort((moment, user, day))
    padded = np.array([rows + [-1] * (wide - len(rows)) for rows in shown], dtype=np.int32)
    return RealSlates(
        day=day[order],
        user=user[order],
        second=np.round((moment - day) * 86_400, 3)[order],
        films=padded[order],
        slate=tuple(frame[Event.SLATE].to_numpy()[order].tolist()),
        transaction=tuple(frame[Event.TRANSACTION].to_numpy()[order].tolist()),
        version=tuple(frame[Event.INDEX_VERSION].to_numpy()[order].tolist()),
    )


def _row(rows: dict[str, int], name: str, what: str) -> int:
    if name not in rows:
        raise UnknownError(f"{what} == {name!r}", "must be of this history", "pass the world the slates were made of")
    return rows[name]
