"""Providers of films: fetched, screened, reconciled field by field, with failover from one to the other."""

from recommender.providers.feeds import (
    FileProvider,
    Provider,
    ProviderFailure,
    ProviderFeed,
    fetch_all,
    file_providers,
)
from recommender.providers.reconcile import (
    ProviderStatus,
    Reconciled,
    film_provenance,
    import_providers,
    reconcile,
)
from recommender.providers.updates import FilmUpdate, Updated, update_films

__all__ = [
    "FileProvider",
    "FilmUpdate",
    "Provider",
    "ProviderFailure",
    "ProviderFeed",
    "ProviderStatus",
    "Reconciled",
    "Updated",
    "fetch_all",
    "file_providers",
    "film_provenance",
    "import_providers",
    "reconcile",
    "update_films",
]
