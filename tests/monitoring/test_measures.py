"""Measures: one name each, an interval, an age, and a reason where there is no value."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from monitoring.goal_entries import Entry, enter
from monitoring.ground import Ground, opened
from monitoring.measures import MEASURES, Reading, last_day, measure, read, trend
from telemetry.system.questions import SystemQuestion
from tests.experiments.plans import new_store
from tests.monitoring.conftest import END, NOW, START, Watched
from workspace.clock import FrozenClock
from workspace.columns import Event
from workspace.errors import StateError, UnknownError, UnreachableError
from workspace.paths import Paths
from workspace.settings import Settings

TELEMETRY = ("ctr", "focus_s", "thumbs_down_rate", "refresh_rate", "sentiment", "survey_response_rate")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Ground]:
    """A workspace in which nothing has happened yet."""
    home = Paths(tmp_path / "home").ensure()
    with new_store(home), opened(Settings(home=home.home), FrozenClock(NOW)) as ground:
        yield ground


def week(watched: Watched, last: dt.date = END) -> pd.DataFrame:
    day = watched.events[Event.TS].dt.date
    return watched.events[(day > last - dt.timedelta(days=7)) & (day <= last)]


def test_every_measure_is_read_without_data(empty: Ground) -> None:
    for name in MEASURES:
        reading = read(name, empty)
        assert reading.value is None, name
        assert reading.note, name
        assert reading.unit == MEASURES[name].unit
        assert all(one.value is None for one in trend(name, empty))


def test_every_measure_of_users_and_services_has_an_interval(watched: Watched) -> None:
    one_batch = {"cpu", "memory", "bff_latency_s"}
    services = {"p95_latency_s", "availability", "error_rate"}
    for name in (*TELEMETRY, "precision_at_5", "relevant_in_five", "engagement", *services):
        reading = read(name, watched.ground)
        assert reading.value is not None, (name, reading.note)
        assert reading.low is not None
        assert reading.high is not None
        assert reading.low < reading.value < reading.high, name
    assert all(read(name, watched.ground).low is None for name in one_batch)


def test_precision_counts_users_without_positive_feedback(watched: Watched) -> None:
    events = week(watched)
    early = events[Event.POSITION] <= 5
    shown = (early & (events[Event.TYPE] == "impression")).groupby(events[Event.USER]).sum()
    looked = (early & (events[Event.TYPE] == "focus") & (events[Event.VALUE] >= 10)).groupby(events[Event.USER]).sum()
    shares = (looked / shown).clip(upper=1)
    reading = read("precision_at_5", watched.ground)
    assert (shares == 0).sum() > 10
    assert reading.n == len(shares)
    assert reading.value == pytest.approx(shares.mean())
    # Without those who liked nothing it would be much higher.
    assert shares[shares > 0].mean() > 1.3 * shares.mean()


def test_read_as_of_a_day_before(watched: Watched) -> None:
    at = NOW - dt.timedelta(days=14)
    events = week(watched, END - dt.timedelta(days=14))
    kinds = events[Event.TYPE].value_counts()
    reading = read("ctr", watched.ground, at=at)
    assert reading.value == pytest.approx(kinds["click"] / kinds["impression"])
    assert reading.as_of == dt.datetime.combine(END - dt.timedelta(days=13), dt.time(), tzinfo=dt.UTC)


def test_trend_is_the_weeks_oldest_first(watched: Watched) -> None:
    course = trend("ctr", watched.ground, weeks=8)
    kinds = week(watched, END - dt.timedelta(days=49))[Event.TYPE].value_counts()
    assert len(course) == 8
    assert course[0].value == pytest.approx(kinds["click"] / kinds["impression"])
    assert course[-1] == read("ctr", watched.ground)
    # Of more weeks than there are only whole ones come back.
    assert len(trend("ctr", watched.ground, weeks=30)) == 8


def test_trend_of_engagement_leaves_out_the_weeks_compared_with(watched: Watched) -> None:
    course = trend("engagement", watched.ground, weeks=8)
    assert len(course) == 4
    assert all(one.unit == "relative" for one in course)


def test_engagement_says_how_many_days_are_missing(watched: Watched) -> None:
    reading = read("engagement", watched.ground, at=NOW - dt.timedelta(days=11))
    assert reading.value is None
    assert "10 are missing" in reading.note


def test_engagement_names_a_changed_key(watched: Watched) -> None:
    turned = replace(watched.ground, rotations=(START + dt.timedelta(days=30),))
    before, after = read("engagement", watched.ground), read("engagement", turned)
    assert "key changed" in after.note
    assert (after.value, after.low) == (before.value, before.low)


def test_measures_name_no_fewer_than_k(watched: Watched) -> None:
    ground = replace(watched.ground, settings=watched.ground.settings.model_copy(update={"k_anonymity": 5_000}))
    for name in (*TELEMETRY, "precision_at_5", "relevant_in_five", "engagement"):
        reading = read(name, ground)
        assert (reading.value, reading.n) == (None, None), name
        assert "fewer than 5000 accounts" in reading.note


def test_read_of_an_unknown_measure_names_those_there_are(watched: Watched) -> None:
    with pytest.raises(UnknownError, match=r"precision@6.*precision_at_5"):
        read("precision@6", watched.ground)


def test_last_day_is_whole(watched: Watched) -> None:
    assert last_day(watched.ground, NOW) == END
    assert last_day(watched.ground, dt.datetime.combine(END, dt.time(23), tzinfo=dt.UTC)) == END - dt.timedelta(days=1)
    with pytest.raises(StateError, match="telemetry begins on"):
        last_day(watched.ground, dt.datetime.combine(START, dt.time(1), tzinfo=dt.UTC))


def test_a_store_that_does_not_answer_is_a_reading(watched: Watched) -> None:
    class Down:
        name = "down"

        def answer(self, _: SystemQuestion) -> pd.DataFrame:
            raise UnreachableError("Prometheus does not answer", hint="start it")

    system: Any = Down()
    ground = replace(watched.ground, system=system)
    reading = read("cpu", ground)
    assert reading.value is None
    assert reading.note.startswith("can't be read: Prometheus does not answer")
    assert trend("cpu", ground) == ()
    assert read("ctr", ground).value is not None


def test_revenue_is_what_was_entered(empty: Ground) -> None:
    periods = ((dt.date(2025, 3, 1), dt.date(2025, 3, 31), 200.0), (dt.date(2026, 3, 1), dt.date(2026, 3, 31), 212.0))
    entries = [Entry(goal="revenue_ads", start=start, end=end, value=value) for start, end, value in periods]
    enter(empty, entries, actor="ann")
    reading = read("revenue_ads", empty)
    assert reading.value == pytest.approx(0.06)
    assert reading.interval is not None
    assert reading.interval.low is None
    assert reading.as_of == dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    assert [one.value for one in trend("revenue_ads", empty)] == [reading.value]


def test_reading_is_plain_data() -> None:
    reading = Reading(value=0.5, low=0.4, high=0.6, n=12, unit="share", as_of=NOW, note="")
    assert reading.to_dict() == {
        "value": 0.5, "low": 0.4, "high": 0.6, "n": 12, "unit": "share", "as_of": NOW.isoformat(), "note": "",
    }  # fmt: skip
    assert measure("cpu").to_dict()["unit"] == "share"
