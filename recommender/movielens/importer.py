"""A folder in the MovieLens layout to a catalogue, every row of every file accounted for."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from recommender.catalogue import Catalogue, QuarantineLog, build_catalogue
from recommender.catalogue.tables import Progress, Table, read_table
from recommender.movielens.cells import parse_id
from recommender.movielens.details import NEEDED as DETAILS_NEEDED
from recommender.movielens.details import Details, DetailsReader, Links
from recommender.movielens.films import (
    KEYWORDS_NEEDED,
    KEYWORDS_OF_OTHERS,
    LINKS_NEEDED,
    MOVIES_NEEDED,
    NOT_IN_MOVIES,
    Row,
    film_frame,
    read_keywords,
    read_links,
    read_movies,
)
from recommender.movielens.ratings import MARKET, REGION, read_ratings, users_of
from recommender.movielens.ratings import NEEDED as RATINGS_NEEDED
from recommender.movielens.report import FileReport
from workspace.clock import Clock
from workspace.columns import Film, Interaction
from workspace.errors import SchemaError

RATINGS: Final = "ratings.csv"
MOVIES: Final = "movies.csv"
LINKS: Final = "links.csv"
TAGS: Final = "tags.csv"
KEYWORD_FILES: Final = ("keywords.csv", "keywords.csv.zip")
DETAIL_FOLDER: Final = "films"
TAGS_NEEDED: Final = ("userId", "movieId", "tag", "timestamp")
TAGS_KEPT_OUT: Final = "tags are of their own time and would tell an evaluation the future"
_LAYOUT: Final = "a folder with ratings.csv, movies.csv, links.csv; optional tags.csv, keywords.csv[.zip], films/"


def import_movielens(path: Path, *, clock: Clock, progress: Progress | None = None) -> Catalogue:
    """Read a folder in the MovieLens layout.

    Args:
        path: Folder with ``ratings.csv``, ``movies.csv`` and ``links.csv``; ``tags.csv``, ``keywords.csv[.zip]`` and
            the tables ``films/*.csv`` are read when they are there.
        clock: Tells what is in the future.
        progress: Called with the file, the files done and their number.

    Returns:
        The catalogue; `ImportReport.from_manifest` gives the account of its files.

    Raises:
        SchemaError: Not a folder, a missing file or column, an encoding that can't be read, a zip bomb.
    """
    return _Import(Path(path), clock.now(), progress).run()


class _Import:
    """One run: the log and the reports that every step adds to."""

    def __init__(self, root: Path, now: datetime, progress: Progress | None) -> None:
        self.root = root
        self.now = now
        self.log = QuarantineLog()
        self.reports: list[FileReport] = []
        self._progress = progress
        self._files = _files(root)
        self._done = 0

    def run(self) -> Catalogue:
        movies_table = self._read(MOVIES, MOVIES_NEEDED)
        movies = read_movies(movies_table, self.log)
        self._account(movies_table, len(movies))
        links = self._links(movies)
        details, votes_as_of = self._details(links)
        keywords = self._keywords(links)
        self._tags(movies)
        ratings_table = self._read(RATINGS, RATINGS_NEEDED)
        known = pd.DataFrame({Film.ID: list(movies)})
        interactions = read_ratings(ratings_table, known, now=self.now, log=self.log)
        self._account(ratings_table, len(interactions))
        # The folder has no date of its own: its last rating says how old it is, and a second import says the same.
        updated_at = interactions[Interaction.TS].max() if len(interactions) else self.now
        films = film_frame(movies, details, keywords, updated_at=updated_at, source=DETAIL_FOLDER, log=self.log)
        return build_catalogue(
            films, users_of(interactions), interactions, self.log.frame(),
            manifest=self._manifest(updated_at, votes_as_of),
        )  # fmt: skip

    def _links(self, movies: dict[str, Row]) -> Links:
        table = self._read(LINKS, LINKS_NEEDED)
        links = read_links(table, movies, self.log)
        self._account(table)
        return links

    def _details(self, links: Links) -> tuple[dict[str, Details], str | None]:
        reader = DetailsReader(links, self.log)
        for name in self._files:
            if name.startswith(f"{DETAIL_FOLDER}/"):
                table = self._read(name, DETAILS_NEEDED)
                loaded, merged = reader.read(table)
                self._account(table, loaded, merged=merged)
        details = reader.merged()
        days = [row[Film.RELEASE_DATE] for row in details.values() if Film.RELEASE_DATE in row]
        return details, max(days).isoformat() if days else None

    def _keywords(self, links: Links) -> dict[str, list[str]]:
        name = next((name for name in KEYWORD_FILES if name in self._files), None)
        if name is None:
            return {}
        table = self._read(name, KEYWORDS_NEEDED)
        keywords, merged, others = read_keywords(table, links, self.log)
        aside = {KEYWORDS_OF_OTHERS: others} if others else {}
        self._account(table, merged=merged, set_aside=aside)
        return keywords

    def _tags(self, movies: dict[str, Row]) -> None:
        if TAGS not in self._files:
            return
        table = self._read(TAGS, TAGS_NEEDED)
        kept = 0
        for number, film, tag in zip(table.numbers, table.cells("movieId"), table.cells("tag"), strict=True):
            if parse_id(film) in movies:
                kept += 1
            else:
                self.log.refuse(TAGS, number, film, NOT_IN_MOVIES, tag)
        self._account(table, 0, set_aside={TAGS_KEPT_OUT: kept} if kept else {})

    def _read(self, name: str, needed: tuple[str, ...]) -> Table:
        table = read_table(self.root / name, self.root, needed, self.log)
        self._done += 1
        if self._progress:
            self._progress(name, self._done, len(self._files))
        return table

    def _account(
        self, table: Table, loaded: int | None = None, *, merged: int = 0, set_aside: dict[str, int] | None = None
    ) -> None:
        """File the account of a table; without a count, what was neither refused nor set aside was loaded."""
        refused, aside = self.log.refused(table.name), set_aside or {}
        if loaded is None:
            loaded = table.read - sum(refused.values()) - sum(aside.values())
        self.reports.append(
            FileReport(name=table.name, encoding=table.encoding, read=table.read, loaded=loaded, merged=merged,
                       set_aside=aside, refused=refused, repaired=self.log.repaired(table.name))
        )  # fmt: skip

    def _manifest(self, updated_at: datetime, votes_as_of: str | None) -> dict[str, Any]:
        moment = self.now.isoformat()
        return {
            "source": "movielens",
            "imported_at": moment,
            "updated_at": updated_at.isoformat(),
            "providers": [{"provider": "movielens", "ok": True, "updated_at": updated_at.isoformat(), "reason": ""}],
            "files": [file.to_dict() for file in self.reports],
            "regions": [REGION],
            "markets": [MARKET],
            # Votes and popularity were counted no earlier than this: an evaluation on older ratings must not see them.
            "votes_as_of": votes_as_of,
            "release_dates": "day of the film tables where it fits the year in the title, else the first of January",
        }


def _files(root: Path) -> list[str]:
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise SchemaError(f"{root} {what}", f"must be {_LAYOUT}", "unpack the archive first")
    missing = [name for name in (RATINGS, MOVIES, LINKS) if not (root / name).is_file()]
    if missing:
        raise SchemaError(f"{root} has no {', '.join(missing)}", f"must be {_LAYOUT}", "check the path")
    keywords = [name for name in KEYWORD_FILES if (root / name).is_file()][:1]
    tags = [TAGS] if (root / TAGS).is_file() else []
    details = sorted(f"{DETAIL_FOLDER}/{file.name}" for file in (root / DETAIL_FOLDER).glob("*.csv"))
    return [MOVIES, LINKS, *details, *keywords, *tags, RATINGS]
