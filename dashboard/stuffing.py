"""A studio that stuffs its keywords: the snapshot of such a catalogue, and an index version of it.

Each film of the studio gets keywords that popular films carry beside its own, those of them that pay. Stuffing what is
merely frequent does not pay here: blocks have norm one, so that keywords a film has nothing to do with dilute its own.
Hence the search, for the keywords and for a studio that gains by them, as somebody would who watches what works.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.projection import Projection
from data.synthetic.leak import companions
from recommender.catalogue import Catalogue, build_catalogue, film_hashes, save_catalogue
from recommender.features import layout
from recommender.features.fitted import Encoded
from recommender.features.stored import write_features
from recommender.index import write_delta
from recommender.view import View
from workspace.clock import Clock
from workspace.columns import Film
from workspace.errors import StateError
from workspace.paths import Paths

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

PLANTED: Final = "planted"
KEYWORDS_ADDED: Final = 5
LEAST_FILMS: Final = 7
LARGEST_SHARE: Final = 0.1
"""The largest tenth of studios is no studio of middling size."""
_TASTES: Final = 300
_TRIED: Final = 16
_STUDIOS_TUNED: Final = 4
_LEAST_SHARE: Final = 0.005
"""A ratio to next to nothing would say nothing."""
_CHOOSING, _MEASURING = 1, 2
"""Seeds of the panel a studio is chosen by, and of the one its gain is measured on: the second knows nothing of the
first's luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stuffed:
    """One studio's films with their new keywords."""

    studio: str
    rows: Rows
    films: pd.DataFrame
    encoded: Encoded

    def gain(self, projection: Projection) -> float:
        """Return the ratio of the studio's exposure after to before."""
        return projection.exposure(self.rows, self.encoded.vectors) / max(projection.exposure(self.rows), _LEAST_SHARE)


def plant_stuffing(paths: Paths, view: View, clock: Clock) -> dict[str, Any]:
    """Save the stuffed snapshot and its index version; the current ones stay current.

    Returns:
        ``stuffed_snapshot_id stuffed_version studio film_ids keywords_added exposure_clean exposure_stuffed``.

    Raises:
        StateError: When no film names a studio.
    """
    projection = Projection(view, tastes=_TASTES, seed=_CHOOSING)
    studios = _middling(view)
    if not studios:
        raise StateError("no film names a studio", "one of middling size is stuffed", "make a larger world")
    near = companions(_keywords(view), _imitated(view), np.arange(len(view.films)), _TRIED)
    plain = [
        _stuffed(view, studio, rows, [near[row][:KEYWORDS_ADDED] for row in rows]) for studio, rows in studios.items()
    ]
    tuned = [
        _stuffed(view, one.studio, one.rows, [_paying(view, projection, row, near[row]) for row in one.rows.tolist()])
        for one in sorted(plain, key=lambda one: -one.gain(projection))[:_STUDIOS_TUNED]
    ]
    chosen = max(tuned, key=lambda one: one.gain(projection))
    snapshot = _save(paths, view, chosen, clock)
    version = _write(paths, view, chosen, snapshot, clock)
    measured = Projection(view, tastes=_TASTES, seed=_MEASURING)
    return {
        "stuffed_snapshot_id": snapshot.snapshot_id,
        "stuffed_version": version,
        "studio": chosen.studio,
        "film_ids": [view.stored.film_ids[row] for row in chosen.rows.tolist()],
        "keywords_added": KEYWORDS_ADDED,
        "exposure_clean": round(measured.exposure(chosen.rows), 6),
        "exposure_stuffed": round(measured.exposure(chosen.rows, chosen.encoded.vectors), 6),
    }


def _middling(view: View) -> dict[str, Rows]:
    """Return the rows of each studio that is neither tiny nor among the largest."""
    films: dict[str, list[int]] = {}
    for row, names in enumerate(view.films[Film.STUDIOS]):
        if len(names) and view.alive[row]:
            films.setdefault(names[0], []).append(row)
    sizes = [len(rows) for rows in films.values()]
    least = min(LEAST_FILMS, max(sizes, default=0))
    most = max(least, float(np.quantile(sizes, 1 - LARGEST_SHARE))) if sizes else 0
    return {studio: np.array(films[studio]) for studio in sorted(films) if least <= len(films[studio]) <= most}


def _keywords(view: View) -> list[list[str]]:
    return [list(words) for words in view.films[Film.KEYWORDS]]


def _imitated(view: View) -> Floats:
    """Return which films one imitates: the popular half."""
    popularity = view.films[Film.POPULARITY].fillna(0.0).to_numpy(np.float64)
    popular: Floats = (popularity >= np.median(popularity)).astype(np.float64)
    return popular


