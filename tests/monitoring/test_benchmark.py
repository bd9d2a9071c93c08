"""The benchmark: every user counted, versions compared user by user, and never over a changed benchmark."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from data.synthetic import WorldSpec, generate
from monitoring.benchmark import (
    BenchmarkDrift,
    BenchmarkFrames,
    BenchmarkScore,
    against_history,
    everyone,
    history,
    keep,
    made,
    rescore,
)
from monitoring.ground import Ground, opened
from monitoring.proxy import offline_figures
from recommender.building import BuildOptions, build_index
from recommender.catalogue import build_catalogue
from recommender.configuration import DEFAULT_WEIGHTS, Configuration
from recommender.evaluation.ground import Ground as Judging
from recommender.evaluation.judge import judge
from recommender.evaluation.protocols import split
from recommender.evaluation.subject import Subject
from workspace.clock import FrozenClock
from workspace.errors import IntegrityError, StateError, UnknownError
from workspace.settings import Settings

NOW = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)
BLOCKS = ("genre", "keyword", "acclaim", "popularity")
WORLD = generate(WorldSpec(films=120, users=60, seed=4, end=dt.date(2026, 1, 1), interactions_per_user=25))


SMALL = BenchmarkFrames(version="b1", films=WORLD.films, users=WORLD.users, interactions=WORLD.interactions)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A workspace whose current index version has four blocks and no text."""
    settings = Settings(home=tmp_path_factory.mktemp("scored") / "home")
    catalogue = build_catalogue(WORLD.films, WORLD.users, WORLD.interactions)
    weights = {name: DEFAULT_WEIGHTS[name] for name in BLOCKS}
    options = BuildOptions(only=BLOCKS, configuration=Configuration(weights=weights))
    return settings, build_index(settings, catalogue, options=options, clock=FrozenClock(NOW)).version


@pytest.fixture
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(Settings(home=tmp_path_factory.mktemp("ground") / "home"), FrozenClock(NOW)) as ground:
        yield ground


def score(version: str, figures: list[float] | np.ndarray, *, on: str = "b1", days: int = 0) -> BenchmarkScore:
    per_user = np.asarray(figures, dtype=float)
    users = [f"u{number}" for number in range(len(per_user))]
    return made(version, on, users, per_user, judged_users=int((per_user > 0).sum()) or len(per_user),
                scored_at=NOW + dt.timedelta(days=days))  # fmt: skip


def test_users_without_anything_relevant_count_as_nothing() -> None:
    # 1,000 users: 916 have something relevant and reach 0.239 together; counted over all it is 0.219.
    rng = np.random.default_rng(0)
    hits = rng.permutation(np.repeat([0, 1, 2, 3], [260, 327, 219, 110]))
    per_user = np.concatenate([hits / 5, np.zeros(84)])
    found = made("v1", "b1", [f"u{number}" for number in range(1_000)], per_user, judged_users=916, scored_at=NOW)
    assert found.precision.value == pytest.approx(1_095 / 5 / 1_000)
    assert found.flattering == pytest.approx(1_095 / 5 / 916)
    assert found.without_positive == 84
    low, high = stats.t.interval(0.95, 999, per_user.mean(), stats.sem(per_user))
    assert (found.precision.low, found.precision.high) == (pytest.approx(low), pytest.approx(high))


def test_a_floor_of_a_fifth_is_not_passed_by_leaving_users_out() -> None:
    per_user = np.concatenate([np.full(90, 0.22), np.zeros(20)])
    found = made("v1", "b1", [str(number) for number in range(110)], per_user, judged_users=90, scored_at=NOW)
    assert found.flattering is not None
    assert found.flattering > 0.20 > found.precision.value


def test_rescore_judges_the_version_as_the_evaluation_does_and_adds_the_rest(workspace: tuple[Settings, str]) -> None:
    settings, version = workspace
    with opened(settings, FrozenClock(NOW)) as ground:
        found = rescore(ground, SMALL)
        kept = history(ground)
    judging = Judging.of(build_catalogue(WORLD.films, WORLD.users, WORLD.interactions))
    one = split(judging.acts, "temporal")[0]
    weights = {name: DEFAULT_WEIGHTS[name] for name in BLOCKS}
    wanted = judge(Subject.of(judging, text=None, blocks=BLOCKS, weights=weights), judging, [one], k=5)
    tested = np.unique(one.test.users)
    assert found.index_version == version
    assert len(found.user_ids) == len(tested)
    assert found.without_positive == len(tested) - len(wanted.users)
    assert found.precision.value == pytest.approx(wanted.per_user["precision_at_k"].sum() / len(tested))
    assert [one.to_dict() for one in kept] == [found.to_dict() | {"details": kept[0].to_dict()["details"]}]
    assert kept[0].per_user.tolist() == found.per_user.tolist()


