"""SIGKILL at random moments of import, builds and switches: the last good state serves, the next run finishes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recommender.building import BuildOptions, build_index
from recommender.catalogue import Catalogue, save_catalogue
from recommender.configuration import DEFAULT, Configuration
from recommender.engine import Recommender
from recommender.index import broken_versions, current_version, list_versions, switch, verify
from tests.conftest import ROOT
from tests.recommender import catalogue_frames as frames
from tests.recommender import world
from workspace.clock import FrozenClock
from workspace.columns import Film
from workspace.files import read_pointer
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

KILLS = 100
CLOCK = FrozenClock(world.NOW)
Job = Callable[[Settings, int], None]


def catalogues() -> list[Catalogue]:
    """Return three states of a small catalogue: as it was, with a film more, with one edited and one gone."""
    first = world.catalogue(films=40, users=8)
    more = frames.film("900", "Late arrival", **{Film.GENRES: ["War"], Film.RUNTIME_MIN: 90.0})
    return [
        first,
        world.changed(first, more),
        world.changed(first, edits={"7": {Film.GENRES: ["Crime"]}}, without=("9",)),
    ]


KNOWN: list[Catalogue] = []


def import_catalogue(settings: Settings, turn: int) -> None:
    save_catalogue(KNOWN[turn % 3], Paths(settings.home))


def full_build(settings: Settings, turn: int) -> None:
    weights = {**DEFAULT.weights, "era": 0.01 * turn}
    options = BuildOptions(without=("text",), configuration=Configuration(weights=weights))
    build_index(settings, KNOWN[turn % 3], options=options, clock=CLOCK)


def incremental_build(settings: Settings, turn: int) -> None:
    options = BuildOptions(strategy="incremental", configuration=DEFAULT)
    build_index(settings, KNOWN[turn % 3], options=options, clock=CLOCK)


def switch_version(settings: Settings, turn: int) -> None:
    paths = Paths(settings.home)
    names = [manifest.version for manifest in list_versions(paths)][:5]
    switch(paths, names[turn % len(names)])


JOBS: tuple[Job, ...] = (import_catalogue, full_build, incremental_build, switch_version)


def start(job: Job, settings: Settings, first: int) -> int:
    """Fork a child that does one job after another until it is killed."""
    child = os.fork()
    if child == 0:
        try:
            for turn in range(first, first + 100_000):
                job(settings, turn)
        finally:
            os._exit(1)
    return child


def duration(job: Job, settings: Settings) -> float:
    """Return the seconds one job takes here and now, so that the kills spread over the whole of it."""
    begun = time.perf_counter()
    job(settings, 1)
    return time.perf_counter() - begun


def check_serves(settings: Settings) -> None:
    """The current catalogue and version are whole, and a user gets films."""
    paths = Paths(settings.home)
    assert verify(paths) == []
    engine = Recommender.open(settings, clock=CLOCK)  # checks every hash of the catalogue
    assert engine.catalogue.snapshot_id in {known.snapshot_id for known in KNOWN}
    slate = engine.recommend("u2", log=False)
    assert len(slate.items) == 5
    assert all(sum(i.contributions.values()) == pytest.approx(i.score, abs=1e-6) for i in slate.items)
    engine.store.close()


def pointers(paths: Paths) -> tuple[str | None, str | None]:
    return current_version(paths), read_pointer(paths.catalogue / "current")


def left_behind(paths: Paths) -> list[Path]:
    return [path for folder in (paths.indexes, paths.catalogue) for path in folder.glob(".*.tmp")]


def keep_only_the_current(paths: Paths) -> None:
    """Drop old versions, so that the folder stays small; the current one's base stays."""
    current = next(manifest for manifest in list_versions(paths) if manifest.version == current_version(paths))
    kept = {current.version, current.delta.base if current.delta else ""}
    for manifest in list_versions(paths):
        if manifest.version not in kept:
            shutil.rmtree(paths.indexes / manifest.version)


@pytest.mark.kill
def test_killed_at_random_moments_the_last_good_state_serves(tmp_path: Path) -> None:
    # A process of its own, without threads: forked from one that has used them, a child may wait for a lock for ever.
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, "-m", "tests.test_kill", str(tmp_path / "home")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **single}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-4_000:]


def marathon(home: Path) -> None:
    """Kill a hundred jobs and check after each that the last good state serves."""
    KNOWN[:] = catalogues()
    settings = Settings(home=home, shadow_rate=0.0)
    paths = Paths(settings.home).ensure()
    import_catalogue(settings, 0)
    full_build(settings, 0)
    check_serves(settings)
    reach = {job: 1.8 * duration(job, settings) for job in JOBS}
    chance = random.Random(20_160_102)
    interrupted = moved = 0
    for kill in range(KILLS):
        job, first = JOBS[kill % len(JOBS)], 1_000 * (kill + 1)
        before = pointers(paths)
        child = start(job, settings, first)
        time.sleep(chance.uniform(0.0, reach[job]))  # a kill comes at any moment, not at a condition
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"{job.__name__} ended by itself after kill {kill}"
        interrupted += bool(left_behind(paths))
        took_effect = before != pointers(paths)
        moved += took_effect
        # A machine that is busier or freer than at the start must not move all kills to one side of the change.
        reach[job] *= 0.8 if took_effect else 1.5
        check_serves(settings)
        if kill % 10 == 9:
            assert all(verify(paths, manifest.version) == [] for manifest in list_versions(paths))
            keep_only_the_current(paths)
    for job in JOBS:
        job(settings, 0)
        check_serves(settings)
    assert left_behind(paths) == []
    assert broken_versions(paths) == {}
    store = Store.open(settings)
    assert Ledger(store).verify().ok
    store.close()
    # The kills did strike: some in the middle of a write, some after a change took effect.
    assert interrupted >= KILLS // 20
    assert moved >= KILLS // 10


if __name__ == "__main__":
    marathon(Path(sys.argv[1]))
