"""Rules: checked when they are read; a bad one is named, and the others go on."""

import datetime as dt
import tomllib

import pytest

from monitoring.alerts.rules import DEFAULT, FindingRule, Known, MeasureRule, load_rules, read_rules
from monitoring.measures import MEASURES
from monitoring.objective_rules import load as load_objectives
from tests.conftest import ROOT
from tests.monitoring.alarms import KNOWN, rules_of
from workspace.errors import SchemaError
from workspace.paths import Paths

GOOD = {"name": "drift", "kind": "finding", "detector": "drift.*"}
FLOOR = {"name": "bad", "kind": "measure", "measure": "precision_at_5"}
HOOK = {"name": "on-call", "kind": "webhook", "url": "https://example.org/hook"}


def test_default_file_holds_with_every_name_there_is() -> None:
    known = Known(
        detectors=dict.fromkeys(("drift.telemetry", "outliers.users", "objectives.services"), ("*",)),
        measures=tuple(MEASURES),
        objectives=tuple(one.name for one in load_objectives().objective),
    )
    rules = read_rules(tomllib.loads(DEFAULT.read_text("utf-8")), known)
    assert rules.problems == ()
    assert {rule.name for rule in rules.rules} == {
        "drift", "outliers", "incidents", "objectives-page", "objectives-ticket", "precision-floor", "freshness",
    }  # fmt: skip
    floor = next(rule for rule in rules.rules if rule.name == "precision-floor")
    assert isinstance(floor, MeasureRule)
    assert (floor.measure, floor.op, floor.threshold, floor.remediation) == ("precision_at_5", "<", 0.2, "propose")
    assert all(rule.runbook for rule in rules.rules)


def test_fields_are_read_in_their_units() -> None:
    rules = rules_of({**GOOD, "for": "90m", "recent": "1w", "labels": {"team": "search"}})
    (rule,) = rules.rules
    assert isinstance(rule, FindingRule)
    assert (rule.lasts, rule.recent) == (dt.timedelta(minutes=90), dt.timedelta(weeks=1))
    assert rule.labels == {"team": "search"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            {"name": "bad", "kind": "measure", "measure": "precison", "op": "<", "threshold": 1},
            "measure == 'precison', must be a known measure. Hint: known are precision_at_5, freshness_days.",
        ),
        (
            {**GOOD, "name": "bad", "metric": "ctrr", "detector": "drift.telemetry"},
            "rule 'bad': metric == 'ctrr', must be a known metric. Hint: known are ctr, focus_s.",
        ),
        (
            {**GOOD, "name": "bad", "detector": "drfit.*"},
            "detector == 'drfit.*', must be a known detector. Hint: known are drift.telemetry, outliers.users.",
        ),
        (
            {"name": "bad", "kind": "objective", "objective": "speed"},
            "rule 'bad': objective == 'speed', must be a known objective. Hint: known are latency, errors.",
        ),
        (
            {**GOOD, "name": "bad", "routes": ["pager"]},
            "rule 'bad': route == 'pager', must be a known route. Hint: known are on-call.",
        ),
        ({**GOOD, "name": "bad", "for": "soon"}, "rule 'bad': for == 'soon', value error, duration == 'soon'"),
        ({**GOOD, "name": "bad", "sevrity": "info"}, "rule 'bad': sevrity == 'info', extra inputs are not permitted"),
        ({**GOOD, "name": "bad", "min_severity": "dire"}, "min_severity == 'dire'"),
        ({"name": "bad", "kind": "guess"}, "rule 'bad'"),
        ({**FLOOR, "op": "<"}, "threshold, field required"),
        ({**FLOOR, "op": "<", "threshold": float("nan")}, "threshold == 'nan'"),
        (GOOD, "rule 'drift' is there twice"),
        ("no table", "rule '#3'"),
    ],
)  # fmt: skip
def test_a_bad_rule_is_named_and_the_others_go_on(bad: object, said: str) -> None:
    after = {"name": "after", "kind": "measure", "measure": "freshness_days", "op": ">", "threshold": 1}
    rules = rules_of(GOOD, after, bad, routes=(HOOK,))  # type: ignore[arg-type] # a bad one may be anything
    assert [rule.name for rule in rules.rules] == ["drift", "after"]
    (problem,) = rules.problems
    assert said in str(problem.error)
    assert problem.name in {"bad", "drift", "#3"}


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"name": "r", "kind": "webhook"}, "needs either url or url_env"),
        ({"name": "r", "kind": "webhook", "url": "ftp://example.org"}, "must be an http or https URL"),
        ({"name": "r", "kind": "webhook", "url": "https://me:hunter2@example.org"}, "must bear no user or password"),
        ({"name": "r", "kind": "slack", "url": "https://hooks.example.org/T0/hunter2"}, "url_env"),
        ({"name": "r", "kind": "slack", "url_env": "https://hooks.example.org/hunter2"}, "should match pattern"),
        (
            {"name": "r", "kind": "email", "host": "h", "sender": "a@b", "to": ["c@d"], "security": "none",
             "username": "u", "password_env": "PW"},
            "a password needs security",
        ),
        ({"name": "r", "kind": "pigeon"}, "pigeon"),
    ],
)  # fmt: skip
def test_a_bad_route_is_named_without_its_secret(route: dict[str, object], said: str) -> None:
    rules = rules_of({**GOOD, "routes": ["r"]}, routes=(route,))
    (problem,) = rules.problems
    assert (problem.kind, problem.name) == ("route", "r")
    assert said in str(problem.error)
    assert "hunter2" not in str(problem.error) + str(problem.to_dict())
    # Its rule goes on: the alert is there, and told once the route is right.
    assert [rule.name for rule in rules.rules] == ["drift"]
    assert rules.routes_of("drift") == ()


def test_a_rule_that_names_no_route_takes_all() -> None:
    other = {"name": "chat", "kind": "slack", "url_env": "CHAT_URL"}
    rules = rules_of(GOOD, {**GOOD, "name": "quiet", "routes": []}, {**GOOD, "name": "one", "routes": ["chat"]},
                     routes=(HOOK, other))  # fmt: skip
    assert [rules.routes_of(name) for name in ("drift", "quiet", "one")] == [("on-call", "chat"), (), ("chat",)]


def test_the_example_of_the_document_holds() -> None:
    text = (ROOT / "docs" / "monitoring-alerts.md").read_text("utf-8")
    rules = read_rules(tomllib.loads(text.split("```toml")[1].split("```")[0]), KNOWN)
    assert (rules.problems, sorted(rules.routes)) == ((), ["mail", "on-call"])
    assert rules.routes_of("drift-in-central-asia") == ("on-call",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules = [", "must be readable TOML"),
        ("[[rule]]\nname = 'x'", "has the part 'rule', which is unknown"),
        ("rules = 3", "rules is no list"),
        ("group_by = 'rule'", "must be a list of labels"),
        ("x = '" + "y" * (1 << 20) + "'", "must be at most 1 MiB"),
    ],
)
def test_a_file_that_can_not_be_read_says_so(home: Paths, text: str, said: str) -> None:
    (home.monitoring / "alerts.toml").write_text(text)
    with pytest.raises(SchemaError, match=said):
        load_rules(home, KNOWN)


def test_a_file_in_the_workspace_replaces_the_default(home: Paths) -> None:
    (home.monitoring / "alerts.toml").write_text('[[rules]]\nname = "only"\nkind = "finding"\n')
    rules = load_rules(home, KNOWN)
    assert [rule.name for rule in rules.rules] == ["only"]
    assert rules.source == home.monitoring / "alerts.toml"
