"""Taking a person out of the events: every part that names one of their pseudonyms is written anew without them.

The rollups are not touched here: a day whose events changed is pending, and `telemetry.rollups.roll_up` computes its
rollups, its week and its block again, registers and counts of users among them. So no aggregate keeps the person in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import delete, select

from telemetry.parts import EVENTS, Part, PartLog, PartRow
from workspace.columns import Event
from workspace.errors import IntegrityError
from workspace.store import Store

_PARTS_AT_A_TIME: Final = 50


@dataclass(slots=True)
class TelemetryErased:
    """What was taken out.

    Args:
        rows: Events.
        parts: Parts written anew.
        transactions: The requests of the person's events.
        slates: The slates of their events.
    """

    rows: int = 0
    parts: int = 0
    transactions: set[str] = field(default_factory=set)
    slates: set[str] = field(default_factory=set)


def names_in_events(parts: PartLog, pseudonyms: tuple[int, ...]) -> TelemetryErased:
    """Return how many events a person has, and what those name: requests and slates."""
    found = TelemetryErased()
    for part, mask in _parts_of(parts, pseudonyms):
        own = _read(part.path, [Event.TRANSACTION, Event.SLATE]).filter(mask)
        found.parts += 1
        found.rows += own.num_rows
        found.transactions.update(filter(None, own[Event.TRANSACTION].to_pylist()))
        found.slates.update(filter(None, own[Event.SLATE].to_pylist()))
    return found


def erase_events(parts: PartLog, pseudonyms: tuple[int, ...]) -> dict[str, int]:
    """Write every part with events of a person anew without them, and remove the old files at once.

    A reader that has opened an old part goes on with it; one that was about to open it is told that the part is gone,
    and asks again.

    Args:
        parts: The visible parts; this function takes their writing lock.
        pseudonyms: The person under every key.

    Returns:
        ``events`` and ``parts`` taken out.
    """
    rows = changed = 0
    with parts.writing():
        added: list[Part] = []
        retired: list[Part] = []
        for part, mask in _parts_of(parts, pseudonyms):
            table = _read(part.path)
            left = table.filter(pc.invert(mask))
            rows += table.num_rows - left.num_rows
            changed += 1
            if left.num_rows:
                added.append(parts.write(left, EVENTS, part.date))
            retired.append(part)
            if len(retired) >= _PARTS_AT_A_TIME:
                parts.commit(added=added, retired=[one.part_id for one in retired])
                added, retired = [], []
        parts.commit(added=added, retired=[one.part_id for one in retired])
    return {"events": rows, "parts": changed}


def remove_retired(parts: PartLog, store: Store) -> int:
    """Remove every retired part and every file no part lists, without waiting for late readers.

    Returns:
        How many files.
    """
    with parts.writing():
        with store.reading() as session:
            rows = session.execute(select(PartRow.part_id, PartRow.path, PartRow.retired_at)).all()
        listed = {parts.folder / path for _, path, retired_at in rows if retired_at is None}
        present = {*parts.folder.glob("*/date=*/*.parquet"), *parts.folder.glob("*/date=*/.*.parquet.tmp")}
        gone = sorted(present - listed)
        for path in gone:
            path.unlink(missing_ok=True)
        # After the files: a row without a file is forgotten again by the next run, a file without a row is not found.
        with store.session() as session:
            session.execute(delete(PartRow).where(PartRow.retired_at.is_not(None)))
    return len(gone)


def _parts_of(parts: PartLog, pseudonyms: tuple[int, ...]) -> Iterator[tuple[Part, pa.ChunkedArray]]:
    wanted = pa.array(pseudonyms, pa.int64())
    for part in parts.parts(EVENTS):
        mask = pc.is_in(_read(part.path, [Event.USER])[Event.USER], wanted)
        if pc.any(mask).as_py():
            yield part, mask


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        # Opened by name: the folder date=… above it is no column.
        with pq.ParquetFile(path) as file:
            return file.read(columns)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} can't be read: {error}", hint="restore it, or remove its day") from error
