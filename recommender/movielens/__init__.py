"""Folders in the MovieLens layout, with TMDB and OMDb film tables beside it: the door for real data."""

from recommender.movielens.importer import import_movielens
from recommender.movielens.report import FileReport, ImportReport

__all__ = ["FileReport", "ImportReport", "import_movielens"]
