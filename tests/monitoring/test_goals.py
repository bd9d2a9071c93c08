"""The tree of goals: its state by interval, what lies below, and a file that is checked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitoring import goals
from monitoring.findings import Finding, Interval, Onset, Severity
from monitoring.goals import GoalNode, load_goals, status_of, tree
from monitoring.ground import Ground, opened
from monitoring.measures import MEASURES, Reading
from tests.experiments.plans import new_store
from tests.monitoring.conftest import NOW, Watched
from workspace.clock import FrozenClock
from workspace.errors import SchemaError
from workspace.paths import Paths
from workspace.settings import Settings

GOAL = """
[[goal]]
id = "top"
title = "Top"
level = "objective"
owner = "Product"
failure = "No top"
"""
BELOW = """
[[goal]]
id = "{id}"
title = "Below"
level = "model"
parent = "{parent}"
measure = "{measure}"
op = ">="
target = 0.2
owner = "Product"
failure = "None below"
"""


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Ground]:
    home = Paths(tmp_path / "home").ensure()
    with new_store(home), opened(Settings(home=home.home), FrozenClock(NOW)) as ground:
        yield ground


def nodes(top: tuple[GoalNode, ...]) -> dict[str, GoalNode]:
    return {one.goal.id: one for objective in top for one in objective.walk()}


def reading(value: float | None, low: float | None = None, high: float | None = None) -> Reading:
    return Reading(value=value, low=low, high=high, unit="share")


@pytest.mark.parametrize(
    ("figure", "op", "target", "status"),
    [
        ((0.25, 0.21, 0.29), ">=", 0.20, "met"),
        ((0.25, 0.20, 0.30), ">=", 0.20, "met"),
        ((0.25, 0.19, 0.31), ">=", 0.20, "at risk"),
        ((0.19, 0.17, 0.21), ">=", 0.20, "at risk"),
        ((0.15, 0.11, 0.19), ">=", 0.20, "missed"),
        ((0.8, 0.7, 0.9), "<=", 1.0, "met"),
        ((0.95, 0.8, 1.1), "<=", 1.0, "at risk"),
        ((1.5, 1.2, 1.8), "<=", 1.0, "missed"),
        ((0.06, None, None), ">=", 0.05, "met"),
        ((0.04, None, None), ">=", 0.05, "missed"),
        ((2.0, None, None), "<=", 1.0, "missed"),
        ((None, None, None), ">=", 0.2, "unknown"),
    ],
)
def test_status_is_by_interval(figure: tuple[Any, Any, Any], op: Any, target: float, status: str) -> None:
    assert status_of(reading(*figure), op, target) == status


def test_status_without_figure_is_unknown() -> None:
    assert status_of(None, None, None) == "unknown"


def test_shipped_goals_are_those_of_the_source_document(empty: Ground) -> None:
    found = nodes(tree(empty, weeks=0))
    targets = {one.goal.id: (one.goal.op, one.target) for one in found.values()}
    assert targets["revenue_ads"] == (">=", 0.05)
    assert targets["revenue_premium"] == (">=", 0.10)
    assert targets["sentiment"] == (">=", 0.90)
    assert targets["engagement"] == (">=", 0.05)
    assert targets["freshness"] == ("<=", 1.0)
    assert targets["precision_at_5"] == (">=", 0.20)
    assert targets["latency"] == ("<=", 1.0)
    assert targets["availability"] == (">=", 0.999)
    # A share of the subscription fee, from the default prices: 1 % of 4.99.
    assert targets["cost_per_user"][1] == pytest.approx(0.0499)
    # 1 - 0.8^5 = 0.67232
    assert targets["relevant_in_five"] == (">=", 0.67)
    levels = {"objective": 0, "indicator": 1, "outcome": 2, "model": 3}
    for one in found.values():
        assert one.goal.owner
        assert all(levels[child.goal.level] > levels[one.goal.level] for child in one.children)
        assert one.risks
    assert {risk.source for one in found.values() for risk in one.risks} >= {"4.1", "4.2", "4.3", "4.4"}


def test_tree_without_data_is_unknown_never_met(empty: Ground) -> None:
    found = tree(empty)
    for one in nodes(found).values():
        assert (one.status, one.failure) == ("unknown", "unknown")
        assert one.reading is None or one.reading.note
    assert found[0].below_unknown == len(list(found[0].walk())) - 1


def test_tree_reads_figures_and_counts_below(watched: Watched) -> None:
    top = tree(watched.ground, weeks=2)
    found = nodes(top)
    precision, slates = found["precision_at_5"], found["relevant_in_five"]
    # Looks of a gamma of mean 6 s in a fifth of the places: far from a fifth of the places being relevant.
    assert (precision.status, precision.failure) == ("missed", "occurs")
    assert len(precision.course) == 2
    assert slates.children[0] is precision or precision in slates.children
    assert slates.below_not_met >= 1
    premium = found["revenue_premium"]
    below = [one.status for one in premium.walk()][1:]
    assert premium.below_not_met == sum(status in {"at risk", "missed"} for status in below)
    # Nothing is entered: its own state stays its own, whatever is missed below.
    assert premium.status == "unknown"
    document = premium.to_dict()
    assert document["children"][0]["children"][0]["reading"]["value"] == slates.reading.value  # type: ignore[union-attr]
    assert document["failure_state"] == "unknown"


def test_tree_places_lasting_findings(empty: Ground) -> None:
    def finding(detector: str, metric: str, *, ended: bool = False) -> Finding:
        return Finding(
            detector=detector, metric=metric, segment={"market": "central_asia"},
            onset=Onset(at=NOW, low=NOW, high=NOW), ended=NOW if ended else None,
            effect=Interval(value=-0.3), unit="relative", severity=Severity.CRITICAL, summary="CTR fell",
        )  # fmt: skip

    told = [finding("drift.telemetry", "ctr"), finding("drift.telemetry", "survey_score", ended=True)]
    found = nodes(tree(empty, weeks=0, findings=told))
    key = "drift.telemetry/ctr/market=central_asia"
    assert found["engagement"].findings == (key,)
    assert found["precision_at_5"].findings[0] == key
    assert found["sentiment"].findings == ()
    assert found["latency"].findings == ()


def test_own_file_replaces_the_shipped_one(empty: Ground) -> None:
    (empty.paths.monitoring / goals.FILE).write_text(GOAL + BELOW.format(id="a", parent="top", measure="ctr"))
    top = tree(empty, weeks=0)
    assert [one.goal.id for one in top] == ["top"]
    assert top[0].children[0].target == 0.2


def test_goal_without_a_figure_is_the_worst_below(watched: Watched, empty: Ground) -> None:
    lines = GOAL + BELOW.format(id="a", parent="top", measure="ctr").replace("0.2", "0.0001")
    path = empty.paths.monitoring / goals.FILE
    path.write_text(lines)
    ground = replace(watched.ground, paths=empty.paths)
    assert tree(ground, weeks=0)[0].status == "met"
    path.write_text(lines + BELOW.format(id="b", parent="top", measure="revenue_ads"))
    assert tree(ground, weeks=0)[0].status == "unknown"
    path.write_text(lines + BELOW.format(id="b", parent="top", measure="ctr").replace("0.2", "0.99"))
    assert tree(ground, weeks=0)[0].status == "missed"
    path.write_text(GOAL)
    assert tree(ground, weeks=0)[0].status == "unknown"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("goal = 3", "goal"),
        ("[[goal]", "must be readable TOML"),
        (GOAL + BELOW.format(id="a", parent="top", measure="precision@6"), "measure == 'precision@6', must be one of"),
        (GOAL + BELOW.format(id="a", parent="nowhere", measure="ctr"), "'nowhere' is no goal"),
        (GOAL + GOAL, "goal top is there twice"),
        (
            BELOW.format(id="a", parent="b", measure="ctr") + BELOW.format(id="b", parent="a", measure="ctr"),
            "goal a: lies below itself",
        ),
        (GOAL + 'risks = ["rain"]', "'rain' is no risk"),
        (GOAL + "target = 3.0", "a target needs a measure"),
        (GOAL + 'measure = "ctr"', "needs op, and either target or target_from"),
        (GOAL + "colour = 1", "colour"),
        (GOAL + 'measure = "ctr"\nop = ">="\ntarget = nan', "finite"),
    ],
)
def test_a_file_that_can_not_be_is_named(home: Paths, text: str, said: str) -> None:
    path = home.monitoring / goals.FILE
    path.write_text(text)
    with pytest.raises(SchemaError) as caught:
        load_goals(home)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_shipped_goals_name_detectors_there_are(home: Paths) -> None:
    known = {
        "drift.telemetry", "drift.exposure", "drift.inputs", "drift.benchmark", "drift.slates", "outliers.users",
        "outliers.films", "outliers.slates", "outliers.requests", "objectives.services",
    }  # fmt: skip
    named = {name for goal in load_goals(home).goal for name in goal.detectors}
    assert named <= known
    # Every detector feeds some goal.
    assert named == known
    assert {goal.measure for goal in load_goals(home).goal if goal.measure} <= set(MEASURES)
