"""Intervals of ratios: by hand, beside scipy, and how often they hold the truth of a simulated world."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from telemetry.statistics import Moments, correlation, distinct_users, ratios, relative_change
from workspace.errors import InvalidValueError

SEED = 20_260_301
TRUTH = 0.1
USERS = 250
RUNS = 300


def moments_of(x: np.ndarray, y: np.ndarray) -> Moments:
    """Moments of one cell of units."""
    covariance = np.cov(x, y)
    contributing = np.count_nonzero((x != 0) | (y != 0))
    figures = (len(x), contributing, x.mean(), y.mean(), covariance[0, 0], covariance[1, 1], covariance[0, 1])
    names = ("units", "contributing", "mean_x", "mean_y", "var_x", "var_y", "cov_xy")
    return Moments(**{name: np.array([float(figure)]) for name, figure in zip(names, figures, strict=True)})


def world(rng: np.random.Generator, users: int = USERS) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and impressions of users whose own rates differ, so that events of one user resemble one another.

    Rates are drawn apart from activity: the ratio of sums is their mean, 0.1.
    """
    shown = rng.negative_binomial(2, 0.05, users) + 1
    rate = rng.beta(1.0, 9.0, users)
    return rng.binomial(shown, rate).astype(float), shown.astype(float)


def test_ratios_are_those_computed_by_hand() -> None:
    x, y = np.array([1.0, 2.0, 0.0, 3.0]), np.array([4.0, 5.0, 2.0, 9.0])
    found = ratios(moments_of(x, y))
    value = 6 / 20
    # Residuals by hand: 1-1.2, 2-1.5, 0-0.6, 3-2.7; their squares add up to 0.74.
    error = np.sqrt(0.74 / 3 / 4) / 5
    assert found.value[0] == pytest.approx(value)
    assert found.high[0] - found.value[0] == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert found.value[0] - found.low[0] == pytest.approx(found.high[0] - found.value[0])


def test_ratios_of_constant_denominators_are_the_interval_of_a_mean() -> None:
    x = np.random.default_rng(SEED).normal(5, 2, 40)
    found = ratios(moments_of(x, np.ones(40)))
    low, high = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert (found.low[0], found.high[0]) == pytest.approx((low, high))


def test_ratios_do_not_depend_on_units_that_contribute_nothing() -> None:
    x, y = world(np.random.default_rng(SEED))
    idle = np.zeros(500)
    alone, among = ratios(moments_of(x, y)), ratios(moments_of(np.append(x, idle), np.append(y, idle)))
    assert among.value[0] == pytest.approx(alone.value[0])
    assert among.low[0] == pytest.approx(alone.low[0])


def test_ratios_hold_the_truth_as_often_as_they_say_by_user() -> None:
    rng = np.random.default_rng(SEED)
    holds, naive = 0, 0
    for _ in range(RUNS):
        x, y = world(rng)
        found = ratios(moments_of(x, y))
        holds += found.low[0] <= TRUTH <= found.high[0]
        share, shown = x.sum() / y.sum(), y.sum()
        naive += abs(share - TRUTH) <= 1.96 * np.sqrt(share * (1 - share) / shown)
    # 95 % within three binomial standard errors; an interval by event holds the truth far too rarely.
    assert holds / RUNS == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / RUNS))
    assert naive / RUNS < 0.75


def test_ratios_hold_the_truth_as_often_as_they_say_by_random_group() -> None:
    rng = np.random.default_rng(SEED + 1)
    holds = 0
    for _ in range(RUNS):
        x, y = world(rng, 2_000)
        group = rng.integers(0, 128, 2_000)
        found = ratios(moments_of(np.bincount(group, x, 128), np.bincount(group, y, 128)))
        holds += found.low[0] <= TRUTH <= found.high[0]
    assert holds / RUNS == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / RUNS))


def test_ratios_of_nothing_are_not_estimable() -> None:
    nothing = ratios(moments_of(np.zeros(5), np.zeros(5)))
    assert np.isnan([nothing.value[0], nothing.low[0], nothing.high[0]]).all()
    one = Moments(**{name: np.array([1.0]) for name in Moments.__dataclass_fields__})
    assert ratios(one).value[0] == 1
    assert np.isnan(ratios(one).low[0])


def test_ratios_refuse_a_confidence_of_one() -> None:
    with pytest.raises(InvalidValueError, match="confidence"):
        ratios(moments_of(np.ones(3), np.ones(3)), confidence=1.0)


def test_relative_change_holds_the_truth_as_often_as_it_says_for_the_same_users() -> None:
    rng = np.random.default_rng(SEED + 2)
    holds, widths, independent = 0, [], []
    for _ in range(RUNS):
        shown = rng.negative_binomial(2, 0.05, (2, 400)) + 5
        rate = rng.beta(2.0, 18.0, 400)
        before, after = rng.binomial(shown[0], rate), rng.binomial(shown[1], np.minimum(rate * 1.1, 1))
        four = np.array([after, shown[1], before, shown[0]], dtype=float)
        covariance = np.cov(four)
        change, low, high = relative_change(four.mean(axis=1), covariance, 400)
        holds += low <= 0.1 <= high
        widths.append(high - low)
        apart = covariance.copy()
        apart[:2, 2:] = apart[2:, :2] = 0
        independent.append(np.subtract(*relative_change(four.mean(axis=1), apart, 400)[:0:-1]))
        assert low < change < high
    assert holds / RUNS == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / RUNS))
    # Users who click much do so in both periods: leaving that out would make the interval too wide.
    assert np.mean(widths) < 0.85 * np.mean(independent)


@pytest.mark.parametrize("means", [[1, 2, 0, 2], [0, 2, 1, 2], [1, 0, 1, 2]])
def test_relative_change_from_nothing_is_not_estimable(means: list[float]) -> None:
    assert np.isnan(relative_change(means, np.eye(4), 50)).all()


def test_correlation_is_that_of_scipy() -> None:
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    found = correlation(x, y)
    expected = stats.pearsonr(x, y)
    assert found is not None
    assert found.value == pytest.approx(expected.statistic)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.to_dict()["points"] == 30


def test_correlation_leaves_gaps_out_and_refuses_too_few() -> None:
    x, y = [1, 2, 3, 4, np.nan, 6], [2, 1, 4, 3, 9, np.nan]
    found = correlation(x, y)
    assert found is not None
    assert found.points == 4
    assert correlation([1, 2, 3, np.nan], [1, 3, 2, 5]) is None
    assert correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None


@given(st.lists(st.floats(-10, 10), min_size=4, max_size=12), st.lists(st.floats(-10, 10), min_size=4, max_size=12))
def test_correlation_lies_within_its_interval(x: list[float], y: list[float]) -> None:
    size = min(len(x), len(y))
    found = correlation(x[:size], y[:size])
    assert found is None or -1 <= found.low - 1e-9 <= found.value <= found.high + 1e-9 <= 1 + 2e-9


@pytest.mark.parametrize("users", [0, 7, 300, 5_000, 200_000])
def test_distinct_users_are_near_the_count(users: int) -> None:
    hashes = np.random.default_rng(SEED).integers(0, 2**62, users, dtype=np.int64)
    registers = np.zeros(4_096)
    rest = hashes >> 12
    runs = 1 + np.log2((rest & -rest).astype(float)) if users else np.zeros(0)
    np.maximum.at(registers, hashes & 4_095, runs)
    found = distinct_users([(2.0**-registers).sum()], [np.count_nonzero(registers)], 4_096)[0]
    assert found == pytest.approx(users, rel=0.05)
