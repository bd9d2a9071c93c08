"""The registry: forward only, frozen at launch, one writer wins, every change in the ledger."""

import datetime as dt
import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from experiments.layers import ELSEWHERE
from experiments.plan import State
from experiments.records import ExperimentRow, Record
from experiments.registry import Registry
from tests.experiments.plans import NOON, SALT, TODAY, new_store, plan, variants
from workspace.clock import FrozenClock
from workspace.errors import IntegrityError, InvalidValueError, RecommendrError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

VERSIONS = ("v1", "v2")


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with new_store(home) as opened:
        yield opened


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOON)


@pytest.fixture
def registry(store: Store, clock: FrozenClock) -> Registry:
    return Registry(store, clock=clock, known_versions=lambda: VERSIONS)


def actions(registry: Registry, experiment_id: str = "exp_1") -> list[str]:
    return [entry.action for entry in registry.history(experiment_id)]


def test_an_experiment_goes_forward_with_a_row_for_every_step(
    registry: Registry, store: Store, clock: FrozenClock
) -> None:
    draft = registry.create(plan(), "pm")
    assert (draft.state, draft.ramp, draft.placement, draft.launched_at) == (State.DRAFT, (), None, None)
    registry.edit("exp_1", {"rule.alpha": 0.01}, "pm")
    canary = registry.launch("exp_1", "pm", canary=True)
    assert (canary.state, canary.launched_at, canary.ramp) == (State.CANARY, NOON, ((NOON, 0.01),))
    later = clock.advance(dt.timedelta(days=1))
    assert registry.ramp("exp_1", 0.05, "robot").ramp == ((NOON, 0.01), (later, 0.05))
    running = registry.launch("exp_1", "pm")
    assert (running.state, running.share) == (State.RUNNING, 0.1)
    assert running.launched_at == NOON
    stopped = registry.stop("exp_1", "pm", "planned end")
    assert (stopped.state, stopped.stopped_at, stopped.stop_reason) == (State.STOPPED, later, "planned end")
    decided = registry.decide("exp_1", "Ship", "It is better.", "pm", TODAY)
    assert (decided.state, decided.decision, decided.decided_as_of) == (State.DECIDED, "Ship", TODAY)
    assert registry.get("exp_1") == decided
    assert actions(registry) == [
        f"experiment.{act}" for act in ("create", "edit", "launch", "ramp", "launch", "stop", "decide")
    ]
    assert decided.revision == 7
    assert Ledger(store).verify().ok
    launch = registry.history("exp_1")[2]
    assert launch.details["digest"] == decided.digest == decided.plan.digest
    assert launch.details["salt"] == decided.plan.salt


def test_digest_is_the_hash_of_the_stored_plan(registry: Registry, store: Store) -> None:
    record = registry.create(plan(), "pm")
    with store.reading() as session:
        row = session.get(ExperimentRow, "exp_1")
        assert row is not None
        assert hashlib.sha256(row.plan.encode()).hexdigest() == record.digest
        assert json.loads(row.plan) == plan().to_dict()


def test_a_plan_changed_behind_the_registry_is_found(registry: Registry, store: Store) -> None:
    registry.create(plan(), "pm")
    registry.launch("exp_1", "pm")
    with store.session() as session:
        session.execute(update(ExperimentRow).values(plan=json.dumps(plan(owner="somebody else").to_dict())))
    with pytest.raises(IntegrityError, match="the plan of exp_1 is not what its digest says"):
        registry.get("exp_1")


@pytest.mark.parametrize(
    "changes",
    [
        {"hypothesis": "It was about something else."},
        {"rule.alpha": 0.2},
        {"metrics.1.margin_rel": 0.5},
        {"rule.primary_family": "bh"},
        {"variants.0.weight": 3},
        {"salt": "x", "start": "2027-01-01"},
        {"owner": "pm"},
    ],
)
def test_nothing_of_the_plan_changes_after_the_launch(registry: Registry, changes: dict[str, Any]) -> None:
    registry.create(plan(), "pm")
    record = registry.launch("exp_1", "pm")
    with pytest.raises(StateError) as refused:
        registry.edit("exp_1", changes, "pm")
    told = str(refused.value)
    assert all(field in told for field in changes)
    assert "it is running" in told
    assert "frozen at its launch on 2026-03-02" in told
    assert "stop it and launch a new experiment" in told
    assert registry.get("exp_1") == record
    assert len(registry.history("exp_1")) == 2


