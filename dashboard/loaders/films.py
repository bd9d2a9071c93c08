"""What *Film* shows: a film's facts, where they come from, its neighbours and who gets it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.loaders.engine import engine, stamp
from recommender.batch import who_gets as who_gets_film
from recommender.providers.reconcile import film_provenance
from workspace.columns import Film, Provenance
from workspace.errors import RecommendrError

NEIGHBOURS: Final = 10
_TTL: Final = dt.timedelta(minutes=10)
_TTL_LONG: Final = dt.timedelta(hours=6)
_BLOCKS_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmView:
    """A film as its page shows it.

    Args:
        facts: Label and value, the filled ones only.
        sources: Field, provider, date, agreement and what another provider said.
        neighbours: Film id, title, similarity and the blocks that make it.
    """

    film_id: str
    title: str
    summary: tuple[str, ...]
    tagline: str
    synopsis: str
    facts: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str, str, bool, str], ...]
    neighbours: tuple[tuple[str, str, float, str], ...]


def film(film_id: str) -> FilmView:
    """Return everything about one film.

    Raises:
        UnknownError: When it is not in the catalogue.
    """
    return _film(stamp(), film_id)


@st.cache_data(ttl=_TTL, max_entries=128, show_spinner=False)
def _film(stamped: str, film_id: str) -> FilmView:  # noqa: ARG001 - part of the cache's key
    catalogue = engine().catalogue
    row = dict(catalogue.films.iloc[catalogue.film_row(film_id)])
    shown = ((label, _said(row[column])) for column, label in words.FIELDS.items() if column != Film.TAGLINE)
    return FilmView(
        film_id=film_id,
        title=str(row[Film.TITLE]),
        summary=short_facts(row),
        tagline=str(row[Film.TAGLINE]),
        synopsis=str(row[Film.SYNOPSIS]),
        facts=tuple((label, value) for label, value in shown if value),
        sources=tuple(_source(one) for one in film_provenance(catalogue, film_id).to_dict("records")),
        neighbours=_neighbours(film_id),
    )


def _source(row: Mapping[str, Any]) -> tuple[str, str, str, bool, str]:
    name = str(row[Provenance.FIELD])
    return (
        words.FIELDS.get(name, name.replace("_", " ").capitalize()),
        str(row[Provenance.PROVIDER]),
        _said(row[Provenance.UPDATED_AT]),
        bool(row[Provenance.AGREED]),
        _said(row[Provenance.OTHER_VALUE]),
    )


def _neighbours(film_id: str) -> tuple[tuple[str, str, float, str], ...]:
    try:
        found = engine().neighbours(film_id, k=NEIGHBOURS)
    except RecommendrError:  # newer than the index: it has facts and no vector yet
        return ()
    return tuple(
        (str(one["film_id"]), str(one["title"]), float(one["similarity"]), _because(one["blocks"])) for one in found
    )


def _because(blocks: Mapping[str, float]) -> str:
    strongest = sorted(blocks.items(), key=lambda block: -block[1])[:_BLOCKS_NAMED]
    return ", ".join(f"{words.block(name)} {value:+.2f}" for name, value in strongest if value > 0)


def _said(value: object) -> str:
    """Return a cell in words; nothing for an empty one."""
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value)
    if pd.isna(value):
        return ""
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float):
        return f"{value:,.10g}"
    return str(value)


@st.cache_resource(ttl=_TTL_LONG, max_entries=2, show_spinner="Recommending for every user…")
def _every_slate(stamped: str) -> pd.DataFrame:  # noqa: ARG001 - part of the cache's key
    return engine().recommend_all()


def who_gets(film_id: str) -> dict[str, Any]:
    """Return how many users have the film among their five, by region; small counts are withheld."""
    return who_gets_film(_every_slate(stamp()), engine().catalogue, film_id)


@st.cache_data(ttl=_TTL_LONG, max_entries=2, show_spinner="Projecting the films…")
def _projection(stamped: str) -> pd.DataFrame:  # noqa: ARG001 - part of the cache's key
    return engine().projection()


def projection() -> pd.DataFrame:
    """Return every film as a point of the plane."""
    return _projection(stamp())


def search_titles(typed: str) -> dict[str, str]:
    """Return films by id whose title fits what was typed, as title and year."""
    found = engine().search_titles(typed, limit=20)
    return {film_id: title if year is None else f"{title} ({year})" for film_id, title, year in found}


def film_facts(film_id: str) -> Mapping[str, Any]:
    """Return a film's row, or nothing when the catalogue has moved on without it."""
    catalogue = engine().catalogue
    try:
        return dict(catalogue.films.iloc[catalogue.film_row(film_id)])
    except RecommendrError:
        return {}


def short_facts(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return year, length and age rating as far as they are known."""
    released, minutes, rating = (facts.get(name) for name in (Film.RELEASE_DATE, Film.RUNTIME_MIN, Film.AGE_RATING))
    known = (
        "" if pd.isna(released) else str(pd.Timestamp(released).year),
        "" if pd.isna(minutes) or not minutes else f"{int(minutes)} min",
        str(rating or ""),
    )
    return tuple(fact for fact in known if fact)
