"""TMDB and OMDb film tables: joined to the films of ``movies.csv``, rows about the same film merged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from recommender.catalogue import QuarantineLog
from recommender.catalogue.tables import Table
from recommender.catalogue.texts import folded
from recommender.movielens.cells import parse_age_rating, parse_date, parse_id, parse_list, parse_number
from workspace.columns import Film

MOVIE_ID: Final = "movieId"
TMDB_ID: Final = "tmdbId"
IMDB_ID: Final = "imdbId"
TITLE_CELL: Final = "Movie_Name"
IMDB_CELL: Final = "Movie_imdb_id"
NEEDED: Final = (MOVIE_ID, TMDB_ID, TITLE_CELL)

NO_IDENTIFIER: Final = "no identifier"
NOT_IN_MOVIES: Final = "movieId is not in movies.csv"
NOT_IN_LINKS: Final = "tmdbId is not in links.csv"
IMDB_NOT_IN_LINKS: Final = "only an imdbId, and it names no film of links.csv with this title"
CONTRADICTS_LINKS: Final = "tmdbId contradicts links.csv"
BROKEN_LIST: Final = "broken list, left empty"
BROKEN_NUMBER: Final = "not a number or out of range, left empty"
BROKEN_DATE: Final = "not a date, left empty"
UNKNOWN_RATING: Final = "unknown age rating, left empty"

# Where a field is read from, the first filled cell wins. The column "rating" of these tables is the mean of
# MovieLens' own ratings, test ratings of an evaluation included: it is never read.
TEXT_CELLS: Final[Mapping[str, tuple[str, ...]]] = {
    Film.SYNOPSIS: ("Movie_Overview", "Plot"),
    Film.TAGLINE: ("Movie_Tagline",),
}
LIST_CELLS: Final[Mapping[str, str]] = {
    Film.GENRES: "Movie_Genres",
    Film.KEYWORDS: "Movie_Keywords",
    Film.CAST: "Movie_Actors",
    Film.DIRECTORS: "Movie_Director",
    Film.WRITERS: "Movie_Writer",
    Film.STUDIOS: "Movie_Companies",
    Film.COLLECTION: "Movie_Collection",
}
NUMBER_CELLS: Final[Mapping[str, tuple[str, float, float]]] = {
    Film.RUNTIME_MIN: ("Movie_Length", 1, 1500),
    Film.POPULARITY: ("TMDB_popularity", 0, 1e6),
    Film.VOTE_AVERAGE: ("Movie_VoteAvg", 0, 10),
    Film.VOTE_COUNT: ("imdbVotes", 0, 1e9),
}
DATE_CELL: Final = "Movie_Date"
RATED_CELL: Final = "Rated"

Details = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What ``movies.csv`` and ``links.csv`` say about identity.

    Args:
        titles: MovieLens id to title.
        tmdb: MovieLens id to TMDB id.
        imdb: MovieLens id to IMDb id.
    """

    titles: Mapping[str, str]
    tmdb: Mapping[str, str]
    imdb: Mapping[str, str]
    by_tmdb: dict[str, list[str]] = field(init=False)
    by_imdb: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_tmdb", _inverse(self.tmdb))
        object.__setattr__(self, "by_imdb", _inverse(self.imdb))


def _inverse(mapping: Mapping[str, str]) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for key, value in mapping.items():
        result.setdefault(value, []).append(key)
    return result


@dataclass(slots=True)
class DetailsReader:
    """Gathers what the film tables say of each film.

    Args:
        links: The identity of the films.
        log: Where refusals and repairs go.
    """

    links: Links
    log: QuarantineLog
    _found: dict[str, list[Details]] = field(default_factory=dict)

    def read(self, table: Table) -> tuple[int, int]:
        """Take in a table.

        Returns:
            The number of rows loaded, and how many of them told of a film that had a row already.
        """
        rows = _Rows(table)
        loaded = merged = 0
        for at, number in enumerate(table.numbers):
            films, reason = self._identify(rows, at)
            if not films:
                self.log.refuse(table.name, number, rows.key(at), reason, rows.cell(TITLE_CELL, at))
                continue
            details = self._details(rows, at, number)
            loaded += 1
            merged += any(film in self._found for film in films)
            for film in films:
                self._found.setdefault(film, []).append(details)
        return loaded, merged

    def merged(self) -> dict[str, Details]:
        """Return one row a film: field by field from the most complete row that has it, earlier files first."""
        result = {}
        for film, rows in self._found.items():
            ranked = sorted(rows, key=lambda row: -len(row))
            result[film] = {name: value for row in reversed(ranked) for name, value in row.items()}
        return result

    def _identify(self, rows: "_Rows", at: int) -> tuple[list[str], str]:
        movie, tmdb, imdb = (parse_id(rows.cell(column, at)) for column in (MOVIE_ID, TMDB_ID, IMDB_CELL))
        links = self.links
        if movie:
            if movie not in links.titles:
                return [], NOT_IN_MOVIES
            stated = links.tmdb.get(movie)
            return ([], CONTRADICTS_LINKS) if tmdb and stated and tmdb != stated else ([movie], "")
        if tmdb:
            return links.by_tmdb.get(tmdb, []), NOT_IN_LINKS
        if imdb:
            # These tables have lost digits of some IMDb ids, so that the id alone proves nothing.
            title = folded(rows.cell(TITLE_CELL, at))
            return [m for m in links.by_imdb.get(imdb, []) if folded(links.titles[m]) == title], IMDB_NOT_IN_LINKS
        return [], NO_IDENTIFIER

    def _details(self, rows: "_Rows", at: int, number: int) -> Details:
        details: Details = {}
        key = rows.key(at)

        def clean(text: str, name: str) -> str:
            return self.log.clean(text, rows.source, number, key, name)

        def parsed(parse: Callable[[str], Any], name: str, column: str, reason: str) -> Any:  # noqa: ANN401 - any cell
            text = rows.cell(column, at).strip()
            value = parse(text) if text else None
            if text and value is None:
                self.log.repair(rows.source, number, key, name, reason, text)
            return value

        for name, columns in TEXT_CELLS.items():
            texts = (rows.cell(column, at).strip() for column in columns)
            details[name] = clean(next(filter(None, texts), ""), name)
        for name, column in LIST_CELLS.items():
            details[name] = [clean(value, name) for value in parsed(parse_list, name, column, BROKEN_LIST) or ()]
        for name, (column, low, high) in NUMBER_CELLS.items():
            details[name] = parsed(partial(_bounded, low=low, high=high), name, column, BROKEN_NUMBER)
        details[Film.RELEASE_DATE] = parsed(parse_date, Film.RELEASE_DATE, DATE_CELL, BROKEN_DATE)
        rating = parsed(parse_age_rating, Film.AGE_RATING, RATED_CELL, UNKNOWN_RATING)
        details[Film.AGE_RATING], details[Film.MINIMUM_AGE] = rating or ("", None)
        return {name: value for name, value in details.items() if value not in (None, "", [])}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Cells of a table by row, whatever columns it has."""

    table: Table

    @property
    def source(self) -> str:
        return self.table.name

    def cell(self, column: str, at: int) -> str:
        cells = self.table.columns.get(column)
        return cells[at] if cells else ""

    def key(self, at: int) -> str:
        """Return the id as found, the MovieLens one before the others."""
        return next(filter(None, (self.cell(c, at).strip() for c in (MOVIE_ID, TMDB_ID, IMDB_CELL))), "")


def _bounded(text: str, low: float, high: float) -> float | None:
    value = parse_number(text)
    return value if value is not None and low <= value <= high else None
