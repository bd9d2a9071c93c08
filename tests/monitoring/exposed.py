"""Histories with and without plants, as workspaces, and what is true of their films."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.simulated_worlds import lay, roll_up_alone
from data.synthetic.history import HistorySpec, write_history
from data.synthetic.history.repertoire import LEAD_GROUP, PROVIDERS, STUDIOS
from monitoring.ground import Ground, opened
from telemetry.parts import EVENTS, PartLog
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import FILM_DAY, USER_DAY
from tests.experiments.plans import new_store
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.settings import Settings

END = dt.date(2026, 3, 2)
NOW = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)
FILMS = 200


@dataclass(frozen=True)
class Exposed:
    """A workspace and the truths of its history."""

    ground: Ground
    truth: dict[str, Any]

    @cached_property
    def planted(self) -> dict[str, dict[str, Any]]:
        return {one["kind"]: one for one in self.truth["planted"]}


def attributes() -> pd.DataFrame:
    """What is true of films that no world gives: studio, provider and lead by row, as the generator lays them."""
    rows = range(FILMS)
    return pd.DataFrame(
        {
            "studio": [f"Studio {1 + row * 11 % STUDIOS}" for row in rows],
            "provider": [PROVIDERS[row % 2] for row in rows],
            "lead": [f"lead {1 + row // LEAD_GROUP}" for row in rows],
        },
        index=pd.Index([f"f{row + 1:07d}" for row in rows]),
    )


@contextmanager
def exposed(folder: Path, *, planted: bool, users: int, seed: int, weeks: int = 26) -> Iterator[Exposed]:
    """Open the workspace of a new history."""
    spec = HistorySpec(users=users, weeks=weeks, seed=seed, end=END, films=FILMS, recent_step_min=60, planted=planted)
    write_history(spec, folder / "history", physical=True, workers=1, cells_a_file=64)
    home, clock = Paths(folder / "home").ensure(), FrozenClock(NOW)
    with new_store(home) as store:
        parts = PartLog(store, home, clock)
        lay(parts, folder / "history")
        warehouse = EmbeddedWarehouse(parts, 512)
        roll_up_films(parts, warehouse)
        warehouse.close()
    with opened(Settings(home=home.home), clock) as ground:
        yield Exposed(ground, json.loads((folder / "history" / "truth.json").read_text("utf-8")))


def roll_up_films(parts: PartLog, warehouse: EmbeddedWarehouse) -> None:
    """Sum up by film, and by user only the days that say from when to when there is telemetry: half the time."""
    days = parts.dates(EVENTS)
    roll_up_alone(parts, warehouse, USER_DAY, [days[0], days[-1]])
    roll_up_alone(parts, warehouse, FILM_DAY)
