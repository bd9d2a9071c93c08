"""Watching: run whenever there is something new, so that an alert leaves within a minute of the data behind it."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.ground import Ground
from monitoring.reports import RunReport
from telemetry.warehouse.tables import USER_DAY

EVERY: Final = dt.timedelta(seconds=10)
"""How often it looks whether there is something new; a run over a week of a million users takes up to 30 s."""
AT_LEAST: Final = dt.timedelta(minutes=5)
"""Without anything new: alerts become old enough to fire, and messages are tried again."""
OF_SERVICES: Final = ("objectives.services", "outliers.requests")
"""Detectors that look at the services only: new samples of them are no news to the others."""
_SYSTEM_LOOKED_BACK: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What there is to look at.

    Args:
        telemetry: Digest of the events behind each day.
        ledger: Hash of the last act.
        system: The newest sample of the services.
    """

    telemetry: tuple[tuple[dt.date, str], ...]
    ledger: str
    system: dt.datetime | None


def news(ground: Ground) -> News:
    """Return what there is: when it is something else, a run may find something new."""
    now = ground.clock.now()
    return News(
        telemetry=tuple(sorted(ground.warehouse.digests(USER_DAY).items())),
        ledger=ground.ledger.head().hash,
        system=ground.system.known(now - _SYSTEM_LOOKED_BACK, now).last,
    )


def watch(
    ground: Ground, run: Callable[[Sequence[str] | None], RunReport], wait: Callable[[float], None]
) -> Iterator[RunReport]:
    """Run at once, then whenever there is something new, for as long as somebody iterates.

    Args:
        ground: The stores.
        run: Runs the monitor once, with the detectors named or with all: when only services have new samples, or
            nothing is new for a while, the others need not look again.
        wait: Waits for so many seconds.

    Yields:
        The report of each run.
    """
    only: Sequence[str] | None = None
    while True:
        # Asked before the run: what comes in while it looks is news to the next one.
        known, begun = news(ground), ground.clock.now()
        yield run(only)
        while (found := news(ground)) == known and ground.clock.now() - begun < AT_LEAST:
            wait(EVERY.total_seconds())
        same = (found.telemetry, found.ledger) == (known.telemetry, known.ledger)
        only = OF_SERVICES if same else None
