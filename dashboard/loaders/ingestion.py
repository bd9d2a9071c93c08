"""What *Ingestion health* shows: what came in, how late, what was refused, and whether the stores are in order."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from dashboard.loaders.telemetry import warehouse
from telemetry.parts import PartLog
from workspace.clock import SystemClock
from workspace.paths import Paths
from workspace.settings import Settings, load_settings
from workspace.store import Store

if TYPE_CHECKING:
    from telemetry.doctor import Finding
    from telemetry.health import Health

PERIODS: Final = {
    "Last 24 hours": dt.timedelta(days=1),
    "Last 7 days": dt.timedelta(days=7),
    "Last 30 days": dt.timedelta(days=30),
    "Last year": dt.timedelta(days=366),
}
_TTL: Final = dt.timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """Health of the ingestion since a moment."""

    since: dt.datetime
    health: "Health"


def ingestion(period: str) -> Kept[Ingestion]:
    """Return what came in during a period, or the last good account of it."""
    settings = load_settings()
    return ask((settings, "ingestion", period), lambda: _ingestion(settings, period), ttl=_TTL)


def diagnosis() -> list["Finding"]:
    """Check the telemetry stores now; takes seconds."""
    from telemetry.doctor import diagnose

    settings = load_settings()
    with _store(settings) as store:
        return list(diagnose(settings, store, SystemClock()))


def _ingestion(settings: Settings, period: str) -> Ingestion:
    from telemetry.health import ingestion_health

    since = SystemClock().now() - PERIODS[period]
    with _store(settings) as store:
        parts = PartLog(store, Paths(settings.home))
        return Ingestion(since=since, health=ingestion_health(parts, since=since, warehouse=warehouse(settings)))


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    try:
        yield store
    finally:
        store.close()
