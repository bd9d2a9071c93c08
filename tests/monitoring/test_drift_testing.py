"""Tests of ratios against scipy where they coincide, against another implementation, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from monitoring.drift.testing import Days, paired, welch
from telemetry.statistics import relative_change
from workspace.errors import InvalidValueError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_260_302)


def visitors(rng: np.random.Generator, units: int, windows: int) -> tuple[np.ndarray, np.ndarray]:
    """Users who differ far more than chance would have it: how often they come, and how readily they click."""
    activity, taste = rng.gamma(1.5, 20, units), rng.beta(2, 18, units)
    shown = rng.poisson(activity[:, None], (units, windows))
    return rng.binomial(shown, taste[:, None]), shown


def test_paired_with_equal_denominators_is_the_paired_t_of_scipy(rng: np.random.Generator) -> None:
    before = rng.gamma(2, 1, 60)
    now = before + rng.normal(0.1, 0.4, 60) + 1
    one = np.ones(60)
    found = paired(now, one, before, one)
    assert found.t[0] == pytest.approx(stats.ttest_rel(now, before).statistic, rel=1e-9)
    assert found.now[0] == pytest.approx(now.mean())


def test_welch_with_equal_denominators_is_the_t_test_of_scipy(rng: np.random.Generator) -> None:
    now, before = rng.gamma(2, 1, 120), rng.gamma(2, 1.5, 180)
    found = welch(now, np.ones(120), before, np.ones(180))
    expected = stats.ttest_ind(now, before, equal_var=False)
    assert found.t[0] == pytest.approx(expected.statistic, rel=1e-9)
    assert found.df[0] == pytest.approx(expected.df, rel=1e-9)
    assert found.p[0] == pytest.approx(expected.pvalue, rel=1e-9)


def test_interval_is_that_of_the_log_quotient(rng: np.random.Generator) -> None:
    x, y = visitors(rng, 500, 2)
    found = paired(x[:, 1], y[:, 1], x[:, 0], y[:, 0])
    sums = np.column_stack([x[:, 1], y[:, 1], x[:, 0], y[:, 0]])
    change, low, high = relative_change(sums.mean(axis=0), np.cov(sums.T), 500)
    ours = found.interval()
    assert ours[0][0] == pytest.approx(change, rel=1e-9)
    # Theirs has one degree of freedom less than users, ours two less than users of both windows by their weight.
    assert ours[1][0] == pytest.approx(low, abs=2e-3)
    assert ours[2][0] == pytest.approx(high, abs=2e-3)


def test_slope_is_the_t_of_the_slopes_of_units(rng: np.random.Generator) -> None:
    x = rng.gamma(2, 1, (80, 10)) + np.linspace(0, 0.4, 10)
    slopes = np.array([np.polyfit(np.arange(10), row, 1)[0] for row in x])
    found = Days.of(x, np.ones_like(x)).slope()
    assert found.t[0] == pytest.approx(stats.ttest_1samp(slopes, 0).statistic, rel=1e-9)
    first, last = np.polyval(np.polyfit(np.arange(10), x.mean(axis=0), 1), [0, 9])
    assert np.exp(found.log_change[0]) == pytest.approx(last / first, rel=1e-9)


def test_users_who_resemble_themselves_alarm_in_five_of_a_hundred_and_events_far_more(
    rng: np.random.Generator,
) -> None:
    repeats, ours, naive = 600, 0, 0
    for _ in range(repeats):
        x, y = visitors(rng, 150, 2)
        keep = rng.random((150, 2)) < 0.6  # who comes in one week need not come in the next
        x, y = x * keep, y * keep
        ours += paired(x[:, 1], y[:, 1], x[:, 0], y[:, 0]).p[0] < 0.05
        table = [[x[:, at].sum(), y[:, at].sum() - x[:, at].sum()] for at in (0, 1)]
        naive += stats.chi2_contingency(table, correction=False).pvalue < 0.05
    # Three standard errors of a share of 5 % in 600 are 2.7 points.
    assert 0.023 < ours / repeats < 0.077
    assert naive / repeats > 0.10


def test_season_is_taken_out_of_the_comparison() -> None:
    x = np.array([[10.0, 20.0], [30.0, 60.0], [20.0, 40.0]] * 10)
    y = np.full((30, 2), 100.0)
    found = Days.of(x + np.arange(30)[:, None] % 2, y).compare([0, 1], [1, 0], season=[1.0, 2.0])
    assert found.now[0] == pytest.approx((x[:, 1] + np.arange(30) % 2).sum() / 6_000)
    assert abs(found.log_change[0]) < 0.02


def test_few_units_are_not_estimable_and_one_robot_is_one_unit(rng: np.random.Generator) -> None:
    x, y = visitors(rng, 15, 2)
    assert np.isnan(paired(x[:, 1], y[:, 1], x[:, 0], y[:, 0]).p[0])
    x, y = visitors(rng, 400, 2)
    x[0, 1] = 100_000
    y[0, 1] = 110_000
    assert np.isnan(paired(x[:, 1], y[:, 1], x[:, 0], y[:, 0]).p[0])


def test_constant_and_empty_series_are_not_estimable() -> None:
    same = np.full(50, 3.0)
    assert np.isnan(paired(same, same, same, same).p[0])
    nothing = np.zeros(50)
    assert np.isnan(paired(nothing, nothing, same, same).p[0])


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="shapes"):
        Days.of(np.ones((3, 4)), np.ones((3, 5)))
