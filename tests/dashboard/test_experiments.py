"""Experiments as the command line composes them: registered with the history, served by flag, rolled back by day."""

import datetime as dt
import json
import shutil
from pathlib import Path

import pytest

from dashboard.daily import run_due
from dashboard.planted import planted_plans
from dashboard.trials import judge_running, told
from experiments.canary import CanaryStep
from experiments.flags import Flags
from experiments.plan import State, read_plan
from experiments.registry import Registry
from recommender.catalogue import load_catalogue
from tests.dashboard.conftest import call
from tests.telemetry.raw_events import event, written
from workspace.clock import FrozenClock
from workspace.columns import User
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

NOW = dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time(12), dt.UTC)
KEYS = {"name", "variant", "control", "n", "mean_control", "mean_variant", "diff", "ci95", "rel", "rel_ci95", "p",
        "p_adjusted", "df", "method"}  # fmt: skip


def canary_plan() -> dict[str, object]:
    return {
        "experiment_id": "exp_bold", "hypothesis": "Bolder films raise clicks.", "owner": "kim", "flag": "bold",
        "variants": [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1}],
        "start": NOW.date().isoformat(),
        "metrics": [{"metric": "ctr", "kind": "primary"}, {"metric": "thumbs_down_rate", "kind": "guardrail"}],
        "rule": {"pre_days": 0},
    }  # fmt: skip


def lines(rejected: dict[str, int]) -> list[dict[str, object]]:
    """A morning of four hundred users, some of whom reject the second of their five films."""
    made: list[dict[str, object]] = []
    for user in range(400):
        arm = ("control", "treatment")[user % 2]
        common = {"user_id": f"u-{user:04d}", "session_id": f"s-{user}", "slate_id": f"slate-{user}",
                  "experiment_id": "exp_bold", "variant": arm}  # fmt: skip
        at = NOW - dt.timedelta(hours=6) + dt.timedelta(seconds=user)
        for position in range(1, 6):
            stamps = {"ts": at.isoformat(), "received_at": (at + dt.timedelta(seconds=2)).isoformat()}
            made.append(event(len(made), position=position, **common, **stamps))
        if user // 2 % 100 < rejected[arm]:
            made.append(event(len(made), event_type="thumbs_down", position=2, **common, **stamps))
    return made


@pytest.fixture
def canary_home(ready_home: Path, tmp_path: Path) -> tuple[Settings, Store]:
    home = tmp_path / "home"
    shutil.copytree(ready_home, home)
    settings = Settings(home=home)
    store = Store.open(settings)
    registry = Registry(store, clock=FrozenClock(NOW - dt.timedelta(hours=11)))
    registry.create(read_plan(canary_plan()), "kim")
    registry.launch("exp_bold", "kim", canary=True)
    return settings, store


def test_a_harmful_canary_is_rolled_back_by_the_scheduler_and_its_flag_switches(
    canary_home: tuple[Settings, Store],
) -> None:
    settings, store = canary_home
    written(Paths(settings.home).spool / "events.jsonl", lines({"control": 2, "treatment": 60}))
    report = run_due(settings, progress=lambda *_: None, clock=FrozenClock(NOW), actor="cron")
    steps = {step.name: step for step in report.steps}
    assert report.ok, steps
    assert "exp_bold rolled back from 1 %" in steps["canaries"].detail
    record = Registry(store).get("exp_bold")
    assert record.state is State.STOPPED
    assert record.rolled_back
    served = Flags(store).lookup("bold", "anybody", "US")
    assert (served.variant, served.experiment_id) == ("control", None)
    again = run_due(settings, progress=lambda *_: None, clock=FrozenClock(NOW), actor="cron")
    assert {step.name: step.state for step in again.steps}["canaries"] == "nothing to do"


def test_a_harmless_canary_with_few_users_waits(canary_home: tuple[Settings, Store]) -> None:
    settings, store = canary_home
    written(Paths(settings.home).spool / "events.jsonl", lines({"control": 3, "treatment": 3}))
    report = run_due(settings, progress=lambda *_: None, clock=FrozenClock(NOW), actor="cron")
    assert "exp_bold held at 1 %" in {step.name: step.detail for step in report.steps}["canaries"]
    assert Registry(store).get("exp_bold").share == 0.01


def test_a_canary_without_events_is_left_where_it_is(canary_home: tuple[Settings, Store]) -> None:
    settings, store = canary_home
    report = run_due(settings, progress=lambda *_: None, clock=FrozenClock(NOW), actor="cron")
    assert report.ok
    assert Registry(store).get("exp_bold").state is State.CANARY


def test_told_names_the_share_it_goes_to() -> None:
    step = CanaryStep(experiment_id="exp", action="ramp", reason="Fine.", share=0.01, next_share=0.05)
    assert told(step) == "exp ramped to 5 %: Fine."


def test_init_registers_the_experiments_of_the_history_once(telemetry_home: Path) -> None:
    listed = call(telemetry_home, "experiment", "list").document["experiments"]
    assert [one["experiment"] for one in listed] == ["exp_ctr_lift"]
    assert call(telemetry_home, "init", "--weeks", 3).code == 0
    shown = call(telemetry_home, "experiment", "show", "exp_ctr_lift").document
    assert [one["action"] for one in shown["history"]] == ["experiment.adopt"]


def test_the_scheduler_judges_what_is_running_and_keeps_the_sums(telemetry_home: Path) -> None:
    settings = Settings(home=telemetry_home)
    store = Store.open(settings)
    found = judge_running(settings, store, FrozenClock(NOW))
    assert found == {"exp_ctr_lift": call(telemetry_home, "experiment", "analyse", "exp_ctr_lift").document["verdict"]
                     ["decision"]}  # fmt: skip
    assert any((telemetry_home / "experiments" / "exp_ctr_lift").rglob("*.parquet"))


def test_analyse_gives_the_keys_of_its_contract(telemetry_home: Path) -> None:
    found = call(telemetry_home, "experiment", "analyse", "exp_ctr_lift").document
    assert {"experiment", "as_of", "srm", "metrics", "verdict"} <= set(found)
    assert {"p", "counts", "expected", "ok"} <= set(found["srm"])
    assert {"decision", "reason"} <= set(found["verdict"])
    assert all(set(one) >= KEYS for one in found["metrics"])
    assert found["verdict"]["decision"] in ("Ship", "Roll back", "Keep running", "Can't tell")


def test_recommend_by_flag_says_why_and_refuses_two_masters(canary_home: tuple[Settings, Store]) -> None:
    settings, _ = canary_home
    user = load_catalogue(Paths(settings.home)).users[User.ID].iloc[0]
    served = call(settings.home, "recommend", user, "--flag", "bold").document["served"]
    assert served["flag"] == "bold"
    assert served["reason"]
    refused = call(settings.home, "recommend", user, "--flag", "bold", "--index", "v1")
    assert "are both given" in refused.error["what"]
    assert "bold" in call(settings.home, "recommend", user, "--flag", "nobody").error["hint"]


def test_planted_plans_know_nothing_of_the_truth(telemetry_home: Path) -> None:
    truth = json.loads((Paths(telemetry_home).telemetry / "truth.json").read_text())
    ((plan, state),) = planted_plans(truth)
    assert state is State.RUNNING
    assert plan.planned_end.isoformat() == truth["experiments"][0]["last_day"]
    changed = json.loads(json.dumps(truth))
    changed["experiments"][0] |= {"effect": "none", "relative_effect": 0.0, "meaning": "nothing"}
    assert planted_plans(changed)[0][0].digest == plan.digest
