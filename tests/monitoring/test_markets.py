"""Markets side by side: figures as pandas has them, differences by hand, nothing about few users."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from monitoring import markets
from monitoring.findings import Interval
from monitoring.markets import compare
from monitoring.proxy import Precision
from telemetry.warehouse.markets import DEFAULT
from tests.monitoring.conftest import END, NOW, START, Watched
from workspace.columns import Event

FOUR_WEEKS = END - dt.timedelta(days=27)


def shares(watched: Watched) -> dict[str, np.ndarray]:
    """Relevant share of the first five films of each user, by market."""
    day = watched.events[Event.TS].dt.date
    events = watched.events[(day >= FOUR_WEEKS) & (day <= END)]
    market = events[Event.REGION].map(DEFAULT)
    early = events[Event.POSITION] <= 5
    parts = pd.DataFrame(
        {
            "shown": early & (events[Event.TYPE] == "impression"),
            "looked": early & (events[Event.TYPE] == "focus") & (events[Event.VALUE] >= 10),
        }
    )
    summed = parts.groupby([market, events[Event.USER]]).sum()
    share = (summed["looked"] / summed["shown"]).clip(upper=1)
    return {str(name): rows.to_numpy() for name, rows in share.groupby(level=0)}


def test_compare_is_of_users_of_each_market(watched: Watched) -> None:
    rows = {one.market: one for one in compare(watched.ground)}
    expected = shares(watched)
    assert rows.keys() == expected.keys() == {"central_asia", "north_america", "western_europe"}
    for name, row in rows.items():
        assert (row.start, row.end) == (FOUR_WEEKS, END)
        precision = row.figures["precision_at_5"]
        if precision.value is not None:
            assert row.users == len(expected[name])
            assert precision.value == pytest.approx(expected[name].mean())
            assert precision.low is not None
            assert precision.low < precision.value
    assert rows["north_america"].figures["ctr"].value is not None


def test_difference_is_welch_to_all_others_together() -> None:
    def row(market: str, values: np.ndarray) -> Precision:
        from scipy import stats

        reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        mean = float(values.mean())
        return Precision(
            start=START, end=END, segment={"market": market}, users=len(values), without_positive=0.0,
            value=Interval(value=mean, low=mean - reach, high=mean + reach),
        )  # fmt: skip

    rng = np.random.default_rng(2)
    a, b, c = (rng.normal(mean, 0.1, size) for mean, size in ((0.30, 80), (0.31, 150), (0.2, 40)))
    found = markets._differences({"a": row("a", a), "b": row("b", b), "c": row("c", c)})
    rest = (len(a) * a.mean() + len(b) * b.mean()) / (len(a) + len(b))
    difference, p_value = found["c"]
    assert difference.value == pytest.approx(c.mean() - rest)
    assert p_value < 0.001
    assert difference.high is not None
    assert difference.high < 0
    # By resampling users within their markets.
    parts = [rng.choice(values, (4_000, len(values))).mean(axis=1) for values in (a, b, c)]
    drawn = parts[2] - (80 * parts[0] + 150 * parts[1]) / 230
    width = (difference.high - difference.low) / 2  # type: ignore[operator]
    assert np.std(drawn) * 2 == pytest.approx(width, rel=0.25)
    # A difference that Holm takes back has an interval that holds 0.
    for interval, p in found.values():
        assert (p < 0.05) == (interval.low > 0 or interval.high < 0)  # type: ignore[operator]


def test_difference_needs_another_market() -> None:
    assert markets._differences({}) == {}


def test_compare_withholds_small_markets(watched: Watched) -> None:
    users = {name: len(values) for name, values in shares(watched).items()}
    k = min(users.values()) + 1
    ground = replace(watched.ground, settings=watched.ground.settings.model_copy(update={"k_anonymity": k}))
    rows = {one.market: one for one in compare(ground)}
    smallest = rows[min(users, key=lambda name: users[name])]
    assert smallest.users is None
    assert smallest.difference is None
    assert all(figure.value is None and figure.n is None for figure in smallest.figures.values())
    # It is not withheld alone: the others and the total would give it away.
    assert sum(one.users is None for one in rows.values()) >= 2


def test_compare_of_a_short_history_takes_what_there_is(watched: Watched) -> None:
    rows = compare(watched.ground, at=NOW - dt.timedelta(days=50))
    assert {one.start for one in rows} == {START}
    assert rows[0].to_dict()["start"] == START.isoformat()
