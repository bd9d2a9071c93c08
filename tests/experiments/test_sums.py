"""Sums of an experiment: what the raw events say, by pandas, whichever way they were taken."""

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulated_worlds import roll_up_alone
from experiments.cells import Cells
from experiments.metrics import METRICS
from experiments.plan import ExperimentPlan
from experiments.sums import Request, Snapshot, Sums, purge_all
from experiments.sums.request import base_of
from experiments.sums.statements import Source
from telemetry.parts import EVENTS as DATASET
from telemetry.parts import PartLog
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import USER_DAY
from tests.telemetry.planted import START as FIRST
from tests.telemetry.planted import history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event, Trial
from workspace.errors import IntegrityError, InvalidValueError, NotEstimableError, StateError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

CLOCK = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
DAY = dt.timedelta(days=1)
START = FIRST + 4 * DAY
AS_OF = FIRST + 11 * DAY
ARMS = ("control", "treatment")
ALL = Request(
    experiment_id="exp",
    start=START,
    as_of=AS_OF,
    variants=ARMS,
    metrics=tuple(METRICS),
    pre_days=4,
    primaries=("ctr", "focus_s"),
)


def events() -> pd.DataFrame:
    """A history with some events late, some users in two arms, in a strange arm, in no arm, without any region."""
    frame = history(users=260, days=14, seed=3)
    users = frame.loc[frame[Event.EXPERIMENT].notna(), Event.USER].unique()
    inside = frame[Event.TS] >= pd.Timestamp(START)
    frame.loc[frame[Event.USER].isin(users[:4]) & inside & (frame[Event.TYPE] == "click"), Event.VARIANT] = "treatment"
    frame.loc[frame[Event.USER].isin(users[:4]) & inside & (frame[Event.POSITION] == 1), Event.VARIANT] = "control"
    frame.loc[frame[Event.USER].isin(users[4:7]), Event.VARIANT] = "canary"
    frame.loc[frame[Event.USER].isin(users[7:12]), Event.VARIANT] = None
    # An arm is known from the other events of the user.
    frame.loc[frame[Event.USER].isin(users[12:20]) & (frame[Event.TYPE] == "focus"), Event.VARIANT] = None
    frame.loc[frame[Event.TYPE] == "survey", Event.RECEIVED_AT] += pd.Timedelta("25h")
    return frame


FRAME = events()


class World:
    def __init__(self, home: Paths, frame: pd.DataFrame, *, rolled: bool = True) -> None:
        self.paths = home
        self.parts = PartLog(Store.open(Settings(home=home.home)), home, CLOCK)
        self.warehouse = EmbeddedWarehouse(self.parts, 256)
        lay(self.parts, frame)
        if rolled:
            self.roll_up()
        self.sums = self.fresh()

    def roll_up(self) -> None:
        roll_up_alone(self.parts, self.warehouse, USER_DAY)  # sums are read from no other rollup

    def fresh(self, rotations: tuple[dt.date, ...] = ()) -> Sums:
        return Sums(self.warehouse, self.parts, self.paths, clock=CLOCK, rotations=rotations)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(Paths(tmp_path_factory.mktemp("sums") / "home").ensure(), FRAME)


@pytest.fixture(scope="module")
def snapshot(world: World) -> Snapshot:
    return world.sums.snapshot(ALL)


def sums_of_users(rows: pd.DataFrame) -> pd.DataFrame:
    """Every sum of each user, by pandas from raw events."""
    kind, value, first = rows[Event.TYPE], rows[Event.VALUE], rows[Event.POSITION] <= 5
    day = rows[Event.TS].dt.date
    flags = {
        "clicks": kind == "click",
        "impressions": kind == "impression",
        "interactions": kind != "impression",
        "thumbs_down": kind == "thumbs_down",
        "refreshes": kind == "refresh",
        "surveys": kind == "survey",
        "positive_surveys": (kind == "survey") & (value >= 4),
        "long_looks": (kind == "focus") & (value >= 10) & first,
        "top_impressions": (kind == "impression") & first,
        "focus_s": value.where(kind == "focus", 0.0),
        "survey_score": value.where(kind == "survey", 0.0),
    }
    out = pd.DataFrame({name: flag.astype(float).groupby(rows[Event.USER]).sum() for name, flag in flags.items()})
    days = pd.DataFrame({"user": rows[Event.USER], "day": day, "session": rows[Event.SESSION]})
    out["active_days"] = days[["user", "day"]].drop_duplicates().groupby("user").size()
    out["sessions"] = days.drop_duplicates().groupby("user").size()
    return out.astype(float)


