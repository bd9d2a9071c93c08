"""Incidents against the truths of a synthetic history, and against samples made by hand."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.synthetic.history.plan import Plan, plan
from data.synthetic.history.spec import HistorySpec
from data.synthetic.history.system import Moments, samples
from data.synthetic.regions import REGION_CODES
from monitoring.findings import Finding, Outcome, Severity
from monitoring.ground import Ground
from monitoring.incidents import Services, find, waits_for
from tests.monitoring.served import START, platform, standing
from workspace.errors import InvalidValueError

END = dt.date(2026, 3, 2)
NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
REGIONS = ("GB", "DE")
FIVE = dt.timedelta(minutes=5)
HOUR = dt.timedelta(hours=1)
N = 4 * 288 + 1
HAND_END = START + dt.timedelta(days=4)


def history(*, planted: bool) -> tuple[Plan, pa.Table]:
    made = plan(HistorySpec(users=500, weeks=3, seed=8, end=END, planted=planted))
    moments = Moments.of(made)
    return made, pa.concat_tables([samples(made, moments, REGION_CODES.index(region)) for region in REGIONS])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, Ground, tuple[Finding, ...]]]:
    made, table = history(planted=True)
    with standing(tmp_path_factory.mktemp("planted"), table.to_pandas(), NOW) as ground:
        yield made, ground, Services().look(ground).findings


def test_service_in_all_its_regions_is_everywhere(planted: tuple[Plan, Ground, tuple[Finding, ...]]) -> None:
    assert one(planted[2], "errors").summary.startswith("content in all regions: ")


def one(found: tuple[Finding, ...], metric: str) -> Finding:
    (finding,) = [each for each in found if each.metric == metric]
    return finding


def test_every_planted_incident_is_one_finding(planted: tuple[Plan, Ground, tuple[Finding, ...]]) -> None:
    found = planted[2]
    assert [(each.metric, dict(each.segment)) for each in found] == [
        ("latency", {"service": "recommender", "region": "DE"}),
        ("errors", {"service": "content"}),
        ("memory", {"service": "bff", "region": "GB"}),
    ]
    assert len({each.key for each in found}) == 3
    assert all(each.severity == Severity.CRITICAL for each in found)


def test_incidents_are_dated_within_five_minutes(planted: tuple[Plan, Ground, tuple[Finding, ...]]) -> None:
    made, _, found = planted
    for metric, window in (("latency", made.latency), ("errors", made.provider_outage)):
        finding = one(found, metric)
        began, over = made.moment(window.first), made.moment(window.stop)
        assert abs(finding.onset.at - began) <= FIVE
        assert finding.onset.low <= began <= finding.onset.high
        assert finding.ended is not None
        assert abs(finding.ended - over) <= FIVE


def test_leak_is_dated_by_its_kill_and_its_beginning_as_well_as_can_be(
    planted: tuple[Plan, Ground, tuple[Finding, ...]],
) -> None:
    made, _, found = planted
    leak = one(found, "memory")
    began, killed = made.moment(made.memory_leak.first), made.moment(made.memory_leak.stop)
    assert leak.ended is not None
    assert abs(leak.ended - killed) <= FIVE
    # Memory grows by 0.036 % between two samples and scatters by 1.2 %: the moment it begins has a standard error of
    # 2 × 0.012 / (0.465 / 4.48 d) / √1,290 = 9.3 min (Cramér and Rao), whoever looks.
    assert leak.onset.low <= began <= leak.onset.high
    assert leak.onset.high - leak.onset.low < dt.timedelta(minutes=60)
    growth = 0.465 / (made.memory_leak.stop - made.memory_leak.first)
    assert leak.effect.value == pytest.approx(growth, rel=0.02)
    assert leak.unit == "share per day"
    assert "then the process was down for 15 min" in leak.summary


def test_what_waits_for_the_root_is_evidence(planted: tuple[Plan, Ground, tuple[Finding, ...]]) -> None:
    latency = one(planted[2], "latency")
    upstream = {(each["service"], each["region"], each["measure"]) for each in latency.evidence["upstream"]}
    assert upstream == {(service, "DE", measure) for service in ("gateway", "bff") for measure in ("latency", "errors")}
    assert latency.summary.endswith("for 4 h; bff and gateway waited for it.")
    # 0.95 s more on a median of 0.09 s with a spread of 0.45 in logarithms: Φ(ln 1.04 / 0.45) is 53 %, more at load.
    assert latency.effect.value == pytest.approx(0.54, abs=0.02)
    assert one(planted[2], "errors").evidence["regions"] == sorted(REGIONS)
    assert one(planted[2], "errors").effect.value == pytest.approx(0.06, abs=0.002)


def test_find_gives_what_touches_a_span(planted: tuple[Plan, Ground, tuple[Finding, ...]]) -> None:
    made, ground, _ = planted
    outage = made.moment(made.provider_outage.first)
    found = find(ground, outage + HOUR, outage + 2 * HOUR)
    assert [(each.metric, each.ended) for each in found] == [("errors", None)]
    assert find(ground, outage - dt.timedelta(hours=12), outage - HOUR) == ()
    with pytest.raises(InvalidValueError, match="before"):
        find(ground, outage, outage)
    with pytest.raises(InvalidValueError, match="aware"):
        find(ground, outage.replace(tzinfo=None), outage)


def test_leak_is_known_before_memory_is_full(planted: tuple[Plan, Ground, tuple[Finding, ...]]) -> None:
    made, ground, _ = planted
    stop = made.moment(made.memory_leak.stop)
    (leak,) = find(ground, stop - dt.timedelta(days=3), stop - dt.timedelta(days=2))
    assert (leak.metric, leak.ended) == ("memory", None)
    # It would reach all of memory 0.48 / 0.465 of the way from its beginning.
    full = (1 - 0.52) / 0.465 * (made.memory_leak.stop - made.memory_leak.first) + made.memory_leak.first
    left = (made.moment(full) - (stop - dt.timedelta(days=2))) / dt.timedelta(days=1)
    assert f"full in {int(left)} d" in leak.summary


def test_nothing_fires_where_nothing_happens(tmp_path: Path) -> None:
    _, table = history(planted=False)
    with standing(tmp_path, table.to_pandas(), NOW) as ground:
        outcome = Services().look(ground)
    assert (outcome.findings, outcome.notes, outcome.looked_at) == ((), (), 10)


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Two services that fail apart, one that is down for 20 minutes, and what is no incident."""
    early, late, down, scrape = np.full(N, 0.001), np.full(N, 0.001), np.ones(N), np.ones(N)
    early[300:330], late[600:630] = 0.2, 0.2
    down[500:504], scrape[500] = 0, 0
    but = {
        ("gateway", "DE"): {"errors": early},
        ("bff", "DE"): {"errors": late, "restarts": (200, 900)},
        ("bff", "US"): {"up": down},
        ("content", "US"): {"errors": 0.03},
        ("user", "US"): {"up": scrape},
        ("user", "DE"): {"requests": 3, "errors": np.where(np.arange(N) == 700, 1.0, 0.0)},
    }
    samples = platform(N, services=("gateway", "bff", "user", "content"), but=but)
    mine = (samples["service"] == "content") & (samples["region"] == "DE")
    gap = mine & (samples["ts"] > START + 20 * HOUR) & (samples["ts"] < START + 26 * HOUR)
    with standing(tmp_path_factory.mktemp("eventful"), samples[~gap], HAND_END) as ground:
        yield Services().look(ground)


