"""Stretches, the moments they begin, and lines that begin in a level."""

import datetime as dt
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.episodes import bad_runs, between, edge, grouped, high_runs, hinge, usual_share

NAN = float("nan")


def test_usual_share_leaves_out_what_is_beyond_the_limit() -> None:
    bad, total = np.array([1.0, 2, 500, 3, NAN]), np.array([1_000.0, 1_000, 1_000, 1_000, NAN])
    assert usual_share(bad, total, 0.01) == pytest.approx(6 / 3_000)
    assert usual_share(bad[2:3], total[2:3], 0.01) == 0.5
    assert np.isnan(usual_share(bad[4:], total[4:], 0.01))


def test_bad_run_takes_in_the_windows_that_are_partly_bad() -> None:
    bad = np.array([1.0, 1, 60, 200, 200, 70, 1, 1])
    runs = bad_runs(bad, np.full(8, 1_000.0), limit=0.1, usual=0.001)
    assert [(run.first, run.last) for run in runs] == [(2, 5)]


def test_bad_run_goes_on_over_one_unknown_window() -> None:
    bad = np.array([1.0, 200, NAN, 200, 1, 1, 1, 200, 200])
    total = np.where(np.isnan(bad), NAN, 1_000.0)
    runs = bad_runs(bad, total, limit=0.1, usual=0.001)
    assert [(run.first, run.last) for run in runs] == [(1, 3), (7, 8)]


def test_few_requests_are_no_bad_run() -> None:
    # One of six failed: far beyond 1 %, and no news.
    assert bad_runs(np.array([0.0, 1, 0]), np.full(3, 6.0), limit=0.01, usual=0.001) == []


def test_what_is_always_bad_is_no_bad_run() -> None:
    bad = np.full(100, 30.0)
    assert bad_runs(bad, np.full(100, 1_000.0), limit=0.01, usual=0.03) == []
    assert bad_runs(np.zeros(10), np.zeros(10), limit=0.01, usual=0.0) == []


def test_high_runs_need_some_windows_in_a_row() -> None:
    values = np.array([0.9, 0.1, 0.9, 0.9, NAN, 0.9])
    assert [(run.first, run.last) for run in high_runs(values, limit=0.8, least=2)] == [(2, 3)]


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 3))
def test_grouped_runs_begin_and_end_in_true_and_hold_all_of_it(flags: list[bool], bridged: int) -> None:
    runs = grouped(np.array(flags, dtype=bool), bridged=bridged)
    inside = {place for first, last in runs for place in range(first, last + 1)}
    assert {place for place, flag in enumerate(flags) if flag} <= inside
    assert all(flags[first] and flags[last] for first, last in runs)
    assert all(second[0] - first[1] > bridged + 1 for first, second in pairwise(runs))


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 30), st.sampled_from([(-1, 0), (-2, -1, 0)]), st.booleans(), st.integers(0, 10_000))
def test_edge_is_the_sample_before_the_change(before: int, members: tuple[int, ...], rises: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = np.where(np.arange(36) > before, 1.0, 0.0)
    level = samples if rises else 1 - samples
    windows = np.array([np.mean([level[max(0, place + member)] for member in members]) for place in range(36)])
    found = edge(windows + 0.05 * rng.standard_normal(36), members)
    assert found is not None
    # At the very end one window alone tells it.
    assert abs(found.before - before) <= (1 if before > 31 else 0)
    assert found.earliest <= found.before <= found.latest


def test_edge_of_too_few_windows_is_not_dated() -> None:
    assert edge(np.array([0, 0, 1, 1.0]), (-1, 0)) is None
    assert edge(np.full(30, NAN), (-1, 0)) is None


def test_hinge_interval_holds_the_truth_nine_times_in_ten() -> None:
    rng, hits, growths = np.random.default_rng(11), 0, []
    times = np.arange(0, 8, 1 / 48)
    for _ in range(40):
        turn = rng.uniform(3, 5)
        found = hinge(times, 0.5 + 0.1 * np.maximum(0, times - turn) + 0.01 * rng.standard_normal(len(times)))
        assert found is not None
        hits += found.low <= turn <= found.high
        growths.append(found.growth)
    assert hits >= 35  # of 40 at 95 % fewer come once in 300 times
    assert np.mean(growths) == pytest.approx(0.1, rel=0.02)


def test_hinge_of_what_falls_or_is_too_short_is_none() -> None:
    assert hinge(np.arange(50.0), -np.maximum(0, np.arange(50.0) - 20)) is None
    assert hinge(np.arange(5.0), np.arange(5.0)) is None


def test_between_is_the_middle_of_two_samples() -> None:
    onset = between(0, 300, low_s=-300)
    assert onset.at == dt.datetime(1970, 1, 1, 0, 2, 30, tzinfo=dt.UTC)
    assert (onset.high - onset.low).total_seconds() == 600
