"""What changed: stretches of index versions, rows of the ledger, experiments, incidents."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from data.synthetic import WorldSpec, generate
from experiments.plan import State
from monitoring.changes import gather, served
from monitoring.findings import Finding, Interval, Onset, Severity
from monitoring.ground import Ground, opened
from recommender.activation import activate
from recommender.building import BuildOptions, build_index
from recommender.catalogue import build_catalogue, save_catalogue
from recommender.configuration import Configuration
from telemetry.parts import PartLog
from telemetry.rollups import roll_up
from telemetry.warehouse.embedded import EmbeddedWarehouse
from tests.experiments.plans import new_store, plan
from tests.telemetry.planted import history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event, Rollup
from workspace.paths import Paths
from workspace.settings import Settings

FIRST = dt.date(2026, 3, 2)


def at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime.combine(FIRST + dt.timedelta(days=day), dt.time(hour), dt.UTC)


def finding(detector: str, metric: str, segment: dict[str, str], begun: dt.datetime, ended: dt.datetime) -> Finding:
    return Finding(
        detector=detector,
        metric=metric,
        segment=segment,
        onset=Onset(at=begun, low=begun, high=begun),
        ended=ended,
        effect=Interval(value=1.0),
        unit="relative",
        severity=Severity.WARNING,
        summary="it broke",
    )


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Twenty days: version a, from day 8 b, from day 12 a again; on day 14 an import; an experiment on days 5 to 9."""
    home = Paths(Path(tmp_path_factory.mktemp("changed")) / "home").ensure()
    clock = FrozenClock(at(8, 9))
    events = history(users=40, days=20, seed=3, start=FIRST)
    number = (events[Event.TS] - pd.Timestamp(FIRST)).dt.days
    events[Event.INDEX_VERSION] = ["b" if 8 <= day < 12 else "a" for day in number]
    with new_store(home) as store:
        parts = PartLog(store, home, clock)
        warehouse = EmbeddedWarehouse(parts, 256)
        lay(parts, events)
        roll_up(parts, warehouse, clock)
        warehouse.close()
    with opened(Settings(home=home.home), clock) as ground:
        ground.ledger.append("ann", "index.switch", "b", {"before": "a"})
        ground.registry.adopt(
            plan(start=(FIRST + dt.timedelta(days=5)).isoformat()),
            State.STOPPED,
            "test",
            launched_at=at(5),
            stopped_at=at(9),
            stop_reason="planned end",
        )
        clock.at = at(14, 3)
        ground.ledger.append("ann", "catalogue.import", "c0123456789ab", {"films": 600})
        yield ground


def test_served_has_two_stretches_for_a_version_that_comes_back() -> None:
    days = [FIRST + dt.timedelta(days=number) for number in range(6)]
    frame = pd.DataFrame(
        {
            Rollup.DATE: [*days, days[3]],
            Event.INDEX_VERSION: ["a", "a", "b", "a", "a", "none", "b"],
            Rollup.USERS: [100, 100, 100, 1_000, 100, 100, 9],
        }
    )
    # Nine late users of b on a day of a thousand don't make it serve; nobody knows the version of the last day.
    assert served(frame) == [("a", days[0], days[1]), ("b", days[2], days[2]), ("a", days[3], days[4])]


def test_gather_names_versions_by_first_day_or_the_moment_of_the_switch(ground: Ground) -> None:
    found = [one for one in gather(ground, at(1), at(19), findings=()) if one.kind == "index_version"]
    assert [(one.name, one.at, one.until) for one in found] == [("a", at(12), None), ("b", at(8, 9), at(12))]


def test_gather_names_imports_and_experiments(ground: Ground) -> None:
    found = {one.kind: one for one in gather(ground, at(1), at(19), findings=())}
    assert (found["catalogue"].name, found["catalogue"].at) == ("c0123456789ab", at(14, 3))
    assert (found["experiment"].name, found["experiment"].until) == ("exp_1", at(9))


def test_gather_leaves_out_what_lies_outside(ground: Ground) -> None:
    assert [one.kind for one in gather(ground, at(13), at(15), findings=())] == ["catalogue"]
    # The experiment began before, and ended inside.
    assert {one.kind for one in gather(ground, at(9), at(10), findings=())} == {"experiment"}


def test_gather_does_not_take_the_first_day_of_telemetry_for_a_change(ground: Ground) -> None:
    assert all(one.at > at(0) for one in gather(ground, at(-5), at(3), findings=()))


def test_gather_takes_incidents_and_gaps_from_findings(ground: Ground) -> None:
    told = (
        finding("objectives.services", "latency", {"service": "bff", "region": "GB"}, at(3), at(4)),
        finding("drift.exposure", "gap", {"provider": "boreal"}, at(3), at(4)),
        finding("drift.exposure", "impressions", {"studio": "s"}, at(3), at(4)),
    )
    found = gather(ground, at(3), at(4), findings=told)
    assert {(one.kind, one.name) for one in found} == {("incident", "latency bff GB"), ("provider", "boreal")}


def test_gather_names_new_features_and_a_provider_that_failed(tmp_path: Path) -> None:
    world = generate(WorldSpec(films=40, users=12, seed=4, end=dt.date(2026, 1, 1), interactions_per_user=8))
    refused = {"provider": "boreal", "ok": False, "reason": "half of its films are gone"}
    known = build_catalogue(
        world.films,
        world.users,
        world.interactions,
        manifest={"providers": [{"provider": "aurora", "ok": True}, refused]},
    )
    settings, clock = Settings(home=tmp_path / "home"), FrozenClock(at(0))
    with opened(settings, clock) as ground:
        save_catalogue(known, ground.paths)
        ground.ledger.append("ann", "catalogue.import", known.snapshot_id, {"films": 40})
        versions = []
        for blocks in (("genre", "acclaim"), ("genre", "acclaim", "era")):
            weights = Configuration(weights=dict.fromkeys(blocks, 1.0))
            options = BuildOptions(only=blocks, configuration=weights, activate=False)
            versions.append(build_index(settings, known, options=options, clock=clock).version)
        clock.at = at(1)
        activate(ground.paths, ground.ledger, versions[0], actor="ann")
        clock.at = at(2)
        activate(ground.paths, ground.ledger, versions[1], actor="ann")
        found = {(one.kind, one.name): one for one in gather(ground, at(-1), at(3), findings=())}
    assert set(found) == {
        ("catalogue", known.snapshot_id),
        ("provider", "boreal"),
        ("index_version", versions[0]),
        ("index_version", versions[1]),
        ("feature_version", versions[1]),
    }
    assert found["feature_version", versions[1]].summary.startswith("features changed in blocks")
    assert found["provider", "boreal"].summary.endswith("half of its films are gone")


def test_gather_of_a_workspace_without_telemetry_is_empty(tmp_path: Path) -> None:
    with opened(Settings(home=tmp_path / "home"), FrozenClock(at(0))) as empty:
        assert gather(empty, at(-9), at(0), findings=()) == ()
