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

__all__ = [
    "FileProvider",
    "Provider",
    "ProviderFailure",
    "ProviderFeed",
    "ProviderStatus",
    "Reconciled",
    "fetch_all",
    "file_providers",
    "film_provenance",
    "import_providers",
    "reconcile",
]
