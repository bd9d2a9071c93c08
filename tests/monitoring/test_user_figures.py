"""Ratios over blocks of days: equal to pandas over the events, and never about too few accounts."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from monitoring import user_figures
from monitoring.user_figures import SLATES_A_USER, Ratio, blocks, changes, relevant_slates
from tests.monitoring.conftest import END, START, Watched
from workspace.columns import Event, Rollup, Trial
from workspace.errors import InvalidValueError

CTR = Ratio(name="ctr", numerator=Rollup.CLICKS, denominator=Rollup.IMPRESSIONS)
ENGAGEMENT = Ratio(name="engagement", numerator=Trial.INTERACTIONS, denominator=Trial.ACTIVE_DAYS)
SENTIMENT = Ratio(name="sentiment", numerator=Rollup.POSITIVE_SURVEYS, denominator=Rollup.SURVEYS)


def within(watched: Watched, first: dt.date, last: dt.date) -> pd.DataFrame:
    day = watched.events[Event.TS].dt.date
    return watched.events[(day >= first) & (day <= last)]


def by_user(events: pd.DataFrame, flags: pd.Series) -> pd.Series:
    return flags.groupby(events[Event.USER]).sum()


def clicks_and_impressions(events: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    x, y = (by_user(events, events[Event.TYPE] == kind).to_numpy(float) for kind in ("click", "impression"))
    return x, y


def taylor(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Value and margin of Σx / Σy, by the residuals of the users."""
    value = x.sum() / y.sum()
    residual = x - value * y
    error = np.sqrt(residual.var(ddof=1) / len(x)) / y.mean()
    return value, stats.t.ppf(0.975, len(x) - 1) * error


def test_blocks_equals_pandas_by_user(watched: Watched) -> None:
    found = blocks(watched.ground, [CTR], end=END, count=2)
    assert [one.block for one in found] == [0, 1]
    for one in found:
        last = END - dt.timedelta(days=7 * one.block)
        x, y = clicks_and_impressions(within(watched, last - dt.timedelta(days=6), last))
        value, margin = taylor(x, y)
        assert one.users == len(x)
        assert (one.value, one.low, one.high) == pytest.approx((value, value - margin, value + margin), rel=1e-9)


def test_blocks_knows_sums_of_experiments(watched: Watched) -> None:
    found = blocks(watched.ground, [ENGAGEMENT], end=END, days=28)[0]
    events = within(watched, END - dt.timedelta(days=27), END)
    acts = (events[Event.TYPE] != "impression").sum()
    days = events.groupby(Event.USER)[Event.TS].agg(lambda ts: ts.dt.date.nunique()).sum()
    assert found.value == pytest.approx(acts / days)


def test_blocks_by_market_adds_up(watched: Watched) -> None:
    whole = blocks(watched.ground, [CTR], end=END, days=28)[0]
    rows = blocks(watched.ground, [CTR], end=END, days=28, by=Rollup.MARKET)
    assert [one.segment for one in rows] == ["central_asia", "north_america", "western_europe"]
    shown = [one for one in rows if not one.note]
    # A single withheld row could be had by subtraction: none is withheld alone.
    assert len(shown) != 2
    assert sum(one.users for one in shown) <= whole.users


