"""Counts to be published, and the sums that whoever reads them can take."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, SchemaError

Key = tuple[str, ...]

TOTAL: Final = "total"
"""Stands for all values of an axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A total and the entries that add up to it.

    Args:
        total: Key of the total.
        parts: Keys of the entries.
    """

    total: Key
    parts: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Counts with every total that is published beside them, and how they add up.

    Args:
        counts: Units by key, cells and totals alike, whole and not negative.
        lines: Every sum a reader can take.

    Raises:
        InvalidValueError: When a count is negative or no whole number.
        SchemaError: When a line names a key without a count, or its parts don't add up to its total.
    """

    counts: Mapping[Key, int]
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        for key, count in self.counts.items():
            check_scalar(count, f"count of {' × '.join(key)}", ge=0)
            if count != int(count):
                raise InvalidValueError(f"count of {' × '.join(key)} == {count}", "must be a whole number")
        for line in self.lines:
            unknown = [key for key in (line.total, *line.parts) if key not in self.counts]
            if unknown:
                raise SchemaError(f"no count of {' × '.join(unknown[0])}", "must have one to be part of a sum")
            if sum(self.counts[key] for key in line.parts) != self.counts[line.total]:
                raise SchemaError(
                    f"the parts of {' × '.join(line.total)} don't add up to it",
                    "must be the same sum",
                    "count units without a value as 'unknown'",
                )

    @classmethod
    def of(cls, cells: Mapping[Key, int], axes: Sequence[str]) -> "Release":
        """Return a table over some axes with all its totals, 0 where a combination has no units.

        Args:
            cells: Units by values of the axes, ``unknown`` among them.
            axes: Names of the axes, one for each part of a key.

        Raises:
            SchemaError: When a key has not one value an axis, or a value is called ``total``.
            InvalidValueError: As `Release`.

        Example:
            >>> table = Release.of({("KG",): 3, ("UZ",): 40}, ["region"])
            >>> table.counts[("total",)]
            43
        """
        for key in cells:
            if len(key) != len(axes) or TOTAL in key:
                raise SchemaError(f"key == {key}", f"must have one value for each of {', '.join(axes)}, none {TOTAL!r}")
        values = [list(dict.fromkeys(key[at] for key in cells)) for at in range(len(axes))]
        counts: dict[Key, int] = dict.fromkeys(itertools.product(*([*one, TOTAL] for one in values)), 0)
        for key, count in cells.items():
            for up in itertools.product((False, True), repeat=len(axes)):
                counts[tuple(TOTAL if over else value for value, over in zip(key, up, strict=True))] += count
        lines = []
        for at, one in enumerate(values):
            for rest in itertools.product(*([*other, TOTAL] for place, other in enumerate(values) if place != at)):
                key = (*rest[:at], TOTAL, *rest[at:])
                lines.append(Line(total=key, parts=tuple((*rest[:at], value, *rest[at:]) for value in one)))
        return cls(counts=counts, lines=tuple(lines))

    def joined(self, other: "Release") -> "Release":
        """Return both releases as one: what a reader of both can take together.

        Raises:
            SchemaError: When they count the same key differently.
        """
        apart = [key for key in self.counts if other.counts.get(key, self.counts[key]) != self.counts[key]]
        if apart:
            raise SchemaError(f"{' × '.join(apart[0])} is counted twice", "must be the same count")
        lines = dict.fromkeys((*self.lines, *other.lines))
        return Release(counts={**self.counts, **other.counts}, lines=tuple(lines))
