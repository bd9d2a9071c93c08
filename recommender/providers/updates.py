"""Single films that changed between two daily deliveries, laid over the catalogue through the same door as a feed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from recommender.catalogue import Catalogue, QuarantineLog, build_catalogue
from recommender.providers.feeds import ProviderFeed
from recommender.providers.reconcile import EVENTS, film_frame
from recommender.providers.screening import FIELDS, screen_feed
from workspace.columns import Film, Quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmUpdate:
    """What an event says of a film; fields it does not state stay what they are.

    Args:
        film: By the columns of `Film`; the id is needed, and of a new film title, release date and genres.
        at: When it changed; aware.
    """

    film: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """A catalogue after some updates.

    Args:
        catalogue: The new state, or the old one when nothing changed.
        outcomes: For each update, in the order given: empty when it was taken, else why it was not.
    """

    catalogue: Catalogue
    outcomes: tuple[str, ...]


def update_films(catalogue: Catalogue, updates: Sequence[FilmUpdate], *, now: datetime) -> Updated:
    """Lay updates over a catalogue, the oldest first.

    Args:
        catalogue: What is current.
        updates: What changed, in any order; one that is older than what the catalogue knows changes nothing.
        now: The present moment.

    Returns:
        The catalogue with the updates that could be taken, and what became of each.
    """
    rows: dict[str, dict[str, Any]] = {}
    outcomes = [""] * len(updates)
    for at in sorted(range(len(updates)), key=lambda one: updates[one].at):
        film_id = str(updates[at].film.get(Film.ID) or "").strip()
        before = rows.get(film_id) or _row(catalogue, film_id)
        outcomes[at] = _refusal(before, updates[at], now)
        if not outcomes[at]:
            row, outcomes[at] = _screened(before, updates[at], now)
            if row is not None:
                rows[film_id] = row
    if not rows:
        return Updated(catalogue=catalogue, outcomes=tuple(outcomes))
    kept = catalogue.films[~catalogue.films[Film.ID].isin(rows)]
    films = pd.concat([kept, film_frame(list(rows.values()))], ignore_index=True)
    changed = build_catalogue(
        films, catalogue.users, catalogue.interactions, catalogue.quarantine, catalogue.provenance, catalogue.manifest
    )
    return Updated(catalogue=changed, outcomes=tuple(outcomes))


def _refusal(before: Mapping[str, Any] | None, update: FilmUpdate, now: datetime) -> str:
    if update.at > now + pd.Timedelta(days=1):
        return f"{Film.UPDATED_AT} lies in the future"
    known = None if before is None else before.get(Film.UPDATED_AT)
    if known is not None and not pd.isna(known) and pd.Timestamp(update.at) < pd.Timestamp(known):
        return "older than what the catalogue knows"
    return ""


def _screened(before: Mapping[str, Any] | None, update: FilmUpdate, now: datetime) -> tuple[dict[str, Any] | None, str]:
    stated = {name: update.film[name] for name in (Film.ID, *FIELDS) if name in update.film}
    row: dict[str, Any] = {Film.TITLE: None, Film.RELEASE_DATE: None, Film.GENRES: None}
    row |= {name: value for name, value in (before or {}).items() if name in (Film.ID, *FIELDS)}
    row |= stated | {Film.UPDATED_AT: update.at}
    log = QuarantineLog()
    feed = ProviderFeed(provider=EVENTS, frame=pd.DataFrame([row], dtype=object), updated_at=update.at)
    found = screen_feed(feed, now=now, log=log).films
    complaints = log.frame()
    if not found:
        return None, str(complaints[Quarantine.REASON].iloc[0])
    film_id, facts = next(iter(found.items()))
    # In a feed a field that can't be read is left empty; here it would wipe out what is known, so all is refused.
    for name in stated:
        if name not in (Film.ID, *facts) and (complaints[Quarantine.FIELD] == name).any():
            reason = complaints.loc[complaints[Quarantine.FIELD] == name, Quarantine.REASON].iloc[0]
            return None, f"{name}: {reason}"
    provider = EVENTS if before is None else before[Film.PROVIDER]
    return {Film.ID: film_id, Film.PROVIDER: provider, **facts}, ""


def _row(catalogue: Catalogue, film_id: str) -> dict[str, Any] | None:
    rows = np.flatnonzero(catalogue.films[Film.ID].to_numpy() == film_id)
    return None if not len(rows) else dict(catalogue.films.iloc[rows[0]])
