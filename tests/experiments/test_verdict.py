"""The verdict: by published boundaries, at planned looks only, and only on data that can be trusted."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from scipy import stats

from experiments.findings import Finding
from experiments.metrics import METRICS
from experiments.novelty import Novelty
from experiments.plan import ExperimentPlan
from experiments.results import MetricResult
from experiments.scorecard import Scorecard
from experiments.statistics import Estimate
from experiments.verdict import Decision, Verdict, judge
from tests.experiments.arms import START, plan_of
from workspace.errors import InvalidValueError

PLAN = plan_of()
SE = 0.001
BASE = 0.1
TWO = plan_of(metrics=[{"metric": "ctr", "kind": "primary"}, {"metric": "engagement", "kind": "primary"}],
              rule={"look_days": [14]})  # fmt: skip
BROKEN = Finding(check="srm", level="error", message="Sample ratio mismatch.")


def estimate(z: float, se: float = SE) -> Estimate:
    """A difference of z standard errors on a base of 0.1, with so many users that t is normal."""
    diff = z * se
    bare = Estimate(
        n_control=10**9, n_variant=10**9, mean_control=BASE, mean_variant=BASE + diff, diff=diff, se=se, statistic=z,
        df=2e9, p=float(2 * stats.norm.sf(abs(z))), ci=(diff, diff), rel=diff / BASE, rel_ci=(0, 0), method="made",
        cohen_d=None, alpha=0.05, margin=0.0, side="two", var_control=se**2 / 2, covariance=0.0,
    )  # fmt: skip
    return bare.at(0.05)


def result(name: str, role: Any, z: float | None, *, variant: str = "treatment", se: float = SE) -> MetricResult:
    spec = METRICS[name]
    found = None if z is None else estimate(z, se)
    harm = None if z is None else float(stats.norm.sf(z if spec.better == "down" else -z))
    return MetricResult(
        name=name, title=spec.title, role=role, unit=spec.unit, better=spec.better, variant=variant, control="control",
        margin_rel=0.1 if role == "guardrail" else None, judged=found, reason=None if found else "nobody answered",
        p_harm=harm, p_harm_adjusted=harm if role == "guardrail" else None,
    )  # fmt: skip


def card(
    z: float | None,
    guard: float | None = 0.0,
    *,
    day: int = 7,
    plan: ExperimentPlan = PLAN,
    more: Sequence[MetricResult] = (),
    findings: tuple[Finding, ...] = (),
    novelty: tuple[Novelty, ...] = (),
    guard_se: float = SE,
) -> Scorecard:
    guards = [one.metric for one in plan.kinds("guardrail")]
    metrics = [result("ctr", "primary", z), *more, *(result(n, "guardrail", guard, se=guard_se) for n in guards)]
    return Scorecard(
        experiment_id="exp", plan_digest=plan.digest, control="control", start=START,
        as_of=START + dt.timedelta(days=day - 1), alpha=0.05, cuped=True, users={"control": 10, "treatment": 10},
        metrics=tuple(metrics), findings=findings, novelty=novelty,
    )  # fmt: skip


def verdict(*cards: Scorecard, plan: ExperimentPlan = PLAN, **options: Any) -> Verdict:
    return judge(plan, [one for one in cards if one.as_of in (START + dt.timedelta(6), START + dt.timedelta(13))],
                 cards[-1], **options)  # fmt: skip


def test_boundaries_are_the_published_ones() -> None:
    found = verdict(card(0.0), card(0.0, day=14)).looks
    # Two equal looks, O'Brien-Fleming-type spending, two-sided 5 %: Jennison & Turnbull 2000, table 7.1 by ldbounds.
    assert [look.boundary for look in found] == pytest.approx([2.963, 1.969], abs=1e-3)


@pytest.mark.parametrize(("z", "decision"), [(2.95, Decision.KEEP_RUNNING), (2.98, Decision.SHIP),
                                             (-2.98, Decision.ROLL_BACK)])  # fmt: skip
def test_the_first_look_needs_its_own_boundary(z: float, decision: Decision) -> None:
    assert verdict(card(z)).decision is decision


def test_nothing_is_decided_before_the_first_look() -> None:
    found = verdict(card(50.0, day=6))
    assert (found.decision, found.ground, found.look) == (Decision.KEEP_RUNNING, "too_early", None)
    assert found.next_look == START + dt.timedelta(days=6)


def test_a_crossing_stays() -> None:
    found = verdict(card(3.1), card(0.3, day=14))
    assert (found.decision, found.look) == (Decision.SHIP, 1)
    assert verdict(card(3.1), card(0.3, day=9)).decision is Decision.SHIP


def test_a_guardrail_that_is_only_unclear_delays_and_then_forbids() -> None:
    wide = {"guard_se": 0.02}
    early = verdict(card(3.1, **wide))
    assert (early.decision, early.ground) == (Decision.KEEP_RUNNING, "waiting")
    assert "thumbs_down_rate is not yet shown to be within its margin" in early.reason
    assert verdict(card(3.1, **wide), card(3.1, day=14, **wide)).decision is Decision.CANT_TELL
    # The crossing of the first look stands; the second settles the guardrail.
    assert verdict(card(3.1, **wide), card(1.0, day=14)).decision is Decision.SHIP
    turned = verdict(card(3.1, **wide), card(-1.0, day=14))
    assert turned.decision is Decision.CANT_TELL, "the figure has turned round"


def test_harm_outweighs_success() -> None:
    found = verdict(card(9.0, 12.0))
    assert (found.decision, found.ground) == (Decision.ROLL_BACK, "harm")
    assert found.looks[0].stands[0].because == ("thumbs_down_rate",)
    within = verdict(card(9.0, 5.0))
    assert within.decision is Decision.SHIP, "worse by 5 %, surely less than the 10 % that are tolerated"
    assert verdict(card(9.0, None)).decision is Decision.KEEP_RUNNING


def test_broken_data_are_refused_on_any_day_and_withdraw_a_ship() -> None:
    for day in (3, 7):
        found = verdict(card(9.0, day=day, findings=(BROKEN,)))
        assert (found.decision, found.ground) == (Decision.CANT_TELL, "refused")
        assert "Sample ratio mismatch." in found.reason
    withdrawn = verdict(card(9.0), card(9.0, day=9, findings=(BROKEN,)))
    assert withdrawn.decision is Decision.CANT_TELL
    assert "said Ship" in withdrawn.reason
    assert verdict(card(-9.0), card(-9.0, day=9, findings=(BROKEN,))).decision is Decision.ROLL_BACK


def test_a_fading_lift_is_not_shipped_unless_what_is_left_is_significant() -> None:
    fading = {"metric": "ctr", "variant": "treatment", "course": "fading", "early_rel": 0.2, "late_rel": 0.01}
    gone = Novelty(**fading, late_ci=(-0.02, 0.04))  # type: ignore[arg-type]
    left = Novelty(**fading, late_ci=(0.001, 0.02))  # type: ignore[arg-type]
    assert verdict(card(9.0, novelty=(gone,))).decision is Decision.KEEP_RUNNING
    assert verdict(card(9.0, novelty=(left,))).decision is Decision.SHIP
    later = verdict(card(9.0), card(9.0, day=14, novelty=(gone,)))
    assert (later.decision, later.ground) == (Decision.CANT_TELL, "undecided")
    assert "Look 1 said Ship, but the lift fades" in later.reason


def test_several_primaries_share_the_error_by_holm() -> None:
    def both(first: float, second: float, **rule: Any) -> Decision:
        plan = plan_of(metrics=[one.model_dump() for one in TWO.metrics], rule={"look_days": [14], **rule})
        more = [result("engagement", "primary", second)]
        return verdict(card(first, day=14, plan=plan, more=more), plan=plan).decision

    # z of p = .03 and .04: the least must be below .025, so neither passes.
    assert both(2.170, 2.054) is Decision.CANT_TELL
    assert both(2.300, 2.054) is Decision.SHIP
    assert both(2.300, 0.5) is Decision.SHIP
    assert both(2.300, 0.5, success="all_primaries") is Decision.CANT_TELL
    assert both(2.300, 2.054, success="all_primaries") is Decision.SHIP


def test_an_end_without_an_answer_says_what_it_could_have_seen() -> None:
    found = verdict(card(0.5), card(0.5, day=14))
    # (1.969 + 0.842) standard errors of 1 % of the base.
    assert "it would have seen a change of 2.8 % in Click-through rate" in found.reason
    assert found.next_look is None
    stopped = judge(PLAN, [card(0.5)], card(0.5, day=9), stopped=START + dt.timedelta(days=8))
    assert (stopped.decision, stopped.ground) == (Decision.CANT_TELL, "undecided")


def test_scorecards_of_other_looks_or_plans_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="must be those of"):
        judge(PLAN, [], card(1.0, day=8))
    with pytest.raises(InvalidValueError, match="of plan"):
        judge(TWO, [], card(1.0, day=8))


def test_every_verdict_names_its_rule() -> None:
    for found in (verdict(card(9.0)), verdict(card(-9.0)), verdict(card(0.0)), verdict(card(0.0, day=2))):
        assert PLAN.digest[:12] in found.what_would_change
        assert found.to_dict()["plan_digest"] == PLAN.digest
