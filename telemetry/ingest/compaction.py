"""Merging the many small parts that micro-batches and late events leave into few large ones."""

import datetime as dt
from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from telemetry.events import SCHEMA
from telemetry.ingest.writing import write_part
from telemetry.parts import EVENTS, Part, PartLog
from workspace.columns import Event

LARGE_ROWS: Final = 1_000_000
MANY: Final = 16


def compact(parts: PartLog, date: dt.date) -> list[Part]:
    """Merge the small parts of a day, atomically: readers see those before or those after.

    Args:
        parts: The parts.
        date: The day.

    Returns:
        The new parts, each of up to a million rows; none when there was nothing to merge.
    """
    with parts.writing():
        added, retired = [], []
        for group in _groups(parts.parts(EVENTS, start=date, end=date)):
            tables = [pq.read_table(part.path, partitioning=None).cast(SCHEMA) for part in group]
            merged = pa.concat_tables(tables).sort_by([(Event.USER, "ascending"), (Event.TS, "ascending")])
            added.append(write_part(parts, merged, date))
            retired += [part.part_id for part in group]
        if added:
            parts.commit(added=added, retired=retired)
        return added


def compact_many(parts: PartLog, dates: Iterable[dt.date], *, many: int = MANY) -> list[Part]:
    """Merge the small parts of those days that have many of them.

    Args:
        parts: The parts.
        dates: The days to look at.
        many: From how many small parts on a day is merged.
    """
    merged: list[Part] = []
    for date in dates:
        small = [part for part in parts.parts(EVENTS, start=date, end=date) if part.rows < LARGE_ROWS // 2]
        if len(small) >= many:
            merged += compact(parts, date)
    return merged


def _groups(parts: Iterable[Part]) -> list[list[Part]]:
    """Put small parts together up to the size of a large one; a group of one is left alone."""
    groups: list[list[Part]] = [[]]
    rows = 0
    for part in (part for part in parts if part.rows < LARGE_ROWS // 2):
        if rows + part.rows > LARGE_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(part)
        rows += part.rows
    return [group for group in groups if len(group) > 1]
