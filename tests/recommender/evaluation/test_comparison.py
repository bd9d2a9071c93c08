"""Paired comparisons against scipy, and the gate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recommender.evaluation.comparison import compare
from workspace.errors import InvalidValueError


@given(st.integers(0, 2**32), st.floats(-0.3, 0.3))
def test_compare_agrees_with_scipy(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    baseline = rng.random(30)
    candidate = baseline + shift + rng.normal(0, 0.1, 30)
    found = compare(candidate, baseline)
    expected = stats.ttest_rel(candidate, baseline)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.ci95 == pytest.approx((interval.low, interval.high))
    assert (found.verdict != "no difference") == (expected.pvalue < 0.05)


@given(st.integers(0, 2**32))
def test_compare_the_other_way_round_mirrors(seed: int) -> None:
    first, second = np.random.default_rng(seed).random((2, 12))
    one, other = compare(first, second), compare(second, first)
    assert one.difference == pytest.approx(-other.difference)
    assert {one.verdict, other.verdict} in ({"better", "worse"}, {"no difference"})


def test_pairing_finds_what_unpaired_means_hide() -> None:
    baseline = np.linspace(0, 1, 40)
    candidate = baseline + 0.01 + np.tile([0.002, -0.002], 20)
    assert stats.ttest_ind(candidate, baseline).pvalue > 0.5
    assert compare(candidate, baseline).verdict == "better"


def test_equal_figures_are_no_difference_and_a_constant_gain_is_better() -> None:
    figures = np.array([0.0, 0.25, 0.5])
    same = compare(figures, figures)
    assert (same.verdict, same.p_value) == ("no difference", 1.0)
    assert compare(figures + 0.25, figures).verdict == "better"


@pytest.mark.parametrize(
    ("shift", "code", "strict"), [(-0.5, 1, 1), (0.0, 0, 1), (0.5, 0, 0)], ids=["worse", "same", "better"]
)
def test_gate_stops_the_worse_and_when_asked_what_is_no_better(shift: float, code: int, strict: int) -> None:
    baseline = np.array([0.2, 0.4, 0.1, 0.3])
    found = compare(baseline + shift, baseline)
    assert (found.exit_code(), found.exit_code(must_be_better=True)) == (code, strict)


def test_compare_leaves_out_users_without_both_figures_and_refuses_others() -> None:
    assert compare(np.array([1.0, np.nan, 0.5, 0.6]), np.array([0.5, 0.1, np.nan, 0.1])).users == 2
    with pytest.raises(InvalidValueError, match="must be the same users"):
        compare(np.zeros(3), np.zeros(4))
    with pytest.raises(InvalidValueError, match="users with both figures == 1"):
        compare(np.array([0.1, np.nan]), np.array([0.2, 0.3]))


def test_comparison_is_plain_data() -> None:
    found = compare(np.array([0.4, 0.6]), np.array([0.2, 0.6]), names=("v2", "v1")).to_dict()
    assert (found["candidate"], found["baseline"], found["users"]) == ("v2", "v1", 2)
    assert isinstance(found["ci95"], list)
