"""Where each named block lies in the film vector."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from workspace.errors import InvalidValueError

Vectors = npt.NDArray[np.float32]

TEXT: Final = "text"
GENRE: Final = "genre"
KEYWORD: Final = "keyword"
PEOPLE: Final = "people"
COLLECTION: Final = "collection"
ORIGIN: Final = "origin"
ERA: Final = "era"
RUNTIME: Final = "runtime"
AGE: Final = "age"
ACCLAIM: Final = "acclaim"
QUALITY: Final = "quality"
POPULARITY: Final = "popularity"
RECENCY: Final = "recency"
AUDIENCE: Final = "audience"

CONTENT_BLOCKS: Final = (TEXT, GENRE, KEYWORD, PEOPLE, COLLECTION, ORIGIN, ERA, RUNTIME, AGE)
PRIOR_BLOCKS: Final = (ACCLAIM, QUALITY, POPULARITY, RECENCY)
BLOCKS: Final = (*CONTENT_BLOCKS, *PRIOR_BLOCKS, AUDIENCE)


@dataclass(frozen=True, slots=True)
class Layout:
    """Named column ranges of the film vector, in order and without gaps.

    Args:
        ranges: ``{block: (start, stop)}``.
    """

    ranges: Mapping[str, tuple[int, int]]

    def __post_init__(self) -> None:
        """Check that the ranges join."""
        end = 0
        for name, (start, stop) in self.ranges.items():
            if start != end or stop <= start:
                raise InvalidValueError(f"block {name!r} == columns {start}–{stop}", f"must start at {end}")
            end = stop

    @classmethod
    def of(cls, dims: Mapping[str, int]) -> "Layout":
        """Lay blocks of the given widths side by side."""
        ranges: dict[str, tuple[int, int]] = {}
        end = 0
        for name, dim in dims.items():
            ranges[name] = (end, end + dim)
            end += dim
        return cls(ranges)

    @property
    def dim(self) -> int:
        """The width of the whole vector."""
        return max((stop for _, stop in self.ranges.values()), default=0)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the block names."""
        return iter(self.ranges)

    def __contains__(self, name: object) -> bool:
        """Say whether a block is there."""
        return name in self.ranges

    def columns(self, name: str) -> slice:
        """Return the columns of a block.

        Raises:
            InvalidValueError: When the version has no such block.
        """
        if name not in self.ranges:
            raise InvalidValueError(f"block == {name!r}", f"must be one of {', '.join(self.ranges)}")
        return slice(*self.ranges[name])

    def spread(self, weights: Mapping[str, float]) -> Vectors:
        """Return one weight a column, shape ``(dim,)``; a block without a weight counts zero."""
        out = np.zeros(self.dim, dtype=np.float32)
        for name in self.ranges:
            out[self.columns(name)] = weights.get(name, 0.0)
        return out
