"""Error budgets and burn rates, by hand and against the published table."""

import datetime as dt
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from monitoring.burn import WORKBOOK, BurnRule, Counts, Guard, budget, burn, duration, words
from workspace.errors import InvalidValueError

HOUR_S = 3_600.0


def counts(total: list[float], bad: list[float], *, width_s: float = 600.0) -> Counts:
    ends = np.arange(1, len(total) + 1) * width_s
    return Counts(
        end_s=ends, width_s=np.full(len(total), width_s), total=np.array(total, float), bad=np.array(bad, float)
    )


@pytest.mark.parametrize(("text", "expected"), [("10m", 600), ("6h", 21_600), ("28d", 2_419_200), ("2w", 1_209_600)])
def test_duration_reads_number_and_unit(text: str, expected: float) -> None:
    assert duration(text).total_seconds() == expected


@pytest.mark.parametrize("text", ["", "10", "0m", "-1h", "1.5h", "10 minutes", "999999d"])
def test_duration_refuses_what_it_can_not_read(text: str) -> None:
    with pytest.raises(InvalidValueError, match="must be a number and s, m, h, d or w"):
        duration(text)


def test_words_say_the_two_largest_units() -> None:
    assert words(dt.timedelta(days=2, hours=15, minutes=7)) == "2 d 15 h"
    assert words(dt.timedelta(minutes=10)) == "10 min"
    assert words(dt.timedelta(seconds=3)) == "0 min"


def test_workbook_rules_spend_the_published_share_of_a_month() -> None:
    # Table 5-8: 2 % of the 30-day budget in an hour, 5 % in 6 hours, 10 % in a day and in 3 days.
    spent = [rule.factor * rule.long / dt.timedelta(days=30) for rule in WORKBOOK]
    assert spent == pytest.approx([0.02, 0.05, 0.10, 0.10])
    assert [rule.level for rule in WORKBOOK] == ["page", "page", "ticket", "ticket"]
    assert all(rule.short * 12 == rule.long for rule in WORKBOOK)
    assert all(one.factor > other.factor for one, other in pairwise(WORKBOOK))


def test_rule_refuses_a_short_window_that_is_not_shorter() -> None:
    hour = dt.timedelta(hours=1)
    with pytest.raises(InvalidValueError, match="must be shorter than 1 h"):
        BurnRule(level="page", factor=2, long=hour, short=hour)
    with pytest.raises(InvalidValueError, match="factor"):
        BurnRule(level="page", factor=0, long=hour, short=hour / 2)


def test_burn_fires_when_both_windows_are_fast() -> None:
    # 2 % of the requests fail, 0.1 % may: 20 times the allowed rate.
    one = burn(counts([1_000] * 6, [20] * 6), WORKBOOK[0], target=0.999, until_s=HOUR_S)
    assert one.fires
    assert (one.long_rate, one.short_rate) == pytest.approx((20, 20))
    assert (one.total, one.bad) == (6_000, 120)


def test_burn_stops_when_the_short_window_is_good_again() -> None:
    one = burn(counts([1_000] * 6, [50] * 5 + [0]), WORKBOOK[0], target=0.999, until_s=HOUR_S)
    assert one.long_rate == pytest.approx(250 / 6_000 / 0.001)
    assert one.short_rate == 0
    assert not one.fires


def test_one_error_at_low_traffic_does_not_page() -> None:
    # One of 36 is 28 times what may fail, in the last ten minutes 167 times: and yet it is one error.
    one = burn(counts([6] * 6, [0] * 5 + [1]), WORKBOOK[0], target=0.999, until_s=HOUR_S)
    assert min(one.long_rate or 0, one.short_rate or 0) > WORKBOOK[0].factor
    assert not one.fires
    assert one.note == "held back: 1 bad of 36 in 1 h, 5 of 500 are needed"
    assert burn(
        counts([6] * 6, [0] * 5 + [1]),
        WORKBOOK[0],
        target=0.999,
        until_s=HOUR_S,
        guard=Guard(least_total=36, least_bad=1),
    ).fires


