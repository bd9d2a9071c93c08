"""Which files of telemetry are visible: immutable Parquet parts, listed in the operational store.

A part is written under a temporary name, synced and renamed; that alone shows it to nobody. One transaction then adds
the parts of a batch, retires those they replace and remembers how far the source was read. A process killed at any
moment leaves either the state before or the state after, and files that nobody lists, which `PartLog.sweep` removes.
"""

import datetime as dt
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import JSON, Date, DateTime, Float, ForeignKey, Integer, String, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from workspace.clock import Clock, SystemClock
from workspace.files import file_lock, fsync_folder
from workspace.ids import new_id
from workspace.paths import Paths
from workspace.store import Base, Store

EVENTS: Final = "events"
KEPT_AFTER_RETIREMENT: Final = dt.timedelta(hours=1)
"""A reader that listed a part before it was retired may still be reading it."""


class PartRow(Base):
    """One part as stored."""

    __tablename__ = "telemetry_parts"

    part_id: Mapped[str] = mapped_column(String, primary_key=True)
    dataset: Mapped[str] = mapped_column(String)
    date: Mapped[dt.date] = mapped_column(Date)
    path: Mapped[str] = mapped_column(String)
    rows: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    source_digest: Mapped[str] = mapped_column(String)
    batch_id: Mapped[str | None] = mapped_column(String)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    retired_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class BatchRow(Base):
    """One batch as stored."""

    __tablename__ = "telemetry_batches"

    batch_id: Mapped[str] = mapped_column(String, primary_key=True)
    source: Mapped[str] = mapped_column(String, index=True)
    source_digest: Mapped[str] = mapped_column(String)
    position: Mapped[dict[str, Any]] = mapped_column(JSON)
    complete: Mapped[bool] = mapped_column()
    started_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    read: Mapped[int] = mapped_column(Integer)
    accepted: Mapped[int] = mapped_column(Integer)
    duplicates: Mapped[int] = mapped_column(Integer)
    quarantined: Mapped[int] = mapped_column(Integer)
    late: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    first_ts: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    last_ts: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    lag_s: Mapped[float | None] = mapped_column(Float)


