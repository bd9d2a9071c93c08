"""The catalogue in memory: films, users and interactions that passed the doors, and what was refused on the way."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from recommender.catalogue.identity import content_id, natural_order
from recommender.catalogue.quarantine import quarantine_frame
from recommender.catalogue.schema import (
    conform_films,
    conform_interactions,
    conform_provenance,
    conform_quarantine,
    conform_users,
)
from recommender.catalogue.texts import folded, shown
from workspace.checks import check_scalar
from workspace.columns import Film, Interaction, Provenance, User
from workspace.errors import SchemaError, UnknownError

_CLOSE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """One state of films, users and interactions; never changed after it was built.

    Args:
        snapshot_id: ``c`` and 12 hexadecimal digits of the hash of the content.
        films: Columns `Film.ALL`, range index, natural order of the ids.
        users: Columns `User.ALL`, natural order of the ids.
        interactions: Columns `Interaction.ALL`, ordered by user, time, film.
        quarantine: Columns `Quarantine.ALL`: what was refused or repaired.
        provenance: Columns `Provenance.ALL`: where two providers differed or one alone spoke.
        manifest: Counts, sources, providers and their state, moment of the import.
    """

    snapshot_id: str
    films: pd.DataFrame
    users: pd.DataFrame
    interactions: pd.DataFrame
    quarantine: pd.DataFrame
    provenance: pd.DataFrame
    manifest: dict[str, Any]
    _lookup: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def film_row(self, film_id: str) -> int:
        """Return the row of a film in ``films``.

        Raises:
            UnknownError: When there is no such film; the hint names those that come close.
        """
        row = self._rows(Film.ID, self.films).get(str(film_id))
        if row is None:
            raise UnknownError(f"film {shown(film_id)!r} is not in the catalogue", hint=self._close_films(film_id))
        return row

    def user(self, user_id: str) -> dict[str, Any]:
        """Return what is known of a user, by the columns of `User`.

        Raises:
            UnknownError: When there is no such user.
        """
        row = self._rows(User.ID, self.users).get(str(user_id))
        if row is None:
            close = difflib.get_close_matches(str(user_id)[:50], self.users[User.ID].head(5000).tolist(), _CLOSE)
            hint = f"close ids are {', '.join(close)}" if close else f"there are {len(self.users)} users"
            raise UnknownError(f"user {shown(user_id)!r} is not in the catalogue", hint=hint)
        values = self.users.iloc[row]
        return {column: values[column] for column in User.ALL}

    def history(self, user_id: str) -> pd.DataFrame:
        """Return the interactions of a user by time; empty for a known user without any.

        Raises:
            UnknownError: When there is no such user.
        """
        self.user(user_id)
        start, stop = self._spans().get(str(user_id), (0, 0))
        return self.interactions.iloc[start:stop]

    def search_titles(self, text: str, limit: int = 10) -> pd.DataFrame:
        """Return films whose id or title matches a text, best first, whatever the case and the accents.

        Args:
            text: What the user typed.
            limit: At most so many, >= 1.

        Returns:
            Rows of ``films`` with their row numbers as index: the film with that id, then equal titles, then titles
            that begin with the text, then those with a word that begins with it, then those that contain it.
        """
        check_scalar(limit, "limit", ge=1)
        wanted = folded(text)
        if not wanted:
            return self.films.iloc[:0]
        found = [
            (grade, len(title), row)
            for row, titles in enumerate(self._folded_titles())
            for title in titles
            if (grade := _match(wanted, title)) is not None
        ]
        rows = [row for _, _, row in sorted(found)]
        by_id = self._rows(Film.ID, self.films).get(text.strip())
        if by_id is not None:
            rows.insert(0, by_id)
        return self.films.iloc[list(dict.fromkeys(rows))[:limit]]

    def _rows(self, column: str, frame: pd.DataFrame) -> dict[str, int]:
        rows: dict[str, int] | None = self._lookup.get(column)
        if rows is None:
            rows = self._lookup[column] = {key: row for row, key in enumerate(frame[column])}
        return rows

    def _spans(self) -> dict[str, tuple[int, int]]:
        spans: dict[str, tuple[int, int]] | None = self._lookup.get("spans")
        if spans is None:
            users = self.interactions[Interaction.USER].to_numpy(dtype=object)
            starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.empty(0, np.int64)
            stops = np.r_[starts[1:], len(users)]
            pairs = zip(starts.tolist(), stops.tolist(), strict=True) if len(users) else ()
            spans = self._lookup["spans"] = {users[start]: (start, stop) for start, stop in pairs}
        return spans

    def _folded_titles(self) -> list[tuple[str, ...]]:
        titles: list[tuple[str, ...]] | None = self._lookup.get("titles")
        if titles is None:
            pairs = zip(self.films[Film.TITLE], self.films[Film.ORIGINAL_TITLE], strict=True)
            titles = self._lookup["titles"] = [tuple(folded(t) for t in dict.fromkeys(pair) if t) for pair in pairs]
        return titles

    def _close_films(self, film_id: str) -> str:
        found = self.search_titles(str(film_id)[:100], _CLOSE)
        if found.empty:
            titles = [title[0] for title in self._folded_titles()[:20_000] if title]
            close = difflib.get_close_matches(folded(str(film_id)[:50]), titles, 1)
            found = self.search_titles(close[0], _CLOSE) if close else found
        if found.empty:
            return f"there are {len(self.films)} films; search by title"
        pairs = zip(found[Film.ID], found[Film.TITLE], strict=True)
        return "close are " + ", ".join(f"{film} ({title})" for film, title in pairs)


def build_catalogue(
    films: pd.DataFrame,
    users: pd.DataFrame,
    interactions: pd.DataFrame,
    quarantine: pd.DataFrame | None = None,
    provenance: pd.DataFrame | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> Catalogue:
    """Check all parts, put them in order and name the whole by its content.

    Args:
        films: Columns `Film.ALL`, any order.
        users: Columns `User.ALL`, any order.
        interactions: Columns `Interaction.ALL`, any order; all of known users and films
            (`screening.screen_interactions` sees to that).
        quarantine: What was refused or repaired on the way here.
        provenance: Which provider each disputed field came from.
        manifest: Facts to keep; counts are added.

    Returns:
        The catalogue.

    Raises:
        SchemaError: A missing column, a wrong type, a value outside its limits, a double id, an unknown user or film.
    """
    films = conform_films(films)
    users = conform_users(users)
    interactions = conform_interactions(interactions)
    films = films.iloc[natural_order(films[Film.ID])].reset_index(drop=True)
    users = users.iloc[natural_order(users[User.ID])].reset_index(drop=True)
    interactions = _ordered(interactions, films, users)
    quarantine = quarantine_frame([]) if quarantine is None else conform_quarantine(quarantine)
    if provenance is None:
        provenance = empty_provenance()
    facts = dict(manifest or {})
    facts["counts"] = {"films": len(films), "users": len(users), "interactions": len(interactions),
                       "quarantine": len(quarantine)}  # fmt: skip
    return Catalogue(
        snapshot_id=content_id(films, users, interactions),
        films=films,
        users=users,
        interactions=interactions,
        quarantine=quarantine,
        provenance=conform_provenance(provenance),
        manifest=facts,
    )


def empty_provenance() -> pd.DataFrame:
    """Return a provenance frame without rows."""
    return conform_provenance(pd.DataFrame({column: [] for column in Provenance.ALL}))


def _match(wanted: str, title: str) -> int | None:
    if wanted == title:
        return 0
    at = title.find(wanted)
    if at <= 0:
        return 1 if at == 0 else None
    return 2 if f" {wanted}" in title else 3


def _ordered(interactions: pd.DataFrame, films: pd.DataFrame, users: pd.DataFrame) -> pd.DataFrame:
    user = _positions(interactions[Interaction.USER], users[User.ID], "user")
    film = _positions(interactions[Interaction.FILM], films[Film.ID], "film")
    moment = interactions[Interaction.TS].astype("int64").to_numpy()
    # Kind and value break the last ties, so that the order never depends on how the rows came in.
    kind = interactions[Interaction.KIND].to_numpy(dtype=str)
    order = np.lexsort((interactions[Interaction.VALUE].to_numpy(), kind, film, moment, user))
    return interactions.iloc[order].reset_index(drop=True)


def _positions(ids: pd.Series, known: pd.Series, noun: str) -> np.ndarray[Any, Any]:
    positions = np.asarray(pd.Index(known).get_indexer(ids))
    if (positions < 0).any():
        unknown = ids[positions < 0].unique()
        raise SchemaError(
            f"interactions name {len(unknown)} unknown {noun}s, such as {', '.join(map(shown, unknown[:3]))}",
            f"every {noun} must be in the catalogue",
            "screen them into quarantine with screen_interactions",
        )
    return positions
