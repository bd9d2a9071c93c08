"""What one run of ingestion did."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from telemetry.parts import Batch, Part


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """The account of one run: read = accepted + duplicates + quarantined.

    Args:
        source: Where the rows came from.
        late: Accepted rows of an earlier day than the one they were received on.
        reasons: Quarantined rows by ``field: reason``.
        dates: Accepted rows by day.
        parts: Files added.
        messages: Film and user events handed over; they are not among the rows read.
        seconds: Duration.
        already: The source was complete before; nothing was read.
        resumed: An earlier run that was cut off was taken up where it stopped.
        batches: Ids of the batches committed.
    """

    source: str
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    late: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    dates: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    messages: int = 0
    seconds: float = 0.0
    already: bool = False
    resumed: bool = False
    batches: list[str] = field(default_factory=list)

    @property
    def events_per_s(self) -> float:
        """Events read a second; 0 when nothing was read."""
        return self.read / self.seconds if self.seconds > 0 else 0.0

    def count(self, batch: Batch, parts: Iterable[Part]) -> None:
        """Add a committed batch to the account."""
        for name in ("read", "accepted", "duplicates", "quarantined", "late"):
            setattr(self, name, getattr(self, name) + getattr(batch, name))
        self.reasons.update({f"{name or 'row'}: {reason}": rows for (name, reason), rows in batch.rejections.items()})
        for part in parts:
            self.dates[part.date.isoformat()] += part.rows
            self.parts += 1
        self.batches.append(batch.batch_id)

    def add(self, other: "IngestReport") -> None:
        """Add the account of another run."""
        for name in ("read", "accepted", "duplicates", "quarantined", "late", "parts", "messages", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)
        self.dates.update(other.dates)
        self.batches += other.batches
        self.resumed |= other.resumed

    def to_dict(self) -> dict[str, Any]:
        """Return the account as plain data, days in order, the most frequent reason first."""
        return {
            "source": self.source,
            "read": self.read,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "quarantined": self.quarantined,
            "late": self.late,
            "reasons": dict(self.reasons.most_common()),
            "dates": dict(sorted(self.dates.items())),
            "parts": self.parts,
            "messages": self.messages,
            "seconds": self.seconds,
            "events_per_s": self.events_per_s,
            "already": self.already,
            "resumed": self.resumed,
        }
