"""Taking events in: read, checked, pseudonymised, deduplicated, written by date, committed with the position.

Each chunk of a source is one transaction: its parts, its account and how far the source was read become visible
together. Killed at any moment, the next run goes on after the last transaction; what had been read again is recognised
by its id.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telemetry.events import LONGEST_LINE
from telemetry.ingest.chunk import Chunk, Item, with_last
from telemetry.ingest.compaction import compact_many
from telemetry.ingest.csv_lines import read_csv
from telemetry.ingest.door import Admitted, admit, connect
from telemetry.ingest.json_lines import parse_lines, read_json_lines
from telemetry.ingest.lines import too_long
from telemetry.ingest.parquet import read_parquet
from telemetry.ingest.report import IngestReport
from telemetry.ingest.seen import Hashes, SeenIds, first_of_each
from telemetry.ingest.sources import STANDARD_INPUT, Source, format_of, open_source
from telemetry.ingest.writing import arranged, write_part
from telemetry.parts import Batch, Part, PartLog
from telemetry.pseudonyms import KeyRing
from telemetry.quarantine import Quarantine
from workspace.clock import Clock, SystemClock
from workspace.columns import Event
from workspace.errors import StateError
from workspace.files import file_lock
from workspace.ids import new_id
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

Progress = Callable[[str, int, int], None]
OnMessage = Callable[[dict[str, Any]], None]

SWEPT_EVERY: Final = dt.timedelta(minutes=10)
_DAY_US: Final = 86_400_000_000
_LOG: Final = logging.getLogger(__name__)


class Ingestor:
    """Takes events into the parts of one workspace.

    Args:
        settings: Where they go, and where the keys are.
        store: The operational store.
        clock: Stamps what doesn't say when it was received.
    """

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        paths = Paths(settings.home)
        self.parts: Final = PartLog(store, paths, self._clock)
        self.keys: Final = KeyRing.open(settings, self._clock)
        self.quarantine: Final = Quarantine(paths, self.keys)
        # Chunks are checked in one thread while another hashes: each has its own connection.
        self._door = connect()
        self._hasher = connect()
        self._seen = SeenIds(self.parts, self._hasher)
        self._swept: dt.datetime | None = None

    def ingest_path(
        self,
        path: Path | str,
        format: str | None = None,  # noqa: A002 - as the option
        progress: Progress | None = None,
        on_domain_event: OnMessage | None = None,
    ) -> IngestReport:
        """Take in a file, every file of a folder, or the standard input by ``-``.

        Args:
            path: What to read.
            format: ``jsonl``, ``csv`` or ``parquet``; None goes by the name.
            progress: Told about bytes read.
            on_domain_event: Takes film and user events met in JSON Lines, at least once each; without it they are
                refused.

        Returns:
            The account.

        Raises:
            InvalidValueError: When the format can't be told.
            SchemaError: When a file is not what its format says, or unpacks beyond the limits.
            StateError: When something can't be read or written.
        """
        begun = time.perf_counter()
        report = IngestReport(source=str(path))
        files = [path] if str(path) == STANDARD_INPUT else _files(Path(path), format)
        with self._alone():
            already = [self._ingest_file(file, format, report, progress, on_domain_event) for file in files]
        self.tidy(report)
        report.already = all(already)
        report.seconds = time.perf_counter() - begun
        _LOG.info("ingested", extra={name: value for name, value in report.to_dict().items() if name != "reasons"})
        return report

    def ingest_rows(
        self,
        lines: Sequence[bytes],
        source: str,
        source_digest: str,
        position: Mapping[str, Any],
        on_domain_event: OnMessage | None = None,
    ) -> IngestReport:
        """Take in JSON lines that are in memory, as one transaction.

        Args:
            lines: One event each.
            source: Where they came from.
            source_digest: Tells two contents of the same source apart.
            position: How far the source is read with them.
            on_domain_event: As in `ingest_path`; called before the transaction.
        """
        begun = time.perf_counter()
        report = IngestReport(source=source)
        numbered = [(row, line) for row, line in enumerate(lines, 1) if len(line) <= LONGEST_LINE]
        chunk = parse_lines(numbered, position, domain=on_domain_event is not None)
        chunk.refusals.extend(too_long(row, line) for row, line in enumerate(lines, 1) if len(line) > LONGEST_LINE)
        with self._alone():
            self._hand_over(chunk, report, on_domain_event)
            self._take(chunk, self._admitted(chunk)[1], source, source_digest, report, complete=False)
        report.seconds = time.perf_counter() - begun
        return report

    def tidy(self, report: IngestReport) -> None:
        """Merge the small parts of those days of a run that have many."""
        compact_many(self.parts, sorted(map(dt.date.fromisoformat, report.dates)))

    def close(self) -> None:
        """Let go of the memory."""
        self._door.close()
        self._hasher.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of all who ingest, and now and then clean up after one that was killed."""
        with file_lock(self.parts.folder / ".ingest.lock"):
            if self._swept is None or self._clock.now() - self._swept >= SWEPT_EVERY:
                with self.parts.writing():
                    self.parts.sweep()
                self.quarantine.sweep({batch.batch_id for batch in self.parts.batches()})
                self._swept = self._clock.now()
            yield

    def _ingest_file(
        self,
        path: Path | str,
        format: str | None,  # noqa: A002 - as the option
        report: IngestReport,
        progress: Progress | None,
        on_message: OnMessage | None,
    ) -> bool:
        """Take in one file; return whether it was complete before."""
        with open_source(path, format, self.parts.folder) as source:
            last = self.parts.last_batch(source.name, source.digest)
            if last is not None and last.complete:
                return True
            position = dict(last.position) if last is not None else None
            report.resumed |= position is not None
            read = _chunks(source, position, domain=on_message is not None)
            done = 0
            for (chunk, admitted), is_last in with_last(_ahead(map(self._admitted, read))):
                self._hand_over(chunk, report, on_message)
                self._take(chunk, admitted, source.name, source.digest, report, complete=is_last)
                done += chunk.size
                if progress is not None:
                    progress(f"ingest {Path(source.name).name}", done, 0)
            if not done:
                chunk, admitted = self._admitted(_nothing(position))
                self._take(chunk, admitted, source.name, source.digest, report, complete=True)
        return False

    def _admitted(self, chunk: Chunk) -> tuple[Chunk, Admitted]:
        return chunk, admit(self._door, chunk, self.keys, self._clock.now())

    @staticmethod
    def _hand_over(chunk: Chunk, report: IngestReport, on_message: OnMessage | None) -> None:
        """Give the film and user events away before the position moves past them."""
        if on_message is not None:
            for message in chunk.messages:
                on_message(message)
        report.messages += len(chunk.messages)

    def _take(
        self, chunk: Chunk, admitted: Admitted, source: str, digest: str, report: IngestReport, *, complete: bool
    ) -> None:
        """Bring one chunk in by one transaction."""
        started = self._clock.now()
        received = admitted.table[Event.RECEIVED_AT].to_numpy().astype(np.int64)
        days = admitted.table[Event.TS].to_numpy().astype("datetime64[D]")
        fresh = first_of_each(admitted.table[Event.ID], admitted.hashes, received)
        with self.parts.writing():
            fresh[fresh] = ~self._seen.known(admitted.table[Event.ID].filter(pa.array(fresh)), admitted.hashes[fresh],
                                             days[fresh])  # fmt: skip
            kept = np.flatnonzero(fresh)
            parts, hashes = self._write(admitted, kept, days[kept])
            batch_id = new_id("batch")
            rejections = self.quarantine.write(batch_id, source, admitted.refusals, started.date())
            batch = Batch(
                batch_id=batch_id,
                source=source,
                source_digest=digest,
                position=chunk.position,
                complete=complete,
                started_at=started,
                finished_at=self._clock.now(),
                read=chunk.read,
                accepted=len(kept),
                duplicates=admitted.table.num_rows - len(kept),
                quarantined=len(admitted.refusals),
                bytes=chunk.size,
                rejections=rejections,
                **_timing(admitted.table[Event.TS].to_numpy()[kept], received[kept]),
            )
            self.parts.commit(added=parts, batch=batch)
        for part, known in zip(parts, hashes, strict=True):
            self._seen.add(part, known)
        report.count(batch, parts)

    def _write(
        self, admitted: Admitted, kept: npt.NDArray[np.int64], days: npt.NDArray[np.datetime64]
    ) -> tuple[list[Part], list[Hashes]]:
        """Write the kept rows as one part a day, each by user and time; return them and the hashes of their ids."""
        users = admitted.users[kept]
        moments = admitted.table[Event.TS].to_numpy()[kept]
        order = np.lexsort((moments, users, days))
        table = arranged(admitted.table, kept[order], users[order])
        dates, starts = np.unique(days[order], return_index=True)
        ends = np.append(starts, len(order))[1:]
        parts, hashes = [], []
        for date, start, end in zip(dates.tolist(), starts, ends, strict=True):
            parts.append(write_part(self.parts, table.slice(start, end - start), date))
            hashes.append(admitted.hashes[kept[order[start:end]]])
        return parts, hashes


