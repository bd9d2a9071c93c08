"""Days of changes against series whose changes are known."""

import numpy as np
import pytest

from monitoring.drift import dating
from monitoring.drift.episodes import episodes


def series(seed: int, days: int = 100, noise: float = 0.05) -> np.ndarray:
    return 1 + noise * np.random.default_rng(seed).standard_normal(days)


def test_series_without_a_change_has_none() -> None:
    found = [len(dating.levels(series(seed), np.ones(100)).steps) for seed in range(60)]
    assert sum(count > 0 for count in found) <= 2


def test_interval_holds_the_day() -> None:
    held, off = 0, []
    for seed in range(80):
        values = series(seed)
        values[60:] *= 0.9
        steps = dating.levels(values, np.ones(100), sigma=0.05).steps
        near = min(steps, key=lambda step: abs(step.day - 60))
        held += near.low <= 60 <= near.high
        off.append(abs(near.day - 60))
    # 95 % of 80 less three standard errors.
    assert held >= 70
    assert np.mean(np.array(off) <= 3) > 0.85


def test_an_incident_is_told_with_its_end() -> None:
    values = series(3)
    values[40:46] *= 0.7
    (found,) = episodes(dating.levels(values, np.ones(100)), np.ones(100))
    assert (found.begin.day, found.stop, found.days) == (40, 46, 6)
    assert found.end is not None
    assert found.change == pytest.approx(-0.3, abs=0.06)


def test_a_step_stays_and_a_second_one_is_another() -> None:
    values = series(4, noise=0.02)
    values[30:] *= 0.8
    values[75:] *= 0.8
    found = episodes(dating.levels(values, np.ones(100)), np.ones(100))
    assert [(one.begin.day, one.end) for one in found] == [(30, None), (75, None)]


def test_days_without_a_figure_change_nothing() -> None:
    values = series(5)
    values[50:] *= 0.6
    values[[20, 55]] = np.nan
    weights = np.where(np.isnan(values), 0.0, 1.0)
    assert [step.day for step in dating.levels(values, weights).steps] == [50]


def test_a_decline_is_a_line_and_a_step_is_not() -> None:
    weights = np.ones(100)
    decline = series(6) * np.linspace(1, 0.4, 100)
    assert dating.line(decline, weights).cost < dating.levels(decline, weights).cost
    assert dating.line(decline, weights).last == pytest.approx(0.4, abs=0.03)
    step = series(7)
    step[50:] *= 0.7
    assert dating.line(step, weights).cost > dating.levels(step, weights).cost


def test_a_constant_or_short_series_has_no_change() -> None:
    assert dating.levels(np.ones(50), np.ones(50)).steps == ()
    assert dating.levels([1.0, 2.0], [1, 1]).steps == ()
    assert np.isnan(dating.levels([np.nan] * 9, [0.0] * 9).level).all()
    assert np.isnan(dating.line([np.nan] * 9, [0.0] * 9).first)


def test_the_day_of_a_release_has_an_interval_of_its_own() -> None:
    values = series(8, noise=0.02)
    values[30:] *= 0.8
    found = dating.step_at(values, np.ones(100), (10, 30, 60))
    assert (found.low, found.day, found.high) == (30, 30, 30)
    assert found.after / found.before == pytest.approx(0.8, abs=0.02)
