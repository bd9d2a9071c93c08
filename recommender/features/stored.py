"""What a version's folder keeps of its features: the fit, the film ids, and every named term of every film."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.features.fitted import Encoded, FittedFeatures
from recommender.features.layout import Layout
from workspace.columns import Film
from workspace.errors import IntegrityError
from workspace.files import write_json

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

FEATURES_FILE: Final = "features.json"
FILMS_FILE: Final = "films.parquet"
LABELS_FILE: Final = "labels.json"
ROWS_FILE: Final = "rows.npy"
AUDIENCE_FILE: Final = "audience_history.npy"
MEANS_FILE: Final = "market_means.npy"
_TERM_ARRAYS: Final = ("offsets", "columns", "values", "labels")
CONTENT_HASH: Final = "content_hash"


@dataclass(frozen=True, slots=True)
class Term:
    """A named term of a film: it adds ``value`` to the film vector at ``column``."""

    label: str
    column: int
    value: float


def write_features(
    folder: Path,
    features: FittedFeatures,
    encoded: Encoded,
    *,
    rows: Rows,
    film_ids: Sequence[str],
    content_hashes: Sequence[str],
    market_means: dict[str, Vectors],
) -> None:
    """Put everything but the vectors into a version's folder, before it is published.

    Args:
        folder: The unpublished folder.
        features: The fit.
        encoded: The films encoded, one a row of ``rows``.
        rows: Version rows of the encoded films, increasing; all of them in a full version, the changed in a delta.
        film_ids: Film id of *every* row of the version.
        content_hashes: Content hash of every row.
        market_means: Mean content vector a market.
    """
    markets = sorted(market_means)
    write_json(folder / FEATURES_FILE, {**features.to_dict(), "markets": markets})
    np.save(
        folder / MEANS_FILE, np.stack([market_means[name] for name in markets]).astype(np.float32), allow_pickle=False
    )
    pq.write_table(pa.table({Film.ID: list(film_ids), CONTENT_HASH: list(content_hashes)}), folder / FILMS_FILE)
    np.save(folder / ROWS_FILE, rows, allow_pickle=False)
    if encoded.audience_history is not None:
        np.save(folder / AUDIENCE_FILE, encoded.audience_history, allow_pickle=False)
    _write_terms(folder, features.layout, encoded, len(rows))


def _write_terms(folder: Path, places: Layout, encoded: Encoded, count: int) -> None:
    films, columns, values, labels = [], [], [], []
    for block, entries in encoded.content.entries.items():
        films.append(entries.rows)
        columns.append(entries.columns + places.columns(block).start)
        values.append(entries.values)
        labels.extend(entries.labels)
    film = np.concatenate(films) if films else np.empty(0, np.int32)
    order = np.argsort(film, kind="stable")
    names = sorted(set(labels))
    number = {label: i for i, label in enumerate(names)}
    coded = np.array([number[label] for label in labels], np.int32)
    arrays: dict[str, npt.NDArray[Any]] = {
        "offsets": np.concatenate([[0], np.cumsum(np.bincount(film, minlength=count))]).astype(np.int64),
        "columns": (np.concatenate(columns) if columns else np.empty(0, np.int32))[order].astype(np.int32),
        "values": (np.concatenate(values) if values else np.empty(0, np.float32))[order],
        "labels": coded[order],
    }
    for name, array in arrays.items():
        np.save(folder / f"terms_{name}.npy", array, allow_pickle=False)
    write_json(folder / LABELS_FILE, names)


class StoredFeatures:
    """The features of an opened version, memory-mapped; a delta's rows hide those of its base.

    Args:
        folder: The version's folder.
        base: The features of the version it changes, when it is a delta.
    """

    def __init__(self, folder: Path, base: Self | None = None) -> None:
        try:
            state: dict[str, Any] = json.loads((folder / FEATURES_FILE).read_bytes())
            table = pq.read_table(folder / FILMS_FILE)
            self._terms = {name: np.load(folder / f"terms_{name}.npy", mmap_mode="r") for name in _TERM_ARRAYS}
            self._labels: list[str] = json.loads((folder / LABELS_FILE).read_bytes())
            self._rows: Rows = np.load(folder / ROWS_FILE)
            means = np.load(folder / MEANS_FILE)
            audience = folder / AUDIENCE_FILE
            self._audience: Vectors | None = np.load(audience, mmap_mode="r") if audience.exists() else None
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise IntegrityError(
                f"the features of version {folder.name} can't be read: {error}",
                "",
                "roll back, or build the version again",
            ) from error
        self.fitted = FittedFeatures.from_dict(state)
        self.film_ids: list[str] = table.column(Film.ID).to_pylist()
        self.content_hashes: list[str] = table.column(CONTENT_HASH).to_pylist()
        self.market_means: dict[str, Vectors] = dict(zip(state["markets"], means, strict=True))
        self._base = base

    def terms(self, row: int) -> list[Term]:
        """Return the named terms of a film row."""
        place = int(np.searchsorted(self._rows, row))
        if place == len(self._rows) or self._rows[place] != row:
            return [] if self._base is None else self._base.terms(row)
        span = slice(int(self._terms["offsets"][place]), int(self._terms["offsets"][place + 1]))
        parts = (self._terms[name][span].tolist() for name in ("labels", "columns", "values"))
        return [Term(self._labels[label], column, value) for label, column, value in zip(*parts, strict=True)]

    @property
    def audience_history(self) -> "AudienceRows | None":
        """The history side of the audience block, by version row; None without the block."""
        return AudienceRows(self) if self.fitted.audience_dim else None

    def audience_of(self, rows: Rows) -> Vectors:
        """Return the history side of the audience block of some rows."""
        if self._audience is None:
            return np.zeros((len(rows), self.fitted.audience_dim), np.float32)
        own = np.isin(rows, self._rows)
        out = np.zeros((len(rows), self._audience.shape[1]), np.float32)
        out[own] = self._audience[np.searchsorted(self._rows, rows[own])]
        if self._base is not None:
            out[~own] = self._base.audience_of(rows[~own])
        return out


@dataclass(frozen=True, slots=True)
class AudienceRows:
    """Reads like an array of the history side of the audience block."""

    source: StoredFeatures

    def __getitem__(self, rows: Rows) -> Vectors:
        """Return some rows."""
        return self.source.audience_of(np.asarray(rows, np.int64))
