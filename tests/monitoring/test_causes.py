"""Likely causes: the nearest, most plausible change that reaches the place; nothing when nothing fits."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.causes import LEAST_WEIGHT, UNKNOWN, explain, ranked
from monitoring.findings import Change, Finding, Interval, Onset, Severity
from tests.monitoring.conftest import END, Watched

DAY = dt.timedelta(days=1)
NOON = dt.datetime(2026, 3, 20, tzinfo=dt.UTC)
MARKETS = {"DE": "western_europe", "KZ": "central_asia"}


def found(metric: str = "ctr", detector: str = "drift.telemetry", ended: dt.datetime | None = None, slack: float = 1,
          at: dt.datetime = NOON, **segment: str) -> Finding:  # fmt: skip
    return Finding(
        detector=detector,
        metric=metric,
        segment=segment,
        onset=Onset(at=at, low=at - slack * DAY, high=at + slack * DAY),
        ended=ended,
        effect=Interval(value=-0.1),
        unit="relative",
        severity=Severity.WARNING,
        summary="",
    )


def change(kind: Any = "index_version", days: float = 0, name: str = "v2", **more: Any) -> Change:
    return Change(kind=kind, name=name, at=NOON + days * DAY, **more)


def test_a_change_at_the_beginning_is_likely_and_no_more() -> None:
    (cause,) = ranked(found(), [change()])
    assert cause.weight == pytest.approx(1 / (1 + UNKNOWN))
    assert cause.reason == "within the interval of the beginning"


def test_the_nearer_change_weighs_more() -> None:
    near, far = change(days=-0.5, name="near"), change(days=-3, name="far")
    assert next(cause.change.name for cause in ranked(found(), [far, near])) == "near"


def test_what_came_long_before_or_well_after_is_no_cause() -> None:
    assert ranked(found(), [change(days=-6), change(days=3)]) == ()


def test_what_came_after_a_beginning_known_to_the_minute_is_no_cause() -> None:
    minute = found("latency", "objectives.services", slack=0.002, at=NOON + dt.timedelta(hours=13), service="bff")
    assert ranked(minute, [change(days=1)]) == ()
    assert ranked(minute, [change(days=0.5)])
    # Of a beginning known to the day, what came in the course of that day may be the cause.
    assert ranked(found(slack=0), [change(days=0.6)])


def test_an_experiment_is_no_cause_of_robots() -> None:
    assert ranked(found("bots", "outliers.users"), [change("experiment")]) == ()


def test_a_change_elsewhere_is_no_cause() -> None:
    elsewhere = change("experiment", segment={"region": "DE"})
    assert ranked(found(region="KZ"), [elsewhere], MARKETS) == ()
    assert ranked(found(market="central_asia"), [elsewhere], MARKETS) == ()
    assert ranked(found(market="western_europe"), [elsewhere], MARKETS)


def test_a_version_that_went_with_the_finding_weighs_more_than_one_that_stayed() -> None:
    gone = change(until=NOON + 5 * DAY, name="gone")
    stayed = change(name="stayed")
    causes = ranked(found(ended=NOON + 5 * DAY), [stayed, gone])
    assert [cause.change.name for cause in causes] == ["gone", "stayed"]
    assert causes[0].weight / causes[1].weight == pytest.approx(1.5)
    assert causes[0].reason.endswith("over at the same time")


def test_a_finding_of_a_version_names_that_version() -> None:
    causes = ranked(found(index_version="v2"), [change(days=-1, name="v2"), change("catalogue", days=-1, name="c1")])
    assert causes[0].change.name == "v2"


def test_a_gap_of_films_is_laid_to_an_incident_rather_than_to_a_version() -> None:
    gap = found(metric="gap", detector="drift.exposure")
    causes = ranked(gap, [change("index_version"), change("incident", name="errors content")])
    assert causes[0].change.kind == "incident"


def test_an_incident_does_not_explain_itself() -> None:
    one = found(metric="latency", detector="objectives.services", service="bff")
    assert ranked(one, [change("incident", segment={"service": "bff"})]) == ()


def test_the_end_of_a_version_is_told_as_the_beginning_of_the_next() -> None:
    before, after = change(days=-30, until=NOON, name="v1"), change(name="v2")
    assert [cause.change.name for cause in ranked(found(), [before, after])] == ["v2"]


def test_the_end_of_an_experiment_may_be_a_cause() -> None:
    (cause,) = ranked(found(), [change("experiment", days=-14, until=NOON)])
    assert cause.reason.startswith("its end is near")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["index_version", "feature_version", "provider", "catalogue", "experiment", "incident"]),
            st.floats(-10, 10),
        ),
        max_size=12,
    )
)
def test_weights_never_sum_to_certainty(drawn: list[tuple[Any, float]]) -> None:
    causes = ranked(found(), [change(kind, days, name=str(place)) for place, (kind, days) in enumerate(drawn)])
    weights = [cause.weight for cause in causes]
    assert sum(weights) < 1
    assert weights == sorted(weights, reverse=True)
    assert all(weight >= LEAST_WEIGHT for weight in weights)
    assert len(weights) <= 3


def test_explain_says_that_nothing_known_changed(watched: Watched) -> None:
    (one,) = explain([found(at=NOON)], watched.ground, incidents=())
    assert one.causes == ()
    assert one.evidence["cause"].startswith("no known change between 2026-03-15 and 2026-03-22")


def test_explain_takes_incidents_of_the_same_run(watched: Watched) -> None:
    moment = dt.datetime.combine(END, dt.time(), dt.UTC)
    errors = found(metric="errors", detector="objectives.services", at=moment, slack=0.01, service="content")
    gap = found(metric="gap", detector="drift.exposure", at=moment, slack=0.05, provider="boreal")
    first, second = explain([errors, gap], watched.ground)
    assert second.causes[0].change.kind == "incident"
    assert second.evidence["cause"].startswith("likely: ")
    # The gap is told as a change of the provider, and may explain the errors: it is for people to say which was first.
    assert {cause.change.kind for cause in first.causes} <= {"provider"}


def test_explain_of_nothing_is_nothing(watched: Watched) -> None:
    assert explain([], watched.ground) == ()
