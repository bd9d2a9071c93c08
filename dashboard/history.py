"""A synthetic history of telemetry for a synthetic world, brought in through every door that real telemetry takes.

The last visits of some users show slates that the recommender of this workspace really made, so that a look at a metric
can go down to one film and why it was recommended.
"""

import datetime as dt
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from dashboard.imports import Progress
from dashboard.planted import planted_plans
from dashboard.provisioning import WORLD
from data.synthetic import World, WorldSpec, generate
from data.synthetic.history import HistorySpec, write_history
from experiments.plan import State
from experiments.registry import Registry
from recommender.catalogue import Catalogue, load_catalogue
from recommender.engine import Recommender
from telemetry.ingest import Ingestor
from telemetry.parts import EVENTS, PartLog
from telemetry.rollups import pending, roll_up
from telemetry.system import SeriesStore
from telemetry.warehouse import open_warehouse
from telemetry.warehouse.markets import FILE as MARKETS_FILE
from workspace import logs
from workspace.clock import Clock, FrozenClock, SystemClock
from workspace.columns import Event, User
from workspace.files import file_lock, write_bytes, write_json
from workspace.ids import new_id
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

TRUTH_FILE: Final = "truth.json"
WEEKS: Final = 26
_REAL_SLATES: Final = 60
_BETWEEN: Final = dt.timedelta(minutes=7)
_LOCK: Final = ".history.lock"
_ACTOR: Final = "synthetic history"
_SLATE_COLUMNS: Final = [Event.SLATE, Event.USER, "made_at", "film_ids", Event.INDEX_VERSION, Event.TRANSACTION]
_BEGUN_FILE: Final = ".history.begun"
"""Tells a history that was cut off from telemetry that somebody brought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryProvision:
    """What `provision_history` found or made.

    Args:
        status: ``ready`` when there was telemetry already, ``skipped`` when the films are not of a synthetic world.
        events: Events taken in.
        days: Days they are of.
        samples: Samples of the services, when they were made now.
        slates: Slates of the recommender shown in them, likewise.
    """

    status: str
    events: int = 0
    days: int = 0
    samples: int = 0
    slates: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def provision_history(
    settings: Settings, *, weeks: int = WEEKS, progress: Progress, clock: Clock | None = None
) -> HistoryProvision:
    """Give a synthetic workspace the telemetry of its users; one that has telemetry, or real films, is left as it is.

    A run that was killed is finished by the next one.

    Args:
        settings: The workspace; its catalogue and index must be there.
        weeks: Length of the history, which ends today.
        progress: Told the stage, what is done and the total.
        clock: What tells the time.

    Raises:
        StateError: When there is no catalogue or index.
    """
    clock = clock or SystemClock()
    paths = Paths(settings.home).ensure()
    store = Store.open(settings)
    try:
        with file_lock(paths.telemetry / _LOCK):
            parts = PartLog(store, paths, clock)
            begun = (paths.telemetry / _BEGUN_FILE).exists()
            if (paths.telemetry / TRUTH_FILE).exists() or (parts.dates(EVENTS) and not begun):
                _finish(settings, store, parts, clock, progress)
                _register_experiments(paths, store, clock)
                return _counted("ready", parts)
            catalogue = load_catalogue(paths)
            if WORLD not in catalogue.manifest:
                return HistoryProvision(status="skipped")
            return _provision(settings, store, parts, catalogue, weeks, clock, progress)
    finally:
        store.close()


def _provision(
    settings: Settings, store: Store, parts: PartLog, catalogue: Catalogue, weeks: int, clock: Clock, progress: Progress
) -> HistoryProvision:
    paths = Paths(settings.home)
    world = generate(WorldSpec.from_dict(catalogue.manifest[WORLD]))
    end, slates = _begun(settings, world, clock, progress)
    users = catalogue.users
    write_json(paths.telemetry / MARKETS_FILE, dict(zip(users[User.REGION], users[User.MARKET], strict=True)))
    with _written(paths, world, _spec(world, weeks, end), slates, progress) as folder:
        progress("system samples", 0, 0)
        samples = SeriesStore(paths).import_parquet(folder / "system")
        write_bytes(paths.logs / "history.jsonl", (folder / "logs" / "history.jsonl").read_bytes())
        truth = json.loads((folder / TRUTH_FILE).read_text("utf-8"))
        _ingest(settings, store, folder, clock, progress)
    _finish(settings, store, parts, clock, progress)
    # Last of all: its presence says that the history is whole.
    write_json(paths.telemetry / TRUTH_FILE, truth)
    (paths.telemetry / _BEGUN_FILE).unlink(missing_ok=True)
    _register_experiments(paths, store, clock)
    return replace(_counted("created", parts), samples=samples, slates=len(slates))


def _register_experiments(paths: Paths, store: Store, clock: Clock) -> None:
    """Enter the experiments that ran in the history; those that are known already stay as they are."""
    file = paths.telemetry / TRUTH_FILE
    if not file.exists():  # the telemetry is somebody's own
        return
    registry = Registry(store, clock=clock)
    for plan, state in planted_plans(json.loads(file.read_text("utf-8"))):
        begun, ended = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (plan.start, plan.planned_end))
        stopped = None if state is State.RUNNING else ended + dt.timedelta(days=1)
        reason = None if stopped is None else "its planned end was reached"
        registry.adopt(plan, state, _ACTOR, launched_at=begun, stopped_at=stopped, stop_reason=reason)


def _counted(status: str, parts: PartLog) -> HistoryProvision:
    visible = parts.parts(EVENTS)
    events, days = sum(part.rows for part in visible), len({part.date for part in visible})
    return HistoryProvision(status=status, events=events, days=days)


def _real_slates(settings: Settings, world: World, clock: Clock, progress: Progress) -> pd.DataFrame:
    """Let the recommender answer some users on the evening before, each request under its own transaction."""
    evening = dt.datetime.combine(clock.now().date(), dt.time(), dt.UTC) - dt.timedelta(hours=9)
    past = FrozenClock(evening)
    engine = Recommender.open(settings, clock=past)
    rows = []
    # The history tells of these requests at the hours it places them in; logged now, they would be there twice.
    logging.disable(logging.INFO)
    try:
        users = [str(user) for user in world.users[User.ID][:_REAL_SLATES]]
        for done, user in enumerate(users, start=1):
            # Each request its own, though one command makes them all.
            with logs.transaction(new_id("txn")) as transaction_id:
                slate = engine.recommend(user, on=past.now().date())
            films = [item.film_id for item in slate.items]
            if films:
                rows.append((slate.slate_id, user, slate.made_at, films, slate.index_version, transaction_id))
            past.advance(_BETWEEN)
            progress("slates of the last evening", done, len(users))
    finally:
        logging.disable(logging.NOTSET)
        engine.store.close()
    return pd.DataFrame(rows, columns=_SLATE_COLUMNS)


def _begun(settings: Settings, world: World, clock: Clock, progress: Progress) -> tuple[dt.date, pd.DataFrame]:
    """Return the end of the history and the slates in it; a run that was cut off has chosen both already."""
    file = Paths(settings.home).telemetry / _BEGUN_FILE
    if not file.exists():
        made = _real_slates(settings, world, clock, progress)
        rows = made.assign(made_at=[moment.isoformat() for moment in made["made_at"]]).to_dict("records")
        write_json(file, {"end": clock.now().date().isoformat(), "slates": rows})
    told = json.loads(file.read_text("utf-8"))
    slates = pd.DataFrame(told["slates"], columns=_SLATE_COLUMNS)
    return dt.date.fromisoformat(told["end"]), slates.assign(made_at=pd.to_datetime(slates["made_at"], utc=True))


def _spec(world: World, weeks: int, end: dt.date) -> HistorySpec:
    return HistorySpec(users=len(world.users), weeks=weeks, seed=world.spec.seed, films=len(world.films), end=end)


@contextmanager
def _written(paths: Paths, world: World, spec: HistorySpec, slates: pd.DataFrame, progress: Progress) -> Iterator[Path]:
    """Write the history into a folder that is gone after the block."""
    folder = paths.telemetry / ".history"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        write_history(spec, folder, world=world, slates=slates, progress=progress)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ingest(settings: Settings, store: Store, folder: Path, clock: Clock, progress: Progress) -> None:
    """Take the events in as one delivery: a hundred small files would cost a hundred transactions."""
    progress("telemetry events", 0, 0)
    delivery = folder / "events.parquet"
    pq.write_table(ds.dataset(folder / "events", format="parquet").to_table(), delivery)
    ingestor = Ingestor(settings, store, clock)
    try:
        ingestor.ingest_path(delivery)
    finally:
        ingestor.close()


def _finish(settings: Settings, store: Store, parts: PartLog, clock: Clock, progress: Progress) -> None:
    warehouse = open_warehouse(settings, store)
    try:
        if pending(parts, warehouse):
            roll_up(parts, warehouse, clock, progress=progress)
    finally:
        warehouse.close()
