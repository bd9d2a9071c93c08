"""Immutable index versions and exact search in them, on rows and column ranges; of films it knows nothing."""

# Loaded after usearch, pyarrow crashes the process on the first time zone it converts (usearch 2.26, pyarrow 26).
import pyarrow  # noqa: F401, ICN001

from recommender.index.manifest import Manifest
from recommender.index.search import Hits, IndexVersion
from recommender.index.shelf import (
    Problem,
    broken_versions,
    current_version,
    list_versions,
    previous_version,
    rollback,
    switch,
    verify,
)
from recommender.index.version import open_version, write_delta, write_version

__all__ = [
    "Hits",
    "IndexVersion",
    "Manifest",
    "Problem",
    "broken_versions",
    "current_version",
    "list_versions",
    "open_version",
    "previous_version",
    "rollback",
    "switch",
    "verify",
    "write_delta",
    "write_version",
]
