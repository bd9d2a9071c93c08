"""Priors: what is known of a film before anything is known of the user.

Their user side depends on the date of the request alone, so the time of the recommendation lives in the query and one
index answers for every date.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.acts import Acts
from recommender.features import layout
from recommender.features.numbers import release_year

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

DAYS_A_YEAR: Final = 365.25
WINDOW_YEARS: Final = 2.0
_MONTHLY_UP_TO_YEARS: Final = 4.0
_PRIOR_ACTS: Final = 20.0
RECENCY_YEARS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityBins:
    """Popularity *at the time of the request*: one dimension a time bin.

    A film's number in bin t is the logarithm of the likes it had in the two years that end where the bin begins, so no
    bin looks ahead; the query picks the bin of its date. A like is a rating of 4 or more, or a film watched to the end.

    Args:
        edges: Starts of the bins, days since 1970, increasing; before the first one nothing is known.
    """

    edges: tuple[float, ...]

    @classmethod
    def over(cls, acts: Acts) -> Self:
        """Lay monthly bins over a history of up to four years, quarterly ones over a longer one."""
        if not len(acts):
            return cls(edges=(0.0,))
        first, last = float(acts.days.min()), float(np.nextafter(acts.days.max(), np.inf))
        years = (last - first) / DAYS_A_YEAR
        step = DAYS_A_YEAR / 12 if years <= _MONTHLY_UP_TO_YEARS else DAYS_A_YEAR / 4
        # Counted back from the newest act, so that the last bin knows all there is.
        count = int(np.ceil((last - first) / step))
        return cls(edges=tuple(float(last - step * back) for back in range(count, -1, -1)))

    @property
    def dim(self) -> int:
        """One dimension a bin."""
        return len(self.edges)

    def bin_of(self, day: float) -> int | None:
        """Return the bin of a day; None before the first one."""
        place = int(np.searchsorted(self.edges, day, side="right")) - 1
        return place if place >= 0 else None

    def vectors(self, acts: Acts, n_films: int) -> Vectors:
        """Count each film's likes into every bin; shape ``(n_films, dim)``, the largest number is 1."""
        films, days = acts.films[acts.positive], acts.days[acts.positive]
        counts = np.zeros((n_films, self.dim))
        window = WINDOW_YEARS * DAYS_A_YEAR
        for column, edge in enumerate(self.edges):
            inside = (days < edge) & (days >= edge - window)
            counts[:, column] = np.bincount(films[inside], minlength=n_films)
        numbers = np.log1p(counts)
        top = numbers.max(initial=0.0)
        return (numbers / top if top > 0 else numbers).astype(np.float32)

    def query(self, day: float) -> Vectors:
        """Return the user side at a day, shape ``(dim,)``: 1 in its bin."""
        out = np.zeros(self.dim, np.float32)
        place = self.bin_of(day)
        if place is not None:
            out[place] = 1.0
        return out


def acclaim(acts: Acts, n_films: int) -> Vectors:
    """Return the logarithm of a film's likes of all time, shape ``(n_films, 1)``, the largest number is 1."""
    numbers = np.log1p(np.bincount(acts.films[acts.positive], minlength=n_films))
    return (numbers / max(float(numbers.max(initial=0.0)), 1e-12)).astype(np.float32)[:, None]


def quality(acts: Acts, n_films: int) -> Vectors:
    """Return the Bayesian mean liking of each film above the catalogue's, shape ``(n_films, 1)``, in −1 … 1.

    A film with n ratings keeps the share n / (n + 20) of its own mean; an unseen film is average.
    """
    films, given = acts.films[acts.watched], acts.likes[acts.watched]
    count = np.bincount(films, minlength=n_films)
    total = np.bincount(films, weights=given, minlength=n_films)
    mean = float(given.mean()) if len(given) else 0.0
    own: Floats = (total - mean * count) / (count + _PRIOR_ACTS)
    return np.clip(own, -1, 1).astype(np.float32)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recency:
    """Freshness of a release, e^((release − t)/τ): separable, so its date lives in the query.

    From the newest release on, t stands still there: a catalogue that gets no new films does not lose its freshness.

    Args:
        origin_year: Where the exponentials are centred; keeps both factors small.
    """

    origin_year: float

    @classmethod
    def over(cls, films: pd.DataFrame) -> Self:
        """Centre on the newest release."""
        years = release_year(films)
        known = years[np.isfinite(years)]
        return cls(origin_year=float(known.max()) if len(known) else 2000.0)

    def vectors(self, films: pd.DataFrame) -> Vectors:
        """Return shape ``(n, 1)``; 0 where the release is unknown."""
        years = np.minimum(release_year(films), self.origin_year)
        return np.nan_to_num(np.exp((years - self.origin_year) / RECENCY_YEARS)).astype(np.float32)[:, None]

    def query(self, day: float) -> Vectors:
        """Return the user side at a day, shape ``(1,)``: the factor that makes a release of that day count 1."""
        year = 1970 + day / DAYS_A_YEAR
        # A date far before the newest release would blow the factor up; there every release is equally far.
        return np.array([np.exp(min(30.0, max(0.0, (self.origin_year - year) / RECENCY_YEARS)))], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """The fitted priors of a version."""

    blocks: tuple[str, ...]
    bins: PopularityBins
    recency: Recency

    @classmethod
    def fit(cls, films: pd.DataFrame, acts: Acts, blocks: tuple[str, ...]) -> Self:
        """Fit the named priors."""
        chosen = tuple(name for name in layout.PRIOR_BLOCKS if name in blocks)
        return cls(blocks=chosen, bins=PopularityBins.over(acts), recency=Recency.over(films))

    @property
    def dims(self) -> dict[str, int]:
        """Width of each block, in order."""
        widths = {layout.ACCLAIM: 1, layout.QUALITY: 1, layout.POPULARITY: self.bins.dim, layout.RECENCY: 1}
        return {name: widths[name] for name in self.blocks}

    def vectors(self, films: pd.DataFrame, acts: Acts) -> Vectors:
        """Return the film side, shape ``(n, sum of dims)``."""
        n_films = len(films)
        parts = {
            layout.ACCLAIM: lambda: acclaim(acts, n_films),
            layout.QUALITY: lambda: quality(acts, n_films),
            layout.POPULARITY: lambda: self.bins.vectors(acts, n_films),
            layout.RECENCY: lambda: self.recency.vectors(films),
        }
        columns = [parts[name]() for name in self.blocks]
        return np.hstack(columns) if columns else np.zeros((n_films, 0), np.float32)

    def query(self, day: float) -> Vectors:
        """Return the user side at a day, shape ``(sum of dims,)``."""
        parts: dict[str, Callable[[], Vectors]] = {
            layout.ACCLAIM: lambda: np.ones(1, np.float32),
            layout.QUALITY: lambda: np.ones(1, np.float32),
            layout.POPULARITY: lambda: self.bins.query(day),
            layout.RECENCY: lambda: self.recency.query(day),
        }
        sides: list[Vectors] = [parts[name]() for name in self.blocks]
        return np.concatenate(sides) if sides else np.zeros(0, np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return what a version's folder keeps."""
        return {"blocks": list(self.blocks), "edges": list(self.bins.edges), "origin_year": self.recency.origin_year}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Restore from `to_dict`."""
        return cls(
            blocks=tuple(state["blocks"]),
            bins=PopularityBins(edges=tuple(state["edges"])),
            recency=Recency(origin_year=float(state["origin_year"])),
        )
