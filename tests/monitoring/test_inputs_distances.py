import numpy as np
import pytest
from scipy.stats import energy_distance

from monitoring.inputs import energy, mmd, psi, wasserstein
from workspace.errors import InvalidValueError, NotEstimableError


def test_psi_is_the_sum_by_hand() -> None:
    # (0.75 − 0.5)·ln(1.5) + (0.25 − 0.5)·ln(0.5) of large samples, where half a row more does not count.
    assert psi([5e6, 5e6], [7.5e6, 2.5e6]) == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2), rel=1e-6)


def test_psi_of_an_empty_bin_is_finite_and_of_nothing_refused() -> None:
    assert 0 < psi([100, 0], [50, 50]) < 10
    assert psi([7, 3], [70, 30]) == pytest.approx(0.0, abs=1e-2)
    with pytest.raises(NotEstimableError):
        psi([0, 0], [1, 2])
    with pytest.raises(InvalidValueError):
        psi([1, -1], [1, 2])
    with pytest.raises(InvalidValueError):
        psi([1, 2, 3], [1, 2])


def test_wasserstein_is_the_shift_in_standard_deviations() -> None:
    values = np.random.default_rng(1).normal(3, 2, 500)
    assert wasserstein(values, values + 1.5 * values.std()) == pytest.approx(1.5)
    with pytest.raises(NotEstimableError, match="constant"):
        wasserstein(np.full(50, 4.0), values)


def test_energy_agrees_with_scipy_on_one_column() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=80), rng.normal(0.7, 1, size=60)
    # scipy's is the square root of the same integral, of which E is twice.
    assert energy(x, y, rng=1).value == pytest.approx(energy_distance(x, y) ** 2, rel=1e-9)


def test_mmd_is_the_unbiased_estimate_by_loops() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(21, 2)), rng.normal(0.5, 1, size=(22, 2))
    both = np.concatenate([x, y])
    width = np.median([np.linalg.norm(a - b) for i, a in enumerate(both) for b in both[i + 1 :]])

    def kernel(a, b):  # noqa: ANN001, ANN202
        return float(np.exp(-np.sum((a - b) ** 2) / (2 * width**2)))

    within_x = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert mmd(x, y, rng=1).value == pytest.approx(within_x + within_y - 2 * between)


@pytest.mark.parametrize("test", [energy, mmd])
def test_permutation_tests_keep_their_level_and_see_a_change_of_shape(test) -> None:  # noqa: ANN001
    rng = np.random.default_rng(4)
    alarms = sum(test(rng.exponential(size=25), rng.exponential(size=25), permutations=39, rng=rng).p_value <= 0.05
                 for _ in range(400))  # fmt: skip
    # Exact: Binomial(400, 0.05) lies within 8 … 34 but for one time in 500.
    assert 8 <= alarms <= 34
    # Same mean, same variance, another shape: Welch would see nothing.
    assert test(rng.normal(size=200), rng.choice([-1.0, 1.0], 200), rng=1).p_value == pytest.approx(0.005)


def test_rows_with_nan_are_left_out_and_counted_and_too_few_refused() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    x[:5, 1] = np.nan
    found = energy(x, y, rng=1)
    assert (found.n_reference, found.n_current, found.left_out) == (35, 40, 5)
    with pytest.raises(NotEstimableError, match="must have 20, 4 more"):
        energy(x[:16, :1], y[:, :1])
    with pytest.raises(InvalidValueError, match="infinite"):
        mmd(np.full((30, 2), np.inf), y)
    with pytest.raises(InvalidValueError, match="same columns"):
        energy(x, y[:, :1])


def test_long_samples_are_drawn_from_and_the_draw_is_reproducible() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=3_000), rng.normal(size=100)
    found = energy(x, y, permutations=19, rng=7)
    assert (found.n_reference, found.n_current, found.left_out) == (1_900, 100, 1_100)
    assert found == energy(x, y, permutations=19, rng=7)
    assert found.to_dict()["method"] == "energy"