def test_what_fails_apart_is_apart_and_the_usual_is_no_incident(eventful: Outcome) -> None:
    assert [(each.metric, each.segment["service"], each.segment["region"]) for each in eventful.findings] == [
        ("errors", "bff", "DE"),
        ("availability", "bff", "US"),
        ("errors", "gateway", "DE"),
    ]


def test_downtime_is_dated_between_samples(eventful: Outcome) -> None:
    down = one(eventful.findings, "availability")
    assert (down.onset.low, down.onset.high) == (START + 499 * FIVE, START + 500 * FIVE)
    assert down.ended == START + 503.5 * FIVE
    assert down.severity == Severity.CRITICAL
    # Four scrapes failed: down for more than 15 and less than 25 minutes.
    assert (down.unit, down.effect.to_dict()) == ("min", {"value": 20.0, "low": 15.0, "high": 25.0})


def test_services_that_flap_for_long_are_dated_by_the_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.episode_dating.MOST_QUESTIONS", 4)
    errors = np.full(N, 0.001)
    for first in range(0, N - 12, 72):
        errors[first : first + 12] = 0.3
    with standing(tmp_path, platform(N, but={("bff", "DE"): {"errors": errors}}), HAND_END) as ground:
        outcome = Services().look(ground)
    assert len(outcome.findings) == 16
    assert outcome.notes == ("16 bad stretches: too many to date each finely, some are dated by the hour",)
    assert all(each.ended is not None for each in outcome.findings)