@pytest.mark.parametrize(
    ("steps", "state"), [(("canary",), "a canary"), (("launch", "stop"), "stopped"), (("canary", "stop"), "stopped")]
)
def test_a_plan_stays_frozen_for_ever(registry: Registry, steps: tuple[str, ...], state: str) -> None:
    registry.create(plan(), "pm")
    at(registry, *steps)
    with pytest.raises(StateError, match=f"owner of exp_1 can't be changed: it is {state}"):
        registry.edit("exp_1", {"owner": "me"}, "pm")


def at(registry: Registry, *steps: str) -> Record:
    does = {
        "canary": lambda: registry.launch("exp_1", "pm", canary=True),
        "launch": lambda: registry.launch("exp_1", "pm"),
        "ramp": lambda: registry.ramp("exp_1", 0.5, "pm"),
        "stop": lambda: registry.stop("exp_1", "pm", "enough"),
        "decide": lambda: registry.decide("exp_1", "Can't tell", "nothing found", "pm"),
    }
    record = registry.get("exp_1")
    for step in steps:
        record = does[step]()
    return record


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ((), "ramp"), ((), "stop"), ((), "decide"),
        (("canary",), "canary"), (("canary",), "decide"),
        (("launch",), "launch"), (("launch",), "canary"), (("launch",), "decide"),
        (("launch", "stop"), "launch"), (("launch", "stop"), "canary"), (("launch", "stop"), "ramp"),
        (("launch", "stop"), "stop"),
        (("launch", "stop", "decide"), "launch"), (("launch", "stop", "decide"), "stop"),
        (("launch", "stop", "decide"), "decide"),
    ],
)  # fmt: skip
def test_no_step_goes_back_or_leaps(registry: Registry, before: tuple[str, ...], step: str) -> None:
    registry.create(plan(), "pm")
    record = at(registry, *before)
    rows = actions(registry)
    with pytest.raises(StateError, match=r"exp_1 is .* and must be .* draft → canary → running → stopped → decided"):
        at(registry, step)
    assert registry.get("exp_1") == record
    assert actions(registry) == rows


def test_a_canary_may_be_stopped(registry: Registry) -> None:
    registry.create(plan(), "pm")
    assert at(registry, "canary", "stop").state is State.STOPPED


def test_edit_changes_a_draft_at_dotted_places(registry: Registry) -> None:
    registry.create(plan(), "pm")
    changes = {"rule.look_days": [5, 10], "variants.1.index_version": "v1", "allocation": {"SE": 0.5}, "flag": "other"}
    changed = registry.edit("exp_1", changes, "pm").plan
    assert changed.rule.look_days == (5, 10)
    assert changed.variants[1].index_version == "v1"
    assert changed.allocation == {"SE": 0.5}
    assert registry.history("exp_1")[-1].details["changes"] == changes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "no change is named"),
        ({"experiment_id": "exp_2"}, "experiment_id can't be changed"),
        ({"nonsense": 1}, "nonsense"),
        ({"rule.nonsense": 1}, "nonsense"),
        ({"nowhere.alpha": 1}, "nowhere.alpha is no field"),
        ({"variants.7.weight": 1}, "variants.7.weight is no field"),
        ({"variants.x": 1}, "variants.x is no field"),
        ({"owner.name": 1}, "owner.name is no field"),
        ({"rule.alpha": 7}, "rule.alpha == 7"),
        ({"variants.0.weight": float("nan")}, "weight"),
        ({"metrics": []}, "metrics"),
    ],
)
def test_edit_names_what_can_not_be(registry: Registry, changes: dict[str, Any], told: str) -> None:
    before = registry.create(plan(), "pm")
    with pytest.raises(InvalidValueError) as refused:
        registry.edit("exp_1", changes, "pm")
    assert told in str(refused.value)
    assert registry.get("exp_1") == before


