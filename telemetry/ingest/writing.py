"""Events as they are written: one form for new parts and for merged ones."""

import datetime as dt
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from telemetry.events import SCHEMA, TEXTS
from telemetry.parts import EVENTS, Part, PartLog
from workspace.columns import Event

ROW_GROUP: Final = 131_072
_PLAIN: Final = (Event.ID, Event.TRANSACTION)  # no two alike: a dictionary would only cost
_CODED: Final = [name for name in TEXTS if name not in (*_PLAIN, Event.USER)] + [Event.EXTRA]
# Only these are in an order by which a reader can pass over rows; bounds of the others took 40 % of the writing.
_BOUNDED: Final = [Event.TS, Event.RECEIVED_AT, Event.USER]
_DICTIONARIES: Final = [name for name in SCHEMA.names if name not in _PLAIN]


def arranged(table: pa.Table, rows: npt.NDArray[np.int64], users: npt.NDArray[np.int64]) -> pa.Table:
    """Return some rows in a new order, each text as a number into a dictionary: moved and written at half the cost."""
    indices = pa.array(rows)
    columns = []
    for field in SCHEMA:
        if field.name == Event.USER:
            columns.append(pa.chunked_array([users]))
        elif field.name in _CODED:
            columns.append(table[field.name].dictionary_encode().combine_chunks().take(indices))
        else:
            columns.append(table[field.name].take(indices).cast(field.type))
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)))


def write_part(parts: PartLog, table: pa.Table, date: dt.date) -> Part:
    """Write events of one day as a part that nobody sees before it is committed.

    Args:
        parts: Where it goes; the caller holds the writer's lock.
        table: The events, sorted by user and time.
        date: Their day.
    """
    with parts.target(EVENTS, date) as (temporary, finished):
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=1,
            use_dictionary=_DICTIONARIES,
            write_statistics=_BOUNDED,
            row_group_size=ROW_GROUP,
            store_schema=False,
        )
    return finished()
