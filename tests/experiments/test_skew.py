"""The skew warning: its closed form by hand, its expectation by simulation, silence at equal arms."""

import math

import numpy as np
import pytest
from scipy import stats

from experiments.skew import false_alarms, statistic_skewness
from experiments.statistics import skew_warning
from workspace.errors import InvalidValueError


def test_statistic_skewness_by_hand() -> None:
    # The third cumulant of a difference of means over its variance to the power 3/2.
    control, variant, skewness = 9000, 1000, 7.0
    third = skewness / variant**2 - skewness / control**2
    assert statistic_skewness(control, variant, skewness) == pytest.approx(third / (1 / control + 1 / variant) ** 1.5)
    assert statistic_skewness(variant, control, skewness) == pytest.approx(
        -statistic_skewness(control, variant, skewness)
    )
    assert statistic_skewness(500, 500, 1000.0) == 0


def test_false_alarms_are_those_of_simulated_experiments() -> None:
    rng = np.random.default_rng(3)
    control, variant = rng.exponential(1, (20_000, 180)), rng.exponential(1, (20_000, 20))
    found = stats.ttest_ind(variant, control, axis=1, equal_var=False)
    lower, upper = (float(((found.pvalue < 0.05) & (sign * found.statistic > 0)).mean()) for sign in (-1, 1))
    both, expected_lower, expected_upper = false_alarms(statistic_skewness(180, 20, 2.0))
    assert lower + upper > 0.06  # the test is off here
    assert both == pytest.approx(lower + upper, abs=0.012)
    assert expected_lower == pytest.approx(lower, abs=0.015)
    assert expected_upper == pytest.approx(upper, abs=0.012)
    assert skew_warning(180, 20, 2.0, 2.0) is not None


def test_skew_warning_names_skewness_arms_error_and_cure() -> None:
    said = skew_warning(np.int64(9000), 1000, 15.0, 15.0)  # type: ignore[arg-type]
    assert said is not None
    for part in ("Skewness 15.0", "9,000 and 1,000", "instead of 5 %", "matched control of 1,000 users"):
        assert part in said
    turned = skew_warning(1000, 9000, 15.0, 15.0)
    assert turned is not None
    assert "matched variant of 1,000 users" in turned


@pytest.mark.parametrize(
    ("n_control", "n_variant", "skewness"),
    [(5000, 5000, (30.0, 70.0)), (5020, 4980, (50.0, 20.0)), (90_000, 10_000, (5.0, 4.0)), (9000, 1000, (0.1, -0.1))],
)
def test_skew_warning_is_silent_where_the_test_holds(
    n_control: int, n_variant: int, skewness: tuple[float, float]
) -> None:
    assert skew_warning(n_control, n_variant, *skewness) is None


def test_skew_warning_refuses_what_is_no_skewness() -> None:
    with pytest.raises(InvalidValueError, match="skewness_variant == nan, must be a finite number"):
        skew_warning(10, 10, 1.0, math.nan)
    with pytest.raises(InvalidValueError, match=r"n_control == 0\.0, must be >= 1"):
        skew_warning(0, 10, 1.0, 1.0)