def test_launch_draws_a_salt_and_keeps_a_given_one(registry: Registry) -> None:
    registry.create(plan(), "pm")
    registry.create(plan("exp_2", salt=SALT, layer="other"), "pm")
    drawn, kept = registry.launch("exp_1", "pm").plan.salt, registry.launch("exp_2", "pm").plan.salt
    assert len(bytes.fromhex(drawn)) == 16
    assert kept == SALT


def test_launch_refuses_a_salt_somebody_has(registry: Registry) -> None:
    registry.create(plan(salt=SALT), "pm")
    registry.create(plan("exp_2", salt=SALT, layer="other"), "pm")
    registry.launch("exp_1", "pm")
    with pytest.raises(InvalidValueError, match="exp_1 has it"):
        registry.launch("exp_2", "pm")


def test_launch_refuses_an_unknown_index_version(registry: Registry) -> None:
    registry.create(plan(variants=[*variants(control=1), {"name": "new", "weight": 1, "index_version": "v9"}]), "pm")
    with pytest.raises(UnknownError, match=r"'v9' of variant new, must be one of v1, v2\. Hint: build it"):
        registry.launch("exp_1", "pm")
    registry.edit("exp_1", {"variants.1.index_version": "v2"}, "pm")
    assert registry.launch("exp_1", "pm").version_of("new") == "v2"


def test_launch_refuses_a_start_that_is_over(registry: Registry, clock: FrozenClock) -> None:
    registry.create(plan(), "pm")
    clock.advance(dt.timedelta(days=1))
    with pytest.raises(StateError, match=r"to start on 2026-03-02, and today is 2026-03-03.*--set start=2026-03-03"):
        registry.launch("exp_1", "pm")


def test_launch_refuses_an_allocation_of_nobody(registry: Registry) -> None:
    registry.create(plan(default_allocation=0, allocation={"SE": 0}), "pm")
    with pytest.raises(InvalidValueError, match="nobody would take part"):
        registry.launch("exp_1", "pm")


def test_a_canary_must_be_half_control(registry: Registry) -> None:
    registry.create(plan(variants=variants(control=1, treatment=9)), "pm")
    with pytest.raises(InvalidValueError, match=r"control's share == 0\.1, must be 0\.5 for a canary"):
        registry.launch("exp_1", "pm", canary=True)
    assert registry.launch("exp_1", "pm").state is State.RUNNING


def test_one_experiment_at_a_time_decides_a_flag(registry: Registry) -> None:
    registry.create(plan(flag="shared"), "pm")
    registry.create(plan("exp_2", flag="shared", layer="other"), "pm")
    registry.launch("exp_1", "pm")
    with pytest.raises(StateError, match="flag shared is decided by exp_1"):
        registry.launch("exp_2", "pm")
    registry.stop("exp_1", "pm", "enough")
    assert registry.launch("exp_2", "pm").state is State.RUNNING


def test_a_layer_over_its_brim_is_refused_and_freed_by_a_stop(registry: Registry) -> None:
    registry.create(plan(default_allocation=0.7), "pm")
    registry.create(plan("exp_2", allocation={"SE": 0.4}), "pm")
    registry.launch("exp_1", "pm")
    with pytest.raises(StateError, match=r"no room for 40\.0000% of the users of region SE.*exp_1 70\.0000%"):
        registry.launch("exp_2", "pm")
    assert registry.get("exp_2").state is State.DRAFT
    assert actions(registry, "exp_2") == ["experiment.create"]
    registry.stop("exp_1", "pm", "enough")
    assert registry.launch("exp_2", "pm").placement is not None


