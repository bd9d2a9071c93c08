"""Runs: nothing that fails ends anything else, twice is once, and an alert is at its webhook within the minute."""

import datetime as dt
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring.alerts import outbox
from monitoring.alerts.silences import Silences
from monitoring.alerts.states import alerts_in
from monitoring.findings import Cause, Change, Finding, Severity
from monitoring.ground import Ground
from monitoring.objectives import ObjectiveAlert, ObjectiveStatus
from monitoring.remediation import SETTLING
from monitoring.reports import RunReport
from monitoring.runs import Runner, history, known_names, latest
from monitoring.watching import AT_LEAST, EVERY, watch
from recommender import activation, index
from telemetry.system.series import SeriesStore
from tests.monitoring.alarms import HOUR, KNOWN, NOW, Detects, finding, grounded, reading, receiving
from tests.telemetry.sampled import samples
from workspace import logs
from workspace.clock import FrozenClock
from workspace.errors import NotEstimableError, UnknownError
from workspace.ledger import Ledger

DRIFT = '[[rules]]\nname = "drift"\nkind = "finding"\ndetector = "drift.*"\n'
FLOOR = '[[rules]]\nname = "floor"\nkind = "measure"\nmeasure = "precision_at_5"\nop = "<"\nthreshold = 0.2\n'
OBJECTIVES = '[[rules]]\nname = "slo"\nkind = "objective"\nrunbook = "how to"\n'
HOOK = '[[routes]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\n'


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def ground(tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    monkeypatch.setenv("no_proxy", "*")
    with grounded(tmp_path / "home", clock) as opened:
        yield opened


def rules(ground: Ground, *parts: str) -> None:
    (ground.paths.monitoring / "alerts.toml").write_text("\n".join(parts))


def unexplained(found: Sequence[Finding], _: Ground) -> Sequence[Finding]:
    return found


def run(ground: Ground, *detectors: Detects, **given: Any) -> RunReport:
    return Runner(ground, detectors, **{"explain": unexplained, "known": KNOWN, **given}).run()


def test_a_run_finds_alerts_keeps_and_tells(ground: Ground) -> None:
    with receiving() as receiver:
        rules(ground, HOOK.format(url=receiver.url), DRIFT)
        report = run(ground, Detects(findings=(finding(),)), Detects(name="outliers.users"))
    assert report.ok
    assert [one.detector for one in report.outcomes] == ["drift.telemetry", "outliers.users"]
    assert [one["labels"]["market"] for one in report.firing()] == ["central_asia"]
    assert receiver.documents[0]["alerts"][0]["summary"] == "ctr fell by 38 % in central_asia."
    assert report.delivery is not None
    assert len(report.delivery["delivered"]) == 1
    kept = latest(ground.store)
    assert kept is not None
    assert (kept.run_id, kept.findings) == (report.run_id, (finding(),))
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["as_of"] is None  # nothing is rolled up here


def test_the_same_data_twice_change_and_send_nothing(ground: Ground, clock: FrozenClock) -> None:
    with receiving() as receiver:
        rules(ground, HOOK.format(url=receiver.url), DRIFT, FLOOR)
        given = {"read": lambda _: reading(0.15, 0.1, 0.25)}
        first = run(ground, Detects(findings=(finding(),)), **given)
        clock.advance(HOUR)
        second = run(ground, Detects(findings=(finding(),)), **given)
    assert len(receiver.got) == 2  # one of each rule
    assert (second.run_id, len(history(ground.store))) == (first.run_id, 1)
    assert history(ground.store)[0].finished_at == NOW + HOUR
    assert second.alerts["messages"] == 0
    clock.advance(HOUR)
    third = run(ground, Detects(), **given)
    assert [one.run_id for one in history(ground.store)] == [third.run_id, first.run_id]


def test_names_that_no_store_takes_lose_no_alert(ground: Ground) -> None:
    name = "Stu\0dio \ud800"
    with receiving() as receiver:
        rules(ground, HOOK.format(url=receiver.url), DRIFT)
        report = run(ground, Detects(findings=(finding(market=name, evidence={name: name}),)))
    assert report.firing()[0]["labels"]["market"] == "Stu\ufffddio ?"
    assert receiver.documents[0]["alerts"][0]["summary"] == "ctr fell by 38 % in Stu\ufffddio ?."
    assert latest(ground.store) is not None


def test_evidence_that_is_sampled_makes_no_new_run(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    rules(ground, DRIFT)
    run(ground, Detects(findings=(finding(evidence={"share": 0.40}),)))
    run(ground, Detects(findings=(finding(evidence={"share": 0.42}),)))
    assert [one.findings[0].evidence for one in history(ground.store)] == [{"share": 0.42}]
    monkeypatch.setattr("monitoring.runs.MOST_KEPT", 2)
    for metric in ("a", "b", "c", "d"):
        ground.clock.advance(HOUR)  # type: ignore[attr-defined] # it is frozen here
        run(ground, Detects(findings=(finding(metric),)))
    assert [one.findings[0].metric for one in history(ground.store)] == ["d", "c"]


def test_a_detector_that_fails_ends_no_other_and_keeps_its_alerts(ground: Ground) -> None:
    rules(ground, DRIFT)
    handler = logs.configure(ground.paths)
    run(ground, Detects(findings=(finding(),)))
    other = Detects(name="outliers.users")
    report = run(ground, Detects(error=ZeroDivisionError("oops")), other)
    handler.close()
    assert other.looks == 1
    (fault,) = report.faults
    assert (fault.where, fault.defect) == ("detector drift.telemetry", True)
    assert "this is a defect: ZeroDivisionError: oops" in fault.what
    assert not report.ok
    assert (len(report.firing()), report.alerts["held"]) == (1, 1)
    assert "ZeroDivisionError" in (ground.paths.logs / logs.LOG_FILE).read_text()
    named = run(ground, Detects(error=NotEstimableError("3 days", "must be 28", "wait")))
    assert (named.faults[0].what, named.faults[0].limit, named.faults[0].defect) == ("3 days", "must be 28", False)
    # And when it looks again and finds nothing, the alert is over.
    assert run(ground, Detects()).firing() == ()


def test_a_detector_that_was_not_asked_keeps_its_alerts(ground: Ground) -> None:
    rules(ground, DRIFT)
    drift, users = Detects(findings=(finding(),)), Detects(name="outliers.users")
    run(ground, drift, users)
    report = run(ground, drift, users, only=["outliers.users"])
    assert (drift.looks, users.looks, len(report.firing())) == (1, 2, 1)
    # The report is about all of them all the same.
    assert [one.detector for one in report.outcomes] == ["drift.telemetry", "outliers.users"]
    kept = latest(ground.store)
    assert kept is not None
    assert kept.findings == (finding(),)
    with pytest.raises(UnknownError, match=r"detector == 'drift'.*the detectors are drift\.telemetry"):
        run(ground, drift, only=["drift"])


def test_causes_are_filled_in_and_their_failure_costs_only_them(ground: Ground) -> None:
    rules(ground, DRIFT)
    change = Change(kind="index_version", name="v7", at=NOW, summary="v7 went live")

    def explain(found: Sequence[Finding], _: Ground) -> Sequence[Finding]:
        cause = Cause(change=change, weight=0.8, reason="the day before")
        return [finding(one.metric, detector=one.detector, causes=(cause,)) for one in found]

    both = (
        Detects(findings=(finding(),)),
        Detects(name="outliers.users", findings=(finding(detector="outliers.users"),)),
    )
    report = run(ground, *both, explain=explain)
    assert [[one.causes[0].change.name for one in outcome.findings] for outcome in report.outcomes] == [["v7"], ["v7"]]
    ((alert, _),) = alerts_in(ground.store, NOW)
    assert alert.evidence["likely_causes"] == ["v7 went live (the day before)"]

    def fails(_: Sequence[Finding], __: Ground) -> Sequence[Finding]:
        raise ValueError("no changes")

    report = run(ground, *both, explain=fails)
    assert ([fault.where for fault in report.faults], len(report.findings)) == (["causes"], 2)
    assert [fault.where for fault in run(ground, *both, explain=lambda found, _: found[:1]).faults] == ["causes"]


def test_a_bad_rule_is_a_fault_and_the_others_go_on(ground: Ground) -> None:
    rules(ground, DRIFT, FLOOR)
    run(ground, Detects(), read=lambda _: reading(0.1))
    rules(ground, DRIFT, FLOOR.replace("precision_at_5", "precison"))
    report = run(ground, Detects(findings=(finding(),)))
    (fault,) = report.faults
    assert fault.where == "rule floor"
    assert "known are precision_at_5" in fault.hint
    # What it said before stands: nobody has looked since.
    assert sorted(one["rule"] for one in report.firing()) == ["drift", "floor"]


def test_a_file_that_can_not_be_read_leaves_every_alert(ground: Ground) -> None:
    rules(ground, DRIFT)
    run(ground, Detects(findings=(finding(),)))
    rules(ground, "[[rules")
    report = run(ground, Detects())
    assert [fault.where for fault in report.faults] == ["rules"]
    assert len(alerts_in(ground.store, NOW)) == 1


@pytest.mark.parametrize(
    ("severity", "ended", "fires"),
    [
        (Severity.INFO, None, False),
        (Severity.CRITICAL, None, True),
        (Severity.WARNING, NOW - dt.timedelta(days=1), False),  # it is told as over, and fires no more
        (Severity.WARNING, NOW - dt.timedelta(days=3), False),
    ],
)
def test_findings_are_alerts_by_severity_and_age(
    ground: Ground, severity: Severity, ended: dt.datetime | None, fires: bool
) -> None:
    rules(ground, DRIFT)
    found = finding(severity=severity, ended=ended, began=NOW - dt.timedelta(days=4))
    report = run(ground, Detects(findings=(found,)))
    assert bool(report.firing()) is fires
    assert len(report.alerts["passed"]) == (ended == NOW - dt.timedelta(days=1))


@pytest.mark.parametrize(
    ("bound", "low", "high", "fires"),
    [("value", 0.1, 0.3, True), ("sure", 0.1, 0.3, False), ("sure", 0.1, 0.19, True), ("sure", None, None, False)],
)
def test_measures_are_alerts_by_value_or_by_their_whole_interval(
    ground: Ground, bound: str, low: float | None, high: float | None, fires: bool
) -> None:
    rules(ground, f'{FLOOR}bound = "{bound}"')
    report = run(ground, read=lambda _: reading(0.15, low, high))
    assert bool(report.firing()) is fires
    assert report.readings["floor"]["value"] == 0.15
    assert bool(report.notes) is (low is None)


def test_a_measure_that_is_not_estimable_says_so_and_resolves_nothing(ground: Ground) -> None:
    rules(ground, FLOOR)
    run(ground, read=lambda _: reading(0.15))
    report = run(ground, read=lambda _: reading(None, note="not estimable: 3 of 28 days"))
    assert report.notes == ("measure precision_at_5 can't be judged: not estimable: 3 of 28 days",)
    assert (report.ok, len(report.firing())) == (True, 1)

    def fails(_: str) -> Any:
        raise ConnectionError("gone")

    broken = run(ground, read=fails)
    assert ([fault.where for fault in broken.faults], len(broken.firing())) == (["rule floor"], 1)


def status(standing: Any, *alerts: ObjectiveAlert) -> ObjectiveStatus:
    return ObjectiveStatus(
        name="latency", title="Fast", kind="budget", segment={}, target=0.95, unit="share",
        window=dt.timedelta(days=28), attained=None, remaining=None, standing=standing, alerts=alerts,
        note="no samples",
    )  # fmt: skip


def test_objectives_are_alerts_page_and_ticket(ground: Ground) -> None:
    rules(ground, OBJECTIVES, f'{OBJECTIVES.replace("slo", "pages")}level = "page"\n')
    place = {"service": "gateway", "region": "DE"}
    page = ObjectiveAlert(objective="latency", level="page", segment=place, rule="14.4", text="Slow.", value=15.0)
    report = run(ground, statuses=lambda: [status("missed", page)])
    assert sorted((one["rule"], one["severity"]) for one in report.firing()) == [
        ("pages", "critical"),
        ("slo", "critical"),
    ]
    ((alert, _), _) = alerts_in(ground.store, NOW)
    assert (alert.summary, alert.labels["region"], alert.runbook, alert.value) == ("Slow.", "DE", "how to", 15.0)
    # Without samples nothing is over.
    assert len(run(ground, statuses=lambda: [status("unknown")]).firing()) == 2
    ticket = ObjectiveAlert(objective="latency", level="ticket", segment=place, rule="3", text="Slowish.", value=3.0)
    report = run(ground, statuses=lambda: [status("at_risk", ticket)])
    assert [(one["rule"], one["severity"]) for one in report.firing()] == [("slo", "warning")]


@pytest.fixture
def versions(ground: Ground) -> list[str]:
    made = [
        index.write_version(ground.paths, vectors=np.eye(4, dtype=np.float32) * scale, blocks={"only": (0, 4)}).version
        for scale in (1.0, 2.0, 3.0)
    ]
    for version in made:
        activation.activate(ground.paths, Ledger(ground.store), version, actor="cli")
    return made


@pytest.mark.parametrize(
    ("mode", "high", "state"),
    [("off", 0.18, None), ("propose", 0.18, "proposed"), ("perform", 0.25, "proposed"), ("perform", 0.18, "performed")],
)
def test_remediation_is_performed_only_when_set_and_sure(
    ground: Ground, versions: list[str], mode: str, high: float, state: str | None
) -> None:
    rules(ground, f'{FLOOR}remediation = "{mode}"')
    report = run(ground, read=lambda _: reading(0.15, 0.1, high))
    assert [one["state"] for one in report.remediations] == ([state] if state else [])
    assert index.current_version(ground.paths) == versions[1 if state == "performed" else 2]
    summary = report.firing()[0]["summary"]
    assert ("goes back to" in summary, "it went back from" in summary) == (state == "proposed", state == "performed")
    # Again: the same, and no version further.
    again = run(ground, read=lambda _: reading(0.15, 0.1, high))
    assert [one["state"] for one in again.remediations] == [one["state"] for one in report.remediations]
    assert index.current_version(ground.paths) == versions[1 if state == "performed" else 2]
    assert again.firing()[0]["summary"] == summary


def test_nothing_is_performed_while_it_is_silenced_or_pending(
    ground: Ground, versions: list[str], clock: FrozenClock
) -> None:
    rules(ground, f'{FLOOR}remediation = "perform"\nfor = "2h"')
    low = {"read": lambda _: reading(0.15, 0.1, 0.18)}
    assert run(ground, **low).remediations == ()
    Silences(ground.store, clock=clock).add({"rule": "floor"}, "we are at it", SETTLING, "ops")
    clock.advance(2 * HOUR)
    assert [one["state"] for one in run(ground, **low).remediations] == ["proposed"]
    assert index.current_version(ground.paths) == versions[2]


def test_what_is_not_sent_waits(ground: Ground) -> None:
    with receiving() as receiver:
        rules(ground, HOOK.format(url=receiver.url), DRIFT)
        report = run(ground, Detects(findings=(finding(),)), send=False)
        assert (report.delivery, outbox.waiting(ground.store), receiver.got) == (None, 1, [])
        run(ground, Detects(findings=(finding(),)))
        assert (outbox.waiting(ground.store), len(receiver.got)) == (0, 1)


def test_watching_tells_of_new_data_within_a_minute(ground: Ground, clock: FrozenClock) -> None:
    """The clock stands still but for the waits of the watch, so that what it waits is what it would wait."""
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        clock.advance(dt.timedelta(seconds=seconds))
        if len(waited) == 3:
            ground.ledger.append("somebody", "index.switch", "v7")  # the news
            detector.findings = (finding(),)

    detector = Detects()
    with receiving() as receiver:
        rules(ground, HOOK.format(url=receiver.url), DRIFT)
        watched = watch(ground, lambda only: run(ground, detector, only=only), wait)
        assert next(watched).firing() == ()
        begun = time.monotonic()
        assert len(next(watched).firing()) == 1
        assert len(receiver.got) == 1
        assert time.monotonic() - begun < 30
    # Found at the first look after the news came: at most one wait of 10 s and the run itself lie between.
    assert waited == [10, 10, 10]


def test_watching_asks_only_those_to_whom_it_is_news(ground: Ground, clock: FrozenClock) -> None:
    asked: list[Sequence[str] | None] = []

    def once(only: Sequence[str] | None) -> RunReport:
        asked.append(only)
        return run(ground, Detects())

    def wait(seconds: float) -> None:
        clock.advance(dt.timedelta(seconds=seconds))
        if len(asked) == 2:
            SeriesStore(ground.paths).append(samples(2, start=clock.now() - dt.timedelta(minutes=5)))
        if len(asked) == 3:
            ground.ledger.append("somebody", "index.switch", "v7")

    rules(ground, DRIFT)
    watched = watch(ground, once, wait)
    for _ in range(4):
        next(watched)
    services = ("objectives.services", "outliers.requests")
    # At first all; after five minutes without news, and at new samples, those of the services; at a switch all.
    assert asked == [None, services, services, None]
    assert clock.now() - NOW == AT_LEAST + 2 * EVERY


def test_known_names_are_those_there_are(ground: Ground) -> None:
    known = known_names(ground, [Detects(metrics=("ctr",)), Detects(name="outliers.users", metrics=())])
    assert known.detectors == {"drift.telemetry": ("ctr",), "outliers.users": ("*",)}
    assert {"precision_at_5", "freshness_days"} <= set(known.measures)
    assert known.objectives is not None
    assert "latency" in known.objectives
    (ground.paths.monitoring / "objectives.toml").write_text("[[")
    assert known_names(ground, []).objectives is None