def judged_users(start: dt.date = START, as_of: dt.date = AS_OF) -> pd.DataFrame:
    """Users of one known arm with every column of the request, by pandas from raw events."""
    within = (FRAME[Event.TS] >= pd.Timestamp(start)) & (FRAME[Event.TS] < pd.Timestamp(as_of + DAY))
    rows = FRAME[within & (FRAME[Event.EXPERIMENT] == "exp")]
    users = rows.groupby(Event.USER)
    arms = users[Event.VARIANT].agg(lambda names: tuple(sorted(names.dropna().unique())))
    first_day = users[Event.TS].min().dt.date
    on_first = rows[rows[Event.TS].dt.date == rows[Event.USER].map(first_day)]
    found = sums_of_users(rows)
    before = FRAME[(FRAME[Event.TS] >= pd.Timestamp(start - 4 * DAY)) & (FRAME[Event.TS] < pd.Timestamp(start))]
    pre = sums_of_users(before).reindex(found.index).fillna(0.0)
    for name in pre:
        found[f"pre_{name}"] = pre[name]
    for name in (Event.REGION, Event.DEVICE):
        found[name] = on_first.groupby(Event.USER)[name].min()
    found["arms"], found["first_day"], found["bucket"] = arms, first_day, found.index % 1_024
    kept = found[arms.isin([("control",), ("treatment",)])].copy()
    kept["variant"] = [names[0] for names in kept["arms"]]
    for name in ("focus_s", "pre_focus_s"):
        kept[f"{name}_capped"] = kept[name].clip(upper=float(np.quantile(kept[name], 0.99)))
    return kept


def assert_cells_of(cells: Cells, users: pd.DataFrame, by: list[str]) -> None:
    groups = list(users.groupby(by))
    folded = cells.fold(by)
    assert folded.keys.astype(str).to_numpy().tolist() == [[str(one) for one in key] for key, _ in groups]
    for at, (_, rows) in enumerate(groups):
        values = rows[list(cells.columns)].to_numpy(float)
        off = values - values.mean(axis=0)
        scale = np.maximum((off**2).sum(axis=0), 1e-12)
        assert folded.n[at] == len(rows)
        np.testing.assert_allclose(folded.means[at], values.mean(axis=0), rtol=1e-9, atol=1e-12)
        for place, (i, j) in enumerate(folded.pairs):
            expected = float(off[:, i] @ off[:, j])
            assert folded.comoments[at, place] == pytest.approx(
                expected, rel=1e-9, abs=1e-9 * np.sqrt(scale[i] * scale[j])
            )
        assert folded.third is not None
        assert (np.abs(folded.third[at] - (off**3).sum(axis=0)) <= 1e-9 * np.maximum(scale**1.5, 1.0)).all()


@pytest.mark.parametrize("by", [["variant", "region", "bucket"], ["variant", "region"], ["variant"]], ids=len)
def test_snapshot_is_what_the_raw_events_say(snapshot: Snapshot, by: list[str]) -> None:
    assert set(snapshot.cells.columns) == {
        name for one in METRICS.values() for name in one.needs(covariates=True).columns
    }
    assert_cells_of(snapshot.cells, judged_users(), by)


def test_snapshot_by_device_is_what_the_raw_events_say(snapshot: Snapshot) -> None:
    assert_cells_of(snapshot.by_device, judged_users(), ["variant", "device"])
    assert snapshot.users == judged_users().groupby("variant").size().to_dict()


@pytest.mark.parametrize("source", ["events", "user_day"])
def test_snapshot_without_buckets_is_what_the_raw_events_say(home: Paths, source: Source) -> None:
    found = World(home, FRAME).sums.snapshot(ALL, source=source, buckets=False)
    assert_cells_of(found.cells, judged_users(), ["variant", "region"])
    assert_cells_of(found.by_device, judged_users(), ["variant", "device"])


def test_snapshot_counts_who_was_left_out(snapshot: Snapshot) -> None:
    assert snapshot.left_out == {"multiple": 4, "no_variant": 5, "unknown_variant": 3}
    rows = FRAME[(FRAME[Event.EXPERIMENT] == "exp") & (FRAME[Event.TS] >= pd.Timestamp(START))]
    exposed = rows[rows[Event.TS] < pd.Timestamp(AS_OF + DAY)][Event.USER].nunique()
    assert snapshot.cells.users + sum(snapshot.left_out.values()) == exposed


