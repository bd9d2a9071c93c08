"""Sample ratio, leaks and thresholds on counts: held against scipy, by hand, and against planted losses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.health import missing_variant, multiple_exposure, srm, unknown_variant
from workspace.errors import InvalidValueError, NotEstimableError


@given(
    counts=st.lists(st.integers(0, 10**7), min_size=2, max_size=6).filter(any),
    raw=st.lists(st.floats(0.01, 100), min_size=6, max_size=6),
)
def test_srm_is_scipys_chi_square(counts: list[int], raw: list[float]) -> None:
    weights = np.array(raw[: len(counts)])
    expected = weights / weights.sum() * sum(counts)
    found = srm(counts, list(weights))
    theirs = stats.chisquare(counts, expected)
    assert found.p is not None
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-300)
    assert list(found.expected.values()) == pytest.approx(list(expected), rel=1e-12)


def test_srm_names_arms_and_says_what_it_could_have_seen() -> None:
    found = srm({"treatment": 5_250, "control": 4_750}, {"control": 1, "treatment": 1})
    assert found.counts == {"control": 4_750, "treatment": 5_250}
    assert found.expected == {"control": 5_000.0, "treatment": 5_000.0}
    assert found.shares == {"control": 0.475, "treatment": 0.525}
    assert found.largest_off == pytest.approx(0.025)
    assert not found.ok
    assert not found.leak
    # By hand: (250² + 250²) / 5000 = 25, one degree of freedom.
    assert found.statistic == pytest.approx(25.0)
    assert "mismatch" in found.sentence
    assert found.to_dict()["sentence"] == found.sentence


def test_srm_is_red_only_when_the_share_is_off_by_a_tenth_of_a_point() -> None:
    # 0.08 points off of 100 million: p is far below .001, and nobody is harmed.
    harmless = srm([50_080_000, 49_920_000], [0.5, 0.5])
    assert harmless.p is not None
    assert harmless.p < 1e-10
    assert harmless.ok
    assert not srm([50_110_000, 49_890_000], [0.5, 0.5]).ok


def test_srm_calls_users_in_an_arm_of_weight_0_a_leak() -> None:
    found = srm({"a": 500, "b": 510, "off": 3}, {"a": 0.5, "b": 0.5, "off": 0})
    assert found.leak
    assert not found.ok
    assert found.leaked == {"off": 3}
    assert found.p == pytest.approx(stats.chisquare([500, 510]).pvalue)
    assert found.expected["off"] == 0
    assert "off (3 users)" in found.sentence
    empty = srm({"a": 500, "b": 510, "off": 0}, {"a": 0.5, "b": 0.5, "off": 0})
    assert not empty.leak
    assert empty.ok


def test_srm_of_one_weighted_arm_has_no_ratio() -> None:
    assert srm([100, 0], [1, 0]).p is None
    assert srm([100, 0], [1, 0]).ok
    leak = srm([0, 0, 7], [0.5, 0.5, 0])
    assert (leak.p, leak.leak, leak.ok) == (None, True, False)


def test_srm_of_a_missing_arm_is_red() -> None:
    assert not srm({"a": 1_000}, {"a": 0.5, "b": 0.5}).ok


def test_srm_takes_arrays_and_whole_floats() -> None:
    assert srm(np.array([500, 510]), np.array([0.5, 0.5])).ok
    assert srm([500.0, 510.0], [0.5, 0.5]).counts == {"0": 500, "1": 510}  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("counts", "weights", "told"),
    [
        ([1, -1], [0.5, 0.5], "whole number"),
        ([1, 1.5], [0.5, 0.5], "whole number"),
        ([1, math.nan], [0.5, 0.5], "whole number"),
        ([1, True], [0.5, 0.5], "whole number"),
        ([1, 2], [0.5, -0.5], "from 0 on"),
        ([1, 2], [0.5, math.nan], "finite"),
        ([1, 2], [0.5, math.inf], "finite"),
        ([1, 2], [0.0, 0.0], "one above 0"),
        ([1, 2], [1.0], "1 weights for 2 arms"),
        ([1], [1.0], "two or more"),
        ([], [], "two or more"),
        ({"a": 1, "c": 2}, {"a": 0.5, "b": 0.5}, r"\['c'\]"),
    ],
)
def test_srm_refuses_wrong_counts_and_weights(counts: object, weights: object, told: str) -> None:
    with pytest.raises(InvalidValueError, match=told) as caught:
        srm(counts, weights)  # type: ignore[arg-type]
    assert caught.value.hint


def test_srm_of_nobody_is_not_estimable() -> None:
    with pytest.raises(NotEstimableError, match="no user"):
        srm([0, 0], [0.5, 0.5])


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.5, 0.3, 0.2)])
def test_srm_would_have_seen_the_loss_it_states(shares: tuple[float, ...]) -> None:
    total = 40_000
    loss = srm([round(total * share) for share in shares], shares).detectable_loss
    assert loss is not None
    rng = np.random.default_rng(4)
    powers = []
    for arm in range(len(shares)):
        left = np.array(shares)
        left[arm] *= 1 - loss
        drawn = rng.multinomial(total, left / left.sum(), size=4_000)
        expected = total * np.array(shares)
        p = stats.chi2.sf(((drawn - expected) ** 2 / expected).sum(axis=1), len(shares) - 1)
        off = np.abs(drawn / total - np.array(shares)).max(axis=1)
        powers.append(((p < 0.001) & (off > 0.001)).mean())
    # The stated loss is the one of the arm where it is hardest to see.
    assert min(powers) == pytest.approx(0.80, abs=0.03)


def test_srm_of_few_users_could_not_have_seen_anything() -> None:
    found = srm([4, 5], [0.5, 0.5])
    assert found.detectable_loss is None
    assert "not have seen" in found.sentence


def test_srm_of_few_expected_users_needs_an_exact_test_to_agree() -> None:
    # 7 of 100 where 1 is expected: chi-square 36.4, exactly P(X ≥ 7) = 6.9e-5; 5 of 100: 16.2, exactly 3.4e-3.
    assert not srm([93, 7], [0.99, 0.01]).ok
    doubtful = srm([95, 5], [0.99, 0.01])
    assert doubtful.p is not None
    assert doubtful.p < 0.001
    assert doubtful.p_exact == pytest.approx(stats.binom.sf(4, 100, 0.01), rel=1e-6)
    assert doubtful.ok


@pytest.mark.parametrize("check", [multiple_exposure, missing_variant, unknown_variant])
def test_share_checks_are_red_above_their_limit_only(check: object) -> None:
    nothing = check(0, 0)  # type: ignore[operator]
    assert nothing.ok
    assert nothing.share is None
    total = 100_000
    limit = nothing.limit
    assert check(int(total * limit), total).ok  # type: ignore[operator]
    assert check(1, 20).ok, "one of few is chance"  # type: ignore[operator]
    red = check(int(total * limit * 2), total)  # type: ignore[operator]
    assert not red.ok
    assert red.to_dict()["p"] == pytest.approx(stats.binom.sf(red.count - 1, total, limit))


@pytest.mark.parametrize(("count", "total"), [(-1, 5), (6, 5), (1, -5)])
def test_share_checks_refuse_impossible_counts(count: int, total: int) -> None:
    with pytest.raises(InvalidValueError):
        multiple_exposure(count, total)
