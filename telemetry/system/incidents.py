"""Stretches of time in which a measure lay beyond its limit."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from telemetry.system.questions import VALUE, Kind
from workspace.columns import Sample

Side = Literal["above", "below"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a measure may not pass.

    Args:
        kind: The measure.
        value: The limit, in the measure's unit.
        side: Which side of it is bad.
        name: The limit in words.
    """

    kind: Kind
    value: float
    side: Side
    name: str

    def broken(self, value: float) -> bool:
        """Say whether a value lies beyond; one that is not known does not."""
        return value > self.value if self.side == "above" else value < self.value


LIMITS: Final[Mapping[Kind, Limit]] = {
    limit.kind: limit
    for limit in (
        # p95 <= 1 s, asked as the share within 1 s: it is exact, where a quantile is interpolated.
        Limit(kind=Kind.WITHIN_LATENCY, value=0.95, side="below", name="95 % within 1 s"),
        Limit(kind=Kind.LATENCY_QUANTILE, value=1.0, side="above", name="1 s"),
        Limit(kind=Kind.ERROR_RATE, value=0.01, side="above", name="1 % errors"),
        Limit(kind=Kind.CPU, value=0.8, side="above", name="80 %"),
        Limit(kind=Kind.MEMORY, value=0.8, side="above", name="80 %"),
        Limit(kind=Kind.AVAILABILITY, value=0.995, side="below", name="99.5 %"),
    )
}
"""Latency from the requirements of the source document, CPU and memory from its section 6.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One stretch beyond a limit.

    Args:
        start: End of the first window beyond it, less the window.
        end: End of the last one.
        worst: The value farthest beyond.
    """

    kind: Kind
    service: str
    region: str
    start: dt.datetime
    end: dt.datetime
    worst: float


def incidents(answer: pd.DataFrame, limit: Limit, *, step: dt.timedelta, least: int = 2) -> list[Incident]:
    """Find the stretches of at least some windows in a row beyond a limit, the newest first.

    Args:
        answer: Columns ts, service, region, value, as a question about the measure was answered.
        limit: What may not be passed.
        step: Width of a window.
        least: Windows in a row that make a stretch; a single one may be chance.
    """
    found: list[Incident] = []
    for (service, region), series in answer.groupby([Sample.SERVICE, Sample.REGION], sort=False):
        stretch: list[tuple[dt.datetime, float]] = []
        rows: Sequence[tuple[dt.datetime, float]] = list(zip(series[Sample.TS], series[VALUE], strict=True))
        for moment, value in (*rows, (None, float("nan"))):
            if moment is not None and limit.broken(value):
                stretch.append((moment, value))
                continue
            if len(stretch) >= least:
                found.append(_incident(limit, str(service), str(region), stretch, step))
            stretch = []
    return sorted(found, key=lambda one: one.start, reverse=True)


def _incident(
    limit: Limit, service: str, region: str, stretch: Sequence[tuple[dt.datetime, float]], step: dt.timedelta
) -> Incident:
    values = [value for _, value in stretch]
    return Incident(
        kind=limit.kind,
        service=service,
        region=region,
        start=pd.Timestamp(stretch[0][0]).to_pydatetime() - step,
        end=pd.Timestamp(stretch[-1][0]).to_pydatetime(),
        worst=max(values) if limit.side == "above" else min(values),
    )
