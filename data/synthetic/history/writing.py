"""A whole history on disk: day by day, cell by cell, by one process or several, always the same rows."""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data.synthetic.history.acts import Reactions
from data.synthetic.history.crowd import Crowds, Members, members_of
from data.synthetic.history.draws import CELL, Rows
from data.synthetic.history.lines import FILE as LINES_FILE
from data.synthetic.history.lines import LOGGED_DAYS, MOST_TRANSACTIONS, Request, write_lines
from data.synthetic.history.manifest import FILE as TRUTH_FILE
from data.synthetic.history.manifest import manifest
from data.synthetic.history.plan import Plan, plan
from data.synthetic.history.repertoire import Repertoire, repertoire
from data.synthetic.history.sheets import DICTIONARIES, Sheets, Slates
from data.synthetic.history.slates import NO_FILM, NO_SLATES, RealSlates, real_slates
from data.synthetic.history.spec import HistorySpec
from data.synthetic.history.system import write_samples
from data.synthetic.history.visits import Screen, Visits, arms, draw_visits, last_visits
from data.synthetic.regions import REGION_CODES
from data.synthetic.world import World
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError
from workspace.files import publish_folder, write_json

EVENTS: Final = "events"
SYSTEM: Final = "system"
LOGS: Final = "logs"
CELLS_A_FILE: Final = 8
WORTH_A_WORKER: Final = 3_000_000
"""Events from which a second process pays for its start."""
MOST_WORKERS: Final = 8

Progress = Callable[[str, int, int], None]
"""Told the stage, what is done and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReport:
    """What was written.

    Attributes:
        folder: Where.
        users: Users of the history.
        days: Days with files.
        events: Events written.
        event_bytes: Size of their files.
        samples: Samples of the services.
        log_lines: Lines of the log.
        seconds: Time taken.
        events_per_s: Events by the time taken for events alone.
        workers: Processes that made them.
        peak_rss_mb: Largest resident memory of one process, in MiB.
    """

    folder: str
    users: int
    days: int
    events: int
    event_bytes: int
    samples: int
    log_lines: int
    seconds: float
    events_per_s: float
    workers: int
    peak_rss_mb: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a worker needs to make any part of a history; small enough to be sent to it."""

    plan: Plan
    films: Repertoire
    members: Members | None
    real: RealSlates
    physical: bool
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Some cells of one day: one file."""

    day: int
    cells: range
    path: Path
    logged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of a unit."""

    rows: int
    bytes: int
    requests: list[Request]
    peak_rss_mb: float


