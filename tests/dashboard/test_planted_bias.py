"""What is planted is where the truth says it is, and what is served stays as it was."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.groups import film_groups
from audit.manipulation.edits import diff
from audit.manipulation.gate import Gate
from audit.panel import Panel
from audit.personas import build_panel
from audit.plan import CAST_ORIGIN, GENDER, NAME_ORIGIN, AuditPlan
from audit.subject import Subject
from dashboard.planted_bias import LEAKING_BLOCK, plant_bias
from dashboard.projection import Projection
from dashboard.stuffing import KEYWORDS_ADDED
from data.synthetic.vocabulary import cultures
from recommender.catalogue import load_catalogue
from recommender.index import current_version, open_version, verify
from recommender.view import View
from tests.dashboard.conftest import call
from tests.made_once import made_once
from tests.recommender.conftest import provision
from workspace.clock import FrozenClock
from workspace.columns import Film, Interaction
from workspace.errors import StateError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store


def _silent(_stage: str, _done: int, _total: int) -> None:
    return


@pytest.fixture(scope="module")
def planted(ready_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A copy of the small workspace with both faults in it, and what the command said."""

    def make(folder: Path) -> dict[str, Any]:
        shutil.copytree(ready_home, folder / "home")
        made = call(folder / "home", "synth", "bias")
        assert made.code == 0, made.stderr
        return made.document

    folder, said = made_once(tmp_path_factory, "planted_bias", make)
    return folder / "home", said


def _view(home: Path, truth: dict[str, Any], version: str) -> View:
    stuffed = version == "stuffed"
    snapshot = truth["stuffed_snapshot_id" if stuffed else "clean_snapshot_id"]
    return View.open(Paths(home), truth[f"{version}_version"], load_catalogue(Paths(home), snapshot))


def _asked(view: View, *, seed: int = 11, axes: tuple[str, ...] = (NAME_ORIGIN, GENDER)) -> tuple[Subject, Panel]:
    on = view.catalogue.interactions[Interaction.TS].max().date()
    plan = AuditPlan(
        title="Found", index_version=view.version, snapshot_id=view.catalogue.snapshot_id, on=on,
        axes=axes, tastes=60, seed=seed, history_length=12,
    )  # fmt: skip
    return Subject(view, on), build_panel(plan, view)


def test_nothing_is_switched_and_the_truth_is_kept(planted: tuple[Path, dict[str, Any]], ready_home: Path) -> None:
    home, said = planted
    paths = Paths(home)
    assert said["status"] == "created"
    kept = json.loads((paths.audit / "planted.json").read_bytes())
    assert {"status": "created", **kept} == said
    assert current_version(paths) == current_version(Paths(ready_home)) == said["clean_version"]
    assert load_catalogue(paths).snapshot_id == load_catalogue(Paths(ready_home)).snapshot_id
    assert said["leaking_block"] == "people"
    for version in (said["leaking_version"], said["stuffed_version"]):
        assert verify(paths, version) == []
    rows = [row for row in Ledger(Store.open(Settings(home=home))).entries() if row.action == "audit.plant_bias"]
    assert [(row.subject, row.details["stuffed"]) for row in rows] == [
        (said["leaking_version"], said["stuffed_version"])
    ]


def test_planting_again_changes_nothing(planted: tuple[Path, dict[str, Any]]) -> None:
    home, said = planted
    before = sorted(path.name for path in Paths(home).indexes.iterdir())
    again = plant_bias(Settings(home=home), progress=_silent, actor="test")
    assert again == {**said, "status": "ready"}
    assert sorted(path.name for path in Paths(home).indexes.iterdir()) == before


def test_the_leaking_version_gives_lists_by_name_in_the_people_block_alone(
    planted: tuple[Path, dict[str, Any]],
) -> None:
    home, said = planted
    subject, panel = _asked(_view(home, said, "leaking"))
    rows, _ = subject.slates(panel, 5)
    accounts = panel.accounts
    films, names = film_groups(subject.view.films, [CAST_ORIGIN]).of(CAST_ORIGIN)
    affected = said["lists_changed"]
    assert len(affected) >= 4
    neutral = next(origin for origin in names if origin not in affected) if set(names) - set(affected) else "african"
    plain = rows[((accounts[NAME_ORIGIN] == neutral) & (accounts[GENDER] == "woman")).to_numpy()]
    gained = 0
    for origin in accounts[NAME_ORIGIN].unique():
        own = {gender: np.flatnonzero((accounts[NAME_ORIGIN] == origin) & (accounts[GENDER] == gender))
               for gender in ("woman", "man")}  # fmt: skip
        assert np.array_equal(rows[own["woman"]], rows[own["man"]]), "gender is not in the segments"
        changed = (rows[own["woman"]] != plain).any(axis=1).mean()
        if origin not in affected:
            assert changed == 0.0
            continue
        assert 0.15 <= changed <= 0.7, origin
        of_group = films == names.index(origin)
        gained += int(of_group[rows[own["woman"]]].sum()) - int(of_group[plain].sum())
        codes = own["woman"]
        twins = np.flatnonzero(((accounts[NAME_ORIGIN] == neutral) & (accounts[GENDER] == "woman")).to_numpy())
        ours, theirs = (subject.terms(panel, who, rows[codes, 0]) for who in (codes, twins))
        for block in subject.layout:
            differ = np.abs(ours[block] - theirs[block]).max() > 0
            assert differ == (block == LEAKING_BLOCK), block
    assert gained > 0


