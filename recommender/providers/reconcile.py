"""Two or more feeds to one set of films: who may serve, what each film is, and what became of everything else."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from recommender.catalogue import (
    Catalogue,
    QuarantineLog,
    build_catalogue,
    conform_films,
    conform_provenance,
    empty_provenance,
    screen_interactions,
)
from recommender.providers.feeds import Provider, ProviderFailure, ProviderFeed, fetch_all
from recommender.providers.rules import SEPARATOR, decide
from recommender.providers.screening import FIELDS, ScreenedFeed, screen_feed
from workspace.clock import Clock
from workspace.columns import Film, Provenance
from workspace.errors import SchemaError, StateError

STALE_AFTER: Final = timedelta(days=1)
SMALLEST_SHARE: Final = 0.7
STALE: Final = "stale"
WITHDRAWN: Final = "no provider delivers this film any more"
PREVIOUS: Final = "previous snapshot"
EVENTS: Final = "film events"
"""Provider of a film that only an event has told of so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """Whether a provider served and if not, why.

    Args:
        provider: Its name.
        ok: Whether its feed was fit to serve.
        served: Whether its feed was used; a stale one is when there is no better.
        updated_at: Moment of the feed, ISO 8601; empty when there was none.
        rows: Rows delivered.
        films: Films that passed.
        reason: Why it is not ok.
        last_good_films: Films that passed when it last was ok; what a truncated feed is measured by.
    """

    provider: str
    ok: bool
    served: bool
    updated_at: str = ""
    rows: int = 0
    films: int = 0
    reason: str = ""
    last_good_films: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return {"provider": self.provider, "ok": self.ok, "served": self.served, "updated_at": self.updated_at,
                "rows": self.rows, "films": self.films, "reason": self.reason,
                "last_good_films": self.last_good_films}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The films the providers agree on, and the account of how.

    Args:
        films: Columns `Film.ALL`.
        quarantine: Rows refused and fields repaired, by provider.
        provenance: Columns `Provenance.ALL`: fields on which providers differ, or only one of several spoke. A field
            without a row was stated alike by all providers of the film.
        status: One entry a provider, in the order given.
        carried: Films kept from the previous snapshot because a provider of theirs could not serve.
    """

    films: pd.DataFrame
    quarantine: pd.DataFrame
    provenance: pd.DataFrame
    status: tuple[ProviderStatus, ...]
    carried: int


def reconcile(
    feeds: Sequence[ProviderFeed | ProviderFailure],
    previous: Catalogue | None = None,
    *,
    now: datetime,
    accept_smaller: Container[str] = (),
) -> Reconciled:
    """Bring independent feeds together, field by field.

    A provider that is down, stale for more than a day, truncated (it delivers less than 70 % of the films it had
    when it last was ok) or without a needed column does not serve; the others do, and its own films are carried
    over from the previous snapshot. When nobody is fit, stale feeds serve before nobody does.

    Args:
        feeds: What the providers delivered; the first is preferred among statements of the same moment.
        previous: The last catalogue.
        now: The present moment.
        accept_smaller: Providers whose feed may shrink by more, because someone looked and it is right.

    Returns:
        The films with quarantine, provenance and status.

    Raises:
        StateError: When no provider can serve; the last snapshot then stays what it is.
    """
    log = QuarantineLog()
    screened, status = _screen(feeds, previous, accept_smaller, now, log)
    serving = [feed for feed, state in zip(screened, status, strict=True) if feed is not None and state.served]
    if not serving:
        reasons = "; ".join(f"{state.provider}: {state.reason}" for state in status)
        raise StateError(f"no provider can serve ({reasons or 'there is none'})", hint="the last snapshot stays in use")
    rows, origins = _decide_all(serving)
    kept, kept_origins, carried = _carry(previous, rows, status, log)
    frames = [quarantine for feed in feeds if isinstance(feed, ProviderFeed)
              if (quarantine := feed.quarantine) is not None and len(quarantine)]  # fmt: skip
    return Reconciled(
        films=_together([film_frame(rows), kept]),
        quarantine=_together([*frames, log.frame()]),
        provenance=conform_provenance(_together([origins, kept_origins])),
        status=tuple(status),
        carried=carried,
    )


def import_providers(
    providers: Sequence[Provider],
    users: pd.DataFrame,
    interactions: pd.DataFrame,
    *,
    clock: Clock,
    previous: Catalogue | None = None,
    accept_smaller: Container[str] = (),
    manifest: Mapping[str, Any] | None = None,
) -> Catalogue:
    """Fetch from all providers and build a catalogue with these users and interactions.

    Args:
        providers: The sources of films, the preferred first.
        users: Columns `User.ALL`.
        interactions: Columns `Interaction.ALL`; those of unknown users or films go to quarantine.
        clock: Tells what is stale and what is in the future.
        previous: The last catalogue, for failover and to notice truncated feeds.
        accept_smaller: As for `reconcile`.
        manifest: Further facts to keep.

    Returns:
        The catalogue; ``manifest["providers"]`` says who served and why not.

    Raises:
        StateError: When no provider can serve.
        SchemaError: When the users or interactions are not what they must be.
    """
    now = clock.now()
    found = reconcile(fetch_all(providers), previous, now=now, accept_smaller=accept_smaller)
    log = QuarantineLog()
    screened = screen_interactions(interactions, found.films, users, now=now, source="interactions", log=log)
    facts = {
        "source": "providers",
        "imported_at": now.isoformat(),
        "providers": [state.to_dict() for state in found.status],
        "carried_over": found.carried,
        **(manifest or {}),
    }
    quarantine = _together([found.quarantine, log.frame()])
    return build_catalogue(found.films, users, screened, quarantine, found.provenance, facts)


def film_provenance(catalogue: Catalogue, film_id: str) -> pd.DataFrame:
    """Return where every filled field of a film comes from, also those on which all its providers agree.

    Args:
        catalogue: Where the film is.
        film_id: Which.

    Returns:
        Columns `Provenance.ALL`, one row a filled field.

    Raises:
        UnknownError: When there is no such film.
    """
    film = catalogue.films.iloc[catalogue.film_row(film_id)]
    stated = catalogue.provenance[catalogue.provenance[Provenance.FILM] == film_id]
    explicit = {row[Provenance.FIELD]: row for row in stated.to_dict("records")}
    rows = []
    for name in FIELDS:
        value = film[name]
        filled = len(value) > 0 if isinstance(value, str | list) else pd.notna(value)
        if name in explicit:
            rows.append(explicit[name])
        elif filled:
            rows.append(_origin(film_id, name, film[Film.PROVIDER], film[Film.UPDATED_AT]))
    return conform_provenance(pd.DataFrame(rows, columns=list(Provenance.ALL)))


def _screen(
    feeds: Sequence[ProviderFeed | ProviderFailure],
    previous: Catalogue | None,
    accept_smaller: Container[str],
    now: datetime,
    log: QuarantineLog,
) -> tuple[list[ScreenedFeed | None], list[ProviderStatus]]:
    screened: list[ScreenedFeed | None] = []
    status: list[ProviderStatus] = []
    before = {entry["provider"]: entry for entry in previous.manifest.get("providers", ())} if previous else {}
    for feed in feeds:
        found: ScreenedFeed | None = None
        reason = feed.reason if isinstance(feed, ProviderFailure) else ""
        last_good = int(before.get(feed.provider, {}).get("last_good_films", 0))
        if isinstance(feed, ProviderFeed):
            try:
                found = screen_feed(feed, now=now, log=log)
            except SchemaError as error:
                reason = f"schema: {error}"
            else:
                reason = _unfit(found, 0 if feed.provider in accept_smaller else last_good, now)
        screened.append(found)
        status.append(_state(feed, found, reason, last_good))
    if not any(state.ok for state in status):
        # Better films that are a day old than none.
        status = [replace(state, served=state.reason.startswith(STALE)) for state in status]
    return screened, status


def _state(
    feed: ProviderFeed | ProviderFailure, found: ScreenedFeed | None, reason: str, last_good: int
) -> ProviderStatus:
    films = len(found.films) if found else 0
    return ProviderStatus(
        provider=feed.provider,
        ok=not reason,
        served=not reason,
        updated_at=feed.updated_at.isoformat() if isinstance(feed, ProviderFeed) else "",
        rows=len(feed.frame) if isinstance(feed, ProviderFeed) else 0,
        films=films,
        reason=reason,
        last_good_films=last_good if reason else films,
    )


def _unfit(found: ScreenedFeed, last_good: int, now: datetime) -> str:
    """Return why a feed that could be read is not fit to serve, or an empty text."""
    if not found.films:
        return "truncated: no film passed"
    if len(found.films) < SMALLEST_SHARE * last_good:
        return f"truncated: {len(found.films)} films after {last_good}"
    if now - found.updated_at > STALE_AFTER:
        return f"{STALE}: last update {found.updated_at.isoformat()}"
    return ""


def _decide_all(serving: Sequence[ScreenedFeed]) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    order = [feed.provider for feed in serving]
    ids = dict.fromkeys(film for feed in serving for film in feed.films)
    rows, origins = [], []
    for film in ids:
        stated = {feed.provider: feed.films[film] for feed in serving if film in feed.films}
        decisions = decide(stated, order)
        row = {name: decision.value for name, decision in decisions.items()}
        row[Film.ID] = film
        row[Film.PROVIDER] = SEPARATOR.join(sorted(stated))
        row[Film.UPDATED_AT] = max(facts[Film.UPDATED_AT] for facts in stated.values())
        rows.append(row)
        if len(stated) > 1:
            origins += [
                (film, name, d.provider, d.updated_at, d.agreed, d.other_value)
                for name, d in decisions.items()
                if not d.agreed or sum(name in facts for facts in stated.values()) < len(stated)
            ]
    return rows, pd.DataFrame(origins, columns=list(Provenance.ALL))


def _carry(
    previous: Catalogue | None, rows: Sequence[Mapping[str, Any]], status: Sequence[ProviderStatus], log: QuarantineLog
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return the films, with their provenance, of providers that could not serve now; note those withdrawn."""
    if previous is None:
        return conform_films(film_frame([])), empty_provenance(), 0
    delivered = {row[Film.ID] for row in rows}
    silent = {state.provider for state in status if not state.served}
    missing = previous.films[~previous.films[Film.ID].isin(delivered)]
    carried = missing[Film.PROVIDER].map(lambda names: not silent.isdisjoint(names.split(SEPARATOR))).astype(bool)
    # A film that an event brought after the feeds were made can't be in them yet.
    newest = max((state.updated_at for state in status if state.served), default="")
    if newest:
        carried |= (missing[Film.PROVIDER] == EVENTS) & (missing[Film.UPDATED_AT] > pd.Timestamp(newest))
    for row, film in missing.loc[~carried, Film.ID].items():
        log.refuse(PREVIOUS, int(str(row)) + 1, film, WITHDRAWN)
    kept = missing[carried]
    origins = previous.provenance[previous.provenance[Provenance.FILM].isin(set(kept[Film.ID]))]
    return kept, origins, len(kept)


def film_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return films that passed the door as a frame by the film contract; what a row does not state is empty."""
    numbers = (Film.RUNTIME_MIN, Film.MINIMUM_AGE, Film.POPULARITY, Film.VOTE_AVERAGE, Film.VOTE_COUNT)
    columns: dict[str, Any] = {}
    for name in Film.ALL:
        blank: Any = [] if name in Film.LISTS else np.nan if name in numbers else None
        columns[name] = pd.Series([row.get(name, blank) for row in rows],
                                  dtype="float64" if name in numbers else object)  # fmt: skip
    return conform_films(pd.DataFrame(columns), "films of the providers")


def _origin(film_id: str, name: str, provider: str, updated_at: datetime) -> dict[str, Any]:
    values = (film_id, name, provider, updated_at, True, "")
    return dict(zip(Provenance.ALL, values, strict=True))


def _together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0].reset_index(drop=True)
