"""One index version as one catalogue sees it: vectors, named features, current facts and the rules over them."""

from collections.abc import Mapping
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.catalogue import Catalogue
from recommender.configuration import Configuration
from recommender.features.matrix import FeatureMatrix
from recommender.features.stored import StoredFeatures
from recommender.index import IndexVersion, open_version
from recommender.rules import RuleBook
from workspace.columns import Film
from workspace.errors import IntegrityError
from workspace.paths import Paths

Floats = npt.NDArray[np.float64]


class View:
    """A version opened against a catalogue.

    Rows are the version's. Facts (titles, availability, legal blocks) are the catalogue's of today, so an old version
    never shows a film that has become unlawful; films that left the catalogue are not alive.

    Args:
        index: The opened version.
        stored: Its features.
        catalogue: The catalogue that answers for facts and histories.
    """

    def __init__(self, index: IndexVersion, stored: StoredFeatures, catalogue: Catalogue) -> None:
        if len(stored.film_ids) != index.rows:
            raise IntegrityError(
                f"version {index.version} names {len(stored.film_ids)} films",
                f"must name {index.rows}",
                "build the version again",
            )
        self.index = index
        self.stored = stored
        self.catalogue = catalogue
        self.configuration = Configuration.from_dict(index.manifest.extra)
        self.film_rows: dict[str, int] = {film: row for row, film in enumerate(stored.film_ids) if index.alive[row]}
        places = pd.Series(np.arange(len(catalogue.films)), index=catalogue.films[Film.ID])
        found = places.reindex(stored.film_ids).to_numpy(np.float64)
        self.alive = np.isfinite(found) & index.alive
        self._catalogue_rows = np.where(np.isfinite(found), found, -1).astype(np.int64)
        self.matrix = FeatureMatrix(
            layout=stored.fitted.layout,
            candidates=index.vectors,
            audience_history=stored.audience_history,
            priors=stored.fitted.priors,
            market_means=stored.market_means,
        )

    @classmethod
    def open(cls, paths: Paths, version: str | None, catalogue: Catalogue) -> Self:
        """Open a version, or the current one, with its base when it is a delta."""
        index = open_version(paths, version)
        delta = index.manifest.delta
        base = None if delta is None else StoredFeatures(paths.indexes / delta.base)
        return cls(index, StoredFeatures(index.folder, base), catalogue)

    @property
    def version(self) -> str:
        """The version's name."""
        return self.index.version

    @cached_property
    def films(self) -> pd.DataFrame:
        """The catalogue's films in version order; a film that left it keeps its row, with empty facts."""
        films = self.catalogue.films
        gone = self._catalogue_rows < 0
        frame = films.take(np.where(gone, 0, self._catalogue_rows)).reset_index(drop=True)
        frame[Film.ID] = self.stored.film_ids
        return frame

    @cached_property
    def rules(self) -> RuleBook:
        """The rules over the version's rows."""
        return RuleBook.of(self.films, self.alive)

    @cached_property
    def titles(self) -> list[str]:
        """The title of every row."""
        return [
            title if alive else film_id
            for title, alive, film_id in zip(self.films[Film.TITLE], self.alive, self.stored.film_ids, strict=True)
        ]

    def query(self, vector: Floats, weights: Mapping[str, float]) -> Floats:
        """Put the block weights on a user vector, shape ``(dim,)``."""
        out: Floats = vector * self.matrix.layout.spread(weights).astype(np.float64)
        return out
