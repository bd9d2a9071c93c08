"""Workspaces with half a year of telemetry, with and without truths planted in it, for simulations of monitoring."""

import datetime as dt
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dashboard.planted import planted_plans
from data.synthetic.history import HistorySpec, write_history
from experiments.plan import State
from experiments.registry import Registry
from monitoring.ground import Ground, opened
from telemetry.parts import EVENTS, PartLog
from telemetry.rollups import statements
from telemetry.rollups.keeping import VERSION
from telemetry.system import SeriesStore
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.protocol import Step
from telemetry.warehouse.tables import FILM_DAY, USER_DAY, Table
from workspace.clock import FrozenClock
from workspace.files import write_bytes
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

END: Final = dt.date(2026, 3, 2)
NOW: Final = dt.datetime(2026, 3, 2, 0, 10, tzinfo=dt.UTC)
_DAY: Final = dt.timedelta(days=1)
_BATCH: Final = 14
_SQL: Final = {USER_DAY.name: statements.user_day(), FILM_DAY.name: statements.film_day()}


@contextmanager
def world(seed: int, users: int, weeks: int, *, planted: bool) -> Iterator[tuple[Ground, dict[str, Any]]]:
    """Make a workspace, open it, and remove it afterwards.

    Args:
        seed: Seed of the history.
        users: How many there are.
        weeks: How long it is.
        planted: Whether anything happens in it.

    Yields:
        The opened workspace, and what is true of it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, clock = Path(name), FrozenClock(NOW)
        spec = HistorySpec(users=users, weeks=weeks, seed=seed, end=END, films=200, planted=planted)
        write_history(spec, folder / "history", physical=True, workers=1, cells_a_file=64)
        truth: dict[str, Any] = json.loads((folder / "history" / "truth.json").read_text("utf-8"))
        settings = Settings(home=folder / "home")
        paths = Paths(settings.home).ensure()
        SeriesStore(paths).import_parquet(folder / "history" / "system")
        write_bytes(paths.logs / "history.jsonl", (folder / "history" / "logs" / "history.jsonl").read_bytes())
        store = Store.open(settings)
        try:
            parts = PartLog(store, paths, clock)
            lay(parts, folder / "history")
            warehouse = EmbeddedWarehouse(parts)
            # In a world of this size no detector reads another rollup.
            for table in (USER_DAY, FILM_DAY):
                roll_up_alone(parts, warehouse, table)
            warehouse.close()
            _register(Registry(store, clock=clock), truth)
        finally:
            store.close()
        with opened(settings, clock) as ground:
            yield ground, truth


def lay(parts: PartLog, folder: Path) -> None:
    """Put the events of a written history into a workspace as they stand: what ingestion would check is known.

    Args:
        parts: Parts of the workspace; the files are linked, not copied.
        folder: Where the history was written.
    """
    added = []
    for day in sorted((folder / "events").glob("date=*")):
        for file in sorted(day.glob("*.parquet")):
            with parts.target(EVENTS, dt.date.fromisoformat(day.name[5:])) as (temporary, finished):
                temporary.hardlink_to(file)
            added.append(finished())
    parts.commit(added=added)


def roll_up_alone(
    parts: PartLog, warehouse: EmbeddedWarehouse, table: Table, days: Sequence[dt.date] | None = None
) -> None:
    """Compute one rollup and no other: most questions read one, and computing all takes several times as long.

    Args:
        parts: Parts of the workspace.
        warehouse: Computes and keeps it.
        table: `USER_DAY` or `FILM_DAY`.
        days: Which days; all when None.
    """
    digests = parts.digests(EVENTS)
    days = parts.dates(EVENTS) if days is None else days
    for at in range(0, len(days), _BATCH):
        run = days[at : at + _BATCH]
        around = {
            "start": dt.datetime.combine(run[0], dt.time()),
            "end": dt.datetime.combine(run[-1] + _DAY, dt.time()),
        }
        step = Step(
            table=table, dates=tuple(run), sql=_SQL[table.name], window=(run[0], run[-1]),
            digests=tuple(f"{digests[day]}.{VERSION}" for day in run), parameters=around,
        )  # fmt: skip
        warehouse.apply([step])


def _register(registry: Registry, truth: dict[str, Any]) -> None:
    for plan, state in planted_plans(truth):
        over = state is not State.RUNNING
        registry.adopt(
            plan, state, "simulation",
            launched_at=dt.datetime.combine(plan.start, dt.time(), dt.UTC),
            stopped_at=NOW if over else None,
            stop_reason="planned end" if over else None,
        )  # fmt: skip
