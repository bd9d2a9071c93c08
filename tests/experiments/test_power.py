"""Design figures against statsmodels, their own inverses and simulated experiments."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from experiments.power import Sizes, days_left, mde, mde_by_day, power, sample_size
from workspace.errors import InvalidValueError, NotEstimableError

BASE: dict[str, float] = {"baseline_mean": 0.12, "baseline_sd": 0.4}
"""An effect of 10 % is 0.03 standard deviations."""


@pytest.mark.parametrize(("ratio", "one_sided"), [(1.0, False), (1 / 9, False), (9.0, True), (0.5, True)])
def test_power_agrees_with_statsmodels(ratio: float, one_sided: bool) -> None:
    side = "larger" if one_sided else "two-sided"
    for n in (200, 5_000, 60_000):
        found = power(**BASE, mde_rel=0.1, n_control=n, ratio=ratio, alpha=0.01, one_sided=one_sided)
        wanted = TTestIndPower().power(0.03, n, 0.01, ratio=ratio, alternative=side)
        assert found == pytest.approx(wanted, rel=1e-9)
        assert found == pytest.approx(
            power(**BASE, mde_rel=-0.1, n_control=n, ratio=ratio, alpha=0.01, one_sided=one_sided)
        )


@pytest.mark.parametrize("ratio", [1.0, 1 / 9, 3.0])
@pytest.mark.parametrize("mde_rel", [0.0004, 0.01, 0.1, 1.5])
def test_sample_size_agrees_with_statsmodels_and_is_the_fewest(ratio: float, mde_rel: float) -> None:
    found = sample_size(**BASE, mde_rel=mde_rel, ratio=ratio)
    solver = NormalIndPower() if mde_rel < 0.05 else TTestIndPower()
    wanted = solver.solve_power(effect_size=mde_rel * 0.3, nobs1=None, alpha=0.05, power=0.8, ratio=ratio)
    assert found.n_control == pytest.approx(wanted, rel=1e-6, abs=3)
    assert found.n_variant == pytest.approx(wanted * ratio, rel=1e-6, abs=3)
    assert power(**BASE, mde_rel=mde_rel, n_control=found.n_control, ratio=ratio) >= 0.8 - 1e-9
    assert power(**BASE, mde_rel=mde_rel, n_control=found.n_control - 1, ratio=ratio) < 0.8


@pytest.mark.parametrize("n", [40, 5_000, 10**8])
@pytest.mark.parametrize(("ratio", "one_sided"), [(1.0, False), (1 / 9, True)])
def test_mde_is_the_inverse_of_power(n: int, ratio: float, one_sided: bool) -> None:
    found = mde(**BASE, n_control=n, ratio=ratio, power=0.9, one_sided=one_sided)
    assert power(**BASE, mde_rel=found, n_control=n, ratio=ratio, one_sided=one_sided) == pytest.approx(0.9, abs=1e-9)


def test_mde_of_a_large_experiment_is_the_textbook_formula() -> None:
    # (z.975 + z.8) · sd/mean · √(2/n)
    wanted = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 0.4 / 0.12 * math.sqrt(2 / 10**8)
    assert mde(**BASE, n_control=10**8) == pytest.approx(wanted, rel=3e-6)  # without the tail of the other side


def test_sample_size_keeps_its_promise_in_simulated_experiments() -> None:
    sizes = sample_size(baseline_mean=2.0, baseline_sd=1.5, mde_rel=0.15, ratio=0.5, power=0.7)
    rng = np.random.default_rng(2)
    control = rng.normal(2.0, 1.5, (4000, sizes.n_control))
    variant = rng.normal(2.3, 1.5, (4000, sizes.n_variant))
    hits = stats.ttest_ind(variant, control, axis=1, equal_var=False).pvalue < 0.05
    assert hits.mean() == pytest.approx(0.7, abs=0.025)


def test_sample_size_of_an_overwhelming_effect_is_two_users_an_arm() -> None:
    found = sample_size(baseline_mean=100.0, baseline_sd=0.01, mde_rel=1.0, ratio=0.5)
    assert found == Sizes(n_control=4, n_variant=2)
    assert found.to_dict() == {"n_control": 4, "n_variant": 2, "total": 6}


def test_days_left_is_the_first_day_with_enough_users() -> None:
    traffic = {"per_day_control": 900.0, "per_day_variant": 300.0}
    days = days_left(**BASE, mde_rel=0.1, **traffic)
    reached = [power(**BASE, mde_rel=0.1, n_control=900 * d, ratio=1 / 3) for d in (days - 1, days)]
    assert reached[0] < 0.8 <= reached[1]
    assert days_left(**BASE, mde_rel=0.1, **traffic, n_control=900 * 7, n_variant=300 * 7) == days - 7
    assert days_left(**BASE, mde_rel=0.1, **traffic, n_control=10**6, n_variant=10**6) == 0
    assert days_left(**BASE, mde_rel=0.1, **traffic, one_sided=True) < days


def test_days_left_of_an_arm_without_traffic_is_not_estimable() -> None:
    for variant in (0.0, 0.01):
        with pytest.raises(NotEstimableError, match=r"days until mde_rel == 0\.01 is seen, would be more than 3,650"):
            days_left(**BASE, mde_rel=0.01, per_day_control=900.0, per_day_variant=variant)


def test_mde_by_day_falls_with_users_and_is_unknown_without() -> None:
    found = mde_by_day([0, 7, 28], **BASE, per_day_control=500.0, per_day_variant=500.0)
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(mde(**BASE, n_control=3500))
    assert found[1] / found[2] == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"baseline_mean": 0.0}, "baseline_mean == 0, must not be 0"),
        ({"mde_rel": 0.0}, "mde_rel == 0, must not be 0"),
        ({"baseline_sd": 0.0}, "baseline_sd == 0.0, must be > 0"),
        ({"baseline_mean": math.nan}, "baseline_mean == nan, must be a finite number"),
        ({"ratio": 0.0}, "ratio == 0.0, must be > 0"),
        ({"alpha": 0.0}, "alpha == 0.0, must be > 0"),
        ({"power": 0.01}, "power == 0.01, must be > 0.05"),
        ({"power": 1.0}, "power == 1.0, must be < 1"),
    ],
)
def test_sample_size_says_what_is_wrong(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        sample_size(**{**BASE, "mde_rel": 0.1, **wrong})


def test_power_refuses_an_arm_of_one() -> None:
    with pytest.raises(InvalidValueError, match=r"n_variant == 1\.0, must be >= 2"):
        power(**BASE, mde_rel=0.1, n_control=10, ratio=0.1)
    with pytest.raises(NotEstimableError, match="would be more than 1e\\+12"):
        sample_size(**BASE, mde_rel=1e-9)