def test_snapshot_caps_at_the_quantile_of_all_arms(snapshot: Snapshot) -> None:
    users = judged_users()
    assert snapshot.caps == pytest.approx({
        "focus_s_capped": np.quantile(users["focus_s"], 0.99),
        "pre_focus_s_capped": np.quantile(users["pre_focus_s"], 0.99),
    })  # fmt: skip
    capped, plain = (
        snapshot.cells.fold([]).totals[0, snapshot.cells.place(name)] for name in ("focus_s_capped", "focus_s")
    )
    assert capped < plain


def test_snapshot_tells_when_users_were_new(snapshot: Snapshot) -> None:
    expected = judged_users().groupby(["first_day", "variant", "region"]).size()
    found = snapshot.exposures.set_index(["event_date", "variant", "region"])["n"]
    assert found.to_dict() == expected.to_dict()


def test_events_and_rollups_agree(world: World, snapshot: Snapshot) -> None:
    direct = world.sums.snapshot(ALL, source="events")
    assert direct.digest != snapshot.digest
    assert (direct.left_out, direct.pending_dates) == (snapshot.left_out, ())
    assert direct.caps == pytest.approx(snapshot.caps, rel=1e-12)
    assert direct.cells.keys.equals(snapshot.cells.keys)
    np.testing.assert_allclose(direct.cells.means, snapshot.cells.means, rtol=1e-12)
    np.testing.assert_allclose(direct.cells.comoments, snapshot.cells.comoments, rtol=1e-9, atol=1e-9)
    pd.testing.assert_frame_equal(direct.exposures, snapshot.exposures)
    halves = [world.sums.halves(ALL, source=source) for source in ("events", "user_day")]
    np.testing.assert_allclose(halves[0].comoments, halves[1].comoments, rtol=1e-9, atol=1e-9)


def test_a_visit_of_thousands_of_events_is_counted_to_the_last(home: Paths) -> None:
    few = FRAME[FRAME[Event.USER] % 5 == 0]
    user = next(user for user in judged_users().index if user % 5 == 0)
    shown = few[(few[Event.USER] == user) & (few[Event.TS] >= pd.Timestamp(START)) & (few[Event.TYPE] == "impression")]
    robot = shown.head(1).loc[shown.index[:1].repeat(9_000)]
    robot = robot.assign(**{Event.ID: [f"robot-{number}" for number in range(9_000)]})
    world = World(home, pd.concat([few, robot], ignore_index=True))
    direct, rolled = (world.sums.snapshot(ALL, source=source) for source in ("events", "user_day"))
    impressions = direct.cells.place("impressions")
    assert direct.cells.fold([]).totals[0, impressions] == rolled.cells.fold([]).totals[0, impressions] > 9_000
    np.testing.assert_allclose(direct.cells.comoments, rolled.cells.comoments, rtol=1e-9, atol=1e-9)


def test_days_beyond_the_bits_of_a_number_are_counted_too(world: World) -> None:
    found = world.sums.snapshot(replace(ALL, as_of=START + 80 * DAY), source="events")
    rolled = world.sums.snapshot(replace(ALL, as_of=START + 80 * DAY))
    days = found.cells.place("active_days")
    assert found.cells.fold([]).totals[0, days] == rolled.cells.fold([]).totals[0, days] > 0


@pytest.mark.parametrize("source", ["events", "user_day"])
def test_snapshot_without_covariates_reads_no_days_before(world: World, source: Source) -> None:
    bare = Request(experiment_id="exp", start=START, as_of=AS_OF, variants=ARMS, metrics=("ctr",))
    found = world.sums.snapshot(bare, source=source)
    assert (found.pre_start, found.cells.columns) == (None, ("clicks", "impressions"))
    assert "pre_start" not in found.sql[0]
    users = judged_users()
    assert found.cells.fold([]).totals[0].tolist() == [users["clicks"].sum(), users["impressions"].sum()]


def test_snapshot_of_a_plan_has_what_stands_beside(world: World) -> None:
    plan = ExperimentPlan.model_validate({
        "experiment_id": "exp", "hypothesis": "Scores rise with genres.", "owner": "pm", "flag": "genres",
        "variants": [{"name": name, "weight": 1} for name in ARMS], "start": START,
        "metrics": [{"metric": "survey_score", "kind": "primary"}], "rule": {"pre_days": 3}})  # fmt: skip
    found = world.sums.snapshot(plan, AS_OF, buckets=False)
    assert found.pre_start == START - 3 * DAY
    assert {base_of(name) for name in found.cells.columns} == {"survey_score", "surveys", "active_days"}
    assert list(found.cells.keys) == ["variant", "region"]


