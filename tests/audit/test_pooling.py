"""Pooled ratios against statsmodels, against their one-market case, and against themselves on clusters of one row."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from audit.pooling import Stratum, mantel_haenszel, pooled_ratio
from workspace.errors import InvalidValueError, NotEstimableError

MARKETS = [
    Stratum(name="ca", k1=12, n1=60, k0=30, n0=90),
    Stratum(name="eu", k1=25, n1=80, k0=40, n0=100),
    Stratum(name="us", k1=9, n1=50, k0=33, n0=120),
]


def test_the_pooled_ratio_is_statsmodels() -> None:
    tables = [np.array([[one.k1, one.n1 - one.k1], [one.k0, one.n0 - one.k0]]) for one in MARKETS]
    found = mantel_haenszel(MARKETS)
    assert found.ratio == pytest.approx(StratifiedTable(tables).riskratio_pooled)


# Greenland & Robins (1985), eq. 13, worked out for the three markets.
def test_the_interval_is_greenland_and_robins() -> None:
    r = 12 * 90 / 150 + 25 * 100 / 180 + 9 * 120 / 170
    s = 30 * 60 / 150 + 40 * 80 / 180 + 33 * 50 / 170
    p = (
        (60 * 90 * 42 - 12 * 30 * 150) / 150**2
        + (80 * 100 * 65 - 25 * 40 * 180) / 180**2
        + (50 * 120 * 42 - 9 * 33 * 170) / 170**2
    )
    se = math.sqrt(p / (r * s))
    found = mantel_haenszel(MARKETS)
    assert found.interval == pytest.approx((r / s * math.exp(-1.959964 * se), r / s * math.exp(1.959964 * se)))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(math.log(r / s)) / se))


def test_one_market_is_katzs_interval() -> None:
    found = mantel_haenszel(MARKETS[:1])
    katz = stats.contingency.relative_risk(12, 60, 30, 90).confidence_interval()
    assert found.interval == pytest.approx((katz.low, katz.high))
    assert found.heterogeneity_p is None
    assert found.strata[0].interval == pytest.approx((katz.low, katz.high))


# Q by hand: ln rr = −.51083, −.24686, −.42434 with variances 1/12 − 1/60 + 1/30 − 1/90 and so on.
def test_heterogeneity_is_cochrans_q() -> None:
    logs = np.log([12 / 60 / (30 / 90), 25 / 80 / 0.4, 9 / 50 / (33 / 120)])
    weights = 1 / np.array(
        [1 / 12 - 1 / 60 + 1 / 30 - 1 / 90, 1 / 25 - 1 / 80 + 1 / 40 - 1 / 100, 1 / 9 - 1 / 50 + 1 / 33 - 1 / 120]
    )
    q = (weights * (logs - np.average(logs, weights=weights)) ** 2).sum()
    found = mantel_haenszel(MARKETS)
    assert found.statistic == pytest.approx(q)
    assert found.heterogeneity_p == pytest.approx(stats.chi2.sf(q, 2))


def rows(markets: list[Stratum]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    group = np.concatenate([np.arange(one.n1) < one.k1 for one in markets])
    reference = np.concatenate([np.arange(one.n0) < one.k0 for one in markets])
    return (
        group,
        reference,
        np.repeat([one.name for one in markets], [one.n1 for one in markets]),
        np.repeat([one.name for one in markets], [one.n0 for one in markets]),
    )


def test_clusters_of_one_row_give_nearly_greenland_and_robins() -> None:
    group, reference, mine, theirs = rows(MARKETS)
    found = pooled_ratio(
        group,
        reference,
        mine,
        theirs,
        clusters_group=np.arange(group.size),
        clusters_reference=np.arange(group.size, group.size + reference.size),
    )
    other = mantel_haenszel(MARKETS)
    assert found.ratio == pytest.approx(other.ratio)
    assert found.interval == pytest.approx(other.interval, rel=0.02)
    assert found.heterogeneity_p == pytest.approx(other.heterogeneity_p, abs=0.02)
    assert [one.ratio for one in found.strata] == pytest.approx([one.ratio for one in other.strata])


def test_rows_told_eight_times_say_no_more() -> None:
    rng = np.random.default_rng(1)
    tastes, markets = np.repeat(np.arange(40), 3), np.tile(["a", "b", "c"], 40)
    group, reference = rng.random(120) < 0.3, rng.random(120) < 0.4
    once = pooled_ratio(group, reference, markets, markets, clusters_group=tastes, clusters_reference=tastes)
    many = pooled_ratio(
        np.tile(group, 8),
        np.tile(reference, 8),
        np.tile(markets, 8),
        np.tile(markets, 8),
        clusters_group=np.tile(tastes, 8),
        clusters_reference=np.tile(tastes, 8),
    )
    assert many.interval == pytest.approx(once.interval)
    assert many.heterogeneity_p == pytest.approx(once.heterogeneity_p)


def test_identical_lists_in_all_markets_are_1_and_agree() -> None:
    tastes, markets = np.repeat(np.arange(40), 3), np.tile(["a", "b", "c"], 40)
    lists = (np.random.default_rng(2).random(40) < 0.4)[tastes]
    found = pooled_ratio(lists, lists, markets, markets, clusters_group=tastes, clusters_reference=tastes)
    assert (found.ratio, found.p, found.heterogeneity_p) == (1.0, 1.0, 1.0)


def test_a_market_without_a_log_ratio_is_named_and_left_out_of_heterogeneity() -> None:
    found = mantel_haenszel([*MARKETS, Stratum(name="kg", k1=0, n1=10, k0=3, n0=10)])
    assert found.left_out == ("kg",)
    assert found.strata[3].to_dict() == {"market": "kg", "n": 20, "ratio": 0.0, "low": None, "high": None}
    nothing = mantel_haenszel([Stratum(name="kg", k1=0, n1=10, k0=3, n0=10)])
    assert (nothing.ratio, nothing.interval, nothing.p) == (0.0, None, None)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: mantel_haenszel([]), NotEstimableError),
        (lambda: mantel_haenszel([Stratum(name="a", k1=1, n1=2, k0=0, n0=2)]), NotEstimableError),
        (lambda: mantel_haenszel(MARKETS, alpha=2), InvalidValueError),
        (lambda: Stratum(name="a", k1=3, n1=2, k0=0, n0=2), InvalidValueError),
        (lambda: Stratum(name="a", k1=0, n1=0, k0=0, n0=2), NotEstimableError),
        (lambda: pooled([1, 0], [0, 0]), NotEstimableError),
        (lambda: pooled([1, -1], [1, 0]), InvalidValueError),
        (lambda: pooled([1, math.nan], [1, 0]), InvalidValueError),
        (lambda: pooled([1, 0], [1, 0], markets=["a", "b"]), NotEstimableError),
        (lambda: pooled([1, 0], [1, 0], clusters=[1]), InvalidValueError),
        (lambda: pooled([1, 0], [1, 0], clusters=[1, 1]), NotEstimableError),
    ],
)
def test_bad_input_is_refused(call: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()  # type: ignore[operator]


def pooled(
    group: list[float], reference: list[float], markets: list[str] | None = None, clusters: object = None
) -> None:
    same = clusters or [1, 2]
    mine, theirs = [[one] * 2 for one in markets] if markets else (["a"] * 2, ["a"] * 2)
    pooled_ratio(group, reference, mine, theirs, clusters_group=same, clusters_reference=same)  # type: ignore[arg-type]