def test_the_clean_version_gives_every_name_the_same_list(planted: tuple[Path, dict[str, Any]]) -> None:
    home, said = planted
    subject, panel = _asked(_view(home, said, "clean"))
    rows, scores = subject.slates(panel, 5)
    for taste in range(60):
        own = panel.history_of == taste
        assert len(np.unique(rows[own], axis=0)) == 1
        assert len({one.tobytes() for one in scores[own]}) == 1
    assert len(set(panel.accounts[NAME_ORIGIN])) == 10
    assert len(cultures()) > 10


def test_the_stuffed_snapshot_differs_in_one_studio_alone(planted: tuple[Path, dict[str, Any]]) -> None:
    home, said = planted
    clean = load_catalogue(Paths(home), said["clean_snapshot_id"]).films.set_index(Film.ID)
    stuffed = load_catalogue(Paths(home), said["stuffed_snapshot_id"]).films.set_index(Film.ID)
    changed = [film for film in clean.index if list(clean[Film.KEYWORDS][film]) != list(stuffed[Film.KEYWORDS][film])]
    assert changed == said["film_ids"]
    assert all(clean[Film.STUDIOS][film][0] == said["studio"] for film in changed)
    everyone = sorted({word for words in clean[Film.KEYWORDS] for word in words})
    for film in changed:
        before, after = list(clean[Film.KEYWORDS][film]), list(stuffed[Film.KEYWORDS][film])
        assert after[: len(before)] == before
        assert len(after) == len(set(after)) == len(before) + KEYWORDS_ADDED == len(before) + said["keywords_added"]
        assert set(after) <= set(everyone)
    others = [column for column in clean.columns if column not in (Film.KEYWORDS, Film.UPDATED_AT)]
    assert clean[others].equals(stuffed[others])
    assert (stuffed[Film.UPDATED_AT].drop(changed) == clean[Film.UPDATED_AT].drop(changed)).all()


def test_the_stuffed_version_moves_the_keywords_of_those_films_alone(planted: tuple[Path, dict[str, Any]]) -> None:
    home, said = planted
    clean, stuffed = _view(home, said, "clean"), _view(home, said, "stuffed")
    before, after = np.asarray(clean.index.vectors), np.asarray(stuffed.index.vectors)
    rows = [clean.film_rows[film] for film in said["film_ids"]]
    assert np.flatnonzero((before != after).any(axis=1)).tolist() == sorted(rows)
    columns = np.flatnonzero((before != after).any(axis=0))
    keyword = clean.matrix.layout.columns("keyword")
    assert columns.min() >= keyword.start
    assert columns.max() < keyword.stop
    # What is projected in memory is what the built version gives.
    projection = Projection(clean, tastes=300, seed=2)
    assert projection.exposure(np.array(rows)) == pytest.approx(said["exposure_clean"], abs=1e-6)
    assert projection.exposure(np.array(rows), after[rows]) == pytest.approx(said["exposure_stuffed"], abs=1e-6)
    assert Projection(stuffed, tastes=300, seed=2).scores.shape == projection.scores.shape
    assert said["exposure_stuffed"] > said["exposure_clean"]
    named = {term.label for term in stuffed.stored.terms(rows[0]) if term.label.startswith("keyword: ")}
    wanted = stuffed.films[Film.KEYWORDS][rows[0]]
    assert named <= {f"keyword: {word}" for word in wanted}
    assert len(named) > len({t.label for t in clean.stored.terms(rows[0]) if t.label.startswith("keyword: ")})


def test_what_was_lost_is_planted_again_with_the_same_names(
    planted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    home, said = planted
    shutil.copytree(home, tmp_path / "home")
    paths = Paths(tmp_path / "home")
    shutil.rmtree(paths.indexes / said["leaking_version"])
    clock = FrozenClock(load_catalogue(paths).interactions[Interaction.TS].max().to_pydatetime())
    again = plant_bias(Settings(home=paths.home), progress=_silent, clock=clock, actor="test")
    assert again == said
    assert open_version(paths, said["leaking_version"]).manifest.extra["segments"] == ["market", "name_origin"]


def test_only_synthetic_worlds_are_planted_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    real = provision(tmp_path_factory, "plain", without=("text",))
    with pytest.raises(StateError, match="does not hold a synthetic world"):
        plant_bias(real.settings, progress=_silent, actor="test")
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(StateError, match="there is no catalogue"):
        plant_bias(Settings(home=empty), progress=_silent, actor="test")


def test_a_version_without_people_can_leak_nothing(ready_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(ready_home, home)
    built = call(home, "index", "build", "--without", "people", "--without", "text")
    assert built.code == 0, built.stderr
    refused = call(home, "synth", "bias")
    assert "has no block 'people'" in refused.error["what"]


def test_stuffing_studio_is_found_among_the_edits_of_others(planted: tuple[Path, dict[str, Any]]) -> None:
    home, said = planted
    before, after = (
        load_catalogue(Paths(home), said[name]).films.copy() for name in ("clean_snapshot_id", "stuffed_snapshot_id")
    )
    rng = np.random.default_rng(4)
    common = before[Film.KEYWORDS].explode().value_counts().index.tolist()
    honest = rng.choice(np.flatnonzero(~after[Film.ID].isin(said["film_ids"])), 20, replace=False)
    for row in honest.tolist():
        after.at[row, Film.KEYWORDS] = [*after.at[row, Film.KEYWORDS], common[int(rng.integers(0, 200))]]
    found = diff(before, after)
    first = found.studios[0]
    assert (first.studio, set(first.film_ids)) == (said["studio"], set(said["film_ids"]))
    assert first.keywords_added == KEYWORDS_ADDED * len(said["film_ids"])
    held = [one for one in Gate(before).judge(after[after[Film.ID].isin(said["film_ids"])]) if one.held]
    assert 2 * len(held) >= len(said["film_ids"])
