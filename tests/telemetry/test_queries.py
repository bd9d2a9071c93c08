"""Answers: equal to a computation of their own from events, through the privacy policy, remembered."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqlalchemy import select

from telemetry.metrics import METRICS
from telemetry.parts import PartLog
from telemetry.privacy import AccessRow
from telemetry.queries import MetricQuestion, Purpose, Telemetry
from telemetry.rollups import roll_up
from telemetry.warehouse.cells import event_moments, name_of
from telemetry.warehouse.embedded import EmbeddedWarehouse
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event, Rollup
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

CLOCK = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
EVENTS = history(users=320, days=16, seed=11)
END = START + dt.timedelta(days=15)
ASKED: dict[str, Any] = {"purpose": Purpose.PRODUCT_ANALYTICS, "actor": "ann"}


class World:
    def __init__(self, home: Paths) -> None:
        self.settings = Settings(home=home.home)
        self.store = Store.open(self.settings)
        self.parts = PartLog(self.store, home, CLOCK)
        self.warehouse = EmbeddedWarehouse(self.parts, 256)
        self.telemetry = Telemetry(
            self.warehouse, self.parts, self.store, self.settings, CLOCK, rotations=[START + dt.timedelta(days=3)]
        )

    def answer(self, metric: str = "ctr", **options: Any) -> Any:
        question = MetricQuestion(**{"metric": metric, "start": START, "end": END, **options})
        return self.telemetry.answer(question, **ASKED)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(Paths(tmp_path_factory.mktemp("asked") / "home").ensure())
    lay(world.parts, EVENTS)
    roll_up(world.parts, world.warehouse, CLOCK)
    return world


def sums_by_user(events: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator of every user, by pandas."""
    kind, user = events[Event.TYPE], events[Event.USER]
    value = events[Event.VALUE].fillna(0)
    day = events[Event.TS].dt.date

    def count(flags: pd.Series) -> pd.Series:
        return flags.groupby(user).sum()

    shown = kind == "impression"
    slates = shown & (events[Event.POSITION] == 1)
    days = events.groupby(user)[Event.TS].agg(_days)
    sessions = events.assign(day=day).groupby(user)[Event.SESSION].nunique()
    parts = {
        "ctr": (count(kind == "click"), count(shown)),
        "focus_s": (count(value * (kind == "focus")), count(shown)),
        "thumbs_down_rate": (count(kind == "thumbs_down"), count(shown)),
        "refresh_rate": (count(kind == "refresh"), count(slates)),
        "survey_score": (count(value * (kind == "survey")), count(kind == "survey")),
        "survey_response_rate": (count(kind == "survey"), days),
        "sessions_per_day": (sessions, days),
    }
    x, y = (part.to_numpy(float) for part in parts[metric])
    contributing = (x != 0) | (y != 0)
    return x[contributing], y[contributing]


def _days(moments: pd.Series) -> int:
    return int(moments.dt.date.nunique())


