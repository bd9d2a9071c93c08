"""What is usual in a catalogue, and how surprising a figure is against it; robust, since attacks are in it too."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from workspace.checks import check_scalar
from workspace.errors import NotEstimableError

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.object_]

MAD_TO_SD: Final = 1.4826
"""Median absolute deviation to standard deviation, for normal data."""
LEAST_FILMS: Final = 50
LEAST_OF_GROUP: Final = 20
TAIL: Final = 0.05
_LARGEST_SURPRISE: Final = 12.0


def stabilised(counts: npt.ArrayLike) -> Floats:
    """Return counts so that their spread does not grow with them: 2 √(x + 3/8), a Poisson count has spread 1.

    Source: Anscombe, "The transformation of Poisson, binomial and negative-binomial data" (Biometrika 1948).
    """
    values: Floats = 2.0 * np.sqrt(np.asarray(counts, np.float64) + 0.375)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How a figure goes with another one in a catalogue: least squares."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, x: Floats, y: Floats) -> Self:
        """Fit it, both of shape ``(n,)``; pairs with a NaN are left out, and without two points it is level."""
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < 2 or np.ptp(x[known]) == 0:  # noqa: PLR2004 - a line needs two points
            return cls(slope=0.0, intercept=float(np.median(y[known])) if known.any() else 0.0)
        slope, intercept = np.polyfit(x[known], y[known], 1)
        return cls(slope=float(slope), intercept=float(intercept))

    def at(self, x: Floats) -> Floats:
        """Return what the figure usually is, shape ``(n,)``."""
        return self.slope * x + self.intercept


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """Median and spread of a figure, of all films and of each group that is large enough.

    Args:
        median: Of all films.
        spread: MAD × 1.4826, not under the floor it was fitted with.
        groups: Median of each group of 20 films or more.
    """

    median: float
    spread: float
    groups: dict[str, float]

    @classmethod
    def fit(cls, values: Floats, *, floor: float, groups: Labels | None = None) -> Self:
        """Learn what is usual.

        Args:
            values: One a film, shape ``(n,)``; NaN where a film has no such figure.
            floor: Least spread: where nearly all films agree, the next larger count must not be infinitely odd.
            groups: Group of each film.
        """
        check_scalar(floor, "floor", gt=0)
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(median=0.0, spread=floor, groups={})
        medians: dict[str, float] = {}
        if groups is not None:
            for name in sorted({str(group) for group in groups}):
                own = values[(groups == name) & np.isfinite(values)]
                if len(own) >= LEAST_OF_GROUP:
                    medians[name] = float(np.median(own))
        median = float(np.median(known))
        spread = MAD_TO_SD * float(np.median(np.abs(known - median)))
        return cls(median=median, spread=max(spread, floor), groups=medians)

    def z(self, values: Floats, groups: Labels | None = None) -> Floats:
        """Return robust z values, shape ``(n,)``; 0 where there is no figure: nothing known is nothing odd."""
        return np.nan_to_num((values - self.expected(len(values), groups)) / self.spread, nan=0.0)

    def expected(self, n: int, groups: Labels | None = None) -> Floats:
        """Return the median each of n films is held against."""
        if groups is None:
            return np.full(n, self.median)
        return np.array([self.groups.get(str(group), self.median) for group in groups], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """How rare values of a figure are: the share of films above them, and beyond the data an exponential tail.

    Args:
        values: The figures of the norm, increasing.
        start: Where the tail begins, the 95th percentile.
        decay: Its mean excess, from the median of the excesses, which a few attacks do not move.
    """

    values: Floats
    start: float
    decay: float

    @classmethod
    def fit(cls, values: Floats, *, least_decay: float) -> Self:
        """Learn the tail.

        Args:
            values: One a film of the norm.
            least_decay: Least mean excess, in the figure's unit.

        Raises:
            NotEstimableError: With fewer than 50 films.
        """
        if len(values) < LEAST_FILMS:
            raise NotEstimableError(f"{len(values)} films", f"must be {LEAST_FILMS} to tell what is usual")
        ordered = np.sort(values)
        start = float(np.quantile(ordered, 1 - TAIL))
        excess = ordered[ordered > start] - start
        decay = float(np.median(excess)) / float(np.log(2)) if len(excess) else 0.0
        return cls(values=ordered, start=start, decay=max(decay, least_decay))

    def surprise(self, values: Floats) -> Floats:
        """Return −log₁₀ of the share of films with a figure as large, shape ``(n,)``: 2 means one film in a hundred."""
        n = len(self.values)
        share = (n - np.searchsorted(self.values, values, side="left") + 1) / (n + 1)
        inside = -np.log10(np.minimum(share, 1.0))
        beyond = -np.log10(TAIL) + np.log10(np.e) * (values - self.start) / self.decay
        return np.clip(np.where(values > self.start, beyond, inside), 0.0, _LARGEST_SURPRISE)
