"""What a run may not say of observed users: cells under k, and what would give them away."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from audit.runs.grouping import Grouping
from audit.runs.measuring import Column, Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """What is withheld.

    Args:
        groups: By axis, whether the size of a group is withheld.
        rows: Rows ``(axis, group, measure, film axis, film group)`` whose counts are withheld.
        markets: Markets whose figures are withheld.
        cells: How many cells are withheld.
    """

    groups: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    rows: frozenset[tuple[str, str, str, str, str]] = frozenset()
    markets: frozenset[str] = frozenset()
    cells: int = 0

    def row(self, axis: Grouping, code: int, column: Column) -> bool:
        """Return whether a comparison of a group with its reference is withheld."""
        mine = self.groups.get(axis.axis, {})
        ends = (axis.names[code], axis.reference_name)
        return any(
            mine.get(group, False)
            or (axis.axis, group, column.measure, column.film_axis, column.film_group) in self.rows
            for group in ends
        )


def withhold(measured: Measured) -> Withheld:
    """Return what may not be said of a panel; nothing of personas, who are nobody."""
    if measured.panel.kind != "observed":
        return Withheld()
    raise NotImplementedError