def interval(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """The delta method written out from residuals."""
    value = x.sum() / y.sum()
    error = np.sqrt(((x - value * y) ** 2).sum() / (len(x) - 1) / len(x)) / y.mean()
    margin = stats.t.ppf(0.975, len(x) - 1) * error
    return value, value - margin, value + margin


@pytest.mark.parametrize("metric", [one.name for one in METRICS])
def test_answer_is_the_ratio_and_interval_by_user(world: World, metric: str) -> None:
    answer = world.answer(metric)
    x, y = sums_by_user(EVENTS, metric)
    row = answer.rows.iloc[0]
    assert answer.method == "users"
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx(interval(x, y), rel=1e-12)
    assert (row["n_users"], row["positives"]) == (len(x), (x > 0).sum())


def test_answer_by_variant_brings_the_experiment_and_matches_each_arm(world: World) -> None:
    rows = world.answer(by=("variant",)).rows.set_index(["experiment", "variant"])
    assert set(rows.index) == {("exp", "control"), ("exp", "treatment"), ("none", "none")}
    for variant, events in EVENTS.groupby(EVENTS[Event.VARIANT].fillna("none")):
        expected = interval(*sums_by_user(events, "ctr"))
        experiment = "none" if variant == "none" else "exp"
        assert tuple(rows.loc[(experiment, variant), ["value", "ci_low", "ci_high"]]) == pytest.approx(expected)


@pytest.mark.parametrize("grain", ["day", "week"])
def test_answer_over_time_is_each_period_alone(world: World, grain: str) -> None:
    answer = world.answer(grain=grain, by=("device",))
    assert answer.rows["period"].is_monotonic_increasing or answer.rows["device"].is_monotonic_increasing
    freq = "D" if grain == "day" else "W"
    period = EVENTS[Event.TS].dt.to_period(freq).dt.start_time
    shown = {(row.device, row.period): row for row in answer.rows.itertuples()}
    assert shown
    for (device, moment), row in shown.items():
        events = EVENTS[(EVENTS[Event.DEVICE] == device) & (period == moment)]
        assert (row.value, row.ci_low, row.ci_high) == pytest.approx(interval(*sums_by_user(events, "ctr")))


@pytest.mark.parametrize("metric", [one.name for one in METRICS])
def test_groups_of_users_give_the_same_value_and_nearly_the_same_interval(world: World, metric: str) -> None:
    users = world.answer(metric, by=("market",), exact=True).rows.set_index("market")
    groups = world.answer(metric, by=("market",), exact=False)
    assert groups.method == "buckets"
    rows = groups.rows.set_index("market")
    common = users.index.intersection(rows.index)
    assert len(common) > 0
    assert rows.loc[common, "value"].tolist() == pytest.approx(users.loc[common, "value"].tolist(), rel=1e-12)
    width, exact = (frame.loc[common, "ci_high"] - frame.loc[common, "ci_low"] for frame in (rows, users))
    assert (width / exact).to_numpy() == pytest.approx(np.ones(len(common)), abs=0.3)
    assert rows.loc[common, "n_users"].to_numpy() == pytest.approx(users.loc[common, "n_users"].to_numpy(), rel=0.15)
    assert any("random groups" in note for note in groups.notes)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 15), (0, 6), (1, 14), (3, 5), (6, 7), (7, 13), (0, 13)],
    ids=str,
)
def test_weeks_and_days_of_groups_cover_the_span_once(world: World, start: int, end: int) -> None:
    span = {"start": START + dt.timedelta(days=start), "end": START + dt.timedelta(days=end)}
    for options in ({}, {"by": ("region",)}, {"by": ("device", "region")}, {"grain": "week"}):
        users = world.answer("sessions_per_day", **span, **options, exact=True).rows
        groups = world.answer("sessions_per_day", **span, **options, exact=False).rows
        keys = [name for name in ("region", "device", "period") if name in users]
        both = users.merge(groups, on=keys) if keys else users.merge(groups, how="cross")
        assert len(both) > 0
        assert both["value_x"].tolist() == pytest.approx(both["value_y"].tolist(), rel=1e-12)


