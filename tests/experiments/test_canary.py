"""Canaries: ramped when nothing speaks against it, held when something is missing, rolled back on harm."""

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from experiments.canary import Canary, CanaryInputs, CanaryRule, GuardrailReading, inputs_of, judge
from experiments.estimates import Estimate
from experiments.flags import Flags
from experiments.moments import Moments
from experiments.plan import RAMP, State
from experiments.registry import Registry
from experiments.scorecard import MetricResult, Scorecard
from experiments.statistics import welch
from tests.experiments.plans import NOON, TODAY, new_store, plan
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.store import Store

DAY = dt.timedelta(days=1)


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with new_store(home) as opened:
        yield opened


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOON)


@pytest.fixture
def registry(store: Store, clock: FrozenClock) -> Registry:
    made = Registry(store, clock=clock)
    made.create(plan(), "pm")
    made.launch("exp_1", "pm", canary=True)
    return made


def estimate(diff: float, *, n: int = 2_000, sd: float = 1.0) -> Estimate:
    """An estimate whose difference and standard error are chosen: two halves of n users with this sd."""
    moments = [
        Moments.from_sums(n // 2, np.array([mean]), np.array([[sd * sd * (n // 2 - 1)]]))
        for mean in (10.0, 10.0 + diff)
    ]
    return welch(*moments)


def inputs(diff: float = 0.0, **chosen: Any) -> CanaryInputs:
    reading = GuardrailReading(
        metric="thumbs_down_rate",
        variant="treatment",
        better=chosen.pop("better", "down"),
        estimate=chosen.pop("estimate", estimate(diff)),
        reason=chosen.pop("reason", None),
    )
    return CanaryInputs(
        **{
            "at": NOON + DAY,
            "guardrails": (reading,),
            "users": {"control": 1_000, "treatment": 1_000},
            **chosen,
        }
    )


def test_a_healthy_canary_climbs_the_ramp_and_then_waits(registry: Registry, clock: FrozenClock) -> None:
    canary, stands = Canary(registry), [registry.get("exp_1").share]
    for _ in RAMP[1:]:
        clock.advance(DAY)
        step = canary.step("exp_1", inputs(at=clock.now()), "robot")
        assert (step.action, step.executed) == ("ramp", True)
        stands.append(registry.get("exp_1").share)
        assert stands[-1] == step.next_share
    assert stands == [0.01, 0.05, 0.10, 0.25, 0.50]
    clock.advance(DAY)
    last = canary.step("exp_1", inputs(at=clock.now()), "robot")
    assert (last.action, last.executed, last.next_share) == ("hold", False, None)
    assert "last step" in last.reason
    assert registry.get("exp_1").state is State.CANARY
    assert [row.action for row in registry.history("exp_1")][2:] == ["experiment.ramp"] * 4


def test_a_harmful_canary_goes_back_and_its_flag_really_switches(registry: Registry, store: Store) -> None:
    flags, users = Flags(store, FrozenClock(NOON)), [f"u{number}" for number in range(2_000)]
    assert "treatment" in set(flags.lookup_all("exp_1.flag", users, "SE")["variant"])
    step = Canary(registry).step("exp_1", inputs(0.5), "robot")
    assert (step.action, step.executed) == ("roll_back", True)
    assert "thumbs_down_rate of treatment is harmed: +5.00%" in step.reason
    assert {flags.lookup("exp_1.flag", user, "SE").variant for user in users[:50]} == {"control"}
    record = registry.get("exp_1")
    assert (record.state, record.rolled_back, record.stop_reason) == (State.STOPPED, True, step.reason)
    row = registry.history("exp_1")[-1]
    assert (row.action, row.actor) == ("experiment.roll_back", "robot")
    assert row.details["flag"]["serves"] == "control"
    assert Ledger(store).verify().ok


@pytest.mark.parametrize(
    ("better", "diff", "action"),
    [("down", 0.5, "roll_back"), ("down", -0.5, "ramp"), ("up", -0.5, "roll_back"), ("up", 0.5, "ramp")],
)
def test_guardrails_look_at_one_side_only(registry: Registry, better: str, diff: float, action: str) -> None:
    assert judge(registry.get("exp_1"), inputs(diff, better=better)).action == action


def test_the_bound_is_always_valid_and_so_wider_than_a_test(registry: Registry) -> None:
    # z = 2.24 of a fixed-sample one-sided test is p = .0125, but looking every hour it happens by chance.
    se = np.sqrt(2 / 1_000)
    step = judge(registry.get("exp_1"), inputs(2.24 * se))
    assert step.action == "ramp"
    bound = next(one for one in step.checks if one.check.startswith("guardrail")).figures["bound"]
    # Waudby-Smith et al. 2024, one-sided: se √(2(nρ²+1)/(nρ²) ln(1 + √(nρ²+1)/(2α))), by hand.
    level, n, tuned = 2 * 0.05, 2_000, 10_000
    spread = n * (-2 * np.log(level) + np.log1p(-2 * np.log(level))) / tuned
    width = np.sqrt(2 * (spread + 1) / spread * np.log1p(np.sqrt(spread + 1) / level))
    assert bound == pytest.approx(2.24 * se - width * se, rel=1e-9)


def test_many_guardrails_share_one_error(registry: Registry) -> None:
    reading = GuardrailReading(metric="refresh_rate", variant="treatment", better="down", estimate=estimate(0.0))
    step = judge(registry.get("exp_1"), inputs(guardrails=(reading,) * 5))
    assert {one.figures["alpha"] for one in step.checks if one.check.startswith("guardrail")} == {0.01}


@pytest.mark.parametrize(
    ("chosen", "check"),
    [
        ({"users": {"control": 1_000, "treatment": 1_400}}, "srm"),
        ({"multiple": 40}, "multiple"),
        ({"users": {"control": 450, "treatment": 450}}, "users"),
        ({"at": NOON + dt.timedelta(hours=6)}, "time"),
        ({"users": {}}, "srm"),
        ({"estimate": None, "reason": "no survey was answered"}, "guardrail thumbs_down_rate of treatment"),
    ],
)
def test_whatever_is_wrong_or_missing_holds(registry: Registry, chosen: dict[str, Any], check: str) -> None:
    before = registry.get("exp_1")
    step = Canary(registry).step("exp_1", inputs(**chosen), "robot")
    assert (step.action, step.executed, step.next_share) == ("hold", False, None)
    bad = {one.check: one.message for one in step.checks if one.level != "ok"}
    assert check in bad
    assert step.reason in bad.values()
    assert registry.get("exp_1") == before


def test_harm_comes_before_a_broken_split(registry: Registry) -> None:
    broken = inputs(0.5, users={"control": 1_000, "treatment": 1_400})
    assert judge(registry.get("exp_1"), broken).action == "roll_back"


def test_the_same_inputs_twice_ramp_once(registry: Registry, clock: FrozenClock) -> None:
    clock.advance(DAY)
    canary, known = Canary(registry), inputs(at=clock.now())
    assert canary.step("exp_1", known, "robot").executed
    again = canary.step("exp_1", known, "robot")
    assert (again.action, again.executed) == ("hold", False)
    assert registry.get("exp_1").share == 0.05


def test_rolled_back_twice_is_rolled_back_once(registry: Registry) -> None:
    canary = Canary(registry)
    canary.step("exp_1", inputs(0.5), "robot")
    rows = len(registry.history("exp_1"))
    again = canary.step("exp_1", inputs(0.5), "robot")
    assert (again.action, again.executed) == ("roll_back", False)
    assert "rolled back on 2026-03-02" in again.reason
    assert len(registry.history("exp_1")) == rows


def test_a_dry_run_changes_nothing(registry: Registry) -> None:
    before = registry.get("exp_1")
    for diff, action in ((0.0, "ramp"), (0.5, "roll_back")):
        step = Canary(registry).step("exp_1", inputs(diff), "robot", execute=False)
        assert (step.action, step.executed) == (action, False)
    assert registry.get("exp_1") == before


def test_a_full_layer_holds_the_ramp(registry: Registry, clock: FrozenClock) -> None:
    registry.create(plan("big", default_allocation=0.97), "pm")
    registry.launch("big", "pm")
    clock.advance(DAY)
    step = Canary(registry).step("exp_1", inputs(at=clock.now()), "robot")
    assert (step.action, step.executed) == ("hold", False)
    assert "no room for 5.0000%" in step.reason
    assert registry.get("exp_1").share == 0.01


def test_only_canaries_are_judged(registry: Registry) -> None:
    registry.launch("exp_1", "pm")
    with pytest.raises(StateError, match="exp_1 is running, and must be a canary"):
        Canary(registry).step("exp_1", inputs(), "robot")
    with pytest.raises(UnknownError, match="exp_9"):
        Canary(registry).step("exp_9", inputs(), "robot")


def test_a_plan_without_guardrails_says_what_could_not_be_seen(registry: Registry) -> None:
    step = judge(registry.get("exp_1"), inputs(guardrails=()))
    assert step.action == "ramp"
    assert "no harm could be seen" in step.checks[0].message


@pytest.mark.parametrize(
    "make",
    [
        lambda: inputs(at=dt.datetime(2026, 3, 3)),  # noqa: DTZ001 - that is the point
        lambda: inputs(multiple=-1),
        lambda: inputs(users={"control": -1}),
        lambda: CanaryRule(alpha=0.5),
        lambda: CanaryRule(least_users=0),
        lambda: CanaryRule(least_hours=float("nan")),
    ],
)
def test_inputs_and_rules_that_can_not_be_are_refused(make: Any) -> None:
    with pytest.raises(InvalidValueError):
        make()


def test_users_of_an_arm_nobody_planned_are_an_error(registry: Registry) -> None:
    with pytest.raises(InvalidValueError, match="must each have a weight"):
        judge(registry.get("exp_1"), inputs(users={"control": 900, "other": 900}))


def test_a_scorecard_gives_the_inputs(registry: Registry) -> None:
    guard = MetricResult(
        name="thumbs_down_rate", title="", role="guardrail", unit="share", better="down", variant="treatment",
        control="control", judged=estimate(0.0),
    )  # fmt: skip
    card = Scorecard(
        experiment_id="exp_1", plan_digest="", control="control", start=TODAY, as_of=TODAY + DAY, alpha=0.05,
        cuped=True, users={"control": 1_000, "treatment": 1_000}, metrics=(guard,), left_out={"multiple": 1},
    )  # fmt: skip
    found = inputs_of(card)
    assert found.at == dt.datetime(2026, 3, 4, tzinfo=dt.UTC)
    early = dataclasses.replace(card, computed_at="2026-03-03T06:30:00+00:00")
    assert inputs_of(early).at == dt.datetime(2026, 3, 3, 6, 30, tzinfo=dt.UTC)
    assert (found.multiple, found.guardrails[0].estimate) == (1, guard.judged)
    step = judge(registry.get("exp_1"), found)
    assert json.loads(json.dumps(step.to_dict()))["action"] == "ramp"
