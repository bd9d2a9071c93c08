"""From the first and last sample of each window to rates, shares and quantiles, as Prometheus computes them.

Source: Prometheus 2.42, ``promql/functions.go`` (extrapolatedRate) and ``promql/quantile.go`` (bucketQuantile). A
window is closed at both ends, as it was until Prometheus 3: a sample on an edge belongs to the windows on both sides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from telemetry.system.questions import BOUNDS_S, Floats

_FULL_STEP: Final = 1.1
"""A series is taken to go on to the window's edge when the edge is within 1.1 mean intervals of its last sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """What the samples of each series were in each step.

    Column 0 is the step before the first one, of which only the sample exactly at its end counts. Counters are freed
    of their resets, so that the least is the first and the greatest the last. Absent is NaN, and 0 in ``n``.

    Args:
        n: Number of samples, shape (n_series, n_steps + 1).
        first_s: When the first was, in seconds after the end of column 0; the same shape, as all the rest.
        last_s: When the last was.
        low: First value of each counter.
        high: Last value of each counter.
        floor: What the first value of each counter was lifted by, to free it of its resets.
        gauge_n: Number of values of each gauge.
        gauge_sum: Their sum.
        gauge_edge: The value exactly at the end of the step.
    """

    n: Floats
    first_s: Floats
    last_s: Floats
    low: Mapping[str, Floats]
    high: Mapping[str, Floats]
    floor: Mapping[str, Floats]
    gauge_n: Mapping[str, Floats]
    gauge_sum: Mapping[str, Floats]
    gauge_edge: Mapping[str, Floats]


class Windows:
    """The windows over a run of bins.

    Args:
        bins: The bins.
        step_s: Width of one.
        steps: How many a window is wide.
    """

    def __init__(self, bins: Bins, *, step_s: int, steps: int) -> None:
        self._bins = bins
        self._steps = steps
        self._width_s = float(step_s * steps)
        ends = np.arange(steps, bins.n.shape[1]) * float(step_s)
        self._starts_s, self._ends_s = ends - self._width_s, ends
        last_before = bins.last_s[:, : len(ends)]
        self._edge = np.isclose(last_before, self._starts_s, rtol=0, atol=1e-6)
        self._n = _slide(bins.n, steps, np.sum) + self._edge
        self._first_s = np.where(self._edge, self._starts_s, _slide(bins.first_s, steps, np.fmin.reduce))
        self._last_s = _slide(bins.last_s, steps, np.fmax.reduce)

    def rate(self, counter: str) -> Floats:
        """Return the growth of a counter by second, shape (n_series, n_windows); NaN with fewer than two samples."""
        high = _slide(self._bins.high[counter], self._steps, np.fmax.reduce)
        before = self._bins.high[counter][:, : high.shape[1]]
        low = np.where(self._edge, before, _slide(self._bins.low[counter], self._steps, np.fmin.reduce))
        # Where the first is on the edge nothing is extrapolated, so that its own reading does not matter.
        reading = low - _slide(self._bins.floor[counter], self._steps, np.fmin.reduce)
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = high - low
            sampled = self._last_s - self._first_s
            mean = sampled / (self._n - 1)
            # A counter can't have been below 0: it is not extrapolated to before it was.
            to_zero = np.where(grown > 0, sampled * (reading / grown), np.inf)
            to_start = np.minimum(self._first_s - self._starts_s, to_zero)
            to_end = self._ends_s - self._last_s
            covered = sampled + self._towards(to_start, mean) + self._towards(to_end, mean)
            rate = grown * (covered / sampled) / self._width_s
        return np.where(self._n >= 2, rate, np.nan)  # noqa: PLR2004 - growth is between two

    def mean(self, gauge: str) -> Floats:
        """Return the mean of a gauge, shape (n_series, n_windows); NaN without samples."""
        edge = self._bins.gauge_edge[gauge][:, : len(self._ends_s)]
        there = ~np.isnan(edge)
        total = _slide(self._bins.gauge_sum[gauge], self._steps, np.nansum) + np.where(there, edge, 0)
        count = _slide(self._bins.gauge_n[gauge], self._steps, np.sum) + there
        return ratio(total, count)

    @staticmethod
    def _towards(distance: Floats, mean: Floats) -> Floats:
        extrapolated: Floats = np.where(distance < mean * _FULL_STEP, distance, mean / 2)
        return extrapolated


def ratio(part: Floats, whole: Floats) -> Floats:
    """Return part by whole; nothing of nothing is not estimable."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def bucket_quantile(q: float, counts: Floats) -> Floats:
    """Return a quantile of latencies from the counts of cumulative buckets.

    Inside a bucket the requests are taken to be spread evenly; the first begins at 0, and what lies above the last
    finite bound is that bound.

    Args:
        q: 0 … 1.
        counts: Cumulative, shape (n_bounds, …), in the order of `BOUNDS_S`.

    Returns:
        Seconds, shape (…); NaN without requests.

    Example:
        >>> counts = np.array([0, 0, 0, 0, 50, 100, 100, 100, 100.0])
        >>> float(bucket_quantile(0.75, counts))
        0.875
    """
    # A bucket below a smaller one is an artefact of reading them one after another.
    counts = np.fmax.accumulate(counts, axis=0)
    total = counts[-1]
    rank = q * total
    bucket = (counts[:-1] < rank).sum(axis=0)
    capped = np.minimum(bucket, len(BOUNDS_S) - 2)
    upper = np.asarray(BOUNDS_S)[capped]
    lower = np.where(capped > 0, np.asarray(BOUNDS_S)[capped - 1], 0.0)
    below = np.where(capped > 0, np.take_along_axis(counts, np.maximum(capped - 1, 0)[None], axis=0)[0], 0.0)
    inside = np.take_along_axis(counts, capped[None], axis=0)[0] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        within = lower + (upper - lower) * ((rank - below) / inside)
    value = np.where(bucket > capped, BOUNDS_S[-2], within)
    return np.where(total > 0, value, np.nan)


def _slide(values: Floats, steps: int, combine: "np.ufunc | object") -> Floats:
    """Combine each run of steps; column 0 lies before the first."""
    if steps == 1:
        rest = values[:, 1:]
        return np.where(np.isnan(rest), 0, rest) if combine is np.nansum else rest
    combined: Floats = combine(sliding_window_view(values[:, 1:], steps, axis=1), axis=-1)  # type: ignore[operator]
    return combined
