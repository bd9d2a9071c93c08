"""Edits of metadata by what they change: exposure before sentinel tastes, before and after, by film and by studio."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from audit.manipulation.hubness import Sentinels
from recommender.catalogue import film_hashes
from workspace.columns import Film

UNKNOWN: Final = "no studio"
EDITED: Final = (Film.GENRES, Film.KEYWORDS, Film.CAST, Film.DIRECTORS, Film.WRITERS, Film.COLLECTION, Film.STUDIOS,
                 Film.COUNTRIES, Film.LANGUAGES, Film.TITLE, Film.SYNOPSIS, Film.TAGLINE)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One film whose metadata changed.

    Args:
        film_id: The film.
        title: Its title now.
        studio: Its first studio before the edit.
        fields: What changed.
        before: Share of the sentinels' attention before.
        after: Share after, all other films as they were.
        by_field: What each field alone would have changed.
    """

    film_id: str
    title: str
    studio: str
    fields: tuple[str, ...]
    before: float
    after: float
    by_field: Mapping[str, float]

    @property
    def lift(self) -> float:
        """What the edit gains, in shares of all attention."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioEdits:
    """All edits of one studio.

    Args:
        studio: Its name.
        edits: How many films.
        lift: Sum of what they gain, losses against it.
        moved: Sum of what they gain or lose: stuffing can cost a film its place, and is stuffing all the same.
        keywords_added: Keywords added in all.
        film_ids: The films, the largest gain first.
    """

    studio: str
    edits: int
    lift: float
    moved: float
    keywords_added: int
    film_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditDiff:
    """What changed between two catalogues, and what it gains whom."""

    edits: tuple[Edit, ...]
    studios: tuple[StudioEdits, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "edits": [{**asdict(one), "fields": list(one.fields), "lift": one.lift} for one in self.edits],
            "studios": [{**asdict(one), "film_ids": list(one.film_ids)} for one in self.studios],
        }


def studio_of(film: Mapping[str, Any]) -> str:
    """Return a film's first studio."""
    studios = film[Film.STUDIOS]
    return studios[0] if len(studios) else UNKNOWN


def diff(before: pd.DataFrame, after: pd.DataFrame, *, sentinels: Sentinels | None = None) -> EditDiff:
    """Compare the films two catalogues share.

    Args:
        before: Columns `Film.ALL`.
        after: The later catalogue.
        sentinels: Tastes over ``before``; the usual ones when None.

    Returns:
        Every edit, the largest gain first, and the studios by how much exposure their edits moved.
    """
    old, new = before.reset_index(drop=True), after.reset_index(drop=True)
    place = {film: row for row, film in enumerate(old[Film.ID])}
    rows = np.array([place.get(film, -1) for film in new[Film.ID]], np.int64)
    hashes = np.append(film_hashes(old), "")
    changed = np.flatnonzero((rows >= 0) & (hashes[rows] != film_hashes(new)))
    if not len(changed):
        return EditDiff(edits=(), studios=())
    tastes = sentinels or Sentinels(old)
    was, now = old.iloc[rows[changed]].reset_index(drop=True), new.iloc[changed].reset_index(drop=True)
    fields = _changed_fields(was, now)
    own = rows[changed]
    first, last = tastes.hubs(was, own).exposure, tastes.hubs(now, own).exposure
    alone: list[dict[str, float]] = [{} for _ in changed]
    for name in sorted({one for row in fields for one in row}):
        at = np.array([row for row, names in enumerate(fields) if name in names], np.int64)
        only = was.iloc[at].copy()
        only[name] = now[name].iloc[at].to_numpy()
        gained = tastes.hubs(only.reset_index(drop=True), own[at]).exposure - first[at]
        for row, value in zip(at.tolist(), gained.tolist(), strict=True):
            alone[row][name] = value
    films = was.to_dict("records")
    edits = [
        Edit(film_id=film[Film.ID], title=title, studio=studio_of(film), fields=names, before=float(first[row]),
             after=float(last[row]), by_field=alone[row])
        for row, (film, title, names) in enumerate(zip(films, now[Film.TITLE], fields, strict=True))
    ]  # fmt: skip
    added = {film: len(set(words) - set(known)) for film, words, known in
             zip(now[Film.ID], now[Film.KEYWORDS], was[Film.KEYWORDS], strict=True)}  # fmt: skip
    ranked = tuple(sorted(edits, key=lambda one: (-one.lift, one.film_id)))
    return EditDiff(edits=ranked, studios=_by_studio(ranked, added))


def _changed_fields(was: pd.DataFrame, now: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = {name: list(zip(was[name], now[name], strict=True)) for name in EDITED}
    return [tuple(name for name in EDITED if columns[name][row][0] != columns[name][row][1]) for row in range(len(was))]


def _by_studio(edits: tuple[Edit, ...], added: Mapping[str, int]) -> tuple[StudioEdits, ...]:
    grouped: defaultdict[str, list[Edit]] = defaultdict(list)
    for one in edits:
        grouped[one.studio].append(one)
    studios = [
        StudioEdits(
            studio=name,
            edits=len(own),
            lift=sum(one.lift for one in own),
            moved=sum(abs(one.lift) for one in own),
            keywords_added=sum(added[one.film_id] for one in own),
            film_ids=tuple(one.film_id for one in own),
        )
        for name, own in grouped.items()
    ]
    return tuple(sorted(studios, key=lambda one: (-one.moved, one.studio)))
