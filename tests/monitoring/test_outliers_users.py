import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulated_worlds import lay, roll_up_alone
from data.synthetic.history import HistorySpec, write_history
from monitoring.findings import Finding, Outcome, Severity
from monitoring.ground import Ground, opened
from monitoring.outliers import Forest, OddUsers
from monitoring.outliers.users import conduct, robot_days
from telemetry.parts import PartLog
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import FILM_DAY, USER_DAY
from tests.experiments.plans import new_store
from tests.monitoring.conftest import Watched
from tests.telemetry import planted
from workspace.clock import FrozenClock
from workspace.columns import Conduct, Event, Rollup
from workspace.paths import Paths
from workspace.settings import Settings

END = dt.date(2026, 3, 2)
NOW = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)
USERS, WEEKS = 1_200, 3


def home_of(folder: Path, *, plants: bool) -> Settings:
    spec = HistorySpec(users=USERS, weeks=WEEKS, seed=11, end=END, films=120, recent_step_min=60, planted=plants)
    write_history(spec, folder / "history", physical=True, workers=1, cells_a_file=64)
    home = Paths(folder / "home").ensure()
    with new_store(home) as store:
        parts = PartLog(store, home, FrozenClock(NOW))
        lay(parts, folder / "history")
        warehouse = EmbeddedWarehouse(parts, 512)
        for table in (USER_DAY, FILM_DAY):  # the detector reads no other rollup
            roll_up_alone(parts, warehouse, table)
        warehouse.close()
    return Settings(home=home.home)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ground, dict[str, dict[str, str]]]]:
    folder = tmp_path_factory.mktemp("spoiled")
    settings = home_of(folder, plants=True)
    truth = json.loads((folder / "history" / "truth.json").read_text("utf-8"))
    with opened(settings, FrozenClock(NOW)) as ground:
        yield ground, {one["kind"]: one for one in truth["planted"]}


@pytest.fixture(scope="module")
def outcome(spoiled: tuple[Ground, dict[str, dict[str, str]]]) -> Outcome:
    return OddUsers().look(spoiled[0])


def dated(one: Finding, truth: dict[str, str]) -> bool:
    last = one.ended or NOW
    return (
        abs((one.onset.at.date() - dt.date.fromisoformat(truth["first_day"])).days) <= 3
        and abs((last.date() - dt.timedelta(days=1) - dt.date.fromisoformat(truth["last_day"])).days) <= 3
    )


def test_planted_robots_and_farm_are_found_and_dated_and_nothing_else(
    spoiled: tuple[Ground, dict[str, dict[str, str]]], outcome: Outcome
) -> None:
    _, truth = spoiled
    found = outcome
    assert sorted(one.metric for one in found.findings) == ["bots", "click_farm"]
    by = {one.metric: one for one in found.findings}
    assert dated(by["bots"], truth["bots"])
    assert dated(by["click_farm"], truth["click_farm"])
    assert by["click_farm"].segment == {Event.FILM: truth["click_farm"]["film_id"]}
    # Two robots: neither how many nor what exactly they did may be told.
    assert by["bots"].evidence["accounts"] == "fewer than 10 accounts"
    assert by["bots"].effect.high - by["bots"].effect.low >= 0.1 * by["bots"].effect.value  # type: ignore[operator]
    assert "user_id" not in json.dumps(found.to_dict())
    assert found.notes == ()


def test_the_forest_finds_the_same(spoiled: tuple[Ground, dict[str, dict[str, str]]], outcome: Outcome) -> None:
    by_forest = OddUsers(Forest()).look(spoiled[0]).findings
    assert {one.key for one in by_forest} == {one.key for one in outcome.findings}


def test_robots_are_explained_by_not_looking(spoiled: tuple[Ground, dict[str, dict[str, str]]]) -> None:
    ground, truth = spoiled
    robots = robot_days(ground, *ground.days())
    # A robot may come on none of its days.
    assert 1 <= robots.rows[Event.USER].nunique() <= truth["bots"]["users"]
    assert robots.parts.sum(axis=1) == pytest.approx(robots.rows["score"].to_numpy())
    look = Conduct.BY_DAY.index(Conduct.DWELL)
    assert (robots.parts[:, look] > 0.1 * robots.rows["score"]).all()
    assert (robots.rows["score"] > robots.level).all()


