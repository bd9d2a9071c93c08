"""Drift in half a year of synthetic telemetry: every planted truth of users, and nothing else."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulated_worlds import lay, roll_up_alone
from dashboard.planted import planted_plans
from data.synthetic.history import HistorySpec, write_history
from experiments.plan import State
from experiments.registry import Registry
from monitoring.drift import cells as reading
from monitoring.drift.breadth import breadth
from monitoring.drift.cells import Cells
from monitoring.drift.telemetry import TelemetryDrift, course, segment_tree
from monitoring.findings import Finding, Outcome, Severity
from monitoring.ground import Ground, opened
from telemetry.metrics import metric
from telemetry.parts import PartLog
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import USER_DAY
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, UnknownError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

END = dt.date(2026, 3, 2)
CLOCK = FrozenClock(dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC))
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class World:
    ground: Ground
    truth: dict[str, Any]
    cells: Cells
    outcome: Outcome

    def planted(self, kind: str) -> dict[str, Any]:
        return next(one for one in self.truth["planted"] if one["kind"] == kind)

    def finding(self, metric: str, **segment: str) -> Finding:
        (one,) = [one for one in self.outcome.findings if (one.metric, dict(one.segment)) == (metric, segment)]
        return one


def home(folder: Path, users: int, weeks: int, *, planted: bool) -> tuple[Settings, dict[str, Any]]:
    spec = HistorySpec(users=users, weeks=weeks, seed=22, end=END, films=200, recent_step_min=60, planted=planted)
    write_history(spec, folder / "history", physical=True, workers=1, cells_a_file=64)
    truth: dict[str, Any] = json.loads((folder / "history" / "truth.json").read_text("utf-8"))
    settings = Settings(home=folder / "home")
    store = Store.open(settings)
    parts = PartLog(store, Paths(settings.home).ensure(), CLOCK)
    lay(parts, folder / "history")
    warehouse = EmbeddedWarehouse(parts, 512)
    roll_up_alone(parts, warehouse, USER_DAY)
    registry = Registry(store, clock=CLOCK)
    for plan, state in planted_plans(truth):
        over = state is not State.RUNNING
        launched = dt.datetime.combine(plan.start, dt.time(), dt.UTC)
        registry.adopt(
            plan, state, "test", launched_at=launched, stopped_at=CLOCK.now() if over else None,
            stop_reason="planned end" if over else None,
        )  # fmt: skip
    warehouse.close()
    store.close()
    return settings, truth


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings, truth = home(tmp_path_factory.mktemp("drift"), 5_000, 26, planted=True)
    with opened(settings, CLOCK) as ground:
        yield World(ground, truth, reading.read(ground), TelemetryDrift().look(ground))


def near(moment: dt.datetime, day: str, days: int = 3) -> bool:
    return abs(moment - dt.datetime.fromisoformat(f"{day}T00:00:00+00:00")) <= days * DAY


def test_taste_that_drifts_is_placed_in_its_market_and_dated(world: World) -> None:
    truth, found = world.planted("taste_drift"), world.finding("ctr", market="central_asia")
    assert near(found.onset.at, truth["from_day"])
    assert found.onset.low <= found.onset.at <= found.onset.high
    assert found.ended is None
    assert found.effect.value < -0.2
    assert found.severity is Severity.CRITICAL
    assert "central_asia" in found.summary


def test_the_catalogue_incident_is_that_of_its_version_and_has_an_end(world: World) -> None:
    truth = world.planted("catalogue_quality")
    found = world.finding("ctr", index_version=truth["index_version"])
    assert near(found.onset.at, truth["first_day"])
    assert found.ended is not None
    assert near(found.ended - DAY, truth["last_day"])
    assert -0.25 < found.effect.value < -0.08


def test_names_that_leak_cost_clicks_of_their_version(world: World) -> None:
    truth = world.planted("name_leak")
    found = world.finding("ctr", index_version=truth["index_versions"][0])
    assert near(found.onset.at, truth["first_day"])
    assert found.ended is not None


def test_surveys_are_answered_less_and_less(world: World) -> None:
    found = world.finding("survey_response_rate")
    assert near(found.onset.at, world.truth["start"])
    left = world.truth["surveys"]["answers_last_day_of_first"]
    assert found.effect.value == pytest.approx(left - 1, abs=0.08)
    assert found.evidence["kind"] == "trend"


def test_nothing_else_is_said(world: World) -> None:
    assert len(world.outcome.findings) == 4
    assert all(one.p_value is not None and one.p_value <= 0.01 for one in world.outcome.findings)
    json.dumps([one.to_dict() for one in world.outcome.findings])


def test_treatment_and_robots_are_left_out_and_counted(world: World) -> None:
    told = " ".join(world.outcome.notes)
    assert "impressions under treatment of exp_aa, exp_ctr_lift" in told
    assert "fewer than 10 accounts" in told
    bots = world.planted("bots")
    assert world.cells.left_out_users == bots["users"]
    assert world.cells.left_out_days <= 7 * bots["users"]


def test_a_click_farm_is_few_and_an_incident_is_many(world: World) -> None:
    farm, incident = world.planted("click_farm"), world.planted("catalogue_quality")
    spans = [
        (dt.date.fromisoformat(one["first_day"]), dt.date.fromisoformat(one["last_day"]) + DAY)
        for one in (farm, incident)
    ]
    few, many = (breadth(world.ground, metric("ctr"), {}, first, stop) for first, stop in spans)
    assert few.few
    assert few.jumped >= farm["accounts"] * 0.8
    assert not many.few
    assert many.share > 0.9


def test_the_course_has_a_row_a_day_with_its_interval(world: World) -> None:
    rows = course(world.ground, "ctr", {"market": "central_asia"}, cells=world.cells)
    assert list(rows.columns) == ["event_date", "value", "low", "high", "expected", "deseasonalised"]
    assert len(rows) == 182
    known = rows.dropna()
    assert len(known) > 170
    assert ((known["low"] <= known["value"]) & (known["value"] <= known["high"])).all()
    day = (dt.date.fromisoformat(world.planted("taste_drift")["from_day"]) - world.cells.days[0]).days
    levels = rows["expected"]
    assert levels[day + 7 : day + 21].mean() < 0.8 * levels[day - 21 : day - 7].mean()
    named = course(world.ground, "ctr", {"region": "KZ"}, cells=world.cells)
    assert len(named) == 182
    with pytest.raises(UnknownError, match="segment"):
        course(world.ground, "ctr", {"region": "XX"}, cells=world.cells)


def test_the_tree_flags_the_market_in_the_week_of_the_drift(world: World) -> None:
    week = dt.date.fromisoformat(world.planted("taste_drift")["from_day"])
    nodes = {tuple(node.segment.values()): node for node in segment_tree(world.ground, "ctr", week, cells=world.cells)}
    assert nodes["central_asia",].flagged
    assert nodes["central_asia",].parent == {}
    assert nodes["central_asia", "KZ"].parent == {"market": "central_asia"}
    assert not nodes["north_america",].flagged
    with pytest.raises(InvalidValueError, match="week"):
        segment_tree(world.ground, "ctr", world.cells.days[10], cells=world.cells)


def test_a_history_without_plants_is_silent_and_a_short_one_says_what_is_missing(tmp_path: Path) -> None:
    settings, _ = home(tmp_path, 1_000, 8, planted=False)
    with opened(settings, CLOCK) as ground:
        outcome = TelemetryDrift().look(ground)
        assert outcome.findings == ()
        assert outcome.looked_at > 1_000
    settings, _ = home(tmp_path / "short", 300, 4, planted=False)
    with opened(settings, CLOCK) as ground:
        outcome = TelemetryDrift().look(ground)
        assert outcome.findings == ()
        assert outcome.notes[-1].endswith("35 days: 7 are missing.")
