"""Seeded samples of a small platform, and an independent, slow reading of what Prometheus makes of them."""

import datetime as dt
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from workspace.columns import Sample

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)  # a Monday
COUNTERS = (Sample.REQUESTS, Sample.ERRORS, Sample.LATENCY_SUM, *Sample.BUCKETS)
BOUNDS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, math.inf)


def samples(
    n: int,
    *,
    step_s: int = 300,
    services: Sequence[str] = ("gateway", "user"),
    regions: Sequence[str] = ("US", "DE"),
    start: dt.datetime = START,
    seed: int = 0,
    resets: int = 3,
) -> pd.DataFrame:
    """Counters that grow by Poisson steps and restart now and then; gauges at random."""
    rng = np.random.default_rng(seed)
    parts = []
    for service in services:
        for region in regions:
            requests = rng.poisson(60 + 30 * np.sin(np.arange(n) / 40))
            weights = rng.dirichlet(np.array([20, 20, 15, 15, 10, 10, 5, 3, 2]) * 3.0)
            buckets = rng.multinomial(requests, weights).cumsum(axis=1)
            errors = rng.binomial(requests, 0.02)
            counters = np.column_stack([requests, errors, requests * 0.3, buckets]).astype(float).cumsum(axis=0)
            for restart in sorted(rng.choice(np.arange(1, n), min(resets, n - 1), replace=False)) if n > 1 else ():
                counters[restart:] -= counters[restart - 1].copy()
            frame = pd.DataFrame(counters, columns=list(COUNTERS))
            frame.insert(0, Sample.TS, pd.date_range(start, periods=n, freq=f"{step_s}s", unit="us"))
            frame.insert(1, Sample.SERVICE, service)
            frame.insert(2, Sample.REGION, region)
            frame[Sample.CPU] = rng.random(n) * 0.8
            frame[Sample.MEMORY] = rng.random(n) * 0.5
            frame[Sample.UP] = (rng.random(n) > 0.02).astype(float)
            frame[Sample.ACTIVE_SESSIONS] = rng.poisson(30, n).astype(float)
            parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def extrapolated_rate(points: Sequence[tuple[float, float]], start: float, end: float) -> float:
    """The rate of a counter over a window as Prometheus 2.42 has it, written down from its ``extrapolatedRate``."""
    inside = [(at, value) for at, value in points if start <= at <= end]
    if len(inside) < 2:
        return math.nan
    result = inside[-1][1] - inside[0][1]
    for (_, before), (_, after) in pairwise(inside):
        if after < before:
            result += before
    to_start, to_end = inside[0][0] - start, end - inside[-1][0]
    sampled = inside[-1][0] - inside[0][0]
    average = sampled / (len(inside) - 1)
    if result > 0 and inside[0][1] >= 0:
        to_start = min(to_start, sampled * (inside[0][1] / result))
    extrapolated = sampled
    extrapolated += to_start if to_start < average * 1.1 else average / 2
    extrapolated += to_end if to_end < average * 1.1 else average / 2
    return result * (extrapolated / sampled) / (end - start)


def histogram_quantile(q: float, counts: Sequence[float]) -> float:
    """The quantile of cumulative buckets as Prometheus 2.42 has it, written down from its ``bucketQuantile``."""
    total = counts[-1]
    if not total > 0:
        return math.nan
    rank = q * total
    bucket = next((place for place in range(len(BOUNDS) - 1) if counts[place] >= rank), len(BOUNDS) - 1)
    if bucket == len(BOUNDS) - 1:
        return BOUNDS[-2]
    lower, below = (BOUNDS[bucket - 1], counts[bucket - 1]) if bucket else (0.0, 0.0)
    return lower + (BOUNDS[bucket] - lower) * ((rank - below) / (counts[bucket] - below))


def points_of(frame: pd.DataFrame, service: str, region: str, column: str) -> list[tuple[float, float]]:
    """One series as pairs of seconds and value."""
    mine = frame[(frame[Sample.SERVICE] == service) & (frame[Sample.REGION] == region)].sort_values(Sample.TS)
    return [(at.timestamp(), value) for at, value in zip(mine[Sample.TS], mine[column], strict=True)]