class RejectionRow(Base):
    """How many rows of a batch were refused for one reason."""

    __tablename__ = "telemetry_rejections"

    batch_id: Mapped[str] = mapped_column(ForeignKey("telemetry_batches.batch_id"), primary_key=True)
    field: Mapped[str] = mapped_column(String, primary_key=True)
    reason: Mapped[str] = mapped_column(String, primary_key=True)
    rows: Mapped[int] = mapped_column(Integer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One immutable Parquet file of a dataset and a day.

    Args:
        source_digest: Digest of what it was computed from; empty for events.
    """

    part_id: str
    dataset: str
    date: dt.date
    path: Path
    rows: int
    bytes: int
    source_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one step of ingestion read, and what became of every row: read = accepted + duplicates + quarantined.

    Args:
        source: Where the rows came from, for example a file or a topic's partition.
        source_digest: Tells two contents of the same name apart.
        position: How far the source has been read after this batch, in its own terms.
        complete: The source is read to its end.
        late: Accepted rows of an earlier day than the one they were received on.
        bytes: Size of what was read.
        lag_s: Mean seconds from an event to its receipt; None without accepted rows.
        rejections: Quarantined rows by field and reason.
    """

    batch_id: str
    source: str
    source_digest: str
    position: Mapping[str, Any]
    complete: bool
    started_at: dt.datetime
    finished_at: dt.datetime
    read: int
    accepted: int
    duplicates: int
    quarantined: int
    late: int
    bytes: int
    first_ts: dt.datetime | None = None
    last_ts: dt.datetime | None = None
    lag_s: float | None = None
    rejections: Mapping[tuple[str, str], int] = field(default_factory=dict)


class PartLog:
    """Lists, adds and retires parts.

    Args:
        store: The operational store.
        paths: The workspace that holds the files.
        clock: Stamps what is added and retired.

    Example:
        >>> from workspace.settings import Settings
        >>> import tempfile; home = Path(tempfile.mkdtemp())
        >>> PartLog(Store.open(Settings(home=home)), Paths(home)).dates("events")
        []
    """

    def __init__(self, store: Store, paths: Paths, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self.folder: Final = paths.telemetry

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the one lock of all who add or retire parts; a second writer waits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with file_lock(self.folder / ".writer.lock"):
            yield

    def write(self, table: pa.Table, dataset: str, date: dt.date, *, source_digest: str = "") -> Part:
        """Write a table as a part that nobody sees before `commit`.

        Args:
            table: The rows.
            dataset: ``events`` or the name of a rollup.
            date: The day they belong to.
            source_digest: Digest of what they were computed from.
        """
        with self.target(dataset, date, source_digest=source_digest) as (temporary, finished):
            pq.write_table(table, temporary, compression="zstd", compression_level=1)
        return finished()

    @contextmanager
    def target(
        self, dataset: str, date: dt.date, *, source_digest: str = ""
    ) -> Iterator[tuple[Path, Callable[[], Part]]]:
        """Give the temporary name of a new part to whoever writes it by other means.

        Yields:
            The file to write, and a function that returns the finished part after the block.
        """
        part_id = new_id("part")
        path = self.folder / dataset / f"date={date.isoformat()}" / f"{part_id}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            yield temporary, lambda: _described(path, part_id, dataset, date, source_digest)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)

    def commit(self, *, added: Sequence[Part] = (), retired: Sequence[str] = (), batch: Batch | None = None) -> None:
        """Show the added parts, hide the retired ones and remember the batch, all in one transaction."""
        now = self._clock.now()
        with self._store.session() as session:
            session.add_all(_row(part, self.folder, now, batch) for part in added)
            if retired:
                session.execute(update(PartRow).where(PartRow.part_id.in_(retired)).values(retired_at=now))
            if batch is not None:
                _add_batch(session, batch)

    def parts(self, dataset: str, *, start: dt.date | None = None, end: dt.date | None = None) -> list[Part]:
        """Return the visible parts of a dataset, oldest day first.

        Args:
            dataset: ``events`` or the name of a rollup.
            start: First day.
            end: Last day, included.
        """
        query = select(PartRow).where(PartRow.dataset == dataset, PartRow.retired_at.is_(None))
        if start is not None:
            query = query.where(PartRow.date >= start)
        if end is not None:
            query = query.where(PartRow.date <= end)
        with self._store.reading() as session:
            rows = session.scalars(query.order_by(PartRow.date, PartRow.part_id)).all()
            return [_part(row, self.folder) for row in rows]

    def dates(self, dataset: str) -> list[dt.date]:
        """Return the days a dataset has rows for, oldest first."""
        query = select(PartRow.date).where(PartRow.dataset == dataset, PartRow.retired_at.is_(None))
        with self._store.reading() as session:
            return sorted(session.scalars(query.distinct()))

    def digests(self, dataset: str) -> dict[dt.date, str]:
        """Return for each day a digest that changes whenever the day's visible parts change."""
        found: dict[dt.date, Any] = {}
        for part in self.parts(dataset):
            found.setdefault(part.date, hashlib.sha256()).update(part.part_id.encode())
        return {date: digest.hexdigest()[:16] for date, digest in found.items()}

    def version(self) -> tuple[int, int, str, str, str]:
        """Return something that changes whenever a part is added, retired or swept."""
        query = select(
            func.count(),
            func.count(PartRow.retired_at),
            func.max(PartRow.created_at),
            func.max(PartRow.retired_at),
            func.max(PartRow.part_id),
        )
        with self._store.reading() as session:
            listed, retired, *newest = session.execute(query).one()
        created_at, retired_at, part_id = map(str, newest)
        return int(listed), int(retired), created_at, retired_at, part_id

    def last_batch(self, source: str, source_digest: str) -> BatchRow | None:
        """Return the newest batch of a source's content, or None when none was ingested."""
        query = (
            select(BatchRow)
            .where(BatchRow.source == source, BatchRow.source_digest == source_digest)
            .order_by(BatchRow.finished_at.desc(), BatchRow.batch_id.desc())
            .limit(1)
        )
        with self._store.reading() as session:
            return session.scalars(query).first()

    def batches(self, *, since: dt.datetime | None = None) -> list[BatchRow]:
        """Return the batches finished since a moment, oldest first."""
        query = select(BatchRow).order_by(BatchRow.finished_at, BatchRow.batch_id)
        if since is not None:
            query = query.where(BatchRow.finished_at >= since)
        with self._store.reading() as session:
            return list(session.scalars(query))

    def rejections(self, *, since: dt.datetime | None = None) -> dict[tuple[str, str], int]:
        """Return how many rows were refused since a moment, by field and reason."""
        query = select(RejectionRow.field, RejectionRow.reason, func.sum(RejectionRow.rows)).join(BatchRow)
        if since is not None:
            query = query.where(BatchRow.finished_at >= since)
        query = query.group_by(RejectionRow.field, RejectionRow.reason)
        with self._store.reading() as session:
            return {(name, reason): int(rows) for name, reason, rows in session.execute(query)}

    def sweep(self) -> list[Path]:
        """Remove the files of parts retired long enough ago and those no part lists; the caller holds `writing`.

        Returns:
            What was removed.
        """
        limit = self._clock.now() - KEPT_AFTER_RETIREMENT
        with self._store.session() as session:
            listed = set()
            for row in session.scalars(select(PartRow)):
                if row.retired_at is not None and _aware(row.retired_at) <= limit:
                    session.delete(row)
                else:
                    listed.add(self.folder / row.path)
        present = {*self.folder.glob("*/date=*/*.parquet"), *self.folder.glob("*/date=*/.*.parquet.tmp")}
        removed = sorted(present - listed)
        for path in removed:
            path.unlink(missing_ok=True)
        return removed


def _described(path: Path, part_id: str, dataset: str, date: dt.date, source_digest: str) -> Part:
    rows = pq.read_metadata(path).num_rows
    return Part(
        part_id=part_id,
        dataset=dataset,
        date=date,
        path=path,
        rows=rows,
        bytes=path.stat().st_size,
        source_digest=source_digest,
    )


def _row(part: Part, folder: Path, now: dt.datetime, batch: Batch | None) -> PartRow:
    return PartRow(
        part_id=part.part_id,
        dataset=part.dataset,
        date=part.date,
        path=part.path.relative_to(folder).as_posix(),
        rows=part.rows,
        bytes=part.bytes,
        source_digest=part.source_digest,
        batch_id=batch.batch_id if batch else None,
        created_at=now,
    )


def _add_batch(session: Session, batch: Batch) -> None:
    names = [column.name for column in BatchRow.__table__.columns]
    session.add(BatchRow(**{name: getattr(batch, name) for name in names} | {"position": dict(batch.position)}))
    session.flush()
    session.add_all(
        RejectionRow(batch_id=batch.batch_id, field=name, reason=reason, rows=rows)
        for (name, reason), rows in batch.rejections.items()
    )


def _part(row: PartRow, folder: Path) -> Part:
    return Part(
        part_id=row.part_id,
        dataset=row.dataset,
        date=row.date,
        path=folder / row.path,
        rows=row.rows,
        bytes=row.bytes,
        source_digest=row.source_digest,
    )


def _aware(moment: dt.datetime) -> dt.datetime:
    # SQLite keeps no zone; everything is stored in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
