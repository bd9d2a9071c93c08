"""Traffic and size: equal to figures computed from raw events, and to power by simulation and formula."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestIndPower

from benchmarks.simulated_worlds import roll_up_alone
from experiments.metrics import METRICS
from experiments.sizing import Size, Wanted, every, size
from experiments.traffic import baseline, traffic
from telemetry.parts import PartLog
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import USER_DAY
from tests.telemetry.planted import history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event, Rollup, Trial
from workspace.errors import InvalidValueError, NotEstimableError, StateError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

CLOCK = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
EVENTS = history(users=150, days=9)
WINDOWS = (1, 3, 7, 28)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    home = Paths(tmp_path_factory.mktemp("traffic") / "home").ensure()
    parts = PartLog(Store.open(Settings(home=home.home)), home, CLOCK)
    lay(parts, EVENTS)
    opened = EmbeddedWarehouse(parts, 256)
    roll_up_alone(parts, opened, USER_DAY)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def windows(warehouse: EmbeddedWarehouse) -> dict[int, pd.DataFrame]:
    return traffic(warehouse, WINDOWS)


def by_hand(days: int, above: pd.Series, below: pd.Series) -> tuple[int, float, float]:
    """Users, ratio and spread of a user's linearised value over the last days, from raw events."""
    last = EVENTS[Event.TS].dt.normalize().max()
    inside = EVENTS[Event.TS] >= last - pd.Timedelta(days=days - 1)
    user = EVENTS[Event.USER]
    x, y = (column[inside].groupby(user[inside]).sum() for column in (above, below))
    value = x.sum() / y.sum()
    return len(x), value, float(np.std((x - value * y) / y.mean(), ddof=1))


@pytest.mark.parametrize("days", [1, 3, 7])
def test_baseline_equals_raw_events(windows: dict[int, pd.DataFrame], days: int) -> None:
    kind = EVENTS[Event.TYPE]
    shown = (kind == "impression").astype(float)
    for name, above in (
        ("ctr", (kind == "click").astype(float)),
        ("thumbs_down_rate", (kind == "thumbs_down").astype(float)),
        ("focus_s", EVENTS[Event.VALUE].where(kind == "focus", 0).astype(float)),
    ):
        users, mean, sd = by_hand(days, above, shown)
        found = baseline(windows[days], name, days)
        assert (found.users, found.days) == (users, days)
        assert found.mean == pytest.approx(mean, rel=1e-9)
        assert found.sd == pytest.approx(sd, rel=1e-9)


def test_baseline_counts_active_days_of_a_user_once(windows: dict[int, pd.DataFrame]) -> None:
    last = EVENTS[Event.TS].dt.normalize().max()
    some = EVENTS[EVENTS[Event.TS] >= last - pd.Timedelta(days=6)]
    active = some.groupby([some[Event.USER], some[Event.TS].dt.date]).ngroups
    acts = (some[Event.TYPE] != "impression").sum()
    assert baseline(windows[7], "engagement", 7).mean == pytest.approx(acts / active, rel=1e-9)


def test_traffic_leaves_out_windows_longer_than_the_telemetry(windows: dict[int, pd.DataFrame]) -> None:
    assert sorted(windows) == [1, 3, 7]


def test_traffic_without_telemetry_says_what_to_run(tmp_path: Path) -> None:
    home = Paths(tmp_path / "home").ensure()
    parts = PartLog(Store.open(Settings(home=home.home)), home, CLOCK)
    with pytest.raises(StateError, match="recommendr telemetry rollup"):
        traffic(EmbeddedWarehouse(parts, 256))


def frame(users: int, *, sd: float = 0.3, mean: float = 0.1) -> pd.DataFrame:
    """A window in which every user is shown ten films, and clicks differ with a spread of their own."""
    row: dict[str, float] = {Trial.N: users}
    for spec in METRICS.values():
        low, high = sorted((spec.numerator, spec.denominator))
        row |= {f"m_{spec.numerator}": 0.0, f"m_{spec.denominator}": 0.0, f"c_{low}_{high}": 0.0}
        row |= {f"c_{name}_{name}": 0.0 for name in (low, high)}
    row |= {f"m_{Rollup.CLICKS}": 10 * mean, f"m_{Rollup.IMPRESSIONS}": 10.0}
    row |= {f"c_{Rollup.CLICKS}_{Rollup.CLICKS}": (10 * sd) ** 2}
    return pd.DataFrame([row])


def test_size_is_that_of_the_t_test_and_its_days_those_of_the_users() -> None:
    growing = {days: frame(1_000 * days) for days in (1, 7, 28)}
    found = size(growing, "ctr", Wanted(mde_rel=0.2, share=0.5))
    expected = TTestIndPower().solve_power(0.2 * 0.1 / 0.3, power=0.8, alpha=0.05)
    assert found.n_control == found.n_variant == int(np.ceil(expected))
    assert found.days == int(np.ceil(2 * expected / 500))
    assert found.course[0].mde_rel > found.course[-1].mde_rel


def test_size_counts_users_who_come_back_once() -> None:
    standing = {days: frame(1_000) for days in (1, 7, 28)}
    found = size(standing, "ctr", Wanted(mde_rel=0.2, share=0.5))
    assert found.days is None, "the same thousand users come every day"
    assert len({round(one.mde_rel, 12) for one in found.course}) == 1


def test_every_metric_has_a_figure_or_a_reason() -> None:
    found: Size = size({7: frame(5_000), 14: frame(9_000)}, "ctr", Wanted(share=1.0, mde_rel=0.1))
    others = every({7: frame(5_000), 14: frame(9_000)}, found)
    assert set(others) == set(METRICS)
    assert others["ctr"] == pytest.approx(0.1, rel=0.01)
    assert "nothing below the line" in str(others["survey_score"])


def test_bad_wishes_name_the_limit() -> None:
    with pytest.raises(InvalidValueError, match=r"share == 1\.5, must be <= 1"):
        Wanted(share=1.5)
    with pytest.raises(InvalidValueError, match="mde_rel == 0, must be > 0"):
        Wanted(mde_rel=0)
    with pytest.raises(NotEstimableError, match="Survey score"):
        baseline(frame(100), "survey_score", 7)
