"""Estimators against scipy, statsmodels and numbers by hand; they never say a 0 for what can't be known."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import Moments, cuped, ratio, welch
from workspace.errors import NotEstimableError

Rows = np.ndarray[Any, np.dtype[np.float64]]
of = Moments.from_values


@pytest.fixture(scope="module")
def arms() -> tuple[Rows, Rows]:
    """Numerator, denominator and their covariates of two arms of different size."""
    rng = np.random.default_rng(11)

    def draw(n: int, lift: float) -> Rows:
        taste = rng.gamma(2, 1, n)
        before, now = rng.poisson(8, (2, n)) + 1
        return np.column_stack([rng.poisson(taste * now * lift), now, rng.poisson(taste * before), before]).astype(
            np.float64
        )

    return draw(700, 1.0), draw(450, 1.06)


@pytest.mark.parametrize(("side", "alternative"), [("two", "two-sided"), ("less", "less"), ("greater", "greater")])
@pytest.mark.parametrize("margin", [0.0, -0.4, 3.0])
def test_welch_agrees_with_scipy(arms: tuple[Rows, Rows], side: Any, alternative: str, margin: float) -> None:
    control, variant = arms[0][:, 0], arms[1][:, 0]
    found = welch(of(control), of(variant), alpha=0.1, margin=margin, side=side)
    wanted = stats.ttest_ind(variant - margin, control, equal_var=False, alternative=alternative)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)
    assert found.statistic == pytest.approx(wanted.statistic, rel=1e-9)
    assert found.df == pytest.approx(wanted.df, rel=1e-9)
    interval = wanted.confidence_interval(0.9)
    assert found.ci == pytest.approx((interval.low + margin, interval.high + margin), rel=1e-9)


def test_ratio_of_a_constant_denominator_is_the_mean(arms: tuple[Rows, Rows]) -> None:
    control, variant = (np.column_stack([arm[:, 0], np.full(len(arm), 4.0)]) for arm in arms)
    found, mean = ratio(of(control), of(variant)), welch(of(control / 4), of(variant / 4))
    assert (found.diff, found.se, found.df, found.p) == pytest.approx((mean.diff, mean.se, mean.df, mean.p), rel=1e-9)


def test_estimators_refuse_what_can_not_be_estimated() -> None:
    one, two = of([[1.0, 1.0]]), of([[1.0, 1.0], [2.0, 3.0]])
    for compare in (welch, ratio, cuped):
        with pytest.raises(NotEstimableError, match="users of control == 1, must be 2 or more"):
            compare(one, two)
        with pytest.raises(NotEstimableError, match="users of the variant == 0, must be 2 or more"):
            compare(two, of(np.zeros((0, 2))))