def test_snapshot_is_kept_and_comes_back_bit_by_bit(world: World, snapshot: Snapshot) -> None:
    class Engine(EmbeddedWarehouse):
        def query(self, *_: Any, **__: Any) -> pd.DataFrame:
            raise AssertionError("asked again")

    again = Sums(Engine(world.parts, 64), world.parts, world.paths, clock=CLOCK).snapshot(ALL)
    assert again.cells.comoments.tobytes() == snapshot.cells.comoments.tobytes()
    assert again.cells.means.tobytes() == snapshot.cells.means.tobytes()
    assert again.cells.keys.to_numpy().tolist() == snapshot.cells.keys.to_numpy().tolist()
    assert (again.facts(), again.users) == (snapshot.facts(), snapshot.users)
    assert again.exposures.to_numpy().tolist() == snapshot.exposures.to_numpy().tolist()
    small = Sums(Engine(world.parts, 64), world.parts, world.paths, clock=CLOCK).snapshot(ALL, buckets=False)
    folded = snapshot.cells.fold(["variant", "region"])
    assert small.cells.comoments.tobytes() == folded.comoments.tobytes()


def test_small_names_where_an_arm_has_few_users(snapshot: Snapshot) -> None:
    users = judged_users()
    for name in ("region", "device"):
        counts = users.groupby([name, "variant"]).size()
        few = {place for (place, _), n in counts.items() if n < 15}
        assert snapshot.small(15)[name] == tuple(sorted(few))
    assert snapshot.small(1) == {"region": (), "device": ()}
    assert any(snapshot.small(15).values())


def test_halves_are_cut_by_the_days_since_exposure(world: World) -> None:
    found = world.sums.halves(ALL)
    users = judged_users()
    users = users[users["first_day"] <= AS_OF - 4 * DAY]
    rows = FRAME[(FRAME[Event.EXPERIMENT] == "exp") & FRAME[Event.USER].isin(users.index)]
    rows = rows[(rows[Event.TS] >= pd.Timestamp(START)) & (rows[Event.TS] < pd.Timestamp(AS_OF + DAY))]
    age = (rows[Event.TS].dt.normalize() - pd.to_datetime(rows[Event.USER].map(users["first_day"]))).dt.days
    for half, part in (("early_", rows[age < 4]), ("late_", rows[age >= 4])):
        sums = sums_of_users(part).reindex(users.index).fillna(0.0)
        for name in ("clicks", "impressions", "focus_s"):
            users[f"{half}{name}"] = sums[name]
        users[f"{half}focus_s_capped"] = sums["focus_s"].clip(upper=float(np.quantile(sums["focus_s"], 0.99)))
    assert len(users) < len(judged_users())
    assert {"early_clicks", "late_impressions", "early_focus_s_capped"} <= set(found.columns)
    assert_cells_of(found, users, ["variant", "region"])


def test_halves_of_one_day_are_not_estimable(world: World) -> None:
    with pytest.raises(NotEstimableError, match="one day has no halves"):
        world.sums.halves(ALL, START)


def test_by_age_is_of_the_users_active_in_each_stretch(world: World) -> None:
    found = world.sums.by_age(ALL)
    users = judged_users()
    rows = FRAME[(FRAME[Event.EXPERIMENT] == "exp") & FRAME[Event.USER].isin(users.index)]
    rows = rows[(rows[Event.TS] >= pd.Timestamp(START)) & (rows[Event.TS] < pd.Timestamp(AS_OF + DAY))]
    age = (rows[Event.TS].dt.normalize() - pd.to_datetime(rows[Event.USER].map(users["first_day"]))).dt.days
    shown = (rows[Event.TYPE] == "impression").groupby([rows[Event.USER].map(users["variant"]), age]).sum()
    active = rows.groupby([rows[Event.USER].map(users["variant"]), age])[Event.USER].nunique()
    keys = list(zip(found.keys["variant"], found.keys[Trial.AGE], strict=True))
    totals = dict(zip(keys, found.totals[:, found.place("impressions")], strict=True))
    assert totals == pytest.approx(shown.to_dict())
    assert dict(zip(keys, found.n, strict=True)) == active.to_dict()


def test_late_is_the_share_of_events_a_day_behind(world: World) -> None:
    within = (FRAME[Event.TS] >= pd.Timestamp(START)) & (FRAME[Event.TS] < pd.Timestamp(AS_OF + DAY))
    rows = FRAME[within & (FRAME[Event.EXPERIMENT] == "exp")]
    shares = (rows[Event.TYPE] == "survey").groupby(rows[Event.VARIANT]).mean()
    expected = {name: shares[name] for name in ARMS}
    assert world.sums.late(ALL) == pytest.approx(expected) == world.sums.late(ALL)


