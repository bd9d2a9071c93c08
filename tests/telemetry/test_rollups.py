# ruff: noqa: S608 - statements of the tests themselves
"""Rollups: equal to a computation of their own from events, only what changed, whole after a crash."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from telemetry.parts import PartLog
from telemetry.rollups import pending, roll_up
from telemetry.rollups.keeping import monday_of
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import CUTS, DIMENSION_COLUMNS, FINE_BUCKETS, ROLLUPS
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event, Rollup
from workspace.errors import IntegrityError, StateError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

CLOCK = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
MARKETS = {"US": "north_america", "CA": "north_america", "FR": "western_europe", "KZ": "central_asia"}
EVENTS = history(users=120, days=9)
DAYS = sorted(set(EVENTS[Event.TS].dt.date))


class World:
    """A workspace with events, and its warehouse."""

    def __init__(self, home: Paths) -> None:
        self.store = Store.open(Settings(home=home.home))
        self.parts = PartLog(self.store, home, CLOCK)
        self.warehouse = EmbeddedWarehouse(self.parts, 256)

    def roll_up(self, **options: Any) -> Any:
        return roll_up(self.parts, self.warehouse, CLOCK, **options)

    def query(self, sql: str) -> pd.DataFrame:
        return self.warehouse.query(sql)


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(Paths(tmp_path_factory.mktemp("rolled") / "home").ensure())
    lay(world.parts, EVENTS)
    world.roll_up()
    return world


@pytest.fixture
def world(home: Paths) -> World:
    world = World(home)
    lay(world.parts, EVENTS[EVENTS[Event.TS] < pd.Timestamp("2026-03-06")])
    return world


def sums(events: pd.DataFrame) -> dict[str, float]:
    """Sums of any events, by pandas."""
    kinds = events[Event.TYPE].value_counts()
    value = events.groupby(Event.TYPE)[Event.VALUE].sum()
    shown = events[Event.TYPE] == "impression"
    return {
        Rollup.EVENTS: len(events),
        Rollup.IMPRESSIONS: kinds.get("impression", 0),
        Rollup.SLATES: int((shown & (events[Event.POSITION] == 1)).sum()),
        Rollup.CLICKS: kinds.get("click", 0),
        Rollup.FOCUSES: kinds.get("focus", 0),
        Rollup.FOCUS_S: value.get("focus", 0.0),
        Rollup.THUMBS_DOWN: kinds.get("thumbs_down", 0),
        Rollup.REFRESHES: kinds.get("refresh", 0),
        Rollup.SURVEYS: kinds.get("survey", 0),
        Rollup.SURVEY_SCORE: value.get("survey", 0.0),
        Rollup.SESSIONS: events[[Event.USER, Event.SESSION]].drop_duplicates().shape[0],
    }


def test_user_day_adds_up_to_the_events_of_every_day(rolled: World) -> None:
    found = rolled.query("SELECT * FROM USER_DAY")
    assert set(found[Rollup.MARKET]) == set(MARKETS.values())
    for day, events in EVENTS.groupby(EVENTS[Event.TS].dt.date):
        rows = found[found[Rollup.DATE].dt.date == day]
        expected = {**sums(events), Rollup.USERS: events[Event.USER].nunique()}
        assert rows[list(expected)].sum().to_dict() == pytest.approx(expected)
    assert (found[Rollup.BUCKET] == found[Event.USER] % 1_024).all()


def test_user_day_counts_what_only_experiments_ask_for(rolled: World) -> None:
    found = rolled.query("SELECT * FROM USER_DAY")
    first = EVENTS[Event.POSITION] <= 5
    expected = {
        Rollup.POSITIVE_SURVEYS: (EVENTS[Event.TYPE] == "survey") & (EVENTS[Event.VALUE] >= 4),
        Rollup.LONG_LOOKS: (EVENTS[Event.TYPE] == "focus") & (EVENTS[Event.VALUE] >= 10) & first,
        Rollup.TOP_IMPRESSIONS: (EVENTS[Event.TYPE] == "impression") & first,
    }
    for name, rows in expected.items():
        assert 0 < rows.sum() < len(EVENTS)
        totals = found.groupby(Event.USER)[name].sum()
        assert totals[totals > 0].to_dict() == EVENTS[rows].groupby(Event.USER).size().to_dict()


def test_film_day_is_what_each_film_was_shown_and_met_with(rolled: World) -> None:
    found = rolled.query("SELECT * FROM FILM_DAY")
    of_films = EVENTS[EVENTS[Event.FILM].notna()].assign(
        day=lambda rows: rows[Event.TS].dt.date, version=lambda rows: rows[Event.INDEX_VERSION].fillna("none")
    )
    kinds = {Rollup.IMPRESSIONS: "impression", Rollup.CLICKS: "click", Rollup.THUMBS_DOWN: "thumbs_down"}
    expected = of_films.groupby(["day", Event.FILM, "version"]).agg(
        **{name: (Event.TYPE, lambda types, kind=kind: int((types == kind).sum())) for name, kind in kinds.items()},
        **{Rollup.USERS: (Event.USER, "nunique")},
    )
    found["day"] = found[Rollup.DATE].dt.date
    indexed = found.set_index(["day", Event.FILM, Event.INDEX_VERSION])[list(expected.columns)].sort_index()
    assert len(indexed) == len(expected) > 0
    assert (indexed.to_numpy() == expected.sort_index().to_numpy()).all()


def test_user_day_leaves_a_look_without_a_place_out(world: World) -> None:
    kinds = ["focus", "focus", "focus", "focus", "impression", "survey", "survey"]
    one = EVENTS.iloc[:7].assign(
        **{Event.ID: list("abcdefg"), Event.USER: 7, Event.TYPE: kinds, Event.TS: pd.Timestamp("2026-03-02T10:00:00"),
           Event.POSITION: [None, 6, 5, 5, None, None, None], Event.VALUE: [20.0, 20.0, 10.0, 9.99, None, 4.0, 3.0]}
    )  # fmt: skip
    lay(world.parts, one)
    world.roll_up(dates=[START])
    rows = world.query("SELECT * FROM USER_DAY WHERE user_id = 7")
    assert rows[list(Rollup.OF_USERS)].sum().to_dict() == {
        Rollup.POSITIVE_SURVEYS: 1,
        Rollup.LONG_LOOKS: 1,
        Rollup.TOP_IMPRESSIONS: 0,
    }


def test_user_day_keeps_what_users_were_exposed_to(rolled: World) -> None:
    found = rolled.query("SELECT * FROM USER_DAY")
    keys = [Event.USER, Event.REGION, Event.DEVICE, Event.VARIANT, Event.INDEX_VERSION]
    events = EVENTS.assign(**{Event.VARIANT: EVENTS[Event.VARIANT].fillna("none")})
    expected = events.groupby([events[Event.TS].dt.date, *keys]).size()
    assert len(found) == len(expected)
    assert found.groupby([found[Rollup.DATE].dt.date, *keys])[Rollup.EVENTS].sum().tolist() == expected.tolist()


def test_user_day_counts_a_session_where_it_began(world: World) -> None:
    moment = pd.Timestamp("2026-03-02T10:00:00")
    one = EVENTS.iloc[[0, 1, 2]].assign(
        **{Event.ID: ["a", "b", "c"], Event.USER: 7, Event.SESSION: "s", Event.DEVICE: ["ios", "web", "web"],
           Event.TS: [moment, moment + pd.Timedelta("1min"), moment + pd.Timedelta("2min")]}
    )  # fmt: skip
    lay(world.parts, one)
    world.roll_up(dates=[START])
    rows = world.query("SELECT * FROM USER_DAY WHERE user_id = 7").set_index(Event.DEVICE)
    assert rows[Rollup.SESSIONS].to_dict() == {"ios": 1, "web": 0}
    assert rows[Rollup.USERS].to_dict() == {"ios": 1, "web": 0}


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: "+".join(cut.columns) or "all")
def test_bucket_day_and_week_are_sums_of_user_day(rolled: World, cut: Any) -> None:
    users = rolled.query("SELECT * FROM USER_DAY")
    keys = [Rollup.BUCKET, *cut.columns]
    users[Rollup.BUCKET] %= cut.buckets
    names = [*Rollup.SUMS, Rollup.USERS]
    for table, moment in (("BUCKET_DAY", Rollup.DATE), ("BUCKET_WEEK", Rollup.WEEK)):
        found = rolled.query(f"SELECT * FROM {table} WHERE cut = {cut.number}")
        when = users[Rollup.DATE] if table == "BUCKET_DAY" else users[Rollup.DATE].dt.to_period("W").dt.start_time
        expected = users.groupby([when.rename(moment), *keys])[names].sum()
        pd.testing.assert_frame_equal(
            found.set_index([moment, *keys])[names].sort_index(), expected.sort_index(), check_dtype=False,
            check_index_type=False,
        )  # fmt: skip


def test_bucket_registers_are_the_longest_runs_of_zeros(rolled: World) -> None:
    found = rolled.query("SELECT * FROM BUCKET_WEEK WHERE cut = 0 AND week_start = CAST('2026-03-02' AS DATE)")
    users = EVENTS[EVENTS[Event.TS] < pd.Timestamp("2026-03-09")]
    for kind, some in (("user", users), ("survey", users[users[Event.TYPE] == "survey"])):
        expected: dict[tuple[int, int], int] = {}
        for user in some[Event.USER].unique().tolist():
            # By text: bits from the right, ten choose the bucket and two the register.
            bits = f"{user:063b}"
            place = int(bits[-10:], 2), int(bits[-12:-10], 2)
            run = len(bits[:-12]) - len(bits[:-12].rstrip("0")) + 1
            expected[place] = max(expected.get(place, 0), run)
        names = [f"{kind}_register_{number}" for number in range(4)]
        melted = found.melt(id_vars=[Rollup.BUCKET], value_vars=names).query("value > 0")
        got = {(row.bucket, names.index(row.variable)): row.value for row in melted.itertuples()}
        assert got == expected


def test_active_counts_users_once(rolled: World) -> None:
    active = rolled.query("SELECT * FROM ACTIVE_WEEK")
    week = EVENTS[EVENTS[Event.TS] < pd.Timestamp("2026-03-09")]
    first = active[active[Rollup.WEEK] == pd.Timestamp("2026-03-02")]
    assert first[first["cut"] == 0][Rollup.USERS].tolist() == [week[Event.USER].nunique()]
    by_market = first[first["cut"] == 7].set_index(Rollup.MARKET)[Rollup.USERS].to_dict()
    assert by_market == week.groupby(week[Event.REGION].map(MARKETS))[Event.USER].nunique().to_dict()
    by_device = first[first["cut"] == 2].set_index(Event.DEVICE)[Rollup.USERS].to_dict()
    assert by_device == week.groupby(Event.DEVICE)[Event.USER].nunique().to_dict()


def test_hours_add_up_and_count_users_once_an_hour(rolled: World) -> None:
    found = rolled.query("SELECT event_hour, SUM(clicks) AS clicks, SUM(n_users) AS n FROM HOUR_ROLLUP GROUP BY 1")
    hour = EVENTS[Event.TS].dt.floor("h")
    clicks = (EVENTS[Event.TYPE] == "click").groupby(hour).sum()
    users = EVENTS.groupby([hour, Event.DEVICE])[Event.USER].nunique().groupby(level=0).sum()
    found = found.set_index(Rollup.HOUR).sort_index()
    assert found["clicks"].tolist() == clicks.tolist()
    assert found["n"].tolist() == users.tolist()


def test_roll_up_computes_only_the_days_that_changed(world: World) -> None:
    assert pending(world.parts) == DAYS[:4]
    first = world.roll_up()
    assert first.dates == tuple(DAYS[:4])
    assert first.weeks == (START,)
    assert world.roll_up().dates == ()
    late = EVENTS[EVENTS[Event.TS].dt.date == DAYS[1]].head(3).assign(**{Event.ID: ["x", "y", "z"]})
    lay(world.parts, late)
    assert pending(world.parts, world.warehouse) == [DAYS[1]]
    kept = {part.part_id for part in world.parts.parts("user_day") if part.date != DAYS[1]}
    report = world.roll_up()
    assert report.dates == (DAYS[1],)
    assert kept < {part.part_id for part in world.parts.parts("user_day")}
    total = world.query("SELECT SUM(events) AS n FROM BUCKET_WEEK WHERE cut = 0")["n"].iloc[0]
    assert total == world.query("SELECT COUNT(*) AS n FROM EVENTS")["n"].iloc[0]


def test_roll_up_starts_anew_when_its_statements_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.roll_up()
    monkeypatch.setattr("telemetry.rollups.keeping.VERSION", 99)
    assert pending(world.parts) == DAYS[:4]


def test_days_in_a_row_are_rolled_up_as_if_each_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = f"SELECT * FROM BUCKET_DAY ORDER BY event_date, cut, bucket, {', '.join(DIMENSION_COLUMNS)}"
    world.roll_up()
    together = world.query(sql)
    monkeypatch.setattr("telemetry.rollups.keeping.MOST_EVENTS", 0)
    world.roll_up(dates=DAYS[:4])
    pd.testing.assert_frame_equal(world.query(sql), together, rtol=1e-12)


def test_rollups_of_an_earlier_version_are_named_until_they_are_made_anew(world: World) -> None:
    world.roll_up()
    for part in world.parts.parts("user_day"):
        old = pq.read_table(part.path, partitioning=None).drop_columns(list(Rollup.OF_USERS))
        pq.write_table(old, part.path)
    with pytest.raises(StateError, match="earlier version"):
        world.query("SELECT COUNT(*) AS n FROM USER_DAY")
    world.roll_up(dates=DAYS[:4])
    assert world.query("SELECT SUM(top_impressions) AS n FROM USER_DAY")["n"].iloc[0] > 0


def test_roll_up_drops_the_days_whose_events_are_gone(world: World) -> None:
    world.roll_up()
    world.parts.commit(retired=[part.part_id for part in world.parts.parts("events")])
    report = world.roll_up()
    assert (report.dates, report.dropped) == ((), tuple(DAYS[:4]))
    assert [world.parts.parts(table.dataset) for table in ROLLUPS] == [[]] * len(ROLLUPS)
    assert len(world.query("SELECT * FROM USER_DAY")) == 0


def test_roll_up_gives_the_same_rows_again(world: World) -> None:
    def rows() -> dict[tuple[str, dt.date], pd.DataFrame]:
        parts = (part for table in ROLLUPS[:3] for part in world.parts.parts(table.dataset))
        return {(part.dataset, part.date): pq.read_table(part.path).to_pandas() for part in parts}

    world.roll_up()
    before = rows()
    world.roll_up(dates=DAYS[:4])
    after = rows()
    assert before.keys() == after.keys()
    for key, frame in before.items():
        # Two threads add seconds up in either order.
        pd.testing.assert_frame_equal(after[key], frame, rtol=1e-12)


def test_roll_up_that_is_killed_shows_the_state_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.roll_up()
    before = [part.part_id for table in ROLLUPS for part in world.parts.parts(table.dataset)]
    lay(world.parts, EVENTS[EVENTS[Event.TS].dt.date == DAYS[2]].head(1).assign(**{Event.ID: "x"}))

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(world.parts, "commit", killed)
        with pytest.raises(Killed):
            world.roll_up()
    assert [part.part_id for table in ROLLUPS for part in world.parts.parts(table.dataset)] == before
    assert pending(world.parts) == [DAYS[2]]
    world.roll_up()
    assert pending(world.parts) == []


def test_roll_up_names_a_part_that_is_damaged(world: World) -> None:
    broken = world.parts.parts("events")[2].path
    broken.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(IntegrityError, match=broken.name):
        world.roll_up()
    assert world.parts.parts("user_day") == []
    broken.unlink()
    with pytest.raises(IntegrityError, match=broken.name):
        world.roll_up()
    assert not list(Path(world.parts.folder).glob("user_day/*/.*.tmp"))


def test_roll_up_tells_its_progress(world: World) -> None:
    told: list[tuple[str, int, int]] = []
    world.roll_up(progress=lambda *state: told.append(state))
    assert told == [("rollup", 4, 4)]


def test_monday_of_every_day_is_a_monday() -> None:
    days = [dt.date(2025, 12, 22) + dt.timedelta(days=number) for number in range(20)]
    assert {monday_of(day).isoweekday() for day in days} == {1}
    assert all(0 <= (day - monday_of(day)).days < 7 for day in days)


def test_the_fine_cut_nests_in_the_buckets() -> None:
    ids = np.random.default_rng(1).integers(0, 2**62, 1_000)
    assert ((ids % 1_024) % FINE_BUCKETS == ids % FINE_BUCKETS).all()
