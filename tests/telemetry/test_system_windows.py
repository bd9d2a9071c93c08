"""Rates, means and quantiles of windows, against an independent reading of Prometheus's own rules."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.system.windows import bucket_quantile, ratio
from tests.telemetry.sampled import BOUNDS, histogram_quantile


def test_bucket_quantile_by_hand() -> None:
    # 50 requests between 0.5 and 0.75 s, 50 between 0.75 and 1 s.
    counts = np.array([0, 0, 0, 0, 50, 100, 100, 100, 100.0])
    assert bucket_quantile(0.5, counts) == pytest.approx(0.75)
    assert bucket_quantile(0.95, counts) == pytest.approx(0.75 + 0.25 * 45 / 50)
    # The first bucket begins at 0.
    assert bucket_quantile(0.5, np.full(9, 10.0)) == pytest.approx(0.025)
    # What is slower than the last finite bound is told as that bound.
    assert bucket_quantile(0.99, np.array([0, 0, 0, 0, 0, 0, 0, 0, 7.0])) == 5


def test_bucket_quantile_without_requests_is_not_estimable() -> None:
    assert np.isnan(bucket_quantile(0.95, np.zeros(9)))
    assert np.isnan(bucket_quantile(0.95, np.full(9, np.nan)))


@given(st.lists(st.integers(0, 50), min_size=9, max_size=9), st.floats(0.001, 1))
def test_bucket_quantile_is_that_of_prometheus(counts: list[int], q: float) -> None:
    cumulative = np.cumsum(counts).astype(float)
    expected = histogram_quantile(q, cumulative.tolist())
    assert float(bucket_quantile(q, cumulative)) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.integers(0, 50), min_size=9, max_size=9), st.floats(0, 1), st.floats(0, 1))
def test_bucket_quantile_grows_with_q(counts: list[int], one: float, other: float) -> None:
    cumulative = np.cumsum(counts).astype(float)
    low, high = (float(bucket_quantile(q, cumulative)) for q in sorted((one, other)))
    assert math.isnan(low) or math.isnan(high) or low <= high + 1e-12


def test_interpolated_p95_misleads_where_good_by_total_is_exact() -> None:
    """All slow requests took 1.05 s, just over the limit: 96 % are good, and the interpolated p97 is off by a third."""
    durations = np.array([0.2] * 960 + [1.05] * 40)
    counts = np.array([(durations <= bound).sum() for bound in BOUNDS], dtype=float)
    assert ratio(counts[5], counts[-1]) == (durations <= 1.0).mean() == 0.96
    interpolated = float(bucket_quantile(0.97, counts))
    assert np.quantile(durations, 0.97) == 1.05
    assert interpolated == pytest.approx(1.375)  # 1 + 1.5 × 10/40


def test_interpolated_p95_passes_a_service_that_misses_its_limit() -> None:
    """Every request in the bucket below the limit sits at its top: the p95 reads well below what users waited."""
    durations = np.full(1000, 0.999)
    counts = np.array([(durations <= bound).sum() for bound in BOUNDS], dtype=float)
    assert float(bucket_quantile(0.5, counts)) == pytest.approx(0.875)
    assert ratio(counts[5], counts[-1]) == 1.0


def test_ratio_of_nothing_is_not_estimable() -> None:
    assert np.isnan(ratio(np.array([0.0]), np.array([0.0]))).all()
    assert ratio(np.array([0.0]), np.array([2.0])).tolist() == [0.0]
