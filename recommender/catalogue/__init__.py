"""The catalogue: films, users and interactions behind checked doors, stored as immutable snapshots."""

from recommender.catalogue.identity import CONTENT, content_id, film_hashes, natural_order
from recommender.catalogue.model import Catalogue, build_catalogue, empty_provenance
from recommender.catalogue.quarantine import QuarantineLog
from recommender.catalogue.schema import (
    conform_films,
    conform_interactions,
    conform_provenance,
    conform_quarantine,
    conform_users,
)
from recommender.catalogue.screening import screen_interactions
from recommender.catalogue.snapshot import (
    SnapshotEntry,
    list_catalogues,
    load_catalogue,
    save_catalogue,
    switch_catalogue,
    verify_snapshot,
)

__all__ = [
    "CONTENT",
    "Catalogue",
    "QuarantineLog",
    "SnapshotEntry",
    "build_catalogue",
    "conform_films",
    "conform_interactions",
    "conform_provenance",
    "conform_quarantine",
    "conform_users",
    "content_id",
    "empty_provenance",
    "film_hashes",
    "list_catalogues",
    "load_catalogue",
    "natural_order",
    "save_catalogue",
    "screen_interactions",
    "switch_catalogue",
    "verify_snapshot",
]
