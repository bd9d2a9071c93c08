import numpy as np
import pytest

from audit.manipulation.gate import conformal_quantile
from audit.manipulation.norms import Norm, Tail, stabilised
from workspace.errors import NotEstimableError


def test_robust_z_is_the_distance_from_the_median_in_scaled_deviations() -> None:
    # Median 3, absolute deviations 2 1 0 1 97: their median is 1.
    norm = Norm.fit(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), floor=0.1)
    assert norm.z(np.array([3.0, 3.0 + 1.4826])) == pytest.approx([0.0, 1.0])


def test_a_group_is_held_against_its_own_median_when_it_is_large_enough() -> None:
    values = np.concatenate([np.full(30, 2.0), np.full(30, 10.0), [5.0]])
    groups = np.array(["a"] * 30 + ["b"] * 30 + ["c"], dtype=object)
    norm = Norm.fit(values, floor=1.0, groups=groups)
    assert norm.expected(3, np.array(["a", "b", "c"], dtype=object)).tolist() == [2.0, 10.0, 5.0]


def test_no_figure_is_no_sign() -> None:
    norm = Norm.fit(np.array([1.0, np.nan, 3.0]), floor=1.0)
    assert norm.z(np.array([np.nan])).tolist() == [0.0]


def test_counts_are_stabilised_as_anscombe_has_it() -> None:
    rng = np.random.default_rng(1)
    spread = [float(np.std(stabilised(rng.poisson(mean, 20_000)))) for mean in (5, 50)]
    assert spread == pytest.approx([1.0, 1.0], abs=0.03)


def test_surprise_is_minus_the_logarithm_of_the_share_above() -> None:
    tail = Tail.fit(np.arange(1.0, 1000.0), least_decay=0.1)
    # 100 of 999 are at least 900, and one is added above and below: 101 in 1,000.
    assert tail.surprise(np.array([900.0]))[0] == pytest.approx(-np.log10(101 / 1000))
    assert tail.surprise(np.array([2000.0]))[0] > 3


def test_too_few_films_have_no_tail() -> None:
    with pytest.raises(NotEstimableError, match="must be 50"):
        Tail.fit(np.arange(49.0), least_decay=0.1)


def test_conformal_quantile_promises_the_rate_or_holds_nothing() -> None:
    # ceil(100 * 0.99) = 99, the largest of 99 scores; with 98 there is no such score.
    assert conformal_quantile(np.arange(1.0, 100.0), 0.01) == 99.0
    assert conformal_quantile(np.arange(1.0, 99.0), 0.01) == np.inf
