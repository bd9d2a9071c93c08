"""Log ratio, bootstrap and permutation against formulas, other libraries and enumeration."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from audit.inference import bootstrap_interval, bootstrap_ratio, log_ratio, permutation_p
from workspace.errors import InvalidValueError, NotEstimableError


def test_the_log_ratio_of_shares_is_katzs() -> None:
    group, reference = np.arange(80) < 20, np.arange(120) < 48
    ratio, (low, high) = log_ratio(group, reference)
    # Katz: 1/20 − 1/80 + 1/48 − 1/120, with n − 1 for n in each: (1 − p)/(p (n − 1)).
    se = math.sqrt(0.75 / (0.25 * 79) + 0.6 / (0.4 * 119))
    assert ratio == pytest.approx(0.625)
    katz = stats.contingency.relative_risk(20, 80, 48, 120).confidence_interval()
    assert (low, high) == pytest.approx((katz.low, katz.high), rel=0.02)
    assert math.log(high / low) / 2 / se == pytest.approx(stats.t.ppf(0.975, 160), rel=5e-3)


def test_bootstrap_agrees_with_scipys_bca() -> None:
    rng = np.random.default_rng(1)
    values = rng.gamma(2, 1, 60)
    sums = np.column_stack([values, np.ones(60)])
    found = bootstrap_interval(sums, lambda total: total[:, 0] / total[:, 1], draws=9_999, seed=2)
    other = stats.bootstrap((values,), np.mean, n_resamples=9_999, rng=np.random.default_rng(3)).confidence_interval
    assert found == pytest.approx((other.low, other.high), abs=0.03)


def test_bootstrap_draws_clusters_whole_and_gives_the_same_bits_again() -> None:
    rng = np.random.default_rng(4)
    lists = rng.random((2, 60)) < 0.4
    tastes = np.repeat(np.arange(60), 8)
    group, reference = lists[0][tastes] * 1.0, lists[1][tastes] * 1.0
    clusters = {"clusters_group": tastes, "clusters_reference": tastes}
    ratio, found = bootstrap_ratio(group, reference, seed=5, **clusters)
    assert (ratio, found) == bootstrap_ratio(group, reference, seed=5, **clusters)
    _, once = bootstrap_ratio(lists[0], lists[1], clusters_group=range(60), clusters_reference=range(60), seed=5)
    assert found == pytest.approx(once)
    _, rows = bootstrap_ratio(group, reference, seed=5)
    assert math.log(rows[1] / rows[0]) < 0.6 * math.log(found[1] / found[0])


def test_permutation_is_the_exact_test() -> None:
    values, codes = np.array([1.0, 2.5, 3.1, 7.0, 8.2, 9.9, 4.4]), np.array([0, 0, 0, 1, 1, 1, 1])
    apart = []
    for chosen in itertools.combinations(range(7), 3):
        mine = np.isin(np.arange(7), chosen)
        apart.append(abs(values[mine].mean() - values[~mine].mean()))
    observed = abs(values[:3].mean() - values[3:].mean())
    exact = np.mean(np.array(apart) >= observed - 1e-12)
    assert permutation_p(values, codes, draws=4_999, seed=6) == pytest.approx(exact, abs=0.01)


def test_permutation_inside_strata_sees_what_tastes_hide() -> None:
    tastes, codes = np.repeat(np.arange(20), 4), np.tile(np.arange(4), 20)
    values = 10.0 * np.random.default_rng(7).normal(size=20)[tastes] + 0.2 * codes
    assert permutation_p(values, codes, strata=tastes, draws=199) == pytest.approx(1 / 200)
    assert permutation_p(values, codes, draws=199) > 0.2


def test_permutation_of_identical_lists_is_1() -> None:
    tastes, codes = np.repeat(np.arange(20), 4), np.tile(np.arange(4), 20)
    lists = np.random.default_rng(8).random((20, 3))[tastes]
    assert permutation_p(lists, codes, strata=tastes, draws=99) == 1.0
    assert permutation_p(np.full(80, 0.1), codes, draws=99) == 1.0


def test_permutation_leaves_unknown_groups_out() -> None:
    values, codes = np.arange(12.0), np.array([0, 1] * 4 + [-1] * 4)
    assert permutation_p(values, codes, draws=199) == permutation_p(values[:8], codes[:8], draws=199)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: log_ratio([0.0, 0.0], [1.0, 2.0]), NotEstimableError),
        (lambda: log_ratio([1.0, 2.0], [0.0, 0.0]), NotEstimableError),
        (lambda: log_ratio([1.0], [1.0, 2.0]), NotEstimableError),
        (lambda: log_ratio([1.0, math.nan], [1.0, 2.0]), InvalidValueError),
        (lambda: log_ratio([1.0, 2.0], [1.0, 2.0], alpha=1), InvalidValueError),
        (lambda: log_ratio([1.0, 2.0], [1.0, 2.0], clusters_group=[1, 2]), InvalidValueError),
        (lambda: bootstrap_ratio([0.0, 0.0], [1.0, 2.0]), NotEstimableError),
        (lambda: bootstrap_ratio([], [1.0, 2.0]), NotEstimableError),
        (lambda: bootstrap_ratio([1.0], [1.0, 2.0]), NotEstimableError),
        (lambda: bootstrap_ratio([1.0, 2.0], [1.0, 2.0], draws=10), InvalidValueError),
        (lambda: bootstrap_ratio([1.0, math.inf], [1.0, 2.0]), InvalidValueError),
        (lambda: bootstrap_ratio([1.0, 2.0], [1.0, 2.0], clusters_group=[1, 2]), InvalidValueError),
        (lambda: bootstrap_interval([1.0], lambda total: total[:, 0]), InvalidValueError),
        (lambda: permutation_p([1.0, 2.0], [0, 0]), NotEstimableError),
        (lambda: permutation_p([1.0, 2.0], [-1, -1]), NotEstimableError),
        (lambda: permutation_p([1.0, math.nan], [0, 1]), InvalidValueError),
        (lambda: permutation_p([1.0, 2.0], [0]), InvalidValueError),
        (lambda: permutation_p([1.0, 2.0], [0, 1], clusters=[3, 3]), InvalidValueError),
        (lambda: permutation_p([1.0, 2.0], [0, 1], draws=10), InvalidValueError),
    ],
)
def test_bad_input_is_refused(call: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()  # type: ignore[operator]