def test_everyone_gives_nothing_to_users_nobody_judged() -> None:
    judging = Judging.of(build_catalogue(WORLD.films, WORLD.users, WORLD.interactions))
    one = split(judging.acts, "temporal")[0]
    judged = judge(Subject.of(judging, text=None, blocks=("acclaim",), weights={"acclaim": 1.0}), judging, [one], k=5)
    # Judged but for the first five users: they come back as 0.
    fewer = replace(
        judged, users=judged.users[5:], per_user={name: values[5:] for name, values in judged.per_user.items()}
    )
    codes, per_user = everyone(fewer, one)
    assert set(judged.users[:5]) <= set(codes)
    assert per_user[np.isin(codes, judged.users[:5])].tolist() == [0.0] * 5


def test_rescore_refuses_an_unknown_version(workspace: tuple[Settings, str]) -> None:
    settings, _ = workspace
    with opened(settings, FrozenClock(NOW)) as ground, pytest.raises(UnknownError, match="is not there"):
        rescore(ground, SMALL, version="v000000000000")


def test_rescore_without_a_version_says_so(ground: Ground) -> None:
    with pytest.raises(StateError, match="no index version is current"):
        rescore(ground, SMALL)


def test_against_history_is_paired_by_user() -> None:
    rng = np.random.default_rng(3)
    base = rng.choice([0.0, 0.2, 0.4, 0.6], 300)
    better = np.clip(base + rng.choice([0.0, 0.2], 300, p=[0.7, 0.3]), 0, 1)
    before, now = score("v1", base), score("v2", better, days=1)
    shuffled = rng.permutation(300)
    before = replace(before, user_ids=tuple(np.array(before.user_ids)[shuffled]), per_user=base[shuffled])
    found = against_history(now, [before])
    wanted = stats.ttest_rel(better, base)
    assert found.verdict == "better"
    assert found.difference == pytest.approx((better - base).mean())
    assert found.p_value == pytest.approx(wanted.pvalue)


def test_against_history_refuses_a_changed_benchmark() -> None:
    with pytest.raises(StateError, match="a benchmark changed under the history"):
        against_history(score("v2", [0.2, 0.4], on="b2"), [score("v1", [0.2, 0.4], on="b1")])


def test_against_an_empty_history_is_not_estimable() -> None:
    with pytest.raises(StateError, match="2 are needed"):
        against_history(score("v2", [0.2, 0.4]), [])


def test_the_detector_finds_a_version_that_is_worse(ground: Ground) -> None:
    base = np.tile([0.0, 0.2, 0.4, 0.6], 50)
    keep(ground, score("v1", base))
    keep(ground, score("v2", np.where(base > 0.3, base - 0.2, base), days=2))
    (one,) = BenchmarkDrift().look(ground).findings
    assert one.segment == {"index_version": "v2"}
    assert one.effect.value == pytest.approx(-0.1 / 0.3)
    assert (one.onset.low, one.onset.at) == (NOW, NOW + dt.timedelta(days=2))
    assert one.severity == "critical"


def test_the_detector_is_silent_on_the_same_figures_and_on_small_changes(ground: Ground) -> None:
    base = np.tile([0.0, 0.2, 0.4, 0.6], 50)
    nudged = base.copy()
    nudged[0] = 0.2
    for place, figures in enumerate((base, base, nudged)):
        keep(ground, score(f"v{place}", figures, days=place))
        assert BenchmarkDrift().look(ground).findings == ()


def test_the_detector_refuses_a_changed_benchmark_and_says_how_much_is_missing(ground: Ground) -> None:
    assert "0 of 2 benchmark scores" in BenchmarkDrift().look(ground).notes[0]
    keep(ground, score("v1", [0.2, 0.4, 0.0], on="b1"))
    assert "1 of 2 benchmark scores" in BenchmarkDrift().look(ground).notes[0]
    keep(ground, score("v2", [0.0, 0.0, 0.0], on="b2", days=1))
    found = BenchmarkDrift().look(ground)
    assert found.findings == ()
    assert found.notes[0].startswith("refused: a benchmark changed under the history")


def test_damaged_figures_are_refused(ground: Ground) -> None:
    keep(ground, score("v1", [0.2, 0.4]))
    (file,) = (ground.paths.monitoring / "benchmark").glob("*.json")
    content = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**content, "precision": [1.0, 1.0]}), "utf-8")
    with pytest.raises(IntegrityError, match="is not what was stored"):
        history(ground)
    file.unlink()
    with pytest.raises(IntegrityError, match="can't be read"):
        history(ground)


def test_offline_figures_are_those_of_the_newest_benchmark(ground: Ground) -> None:
    keep(ground, score("v1", [0.2, 0.4], on="b1"))
    keep(ground, score("v1", [0.4, 0.4], on="b2", days=1))
    keep(ground, score("v2", [0.6, 0.4], on="b2", days=2))
    assert offline_figures(ground) == pytest.approx({"v1": 0.4, "v2": 0.5})
