"""What the services promise, on samples whose shares are known."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitoring import objective_rules
from monitoring.ground import Ground
from monitoring.objectives import ObjectiveStatus, course, evaluate
from tests.monitoring.served import START, platform, service, standing
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, SchemaError, UnknownError
from workspace.paths import Paths

DAYS = 8
N = DAYS * 288 + 1
END = START + dt.timedelta(days=DAYS)


def lately(hours: float, then: float, before: float) -> np.ndarray:
    values = np.full(N, before)
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


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Something different in each service; what is not told is as it always is."""
    over, late, dense = np.full(N, 0.001), lately(2, 0.2, 0.001), np.zeros(N)
    over[-72:-36], dense[-1] = 0.5, 1.0
    but = {
        ("gateway", "DE"): {"errors": late, "restarts": (100, 1_500)},
        ("bff", "US"): {"memory": lately(1, 0.9, 0.5), "cpu": lately(1 / 12, 0.95, 0.4), "slow": lately(1, 0.2, 0.01)},
        ("content", "DE"): {"errors": late},
        ("content", "US"): {"errors": late},
        ("recommender", "DE"): {"errors": over},
        ("bff", "DE"): {"errors": over},
        ("user", "DE"): {"errors": dense, "requests": 2},
    }
    services = ("gateway", "bff", "user", "content", "recommender")
    with standing(tmp_path_factory.mktemp("eventful"), platform(N, services=services, but=but), END) as ground:
        yield ground


@pytest.fixture(scope="module")
def found(eventful: Ground) -> tuple[ObjectiveStatus, ...]:
    return evaluate(eventful)


def alerts(found: tuple[ObjectiveStatus, ...]) -> set[tuple[str, str, str, str]]:
    return {
        (alert.objective, alert.level, alert.segment["service"], alert.segment.get("region", ""))
        for one in found
        for alert in one.alerts
    }


def test_alerts_are_those_of_what_was_done(found: tuple[ObjectiveStatus, ...]) -> None:
    assert alerts(found) == {
        ("errors", "page", "gateway", "DE"),
        # Both of its regions: the service as a whole.
        ("errors", "page", "content", ""),
        # Over, and still half a day's worth of budget in a day.
        ("errors", "ticket", "recommender", "DE"),
        ("errors", "ticket", "bff", "DE"),
        ("memory", "ticket", "bff", "US"),
        ("bff_latency", "page", "bff", "US"),
    }


def test_kept_promise_is_counted_over_restarts(found: tuple[ObjectiveStatus, ...]) -> None:
    latency = of(found, "latency", service="gateway", region="DE")
    # Every step has 1,000 requests of which 10 are late: what begins anew loses none of them.
    assert latency.attained is not None
    assert latency.attained.value == pytest.approx(0.99)
    assert latency.remaining is not None
    assert latency.remaining.value == pytest.approx(1 - 0.01 / 0.05)
    assert latency.total == pytest.approx(DAYS * 288 * 1_000, rel=0.002)
    assert of(found, "latency", service="gateway").total == pytest.approx(2 * latency.total)
    assert (latency.standing, latency.note, latency.as_of) == ("met", "8 d of 28 d are known", END)


def test_page_says_where_and_how_much(found: tuple[ObjectiveStatus, ...]) -> None:
    status = of(found, "errors", service="gateway", region="DE")
    (alert,) = status.alerts
    # 20 % fail where 0.5 % may: 40 times.
    assert alert.value == pytest.approx(40)
    assert alert.key == "errors/page/region=DE,service=gateway"
    assert alert.rule == "14.4 times the allowed rate over 1 h and 5 min"
    assert alert.text.startswith(
        "gateway in DE: in the last 1 h 20.00% of the requests failed, 40 times what is allowed"
    )
    failed = 24 * 0.2 + (DAYS * 288 - 24) * 0.001
    assert status.remaining is not None
    assert status.remaining.value == pytest.approx(1 - failed / (DAYS * 288) / 0.005, abs=0.01)
    assert status.standing == "at_risk"
    assert of(found, "errors", service="content").alerts[0].value == pytest.approx(40)


