"""The specification of a history, and what fits into its weeks."""

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest

from data.synthetic.history import HistorySpec, users_of_scale
from data.synthetic.history.plan import plan
from workspace.errors import InvalidValueError, UnknownError

END = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("users", 0), ("users", 1.5), ("users", True), ("users", 100_000_001), ("weeks", 0), ("weeks", 521),
        ("seed", -1), ("films", 7), ("films", "600"), ("events_per_user_week", 0.5),
        ("events_per_user_week", float("nan")), ("recent_step_min", 7), ("recent_step_min", 0),
        ("earlier_step_min", 120), ("end", "2026-01-01"), ("end", date(1980, 1, 1)),
        ("end", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_history_spec_refuses_values_outside_their_limits(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        HistorySpec(**{field: value})


def test_history_spec_ends_today_by_default_and_starts_whole_weeks_before() -> None:
    assert abs((HistorySpec().end - datetime.now(tz=UTC).date()).days) <= 1
    assert HistorySpec(weeks=26, end=END).start == date(2025, 9, 1)


def test_scale_is_known_or_named() -> None:
    assert users_of_scale("1m") == 1_000_000
    with pytest.raises(UnknownError, match="1m"):
        users_of_scale("2m")


@pytest.mark.parametrize("weeks", [1, 2, 3, 5, 8, 12, 26, 52])
def test_plan_runs_one_experiment_at_a_time_and_names_what_it_left_out(weeks: int) -> None:
    made = plan(HistorySpec(weeks=weeks, end=END))
    windows = [one.window for one in made.experiments]
    assert all(before.stop <= after.first for before, after in pairwise(windows))
    assert all(window.first >= 0 and window.stop <= made.spec.days for window in windows)
    assert len(made.experiments) == max(1, min(5, weeks // 2))
    assert {one.name for one in made.experiments} | {line.split(":")[0] for line in made.left_out} == {
        "exp_ctr_lift", "exp_thumbs_harm", "exp_aa", "exp_srm", "exp_novelty",
    }  # fmt: skip
    if weeks >= 2:
        assert all(14 <= window.stop - window.first <= 28 for window in windows)


@pytest.mark.parametrize("weeks", [1, 2, 8, 26])
def test_plan_serves_one_index_version_a_day_and_one_of_them_leaks(weeks: int) -> None:
    made = plan(HistorySpec(weeks=weeks, end=END))
    serving = [[one.name for one in made.versions if one.window.has(day)] for day in range(made.spec.days)]
    assert all(len(names) == 1 for names in serving)
    assert sum(one.leaks for one in made.versions) == 1
    assert sum(one.broken for one in made.versions) == 1
    broken = next(one for one in made.versions if one.broken)
    assert (broken.window.first, broken.window.stop) == (made.incident.first, made.incident.stop)


def test_plan_puts_what_the_services_suffer_into_the_last_two_weeks() -> None:
    made = plan(HistorySpec(weeks=26, end=END))
    for window in (made.latency, made.memory_leak, made.provider_outage):
        assert made.spec.days - 14 <= window.first < window.stop <= made.spec.days
    assert made.moment(made.latency.first).isoformat() == "2026-02-28T17:00:00+00:00"
