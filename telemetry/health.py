"""How ingestion is doing: rates, lag, what was refused, what is stored and what is not rolled up yet."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from telemetry.parts import BatchRow, PartLog
from telemetry.rollups import pending
from telemetry.warehouse.protocol import Warehouse
from telemetry.warehouse.tables import TABLES


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfIngestion:
    """What was taken in within one hour of the machine's clock.

    Args:
        at: Start of the hour.
        seconds: Time spent on it.
        lag_s: Mean seconds from an event to its receipt; None without accepted rows.
    """

    at: dt.datetime
    batches: int
    read: int
    accepted: int
    duplicates: int
    quarantined: int
    late: int
    seconds: float
    lag_s: float | None

    @property
    def events_per_s(self) -> float | None:
        """Rows read in a second of work; None when no time was measured."""
        return self.read / self.seconds if self.seconds > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Rows put into quarantine for one reason."""

    field: str
    reason: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is stored of one dataset."""

    dataset: str
    parts: int
    rows: int
    bytes: int
    first: dt.date | None
    last: dt.date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Health of ingestion since a moment.

    Args:
        since: The moment.
        total: All hours as one.
        hours: Hours with any batch, oldest first.
        refusals: Reasons of quarantine, most rows first.
        stored: Every dataset.
        newest_event: Time of the newest event ever taken in.
        newest_batch: When a batch last ended, ever.
        pending_dates: Days whose rollups are not those of their events.
    """

    since: dt.datetime
    total: HourOfIngestion
    hours: tuple[HourOfIngestion, ...]
    refusals: tuple[Refusal, ...]
    stored: tuple[Stored, ...]
    newest_event: dt.datetime | None
    newest_batch: dt.datetime | None
    pending_dates: tuple[dt.date, ...]

    @property
    def balanced(self) -> bool:
        """Whether every row read was accepted, known already, or refused with a reason."""
        total = self.total
        refused = sum(refusal.rows for refusal in self.refusals)
        return total.read == total.accepted + total.duplicates + total.quarantined and refused == total.quarantined

    @property
    def quarantined_share(self) -> float | None:
        """Share of the rows read that were refused; None when nothing was read."""
        return self.total.quarantined / self.total.read if self.total.read else None

    def to_dict(self) -> dict[str, Any]:
        """Return the health as plain data."""
        return asdict(self) | {"balanced": self.balanced, "quarantined_share": self.quarantined_share}


def ingestion_health(parts: PartLog, since: dt.datetime, warehouse: Warehouse | None = None) -> Health:
    """Return how ingestion has been doing.

    Args:
        parts: The log of batches and parts.
        since: From when; aware.
        warehouse: Where the rollups are; None means they are parts too.
    """
    batches = parts.batches(since=since)
    by_hour: dict[dt.datetime, list[BatchRow]] = defaultdict(list)
    for batch in batches:
        by_hour[_aware(batch.finished_at).replace(minute=0, second=0, microsecond=0)].append(batch)
    refusals = [
        Refusal(field=name, reason=why, rows=rows) for (name, why), rows in parts.rejections(since=since).items()
    ]
    every = parts.batches()
    newest = [_aware(batch.last_ts) for batch in every if batch.last_ts is not None]
    return Health(
        since=since,
        total=_summed(since, batches),
        hours=tuple(_summed(hour, by_hour[hour]) for hour in sorted(by_hour)),
        refusals=tuple(sorted(refusals, key=lambda one: (-one.rows, one.field, one.reason))),
        stored=tuple(_stored(parts, table.dataset) for table in TABLES),
        newest_event=max(newest, default=None),
        newest_batch=_aware(every[-1].finished_at) if every else None,
        pending_dates=tuple(pending(parts, warehouse)),
    )


def _summed(at: dt.datetime, batches: Sequence[BatchRow]) -> HourOfIngestion:
    lags = [(batch.lag_s, batch.accepted) for batch in batches if batch.lag_s is not None and batch.accepted]
    weight = sum(accepted for _, accepted in lags)
    return HourOfIngestion(
        at=at,
        batches=len(batches),
        read=sum(batch.read for batch in batches),
        accepted=sum(batch.accepted for batch in batches),
        duplicates=sum(batch.duplicates for batch in batches),
        quarantined=sum(batch.quarantined for batch in batches),
        late=sum(batch.late for batch in batches),
        seconds=sum((batch.finished_at - batch.started_at).total_seconds() for batch in batches),
        lag_s=sum(lag * accepted for lag, accepted in lags) / weight if weight else None,
    )


def _stored(parts: PartLog, dataset: str) -> Stored:
    listed = parts.parts(dataset)
    return Stored(
        dataset=dataset,
        parts=len(listed),
        rows=sum(part.rows for part in listed),
        bytes=sum(part.bytes for part in listed),
        first=listed[0].date if listed else None,
        last=listed[-1].date if listed else None,
    )


def _aware(moment: dt.datetime) -> dt.datetime:
    # SQLite keeps no zone; everything is stored in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
