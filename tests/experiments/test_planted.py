"""The planted experiments of the synthetic history, judged by the rule they would have been registered with.

Fifteen thousand users over ten weeks, two weeks an experiment: a lift of 6 % in clicks, 25 % more thumbs-down, nothing,
users that are lost, and a lift that is gone after three quarters of the run. Guardrails tolerate 15 %: to show within
10 % in two weeks takes about twice as many users.
"""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.simulated_worlds import lay, roll_up_alone
from dashboard.planted import planted_plans
from data.synthetic.history import HistorySpec, write_history
from experiments.analysis import Analyst
from experiments.evidence import pack, recompute
from experiments.plan import MetricPlan, State
from experiments.registry import Registry
from experiments.sums import Sums
from experiments.verdict import Decision, Verdict
from telemetry.parts import PartLog
from telemetry.rollups import pending
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import USER_DAY
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

END = dt.date(2026, 3, 2)
CLOCK = FrozenClock(dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC))
SPEC = HistorySpec(users=15_000, weeks=10, seed=20_251_027, end=END, films=200, recent_step_min=60)
DAY = dt.timedelta(days=1)
MEASURED = tuple(
    MetricPlan(metric=metric, kind=kind, margin_rel=0.15)
    for metric, kind in (("ctr", "primary"), ("thumbs_down_rate", "guardrail"), ("refresh_rate", "guardrail"),
                         ("focus_s", "secondary"), ("survey_score", "secondary"), ("engagement", "secondary"))
)  # fmt: skip


@pytest.fixture(scope="module")
def analyst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analyst]:
    folder = tmp_path_factory.mktemp("planted")
    write_history(SPEC, folder / "history", physical=True, workers=1, cells_a_file=64)
    paths = Paths(folder / "home").ensure()
    store = Store.open(Settings(home=paths.home))
    parts = PartLog(store, paths, CLOCK)
    lay(parts, folder / "history")
    warehouse = EmbeddedWarehouse(parts, 512)
    roll_up_alone(parts, warehouse, USER_DAY)  # experiments read no other rollup
    assert pending(parts, warehouse) == []
    registry = Registry(store, clock=CLOCK)
    truth = json.loads((folder / "history" / "truth.json").read_text("utf-8"))
    for plan, state in planted_plans(truth):
        registry.adopt(
            plan.model_copy(update={"metrics": MEASURED}),
            state,
            "test",
            launched_at=dt.datetime.combine(plan.start, dt.time(), dt.UTC),
            stopped_at=None if state is State.RUNNING else CLOCK.now(),
            stop_reason=None if state is State.RUNNING else "planned end",
        )
    yield Analyst(Sums(warehouse, parts, paths, clock=CLOCK), registry)
    warehouse.close()
    store.close()


@pytest.fixture(scope="module")
def verdicts(analyst: Analyst) -> dict[str, Verdict]:
    names = ("exp_ctr_lift", "exp_thumbs_harm", "exp_aa", "exp_srm", "exp_novelty")
    return {name: analyst.verdict(name) for name in names}


def test_the_true_lift_is_shipped(verdicts: dict[str, Verdict]) -> None:
    found = verdicts["exp_ctr_lift"]
    assert (found.decision, found.ground, found.variant) == (Decision.SHIP, "success", "treatment")
    assert found.reason.startswith("treatment is better at look")
    assert "Click-through rate +" in found.reason


def test_the_harm_is_rolled_back_by_its_guardrail(verdicts: dict[str, Verdict]) -> None:
    found = verdicts["exp_thumbs_harm"]
    assert (found.decision, found.ground) == (Decision.ROLL_BACK, "harm")
    assert found.looks[(found.look or 0) - 1].stand("treatment").because == ("thumbs_down_rate",)


def test_the_same_twice_is_undecided(verdicts: dict[str, Verdict]) -> None:
    found = verdicts["exp_aa"]
    assert (found.decision, found.ground) == (Decision.CANT_TELL, "undecided")
    assert "it would have seen a change of" in found.reason


def test_lost_users_are_refused(verdicts: dict[str, Verdict], analyst: Analyst) -> None:
    found = verdicts["exp_srm"]
    assert (found.decision, found.ground) == (Decision.CANT_TELL, "refused")
    assert "Sample ratio mismatch in US" in found.reason
    card = analyst.scorecard("exp_srm")
    assert card.srm is not None
    assert not card.srm.ok
    assert card.srm.counts["treatment"] < card.srm.counts["control"]


def test_the_fading_lift_is_flagged_and_not_shipped(verdicts: dict[str, Verdict], analyst: Analyst) -> None:
    found = analyst.novelty("exp_novelty")[0]
    assert found.flagged
    assert found.early_rel is not None
    assert found.late_rel is not None
    assert found.early_rel > 0.1 > found.late_rel
    assert verdicts["exp_novelty"].decision is Decision.CANT_TELL
    assert "fades" in verdicts["exp_novelty"].reason


def test_nothing_else_is_flagged(verdicts: dict[str, Verdict], analyst: Analyst) -> None:
    flagged = {
        name: {one.check for one in analyst.scorecard(name).findings if one.level in ("warn", "error")}
        for name in verdicts
    }
    assert flagged == {
        "exp_ctr_lift": set(),
        "exp_thumbs_harm": set(),
        "exp_aa": set(),
        "exp_srm": {"srm", "srm_region"},
        "exp_novelty": {"novelty"},
    }


def test_the_days_before_narrow_the_intervals(analyst: Analyst) -> None:
    one = analyst.scorecard("exp_ctr_lift").metric("ctr", "treatment")
    assert one.variance_left is not None
    assert one.variance_left < 0.75


def test_evidence_of_a_planted_verdict_is_judged_the_same(analyst: Analyst, verdicts: dict[str, Verdict]) -> None:
    made = pack(analyst, "exp_ctr_lift")
    assert recompute(made.document).verdict == replace(verdicts["exp_ctr_lift"])