def test_what_is_over_no_longer_pages_but_its_budget_is_spent(found: tuple[ObjectiveStatus, ...]) -> None:
    status = of(found, "errors", service="recommender", region="DE")
    assert {one.rule.level for one in status.burns if one.fires} == {"ticket"}
    assert status.standing == "missed"  # 36 × 0.5 of 2,304 steps is 0.78 %, 0.5 % may be
    assert status.remaining is not None
    assert status.remaining.value < 0
    assert status.alerts[0].text.endswith("the budget is used up.")
    waiting = of(found, "errors", service="bff", region="DE").alerts[0]
    assert waiting.text.endswith("the budget is used up. It waits for recommender, with the same alert.")


def test_one_error_at_low_traffic_pages_nobody(found: tuple[ObjectiveStatus, ...]) -> None:
    status = of(found, "errors", service="user", region="DE")
    assert status.alerts == ()
    assert status.burns[0].note == "held back: 2 bad of 24 in 1 h, 5 of 500 are needed"


def test_limits_are_passed_only_after_a_while(found: tuple[ObjectiveStatus, ...]) -> None:
    (memory,), (latency,) = of(found, "memory").alerts, of(found, "bff_latency").alerts
    assert memory.text == "bff in US: 90% of the memory is in use, for at least 10 min; 80% is the limit."
    assert "1,000 ms is the limit" in latency.text
    assert of(found, "memory").standing == "missed"
    assert of(found, "cpu").standing == "met"  # a single scrape is not ten minutes


def test_evaluation_is_as_of_the_moment_asked(eventful: Ground) -> None:
    later = replace(eventful, clock=FrozenClock(END + dt.timedelta(hours=5)))
    now, before = evaluate(later), evaluate(later, END - dt.timedelta(hours=7))
    assert ("errors", "page", "gateway", "DE") in alerts(now)
    assert "the newest sample of bff is of 2026-01-13 00:00" in of(now, "bff_latency").note
    assert alerts(before) == set()
    with pytest.raises(InvalidValueError, match="aware"):
        evaluate(later, END.replace(tzinfo=None))


def test_course_of_a_budget_ends_with_what_is_left(eventful: Ground, found: tuple[ObjectiveStatus, ...]) -> None:
    whole = course(eventful, "errors", service="recommender", region="DE")
    days = [one for one in whole if one.total is not None]
    assert len(whole) == 28
    assert whole[0].remaining == 1
    assert [one.day for one in days] == [START.date() + dt.timedelta(days=day) for day in range(DAYS)]
    # 288 steps of 1,000 requests a day, one of which fails; 36 steps of the last day lose half.
    assert [one.bad for one in days[1:-1]] == pytest.approx([288] * (DAYS - 2), rel=0.01)
    assert days[-1].bad == pytest.approx(36 * 500 + 252, rel=0.01)
    status = of(found, "errors", service="recommender", region="DE")
    assert status.remaining is not None
    assert days[-1].remaining == pytest.approx(status.remaining.value, abs=0.01)
    for name, service_name in (("cpu", "bff"), ("errors", "nobody")):
        with pytest.raises(UnknownError):
            course(eventful, name, service=service_name)


def test_service_that_went_silent_is_judged_as_of_then(tmp_path: Path) -> None:
    samples = platform(N, but={("bff", "DE"): {"memory": 0.9}})
    silent = (samples["service"] == "bff") & (samples["ts"] > END - dt.timedelta(hours=7))
    with standing(tmp_path, samples[~silent], END) as ground:
        found = evaluate(ground)
    assert of(found, "errors", service="bff").as_of == END - dt.timedelta(hours=7)
    assert of(found, "errors", service="gateway").as_of == END
    assert [dict(alert.segment) for alert in of(found, "memory").alerts] == [{"service": "bff", "region": "DE"}]
    assert of(found, "memory").note == "the newest sample of bff is of 2026-01-12 17:00"


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