class Maker:
    """Makes units.

    Args:
        recipe: Of the history.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._crowds = Crowds(recipe.plan.spec, recipe.films, recipe.members, physical=recipe.physical)
        self._screen = Screen(recipe.plan, recipe.films)
        self._reactions = Reactions(recipe.plan, recipe.films)
        self._sheets = Sheets(recipe.plan, recipe.films, recipe.real, physical=recipe.physical)

    def make(self, unit: Unit) -> Made:
        """Write the file of a unit, a row group a cell."""
        writer: pq.ParquetWriter | None = None
        rows, requests = 0, []
        try:
            for cell in unit.cells:
                table, slates = self.cell(cell, unit.day)
                if not len(table):
                    continue
                if writer is None:
                    writer = _writer(unit.path, table.schema)
                writer.write_table(table, row_group_size=len(table))
                rows += len(table)
                requests += self._requests(slates, unit, cell)
        finally:
            if writer is not None:
                writer.close()
        size = unit.path.stat().st_size if rows else 0
        return Made(rows=rows, bytes=size, requests=requests, peak_rss_mb=_peak_mb())

    def cell(self, cell: int, day: int) -> tuple[pa.Table, tuple[Slates, Visits]]:
        """Return the events of one cell and day, and their slates."""
        recipe = self._recipe
        crowd = self._crowds.cell(cell)
        arm = arms(recipe.plan, crowd, day)
        visits = draw_visits(recipe.plan, crowd, cell, day, arm, recipe.real)
        film = self._with_real(self._screen.show(crowd, visits, cell, day), visits)
        acts = self._reactions.act(crowd, visits, film, arm, cell, day)
        slates = self._sheets.slates(visits, acts, cell, day)
        return self._sheets.events(crowd, visits, film, acts, slates, arm, cell, day), (slates, visits)

    def _with_real(self, film: Rows, visits: Visits) -> Rows:
        real = np.flatnonzero(visits.real >= 0)
        if not len(real):
            return film
        shown = self._recipe.real.films
        wide = np.full((len(film), shown.shape[1]), NO_FILM, dtype=np.int32)
        wide[:, : film.shape[1]] = film
        wide[real] = shown[visits.real[real]]
        return wide

    def _requests(self, made: tuple[Slates, Visits], unit: Unit, cell: int) -> list[Request]:
        """Return some requests for the log: those of real slates, and evenly some of the rest."""
        slates, visits = made
        shown = visits.real >= 0
        others = np.flatnonzero(~shown)
        wanted = -(-unit.logged // len(unit.cells))
        step = max(1, -(-len(others) // max(1, wanted)))
        chosen = np.concatenate([np.flatnonzero(shown), others[step // 2 :: step][:wanted]])
        crowd = self._crowds.cell(cell)
        midnight = datetime.combine(self._recipe.plan.date(unit.day), datetime.min.time(), tzinfo=UTC)
        return [
            Request(
                transaction=slates.transaction[row].as_py(),
                slate=slates.slate[row].as_py(),
                region=REGION_CODES[crowd.region[slates.user[row]]],
                at=midnight + timedelta(microseconds=int(slates.micros[row])),
                real=bool(shown[row]),
            )
            for row in chosen.tolist()
        ]


def write_history(
    spec: HistorySpec,
    folder: Path,
    *,
    world: World | None = None,
    slates: pd.DataFrame | None = None,
    physical: bool = False,
    weeks: range | None = None,
    workers: int | None = None,
    cells_a_file: int = CELLS_A_FILE,
    progress: Progress | None = None,
) -> HistoryReport:
    """Write a history to a folder that appears whole or not at all.

    The folder gets ``events/date=YYYY-MM-DD/*.parquet``, ``system/*.parquet``, ``logs/history.jsonl`` and
    ``truth.json``. The rows depend on the spec alone, whatever the workers and the files.

    Args:
        spec: The history.
        folder: Must not exist yet.
        world: Its users and films are those of the history, instead of the numbers of the spec.
        slates: Slates the recommender really made, shown in the last visits: columns ``slate_id``, ``user_id``,
            ``made_at``, ``film_ids``, ``index_version``, ``transaction_id``. Needs the world.
        physical: Write the form in which events are stored (pseudonyms, no zone) instead of that in which they come.
        weeks: Only the events of these weeks, counted from 0.
        workers: Processes; None for one, or several when there is enough to do.
        cells_a_file: Cells of users in one file.
        progress: Told how far it is.

    Raises:
        InvalidValueError: When an argument lies outside its limits.
        StateError: When the folder exists.
    """
    check_scalar(cells_a_file, "cells_a_file", ge=1)
    recipe = _recipe(spec, folder, world, slates, physical=physical)
    spec = recipe.plan.spec
    days = _days(spec, weeks)
    count = _workers(workers, spec, len(days))
    began = time.perf_counter()
    with publish_folder(folder) as temporary:
        units = list(_units(spec, days, temporary / EVENTS, cells_a_file))
        told = progress or _silent
        made = _make(replace(recipe, folder=temporary), units, count, told)
        events_s = time.perf_counter() - began
        told(SYSTEM, 0, 0)
        samples = write_samples(recipe.plan, temporary / SYSTEM)
        requests = [request for one in made for request in one.requests]
        lines = write_lines(recipe.plan, requests, temporary / LOGS / LINES_FILE)
        truth = manifest(recipe.plan, recipe.films, physical=physical, world=world is not None)
        write_json(temporary / TRUTH_FILE, truth)
    events = sum(one.rows for one in made)
    return HistoryReport(
        folder=str(folder),
        users=spec.users,
        days=len(days),
        events=events,
        event_bytes=sum(one.bytes for one in made),
        samples=samples,
        log_lines=lines,
        seconds=time.perf_counter() - began,
        events_per_s=events / events_s,
        workers=count,
        peak_rss_mb=max([_peak_mb(), *(one.peak_rss_mb for one in made)]),
    )


def _recipe(
    spec: HistorySpec, folder: Path, world: World | None, slates: pd.DataFrame | None, *, physical: bool
) -> Recipe:
    members: Members | None = None
    if world is not None:
        spec = replace(spec, users=len(world.users), films=len(world.films))
    elif slates is not None:
        raise InvalidValueError("slates without a world", "must be of its users and films", "pass world=")
    made, films = plan(spec), repertoire(spec, world)
    real = NO_SLATES
    if world is not None:
        members = members_of(world, films, spec.seed, physical=physical)
        if slates is not None:
            crowds = Crowds(spec, films, members, physical=physical)
            real = real_slates(slates, made, films, members.ids, last_visits(made, crowds))
    return Recipe(plan=made, films=films, members=members, real=real, physical=physical, folder=folder)


def _days(spec: HistorySpec, weeks: range | None) -> range:
    if weeks is None:
        return range(spec.days)
    if weeks.step != 1 or not 0 <= weeks.start < weeks.stop <= spec.weeks:
        raise InvalidValueError(f"weeks == {weeks}", f"must be weeks of 0..{spec.weeks - 1}", "pass range(0, 1)")
    return range(7 * weeks.start, 7 * weeks.stop)


def _workers(workers: int | None, spec: HistorySpec, days: int) -> int:
    if workers is not None:
        return check_scalar(workers, "workers", ge=1, le=64)
    events = spec.users * spec.events_per_user_week / 7 * days
    return max(1, min(len(os.sched_getaffinity(0)), MOST_WORKERS, int(events / WORTH_A_WORKER)))


def _units(spec: HistorySpec, days: range, folder: Path, cells_a_file: int) -> Iterator[Unit]:
    cells = -(-spec.users // CELL)
    files = -(-cells // cells_a_file)
    logged = -(-MOST_TRANSACTIONS // (LOGGED_DAYS * files))
    for day in days:
        date_folder = folder / f"date={spec.date_of(day).isoformat()}"
        date_folder.mkdir(parents=True)
        for file in range(files):
            yield Unit(
                day=day,
                cells=range(file * cells_a_file, min(cells, (file + 1) * cells_a_file)),
                path=date_folder / f"part-{file:04d}.parquet",
                logged=logged if day >= spec.days - LOGGED_DAYS else 0,
            )


def _make(recipe: Recipe, units: list[Unit], workers: int, progress: Progress) -> list[Made]:
    """Return what became of every unit, in their order."""
    made: list[Made] = []
    if workers == 1:
        maker = Maker(recipe)
        for unit in units:
            made.append(maker.make(unit))
            progress(EVENTS, len(made), len(units))
        return made
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(recipe,)) as pool:
        for one in pool.map(_work, units):
            made.append(one)
            progress(EVENTS, len(made), len(units))
    return made


_makers: list[Maker] = []


def _begin(recipe: Recipe) -> None:
    """Prepare a worker process."""
    # Each worker has a core of its own: threads of Arrow would only take turns on it.
    pa.set_cpu_count(1)
    _makers[:] = [Maker(recipe)]


def _work(unit: Unit) -> Made:
    return _makers[0].make(unit)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Without Arrow's own schema a reader sees plain strings, not our dictionaries.
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in DICTIONARIES if name in schema.names],
        store_schema=False,
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""