def _paying(view: View, projection: Projection, row: int, candidates: Sequence[str]) -> list[str]:
    """Return the keywords that bring a film closest to the slates, one after the other."""
    added: list[str] = []
    while len(added) < KEYWORDS_ADDED:
        left = [word for word in candidates if word not in added]
        if not left:
            break
        vectors = _with_keywords(view, row, [[*added, word] for word in left])
        added.append(left[int(np.argmax(projection.nearness(row, vectors)))])
    return added


def _with_keywords(view: View, row: int, added: Sequence[Sequence[str]]) -> Vectors:
    """Return a film's vector with each of several lists of keywords added, shape ``(len(added), dim)``."""
    block = next(one for one in view.stored.fitted.content.terms if one.block.name == layout.KEYWORD)
    own = view.films[Film.KEYWORDS].iloc[row]
    tried = pd.DataFrame({Film.KEYWORDS: pd.Series([[*own, *more] for more in added], dtype=object)})
    vectors = view.index.take(np.full(len(added), row))
    vectors[:, view.matrix.layout.columns(layout.KEYWORD)] = block.entries(tried).vectors(len(added), block.block.dim)
    return vectors


def _described(view: View, rows: Rows, added: Sequence[Sequence[str]]) -> pd.DataFrame:
    films = view.films.iloc[rows].reset_index(drop=True)
    words = [[*own, *more] for own, more in zip(films[Film.KEYWORDS], added, strict=True)]
    films[Film.KEYWORDS] = pd.Series(words, index=films.index, dtype=object)
    return films


def _stuffed(view: View, studio: str, rows: Rows, added: Sequence[Sequence[str]]) -> _Stuffed:
    films = _described(view, rows, added)
    return _Stuffed(studio=studio, rows=rows, films=films, encoded=_encoded(view, rows, films))


def _encoded(view: View, rows: Rows, films: pd.DataFrame) -> Encoded:
    """Encode films as an increment does, by the fit of the version; texts and audience are what they were."""
    places, own = view.matrix.layout, view.index.take(rows)
    text = own[:, places.columns(layout.TEXT)] if layout.TEXT in places else None
    encoded = view.stored.fitted.extend(films, text)
    kept = slice(view.stored.fitted.content.layout.dim, view.index.dim)
    encoded.vectors[:, kept] = own[:, kept]
    if encoded.audience_history is not None:
        encoded.audience_history[:] = view.stored.audience_of(rows)
    return encoded


def _save(paths: Paths, view: View, stuffed: _Stuffed, clock: Clock) -> Catalogue:
    """Save the snapshot beside the clean one, which stays current."""
    clean = view.catalogue
    films = clean.films.copy()
    places = [clean.film_row(film) for film in stuffed.films[Film.ID]]
    keywords = films[Film.KEYWORDS].tolist()
    for place, words in zip(places, stuffed.films[Film.KEYWORDS], strict=True):
        keywords[place] = words
    films[Film.KEYWORDS] = pd.Series(keywords, index=films.index, dtype=object)
    # As late as the newest of all entries, not as of now: the same world gives the same snapshot on any day.
    films.loc[films.index[places], Film.UPDATED_AT] = films[Film.UPDATED_AT].max()
    catalogue = build_catalogue(
        films,
        clean.users,
        clean.interactions,
        clean.quarantine,
        clean.provenance,
        {
            **clean.manifest,
            "imported_at": clock.now().isoformat(),
            PLANTED: {"clean_snapshot_id": clean.snapshot_id, "studio": stuffed.studio},
        },
    )
    save_catalogue(catalogue, paths, current=False)
    return catalogue


def _write(paths: Paths, view: View, stuffed: _Stuffed, snapshot: Catalogue, clock: Clock) -> str:
    places = [snapshot.film_row(film) for film in stuffed.films[Film.ID]]
    hashes = np.array(view.stored.content_hashes, dtype=object)
    hashes[stuffed.rows] = film_hashes(snapshot.films)[places]

    def attach(folder: Path) -> None:
        write_features(
            folder,
            view.stored.fitted,
            stuffed.encoded,
            rows=stuffed.rows,
            film_ids=view.stored.film_ids,
            content_hashes=hashes.tolist(),
            market_means=view.stored.market_means,
        )

    extra = {
        **view.index.manifest.extra,
        "snapshot_id": snapshot.snapshot_id,
        "strategy": "incremental",
        PLANTED: "stuffed keywords",
    }
    written = write_delta(
        paths,
        view.version,
        replaced=stuffed.rows,
        vectors=stuffed.encoded.vectors,
        extra=extra,
        attachments=attach,
        clock=clock,
    )
    return written.version