def test_burn_of_a_window_mostly_unknown_is_not_estimable() -> None:
    nan = float("nan")
    one = burn(counts([nan] * 4 + [1_000] * 2, [nan] * 4 + [900] * 2), WORKBOOK[0], target=0.999, until_s=HOUR_S)
    assert (one.long_rate, one.fires) == (None, False)
    assert one.note == "not estimable: 33% of 1 h is known, 50% are needed"


def test_burn_without_requests_is_not_estimable() -> None:
    one = burn(counts([0] * 6, [0] * 6), WORKBOOK[0], target=0.999, until_s=HOUR_S)
    assert one.long_rate is None
    assert one.note == "not estimable: nothing was counted in 1 h"


def test_counts_refuse_what_can_not_be() -> None:
    with pytest.raises(InvalidValueError, match="more bad than there was"):
        counts([10], [11])
    with pytest.raises(InvalidValueError, match="not in order"):
        Counts(end_s=np.array([2.0, 1.0]), width_s=np.ones(2), total=np.ones(2), bad=np.zeros(2))
    with pytest.raises(InvalidValueError, match="one shape"):
        Counts(end_s=np.array([1.0]), width_s=np.ones(2), total=np.ones(2), bad=np.zeros(2))


@pytest.mark.parametrize("target", [0.0, 1.0, -1.0, float("nan")])
def test_targets_lie_between_none_and_all(target: float) -> None:
    with pytest.raises(InvalidValueError, match="target"):
        budget(counts([1], [0]), target=target, window=dt.timedelta(days=1), until_s=600)


def test_budget_is_what_is_left_of_what_may_be_bad() -> None:
    # 28 days of 1,000 requests, 4 bad ones a day; 1 % may be: 6 of 10 parts are left.
    days = counts([1_000] * 28, [4] * 28, width_s=86_400)
    left = budget(days, target=0.99, window=dt.timedelta(days=28), until_s=28 * 86_400)
    assert left.attained is not None
    assert left.remaining is not None
    assert (left.attained.value, left.remaining.value) == pytest.approx((0.996, 0.6))
    assert (left.attained.low, left.remaining.high) == pytest.approx((0.996, 0.6))
    assert (left.total, left.bad, left.allowed) == pytest.approx((28_000, 112, 280))
    assert left.note == ""


def test_interval_of_a_budget_is_that_of_days() -> None:
    rng = np.random.default_rng(4)
    bad = rng.integers(0, 40, 14).astype(float)
    left = budget(
        counts([1_000] * 14, bad.tolist(), width_s=86_400),
        target=0.95,
        window=dt.timedelta(days=14),
        until_s=14 * 86_400,
    )
    # With as many requests each day the share of all is the mean of the days' shares.
    low, high = stats.t.interval(0.95, 13, loc=(bad / 1_000).mean(), scale=stats.sem(bad / 1_000))
    assert left.attained is not None
    assert (left.attained.low, left.attained.high) == pytest.approx((1 - high, 1 - low))
    assert left.remaining is not None
    assert left.remaining.low == pytest.approx(1 - high / 0.05)


def test_budget_may_be_overspent_and_of_few_days_has_no_interval() -> None:
    left = budget(
        counts([100] * 3, [10] * 3, width_s=86_400), target=0.95, window=dt.timedelta(days=28), until_s=3 * 86_400
    )
    assert left.remaining is not None
    assert left.remaining.value == pytest.approx(-1.0)
    assert left.remaining.low is None
    assert left.note == "3 d of 28 d are known; no interval: 3 whole days are known, 7 are needed"


def test_budget_of_nothing_is_not_estimable() -> None:
    left = budget(counts([0], [0]), target=0.95, window=dt.timedelta(days=28), until_s=600)
    assert left.attained is None
    assert left.note == "not estimable: nothing was counted in 28 d"
