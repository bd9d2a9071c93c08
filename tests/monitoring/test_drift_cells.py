"""Sums by random group against pandas over the raw events."""

import datetime as dt
from dataclasses import replace

import pandas as pd
import pytest

from experiments.plan import State
from monitoring.drift import cells as reading
from monitoring.drift.cells import Cells
from telemetry.metrics import metric
from tests.experiments.plans import plan, variants
from tests.monitoring.conftest import Watched
from workspace.columns import Event
from workspace.errors import UnknownError


@pytest.fixture(scope="module")
def cells(watched: Watched) -> Cells:
    return reading.read(watched.ground)


def by_day(events: pd.DataFrame, kind: str) -> pd.Series:
    rows = events[events[Event.TYPE] == kind]
    return rows.groupby(pd.to_datetime(rows[Event.TS]).dt.date).size()


def test_sums_are_those_of_the_events(watched: Watched, cells: Cells) -> None:
    clicks, shown = cells.sums(metric("ctr"), {})
    for sums, kind in ((clicks, "click"), (shown, "impression")):
        expected = by_day(watched.events, kind)
        assert dict(zip(cells.days, sums.sum(axis=0), strict=True)) == {day: expected.get(day, 0) for day in cells.days}


@pytest.mark.parametrize(
    ("segment", "column", "value"),
    [({"region": "KZ"}, Event.REGION, "KZ"), ({"device": "ios"}, Event.DEVICE, "ios")],
)
def test_sums_of_a_segment_are_those_of_its_events(
    watched: Watched, cells: Cells, segment: dict[str, str], column: str, value: str
) -> None:
    _, shown = cells.sums(metric("ctr"), segment)
    mine = watched.events[watched.events[column] == value]
    assert shown.sum() == by_day(mine, "impression").sum()


def test_random_groups_hold_the_same_sums(watched: Watched, cells: Cells) -> None:
    groups = reading.read(watched.ground, most_user_days=0)
    assert (groups.source, cells.source) == ("random groups", "users")
    assert groups.left_out_users is None
    for segment in cells.segments():
        for one, other in zip(
            groups.sums(metric("focus_s"), segment), cells.sums(metric("focus_s"), segment), strict=True
        ):
            assert one.sum(axis=0) == pytest.approx(other.sum(axis=0), rel=1e-5)


def test_cut_sums_never_exceed_what_is_far_out(cells: Cells) -> None:
    plain, below = cells.sums(metric("ctr"), {})
    cut, same = cells.sums(metric("ctr"), {}, cut=True)
    assert (below == same).all()
    assert abs(cut.sum() - plain.sum()) < 0.1 * plain.sum()
    # Some day of somebody is cut, and most days are left as they are.
    assert 0 < (cut != plain).mean() < 0.25


def test_every_segment_has_its_parts(cells: Cells) -> None:
    assert cells.segments()[0] == {}
    markets, devices = cells.children({})
    assert {one["market"] for one in markets} == set(cells.markets.values())
    assert [one["device"] for one in devices] == list(cells.devices.parts)
    assert cells.children({"device": "web"}) == []
    with pytest.raises(UnknownError, match="segment"):
        cells.sums(metric("ctr"), {"region": "XX"})


def test_the_version_of_a_day_is_the_one_that_showed_most(watched: Watched, cells: Cells) -> None:
    shown = watched.events[watched.events[Event.TYPE] == "impression"]
    days = pd.to_datetime(shown[Event.TS]).dt.date
    first, second = (shown[shown[Event.INDEX_VERSION] == name].groupby(days).size() for name in ("v1", "v2"))
    served = dict(zip(cells.days, cells.serving(), strict=True))
    for day in cells.days:
        if first[day] != second[day]:
            assert served[day] == ("v1" if first[day] > second[day] else "v2")


def test_arms_under_treatment_are_left_out(watched: Watched, cells: Cells) -> None:
    running = plan("exp", variants=variants(control=1, treatment=1), start=cells.days[0].isoformat())
    launched = dt.datetime.combine(cells.days[0], dt.time(), dt.UTC)
    watched.ground.registry.adopt(running, State.RUNNING, "test", launched_at=launched)
    try:
        without = reading.read(watched.ground)
    finally:
        watched.ground.registry.stop("exp", "test", "the test is over")
    treated = watched.events[watched.events[Event.VARIANT] == "treatment"]
    gone = by_day(treated, "impression").sum()
    assert without.treated == ("exp",)
    assert without.treated_impressions == gone
    assert without.sums(metric("ctr"), {})[1].sum() == cells.sums(metric("ctr"), {})[1].sum() - gone
    assert replace(without, treated=()).treated == ()
