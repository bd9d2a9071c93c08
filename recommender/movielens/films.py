"""Films from ``movies.csv``, completed by keywords and by what the film tables tell of them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

import numpy as np
import pandas as pd

from recommender.catalogue import QuarantineLog
from recommender.catalogue.tables import Table
from recommender.movielens.cells import NO_GENRES, parse_id, parse_list, parse_title
from recommender.movielens.details import IMDB_ID, MOVIE_ID, TMDB_ID, Details, Links
from workspace.columns import Film

TITLE: Final = "title"
GENRES: Final = "genres"
MOVIES_NEEDED: Final = (MOVIE_ID, TITLE, GENRES)
LINKS_NEEDED: Final = (MOVIE_ID, IMDB_ID, TMDB_ID)
KEYWORD_ID: Final = "id"
KEYWORDS: Final = "keywords"
KEYWORDS_NEEDED: Final = (KEYWORD_ID, KEYWORDS)

BAD_ID: Final = "movieId is not a whole number"
DOUBLE_ID: Final = "movieId occurs twice"
NO_TITLE: Final = "title missing"
NOT_IN_MOVIES: Final = "movieId is not in movies.csv"
KEYWORDS_OF_OTHERS: Final = "keywords of films that are not in this catalogue"
BROKEN_KEYWORDS: Final = "broken list of keywords"
DATES_DIFFER: Final = "release date contradicts the year in the title, which stands"
PROVIDER: Final = "movielens"
PROVIDER_WITH_DETAILS: Final = "movielens+tmdb+omdb"
_YEARS_APART: Final = 1

Row = dict[str, object]


def read_movies(table: Table, log: QuarantineLog) -> dict[str, Row]:
    """Return the films of ``movies.csv`` by id; rows without id or title and second rows of an id are refused."""
    films: dict[str, Row] = {}
    columns = (table.cells(MOVIE_ID), table.cells(TITLE), table.cells(GENRES))
    for number, raw_id, raw_title, raw_genres in zip(table.numbers, *columns, strict=True):
        film = parse_id(raw_id)
        text = log.clean(raw_title, table.name, number, raw_id, Film.TITLE)
        title, original, year = parse_title(text)
        reason = BAD_ID if not film else DOUBLE_ID if film in films else NO_TITLE if not title else ""
        if reason:
            log.refuse(table.name, number, raw_id, reason, raw_title)
            continue
        genres = [genre.strip() for genre in raw_genres.split("|")]
        genres = [log.clean(genre, table.name, number, raw_id, Film.GENRES) for genre in genres]
        films[film] = {
            Film.ID: film,
            Film.TITLE: title,
            Film.ORIGINAL_TITLE: original,
            Film.RELEASE_DATE: date(year, 1, 1) if year else None,
            Film.GENRES: list(dict.fromkeys(genre for genre in genres if genre and genre != NO_GENRES)),
        }
    return films


def read_links(table: Table, films: Mapping[str, Row], log: QuarantineLog) -> Links:
    """Return the identity of the films; links of films nobody knows and second links of a film are refused."""
    tmdb: dict[str, str] = {}
    imdb: dict[str, str] = {}
    seen: set[str] = set()
    columns = (table.cells(MOVIE_ID), table.cells(IMDB_ID), table.cells(TMDB_ID))
    for number, raw_id, raw_imdb, raw_tmdb in zip(table.numbers, *columns, strict=True):
        film = parse_id(raw_id)
        if film not in films or film in seen:
            log.refuse(table.name, number, raw_id, DOUBLE_ID if film in seen else NOT_IN_MOVIES)
            continue
        seen.add(film)
        for ids, raw in ((imdb, raw_imdb), (tmdb, raw_tmdb)):
            if other := parse_id(raw):
                ids[film] = other
    titles = {film: str(row[Film.TITLE]) for film, row in films.items()}
    return Links(titles=titles, tmdb=tmdb, imdb=imdb)


def read_keywords(table: Table, links: Links, log: QuarantineLog) -> tuple[dict[str, list[str]], int, int]:
    """Return the keywords by film, lower case, several rows of a film united.

    Returns:
        The keywords by MovieLens id, the number of rows merged into another, and the number of rows about films that
        are not in the catalogue.
    """
    found: dict[str, dict[str, None]] = {}
    merged = others = 0
    for number, raw_id, cell in zip(table.numbers, table.cells(KEYWORD_ID), table.cells(KEYWORDS), strict=True):
        films = links.by_tmdb.get(parse_id(raw_id), [])
        if not films:
            others += 1
            continue
        words = parse_list(cell)
        if words is None:
            log.refuse(table.name, number, raw_id, BROKEN_KEYWORDS, cell)
            continue
        merged += any(film in found for film in films)
        cleaned = [log.clean(word.lower(), table.name, number, raw_id, Film.KEYWORDS) for word in words]
        for film in films:
            found.setdefault(film, {}).update(dict.fromkeys(filter(None, cleaned)))
    return {film: list(words) for film, words in found.items()}, merged, others


def film_frame(
    films: Mapping[str, Row],
    details: Mapping[str, Details],
    keywords: Mapping[str, list[str]],
    *,
    updated_at: datetime,
    source: str,
    log: QuarantineLog,
) -> pd.DataFrame:
    """Return the films as a frame.

    Args:
        films: Rows of ``movies.csv`` by id.
        details: What the film tables tell, by id.
        keywords: Keywords of the keyword file, by id.
        updated_at: When the data was last touched.
        source: What to call the film tables in the quarantine.
        log: Where repairs go.

    Returns:
        One row a film with the columns `Film.ALL`.
    """
    rows = []
    for film, base in films.items():
        told = dict(details.get(film, {}))
        row: Row = {**_blank(updated_at), **base}
        row[Film.RELEASE_DATE] = _release(film, base, told, source, log)
        if base[Film.GENRES]:
            # One vocabulary of genres: the tables' own words (Biography, Sport) only where MovieLens has none.
            told.pop(Film.GENRES, None)
        own = [word.lower() for word in told.pop(Film.KEYWORDS, [])]
        row[Film.KEYWORDS] = list(dict.fromkeys([*keywords.get(film, []), *own]))
        row[Film.COLLECTION] = next(iter(told.pop(Film.COLLECTION, [])), "")
        told.pop(Film.RELEASE_DATE, None)
        for name in Film.LISTS:
            if name in told:
                told[name] = list(dict.fromkeys(told[name]))
        row[Film.PROVIDER] = PROVIDER_WITH_DETAILS if film in details else PROVIDER
        rows.append({**row, **told})
    frame = pd.DataFrame(rows, columns=list(Film.ALL))
    frame[Film.RELEASE_DATE] = pd.to_datetime(frame[Film.RELEASE_DATE])
    return frame


def _blank(updated_at: datetime) -> Row:
    numbers = (Film.RUNTIME_MIN, Film.MINIMUM_AGE, Film.POPULARITY, Film.VOTE_AVERAGE, Film.VOTE_COUNT)
    return {
        **dict.fromkeys(Film.TEXTS, ""),
        **{name: [] for name in Film.LISTS},
        **dict.fromkeys(numbers, np.nan),
        Film.UPDATED_AT: updated_at,
    }


def _release(film: str, base: Row, told: Details, source: str, log: QuarantineLog) -> object:
    """Return the day of the tables when it fits the year in the title, else the first of January of that year."""
    day, from_title = told.get(Film.RELEASE_DATE), base[Film.RELEASE_DATE]
    if day is None or not isinstance(from_title, date):
        return day or from_title
    if abs(day.year - from_title.year) > _YEARS_APART:
        log.repair(source, 0, film, Film.RELEASE_DATE, DATES_DIFFER, f"{day} for {from_title.year}")
        return from_title
    return day
