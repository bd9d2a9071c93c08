"""Boundaries against published ones and direct integration; confidence sequences against gbstats and by simulation."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from experiments.sequential import (
    always_valid_critical,
    boundaries,
    confidence_sequence,
    confidence_sequence_of,
    crossing,
    spent,
)
from experiments.statistics import Moments, cuped, ratio, stratified, welch
from workspace.errors import InvalidValueError

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]
DAILY = (np.arange(1, 29) / 28).tolist()


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # R packages gsDesign and ldbounds, five equal looks, two-sided 5 %.
        ("obrien_fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_boundaries_are_the_published_ones(spending: Any, published: list[float]) -> None:
    np.testing.assert_allclose(boundaries(FIVE, spending=spending), published, atol=1.5e-4)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", "alpha_t2"])
@pytest.mark.parametrize("times", [[0.25, 0.5, 0.75], [0.1, 0.5, 0.52]])
def test_boundaries_spend_what_they_may_by_direct_integration(spending: Any, times: list[float]) -> None:
    found, allowed = boundaries(times, alpha=0.1, spending=spending), spent(times, alpha=0.1, spending=spending)
    at = np.array(times)
    correlation = np.sqrt(np.minimum.outer(at, at) / np.maximum.outer(at, at))
    for looks in range(1, at.size + 1):
        normal = stats.multivariate_normal(np.zeros(looks), correlation[:looks, :looks], abseps=1e-7, releps=0, seed=1)
        stays = normal.cdf(found[:looks], lower_limit=-found[:looks])
        assert 1 - stays == pytest.approx(allowed[looks - 1], abs=2e-6)


def test_boundary_of_a_single_look_is_the_normal_quantile() -> None:
    for spending in ("obrien_fleming", "pocock", "alpha_t2"):
        assert boundaries([1.0], spending=spending)[0] == pytest.approx(stats.norm.isf(0.025), rel=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", "alpha_t2"])
def test_daily_boundaries_keep_the_error_and_most_of_the_power(spending: Any) -> None:
    found = boundaries(DAILY, spending=spending)
    assert crossing(DAILY, found).sum() == pytest.approx(0.05, abs=1e-12)
    drift = stats.norm.isf(0.025) + stats.norm.ppf(0.8)  # power 80 % at a single look
    lost = 0.8 - crossing(DAILY, found, drift=drift).sum()
    assert 0 < lost < {"obrien_fleming": 0.02, "pocock": 0.13, "alpha_t2": 0.05}[spending]


def test_crossing_agrees_with_simulated_walks() -> None:
    rng = np.random.default_rng(4)
    bounds, drift = boundaries(FIVE, spending="alpha_t2"), 2.0
    walks = np.cumsum(rng.normal(drift / 5, math.sqrt(1 / 5), (40_000, 5)), axis=1) / np.sqrt(FIVE)
    first = np.argmax(np.column_stack([np.abs(walks) >= bounds, np.ones(len(walks), bool)]), axis=1)
    shares = np.bincount(first, minlength=6)[:5] / len(walks)
    np.testing.assert_allclose(crossing(FIVE, bounds, drift=drift), shares, atol=0.008)


def test_spent_grows_to_alpha_and_a_look_too_early_has_no_boundary() -> None:
    assert spent(FIVE)[-1] == pytest.approx(0.05)
    # By hand: 2 · 0.025 · ln(1 + (e − 1)/2), and 0.05 / 4.
    assert spent([0.5], spending="pocock")[0] == pytest.approx(0.05 * math.log(1 + (math.e - 1) / 2))
    assert spent([0.5], spending="alpha_t2")[0] == pytest.approx(0.0125)
    assert spent([0.25])[0] == pytest.approx(4 * stats.norm.sf(stats.norm.isf(0.0125) / 0.5))
    early = boundaries([1e-4, 0.5, 1.0])
    assert early[0] == math.inf
    np.testing.assert_allclose(early[1:], boundaries([0.5, 1.0]), rtol=1e-9)


def test_looks_that_follow_closely_are_nearly_one_look() -> None:
    np.testing.assert_allclose(boundaries([0.5, 0.9998, 1.0])[1], boundaries([0.5, 1.0])[1], atol=5e-4)


@pytest.mark.parametrize("times", [[], [0.0, 1.0], [0.5, 0.5], [0.6, 0.5], [0.5, 1.1], [math.nan], [[0.5]]])
def test_boundaries_refuse_times_that_are_none(times: list[float]) -> None:
    with pytest.raises(InvalidValueError, match="must increase inside"):
        boundaries(times)


def test_boundaries_refuse_unknown_spending_alpha_and_bounds() -> None:
    with pytest.raises(InvalidValueError, match="must be one of obrien_fleming, pocock, alpha_t2"):
        boundaries(FIVE, spending="haybittle")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=r"alpha == 1\.5, must be < 1"):
        boundaries(FIVE, alpha=1.5)
    with pytest.raises(InvalidValueError, match="one z > 0 a look"):
        crossing(FIVE, [2.0])


@pytest.fixture(scope="module")
def arms() -> tuple[Moments, Moments]:
    rng = np.random.default_rng(3)
    control, variant = rng.gamma(2, 1, (900, 4)), rng.gamma(2.1, 1, (600, 4))
    return Moments.from_values(control), Moments.from_values(variant)


@pytest.mark.parametrize(("alpha", "tuned_at"), [(0.05, 5000), (0.1, 1500), (0.001, 300)])
def test_confidence_sequence_agrees_with_gbstats(arms: tuple[Moments, Moments], alpha: float, tuned_at: float) -> None:
    tests = pytest.importorskip("gbstats.frequentist.tests")
    statistics = pytest.importorskip("gbstats.models.statistics")

    def of(arm: Moments) -> Any:
        mean, n = float(arm.means[0]), int(arm.n)
        squares = float(arm.comoments[0, 0]) + n * mean * mean
        return statistics.SampleMeanStatistic(n=n, sum=n * mean, sum_squares=squares)

    config = tests.SequentialConfig(alpha=alpha, sequential_tuning_parameter=tuned_at, difference_type="absolute")
    wanted = tests.SequentialTwoSidedTTest(of(arms[0]), of(arms[1]), config).confidence_interval
    found = confidence_sequence(*arms, alpha=alpha, tuned_at=tuned_at)
    assert found == pytest.approx(tuple(wanted), rel=1e-9)


def test_confidence_sequence_takes_any_estimator(arms: tuple[Moments, Moments]) -> None:
    for method, compare in (("mean", welch), ("ratio", ratio), ("cuped", cuped)):
        found = confidence_sequence(*arms, tuned_at=1000, method=method)  # type: ignore[arg-type]
        estimate = compare(*arms)
        assert found == confidence_sequence_of(estimate, tuned_at=1000)
        half = always_valid_critical(1500, tuned_at=1000) * estimate.se
        assert found == pytest.approx((estimate.diff - half, estimate.diff + half))
    strata = stratified([arms[0]] * 2, [arms[1]] * 2)
    low, high = confidence_sequence_of(strata, tuned_at=1000, relative=True)
    assert low < strata.rel_ci[0] < strata.rel_ci[1] < high
    assert confidence_sequence_of(strata, tuned_at=1000, side="greater")[1] == math.inf
    with pytest.raises(InvalidValueError, match="must be one of mean, ratio, cuped"):
        confidence_sequence(*arms, tuned_at=1000, method="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_confidence_sequence_is_tightest_where_it_is_tuned(alpha: float) -> None:
    tuned = np.geomspace(10, 1e7, 800)
    for n in (500.0, 20_000.0):
        widths = [always_valid_critical(n, alpha=alpha, tuned_at=at) for at in tuned]
        assert always_valid_critical(n, alpha=alpha, tuned_at=n) < min(widths) * 1.002
        assert n / 1.6 < tuned[int(np.argmin(widths))] < n * 1.6


@pytest.mark.parametrize(("side", "alpha"), [("two", 0.05), ("less", 0.05), ("less", 0.2)])
def test_confidence_sequence_holds_at_every_look(side: Any, alpha: float) -> None:
    rng = np.random.default_rng(8)
    looks = 400 * np.arange(1, 29)
    walks = np.cumsum(rng.normal(0, math.sqrt(400), (6000, looks.size)), axis=1) / np.sqrt(looks)
    limits = np.array([always_valid_critical(n, alpha=alpha, tuned_at=3000, side=side) for n in looks])
    missed = ((np.abs(walks) if side == "two" else walks) > limits).any(axis=1).mean()
    assert 0 < missed < alpha


def test_always_valid_critical_refuses_half_of_the_error_on_one_side() -> None:
    with pytest.raises(InvalidValueError, match=r"alpha == 0\.6, must be < 0\.5"):
        always_valid_critical(100, alpha=0.6, tuned_at=100, side="less")
    with pytest.raises(InvalidValueError, match=r"tuned_at == 0\.0, must be > 0"):
        always_valid_critical(100, tuned_at=0)
