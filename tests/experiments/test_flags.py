"""Flags: right after a switch by somebody else, sticky before it, and named when unknown."""

import datetime as dt
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from experiments.flags import Flags
from experiments.registry import Registry
from tests.experiments.plans import NOON, SALT, TODAY, new_store, plan, variants
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

FLAG = "exp_1.flag"
IDS = [f"u{number}" for number in range(240)]
VERSIONED = [
    {"name": "control", "weight": 1, "index_version": "v1"},
    {"name": "treatment", "weight": 1, "index_version": "v2"},
]


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with new_store(home) as opened:
        yield opened


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOON)


@pytest.fixture
def registry(store: Store, clock: FrozenClock) -> Registry:
    return Registry(store, clock=clock)


@pytest.fixture
def flags(store: Store, clock: FrozenClock) -> Flags:
    return Flags(store, clock)


@pytest.fixture
def running(registry: Registry) -> Registry:
    registry.create(plan(variants=VERSIONED, default_allocation=0.5, allocation={"NO": 0}, salt=SALT), "pm")
    registry.launch("exp_1", "pm")
    return registry


def test_lookup_names_variant_experiment_and_version(running: Registry, flags: Flags) -> None:
    found = [flags.lookup(FLAG, user, "SE") for user in IDS]
    assert {(one.variant, one.experiment_id, one.index_version) for one in found} == {
        ("control", "exp_1", "v1"),
        ("treatment", "exp_1", "v2"),
        (None, None, "v1"),
    }
    inside = next(one for one in found if one.variant == "treatment")
    assert inside.trial == {"experiment_id": "exp_1", "variant": "treatment"}
    assert inside.reason == "assigned to treatment by exp_1, running"
    outside = next(one for one in found if one.variant is None)
    assert outside.trial == {}
    assert outside.reason == "not among the users of exp_1"
    away = flags.lookup(FLAG, "u1", "NO")
    assert (away.variant, away.reason) == (None, "region NO takes no part in exp_1")
    assert json.loads(json.dumps(inside.to_dict()))["index_version"] == "v2"
    assert running.get("exp_1").live


