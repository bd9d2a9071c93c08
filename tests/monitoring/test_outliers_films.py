import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from monitoring.findings import Severity
from monitoring.ground import Ground, opened
from monitoring.outliers import OddFilms
from monitoring.outliers.films import ranked, signs
from recommender.catalogue import Catalogue, save_catalogue
from tests.recommender import world
from workspace.clock import FrozenClock
from workspace.columns import Film, Trait
from workspace.errors import NotEstimableError
from workspace.paths import Paths
from workspace.settings import Settings

FIRST = world.NOW - dt.timedelta(days=9)


@pytest.fixture
def ground(home: Paths) -> Iterator[Ground]:
    with opened(Settings(home=home.home), FrozenClock(world.NOW)) as one:
        yield one


@pytest.fixture(scope="module")
def sound() -> Catalogue:
    known = world.catalogue(films=100, users=12)
    text = "Number {} is a harbour in the north where the ice comes early and nobody leaves in time."
    edits = {film: {Film.SYNOPSIS: text.format(film)} for film in known.films[Film.ID]}
    return world.changed(known, edits=edits)


def save(ground: Ground, catalogue: Catalogue, days: int = 0) -> dt.datetime:
    at = FIRST + dt.timedelta(days=days)
    save_catalogue(replace(catalogue, manifest={**catalogue.manifest, "imported_at": at.isoformat()}), ground.paths)
    return at


def test_sound_films_show_no_sign_and_no_catalogue_is_a_note(ground: Ground, sound: Catalogue) -> None:
    assert OddFilms().look(ground).notes == ("not estimable: there is no catalogue",)
    save(ground, sound)
    found = OddFilms().look(ground)
    assert (found.findings, found.notes, found.looked_at) == ((), (), len(sound.films))


def test_each_sign_is_found_placed_and_dated_by_its_import(ground: Ground, sound: Catalogue) -> None:
    ids = sound.films[Film.ID].tolist()
    stuffed = {film: {Film.KEYWORDS: [f"word {i}" for i in range(60)], Film.STUDIOS: ["Stuffers"]} for film in ids[:5]}
    edits = stuffed | {film: {Film.SYNOPSIS: ""} for film in ids[10:16]}
    edits |= {film: {Film.SYNOPSIS: "The very same text of a film about nothing at all."} for film in ids[20:24]}
    edits |= {film: {Film.RUNTIME_MIN: 5_000.0} for film in ids[30:33]}
    first = save(ground, sound)
    second = save(ground, world.changed(sound, edits=edits), 5)
    found = {one.metric: one for one in OddFilms().look(ground).findings}
    assert set(found) == {"stuffed_keywords", "missing_synopsis", "same_synopsis", "runtime"}
    assert found["stuffed_keywords"].segment == {"studio": "Stuffers"}
    assert found["stuffed_keywords"].effect.value == pytest.approx(5 / len(ids))
    assert found["same_synopsis"].evidence["film_ids"] == sorted(ids[20:24])
    for one in found.values():
        assert (one.onset.at, one.onset.low, one.severity) == (second, first, Severity.WARNING)


def test_signs_of_the_first_snapshot_are_only_told(ground: Ground, sound: Catalogue) -> None:
    edits = {film: {Film.SYNOPSIS: ""} for film in sound.films[Film.ID].tolist()[:20]}
    save(ground, world.changed(sound, edits=edits))
    (one,) = OddFilms().look(ground).findings
    assert one.severity is Severity.INFO
    assert one.onset.low <= one.onset.at


def test_two_odd_films_are_in_the_list_and_no_finding(ground: Ground, sound: Catalogue) -> None:
    odd = sound.films[Film.ID].tolist()[7]
    changed = world.changed(sound, edits={odd: {Film.KEYWORDS: ["the same"] * 80, Film.CAST: []}})
    save(ground, changed)
    assert OddFilms().look(ground).findings == ()
    assert signs(changed.films)["stuffed_keywords"].sum() == 1
    top = ranked(changed.films, limit=3)
    assert top[Film.ID][0] == odd
    assert top.iloc[0][[Trait.KEYWORDS, Trait.REPEATED_KEYWORDS]].sum() > 0
    assert np.isfinite(top["score"]).all()


def test_an_unknown_runtime_is_no_sign_and_few_films_are_refused(sound: Catalogue) -> None:
    unknown = sound.films[Film.RUNTIME_MIN].isna().to_numpy()
    assert unknown.any()
    assert not signs(sound.films)["runtime"][unknown].any()
    with pytest.raises(NotEstimableError):
        ranked(sound.films.head(10))