def test_snapshots_of_other_events_replace_the_stale_ones(home: Paths) -> None:
    world = World(home, FRAME[FRAME[Event.USER] % 3 == 0])
    before = world.sums.snapshot(ALL)
    folder = home.home / "experiments" / "exp" / "sums"
    kept = {path.name for path in folder.iterdir()}
    user = judged_users().query("variant == 'control'").index
    user = user[user % 3 == 0][0]
    late = FRAME[(FRAME[Event.USER] == user) & (FRAME[Event.TS] >= pd.Timestamp(START))].head(1)
    lay(world.parts, late.assign(**{Event.ID: "late", Event.TYPE: "click"}))
    waiting = world.sums.snapshot(ALL)
    # The rollup is still that of before, and says so.
    assert (waiting.digest, waiting.pending_dates) == (before.digest, (late[Event.TS].iloc[0].date(),))
    world.roll_up()
    after = world.sums.snapshot(ALL)
    assert after.pending_dates == ()
    clicks = after.cells.place("clicks")
    assert after.cells.fold([]).totals[0, clicks] == pytest.approx(before.cells.fold([]).totals[0, clicks] + 1)
    names = {path.name for path in folder.iterdir()}
    assert len(names) == len(kept) == 1
    assert names != kept
    purge_all(home)
    assert not folder.exists()


def test_days_not_rolled_up_are_named(home: Paths) -> None:
    world = World(home, FRAME[FRAME[Event.USER] % 5 == 0], rolled=False)
    with pytest.raises(NotEstimableError, match=r"'exp' has no users .* telemetry rollup"):
        world.sums.snapshot(ALL)
    assert world.sums.snapshot(ALL, source="events").cells.users > 0


def test_an_experiment_without_events_is_not_estimable(world: World) -> None:
    nobody = Request(experiment_id="exp_none", start=START, as_of=AS_OF, variants=ARMS, metrics=("ctr",))
    for ask in (world.sums.snapshot, world.sums.halves, world.sums.by_age):
        with pytest.raises(NotEstimableError, match="'exp_none' has no users"):
            ask(nobody)
    assert world.sums.late(nobody) == {}


def test_an_experiment_of_unknown_variants_says_whom_it_left_out(world: World) -> None:
    found = world.sums.snapshot(
        Request(experiment_id="exp", start=START, as_of=AS_OF, variants=("x", "y"), metrics=("focus_s",))
    )
    assert (len(found.cells), found.caps, found.users) == (0, {}, {})
    assert found.left_out["unknown_variant"] > 100
    assert found.small(10) == {"region": (), "device": ()}


def test_covariates_are_of_the_same_pseudonyms_only(world: World) -> None:
    rotated = world.fresh((START - 2 * DAY, START + 3 * DAY)).snapshot(ALL)
    assert rotated.pre_start == START - 2 * DAY
    assert [note for note in rotated.notes if "Covariates are of 2 days" in note]
    assert [note for note in rotated.notes if f"Pseudonyms changed on {START + 3 * DAY}" in note]
    at_start = world.fresh((START,)).snapshot(ALL)
    assert at_start.pre_start is None
    assert not any(name.startswith("pre_") for name in at_start.cells.columns)
    assert "There are no covariates" in at_start.notes[0]


def test_covariates_begin_where_telemetry_begins(world: World) -> None:
    found = world.sums.snapshot(replace(ALL, pre_days=30))
    assert found.pre_start == FIRST
    assert "telemetry begins" in found.notes[0]
    first = world.sums.snapshot(replace(ALL, start=FIRST, as_of=FIRST + DAY))
    assert first.pre_start is None


def test_kept_sums_that_are_damaged_are_named(home: Paths) -> None:
    world = World(home, FRAME[FRAME[Event.USER] % 5 == 0])
    world.sums.snapshot(ALL)
    for path in (home.home / "experiments").glob("*/sums/*/cells.parquet"):
        path.write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match="damaged"):
        world.sums.snapshot(ALL)


@pytest.mark.parametrize("change", [{"as_of": START - DAY}, {"variants": ()}, {"metrics": ()}])
def test_request_refuses_what_has_no_sums(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        replace(ALL, **change)


def test_an_id_that_is_no_plain_name_is_not_kept(world: World) -> None:
    with pytest.raises(StateError, match="plain name"):
        world.sums.snapshot(replace(ALL, experiment_id="../exp"))
    assert world.parts.parts(DATASET)