def test_ramp_grows_to_the_larger_of_ramp_and_allocation(registry: Registry) -> None:
    registry.create(plan(allocation={"SE": 0.3, "NO": 0.0}), "pm")

    def shares(record: Record) -> list[float]:
        assert record.placement is not None
        return [record.placement.share(region) for region in ("SE", "NO", "US")]

    assert shares(at(registry, "canary")) == [0.01, 0.0, 0.01]
    assert shares(registry.ramp("exp_1", 0.25, "pm")) == [0.25, 0.0, 0.25]
    assert shares(registry.launch("exp_1", "pm")) == [0.3, 0.0, 0.25]
    assert registry.get("exp_1").share == 0.25
    assert shares(registry.ramp("exp_1", 0.8, "pm")) == [0.8, 0.0, 0.8]


def test_ramp_to_where_it_stands_changes_nothing(registry: Registry) -> None:
    registry.create(plan(), "pm")
    before = at(registry, "canary")
    assert registry.ramp("exp_1", 0.01, "pm") == before
    assert len(registry.history("exp_1")) == 2


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.005, "must be above 0.01"), (0.6, "must be <= 0.5"), (0, "must be > 0"), (float("nan"), "a finite number")],
)
def test_ramp_names_a_share_that_can_not_be(registry: Registry, share: float, told: str) -> None:
    registry.create(plan(), "pm")
    at(registry, "canary")
    with pytest.raises(InvalidValueError, match=told):
        registry.ramp("exp_1", share, "pm")


def test_decisions_and_reasons_are_checked(registry: Registry) -> None:
    registry.create(plan(variants=variants(control=2, one=1, two=1)), "pm")
    registry.launch("exp_1", "pm")
    with pytest.raises(InvalidValueError, match="reason"):
        registry.stop("exp_1", "pm", " ")
    registry.stop("exp_1", "pm", "enough")
    for decision, reason, variant, told in (
        ("Keep running", "r", None, "must be one of Ship, Roll back, Can't tell"),
        ("Ship", "", None, "reason"),
        ("Ship", "r", None, "must be one of one, two"),
        ("Ship", "r", "three", "must be one of control, one, two"),
    ):
        with pytest.raises(InvalidValueError, match=told):
            registry.decide("exp_1", decision, reason, "pm", variant=variant)
    assert registry.decide("exp_1", "Ship", "r", "pm", variant="two").decision == "Ship"


def test_ids_are_new_and_known(registry: Registry) -> None:
    with pytest.raises(UnknownError, match="there are none yet"):
        registry.get("exp_1")
    registry.create(plan(), "pm")
    with pytest.raises(InvalidValueError, match="must be new"):
        registry.create(plan(), "pm")
    with pytest.raises(UnknownError, match="the experiments are exp_1"):
        registry.history("exp_7")


def test_adopt_registers_what_ran_before(registry: Registry, store: Store) -> None:
    begun = dt.datetime(2025, 5, 1, tzinfo=dt.UTC)
    ended = begun + dt.timedelta(days=28)
    old = plan(start="2025-05-01")
    record = registry.adopt(old, "stopped", "init", launched_at=begun, stopped_at=ended, stop_reason="planned end")
    assert (record.state, record.adopted, record.placement) == (State.STOPPED, True, None)
    assert record.plan == old
    assert record.digest == old.digest
    assert record.ramp == ((begun, 0.1),)
    assert registry.adopt(old, "stopped", "init", launched_at=begun, stopped_at=ended) == record
    assert actions(registry) == ["experiment.adopt"]
    assert "before this registry" in registry.history("exp_1")[0].details["note"]
    assert registry.decide("exp_1", "Ship", "It was better.", "pm").decided_as_of == ended.date()
    assert Ledger(store).verify().ok


@pytest.mark.parametrize(
    ("state", "told", "fields"),
    [
        ("draft", "must be one of running, stopped, decided", {}),
        ("stopped", "must fit the state stopped", {}),
        ("running", "must fit the state running", {"stopped_at": NOON}),
        ("stopped", "after the launch", {"stopped_at": NOON - dt.timedelta(days=1)}),
        ("stopped", "aware", {"stopped_at": NOON.replace(tzinfo=None)}),
        ("decided", "decision == None", {"stopped_at": NOON}),
    ],
)
def test_adopt_refuses_what_does_not_fit(registry: Registry, state: str, told: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=told):
        registry.adopt(plan(), state, "init", launched_at=NOON, **fields)
    assert registry.all() == []


