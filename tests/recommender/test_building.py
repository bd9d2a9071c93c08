"""Building: increments encode only what is new and equal a rebuild in content; one build at a time."""

import datetime as dt
from typing import Any

import numpy as np
import pytest

from recommender import building
from recommender.building import BuildOptions, build_index
from recommender.configuration import Configuration
from recommender.encoder import SentenceTransformerEncoder, Vectors
from recommender.index import current_version, open_version
from recommender.view import View
from tests.recommender import catalogue_frames as frames
from tests.recommender import world
from tests.recommender.conftest import WEIGHTS, Workspace, settings_of
from workspace.clock import FrozenClock
from workspace.columns import Film
from workspace.errors import EncoderError, IntegrityError, InvalidValueError, StateError
from workspace.files import file_lock

NEW = frames.film("900", "Arrival", **{Film.SYNOPSIS: "A ship comes in.", Film.GENRES: ["War"], Film.RUNTIME_MIN: 99.0,
                                       Film.RELEASE_DATE: dt.date(2021, 3, 4)})  # fmt: skip
EDITS: dict[str, dict[str, Any]] = {"3": {Film.SYNOPSIS: "Told anew."}, "40": {Film.GENRES: ["Crime"]}}


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that went through the model."""
    seen: list[str] = []
    original = SentenceTransformerEncoder.encode

    def encode(self: SentenceTransformerEncoder, texts: list[str]) -> Vectors:
        seen.extend(texts)
        return original(self, texts)

    monkeypatch.setattr(SentenceTransformerEncoder, "encode", encode)
    return seen


def test_an_increment_encodes_only_new_and_changed_texts(fresh_told: Workspace, encoded: list[str]) -> None:
    grown = world.changed(fresh_told.catalogue, NEW, edits=EDITS, without=("50",))
    manifest = fresh_told.build(grown, strategy="incremental")
    assert sorted(encoded) == ["Arrival. A ship comes in.", "Film 3. Told anew."]
    assert manifest.delta is not None
    assert (manifest.delta.replaced, manifest.delta.appended, manifest.delta.removed) == (2, 1, 1)
    encoded.clear()
    assert fresh_told.build(grown, strategy="incremental").version == manifest.version
    assert encoded == []
    # By the same fit, a film's content is the same whether it came first or later.
    view = View.open(fresh_told.paths, manifest.version, grown)
    fit = view.stored.fitted.content
    for film in ("900", "3", "40", "60"):
        row = view.film_rows[film]
        facts = grown.films.loc[grown.films[Film.ID] == film].reset_index(drop=True)
        text, _ = building.embed_films(fresh_told.settings, facts)
        expected = fit.encode(facts, text).vectors[0]
        assert view.index.take([row])[0, : fit.layout.dim] == pytest.approx(expected, abs=1e-6)
    assert "50" not in view.film_rows or not view.alive[view.film_rows["50"]]


def test_an_increment_keeps_what_the_audience_says_of_a_changed_film(fresh: Workspace) -> None:
    before = View.open(fresh.paths, fresh.version, fresh.catalogue)
    grown = world.changed(fresh.catalogue, NEW, edits=EDITS)
    after = View.open(fresh.paths, fresh.build(grown, strategy="incremental").version, grown)
    row, columns = before.film_rows["40"], slice(before.stored.fitted.content.layout.dim, None)
    assert np.array_equal(before.index.take([row])[0, columns], after.index.take([row])[0, columns])
    rows = np.array([row, 7, after.film_rows["900"]])
    assert before.stored.audience_history is not None
    assert after.stored.audience_history is not None
    heard = after.stored.audience_history[rows]
    assert np.array_equal(heard[:2], before.stored.audience_history[rows[:2]])
    assert not heard[2].any()
    assert next(term.label for term in after.stored.terms(row)) == "genre: Crime"
    assert after.stored.terms(7) == before.stored.terms(7)
    assert after.titles[after.film_rows["900"]] == "Arrival"


def test_increments_stand_on_the_full_version_and_lead_back_to_it(fresh: Workspace) -> None:
    first = fresh.build(world.changed(fresh.catalogue, NEW), strategy="incremental")
    second = fresh.build(world.changed(fresh.catalogue, NEW, edits=EDITS), strategy="incremental")
    assert first.delta is not None
    assert second.delta is not None
    assert first.delta.base == second.delta.base == fresh.version
    assert fresh.build(fresh.catalogue, strategy="incremental").version == fresh.version
    assert current_version(fresh.paths) == fresh.version


def test_a_film_that_only_leaves_needs_no_encoder(fresh_told: Workspace, encoded: list[str]) -> None:
    smaller = world.changed(fresh_told.catalogue, without=("3", "70"))
    manifest = fresh_told.build(smaller, strategy="incremental")
    assert encoded == []
    assert manifest.delta is not None
    assert manifest.delta.removed == 2
    assert len(fresh_told.open().recommend("u2", k=200, log=False).items) > 100


def test_the_same_content_gives_the_same_version(fresh: Workspace) -> None:
    again = fresh.build(fresh.catalogue, without=("text",))
    assert again.version == fresh.version
    later = build_index(
        fresh.settings,
        fresh.catalogue,
        options=BuildOptions(without=("text",), configuration=Configuration(weights=WEIGHTS)),
        clock=FrozenClock(world.NOW + dt.timedelta(days=3)),
    )
    assert later.version == fresh.version
    assert fresh.build(fresh.catalogue, without=("text", "era"), activate=False).version != fresh.version


def test_weights_are_fitted_when_none_are_given(fresh: Workspace) -> None:
    manifest = fresh.build(fresh.catalogue, without=("text",), configuration=None)
    assert manifest.extra["evidence"]
    assert all(weight >= 0 for weight in manifest.extra["weights"].values())
    assert len(fresh.open().recommend("u2", log=False).items) == 5


def test_progress_is_told_stage_by_stage(fresh: Workspace) -> None:
    stages: list[str] = []
    build_index(
        fresh.settings,
        fresh.catalogue,
        options=BuildOptions(without=("text", "era"), configuration=Configuration(weights=WEIGHTS)),
        progress=lambda stage, *_: stages.append(stage),
    )
    assert "fit features" in stages


def test_a_second_build_at_the_same_time_is_refused(fresh: Workspace) -> None:
    with file_lock(fresh.paths.indexes / building._LOCK), pytest.raises(StateError, match="locked by another process"):
        fresh.build(fresh.catalogue, without=("text",))


def test_an_increment_needs_something_to_stand_on(tmp_path: Any) -> None:
    with pytest.raises(StateError, match="run `recommendr index build` first"):
        build_index(
            settings_of(tmp_path), world.catalogue(films=20, users=2), options=BuildOptions(strategy="incremental")
        )


class _Narrow:
    """An encoder of another width, answering as a model would."""

    name, dtype, dim = "narrow", "float32", 8

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def encode(self, texts: list[str]) -> Vectors:
        return np.eye(len(texts), 8, dtype=np.float32)


def test_an_increment_refuses_another_encoder(fresh_told: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = world.changed(fresh_told.catalogue, NEW)
    monkeypatch.setattr(building, "SentenceTransformerEncoder", _Narrow)
    other = settings_of(fresh_told.home, encoder="another-model")
    with pytest.raises(EncoderError, match=r"another-model float32 of 8 dimensions, must be all-MiniLM-L6-v2 float32"):
        build_index(other, grown, options=BuildOptions(strategy="incremental"))
    # The same name with other weights behind it.
    with pytest.raises(EncoderError, match=r"of 8 dimensions, must be .* of 384"):
        build_index(fresh_told.settings, grown, options=BuildOptions(strategy="incremental"))
    assert current_version(fresh_told.paths) == fresh_told.version


def test_unknown_blocks_and_no_blocks_are_refused(fresh: Workspace) -> None:
    for options in ({"without": ("genres",)}, {"only": ("era",), "without": ("era",)}):
        with pytest.raises(InvalidValueError):
            fresh.build(fresh.catalogue, **options)


def test_an_increment_on_priors_alone_works(fresh: Workspace) -> None:
    fresh.build(fresh.catalogue, only=("acclaim", "popularity"))
    manifest = fresh.build(world.changed(fresh.catalogue, NEW), strategy="incremental")
    assert manifest.rows == world.FILMS + 1


def test_a_version_that_names_other_films_than_it_holds_is_refused(fresh: Workspace) -> None:
    view = View.open(fresh.paths, fresh.version, fresh.catalogue)
    view.stored.film_ids.pop()
    with pytest.raises(IntegrityError, match="must name 180"):
        View(open_version(fresh.paths, fresh.version), view.stored, fresh.catalogue)


def test_a_single_user_makes_a_version(tmp_path: Any) -> None:
    tiny = world.catalogue(films=25, users=1)
    settings = settings_of(tmp_path / "home")
    space = Workspace(settings.home, tiny, "", "")
    space.paths.ensure()
    space.build(tiny, without=("text",))
    engine = space.open()
    assert engine.recommend("u1", log=False).funnel[0].remaining == 25
