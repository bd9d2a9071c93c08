"""Blocks made of one number of a film: era, runtime, minimum age.

A number becomes its similarity to evenly spaced centres (radial basis functions), scaled to norm one, so that near
numbers have near vectors and a linear profile can prefer a range.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.features import layout
from workspace.columns import Film

Vectors = npt.NDArray[np.float32]


def release_year(films: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the release as a decimal year, shape ``(n,)``; NaN where unknown."""
    dates = pd.to_datetime(films[Film.RELEASE_DATE], errors="coerce")
    years: npt.NDArray[np.float64] = (dates.dt.year + (dates.dt.day_of_year - 1) / 365.25).to_numpy(np.float64)
    return years


def _column(films: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    numbers = pd.to_numeric(films[column], errors="coerce")
    values: npt.NDArray[np.float64] = numbers.to_numpy(np.float64, na_value=np.nan)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberBlock:
    """A number by its similarity to fixed centres.

    Args:
        name: The block.
        centres: In the number's own unit.
        width: Standard deviation of the Gaussian, same unit.
        unit: How a reader reads it.
    """

    name: str
    centres: tuple[float, ...]
    width: float
    unit: str

    @property
    def dim(self) -> int:
        """One dimension a centre."""
        return len(self.centres)

    def numbers(self, films: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the raw number of each film, NaN where unknown."""
        if self.name == layout.ERA:
            return release_year(films)
        return _column(films, Film.RUNTIME_MIN if self.name == layout.RUNTIME else Film.MINIMUM_AGE)

    def vectors(self, films: pd.DataFrame) -> Vectors:
        """Return unit vectors, shape ``(n, dim)``; zero where the number is unknown."""
        numbers = np.clip(self.numbers(films), self.centres[0], self.centres[-1])
        distance = (numbers[:, None] - np.array(self.centres)[None, :]) / self.width
        similarity = np.exp(-0.5 * distance**2)
        unit = similarity / np.linalg.norm(similarity, axis=1, keepdims=True)
        out: Vectors = np.nan_to_num(unit, nan=0.0).astype(np.float32)
        return out

    def label(self, film: Mapping[str, Any]) -> str:
        """Name the feature of one film."""
        frame = pd.DataFrame([dict(film)])
        number = float(self.numbers(frame)[0])
        return f"{self.name}: {self.unit.format(int(number))}" if np.isfinite(number) else f"{self.name}: unknown"


NUMBER_BLOCKS = (
    NumberBlock(name=layout.ERA, centres=tuple(float(y) for y in range(1915, 2036, 4)), width=6.0, unit="released {}"),
    NumberBlock(name=layout.RUNTIME, centres=(30, 60, 80, 95, 110, 130, 160, 200), width=18.0, unit="{} min"),
    NumberBlock(name=layout.AGE, centres=(0, 6, 9, 12, 14, 16, 17, 18), width=0.8, unit="from age {}"),
)
