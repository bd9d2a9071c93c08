"""What a warehouse can do, whichever engine it is."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from telemetry.warehouse.sql import Value
from telemetry.warehouse.tables import Table

if TYPE_CHECKING:
    import pandas as pd

Window = tuple[dt.date, dt.date]
"""First and last day, both included."""
Windows = Mapping[str, Sequence[Window]]
"""Tables of which only some days are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rollup of some days in a row, or of one week, to be made anew.

    Args:
        table: What it becomes part of.
        dates: The days, consecutive; of a week its Monday alone.
        sql: Canonical SELECT of its rows; empty when the days have no events any more.
        window: Days it reads.
        digests: For each date the digest of the events it is computed from.
        parameters: Values of the statement.
    """

    table: Table
    dates: tuple[dt.date, ...]
    sql: str
    window: Window
    digests: tuple[str, ...]
    parameters: Mapping[str, Value] = field(default_factory=dict)


class Warehouse(Protocol):
    """Answers canonical SQL."""

    @property
    def name(self) -> str:
        """Which engine, for people."""
        ...

    @property
    def side_by_side(self) -> int:
        """How many statements it takes at a time."""
        ...

    def query(
        self,
        sql: str,
        *,
        window: Window | None = None,
        parameters: Mapping[str, Value] | None = None,
        windows: Windows | None = None,
        staged: str = "",
    ) -> "pd.DataFrame":
        """Run a statement.

        Args:
            sql: Canonical SQL.
            window: The days it is about; an embedded engine opens no file of any other.
            parameters: Values of its `:name` places.
            windows: Tables of which even fewer days are read.
            staged: Name of a step of the statement that is worth finishing before the rest begins: an engine with
                little memory then holds one or the other, not both. The answer is the same.

        Returns:
            The rows, with lower-case column names.

        Raises:
            UnreachableError: When the engine does not answer.
            IntegrityError: When a stored part is missing or damaged.
            StateError: When the engine lacks memory or room for it.
        """
        ...

    def rows(self, table: Table, window: Window | None = None) -> int:
        """Return how many rows a table has for some days."""
        ...

    def digests(self, table: Table) -> dict[dt.date, str]:
        """Return, for each day or week a rollup has, the digest of the events it was computed from."""
        ...

    def apply(self, steps: Sequence[Step]) -> int:
        """Make rollups anew, in order, so that readers see all of them or none.

        A later step reads what an earlier one has made.

        Returns:
            The number of rows written.
        """
        ...

    def version(self) -> object:
        """Return something that changes whenever what is stored changes."""
        ...

    def close(self) -> None:
        """Let go of the engine."""
        ...
