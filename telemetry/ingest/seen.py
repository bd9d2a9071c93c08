"""Which events are known already: exact by id, within a week on either side of an event's date.

The ids of every visible part near the dates of a chunk are held as sorted 64-bit hashes, one array a day; a hit is
confirmed by the ids themselves. The arrays are made from the parts and never stored: there is nothing to go stale, and
a retired part is forgotten with its events.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from telemetry.ingest.door import hashed
from telemetry.parts import EVENTS, Part, PartLog
from workspace.columns import Event

WINDOW_DAYS: Final = 7
"""An id that comes again with a date further off than this is another event."""
HELD_HASHES: Final = 64_000_000

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Day:
    hashes: Hashes = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    parts: dict[str, Part] = field(default_factory=dict)


class SeenIds:
    """Ids of the events in the visible parts.

    Args:
        parts: The parts.
        connection: A DuckDB for hashing.
    """

    def __init__(self, parts: PartLog, connection: duckdb.DuckDBPyConnection) -> None:
        self._parts = parts
        self._connection = connection
        self._days: dict[dt.date, _Day] = {}

    def known(self, ids: pa.ChunkedArray, hashes: Hashes, days: npt.NDArray[np.datetime64]) -> Mask:
        """Tell which events are in visible parts; the caller holds the writer's lock.

        Args:
            ids: Event ids, shape ``(n,)``.
            hashes: Their hashes, shape ``(n,)``.
            days: Their dates, shape ``(n,)``.
        """
        out = np.zeros(len(hashes), dtype=bool)
        if not len(hashes):
            return out
        wanted = sorted({day + dt.timedelta(offset) for day in np.unique(days).tolist()
                         for offset in range(-WINDOW_DAYS, WINDOW_DAYS + 1)})  # fmt: skip
        self._refresh(wanted)
        # In order, neighbours in the search are neighbours in memory.
        order = np.argsort(hashes)
        sorted_hashes, sorted_days = hashes[order], days[order]
        for date in wanted:
            if not self._days[date].parts:
                continue
            found = _contains(self._days[date].hashes, sorted_hashes)
            found &= np.abs((sorted_days - np.datetime64(date, "D")).astype(np.int64)) <= WINDOW_DAYS
            hits = order[found]
            if len(hits):
                out[hits] |= _confirmed(self._days[date].parts.values(), ids.take(pa.array(hits)))
        return out

    def add(self, part: Part, hashes: Hashes) -> None:
        """Take in a part that has just become visible; nothing happens when its day is not held."""
        if part.date in self._days:
            day = self._days[part.date]
            day.hashes = _merged([day.hashes, hashes])
            day.parts[part.part_id] = part

    def _refresh(self, wanted: Sequence[dt.date]) -> None:
        """Follow what other processes have added, merged or removed, and forget days that are far off."""
        visible: dict[dt.date, dict[str, Part]] = {}
        for part in self._parts.parts(EVENTS, start=wanted[0], end=wanted[-1]):
            visible.setdefault(part.date, {})[part.part_id] = part
        needed = set(wanted)
        for date, parts in visible.items():
            if date in needed:
                self._follow(date, parts)
        for date in [date for date in self._days if date in needed and date not in visible]:
            del self._days[date]
        held = sum(len(day.hashes) for day in self._days.values())
        for date in [date for date in self._days if date not in needed]:
            if held > HELD_HASHES:
                held -= len(self._days.pop(date).hashes)
        # A day without parts is held too, so that `add` finds it.
        for date in wanted:
            self._days.setdefault(date, _Day())

    def _follow(self, date: dt.date, parts: dict[str, Part]) -> None:
        day = self._days.setdefault(date, _Day())
        if not day.parts.keys() <= parts.keys():
            day = self._days[date] = _Day()
        new = [part for part_id, part in parts.items() if part_id not in day.parts]
        if new:
            day.hashes = _merged([day.hashes, self._hashes(new)])
            day.parts |= {part.part_id: part for part in new}

    def _hashes(self, parts: Sequence[Part]) -> Hashes:
        relation = self._connection.sql(
            f"SELECT {hashed(Event.ID)} AS hash FROM read_parquet($files, hive_partitioning => false)",  # noqa: S608
            params={"files": [str(part.path) for part in parts]},
        )
        found: Hashes = relation.to_arrow_table()["hash"].to_numpy()
        return found


def first_of_each(ids: pa.ChunkedArray, hashes: Hashes, received: npt.NDArray[np.int64]) -> Mask:
    """Tell which rows are the first received of their id; of those received at once, the first in the source.

    Args:
        ids: Event ids in the order of the source, shape ``(n,)``.
        hashes: Their hashes, shape ``(n,)``.
        received: When they were received, shape ``(n,)``.
    """
    out = np.ones(len(hashes), dtype=bool)
    in_order = np.sort(hashes)
    repeated = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    if not len(repeated):
        return out
    rows = np.flatnonzero(_contains(repeated, hashes))
    rows = rows[np.argsort(received[rows], kind="stable")]
    met: set[str] = set()
    for row, event_id in zip(rows.tolist(), ids.take(pa.array(rows)).to_pylist(), strict=True):
        out[row] = event_id not in met
        met.add(event_id)
    return out


def _contains(haystack: Hashes, needles: Hashes) -> Mask:
    if not len(haystack):
        return np.zeros(len(needles), dtype=bool)
    found = np.searchsorted(haystack, needles)
    return np.asarray(haystack[np.minimum(found, len(haystack) - 1)] == needles)


def _merged(runs: Sequence[Hashes]) -> Hashes:
    # The stable sort finds the runs that are in order already and merges them.
    return np.sort(np.concatenate([runs[0], *(np.sort(run) for run in runs[1:])]), kind="stable")


def _confirmed(parts: Iterable[Part], ids: pa.ChunkedArray) -> Mask:
    """Tell which ids are in the parts by the ids themselves: two may share a hash."""
    out = np.zeros(len(ids), dtype=bool)
    # The newest first: what comes twice mostly comes soon.
    for part in sorted(parts, key=lambda part: part.part_id, reverse=True):
        if out.all():
            break
        stored = pq.read_table(part.path, columns=[Event.ID], partitioning=None)[Event.ID]
        out |= pc.is_in(ids, value_set=stored.combine_chunks()).to_numpy()
    return out
