"""A small workspace with eight weeks of telemetry and four of samples, and nothing planted in it."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pytest

from monitoring.ground import Ground, opened
from telemetry.parts import PartLog
from telemetry.rollups import roll_up
from telemetry.system.series import SeriesStore
from telemetry.warehouse.embedded import EmbeddedWarehouse
from tests.experiments.plans import new_store
from tests.telemetry import planted, sampled
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.settings import Settings

DAYS = 57
START = planted.START
END = START + dt.timedelta(days=DAYS - 1)
NOW = dt.datetime.combine(END + dt.timedelta(days=1), dt.time(12), tzinfo=dt.UTC)
SERVICES = ("gateway", "bff", "user", "content", "recommender")


@dataclass(frozen=True)
class Watched:
    """The ground, and the rows behind it."""

    ground: Ground
    events: pd.DataFrame
    samples: pd.DataFrame


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Eight weeks of events of 90 users and 30 days of hourly samples; tests read it and change nothing."""
    home = Paths(tmp_path_factory.mktemp("watched") / "home").ensure()
    events = planted.history(users=90, days=DAYS, seed=5)
    samples = sampled.samples(
        30 * 24, step_s=3600, services=SERVICES, start=NOW - dt.timedelta(days=30, hours=2), seed=3, resets=2
    )
    clock = FrozenClock(NOW)
    with new_store(home) as store:
        parts = PartLog(store, home, clock)
        warehouse = EmbeddedWarehouse(parts, 256)
        planted.lay(parts, events)
        roll_up(parts, warehouse, clock)
        warehouse.close()
    SeriesStore(home).append(samples)
    with opened(Settings(home=home.home), clock) as ground:
        yield Watched(ground, events, samples)