def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    with opened(home_of(tmp_path, plants=False), FrozenClock(NOW)) as ground:
        found = OddUsers().look(ground)
    assert (found.findings, found.notes) == ((), ())
    assert found.looked_at > 4_000


def test_a_quiet_workspace_without_telemetry_says_so(home: Paths) -> None:
    with opened(Settings(home=home.home), FrozenClock(NOW)) as ground:
        assert OddUsers().look(ground).notes[0].startswith("not estimable: no telemetry is rolled up")


def test_a_small_world_gives_no_alarm(watched: Watched) -> None:
    assert OddUsers().look(watched.ground).findings == ()


def robots_among(events: pd.DataFrame, accounts: int, day: dt.date) -> pd.DataFrame:
    """Add accounts that are shown 300 films on a day and click a third of them without a look."""
    rows = []
    for account in range(accounts):
        user = 10**15 + account * 977
        for number in range(300):
            ts = dt.datetime.combine(day, dt.time(3)) + dt.timedelta(seconds=2 * number)
            rows += [
                (f"b{account}-{number}-{kind}", ts, ts, user, f"bs{account}", f"bt{account}", "US", "web", kind,
                 f"bsl{account}-{number // 5}", f"f{number % 30}", 1 + number % 5, None, None, None, "v1", None)
                for kind in (("impression", "click") if number % 3 == 0 else ("impression",))
            ]  # fmt: skip
    made = pd.DataFrame(rows, columns=list(Event.ALL))
    return pd.concat([events, made], ignore_index=True).sort_values([Event.USER, Event.TS], ignore_index=True)


def test_many_robots_are_counted_and_critical_and_go_on(home: Paths) -> None:
    days = 4
    last = planted.START + dt.timedelta(days=days - 1)
    events = robots_among(planted.history(users=90, days=days, seed=3), 12, last)
    clock = FrozenClock(dt.datetime.combine(last + dt.timedelta(days=1), dt.time(6), dt.UTC))
    with new_store(home) as store:
        parts = PartLog(store, home, clock)
        planted.lay(parts, events)
        warehouse = EmbeddedWarehouse(parts, 256)
        for table in (USER_DAY, FILM_DAY):
            roll_up_alone(parts, warehouse, table)
        warehouse.close()
    with opened(Settings(home=home.home), clock) as ground:
        (one,) = OddUsers().look(ground).findings
    assert one.evidence["accounts"] == "12 accounts"
    assert one.onset.at.date() == last
    assert one.ended is None
    assert one.severity is Severity.CRITICAL
    shown = events[events[Event.TS].dt.date == last]
    shown = shown[shown[Event.TYPE] == "impression"]
    # Enough accounts to be exact about: 12 × 300 of all impressions of that day.
    assert one.effect.value == pytest.approx(3_600 / len(shown))


def test_conduct_draws_days_of_few_events_towards_the_usual() -> None:
    sums = dict.fromkeys(
        (Rollup.IMPRESSIONS, Rollup.CLICKS, Rollup.FOCUS_S, Rollup.SESSIONS, Rollup.SLATES, Rollup.REFRESHES,
         Rollup.THUMBS_DOWN, Rollup.SURVEYS), 0.0
    )  # fmt: skip
    quiet = {**sums, Rollup.IMPRESSIONS: 5.0, Rollup.SESSIONS: 1.0, Rollup.SLATES: 1.0}
    robot = {**quiet, Rollup.IMPRESSIONS: 500.0, Rollup.CLICKS: 170.0, Rollup.SLATES: 100.0}
    usual, odd = conduct(pd.DataFrame([quiet, robot]))
    dwell, rate = (Conduct.BY_DAY.index(name) for name in (Conduct.DWELL, Conduct.CLICK_RATE))
    # One in fourteen, though it has no click at all; of a robot its own third.
    assert np.exp(usual[rate]) == pytest.approx(1 / 14)
    assert np.exp(odd[rate]) == pytest.approx(171 / 339)
    assert usual[dwell] > 2.5
    assert odd[dwell] < 0.1
