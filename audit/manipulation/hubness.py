"""Hubs: films that come near the top for far more tastes than films do, globally or within a genre or market.

The tastes are sentinels: histories drawn from two genres of the catalogue each, never those of a user. They are scored
over the named terms of the films alone (genres, keywords, people, collection, origin) with the weights that are served,
so a film can be judged before its text is encoded and before anybody has watched it.

Source: Radovanović, Nanopoulos & Ivanović, "Hubs in space" (JMLR 2010), for the k-occurrence count N_k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit.manipulation.norms import Floats, Norm, stabilised
from audit.manipulation.texts import first_genres
from recommender.configuration import DEFAULT_WEIGHTS
from recommender.features import layout
from recommender.features.content import ContentFeatures
from workspace.checks import check_scalar
from workspace.columns import Film

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BLOCKS: Final = (layout.GENRE, layout.KEYWORD, layout.PEOPLE, layout.COLLECTION, layout.ORIGIN)
SENTINELS: Final = 240
HISTORY: Final = 12
TOP: Final = 10
SEED: Final = 20_251_027
HUBNESS: Final = "hubness"
LEAST_SENTINELS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hubs:
    """How often films come near the top.

    Args:
        counts: Sentinels that have the film among their first ten, shape ``(n,)``.
        exposure: Share of the sentinels' discounted attention, Σ 1/log₂(1 + rank), shape ``(n,)``.
        z: The largest of the robust z values below, shape ``(n,)``.
        where: Where it is largest: ``all tastes``, ``genre …`` or ``market …``, shape ``(n,)``.
    """

    counts: Floats
    exposure: Floats
    z: Floats
    where: npt.NDArray[np.object_]


class Sentinels:
    """Tastes, and the films of a catalogue as they stand before them.

    Args:
        films: The catalogue, columns `Film.ALL`.
        weights: Block weights that are served.
        markets: Regions of each market; one market of all films when empty.
        n: How many sentinels.
        seed: Of their tastes.
    """

    def __init__(
        self,
        films: pd.DataFrame,
        *,
        weights: Mapping[str, float] | None = None,
        markets: Mapping[str, Sequence[str]] | None = None,
        n: int = SENTINELS,
        seed: int = SEED,
    ) -> None:
        check_scalar(n, "sentinels", ge=LEAST_SENTINELS)
        self._content = ContentFeatures.fit(films, text_dim=0, blocks=BLOCKS)
        spread = self._content.layout.spread({**DEFAULT_WEIGHTS, **(weights or {})})
        vectors = self._content.encode(films, None).vectors
        histories, self._genre = _histories(films, n, np.random.default_rng(seed))
        pooled = np.stack([vectors[rows].mean(axis=0) for rows in histories]) - vectors.mean(axis=0)
        self._tastes: Vectors = pooled * spread
        self._scores: Vectors = self._tastes @ vectors.T
        self._markets = {name: _lawful(films, regions) for name, regions in sorted((markets or {}).items())}
        self._regions = dict(markets or {})
        everywhere = np.ones(len(films), np.bool_)
        self._places = [_Place.of("all tastes", self._scores, everywhere)]
        for genre in sorted(set(self._genre)):
            chosen = np.flatnonzero(self._genre == genre)
            if len(chosen) >= LEAST_SENTINELS:
                self._places.append(_Place.of(f"genre {genre}", self._scores, everywhere, chosen))
        if len(self._markets) > 1:
            self._places += [_Place.of(f"market {name}", self._scores, own) for name, own in self._markets.items()]

    def hubs(self, films: pd.DataFrame, own: Rows) -> Hubs:
        """Return how films stand before the sentinels, each alone among the films of the catalogue.

        Args:
            films: The films.
            own: Row of each in the catalogue, which it takes the place of; −1 where it has none.
        """
        scores = self._tastes @ self._content.encode(films, None).vectors.T
        best = np.full(len(films), -np.inf)
        where = np.full(len(films), "", dtype=object)
        for place in self._places:
            z = place.norm.z(stabilised(place.count(scores, own)))
            larger = z > best
            best[larger], where[larger] = z[larger], place.name
        first = self._places[0]
        return Hubs(counts=first.count(scores, own), exposure=first.exposure(scores, own), z=best, where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Some sentinels, some films: their best scores, and what counts are usual.

    Args:
        top: Best scores of each sentinel, falling, shape ``(n_sentinels, TOP + 1)``.
        rows: The films that have them.
    """

    name: str
    chosen: Rows
    top: Vectors
    rows: Rows
    norm: Norm

    @classmethod
    def of(cls, name: str, scores: Vectors, films: Mask, chosen: Rows | None = None) -> Self:
        sentinels = np.arange(len(scores)) if chosen is None else chosen
        allowed = np.flatnonzero(films)
        part = scores[sentinels][:, allowed]
        most = min(TOP + 1, part.shape[1])
        order = np.argsort(-part, axis=1, kind="stable")[:, :most]
        top = np.take_along_axis(part, order, axis=1)
        counts = np.bincount(allowed[order[:, :TOP]].ravel(), minlength=scores.shape[1]).astype(np.float64)
        norm = Norm.fit(stabilised(counts), floor=1.0)
        return cls(name=name, chosen=sentinels, top=top, rows=allowed[order], norm=norm)

    def ranks(self, scores: Vectors, own: Rows) -> Rows:
        """Return each film's rank with each sentinel, ``TOP + 1`` where it is not among the first; ``(n, m)``."""
        mine = scores[self.chosen].T[:, :, None]
        others = self.rows[None] != own[:, None, None]
        # On a tie the catalogue's film stands first, unless it is this very film.
        above = ((self.top[None] >= mine) & others).sum(axis=2)
        ranks: Rows = np.minimum(above + 1, TOP + 1)
        return ranks

    def count(self, scores: Vectors, own: Rows) -> Floats:
        counts: Floats = np.concatenate(
            [(self.ranks(scores[:, part], own[part]) <= TOP).sum(axis=1) for part in _parts(len(own))]
        ).astype(np.float64)
        return counts

    def exposure(self, scores: Vectors, own: Rows) -> Floats:
        gain = np.append(1.0 / np.log2(np.arange(1, TOP + 1) + 1.0), 0.0)
        total = gain.sum() * len(self.chosen)
        shares = [gain[self.ranks(scores[:, part], own[part]) - 1].sum(axis=1) / total for part in _parts(len(own))]
        return np.concatenate(shares)


