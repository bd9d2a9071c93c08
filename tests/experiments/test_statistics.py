"""Estimators against scipy, statsmodels, gbstats, tea-tasting, hand and planted truth; never a 0 for the unknowable."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from experiments.statistics import Estimate, Moments, cuped, ratio, stratified, welch
from workspace.errors import InvalidValueError, NotEstimableError

Rows = np.ndarray[Any, np.dtype[np.float64]]
of = Moments.from_values
NAMES = ["x", "y", "pre_x", "pre_y"]


def draw(rng: np.random.Generator, n: int, lift: float, rate: float = 1.0) -> Rows:
    """Return numerator, denominator and their covariates of users whose taste lasts."""
    taste = rate * rng.gamma(2, 1, n)
    before, now = rng.poisson(8, (2, n)) + 1
    columns = [rng.poisson(taste * now * lift), now, rng.poisson(taste * before), before]
    return np.column_stack(columns).astype(np.float64)


@pytest.fixture(scope="module")
def arms() -> tuple[Rows, Rows]:
    rng = np.random.default_rng(11)
    return draw(rng, 700, 1.0), draw(rng, 450, 1.06)


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


def test_welch_agrees_with_statsmodels_and_numpy(arms: tuple[Rows, Rows]) -> None:
    control, variant = arms[0][:, 0], arms[1][:, 0]
    found = welch(of(control), of(variant), alpha=0.01)
    compared = CompareMeans(DescrStatsW(variant), DescrStatsW(control))
    assert (found.statistic, found.p, found.df) == pytest.approx(compared.ttest_ind(usevar="unequal"), rel=1e-9)
    assert found.ci == pytest.approx(compared.tconfint_diff(alpha=0.01, usevar="unequal"), rel=1e-9)
    assert (found.n_control, found.n_variant, found.method) == (700, 450, "welch")
    assert (found.mean_control, found.mean_variant) == pytest.approx((control.mean(), variant.mean()))
    pooled = math.sqrt((699 * control.var(ddof=1) + 449 * variant.var(ddof=1)) / 1148)
    assert found.cohen_d == pytest.approx((variant.mean() - control.mean()) / pooled)


@pytest.mark.parametrize("shift", [0.7, 2.0, 4.0])
def test_welch_keeps_the_digits_of_a_tiny_p(shift: float) -> None:
    rng = np.random.default_rng(1)
    control, variant = rng.normal(0, 1, 400), rng.normal(shift, 1, 400)
    wanted = stats.ttest_ind(variant, control, equal_var=False)
    found = welch(of(control), of(variant))
    assert 0 < found.p < 1e-18
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-8)
    assert found.p == pytest.approx(2 * stats.t.sf(wanted.statistic, wanted.df), rel=1e-8)


@pytest.mark.parametrize("which", ["mean", "ratio", "cuped", "cuped of ratios"])
def test_estimators_agree_with_tea_tasting(arms: tuple[Rows, Rows], which: str) -> None:
    tt = pytest.importorskip("tea_tasting")
    frames = [pd.DataFrame(arm, columns=NAMES).assign(variant=at) for at, arm in enumerate(arms)]
    data = pd.concat(frames, ignore_index=True)
    metric, compare, at = {
        "mean": (tt.Mean("x"), welch, [0]),
        "ratio": (tt.RatioOfMeans("x", "y"), ratio, [0, 1]),
        "cuped": (tt.Mean("x", "pre_x"), cuped, [0, 2]),
        "cuped of ratios": (tt.RatioOfMeans("x", "y", "pre_x", "pre_y"), cuped, [0, 1, 2, 3]),
    }[which]
    wanted = tt.Experiment(metric=metric).analyze(data)["metric"]
    found = compare(*(of(arm[:, at]) for arm in arms))
    rel = 1e-9 if which == "mean" else 1e-7
    assert found.mean_control == pytest.approx(wanted.control, rel=rel)
    assert found.mean_variant == pytest.approx(wanted.treatment, rel=rel)
    assert found.diff == pytest.approx(wanted.effect_size, rel=rel)
    assert found.ci == pytest.approx((wanted.effect_size_ci_lower, wanted.effect_size_ci_upper), rel=rel)
    assert found.rel == pytest.approx(wanted.rel_effect_size, rel=rel)
    assert found.statistic == pytest.approx(wanted.statistic, rel=rel)
    assert found.p == pytest.approx(wanted.pvalue, rel=rel)


@pytest.mark.parametrize("which", ["mean", "ratio", "cuped"])
def test_estimators_agree_with_gbstats(arms: tuple[Rows, Rows], which: str) -> None:
    tests = pytest.importorskip("gbstats.frequentist.tests")
    models = pytest.importorskip("gbstats.models.statistics")

    def mean(values: Rows) -> Any:
        return models.SampleMeanStatistic(n=len(values), sum=values.sum(), sum_squares=(values**2).sum())

    def statistic(arm: Rows, theta: float) -> Any:
        if which == "ratio":
            x, y = arm[:, 0], arm[:, 1]
            return models.RatioStatistic(
                n=len(arm), m_statistic=mean(x), d_statistic=mean(y), m_d_sum_of_products=(x * y).sum()
            )
        if which == "cuped":
            return models.RegressionAdjustedStatistic(
                n=len(arm),
                post_statistic=mean(arm[:, 0]),
                pre_statistic=mean(arm[:, 2]),
                post_pre_sum_of_products=(arm[:, 0] * arm[:, 2]).sum(),
                theta=theta,
            )
        return mean(arm[:, 0])

    theta = models.compute_theta(*(statistic(arm, 0.0) for arm in arms)) if which == "cuped" else 0.0
    # Its relative interval contradicts its own absolute test; the absolute one is the oracle.
    config = tests.FrequentistConfig(difference_type="absolute")
    test = tests.TwoSidedTTest(*(statistic(arm, theta) for arm in arms), config)
    wanted = test.compute_result()
    compare, at = {"mean": (welch, [0]), "ratio": (ratio, [0, 1]), "cuped": (cuped, [0, 2])}[which]
    found = compare(*(of(arm[:, at]) for arm in arms))
    assert found.diff == pytest.approx(wanted.expected, rel=1e-8)
    assert found.ci == pytest.approx(tuple(wanted.ci), rel=1e-8)
    assert found.df == pytest.approx(test.dof, rel=1e-8)
    assert found.p == pytest.approx(wanted.p_value, rel=1e-7)


def test_ratio_of_a_constant_denominator_is_the_mean(arms: tuple[Rows, Rows]) -> None:
    control, variant = (np.column_stack([arm[:, 0], np.full(len(arm), 4.0)]) for arm in arms)
    found, mean = ratio(of(control), of(variant)), welch(of(control[:, 0] / 4), of(variant[:, 0] / 4))
    wanted = (mean.diff, mean.se, mean.df, mean.p, mean.cohen_d)
    assert (found.diff, found.se, found.df, found.p, found.cohen_d) == pytest.approx(wanted, rel=1e-9)
    assert found.rel_ci == pytest.approx(mean.rel_ci, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_fieller_bounds_are_where_the_test_of_a_multiple_turns(arms: tuple[Rows, Rows], alpha: float) -> None:
    control, variant = arms[0][:, 0], arms[1][:, 0]
    found = welch(of(control), of(variant), alpha=alpha)
    critical = stats.t.isf(alpha / 2, found.df)
    for bound, sign in zip(found.rel_ci, (1, -1), strict=True):
        error = variant.var(ddof=1) / 450 + (1 + bound) ** 2 * control.var(ddof=1) / 700
        assert (variant.mean() - (1 + bound) * control.mean()) / math.sqrt(error) == pytest.approx(sign * critical)
    one = welch(of(control), of(variant), alpha=alpha / 2, side="greater")
    assert one.rel_ci == (pytest.approx(found.rel_ci[0]), math.inf)
    assert welch(of(control), of(variant), alpha=alpha / 2, side="less").rel_ci[1] == pytest.approx(found.rel_ci[1])


def test_fieller_is_the_whole_line_when_control_is_near_zero() -> None:
    found = welch(of(np.linspace(-1, 1.02, 50)), of(np.linspace(2, 4, 50)))
    assert found.p < 0.001
    assert found.rel_ci == (-math.inf, math.inf)
    assert found.to_dict()["rel_ci"] == [None, None]
    nothing = welch(of([-1.0, 1.0]), of([1.0, 2.0]))
    assert nothing.rel is None


def test_fieller_with_a_negative_control_changes_sides() -> None:
    rng = np.random.default_rng(6)
    control, variant = rng.normal(-5, 1, 90), rng.normal(-4, 1, 90)
    found = welch(of(control), of(variant), side="greater")
    assert found.ci[0] > 0
    assert found.rel_ci[0] == -math.inf
    assert found.rel_ci[1] < 0


def test_cuped_reports_true_variances_of_both_adjusted_ratios() -> None:
    rng = np.random.default_rng(21)
    found = [cuped(of(draw(rng, 160, 1.0)), of(draw(rng, 80, 1.5))) for _ in range(2500)]
    both = np.array([[one.mean_control, one.mean_variant] for one in found])
    covariance = np.cov(both.T)
    assert np.mean([one.var_control for one in found]) == pytest.approx(covariance[0, 0], rel=0.1)
    assert np.mean([one.covariance for one in found]) == pytest.approx(covariance[0, 1], rel=0.2)
    assert np.mean([one.se**2 for one in found]) == pytest.approx(np.var(both[:, 1] - both[:, 0]), rel=0.1)
    covers = np.mean([one.rel_ci[0] <= 0.5 <= one.rel_ci[1] for one in found])
    assert covers == pytest.approx(0.95, abs=0.015)


def test_cuped_by_hand_on_one_adjusted_value_a_user(arms: tuple[Rows, Rows]) -> None:
    control, variant = (arm[:, [0, 2]] for arm in arms)
    everyone = np.concatenate([control, variant])
    theta = np.cov(everyone.T)[0, 1] / everyone[:, 1].var(ddof=1)
    adjusted = [arm[:, 0] - theta * (arm[:, 1] - everyone[:, 1].mean()) for arm in (control, variant)]
    found, wanted = cuped(of(control), of(variant)), welch(of(adjusted[0]), of(adjusted[1]))
    for name in ("mean_control", "mean_variant", "diff", "se", "df", "p", "ci", "rel"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-9)
    raw = welch(of(control), of(variant))
    assert found.se < 0.75 * raw.se
    assert found.cohen_d == pytest.approx(found.diff * raw.cohen_d / raw.diff)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (2, 0.0, "the covariate does not vary"),
        (3, 0.0, "the covariate's denominator is 0"),
    ],
)
def test_cuped_without_a_usable_covariate_is_raw_and_says_so(
    arms: tuple[Rows, Rows], column: int, value: float, reason: str
) -> None:
    spoilt = [arm.copy() for arm in arms]
    for arm in spoilt:
        arm[:, column] = value
    found, raw = cuped(*map(of, spoilt)), ratio(*map(of, spoilt))
    assert found.method == f"cuped (unadjusted: {reason})"
    assert dataclasses.replace(found, method="") == dataclasses.replace(raw, method="")


def test_cuped_with_a_constant_covariate_mean_is_raw() -> None:
    control, variant = of([[1.0, 0.1], [2.0, 0.1], [4.0, 0.1]]), of([[2.0, 0.1], [3.0, 0.1]])
    found = cuped(control, variant)
    assert found.method == "cuped (unadjusted: the covariate does not vary)"
    assert found.p == welch(control, variant).p


def strata(rng: np.random.Generator) -> tuple[list[Rows], list[Rows]]:
    """Return regions whose users and splits both differ, with the same relative lift of 10 %."""
    shapes = [(300, 200, 1.0), (100, 500, 3.0), (60, 40, 0.3)]
    return [draw(rng, n, 1.0, rate) for n, _, rate in shapes], [draw(rng, n, 1.1, rate) for _, n, rate in shapes]


def test_stratified_mean_by_hand() -> None:
    controls, variants = strata(np.random.default_rng(2))
    n = np.array([[len(c), len(v)] for c, v in zip(controls, variants, strict=True)])
    weights = n.sum(axis=1) / n.sum()
    means = np.array([[c[:, 0].mean(), v[:, 0].mean()] for c, v in zip(controls, variants, strict=True)])
    spreads = np.array([[c[:, 0].var(ddof=1), v[:, 0].var(ddof=1)] for c, v in zip(controls, variants, strict=True)])
    parts = weights[:, None] ** 2 * spreads / n
    found = stratified([of(c) for c in controls], [of(v) for v in variants])
    assert found.method == "stratified mean"
    assert (found.mean_control, found.mean_variant) == pytest.approx(tuple(weights @ means))
    assert found.se == pytest.approx(math.sqrt(parts.sum()))
    assert found.df == pytest.approx(parts.sum() ** 2 / (parts**2 / (n - 1)).sum())
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.diff / found.se), found.df))


@pytest.mark.parametrize("method", ["mean", "ratio", "cuped"])
def test_stratified_of_one_stratum_is_the_plain_estimator(arms: tuple[Rows, Rows], method: Any) -> None:
    plain = {"mean": welch, "ratio": ratio, "cuped": cuped}[method]
    wanted = plain(of(arms[0]), of(arms[1]), margin=0.1, side="less")
    found = stratified([of(arms[0])], [of(arms[1])], method=method, margin=0.1, side="less")
    assert dataclasses.replace(found, method=wanted.method) == wanted


@pytest.mark.parametrize("method", ["mean", "ratio"])
def test_stratified_agrees_with_the_plain_one_where_the_split_is_even(method: Any) -> None:
    rng = np.random.default_rng(9)
    controls = [draw(rng, n, 1.0, rate) for n, rate in ((120, 1.0), (240, 3.0), (60, 0.3))]
    variants = [draw(rng, n, 1.2, rate) for n, rate in ((60, 1.0), (120, 3.0), (30, 0.3))]
    plain = {"mean": welch, "ratio": ratio}[method](of(np.concatenate(controls)), of(np.concatenate(variants)))
    found = stratified([of(c) for c in controls], [of(v) for v in variants], method=method)
    assert (found.mean_control, found.mean_variant) == pytest.approx((plain.mean_control, plain.mean_variant))
    assert found.se < plain.se  # what differs between strata is no noise any more
    assert found.cohen_d == pytest.approx(plain.cohen_d)


@pytest.mark.parametrize("method", ["mean", "ratio", "cuped"])
def test_stratified_is_right_where_the_plain_one_falls_for_simpson(method: Any) -> None:
    rng = np.random.default_rng(14)
    plain, found = [], []
    for _ in range(150):
        controls, variants = strata(rng)
        compare = {"mean": welch, "ratio": ratio, "cuped": cuped}[method]
        plain.append(compare(of(np.concatenate(controls)), of(np.concatenate(variants))).rel or 0.0)
        found.append(stratified([of(c) for c in controls], [of(v) for v in variants], method=method))
    assert np.mean([one.rel for one in found]) == pytest.approx(0.1, abs=0.015)
    covers = np.mean([one.rel_ci[0] <= 0.1 <= one.rel_ci[1] for one in found])
    assert covers == pytest.approx(0.95, abs=0.06)
    assert method == "cuped" or np.mean(plain) > 0.4


def test_stratified_ratio_is_of_all_users_even_when_denominators_move() -> None:
    # By hand: half the users in each stratum; rates 0.5 and 0.1; the variant doubles the denominators of the second.
    def cell(n: int, rate: float, below: float) -> Rows:
        y = np.tile([below - 1, below + 1], n // 2)
        return np.column_stack([rate * y, y])

    controls, variants = [cell(20, 0.5, 4), cell(80, 0.1, 4)], [cell(80, 0.5, 4), cell(20, 0.1, 8)]
    found = stratified([of(c) for c in controls], [of(v) for v in variants], method="ratio")
    assert found.mean_control == pytest.approx((2.0 + 0.4) / (4 + 4))
    assert found.mean_variant == pytest.approx((2.0 + 0.8) / (4 + 8))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-3, 3), n=st.integers(2, 60), m=st.integers(2, 60))
def test_p_interval_and_relative_interval_never_disagree(seed: int, shift: float, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    columns = [rng.normal(8, 1, (size, 4)) + np.array([bump, 0, 0, 0]) for size, bump in ((n, 0.0), (m, shift))]
    control, variant = (of(np.abs(one) + 1) for one in columns)
    for compare in (welch, ratio, cuped):
        for side in ("two", "less", "greater"):
            found = compare(control, variant, side=side)  # type: ignore[operator]
            rejects = found.p < found.alpha
            assert rejects == (not found.ci[0] <= 0 <= found.ci[1])
            if found.rel_ci != (-math.inf, math.inf):
                assert rejects == (not found.rel_ci[0] <= 0 <= found.rel_ci[1])
                assert found.rel_ci[0] <= found.rel <= found.rel_ci[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), m=st.integers(2, 40))
def test_swapped_arms_give_the_opposite_and_merged_sums_the_same(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.gamma(2, 1, (n, 4)) + 0.1, rng.gamma(2, 1, (m, 4)) + 0.1
    parts = [[of(one[at : at + 7]) for at in range(0, len(one), 7)] for one in rows]
    for compare in (welch, ratio, cuped):
        there: Estimate = compare(*map(of, rows))  # type: ignore[operator]
        back: Estimate = compare(*map(of, rows[::-1]))  # type: ignore[operator]
        merged: Estimate = compare(*(one[0].merge(*one[1:]) for one in parts))  # type: ignore[operator]
        assert (back.diff, back.se, back.p) == pytest.approx((-there.diff, there.se, there.p), rel=1e-9, abs=1e-12)
        assert back.ci == pytest.approx((-there.ci[1], -there.ci[0]), rel=1e-9, abs=1e-12)
        wanted = (there.diff, there.se, there.df, there.p)
        assert (merged.diff, merged.se, merged.df, merged.p) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_at_gives_the_interval_of_another_level(arms: tuple[Rows, Rows]) -> None:
    control, variant = map(of, arms)
    assert ratio(control, variant).at(0.01) == ratio(control, variant, alpha=0.01)
    with pytest.raises(InvalidValueError, match="alpha == 0, must be > 0"):
        ratio(control, variant).at(0)


def test_to_dict_is_plain_json(arms: tuple[Rows, Rows]) -> None:
    found = ratio(*map(of, arms), side="greater").to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["ci"][1] is None
    required = {"n_control", "n_variant", "mean_control", "mean_variant", "diff", "se", "statistic", "df", "p"}
    assert required | {"ci", "rel", "rel_ci", "method"} <= found.keys()


def test_one_arm_without_variance_is_still_compared() -> None:
    found = welch(of([2.0] * 30), of([1.0, 2.0, 3.0, 5.0]))
    wanted = stats.ttest_1samp([1.0, 2.0, 3.0, 5.0], 2.0)
    assert (found.p, found.df) == pytest.approx((wanted.pvalue, 3))


@pytest.mark.parametrize("compare", [welch, ratio, cuped])
def test_estimators_refuse_an_arm_without_users(compare: Callable[..., Estimate]) -> None:
    one, two = of([[1.0, 1.0]]), of([[1.0, 1.0], [2.0, 3.0]])
    with pytest.raises(NotEstimableError, match="users of control == 1, must be 2 or more"):
        compare(one, two)
    with pytest.raises(NotEstimableError, match="users of the variant == 0, must be 2 or more"):
        compare(two, of(np.zeros((0, 2))))


def test_estimators_refuse_arms_without_variance() -> None:
    same = of([[0.3, 0.9]] * 5)
    third = np.column_stack([np.arange(1.0, 9.0) / 3, np.arange(1.0, 9.0)])
    for compare, arm in ((welch, same), (ratio, same), (cuped, same), (ratio, of(third))):
        with pytest.raises(NotEstimableError, match="two arms without variance"):
            compare(arm, arm)


def test_ratio_refuses_denominators_that_sum_to_zero() -> None:
    good = of([[1.0, 1.0], [0.0, 3.0], [1.0, 2.0]])
    bad = of([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    with pytest.raises(NotEstimableError, match="denominator sums to 0 in the variant"):
        ratio(good, bad)
    with pytest.raises(NotEstimableError, match="denominator sums to 0 in control"):
        stratified([bad, bad], [good, good], method="ratio")
    # A stratum of no denominators is no obstacle: the combined ratio never divides by it.
    assert stratified([good, bad], [good, bad], method="ratio").diff == pytest.approx(0.0)


def test_stratified_names_the_stratum_without_users() -> None:
    good, empty = of([1.0, 2.0]), of([])
    with pytest.raises(NotEstimableError, match="users of the variant in stratum 1 == 0"):
        stratified([good, good, good], [good, empty, good])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "median"}, "method == 'median', must be mean, ratio or cuped"),
        ({"method": "ratio"}, r"columns == \[1\], must be 2 or more"),
        ({"method": "cuped"}, "must be 2 \\(outcome, covariate\\) or 4"),
        ({"side": "both"}, "side == 'both', must be two, less or greater"),
        ({"alpha": 1.0}, r"alpha == 1\.0, must be < 1"),
        ({"margin": math.nan}, "margin == nan, must be a finite number"),
    ],
)
def test_stratified_refuses_wrong_arguments(arguments: dict[str, Any], said: str) -> None:
    arm = [of([1.0, 2.0])]
    with pytest.raises(InvalidValueError, match=said):
        stratified(arm, arm, **arguments)


def test_stratified_refuses_strata_that_do_not_pair() -> None:
    arm = of([1.0, 2.0])
    for controls, variants in (([arm], [arm, arm]), ([], [])):
        with pytest.raises(InvalidValueError, match="must be as many, and one at least"):
            stratified(controls, variants)
