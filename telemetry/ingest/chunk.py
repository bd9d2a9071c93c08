"""What a reader hands to the door: some rows of a source as one table, and how far the source has been read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pyarrow as pa

from telemetry.events import NUMBERS
from telemetry.quarantine import Refusal
from workspace.columns import Event
from workspace.columns import Quarantine as Column

ROWS: Final = 250_000
BYTES: Final = 64 << 20
ROW: Final = Column.ROW
Item = TypeVar("Item")

TEXT_SCHEMA: Final = pa.schema(
    [(name, pa.float64() if name in NUMBERS else pa.string()) for name in Event.CONTRACT]
    + [(Event.EXTRA, pa.string()), (ROW, pa.int64())]
)
"""How readers of text hand over rows: times as they were written, numbers as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some rows of a source.

    Args:
        table: The rows that could be read: columns of the event, `Event.EXTRA`, and their number in the source.
        refusals: The rows that could not.
        position: How far the source is read after them.
        size: Bytes read for them.
        look_up: Gives for a row's number its bytes and its fields, should it be refused later.
        messages: Domain events met between the rows.
    """

    table: pa.Table
    refusals: list[Refusal]
    position: Mapping[str, Any]
    size: int
    look_up: Callable[[int], tuple[bytes, Mapping[str, Any] | None]]
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def read(self) -> int:
        """Events read, well formed or not."""
        return int(self.table.num_rows) + len(self.refusals)


def with_last(items: Iterable[Item]) -> Iterator[tuple[Item, bool]]:
    """Yield each item and whether it is the last one.

    Example:
        >>> list(with_last("ab"))
        [('a', False), ('b', True)]
    """
    waiting: list[Item] = []
    for item in items:
        if waiting:
            yield waiting.pop(), False
        waiting.append(item)
    if waiting:
        yield waiting.pop(), True
