"""The stand-in for precision@5: equal to a computation from raw events, everybody counted, few withheld."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from monitoring import proxy
from tests.monitoring.conftest import END, Watched
from workspace.columns import Event
from workspace.errors import InvalidValueError


def shares(events: pd.DataFrame, first: dt.date, last: dt.date) -> pd.Series:
    """Share of looks of ten seconds or more at the first five films shown, of every user, by pandas."""
    day = events[Event.TS].dt.date
    week = events[(day >= first) & (day <= last) & (events[Event.POSITION] <= 5)]
    shown = week[week[Event.TYPE] == "impression"].groupby(Event.USER).size()
    looks = week[(week[Event.TYPE] == "focus") & (week[Event.VALUE] >= 10)].groupby(Event.USER).size()
    return (looks.reindex(shown.index).fillna(0) / shown).clip(upper=1)


def test_weekly_is_the_mean_over_users_of_raw_events(watched: Watched) -> None:
    (row,) = proxy.weekly(watched.ground)
    wanted = shares(watched.events, END - dt.timedelta(days=6), END)
    low, high = stats.t.interval(0.95, len(wanted) - 1, wanted.mean(), stats.sem(wanted))
    assert row.value is not None
    assert row.value.value == pytest.approx(wanted.mean())
    assert (row.value.low, row.value.high) == (pytest.approx(max(low, 0)), pytest.approx(high))
    assert row.users == len(wanted)
    assert row.without_positive == pytest.approx((wanted == 0).mean())


def test_weekly_counts_users_without_anything_relevant_as_nothing(watched: Watched) -> None:
    (row,) = proxy.weekly(watched.ground)
    wanted = shares(watched.events, END - dt.timedelta(days=6), END)
    assert row.value is not None
    assert (wanted == 0).any()
    assert row.value.value < wanted[wanted > 0].mean()


def test_weekly_withholds_segments_of_few_users(watched: Watched) -> None:
    k = watched.ground.settings.k_anonymity
    rows = proxy.weekly(watched.ground, by="region")
    week = watched.events[watched.events[Event.TS].dt.date > END - dt.timedelta(days=7)]
    users = week.groupby(Event.REGION)[Event.USER].nunique()
    withheld = {row.segment["region"] for row in rows if row.value is None}
    assert {region for region, count in users.items() if count < k} <= withheld
    assert all(row.users is None and "fewer than 10 accounts" in row.note for row in rows if row.value is None)
    assert len(withheld) != 1  # a single one could be had from the total


def test_weekly_says_how_many_days_it_lacks(watched: Watched) -> None:
    (row,) = proxy.weekly(watched.ground, end=watched.ground.days()[0] + dt.timedelta(days=2))
    assert "lacks 4 of its 7 days" in row.note


def test_weekly_of_days_without_telemetry_has_no_value(watched: Watched) -> None:
    (row,) = proxy.weekly(watched.ground, end=END + dt.timedelta(days=300))
    assert row.value is None
    assert row.to_dict()["value"] is None
    assert "nobody was shown" in row.note


def test_weekly_refuses_an_unknown_breakdown(watched: Watched) -> None:
    with pytest.raises(InvalidValueError, match="must be one of market"):
        proxy.weekly(watched.ground, by="user_id")


def test_together_says_how_many_versions_are_missing() -> None:
    found = proxy.together({"a": 0.1, "b": 0.2, "x": 0.3}, {"a": 0.2, "b": 0.1})
    assert (found.correlation, found.missing) == (None, 2)
    assert "2 more needed" in found.note


def test_together_is_pearsons_correlation_with_fishers_interval() -> None:
    online = {"a": 0.10, "b": 0.12, "c": 0.11, "d": 0.15, "e": 0.13}
    offline = {"a": 0.20, "b": 0.23, "c": 0.22, "d": 0.26, "e": 0.25}
    found = proxy.together(online, offline)
    wanted = stats.pearsonr(list(online.values()), list(offline.values()))
    assert found.correlation is not None
    assert found.correlation.value == pytest.approx(wanted.statistic)
    assert found.correlation.low == pytest.approx(wanted.confidence_interval(0.95).low)
    assert "follows the offline one" in found.note


def test_together_of_equal_figures_is_not_estimable() -> None:
    same = dict.fromkeys("abcd", 0.2)
    assert "not estimable" in proxy.together(same, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}).note


def test_against_offline_without_scores_says_so(watched: Watched) -> None:
    found = proxy.against_offline(watched.ground)
    assert found.correlation is None
    assert found.missing == 4
    assert np.isfinite(found.missing)
