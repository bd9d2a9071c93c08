"""Questions: what may be asked, and which moments are answered for."""

import datetime as dt
from typing import Any

import numpy as np
import pytest

from telemetry.system.questions import Kind, Known, Series, SystemQuestion, answer_frame, asked
from workspace.errors import InvalidValueError

DAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def question(**changes: Any) -> SystemQuestion:
    return SystemQuestion(**{"kind": Kind.CPU, "start": DAY, "end": DAY + 3 * HOUR, "step": HOUR} | changes)


def hours_of(one: SystemQuestion) -> list[float]:
    return ((one.times - DAY.timestamp()) / 3600).tolist()


def test_question_answers_for_the_ends_of_whole_steps() -> None:
    assert hours_of(question()) == [1, 2, 3]
    # The first window must begin, and the last end, inside.
    assert hours_of(question(start=DAY + dt.timedelta(minutes=1))) == [2, 3]
    assert hours_of(question(end=DAY + 3 * HOUR - dt.timedelta(seconds=1))) == [1, 2]


def test_question_reads_other_time_zones() -> None:
    moved = dt.timezone(dt.timedelta(hours=5))
    assert hours_of(question(start=DAY.astimezone(moved), end=(DAY + 3 * HOUR).astimezone(moved))) == [1, 2, 3]


@pytest.mark.parametrize(("step", "window_s"), [(15, 600), (60, 600), (420, 840), (600, 600), (3600, 3600)])
def test_question_window_holds_two_samples_at_any_step(step: int, window_s: int) -> None:
    assert question(step=dt.timedelta(seconds=step)).window_s == window_s


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": DAY + 3 * HOUR}, "must be before"),
        ({"end": dt.datetime(2026, 1, 6)}, "must be an aware"),  # noqa: DTZ001 - that is the point
        ({"step": dt.timedelta(seconds=14)}, "at least 15"),
        ({"step": dt.timedelta(seconds=15.5)}, "whole seconds"),
        ({"step": dt.timedelta(days=1)}, "shorter step"),
        ({"start": DAY + dt.timedelta(minutes=30), "end": DAY + dt.timedelta(minutes=95)}, "shorter step"),
        ({"end": DAY + dt.timedelta(days=4000)}, "at most 20,000"),
        ({"quantile": 1.5}, "must be <= 1"),
        ({"quantile": float("nan")}, "finite"),
        ({"limit_s": 0.9}, "must be one of 0.05, 0.1"),
        ({"limit_s": float("inf")}, "must be one of"),
        ({"by": ("device",)}, "by == 'device'"),
        ({"services": ()}, "must name at least one"),
    ],
)
def test_question_outside_its_limits_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        question(**changes)


def test_asked_makes_a_question_of_a_scope() -> None:
    one = asked(Kind.WITHIN_LATENCY, {"start": DAY, "end": DAY + HOUR, "step": HOUR, "services": ["bff"]}, limit_s=0.5)
    assert (one.services, one.regions, one.by, one.limit_s) == (("bff",), None, ("service", "region"), 0.5)


def test_answer_frame_is_sorted_whole_and_without_empty_series() -> None:
    nothing = np.full(3, np.nan)
    found = [
        Series("user", "US", np.array([1.0, np.nan, 3.0])),
        Series("bff", "US", nothing),
        Series("bff", "DE", np.zeros(3)),
    ]
    frame = answer_frame(question(), found)
    assert frame["service"].tolist() == ["bff"] * 3 + ["user"] * 3
    assert frame["ts"].tolist()[:3] == [DAY + HOUR, DAY + 2 * HOUR, DAY + 3 * HOUR]
    assert frame["value"].isna().tolist() == [False] * 4 + [True, False]
    assert answer_frame(question(), []).dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()
    assert str(frame["ts"].dtype) == "datetime64[us, UTC]"


def test_known_puts_services_in_the_order_of_a_request() -> None:
    assert Known.of(["user", "zebra", "bff", "gateway"], ["US", "DE", "US"]).services == (
        "gateway",
        "bff",
        "user",
        "zebra",
    )
