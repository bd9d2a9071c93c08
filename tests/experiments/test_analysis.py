"""An analysis as of any day: its course, its past verdicts, its segments, its own false alarms; late events count."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulated_worlds import roll_up_alone
from experiments.analysis import Analyst
from experiments.plan import State, read_plan
from experiments.registry import Registry
from experiments.sums import Sums
from experiments.verdict import Decision
from telemetry.parts import PartLog
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import USER_DAY
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event
from workspace.errors import InvalidValueError, UnknownError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

CLOCK = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
EVENTS = history(users=300, days=9)
PLAN = read_plan({
    "experiment_id": "exp", "hypothesis": "Nothing will happen.", "owner": "kim", "flag": "exp",
    "variants": [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1}],
    "start": START.isoformat(), "default_allocation": 0.6,
    "metrics": [{"metric": "ctr", "kind": "primary"}, {"metric": "thumbs_down_rate", "kind": "guardrail"}],
    "rule": {"look_days": [4, 8], "pre_days": 0},
})  # fmt: skip
LAST = START + dt.timedelta(days=7)


def analyst_of(home: Path, events: pd.DataFrame) -> Analyst:
    paths = Paths(home).ensure()
    store = Store.open(Settings(home=home))
    parts = PartLog(store, paths, CLOCK)
    lay(parts, events)
    warehouse = EmbeddedWarehouse(parts, 256)
    roll_up_alone(parts, warehouse, USER_DAY)  # experiments read no other rollup
    registry = Registry(store, clock=CLOCK)
    begun = dt.datetime.combine(START, dt.time(), dt.UTC)
    registry.adopt(PLAN, State.RUNNING, "test", launched_at=begun)
    return Analyst(Sums(warehouse, parts, paths, clock=CLOCK), registry, k=10)


@pytest.fixture(scope="module")
def analyst(tmp_path_factory: pytest.TempPathFactory) -> Analyst:
    return analyst_of(tmp_path_factory.mktemp("analysis") / "home", EVENTS)


def by_hand(events: pd.DataFrame) -> tuple[float, float]:
    """Difference of click-through rates and its error by the delta method on users, from raw events."""
    out = []
    for arm in ("control", "treatment"):
        mine = events[events[Event.VARIANT] == arm]
        x = (mine[Event.TYPE] == "click").groupby(mine[Event.USER]).sum()
        y = (mine[Event.TYPE] == "impression").groupby(mine[Event.USER]).sum()
        rate = x.sum() / y.sum()
        out.append((rate, np.var((x - rate * y) / y.mean(), ddof=1) / len(x)))
    (control, v_control), (treatment, v_treatment) = out
    return treatment - control, float(np.sqrt(v_control + v_treatment))


def until(day: dt.date, events: pd.DataFrame = EVENTS) -> pd.DataFrame:
    return events[events[Event.TS] < pd.Timestamp(day + dt.timedelta(days=1))]


def test_analysis_ends_at_the_planned_end_and_names_days_it_cannot_know(analyst: Analyst) -> None:
    assert analyst.as_of("exp") == LAST
    assert analyst.last_day() == START + dt.timedelta(days=8)
    with pytest.raises(InvalidValueError, match="2026-03-01"):
        analyst.analysis("exp", START - dt.timedelta(days=1))
    with pytest.raises(UnknownError, match="nobody"):
        analyst.analysis("nobody")


@pytest.mark.parametrize("days", [1, 4, 8])
def test_analysis_as_of_a_day_knows_the_events_up_to_it_and_no_more(analyst: Analyst, days: int) -> None:
    day = START + dt.timedelta(days=days - 1)
    plain = analyst.scorecard("exp", day).metric("ctr", "treatment").plain
    diff, se = by_hand(until(day))
    assert plain is not None
    assert plain.diff == pytest.approx(diff, rel=1e-9)
    assert plain.se == pytest.approx(se, rel=1e-9)


def test_course_ends_where_the_scorecard_stands_and_its_band_is_the_wider_one(analyst: Analyst) -> None:
    course = analyst.course("exp", "ctr")
    assert [point.date for point in course.points] == [START + dt.timedelta(days=at) for at in range(8)]
    judged = analyst.scorecard("exp").metric("ctr", "treatment").judged
    last = course.points[-1]
    assert judged is not None
    assert last.estimate is not None
    assert last.band is not None
    assert last.estimate.diff == pytest.approx(judged.diff, rel=1e-12)
    assert last.band[0] < judged.ci[0] < judged.ci[1] < last.band[1]
    with pytest.raises(UnknownError, match="must be one of the plan"):
        analyst.course("exp", "focus_s")


def test_rewind_says_of_every_day_what_was_said_then(analyst: Analyst) -> None:
    verdicts = analyst.rewind("exp").verdicts
    assert [one.as_of for one in verdicts] == [START + dt.timedelta(days=at) for at in range(8)]
    for one in verdicts:
        assert one.decision == analyst.verdict("exp", one.as_of).decision
    assert {one.decision for one in verdicts[:3]} == {Decision.KEEP_RUNNING}
    assert [len(one.looks) for one in verdicts] == [0, 0, 0, 1, 1, 1, 1, 2]
    assert verdicts[-1].decision is Decision.CANT_TELL, "nothing was planted"


def test_breakdown_is_that_of_each_region_and_withholds_the_small_ones(analyst: Analyst) -> None:
    found = {one.value: one for one in analyst.breakdown("exp", "region").segments}
    sizes = EVENTS[EVENTS[Event.VARIANT].notna()].pipe(lambda some: until(LAST, some)).groupby(
        [Event.REGION, Event.VARIANT]
    )[Event.USER].nunique()  # fmt: skip
    for region, segment in found.items():
        few = sizes[region].min() < 10
        if few:
            assert segment.withheld
            assert not segment.metrics
    shown = [region for region, segment in found.items() if segment.withheld is None]
    assert "US" in shown
    for region in shown:
        ctr = next(one for one in found[region].metrics if one.name == "ctr").judged
        diff, se = by_hand(until(LAST)[until(LAST)[Event.REGION] == region])
        assert ctr is not None
        assert (ctr.diff, ctr.se) == (pytest.approx(diff, rel=1e-9), pytest.approx(se, rel=1e-9))


def test_resplit_covers_every_metric_of_the_plan(analyst: Analyst) -> None:
    found = analyst.resplit("exp")
    assert set(found) == {"ctr", "thumbs_down_rate"}
    ctr = found["ctr"]
    assert not isinstance(ctr, str)
    assert ctr.rate is not None
    assert 0.01 < ctr.rate < 0.12
    assert len(ctr.p_values) == 1_000


def test_late_events_make_new_sums(tmp_path: Path) -> None:
    user = EVENTS[Event.USER].iloc[-1]
    kept_back = EVENTS[Event.USER] == user
    analyst = analyst_of(tmp_path / "home", EVENTS[~kept_back])
    before = analyst.scorecard("exp")
    late = EVENTS[kept_back].assign(variant="control", experiment_id="exp")
    sums = analyst._sums
    lay(sums._parts, late)
    roll_up_alone(sums._parts, sums._warehouse, USER_DAY)
    after = analyst.scorecard("exp")
    assert sum(after.users.values()) == sum(before.users.values()) + 1
    assert after.source_digest != before.source_digest
