"""What *Recommendations* shows: a request, its slate, and every question about it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.loaders.engine import engine, stamp
from dashboard.loaders.films import film_facts, short_facts
from recommender.answers import Explanation, Replay, Sensitivity, WhatIf, WhyNot
from recommender.index import current_version, list_versions
from recommender.rules import Filters
from recommender.slates import Slate, SlateItem
from workspace import logs
from workspace.columns import Film, User
from workspace.errors import RecommendrError

K: Final = 5
_USERS_OFFERED: Final = 200
_TTL: Final = dt.timedelta(minutes=2)
_REASONS: Final = 3
SAME_SCORE: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for recommendations; None stands for the default."""

    user_id: str
    region: str | None = None
    on: dt.date | None = None
    version: str | None = None
    filters: Filters = field(default_factory=Filters)

    def is_answered_by(self, slate: Slate, *, today: dt.date, home_region: str, current: str | None) -> bool:
        """Say whether a logged slate was made under these very conditions."""
        return (
            slate.user_id == self.user_id
            and slate.filters == self.filters
            and slate.k == K
            and slate.region == (self.region or home_region)
            and slate.on == (self.on or today)
            and slate.index_version == (self.version or current)
        )

    def is_explicitly_answered_by(self, slate: Slate) -> bool:
        """Say whether a logged slate contradicts nothing asked for; a link's defaults were those of its day."""
        return (
            slate.user_id == self.user_id
            and slate.filters == self.filters
            and self.region in (None, slate.region)
            and self.on in (None, slate.on)
            and self.version in (None, slate.index_version)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the controls offer."""

    users: tuple[str, ...]
    regions: tuple[str, ...]
    genres: tuple[str, ...]
    languages: tuple[str, ...]
    ages: tuple[int, ...]
    versions: tuple[str, ...]
    current: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmCard:
    """A recommended film as a card shows it."""

    film_id: str
    rank: int
    title: str
    facts: tuple[str, ...]
    genres: tuple[str, ...]
    synopsis: str
    score: float
    reasons: tuple[tuple[str, float], ...]


def choices() -> Choices:
    """Return what the controls of the request offer."""
    return _choices(stamp())


@st.cache_data(ttl=_TTL, max_entries=4, show_spinner=False)
def _choices(stamped: str) -> Choices:  # noqa: ARG001 - part of the cache's key
    opened = engine()
    films, users = opened.catalogue.films, opened.catalogue.users
    ages = pd.to_numeric(films[Film.MINIMUM_AGE]).dropna().unique()
    return Choices(
        users=tuple(opened.user_ids(limit=_USERS_OFFERED)),
        regions=tuple(sorted(str(region) for region in users[User.REGION].unique())),
        genres=tuple(sorted(_names(films[Film.GENRES]))),
        languages=tuple(sorted(_names(films[Film.LANGUAGES]))),
        ages=tuple(sorted(int(age) for age in ages)),
        versions=tuple(manifest.version for manifest in reversed(list_versions(opened.paths))),
        current=current_version(opened.paths),
    )


def _names(cells: "pd.Series[Any]") -> set[str]:
    return {str(name) for cell in cells for name in cell}


def home_region(user_id: str) -> str:
    """Return a user's own region.

    Raises:
        UnknownError: When nobody has this id.
    """
    opened = engine()
    return opened.desk(opened.view()).region(user_id, None)


def user_matches(prefix: str) -> list[str]:
    """Return user ids that begin with what was typed."""
    return engine().user_ids(prefix, limit=_USERS_OFFERED)


def make_slate(asked: Asked) -> Slate:
    """Recommend, and log it: from now on these films were shown."""
    with logs.transaction(), logs.hop("console"):
        return engine().recommend(
            asked.user_id, k=K, filters=asked.filters, region=asked.region, on=asked.on, version=asked.version
        )


def slate(slate_id: str) -> Slate:
    """Return a logged slate."""
    return engine().slate(slate_id)


def latest_slate(asked: Asked) -> Slate | None:
    """Return the newest slate of the user, when it answers what is asked today."""
    opened = engine()
    found = opened.slates_of(asked.user_id, limit=1)
    today = dt.datetime.now(dt.UTC).date()
    current = current_version(opened.paths)
    region = home_region(asked.user_id)
    fits = found and asked.is_answered_by(found[0], today=today, home_region=region, current=current)
    return found[0] if fits else None


def recent_slates(user_id: str) -> list[Slate]:
    """Return a user's newest slates."""
    return engine().slates_of(user_id, limit=10)


def cards(shown: Slate) -> tuple[FilmCard, ...]:
    """Return a slate's films with their facts and reasons."""
    return _cards(stamp(), shown.slate_id)


@st.cache_data(ttl=_TTL, max_entries=64, show_spinner=False)
def _cards(stamped: str, slate_id: str) -> tuple[FilmCard, ...]:  # noqa: ARG001 - part of the cache's key
    shown = slate(slate_id)
    return tuple(_card(item, shown) for item in shown.items)


def _card(item: SlateItem, shown: Slate) -> FilmCard:
    facts = film_facts(item.film_id)
    return FilmCard(
        film_id=item.film_id,
        rank=item.rank,
        title=item.title,
        facts=short_facts(facts),
        genres=tuple(facts.get(Film.GENRES, ())),
        synopsis=str(facts.get(Film.SYNOPSIS, "")),
        score=item.score,
        reasons=_reasons(item, shown),
    )


def _reasons(item: SlateItem, shown: Slate) -> tuple[tuple[str, float], ...]:
    """Return the strongest reasons in words, of the score as it was logged."""
    named: list[tuple[str, float]] = []
    try:
        told = explanation(shown, item.film_id)
        if abs(told.score - item.score) < SAME_SCORE:
            named = [(words.feature(term.block, term.feature), term.value) for term in told.features]
    except RecommendrError:
        named = []
    if not named:  # the history has moved on since: the logged blocks still tell the truth
        named = [(words.block(name), value) for name, value in item.contributions.items()]
    return tuple(sorted((term for term in named if term[1] > 0), key=lambda term: -term[1])[:_REASONS])


def explanation(shown: Slate, film_id: str) -> Explanation:
    """Explain any film's score for a slate's user, date, region and version."""
    return _explanation(stamp(), shown.user_id, film_id, shown.on, shown.region, shown.index_version)


@st.cache_data(ttl=_TTL, max_entries=256, show_spinner=False)
def _explanation(stamped: str, user_id: str, film_id: str, on: dt.date, region: str, version: str) -> Explanation:  # noqa: ARG001
    return engine().explain(user_id, film_id, on=on, region=region, version=version)


def history(shown: Slate) -> pd.DataFrame:
    """Return the user's history as of the slate's date."""
    return engine().history(shown.user_id, on=shown.on)


def what_if(shown: Slate, without: Sequence[str]) -> WhatIf:
    """Recommend again without some films of the history; nothing is logged."""
    return engine().what_if(
        shown.user_id, list(without), k=K, filters=shown.filters, region=shown.region, on=shown.on,
        version=shown.index_version,
    )  # fmt: skip


def sensitivities(shown: Slate, film_id: str, *, pairs: bool) -> list[Sensitivity]:
    """Return what removing each history film, or each pair, does to a film."""
    return engine().sensitivities(
        shown.user_id, film_id, pairs=pairs, on=shown.on, region=shown.region, version=shown.index_version
    )


def why_not(shown: Slate, film_id: str) -> WhyNot:
    """Return why a film is not in a slate."""
    return engine().why_not(
        shown.user_id, film_id, k=K, filters=shown.filters, region=shown.region, on=shown.on,
        version=shown.index_version,
    )  # fmt: skip


def raw_vectors(shown: Slate, film_id: str) -> pd.DataFrame:
    """Return the numbers whose products add up to a score."""
    return engine().raw_vectors(shown.user_id, film_id, on=shown.on, region=shown.region, version=shown.index_version)


def under_version(shown: Slate, version: str) -> Slate:
    """Return what another version would recommend under a slate's conditions; nothing is logged."""
    return engine().recommend(
        shown.user_id, k=K, filters=shown.filters, region=shown.region, on=shown.on, version=version, seed=shown.seed,
        log=False,
    )  # fmt: skip


def replay(slate_id: str) -> Replay:
    """Make a logged slate again from what was logged."""
    return engine().replay(slate_id)
