import numpy as np
import pytest

from audit.inference import permutation_p
from audit.runs.anywhere import permuted


def test_equal_groups_need_no_draw() -> None:
    values = np.repeat(np.arange(5.0), 4)[:, None]
    codes, strata = np.tile(np.arange(4), 5), np.repeat(np.arange(5), 4)

    assert permuted(values, codes, strata, [[0]], seed=(1, 0)) == [1.0]


def test_agrees_with_another_permutation_test() -> None:
    rng = np.random.default_rng(4)
    codes, strata = np.tile(np.arange(3), 20), np.repeat(np.arange(20), 3)
    values = rng.normal(size=(60, 1)) + 0.35 * codes[:, None] + rng.normal(size=20)[strata][:, None]

    mine = permuted(values, codes, strata, [[0]], seed=(1, 0))[0]
    other = permutation_p(values, codes, strata=strata, draws=999, seed=3)

    # Both are estimates with a standard error below 0.016.
    assert mine == pytest.approx(other, abs=0.06)


def test_a_clear_difference_has_the_least_p() -> None:
    codes, strata = np.tile(np.arange(2), 30), np.repeat(np.arange(30), 2)
    values = codes[:, None] + np.random.default_rng(5).normal(scale=0.1, size=(60, 2))

    assert permuted(values, codes, strata, [[0], [0, 1]], seed=(1, 0)) == [0.001, 0.001]
