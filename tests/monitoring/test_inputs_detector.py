import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from monitoring.ground import Ground, opened
from monitoring.inputs import InputDrift
from recommender.catalogue import Catalogue, build_catalogue, save_catalogue
from recommender.index import switch, write_version
from tests.recommender import catalogue_frames as frames
from tests.recommender import world
from workspace.clock import FrozenClock
from workspace.columns import Film, Trait
from workspace.paths import Paths
from workspace.settings import Settings

FIRST = world.NOW - dt.timedelta(days=20)
SYNOPSIS = "The {}th harbour has a master who counts every ship that leaves before the ice comes."


@pytest.fixture
def ground(home: Paths) -> Iterator[Ground]:
    with opened(Settings(home=home.home), FrozenClock(world.NOW)) as one:
        yield one


@cache
def full() -> Catalogue:
    known = world.catalogue(films=100, users=30)
    return world.changed(known, edits={film: {Film.SYNOPSIS: SYNOPSIS.format(film)} for film in known.films[Film.ID]})


def imported(ground: Ground, catalogue: Catalogue, days: int) -> dt.datetime:
    at = FIRST + dt.timedelta(days=days)
    save_catalogue(replace(catalogue, manifest={**catalogue.manifest, "imported_at": at.isoformat()}), ground.paths)
    return at


def test_without_anything_to_compare_it_says_so(ground: Ground) -> None:
    assert InputDrift().look(ground).notes == ("not estimable: there is no catalogue",)
    imported(ground, full(), 0)
    found = InputDrift().look(ground)
    assert found.findings == ()
    assert any("1 snapshot" in note for note in found.notes)
    assert any("two index versions" in note for note in found.notes)
    assert any("tastes can't be compared" in note for note in found.notes)


def test_broken_synopses_are_dated_by_their_import_and_end_with_the_repair(ground: Ground) -> None:
    sound = full()
    lost = sound.films[Film.ID].tolist()[::4]
    broken = world.changed(sound, edits={film: {Film.SYNOPSIS: ""} for film in lost})
    repaired = world.changed(sound, edits={"2": {Film.SYNOPSIS: SYNOPSIS.format("second")}})
    first, second = imported(ground, sound, 0), imported(ground, broken, 6)
    found = {one.metric: one for one in InputDrift().look(ground).findings}
    assert f"films.{Trait.NO_SYNOPSIS}" in found
    one = found[f"films.{Trait.SYNOPSIS_CHARS}"]
    assert (one.onset.at, one.onset.low, one.ended) == (second, first, None)
    assert one.unit == "share without a value"
    assert one.effect.value == pytest.approx(0.25, abs=0.01)
    third = imported(ground, repaired, 9)
    after = {one.metric: one for one in InputDrift().look(ground).findings}
    assert after[one.metric].ended == third
    assert {metric.partition(".")[0] for metric in after} == {"films"}


def test_a_few_new_films_are_no_drift(ground: Ground) -> None:
    sound = full()
    new = [frames.film(str(900 + i), f"New {i}", **{Film.SYNOPSIS: SYNOPSIS.format(i)}) for i in range(4)]
    imported(ground, sound, 0)
    imported(ground, world.changed(sound, *new), 7)
    assert InputDrift().look(ground).findings == ()


def test_vectors_of_a_changed_block_are_found_and_of_an_equal_one_not(ground: Ground) -> None:
    imported(ground, full(), 0)
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(400, 12)).astype(np.float32)
    other = vectors.copy()
    other[:, 6:] += 0.9
    blocks = {"text": (0, 6), "genre": (6, 12)}
    for rows in (vectors, other):
        switch(ground.paths, write_version(ground.paths, vectors=rows, blocks=blocks, clock=ground.clock).version)
    found = [one for one in InputDrift().look(ground).findings if one.metric.startswith("vectors")]
    assert [one.metric for one in found] == ["vectors.genre"]
    assert found[0].effect.value > 0.6
    assert found[0].p_value is not None
    assert found[0].p_value <= 0.01


def test_versions_with_other_blocks_are_not_compared(ground: Ground) -> None:
    imported(ground, full(), 0)
    rows = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    for blocks in ({"text": (0, 4)}, {"text": (0, 2), "genre": (2, 4)}):
        switch(ground.paths, write_version(ground.paths, vectors=rows, blocks=blocks, clock=ground.clock).version)
    assert any("other blocks" in note for note in InputDrift().look(ground).notes)


def test_a_new_taste_is_found_and_the_old_one_not(ground: Ground) -> None:
    rng = np.random.default_rng(3)
    films = [frames.film(str(i), f"F {i}", **{Film.GENRES: [world.GENRES[i % 4]]}) for i in range(1, 81)]
    users = [f"u{i}" for i in range(40)]

    def acts(day: int, genres: tuple[int, ...]):  # noqa: ANN202
        pool = [i for i in range(1, 81) if i % 4 in genres]
        return [
            (user, str(film), "watched", 1.0, world.NOW - dt.timedelta(days=day, minutes=int(film)))
            for user in users
            for film in rng.choice(pool, 5, replace=False)
        ]

    for name, newest in (("old", (0, 1, 2, 3)), ("new", (0, 1))):
        rows = frames.interactions(*acts(10, (0, 1, 2, 3)), *acts(3, newest))
        imported(ground, build_catalogue(frames.films(*films), frames.users(*users), rows), 0 if name == "old" else 1)
        found = [one for one in InputDrift().look(ground).findings if one.metric == "users.taste"]
        assert len(found) == (name == "new")
