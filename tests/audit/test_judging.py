"""Comparisons against independent oracles, and every branch of the rule of verdicts."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.contrasts import Shares
from audit.disparity import newcombe, wilson
from audit.judging import OUTSIDE_FAMILY, Comparison, compare_binary, compare_means, judge
from audit.results import Verdict
from workspace.errors import InvalidValueError


def flags(k: int, n: int) -> np.ndarray:
    return np.arange(n) < k


def of_shares(k1: int, n1: int, k0: int, n0: int) -> Comparison:
    return compare_binary(flags(k1, n1), flags(k0, n0))


def test_independent_users_get_newcombes_and_wilsons_intervals() -> None:
    found = of_shares(56, 70, 48, 80)
    assert found.difference_interval == pytest.approx((0.0524, 0.3339), abs=5e-5)  # Newcombe (1998), table II
    assert found.interval == pytest.approx(wilson(56, 70))
    assert (found.n, found.n_reference, found.ratio) == (70, 80, pytest.approx(0.8 / 0.6))


# Donner & Zou (2012), eq. 9, worked by hand for 20/50 and 30/60: Wilson (.27605, .53820) and (.37733, .62267).
# Lower: (.4·.5 − √(.04 − .27605·.62267·(.8 − .27605)·(1 − .62267))) / (.62267 · .37733).
def test_the_ratio_of_independent_users_is_mover() -> None:
    low = (0.2 - math.sqrt(0.04 - 0.27605 * 0.62267 * (0.8 - 0.27605) * (1 - 0.62267))) / (0.62267 * (1 - 0.62267))
    high = (0.2 + math.sqrt(0.04 - 0.53820 * 0.37733 * (0.8 - 0.53820) * (1 - 0.37733))) / (0.37733 * (1 - 0.37733))
    assert of_shares(20, 50, 30, 60).ratio_interval == pytest.approx((low, high), abs=2e-3)


@given(st.integers(0, 30), st.integers(2, 30), st.integers(1, 30), st.integers(2, 30), st.floats(0.001, 0.5))
@settings(max_examples=40)
def test_p_difference_and_ratio_never_disagree(k1: int, n1: int, k0: int, n0: int, alpha: float) -> None:
    k1, k0 = min(k1, n1), min(k0, n0)
    found = of_shares(k1, n1, k0, n0)
    assert found.p is not None
    assert found.contrast is not None
    low, high = found.contrast.difference_interval(alpha)
    ratios = found.contrast.ratio_interval(alpha)
    assert ratios is not None
    assert ratios[0] <= (found.ratio or 0) <= ratios[1]
    if abs(found.p - alpha) > 1e-6:
        assert (low > 0 or high < 0) == (found.p < alpha) == (ratios[0] > 1 or ratios[1] < 1)


def test_a_group_without_positives_has_a_ratio_of_zero_and_a_bound() -> None:
    found = of_shares(0, 60, 20, 60)
    assert found.ratio == 0.0
    assert found.ratio_interval is not None
    assert found.ratio_interval[0] == 0.0 < found.ratio_interval[1] < 0.5
    assert found.difference_interval == pytest.approx(newcombe(0, 60, 20, 60))


def test_means_of_users_are_welchs() -> None:
    rng = np.random.default_rng(3)
    group, reference = rng.gamma(2, 1, 40), rng.gamma(2, 1.3, 55)
    found, other = compare_means(group, reference), stats.ttest_ind(group, reference, equal_var=False)
    assert found.p == pytest.approx(other.pvalue, abs=1e-12)
    assert found.difference_interval == pytest.approx(tuple(other.confidence_interval()), abs=1e-12)


def test_pairs_are_the_paired_t_test() -> None:
    rng = np.random.default_rng(4)
    reference = rng.gamma(2, 1, 40)
    group = reference * rng.gamma(20, 0.05, 40)
    found, other = compare_means(group, reference, paired=True), stats.ttest_rel(group, reference)
    assert found.p == pytest.approx(other.pvalue, abs=1e-12)
    assert found.difference_interval == pytest.approx(tuple(other.confidence_interval()), abs=1e-12)


def test_rows_of_common_clusters_are_the_paired_t_test_of_cluster_means() -> None:
    rng = np.random.default_rng(5)
    tastes = np.repeat(np.arange(30), 4)
    own = rng.gamma(2, 1, 30)[tastes]
    group, reference = own + rng.normal(size=120), own + rng.normal(size=120) + 0.2
    found = compare_means(group, reference, clusters_group=tastes, clusters_reference=tastes)
    other = stats.ttest_rel(group.reshape(30, 4).mean(axis=1), reference.reshape(30, 4).mean(axis=1))
    assert found.p == pytest.approx(other.pvalue, abs=1e-12)
    assert (found.n, found.n_reference) == (30, 30)


def test_rows_of_separate_clusters_are_the_robust_regression_of_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(6)
    users = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    member = users < 30
    values = 2 + rng.normal(size=60)[users] + rng.normal(size=users.size)
    found = compare_means(
        values[member], values[~member], clusters_group=users[member], clusters_reference=users[~member]
    )
    design = np.column_stack([~member, member]).astype(float)
    fit = sm.OLS(values, design).fit(cov_type="cluster", cov_kwds={"groups": users, "use_correction": False})
    covariance = fit.cov_params() * 30 / 29  # thirty clusters a group
    se = math.sqrt(covariance[0, 0] + covariance[1, 1])
    assert found.contrast is not None
    assert found.contrast.se_at(1.0) == pytest.approx(se, rel=1e-9)


def test_one_list_given_to_many_personas_is_one_unit() -> None:
    lists = np.random.default_rng(7).random(60) < 0.4
    tastes = np.repeat(np.arange(60), 8)
    many = compare_binary(lists[tastes], ~lists[tastes], clusters_group=tastes, clusters_reference=tastes)
    one = compare_binary(lists, ~lists, paired=True)
    assert many.p == pytest.approx(one.p)
    assert many.n == one.n == 60
    apart = compare_binary(lists[tastes], lists[tastes], clusters_group=tastes, clusters_reference=tastes + 100)
    alone = compare_binary(lists, lists)
    assert apart.interval == pytest.approx(alone.interval, abs=0.01)  # t of 59 for the normal


def test_identical_lists_are_parity_with_an_interval_that_has_some_width() -> None:
    lists = np.random.default_rng(8).random(60) < 0.4
    found = compare_binary(lists, lists, paired=True)
    assert (found.p, found.ratio, found.difference) == (1.0, 1.0, 0.0)
    assert found.ratio_interval is not None
    assert 0.9 < found.ratio_interval[0] < 1 < found.ratio_interval[1] < 1.1
    assert judge([found], in_family=[True])[0].verdict is Verdict.PARITY


def test_a_small_group_of_equal_values_does_not_vary_less_than_both_together() -> None:
    rng = np.random.default_rng(9)
    reference = (rng.random(250) < 0.05) * rng.beta(2, 4, 250)
    plain = stats.ttest_ind(np.zeros(20), reference, equal_var=False).pvalue
    found = compare_means(np.zeros(20), reference)
    assert found.p is not None
    assert plain < 0.02
    assert found.p > 0.1


@pytest.mark.parametrize(
    ("group", "reference", "reason"),
    [
        ([], [True], "the group has no units"),
        ([True], [], "the reference has no units"),
        ([True], [True, False], "the group's spread over 1 unit"),
        ([True, False], [False, False], "the reference's value is 0"),
    ],
)
def test_what_is_not_estimable_says_why_and_gives_no_number(
    group: list[bool], reference: list[bool], reason: str
) -> None:
    found = compare_binary(group, reference)
    assert found.reason.startswith("not estimable: ")
    assert reason in found.reason
    assert found.p is found.ratio is found.ratio_interval is None
    judged = judge([found], in_family=[True])[0]
    assert judged.verdict is judged.p_adjusted is None
    assert judged.reason == found.reason


def test_means_without_variance_or_with_a_reference_of_zero_are_not_estimable() -> None:
    assert "nothing varies" in compare_means([0.2, 0.2], [0.2, 0.2]).reason
    assert "is 0" in compare_means([0.2, 0.3], [0.0, 0.0]).reason
    assert "below 0" in compare_means([0.2, 0.3], [-1.0, -0.5]).reason


def test_users_without_a_value_are_left_out_of_both_when_paired() -> None:
    group, reference = [1.0, 2.0, math.nan, 4.0], [1.5, 2.0, 3.0, math.nan]
    assert compare_means(group, reference).n == 3
    found = compare_means([*group, 3.0], [*reference, 3.5], paired=True)
    assert (found.n, found.difference) == (3, pytest.approx(-1 / 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare_binary([0, 1], [True, False]),
        lambda: compare_binary([True], [True], alpha=0),
        lambda: compare_binary([True], [True], alpha=1.5),
        lambda: compare_binary([True], [True, False], paired=True),
        lambda: compare_binary([True, False], [True, False], clusters_group=[1, 2]),
        lambda: compare_binary([True, False], [True, False], clusters_group=[1], clusters_reference=[1, 2]),
        lambda: compare_binary(
            [True, False], [True, False], clusters_group=[1.0, math.nan], clusters_reference=[1.0, 2.0]
        ),
        lambda: compare_means([math.inf, 1], [1, 2]),
        lambda: compare_means([[1.0]], [1, 2]),
        lambda: compare_means([1.0], [1, 2], alpha=math.nan),
        lambda: judge([None], in_family=[]),
        lambda: judge([], in_family=[], alpha=0),
        lambda: judge([], in_family=[], parity=(1.1, 1.2)),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(InvalidValueError):
        call()  # type: ignore[operator]


def verdict(row: Comparison, others: int = 0) -> Verdict | None:
    return judge([row, *[of_shares(50, 100, 50, 100)] * others], in_family=[True] * (others + 1))[0].verdict


def test_every_branch_of_the_rule() -> None:
    assert verdict(of_shares(100, 1000, 300, 1000)) is Verdict.DISPARITY
    assert verdict(of_shares(500, 1000, 500, 1000)) is Verdict.PARITY
    # .9 of the reference, beyond doubt: a difference, and parity.
    both = judge([of_shares(45_000, 100_000, 50_000, 100_000)], in_family=[True])[0]
    assert both.verdict is Verdict.PARITY
    assert "there is a difference" in both.reason
    # Significant, ratio .82 inside the band, interval out of it.
    assert verdict(of_shares(410, 1000, 500, 1000)) is Verdict.FLAGGED
    # Ratio .7, p .02 alone, not after Holm over 21.
    assert verdict(of_shares(35, 100, 50, 100)) is Verdict.DISPARITY
    assert verdict(of_shares(35, 100, 50, 100), others=20) is Verdict.FLAGGED
    assert verdict(of_shares(5, 10, 6, 10)) is Verdict.UNCLEAR


def test_outside_the_family_nothing_is_judged_and_nothing_counts() -> None:
    rows = [of_shares(35, 100, 50, 100), None, *[of_shares(10, 100, 50, 100)] * 3]
    found = judge(rows, in_family=[True, True, False, False, False])
    assert found[0].p_adjusted == rows[0].p  # type: ignore[union-attr]
    assert found[1] == replace(found[1], p_adjusted=None, verdict=None, reason="withheld")
    assert found[2].verdict is None
    assert found[2].reason == OUTSIDE_FAMILY
    assert found[2].p_adjusted == pytest.approx(rows[2].p)  # type: ignore[union-attr]


def test_the_adjusted_interval_leaves_1_out_exactly_when_the_adjusted_p_is_below_alpha() -> None:
    rows = [of_shares(k, 100, 50, 100) for k in range(20, 51, 2)]
    for one in judge(rows, in_family=[True] * len(rows)):
        assert one.p_adjusted is not None
        assert one.ratio_interval is not None
        assert (one.ratio_interval[1] < 1) == (one.p_adjusted < 0.05)


# Two shares, p0 = .5, n = 100 each, alpha .05: (.5 − r/2) = (1.95996 + .84162) √(r/2 (1 − r/2) + .25)/10 at r = .6123.
def test_the_detectable_ratio_by_hand_and_by_simulation() -> None:
    found = judge([of_shares(49, 100, 50, 100)], in_family=[True])[0].detectable_ratio
    assert found is not None
    left = 0.5 - found / 2
    right = (1.959964 + 0.841621) * math.sqrt(found / 2 * (1 - found / 2) + 0.25) / 10
    assert left == pytest.approx(right, abs=1e-5)
    rng = np.random.default_rng(10)
    k1, k0 = rng.binomial(100, 0.5 * found, 1500), rng.binomial(100, 0.5, 1500)
    p = [Shares(p1=a / 100, n1=100, p0=b / 100, n0=100, df=math.inf).p for a, b in zip(k1, k0, strict=True)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=0.04)


def test_a_row_that_could_see_nothing_has_no_detectable_ratio() -> None:
    assert judge([of_shares(1, 10, 2, 10)], in_family=[True])[0].detectable_ratio is None
    assert judge([of_shares(9, 10, 8, 10)], in_family=[True])[0].detectable_ratio is None
