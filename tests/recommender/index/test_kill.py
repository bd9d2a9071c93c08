"""SIGKILL at random moments: the last good version serves, and the next run finishes the job."""

import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from recommender.index import (
    broken_versions,
    current_version,
    list_versions,
    open_version,
    rollback,
    switch,
    verify,
    write_delta,
    write_version,
)
from tests.recommender.index.conftest import BLOCKS, DIM, clustered, reference
from workspace.paths import Paths

KILLS = 100
ROWS = 200
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["recommender.index", "tests.recommender.index.conftest"])


def build(paths: Paths, seed: int) -> str:
    """Publish a full version with a file of the caller's, and switch to it."""
    full = write_version(
        paths,
        vectors=clustered(ROWS, seed=seed),
        blocks=BLOCKS,
        extra={"seed": seed},
        attachments=lambda folder: (folder / "seed.txt").write_text(str(seed)),
    )
    switch(paths, full.version)
    return full.version


def enrich(paths: Paths, seed: int) -> str:
    """Publish a delta over the full version of seed 0, and switch to it."""
    base = next(known.version for known in list_versions(paths) if known.extra["seed"] == 0 and known.delta is None)
    vectors = 9 * clustered(ROWS, seed=seed)[:2]
    delta = write_delta(paths, base, replaced=[seed % ROWS], vectors=vectors, removed=[ROWS - 2], extra={"seed": seed})
    switch(paths, delta.version)
    return delta.version


def move(paths: Paths, seed: int) -> str:
    """Switch to one of the first versions and on to another, and back."""
    first = [known.version for known in list_versions(paths)][:3]
    switch(paths, first[seed % 3])
    switch(paths, first[(seed + 1) % 3])
    rollback(paths)
    return first[seed % 3]


JOBS: tuple[Callable[[Paths, int], str], ...] = (build, enrich, move)


def work(home: str, kind: int, first: int, begun: Event) -> None:
    """Do one job after another until killed."""
    begun.set()
    for seed in range(first, first + 1_000):
        JOBS[kind](Paths(Path(home)), seed)


def expected(seed: int, *, delta: bool) -> np.ndarray:
    vectors = clustered(ROWS, seed=seed)
    if not delta:
        return vectors
    base = clustered(ROWS, seed=0)
    whole = np.concatenate([base, 9 * vectors[1:2]])
    whole[seed % ROWS] = 9 * vectors[0]
    return whole


def check_serves(paths: Paths) -> None:
    """The current version opens, its bytes are its own, and its answer is that of its content."""
    index = open_version(paths, verify=True)
    is_delta = index.manifest.delta is not None
    vectors = expected(index.manifest.extra["seed"], delta=is_delta)
    allowed = np.ones(len(vectors), dtype=bool)
    if is_delta:
        allowed[ROWS - 2] = False
    assert index.search(np.ones(DIM), k=5, candidates=0).rows.tolist() == reference(vectors, np.ones(DIM), allowed, 5)


def left_behind(paths: Paths) -> list[str]:
    return [path.name for path in paths.indexes.glob(".*.tmp")]


@pytest.mark.kill
def test_killed_at_random_moments_the_last_good_version_serves(paths: Paths) -> None:
    for kind, seed in ((build, 0), (build, 1), (enrich, 2)):
        kind(paths, seed)
    chance = random.Random(20_160_101)
    interrupted = moved = 0
    sound: set[str] = set()
    for kill in range(KILLS):
        before, first, kind = current_version(paths), 1_000 * (kill + 1), kill % len(JOBS)
        begun = CONTEXT.Event()
        child = CONTEXT.Process(target=work, args=(str(paths.home), kind, first, begun))
        child.start()
        assert begun.wait(30)
        child.join(chance.uniform(0, 0.12))
        child.kill()
        child.join()
        assert child.exitcode == -9
        interrupted += bool(left_behind(paths))
        moved += current_version(paths) != before
        check_serves(paths)
        new = {manifest.version for manifest in list_versions(paths)} - sound
        assert all(verify(paths, version) == [] for version in new)
        sound |= new
        if kind != JOBS.index(move):
            assert JOBS[kind](paths, first) == current_version(paths)
            assert left_behind(paths) == []
            check_serves(paths)
    assert broken_versions(paths) == {}
    # The kills did strike: some in the middle of a write, some after a switch.
    assert interrupted >= KILLS // 10
    assert moved >= KILLS // 10