def _parts(n: int) -> list[slice]:
    return [slice(start, start + 256) for start in range(0, max(n, 1), 256)]


def _histories(films: pd.DataFrame, n: int, rng: np.random.Generator) -> tuple[list[Rows], npt.NDArray[np.object_]]:
    """Draw tastes: twelve films of two genres each, the first genre of a sentinel going round all genres."""
    genre = first_genres(films)
    known = [name for name in sorted(set(genre)) if name] or [""]
    rows = {name: np.flatnonzero(genre == name) for name in known}
    histories, firsts = [], []
    for one in range(n):
        first = known[one % len(known)]
        second = known[int(rng.integers(len(known)))]
        pool = np.concatenate([rows[first], rows[second]])
        histories.append(np.sort(rng.choice(pool, min(HISTORY, len(pool)), replace=False)))
        firsts.append(first)
    return histories, np.array(firsts, dtype=object)


def _lawful(films: pd.DataFrame, regions: Sequence[str]) -> Mask:
    """Return which films may be shown in one of the regions; an empty list of regions means everywhere."""
    wanted = set(regions)
    cells = zip(films[Film.AVAILABLE_REGIONS], films[Film.BLOCKED_REGIONS], strict=True)
    return np.array([bool((wanted & set(sold) if sold else wanted) - set(blocked)) for sold, blocked in cells])