def test_blocks_of_weeks_cover_a_long_span_once(home: Paths) -> None:
    long = World(home)
    lay(long.parts, history(users=40, days=70))
    roll_up(long.parts, long.warehouse, CLOCK)
    assert long.warehouse.query("SELECT COUNT(DISTINCT block_start) AS n FROM BUCKET_BLOCK")["n"].iloc[0] == 3
    for first, last in ((0, 69), (3, 68), (14, 41)):
        span = {"start": START + dt.timedelta(days=first), "end": START + dt.timedelta(days=last)}
        for metric in ("sessions_per_day", "survey_score"):
            users, groups = (long.answer(metric, **span, exact=exact).rows.iloc[0] for exact in (True, False))
            assert groups["value"] == pytest.approx(users["value"], rel=1e-12)
            assert groups["n_users"] == pytest.approx(users["n_users"], abs=2)
    # Tiles of groups take each of the two spans apart as far as it goes.
    start = START + dt.timedelta(days=33)
    tiles = [long.telemetry.tiles(start, START + dt.timedelta(days=65), **ASKED)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("telemetry.queries.MOST_FOR_TILES", 0)
        tiles.append(long.telemetry.tiles(start, START + dt.timedelta(days=65), **ASKED))
    for exact, grouped in zip(*tiles, strict=True):
        assert grouped.value == pytest.approx(exact.value, rel=1e-12)
        assert grouped.change == pytest.approx(exact.change, rel=1e-12)


def test_hours_are_sums_of_their_events(world: World) -> None:
    rows = world.answer("sessions_per_day", grain="hour").rows
    hour = EVENTS[Event.TS].dt.floor("h")
    assert len(rows) > 20
    for row in rows.itertuples():
        events = EVENTS[hour == row.period]
        pairs = events.groupby([Event.USER, Event.DEVICE])[Event.SESSION].nunique()
        assert row.value == pytest.approx(pairs.sum() / len(pairs))


def test_a_filter_of_one_value_gives_the_row_of_the_table(world: World) -> None:
    table = world.answer(by=("region", "device")).rows
    one = world.answer(by=("device",), where={"region": "US"}).rows
    expected = table[table["region"] == "US"].drop(columns="region").reset_index(drop=True)
    pd.testing.assert_frame_equal(one, expected, check_dtype=False)


def test_a_filter_of_several_values_is_all_their_events(world: World) -> None:
    row = world.answer(where={"region": ["US", "CA"]}).rows.iloc[0]
    events = EVENTS[EVENTS[Event.REGION].isin(["US", "CA"])]
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx(interval(*sums_by_user(events, "ctr")))
    groups = world.answer(where={"region": ["US", "CA"]}, exact=False).rows.iloc[0]
    assert groups["value"] == pytest.approx(row["value"])


def test_a_filter_of_nothing_known_gives_no_rows(world: World) -> None:
    answer = world.answer(where={"region": "XX' OR 1 = 1 --"})
    assert (len(answer.rows), answer.suppressed) == (0, 0)


def test_filters_one_after_another_give_no_more_than_the_table(world: World) -> None:
    by = ("region", "variant")
    span = {"end": START + dt.timedelta(days=1)}
    table = world.answer(by=by, **span)
    assert table.suppressed > 0
    cells = []
    for region in ("US", "CA", "FR", "KZ"):
        for variant, experiment in (("control", "exp"), ("treatment", "exp"), ("none", "none")):
            where = {"region": region, "variant": variant, "experiment": experiment}
            cells += [(region, variant)] * len(world.answer(where=where, **span).rows)
    assert sorted(cells) == list(table.rows[["region", "variant"]].itertuples(index=False, name=None))


def test_a_filter_over_what_is_withheld_is_withheld(world: World) -> None:
    span = {"end": START}
    table = world.answer(by=("region",), **span)
    shown = set(table.rows["region"])
    assert "US" in shown
    gone = ({"US", "CA", "FR", "KZ"} - shown).pop()
    # The two together less the one that is published would be the one that is not.
    assert world.answer(where={"region": ("US", gone)}, **span).suppressed == 1


def test_no_row_is_about_fewer_than_k(world: World) -> None:
    answer = world.answer("thumbs_down_rate", by=("region", "device"), grain="day")
    assert answer.suppressed > 0
    assert (answer.rows["n_users"] >= 10).all()
    assert ((answer.rows["positives"] >= 10) | (answer.rows["positives"] == 0)).all()


def test_every_answer_is_remembered(world: World) -> None:
    answer = world.answer("refresh_rate", by=("device",))
    with world.store.reading() as session:
        row = session.scalars(select(AccessRow).order_by(AccessRow.seq.desc())).first()
        assert row is not None
        assert (row.actor, row.purpose, row.rows) == ("ann", "product analytics", len(answer.rows))
        assert row.question["metric"] == "refresh_rate"


def test_answer_says_what_is_out_of_date_and_where_keys_changed(world: World) -> None:
    late = EVENTS[EVENTS[Event.TS].dt.date == END].head(1).assign(**{Event.ID: "late"})
    lay(world.parts, late)
    answer = world.answer()
    assert answer.pending_dates == (END,)
    assert world.answer(end=END - dt.timedelta(days=1)).pending_dates == ()
    assert any("2026-03-05" in note for note in answer.notes)
    assert world.answer(start=START + dt.timedelta(days=3)).notes == ()
    document = answer.to_dict()
    assert document["pending_dates"] == ["2026-03-17"]
    assert document["rows"][0].keys() == {"n_users", "value", "ci95"}
    assert world.answer(grain="day").to_dict()["rows"][0]["period"] == "2026-03-02"


def test_tiles_are_the_answers_beside_the_period_before(world: World) -> None:
    start, end = START + dt.timedelta(days=8), END - dt.timedelta(days=1)
    tiles = world.telemetry.tiles(start, end, **ASKED)
    assert [tile.metric.name for tile in tiles] == [one.name for one in METRICS]
    before = {"start": START + dt.timedelta(days=1), "end": start - dt.timedelta(days=1)}
    for tile in tiles:
        now = world.answer(tile.metric.name, start=start, end=end).rows.iloc[0]
        earlier = world.answer(tile.metric.name, **before).rows.iloc[0]
        assert tile.value == pytest.approx(now["value"])
        assert tile.ci == pytest.approx((now["ci_low"], now["ci_high"]))
        assert tile.change == pytest.approx(now["value"] / earlier["value"] - 1)
        assert tile.change_ci is not None
        assert tile.change_ci[0] < tile.change < tile.change_ci[1]
        assert tile.periods == tuple(start + dt.timedelta(days=number) for number in range(7))
        daily = world.answer(tile.metric.name, start=start, end=end, grain="day").rows
        assert [value for value in tile.spark if value is not None] == pytest.approx(daily["value"].tolist())


def test_tiles_withhold_and_have_no_change_without_a_period_before(world: World) -> None:
    first = world.telemetry.tiles(START, START + dt.timedelta(days=6), **ASKED)
    assert all(tile.change is None for tile in first)
    assert first[0].value is not None
    nobody = world.telemetry.tiles(START, END, {"region": "XX"}, **ASKED)
    assert all(tile.value is None and tile.spark == () for tile in nobody)


def test_active_counts_users_and_sessions(world: World) -> None:
    rows, suppressed = world.telemetry.active(START, END, "day", ("region",), **ASKED)
    expected = EVENTS.groupby([EVENTS[Event.TS].dt.date, Event.REGION])[Event.USER].nunique()
    for row in rows.itertuples():
        assert row.n_users == expected[row.period.date(), row.region] >= 10
    assert len(rows) + suppressed == len(expected)
    weekly, _ = world.telemetry.active(START, END, "week", ("variant",), **ASKED)
    assert set(weekly["variant"]) == {"control", "treatment", "none"}
    assert list(weekly.columns) == ["period", "experiment", "variant", "n_users", "sessions"]
    with pytest.raises(InvalidValueError, match="device"):
        world.telemetry.active(START, END, "day", ("device", "region"), **ASKED)


def test_survey_stands_beside_engagement(world: World) -> None:
    found = world.telemetry.survey_beside_engagement(START, END, grain="day", **ASKED)
    rows = found.rows.dropna()
    assert found.correlation is not None
    expected = stats.pearsonr(rows["survey_score_value"], rows["ctr_value"]).statistic
    assert found.correlation.value == pytest.approx(expected)
    weekly = world.telemetry.survey_beside_engagement(START, END, **ASKED)
    assert weekly.correlation is None
    assert len(weekly.rows) == 3


def test_dimensions_are_those_of_the_span(world: World) -> None:
    found = world.telemetry.dimensions(START, END)
    assert found["region"] == ["CA", "FR", "KZ", "US"]
    assert found["variant"] == ["control", "none", "treatment"]
    assert found["index_version"] == ["v1", "v2"]


def test_users_in_segment_and_their_events_are_individual(world: World) -> None:
    question = MetricQuestion(metric="ctr", start=START, end=END, where={"device": "ios"})
    users = world.telemetry.users_in_segment(question, 7)
    events = EVENTS[EVENTS[Event.DEVICE] == "ios"]
    clicks = events[events[Event.TYPE] == "click"].groupby(Event.USER).size().sort_values(ascending=False)
    assert users["clicks"].tolist() == clicks.head(7).tolist()
    user = int(users[Event.USER].iloc[0])
    mine = world.telemetry.events_of(user=user, start=START, end=END)
    assert sorted(mine[Event.ID]) == sorted(EVENTS[EVENTS[Event.USER] == user][Event.ID])
    slate = str(mine[Event.SLATE].iloc[0])
    assert set(world.telemetry.events_of(slate_id=slate, start=START, end=END)[Event.SLATE]) == {slate}
    with pytest.raises(InvalidValueError, match="2 of"):
        world.telemetry.events_of(user=user, slate_id=slate, start=START, end=END)


def test_events_alone_give_the_same_moments(world: World) -> None:
    metrics = METRICS[:5]
    around = {"start": START, "end": END}
    frame = world.warehouse.query(event_moments(metrics), parameters=around)
    for one in metrics:
        x, y = sums_by_user(EVENTS[EVENTS[Event.TS] < pd.Timestamp(END)], one.name)
        total = frame.iloc[0]
        assert total[name_of("contributing", one.name)] == len(x)
        assert total[name_of("mean", one.numerator)] * total["units"] == pytest.approx(x.sum())
        assert total[name_of("mean", one.denominator)] * total["units"] == pytest.approx(y.sum())


def test_span_is_the_last_days_with_data(world: World, home: Paths) -> None:
    assert world.telemetry.span() == (START, END)
    assert world.telemetry.span(7) == (END - dt.timedelta(days=6), END)
    with pytest.raises(StateError, match="rolled up"):
        World(home).telemetry.span()


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"metric": "joy"}, UnknownError, "joy"),
        ({"by": ("mood",)}, UnknownError, "mood"),
        ({"where": {"mood": "good"}}, UnknownError, "mood"),
        ({"end": START - dt.timedelta(days=1)}, InvalidValueError, "start"),
        ({"grain": "minute"}, InvalidValueError, "grain"),
        ({"grain": "hour", "by": ("variant",)}, InvalidValueError, "hour"),
    ],
)
def test_questions_that_make_no_sense_are_refused(options: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        MetricQuestion(**{"metric": "ctr", "start": START, "end": END, **options})


def test_the_users_column_is_the_one_of_rollups() -> None:
    assert Rollup.USERS == "n_users"