def test_blocks_by_groups_agrees_with_users(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    users = blocks(watched.ground, [CTR], end=END)[0]
    monkeypatch.setattr(user_figures, "MOST_USER_DAYS", 0)
    groups = blocks(watched.ground, [CTR], end=END)[0]
    # 90 users in 1,024 groups: hardly two share one.
    assert groups.value == pytest.approx(users.value, rel=1e-12)
    assert groups.high - groups.low == pytest.approx(users.high - users.low, rel=0.1)
    assert groups.users == pytest.approx(users.users, abs=3)


def test_blocks_withholds_few(watched: Watched) -> None:
    ground = replace(watched.ground, settings=watched.ground.settings.model_copy(update={"k_anonymity": 1_000}))
    one = blocks(ground, [CTR], end=END)[0]
    assert np.isnan(one.value)
    assert one.users == 0
    assert "fewer than 1000 accounts" in one.note


def test_blocks_of_nothing_is_not_estimable(watched: Watched) -> None:
    events = within(watched, END, END)
    asked = (events[Event.TYPE] == "survey").sum()
    one = blocks(watched.ground, [SENTIMENT], end=END, days=1)[0]
    # On one day of 90 users there are some answers, about too few people.
    assert 0 < asked < 10
    assert np.isnan(one.value)
    assert one.note
    assert blocks(watched.ground, [CTR], end=START - dt.timedelta(days=1)) == []


def test_blocks_refuses_other_dimensions(watched: Watched) -> None:
    with pytest.raises(InvalidValueError, match="by == 'user_id'"):
        blocks(watched.ground, [CTR], end=END, by=Event.USER)


def test_slates_a_user_counts_accounts(watched: Watched) -> None:
    one = blocks(watched.ground, [SLATES_A_USER], end=END)[0]
    events = within(watched, END - dt.timedelta(days=6), END)
    slates = by_user(events, (events[Event.TYPE] == "impression") & (events[Event.POSITION] == 1))
    assert one.value == pytest.approx(slates.mean())
    margin = stats.t.ppf(0.975, len(slates) - 1) * slates.std() / np.sqrt(len(slates))
    assert one.high - one.value == pytest.approx(margin)


def test_changes_pairs_the_users(watched: Watched) -> None:
    early, late = (START, START + dt.timedelta(days=27)), (END - dt.timedelta(days=27), END)
    (found,) = changes(watched.ground, CTR, early, [late])
    rng = np.random.default_rng(0)
    parts = []
    for first, last in (late, early):
        events = within(watched, first, last)
        parts += [by_user(events, events[Event.TYPE] == kind) for kind in ("click", "impression")]
    table = pd.concat(parts, axis=1).fillna(0).to_numpy(float)
    x1, y1, x2, y2 = table.sum(axis=0)
    assert found.value == pytest.approx(x1 / y1 / (x2 / y2) - 1)
    drawn = rng.integers(len(table), size=(4_000, len(table)))
    boot = table[drawn].sum(axis=1)
    low, high = np.quantile(boot[:, 0] / boot[:, 1] / (boot[:, 2] / boot[:, 3]) - 1, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.04)
    assert found.high == pytest.approx(high, abs=0.04)
    assert found.users == len(table)


def test_changes_of_several_spans_are_those_of_each(watched: Watched) -> None:
    early = (START, START + dt.timedelta(days=27))
    weeks = [(END - dt.timedelta(days=back + 6), END - dt.timedelta(days=back)) for back in (14, 7, 0)]
    together = changes(watched.ground, ENGAGEMENT, early, weeks)
    for number, (one, week) in enumerate(zip(together, weeks, strict=True)):
        (alone,) = changes(watched.ground, ENGAGEMENT, early, [week])
        assert (one.block, one.users) == (number, alone.users)
        assert (one.value, one.low, one.high) == pytest.approx((alone.value, alone.low, alone.high), rel=1e-3)
    assert changes(watched.ground, ENGAGEMENT, early, []) == []


def test_changes_refuses_overlapping_spans(watched: Watched) -> None:
    with pytest.raises(InvalidValueError, match="one after the other"):
        changes(watched.ground, CTR, (START, END), [(END, END)])


def liked_slates(events: pd.DataFrame) -> tuple[int, int]:
    early = events[Event.POSITION] <= 5
    liked = (events[Event.TYPE] == "click") | ((events[Event.TYPE] == "focus") & (events[Event.VALUE] >= 10))
    shown = events[early & (events[Event.TYPE] == "impression")][Event.SLATE].unique()
    return int(np.isin(shown, events[early & liked][Event.SLATE].unique()).sum()), len(shown)


def test_relevant_slates_equals_pandas(watched: Watched) -> None:
    found = relevant_slates(watched.ground, end=END, count=2)
    for one in found:
        last = END - dt.timedelta(days=7 * one.block)
        liked, shown = liked_slates(within(watched, last - dt.timedelta(days=6), last))
        assert one.value == pytest.approx(liked / shown)
        assert 0 < one.low < one.value < one.high < 1


def test_relevant_slates_of_too_many_events_samples_users(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    week = within(watched, END - dt.timedelta(days=6), END)
    monkeypatch.setattr(user_figures, "MOST_EVENTS", len(week) // 2)
    one = relevant_slates(watched.ground, end=END)[0]
    half = week[week[Event.USER] <= (len(week) // 2) / len(week) * 2**63]
    liked, shown = liked_slates(half)
    assert one.users == half[Event.USER].nunique() < week[Event.USER].nunique()
    assert one.value == pytest.approx(liked / shown)
    assert "of a random 50.0% of the accounts" in one.note