def test_adopt_refuses_another_plan_of_the_same_id(registry: Registry) -> None:
    registry.create(plan(), "pm")
    with pytest.raises(InvalidValueError, match="must be new"):
        registry.adopt(plan(), "running", "init", launched_at=NOON)


def test_holdout_is_set_while_nobody_is_assigned(registry: Registry) -> None:
    assert registry.holdout().share == 0
    assert registry.hold_out(0.05, "admin").salt == "holdout:1"
    assert registry.hold_out(0.1, "admin", renew=True).salt == "holdout:2"
    registry.create(plan(), "pm")
    placement = registry.launch("exp_1", "pm").placement
    assert placement is not None
    assert placement.holdout == registry.holdout()
    with pytest.raises(StateError, match="while exp_1 assigns users"):
        registry.hold_out(0.2, "admin")
    registry.stop("exp_1", "pm", "enough")
    assert registry.hold_out(0.2, "admin").share == 0.2
    kept = registry.get("exp_1").placement
    assert kept is not None
    assert kept.holdout.share == 0.1, "who was held out then stays known"


def test_all_lists_the_newest_first_with_their_ramps(registry: Registry, clock: FrozenClock) -> None:
    registry.create(plan("older"), "pm")
    clock.advance(dt.timedelta(hours=1))
    registry.create(plan("newer"), "pm")
    registry.launch("older", "pm", canary=True)
    assert [one.experiment_id for one in registry.all()] == ["newer", "older"]
    assert registry.all()[1] == registry.get("older")


def test_record_is_plain_data(registry: Registry) -> None:
    registry.create(plan(), "pm")
    document = json.loads(json.dumps(at(registry, "canary", "stop").to_dict()))
    assert document["experiment"] == "exp_1"
    assert document["state"] == "stopped"
    assert document["ramp"] == [{"at": NOON.isoformat(), "share": 0.01}]
    assert document["planned_end"] == "2026-03-29"
    assert set(document["placement"]["pieces"]) == {ELSEWHERE}


def test_of_many_writers_one_wins(home: Paths, registry: Registry) -> None:
    registry.create(plan(), "pm")

    def launch(number: int) -> str:
        own = Store.open(Settings(home=home.home))
        try:
            Registry(own, clock=FrozenClock(NOON)).launch("exp_1", f"writer {number}")
        except RecommendrError as error:
            return type(error).__name__
        else:
            return "won"
        finally:
            own.close()

    with ThreadPoolExecutor(6) as pool:
        told = sorted(pool.map(launch, range(6)))
    assert told == ["StateError"] * 5 + ["won"]
    assert actions(registry).count("experiment.launch") == 1


def test_two_that_fit_only_alone_do_not_both_get_the_room(home: Paths, registry: Registry) -> None:
    for name in ("one", "two"):
        registry.create(plan(name, default_allocation=0.6), "pm")

    def launch(name: str) -> bool:
        own = Store.open(Settings(home=home.home))
        try:
            Registry(own, clock=FrozenClock(NOON)).launch(name, "pm")
        except StateError:
            return False
        else:
            return True
        finally:
            own.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(launch, ("one", "two"))) == [False, True]


def die_before_the_ledger_row(home: Paths) -> None:
    class Dying(Ledger):
        def append(self, *_: Any, **__: Any) -> Any:
            os._exit(9)

    store = Store.open(Settings(home=home.home))
    Registry(store, Dying(store), FrozenClock(NOON)).stop("exp_1", "pm", "killed", roll_back=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_killed_before_the_ledger_row_nothing_has_happened(home: Paths, registry: Registry, store: Store) -> None:
    registry.create(plan(), "pm")
    before = at(registry, "canary")
    store.close()
    child = multiprocessing.get_context("spawn").Process(target=die_before_the_ledger_row, args=(home,))
    child.start()
    child.join()
    assert child.exitcode == 9
    assert registry.get("exp_1") == before
    assert actions(registry) == ["experiment.create", "experiment.launch"]
    assert registry.stop("exp_1", "pm", "now", roll_back=True).rolled_back
