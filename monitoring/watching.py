"""Watching: run whenever there is something new, so that an alert leaves within a minute of the data behind it."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from monitoring.documents import plain
from monitoring.ground import Ground
from monitoring.reports import RunReport
from telemetry.warehouse.tables import USER_DAY

EVERY: Final = dt.timedelta(seconds=10)
"""How often it looks whether there is something new; a run over a week of a million users takes up to 30 s."""
AT_LEAST: Final = dt.timedelta(minutes=5)
"""Without anything new: alerts become old enough to fire, and messages are tried again."""
_SYSTEM_LOOKED_BACK: Final = dt.timedelta(days=1)


def news(ground: Ground) -> str:
    """Return a digest of the data there are: another one means that a run may find something new."""
    now = ground.clock.now()
    parts: dict[str, Any] = {
        "telemetry": ground.warehouse.digests(USER_DAY),
        "system": ground.system.known(now - _SYSTEM_LOOKED_BACK, now).last,
        "ledger": ground.ledger.head().hash,
    }
    return hashlib.sha256(json.dumps(plain(parts), sort_keys=True).encode()).hexdigest()


def watch(ground: Ground, run: Callable[[], RunReport], wait: Callable[[float], None]) -> Iterator[RunReport]:
    """Run at once, then whenever there is something new, for as long as somebody iterates.

    Args:
        ground: The stores.
        run: Runs the monitor once.
        wait: Waits for so many seconds.

    Yields:
        The report of each run.
    """
    while True:
        # Asked before the run: what comes in while it looks is news to the next one.
        known, begun = news(ground), ground.clock.now()
        yield run()
        while news(ground) == known and ground.clock.now() - begun < AT_LEAST:
            wait(EVERY.total_seconds())
