"""What the services promise, on samples whose shares are known."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from monitoring import objective_rules
from monitoring.objectives import ObjectiveStatus, evaluate
from tests.monitoring.served import START, platform, service, standing
from workspace.errors import InvalidValueError, SchemaError
from workspace.paths import Paths

DAYS = 8
N = DAYS * 288 + 1
END = START + dt.timedelta(days=DAYS)


def lately(n: int, hours: float, then: float, before: float) -> np.ndarray:
    values = np.full(n, before)
    values[-round(hours * 12) :] = then
    return values


def of(statuses: tuple[ObjectiveStatus, ...], name: str, **segment: str) -> ObjectiveStatus:
    return next(one for one in statuses if one.name == name and dict(one.segment) == segment)


def test_shipped_rules_are_those_of_the_source_document_and_the_workbook() -> None:
    rules = {one.name: one for one in objective_rules.load().objective}
    assert (rules["latency"].limit_s, rules["latency"].target) == (1.0, 0.95)
    assert rules["availability"].target == 0.999
    assert (rules["cpu"].limit, rules["memory"].limit) == (0.8, 0.8)
    assert (rules["bff_latency"].services, rules["bff_latency"].limit) == (("bff",), 1.0)
    assert {one.window.days for one in rules.values() if one.kind == "budget"} == {28}
    assert [(one.factor, one.long.total_seconds() / 3600) for one in objective_rules.load().burn_rules] == [
        (14.4, 1),
        (6, 6),
        (3, 24),
        (1, 72),
    ]


def test_workspace_rules_replace_the_shipped_ones(home: Paths) -> None:
    own = '[[objective]]\nname="up"\ntitle="Up"\nkind="budget"\nquestion="availability"\ntarget=0.5\n'
    (home.monitoring / "objectives.toml").write_text(own)
    (rule,) = objective_rules.load(home).objective
    assert (rule.name, rule.target) == ("up", 0.5)


OBJECTIVE = '[[objective]]\nname="up"\ntitle="Up"\nkind="budget"\nquestion="availability"\ntarget=0.9\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[objective", "is no TOML"),
        ("", "objective"),
        (OBJECTIVE + OBJECTIVE, "the objective 'up' is there twice"),
        (OBJECTIVE + "tarjet=0.9\n", "objective 'up' tarjet is no setting of it"),
        (OBJECTIVE.replace("0.9", "1.5"), "objective 'up' target == 1.5: input should be less than 1"),
        (OBJECTIVE.replace("target=0.9", ""), "target is missing, a budget needs one"),
        (OBJECTIVE.replace("availability", "cpu"), "question == 'cpu', must be of within_latency, error_rate"),
        (OBJECTIVE + 'window="28"\n', "must be a number and s, m, h, d or w"),
        (OBJECTIVE + "limit_s=0.3\n", "limit_s == 0.3, must be of 0.05"),
        (OBJECTIVE + '[[burn]]\nlevel="page"\nfactor=2\nlong="1h"\nshort="6h"\n', "must be shorter than 1 h"),
    ],
)
def test_rules_that_can_not_be_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(SchemaError) as refused:
        objective_rules.parse(text, "objectives.toml")
    assert said in str(refused.value)
    assert "objectives.toml" in str(refused.value)


def test_quiet_services_keep_their_promises(tmp_path: Path) -> None:
    restarted = {("gateway", "DE"): {"restarts": (100, 1_500)}}
    with standing(tmp_path, platform(N, but=restarted), END) as ground:
        found = evaluate(ground)
    assert {one.standing for one in found} == {"met"}
    assert not [alert for one in found for alert in one.alerts]
    latency = of(found, "latency", service="gateway", region="DE")
    # Every step has 1,000 requests of which 10 are late: what begins anew loses none of them.
    assert latency.attained is not None
    assert latency.attained.value == pytest.approx(0.99)
    assert latency.remaining is not None
    assert latency.remaining.value == pytest.approx(1 - 0.01 / 0.05)
    assert latency.total == pytest.approx(DAYS * 288 * 1_000, rel=0.002)
    assert of(found, "latency", service="gateway").total == pytest.approx(2 * latency.total)
    assert latency.note == "8 d of 28 d are known"
    assert latency.as_of == END


def test_errors_of_one_region_page_there_and_say_how_much(tmp_path: Path) -> None:
    bad = {("gateway", "DE"): {"errors": lately(N, 2, 0.2, 0.001)}}
    with standing(tmp_path, platform(N, but=bad), END) as ground:
        found = evaluate(ground)
    (alert,) = [alert for one in found for alert in one.alerts]
    # 20 % fail where 0.5 % may: 40 times.
    assert (alert.objective, alert.level, dict(alert.segment)) == (
        "errors",
        "page",
        {"service": "gateway", "region": "DE"},
    )
    assert alert.value == pytest.approx(40)
    assert alert.key == "errors/page/region=DE,service=gateway"
    assert alert.text.startswith(
        "gateway in DE: in the last 1 h 20.00% of the requests failed, 40 times what is allowed"
    )
    status = of(found, "errors", service="gateway", region="DE")
    failed = 24 * 0.2 + (DAYS * 288 - 24) * 0.001
    assert status.remaining is not None
    assert status.remaining.value == pytest.approx(1 - failed / (DAYS * 288) / 0.005, abs=0.01)
    assert status.standing == "at_risk"
    assert of(found, "errors", service="gateway").alerts == ()


def test_errors_of_most_regions_are_those_of_the_service(tmp_path: Path) -> None:
    bad = {("gateway", region): {"errors": lately(N, 2, 0.2, 0.001)} for region in ("DE", "US")}
    with standing(tmp_path, platform(N, but=bad), END) as ground:
        found = evaluate(ground)
    (alert,) = [alert for one in found for alert in one.alerts]
    assert dict(alert.segment) == {"service": "gateway"}
    assert alert.value == pytest.approx(40)


def test_what_is_over_no_longer_pages_but_its_budget_is_spent(tmp_path: Path) -> None:
    errors = np.full(N, 0.001)
    errors[-72:-36] = 0.5
    with standing(tmp_path, platform(N, but={("gateway", "DE"): {"errors": errors}}), END) as ground:
        status = of(evaluate(ground), "errors", service="gateway", region="DE")
    assert {one.rule.level for one in status.burns if one.fires} == {"ticket"}
    assert status.standing == "missed"  # 36 × 0.5 of 2,304 steps is 0.78 %, 0.5 % may be
    assert status.remaining is not None
    assert status.remaining.value < 0


def test_one_error_at_low_traffic_pages_nobody(tmp_path: Path) -> None:
    errors = np.zeros(N)
    errors[-1] = 1.0
    few = {("gateway", "DE"): {"errors": errors, "requests": 2}}
    with standing(tmp_path, platform(N, but=few), END) as ground:
        status = of(evaluate(ground), "errors", service="gateway", region="DE")
    assert status.alerts == ()
    assert status.burns[0].note == "held back: 2 bad of 24 in 1 h, 5 of 500 are needed"


def test_limits_are_passed_only_after_a_while(tmp_path: Path) -> None:
    memory, cpu = lately(N, 1, 0.9, 0.5), lately(N, 1 / 12, 0.95, 0.4)
    but = {("bff", "US"): {"memory": memory, "cpu": cpu, "slow": lately(N, 1, 0.2, 0.01)}}
    with standing(tmp_path, platform(N, but=but), END) as ground:
        found = evaluate(ground)
    alerts = {alert.objective: alert for one in found for alert in one.alerts if one.kind == "threshold"}
    assert set(alerts) == {"memory", "bff_latency"}
    assert alerts["memory"].text == "bff in US: 90% of the memory is in use, for at least 10 min; 80% is the limit."
    assert dict(alerts["bff_latency"].segment) == {"service": "bff", "region": "US"}
    assert "1,000 ms is the limit" in alerts["bff_latency"].text
    assert of(found, "memory").standing == "missed"
    assert of(found, "cpu").standing == "met"  # a single scrape is not ten minutes


def test_evaluation_is_as_of_the_moment_asked(tmp_path: Path) -> None:
    bad = {("gateway", "DE"): {"errors": lately(N, 2, 0.2, 0.001)}}
    with standing(tmp_path, platform(N, but=bad), END + dt.timedelta(hours=5)) as ground:
        now, before = evaluate(ground), evaluate(ground, END - dt.timedelta(hours=3))
        with pytest.raises(InvalidValueError, match="aware"):
            evaluate(ground, END.replace(tzinfo=None))
    assert [alert.objective for one in now for alert in one.alerts] == ["errors"]
    assert "the newest sample is of 2026-01-13 00:00" in of(now, "latency", service="gateway").note
    assert not [alert for one in before for alert in one.alerts]


def test_gap_is_left_out_and_said(tmp_path: Path) -> None:
    samples = platform(N)
    gap = (samples["ts"] >= START + dt.timedelta(days=2)) & (samples["ts"] < START + dt.timedelta(days=4))
    with standing(tmp_path, samples[~gap], END) as ground:
        status = of(evaluate(ground), "latency", service="gateway")
    assert status.attained is not None
    assert status.attained.value == pytest.approx(0.99)
    assert status.note == "6 d of 28 d are known; no interval: 6 whole days are known, 7 are needed"


def test_hourly_samples_leave_the_fast_alerts_not_estimable(tmp_path: Path) -> None:
    with standing(tmp_path, platform(10 * 24 + 1, step_s=3_600), START + dt.timedelta(days=10)) as ground:
        status = of(evaluate(ground), "errors", service="gateway")
    assert [one.long_rate is not None and one.short_rate is not None for one in status.burns] == [
        False,
        False,
        True,
        True,
    ]
    assert status.standing == "met"


def test_without_samples_nothing_is_known(tmp_path: Path) -> None:
    with standing(tmp_path, None, END) as ground:
        found = evaluate(ground)
    assert {one.standing for one in found} == {"unknown"}
    assert {one.note for one in found} == {"not estimable: there is no sample at all"}
    assert all(one.attained is None and one.to_dict()["attained"] is None for one in found)


def test_service_without_requests_is_unknown(tmp_path: Path) -> None:
    with standing(tmp_path, service("gateway", "DE", N, requests=0), END) as ground:
        status = of(evaluate(ground), "latency")
    assert (status.kind, status.attained, status.standing) == ("budget", None, "unknown")
    assert status.note == "not estimable: nothing was counted in 28 d"
