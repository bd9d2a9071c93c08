"""The week in a series against weeks made by hand."""

import datetime as dt

import numpy as np
import pytest

from monitoring.drift.seasons import expected_by_day, weekday_factors

MONDAY = dt.date(2026, 1, 5)


def days(count: int) -> list[dt.date]:
    return [MONDAY + dt.timedelta(days=day) for day in range(count)]


def test_weekdays_are_found_beside_an_incident_and_a_trend() -> None:
    truth = np.array([0.8, 0.9, 1.0, 1.0, 1.1, 1.2, 1.0])
    span = days(70)
    clicks = np.array([truth[day.weekday()] for day in span]) * np.linspace(100, 80, 70)
    clicks[30:35] *= 0.5
    found = weekday_factors(clicks, np.full(70, 1_000.0), span)
    assert found == pytest.approx(truth, abs=0.01)
    assert expected_by_day(found, span[:7]) == pytest.approx(found)


def test_few_weeks_have_no_season() -> None:
    assert weekday_factors(np.arange(27), np.ones(27), days(27)).tolist() == [1.0] * 7


def test_days_without_a_figure_make_no_weekday() -> None:
    shown = np.full(56, 100.0)
    shown[3] = 0
    clicks = np.where(shown > 0, 10.0, 0.0)
    assert weekday_factors(clicks, shown, days(56)) == pytest.approx(np.ones(7))
    assert weekday_factors(np.zeros(56), np.zeros(56), days(56)).tolist() == [1.0] * 7