def test_gaps_are_notes(eventful: Outcome) -> None:
    # By the hour: an hour that begins or ends with a sample is not unknown.
    assert eventful.notes == ("content in DE: no samples since 2026-01-05 21:00 until 2026-01-06 01:00",)


def test_series_that_stop_together_are_one_note_and_an_incident_may_last_until_then(tmp_path: Path) -> None:
    errors = np.full(N, 0.001)
    errors[-90:] = 0.3
    samples = platform(N, services=("gateway", "bff", "console"), but={("bff", "DE"): {"errors": errors}})
    # One that begins later than the rest is new, not missing.
    samples = samples[(samples["service"] != "console") | (samples["ts"] > START + 9 * HOUR)]
    stopped = (samples["service"] != "console") & (samples["ts"] > HAND_END - 7 * HOUR)
    with standing(tmp_path, samples[~stopped], HAND_END) as ground:
        outcome = Services().look(ground)
    assert outcome.notes == ("4 of 6 services and regions: no samples since 2026-01-08 17:10",)
    assert [(each.metric, each.ended) for each in outcome.findings] == [("errors", None)]


def test_what_is_new_is_found_by_ten_minutes(tmp_path: Path) -> None:
    n = N - 5  # the newest sample is of 23:35
    lasting, short = np.full(n, 0.001), np.full(n, 0.001)
    lasting[-6:] = 0.3
    short[-100:-97] = 0.03  # less than 1 % of its hour
    but = {("bff", "DE"): {"errors": lasting}, ("gateway", "US"): {"errors": short}}
    with standing(tmp_path, platform(n, but=but), HAND_END) as ground:
        now, brief = Services().look(ground).findings
    # The first sample that counts errors is of 23:10.
    assert now.onset.low <= HAND_END - 10 * FIVE <= now.onset.high
    assert now.ended is None
    assert now.summary.endswith("and it goes on.")
    began = START + (n - 100) * FIVE
    assert brief.onset.low <= began <= brief.onset.high
    assert brief.ended is not None
    assert abs(brief.ended - (began + 2.5 * FIVE)) <= FIVE


def test_hourly_samples_date_by_the_hour_and_say_so(tmp_path: Path) -> None:
    n = 20 * 24 + 1
    errors = np.full(n, 0.001)
    errors[200:204] = 0.2
    but = {("bff", "DE"): {"errors": errors}}
    with standing(tmp_path, platform(n, but=but, step_s=3_600), START + dt.timedelta(days=20)) as ground:
        (finding,) = Services().look(ground).findings
    assert (finding.onset.low, finding.onset.high) == (START + 199 * HOUR, START + 200 * HOUR)
    assert finding.effect.value == pytest.approx(0.2)


def test_without_samples_says_that_nothing_is_estimable(tmp_path: Path) -> None:
    with standing(tmp_path, None, HAND_END) as ground:
        outcome = Services().look(ground)
    assert outcome.findings == ()
    assert "not estimable: no sample" in outcome.notes[0]


def test_requests_pass_the_gateway_first() -> None:
    assert waits_for("gateway", "recommender")
    assert not waits_for("recommender", "content")
    assert not waits_for("console", "bff")
