"""Moments: exact on hard data, the same in any order of merging, and strict about their input."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.moments import Moments, merge
from workspace.errors import InvalidValueError, NotEstimableError

# NIST StRD, univariate summary statistics: values, certified mean, certified standard deviation.
NUM_ACC = {
    "NumAcc1": ([10000001.0, 10000003.0, 10000002.0], 10000002.0, 1.0),
    "NumAcc2": ([1.2, *[1.1, 1.3] * 500], 1.2, 0.1),
    "NumAcc3": ([1000000.2, *[1000000.1, 1000000.3] * 500], 1000000.2, 0.1),
    "NumAcc4": ([10000000.2, *[10000000.1, 10000000.3] * 500], 10000000.2, 0.1),
}


def exact(values: list[float]) -> tuple[Fraction, Fraction]:
    """Return mean and variance of the doubles as they are stored, in rational numbers."""
    rationals = [Fraction(value) for value in values]
    mean = sum(rationals, Fraction(0)) / len(rationals)
    return mean, sum(((one - mean) ** 2 for one in rationals), Fraction(0)) / (len(rationals) - 1)


@pytest.mark.parametrize("name", NUM_ACC)
@pytest.mark.parametrize("way", ["whole", "singles", "halves", "shuffled", "at once"])
def test_moments_are_exact_on_nist_data_merged_any_way(name: str, way: str) -> None:
    values, mean, sd = NUM_ACC[name]
    if way == "whole":
        found = Moments.from_values(values)
    elif way == "halves":
        found = Moments.from_values(values[:2]).merge(Moments.from_values(values[2:]))
    elif way == "at once":
        found = merge([Moments.from_values([value]) for value in values])
    else:
        order = np.random.default_rng(0).permutation(values) if way == "shuffled" else values
        found = Moments.from_values([])
        for value in order:
            found = found.merge(Moments.from_values([value]))
    true_mean, true_variance = exact(values)
    assert found.n == len(values)
    assert float(true_mean) == mean
    assert abs(found.means[0] - mean) <= (math.ulp(mean) if way == "shuffled" else 0)
    assert found.variance[0] == pytest.approx(float(true_variance), rel=2e-14)
    # A double at 10⁷ is 10⁻⁹ apart from its neighbour: the data as stored have that standard deviation, not 0.1.
    assert math.sqrt(found.variance[0]) == pytest.approx(sd, rel=1e-8)


def test_from_values_agrees_with_numpy_on_several_columns() -> None:
    rows = np.random.default_rng(1).lognormal(0, 1.5, (500, 3)) + np.array([0, 1e6, -5])
    found = Moments.from_values(rows)
    np.testing.assert_allclose(found.means, rows.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(rows.T), rtol=1e-9)
    np.testing.assert_allclose(found.columns(2, 0).covariance, np.cov(rows[:, [2, 0]].T), rtol=1e-9)
    assert found.d == 3


@pytest.mark.parametrize("value", [0.1, 1e7 + 0.1, -3.3e-5, 1e150])
def test_from_values_finds_no_variance_in_a_constant(value: float) -> None:
    found = Moments.from_values([value] * 7)
    assert found.means.tolist() == [value]
    assert found.comoments.tolist() == [[0.0]]
    assert found.merge(Moments.from_values([value] * 3)).comoments.tolist() == [[0.0]]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=7),
    shift=st.sampled_from([0.0, 1.0, -1e6, 1e9]),
    data=st.data(),
)
def test_merge_gives_the_same_in_any_order_and_as_raw_rows(
    seed: int, sizes: list[int], shift: float, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    chunks = [shift + rng.normal(0, rng.uniform(0.1, 5), (size, 2)) for size in sizes]
    parts = [Moments.from_values(chunk) for chunk in chunks]
    raw = Moments.from_values(np.concatenate(chunks))
    order = data.draw(st.permutations(parts))
    folded = order[0]
    for one in order[1:]:
        folded = folded.merge(one) if data.draw(st.booleans()) else one.merge(folded)
    for found in (folded, order[0].merge(*order[1:]), merge(parts)):
        assert found.n == raw.n
        np.testing.assert_allclose(found.means, raw.means, rtol=1e-12)
        np.testing.assert_allclose(found.comoments, raw.comoments, rtol=1e-9, atol=1e-9)


def test_merge_of_nobody_keeps_the_other_as_it_is() -> None:
    some = Moments.from_values([1.0, 2.0])
    nobody = Moments.from_values(np.zeros((0, 1)))
    assert nobody.merge(some) == some.merge(nobody) == some
    assert nobody.merge(nobody).n == 0
    assert some != Moments.from_values([1.0, 3.0])


def test_from_sums_takes_what_an_engine_computed() -> None:
    found = Moments.from_sums(4, [2.5, 1.0], [[5.0, 1.0], [1.0, 2.0]])
    assert found.covariance.tolist() == [[5 / 3, 1 / 3], [1 / 3, 2 / 3]]
    # An engine may leave rounding where a column has no variance.
    odd = Moments.from_sums(4, [2.5, 1.0], [[-1e-16, 1e-17], [0.0, 2.0]])
    assert odd.comoments[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        found.means[0] = 1.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, math.nan], "1 of 2 rows, must hold finite numbers only. Hint: leave such rows out and count them."),
        ([[1.0, 2.0], [math.inf, 1.0], [1.0, -math.inf]], "2 of 3 rows, must hold finite numbers only."),
        (["a", "b"], "values, must be numbers."),
        ([[[1.0]]], r"shape of values == \(1, 1, 1\), must be \(n,\) or \(n, d\)."),
        ([1e200, -1e200], "comoments == .*inf.*, must be finite numbers; the values may be too large to square."),
    ],
)
def test_from_values_refuses_what_has_no_moments(values: list[object], said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        Moments.from_values(values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "means", "comoments", "said"),
    [
        (-1, [0.0], [[0.0]], "n == -1, must be a finite number >= 0"),
        (math.nan, [0.0], [[0.0]], "n == nan, must be a finite number >= 0"),
        (3, [math.nan], [[0.0]], "must be finite numbers"),
        (3, [1.0], [[math.inf]], "must be finite numbers"),
        (3, [1.0], [[-0.5]], "must have centred sums of squares >= 0"),
        (3, [1.0, 1.0], [[1.0, 0.5], [0.4, 1.0]], "must be symmetric"),
        (3, [1.0, 1.0], [[1.0, 2.0], [2.0, 1.0]], "must not exceed what the sums of squares allow"),
        (3, [1.0, 1.0], [[1.0]], "must be \\(d,\\) and \\(d, d\\)"),
        (0, [1.0], [[0.0]], "must come with zero means and comoments"),
    ],
)
def test_from_sums_refuses_impossible_sums(
    n: float, means: list[float], comoments: list[list[float]], said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        Moments.from_sums(n, means, comoments)


def test_variance_of_one_user_is_not_estimable() -> None:
    with pytest.raises(NotEstimableError, match="a variance of 1 user, needs 2 or more"):
        _ = Moments.from_values([3.0]).variance


def test_merge_and_columns_refuse_what_does_not_fit() -> None:
    one = Moments.from_values([1.0, 2.0])
    with pytest.raises(InvalidValueError, match="must be as many in every group"):
        one.merge(Moments.from_values([[1.0, 2.0]]))
    with pytest.raises(InvalidValueError, match="column == 1, must be 0 to 0"):
        one.columns(1)
    with pytest.raises(InvalidValueError, match="groups == 0"):
        merge([])


def test_moments_of_many_cells_are_those_of_each() -> None:
    rng = np.random.default_rng(4)
    rows = [rng.gamma(2.0, 3.0, (n, 3)) for n in (1, 2, 40)]
    alone = [Moments.from_values(one) for one in rows]
    n, means = np.array([one.n for one in alone], dtype=float), np.array([one.means for one in alone])
    together = Moments.from_cells(n, means, np.array([one.comoments for one in alone]))
    assert together == alone
    assert isinstance(together[0].n, int)
    with pytest.raises(ValueError, match="read-only"):
        together[2].means[0] = 1.0


def test_moments_of_many_cells_are_checked_each() -> None:
    means, comoments = np.zeros((2, 2)), np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])
    with pytest.raises(InvalidValueError, match="must not exceed"):
        Moments.from_cells(np.array([5.0, 5.0]), means, comoments)
    comoments[1] = [[-1e-30, 0.0], [0.0, 1.0]]
    mended = Moments.from_cells(np.array([5.0, 5.0]), np.ones((2, 2)), comoments)
    assert mended[1].comoments[0, 0] == 0.0