def _timing(moments: npt.NDArray[np.datetime64], received: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return how far the accepted rows reach, how long they took to arrive, and how many came on a later day."""
    if not len(moments):
        return {"late": 0, "first_ts": None, "last_ts": None, "lag_s": None}
    times = moments.astype("datetime64[us]")
    happened = times.astype(np.int64)
    first, last = (moment.replace(tzinfo=dt.UTC) for moment in (times.min().item(), times.max().item()))
    late = int(np.count_nonzero(happened // _DAY_US < received // _DAY_US))
    return {"late": late, "first_ts": first, "last_ts": last, "lag_s": float(np.mean(received - happened)) / 1e6}


def _files(path: Path, format: str | None) -> list[Path | str]:  # noqa: A002 - as the option
    if not path.is_dir():
        return [path]
    found = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    files = [file for file in found if format_of(file) is not None and format in (None, format_of(file))]
    if not files:
        raise StateError(f"there is nothing to ingest in {path}", hint="its files must end in .jsonl, .csv or .parquet")
    return list(files)


def _chunks(source: Source, position: Mapping[str, Any] | None, *, domain: bool) -> Iterator[Chunk]:
    if source.format == "parquet":
        return read_parquet(source.stream, position, source.name)
    if source.format == "csv":
        return read_csv(source.stream, position, source.name)
    return read_json_lines(source.stream, position, domain=domain)


def _ahead(chunks: Iterator[Item]) -> Iterator[Item]:
    """Read one chunk ahead in a thread: parsing and writing keep a core each busy."""
    with ThreadPoolExecutor(1, thread_name_prefix="ingest") as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk


def _nothing(position: Mapping[str, Any] | None) -> Chunk:
    return parse_lines([], position or {}, domain=False)