@pytest.mark.parametrize("form", [list, pd.Series, pa.array])
def test_lookup_all_is_lookup_of_each(running: Registry, flags: Flags, form: type) -> None:
    assert running.get("exp_1").share == 0.5
    regions = ["SE", "NO"] * (len(IDS) // 2)
    table = flags.lookup_all(FLAG, form(IDS), form(regions))
    assert list(table.columns) == ["user_id", "experiment_id", "variant", "index_version"]
    for row, user, region in zip(table.itertuples(index=False), IDS, regions, strict=True):
        one = flags.lookup(FLAG, user, region)
        assert tuple(row) == (user, one.experiment_id, one.variant, one.index_version)


def test_lookup_all_of_a_forced_flag_is_in_no_experiment(running: Registry, flags: Flags) -> None:
    running.stop("exp_1", "pm", "harm", roll_back=True)
    table = flags.lookup_all(FLAG, IDS[:3], "SE")
    assert table[["experiment_id", "variant", "index_version"]].to_numpy().tolist() == [[None, "control", "v1"]] * 3


def test_a_switch_by_somebody_else_counts_at_once(running: Registry, flags: Flags, home: Paths) -> None:
    assert Counter(flags.lookup(FLAG, user, "SE").variant for user in IDS)["treatment"] > 0
    other = Store.open(Settings(home=home.home))
    Registry(other, clock=FrozenClock(NOON)).stop("exp_1", "robot", "clicks are harmed", roll_back=True)
    other.close()
    found = {flags.lookup(FLAG, user, region) for user in IDS[:60] for region in ("SE", "NO")}
    assert len(found) == 1
    everyone = found.pop()
    assert (everyone.variant, everyone.experiment_id, everyone.index_version) == ("control", None, "v1")
    assert everyone.reason == "everyone is served control: clicks are harmed"
    assert running.get("exp_1").rolled_back


def test_a_ramp_by_somebody_else_counts_at_once(registry: Registry, flags: Flags, home: Paths) -> None:
    registry.create(plan(), "pm")
    registry.launch("exp_1", "pm", canary=True)
    before = {user: flags.lookup(FLAG, user, "SE").variant for user in IDS}
    other = Store.open(Settings(home=home.home))
    Registry(other, clock=FrozenClock(NOON)).ramp("exp_1", 0.5, "robot")
    other.close()
    after = {user: flags.lookup(FLAG, user, "SE") for user in IDS}
    assert all(after[user].variant == variant for user, variant in before.items() if variant is not None)
    assert 80 < sum(one.variant is not None for one in after.values()) < 160
    assert any(one.reason.endswith("a canary at 50%") for one in after.values())


def test_a_stopped_experiment_serves_the_version_of_control(running: Registry, flags: Flags) -> None:
    running.stop("exp_1", "pm", "planned end")
    served = flags.lookup(FLAG, "u1", "SE")
    assert (served.variant, served.experiment_id, served.index_version) == (None, None, "v1")
    assert served.reason == "exp_1 is stopped"


@pytest.mark.parametrize(
    ("decision", "variant", "version"),
    [("Ship", "treatment", "v2"), ("Roll back", "control", "v1"), ("Can't tell", None, "v1")],
)
def test_a_decision_serves_what_was_decided(
    running: Registry, flags: Flags, decision: str, variant: str | None, version: str
) -> None:
    running.stop("exp_1", "pm", "planned end")
    running.decide("exp_1", decision, "as the rule says", "pm")
    for user in IDS[:20]:
        served = flags.lookup(FLAG, user, "NO")
        assert (served.variant, served.experiment_id, served.index_version) == (variant, None, version)


def test_a_late_decision_leaves_the_flag_to_whoever_has_it_now(running: Registry, flags: Flags) -> None:
    running.stop("exp_1", "pm", "planned end")
    running.create(plan("exp_2", flag=FLAG), "pm")
    running.launch("exp_2", "pm")
    running.decide("exp_1", "Ship", "late", "pm")
    assert flags.state(FLAG).experiment_id == "exp_2"
    assert flags.state(FLAG).forced is None
    assert running.history("exp_1")[-1].details["flag"] == {"flag": FLAG, "left_to": "exp_2"}


def test_a_new_launch_takes_a_forced_flag_over(running: Registry, flags: Flags) -> None:
    running.stop("exp_1", "pm", "harm", roll_back=True)
    running.create(plan("exp_2", flag=FLAG, default_allocation=1.0), "pm")
    running.launch("exp_2", "pm")
    assert {flags.lookup(FLAG, user, "SE").experiment_id for user in IDS[:20]} == {"exp_2"}


def test_a_draft_serves_nobody_and_a_launch_waits_for_its_first_day(
    registry: Registry, flags: Flags, clock: FrozenClock
) -> None:
    start = TODAY + dt.timedelta(days=2)
    registry.create(plan(default_allocation=1.0, start=start.isoformat()), "pm")
    assert flags.lookup(FLAG, "u1", "SE").reason == "no experiment was launched on it"
    registry.launch("exp_1", "pm")
    assert flags.lookup(FLAG, "u1", "SE").reason == "exp_1 starts on 2026-03-04"
    assert flags.lookup_all(FLAG, ["u1"], "SE")["experiment_id"].tolist() == [None]
    clock.advance(dt.timedelta(days=2))
    assert flags.lookup(FLAG, "u1", "SE").experiment_id == "exp_1"


def test_an_adopted_experiment_assigns_nobody_here(registry: Registry, flags: Flags) -> None:
    registry.adopt(plan(variants=VERSIONED), "running", "init", launched_at=NOON)
    served = flags.lookup(FLAG, "u1", "SE")
    assert (served.variant, served.experiment_id, served.index_version) == (None, None, "v1")
    assert served.reason == "the users of exp_1 are assigned elsewhere"


def test_the_holdout_is_told(registry: Registry, flags: Flags) -> None:
    registry.hold_out(0.5, "admin")
    registry.create(plan(default_allocation=1.0), "pm")
    registry.launch("exp_1", "pm")
    reasons = Counter(flags.lookup(FLAG, user, "SE").reason for user in IDS)
    assert 80 < reasons["held out of every experiment"] < 160


def test_unknown_flags_are_named_with_those_there_are(registry: Registry, flags: Flags) -> None:
    with pytest.raises(UnknownError, match="there are none"):
        flags.lookup("nothing", "u1", "SE")
    registry.create(plan(), "pm")
    registry.create(plan("exp_2"), "pm")
    for ask in (lambda: flags.lookup("nothing", "u1", "SE"), lambda: flags.force("nothing", "control", "pm", "r")):
        with pytest.raises(UnknownError, match=r"'nothing'.*the flags are exp_1\.flag, exp_2\.flag"):
            ask()


def test_force_and_free_by_hand(running: Registry, flags: Flags, store: Store) -> None:
    with pytest.raises(StateError, match="stop exp_1 first"):
        flags.force(FLAG, "control", "admin", "an incident")
    with pytest.raises(StateError, match="stop exp_1 first"):
        flags.free(FLAG, "admin", "over")
    running.stop("exp_1", "pm", "planned end")
    with pytest.raises(UnknownError, match="must be one of control, treatment"):
        flags.force(FLAG, "other", "admin", "an incident")
    forced = flags.force(FLAG, "treatment", "admin", "an incident")
    assert (forced.forced, forced.index_version) == ("treatment", "v2")
    assert flags.lookup(FLAG, "u1", "SE").variant == "treatment"
    flags.free(FLAG, "admin", "it is over")
    freed = flags.lookup(FLAG, "u1", "SE")
    assert (freed.variant, freed.index_version, freed.reason) == (None, None, "it is over")
    with pytest.raises(StateError, match="no experiment was launched"):
        flags.force(FLAG, "control", "admin", "again")
    rows = Ledger(store).entries()
    assert [(row.action, row.subject) for row in rows[:2]] == [("flag.free", FLAG), ("flag.force", FLAG)]
    assert Ledger(store).verify().ok
    assert [one.flag for one in flags.all()] == [FLAG]


def test_users_without_an_id_are_refused(running: Registry, flags: Flags) -> None:
    assert running.get("exp_1").live
    with pytest.raises(InvalidValueError, match="user_id == ''"):
        flags.lookup(FLAG, "", "SE")
    with pytest.raises(InvalidValueError, match="1 of 2 user ids are missing"):
        flags.lookup_all(FLAG, ["u1", None], "SE")


def test_weight_zero_serves_nobody(registry: Registry, flags: Flags) -> None:
    registry.create(plan(variants=variants(control=1, off=0), default_allocation=1.0), "pm")
    registry.launch("exp_1", "pm")
    assert {flags.lookup(FLAG, user, "SE").variant for user in IDS[:50]} == {"control"}


def test_a_lookup_takes_a_few_milliseconds_at_most(running: Registry, flags: Flags, home: Paths) -> None:
    assert Path(home.database).exists()
    assert running.get("exp_1").live
    times = []
    for user in IDS[:50]:
        begun = time.perf_counter()
        flags.lookup(FLAG, user, "SE")
        times.append(time.perf_counter() - begun)
    # Measured at 0.6 ms; ten times that still leaves a slate its budget.
    assert statistics.median(times) < 0.006
