"""Samples of services made by hand, so that what they say is known: the same every five minutes unless told."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monitoring.ground import Ground
from telemetry.system import SeriesStore
from telemetry.system.embedded import EmbeddedSystemMetrics
from workspace.clock import FrozenClock
from workspace.columns import Sample
from workspace.paths import Paths
from workspace.settings import Settings

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)  # a Monday
COUNTERS = (Sample.REQUESTS, Sample.ERRORS, Sample.LATENCY_SUM, *Sample.BUCKETS)
Each = Mapping[tuple[str, str], Any]


def service(
    name: str,
    region: str,
    n: int,
    *,
    requests: float = 1_000,
    errors: Any = 0.001,
    slow: Any = 0.01,
    up: Any = 1.0,
    memory: Any = 0.5,
    cpu: Any = 0.4,
    restarts: Sequence[int] = (),
    step_s: int = 300,
) -> pd.DataFrame:
    """One series: of ``requests`` a step, shares that fail or take more than a second; a share or one for each step."""
    each = np.full(n, float(requests))
    lost = each * np.broadcast_to(errors, n)
    late = each * np.broadcast_to(slow, n)
    growth = np.column_stack([each, lost, each * 0.2, *[each - late] * 6, each, each, each])
    counters = growth.cumsum(axis=0)
    for restart in restarts:
        counters[restart:] -= counters[restart - 1].copy()
    alive = np.broadcast_to(up, n).astype(float)
    frame = pd.DataFrame(counters, columns=list(COUNTERS))
    frame.insert(0, Sample.TS, pd.date_range(START, periods=n, freq=f"{step_s}s", unit="us"))
    frame.insert(1, Sample.SERVICE, name)
    frame.insert(2, Sample.REGION, region)
    frame[Sample.CPU] = np.broadcast_to(cpu, n).astype(float)
    frame[Sample.MEMORY] = np.broadcast_to(memory, n).astype(float)
    frame.loc[alive == 0, [*COUNTERS, Sample.CPU, Sample.MEMORY]] = np.nan
    frame[Sample.UP] = alive
    frame[Sample.ACTIVE_SESSIONS] = 3.0
    return frame


def platform(
    n: int,
    *,
    services: Sequence[str] = ("gateway", "bff"),
    regions: Sequence[str] = ("DE", "US"),
    but: Each | None = None,
    **same: Any,
) -> pd.DataFrame:
    """Every service in every region, the same but for what is told of some."""
    return pd.concat(
        [
            service(name, region, n, **{**same, **(but or {}).get((name, region), {})})
            for name in services
            for region in regions
        ],
        ignore_index=True,
    )


@contextmanager
def standing(folder: Path, samples: pd.DataFrame | None, at: dt.datetime) -> Iterator[Ground]:
    """The ground of a workspace with these samples and nothing else, at a moment.

    What looks at services asks for nothing but settings, folders, clock and system metrics: opening a store as well
    would take most of the time of a test.
    """
    paths = Paths(folder / "home").ensure()
    if samples is not None:
        SeriesStore(paths).append(samples)
    metrics = EmbeddedSystemMetrics(paths)
    nothing: Any = None
    try:
        yield Ground(
            settings=Settings(home=paths.home),
            paths=paths,
            store=nothing,
            ledger=nothing,
            clock=FrozenClock(at),
            warehouse=nothing,
            parts=nothing,
            system=metrics,
            registry=nothing,
        )
    finally:
        metrics.close()
