"""What a film of a feed must be; rows that are none are refused, single bad fields are left to the other provider."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from recommender.catalogue.quarantine import QuarantineLog
from recommender.catalogue.schema import FILM_CELLS, Cell, require_columns
from recommender.catalogue.texts import clean_text
from recommender.providers.feeds import ProviderFeed
from workspace.columns import Film

NEEDED: Final = (Film.ID, Film.TITLE, Film.RELEASE_DATE, Film.GENRES)
FIELDS: Final = tuple(name for name in Film.ALL if name not in {Film.ID, Film.PROVIDER, Film.UPDATED_AT})

NO_ID: Final = "film_id missing"
BAD_ID: Final = "film_id is longer than 200 characters or holds control characters"
DOUBLE_ID: Final = "film_id occurs twice in the feed, the fresher row stands"
NO_TITLE: Final = "title missing"
TOO_FAR: Final = "release date more than 5 years ahead"
BLOCK_UNREADABLE: Final = "legal block by region can't be read"
BAD_DATE: Final = "not a date, left empty"
BEFORE_FILM: Final = "release date before the first film, left empty"
BAD_NUMBER: Final = "not a number or out of range, left empty"
BAD_LIST: Final = "not a list, left empty"
LONG_LIST: Final = "shortened to 1000 entries"
BAD_MOMENT: Final = "moment of the update missing, broken or in the future; that of the feed stands"

_FIRST_FILM: Final = date(1874, 1, 1)
_AHEAD_AT_MOST: Final = timedelta(days=5 * 365)
_ENTRIES_AT_MOST: Final = 1000
_ID_AT_MOST: Final = 200
_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    Film.RUNTIME_MIN: (1, 1500),
    Film.MINIMUM_AGE: (0, 21),
    Film.POPULARITY: (0, 1e9),
    Film.VOTE_AVERAGE: (0, 10),
    Film.VOTE_COUNT: (0, 1e10),
}

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenedFeed:
    """The films of a feed that passed.

    Args:
        provider: Its name.
        updated_at: How fresh the feed is.
        films: By film id what it states; a field it does not state is absent. ``updated_at`` is always there.
        read: Rows delivered.
    """

    provider: str
    updated_at: datetime
    films: Mapping[str, Facts]
    read: int


def screen_feed(feed: ProviderFeed, *, now: datetime, log: QuarantineLog) -> ScreenedFeed:
    """Return the films of a feed that passed; refusals and repairs go to the log.

    Args:
        feed: What was delivered; its index numbers the rows.
        now: The present moment.
        log: Where refusals and repairs go, under the name of the provider.

    Returns:
        The films by id. Rows read = films + rows refused.

    Raises:
        SchemaError: When a needed column is missing.
    """
    require_columns([str(column) for column in feed.frame.columns], NEEDED, f"feed of {feed.provider}")
    reader = _Reader(feed, now, log)
    films: dict[str, Facts] = {}
    columns = [name for name in Film.ALL if name in feed.frame.columns]
    cells = [feed.frame[name].tolist() for name in columns]
    for number, row in enumerate(zip(*cells, strict=True), start=1):
        reader.take(films, number, dict(zip(columns, row, strict=True)))
    return ScreenedFeed(provider=feed.provider, updated_at=feed.updated_at, films=films, read=len(feed.frame))


class _Reader:
    def __init__(self, feed: ProviderFeed, now: datetime, log: QuarantineLog) -> None:
        self.feed = feed
        self.now = now
        self.log = log
        self._numbers: dict[str, int] = {}

    def take(self, films: dict[str, Facts], number: int, row: Mapping[str, object]) -> None:
        """Put a row among the films, or refuse it."""
        film, reason = self._id(row[Film.ID])
        if reason:
            self._refuse(number, film, reason)
            return
        facts, reason = self._facts(row, number, film)
        if reason:
            self._refuse(number, film, reason)
            return
        before = films.get(film)
        if before is not None:
            # The fresher row stands; of two equally fresh ones the first.
            loser = number if before[Film.UPDATED_AT] >= facts[Film.UPDATED_AT] else self._numbers[film]
            self._refuse(loser, film, DOUBLE_ID)
            if loser == number:
                return
        films[film] = facts
        self._numbers[film] = number

    def _refuse(self, number: int, film: str, reason: str) -> None:
        self.log.refuse(self.feed.provider, number, film, reason)

    @staticmethod
    def _id(cell: object) -> tuple[str, str]:
        if _is_missing(cell):
            return "", NO_ID
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        film = str(cell).strip()
        if len(film) > _ID_AT_MOST or not film.isprintable():
            return film, BAD_ID
        return film, "" if film else NO_ID

    def _facts(self, row: Mapping[str, object], number: int, film: str) -> tuple[Facts, str]:
        facts: Facts = {}

        def repair(name: str, reason: str, cell: object) -> None:
            self.log.repair(self.feed.provider, number, film, name, reason, cell)

        for name in FIELDS:
            cell = row.get(name)
            if _is_missing(cell):
                continue
            value = _READ[FILM_CELLS[name]](cell, name, repair)
            if value is not None:
                facts[name] = value
            elif name == Film.BLOCKED_REGIONS:
                # Left empty it would lift a legal block: the one field that can't be left to chance.
                return facts, BLOCK_UNREADABLE
        if not facts.get(Film.TITLE):
            return facts, NO_TITLE
        if facts.get(Film.RELEASE_DATE, date.min) > self.now.date() + _AHEAD_AT_MOST:
            return facts, TOO_FAR
        facts[Film.UPDATED_AT] = self._moment(row, repair)
        return facts, ""

    def _moment(self, row: Mapping[str, object], repair: Callable[[str, str, object], None]) -> datetime:
        if Film.UPDATED_AT not in row:
            return self.feed.updated_at
        cell = row[Film.UPDATED_AT]
        moment = pd.NaT if _is_missing(cell) else pd.to_datetime(cell, utc=True, errors="coerce")
        if isinstance(moment, pd.Timestamp) and moment <= self.now + timedelta(days=1):
            return cast("datetime", moment.to_pydatetime(warn=False).astimezone(UTC))
        repair(Film.UPDATED_AT, BAD_MOMENT, cell)
        return self.feed.updated_at


Repair = Callable[[str, str, object], None]


def _text(cell: object, name: str, repair: Repair) -> str | None:
    text, reasons = clean_text(str(cell))
    for reason in reasons:
        repair(name, reason, cell)
    return text or None


def _number(cell: object, name: str, repair: Repair) -> float | None:
    low, high = _LIMITS[name]
    try:
        number = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if low <= number <= high:
        return number
    repair(name, BAD_NUMBER, cell)
    return None


def _date(cell: object, name: str, repair: Repair) -> date | None:
    if isinstance(cell, str | date):
        moment = pd.to_datetime(cell, errors="coerce", format="ISO8601" if isinstance(cell, str) else None)
        if isinstance(moment, pd.Timestamp):
            if moment.date() >= _FIRST_FILM:
                return cast("date", moment.date())
            repair(name, BEFORE_FILM, cell)
            return None
    repair(name, BAD_DATE, cell)
    return None


def _texts(cell: object, name: str, repair: Repair) -> list[str] | None:
    items = _items(cell)
    if items is None:
        repair(name, BAD_LIST, cell)
        return None
    if len(items) > _ENTRIES_AT_MOST:
        repair(name, LONG_LIST, f"{len(items)} entries")
        items = items[:_ENTRIES_AT_MOST]
    texts = (_text(item, name, repair) for item in items if not _is_missing(item))
    return list(dict.fromkeys(text for text in texts if text))


def _items(cell: object) -> list[Any] | None:
    if isinstance(cell, str):
        if not cell.lstrip().startswith("["):
            return cell.split("|")
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return None
    if isinstance(cell, list | tuple | np.ndarray) and all(isinstance(item, str | None) for item in cell):
        return list(cell)
    return None


_READ: Final[Mapping[Cell, Callable[[object, str, Repair], Any]]] = {
    Cell.TEXT: _text,
    Cell.TEXTS: _texts,
    Cell.NUMBER: _number,
    Cell.DATE: _date,
}


def _is_missing(cell: object) -> bool:
    if isinstance(cell, str):
        return not cell or cell.isspace()
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell))
