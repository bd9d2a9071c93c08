"""Good and bad of the services, counted from the questions they can be asked: finely at the end, by the hour before."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

import numpy as np
import pandas as pd

from monitoring.burn import Counts, Floats
from telemetry.system import Kind, SystemMetrics, SystemQuestion
from telemetry.system.questions import EVERY, LATENCY_LIMIT_S, LEAST_WINDOW, VALUE
from workspace.columns import Sample
from workspace.errors import InvalidValueError

FINE: Final = dt.timedelta(minutes=5)
HOUR: Final = dt.timedelta(hours=1)
FINELY: Final = dt.timedelta(days=3)
"""How far back the newest windows are counted finely, where the samples are that fine."""
WEEKS: Final = dt.timedelta(weeks=4)
LEAST_KNOWN: Final = 0.5
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Place = tuple[str, str]


class _Scope(TypedDict):
    start: dt.datetime
    end: dt.datetime
    step: dt.timedelta
    services: tuple[str, ...] | None


def floored(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """Return the last whole step since 1970 that is not after a moment."""
    return _EPOCH + (moment - _EPOCH) // step * step


def table(answer: pd.DataFrame) -> tuple[Floats, dict[Place, Floats]]:
    """Return (seconds since 1970, values by service and region) of an answer; every series has every time."""
    if answer.empty:
        return np.empty(0), {}
    found: dict[Place, Floats] = {}
    seconds = np.empty(0)
    for place, series in answer.groupby([Sample.SERVICE, Sample.REGION], sort=False):
        if not len(seconds):
            seconds = series[Sample.TS].to_numpy("datetime64[us]").astype(np.int64) / 1e6
        found[str(place[0]), str(place[1])] = series[VALUE].to_numpy(np.float64)
    return seconds, found


def values(
    metrics: SystemMetrics,
    kind: Kind,
    *,
    start: dt.datetime,
    end: dt.datetime,
    step: dt.timedelta,
    services: Sequence[str] | None = None,
    limit_s: float = LATENCY_LIMIT_S,
    quantile: float = 0.95,
) -> tuple[Floats, dict[Place, Floats]]:
    """Ask one question and return (ends of the windows in seconds since 1970, values by service and region)."""
    question = SystemQuestion(
        kind=kind,
        start=start,
        end=end,
        step=step,
        services=tuple(services) if services else None,
        limit_s=limit_s,
        quantile=quantile,
    )
    return table(metrics.answer(question))


def newest(metrics: SystemMetrics, last: dt.datetime) -> dict[str, dt.datetime]:
    """Return about when each service was last scraped: one that went silent is judged as of then, and said to be late.

    Args:
        metrics: What is asked.
        last: The newest sample of all.
    """
    found: dict[str, dt.datetime] = {}
    for step, back in ((FINE, dt.timedelta(days=1)), (HOUR, WEEKS)):
        width = max(step, LEAST_WINDOW)
        end = floored(last, step)
        seconds, up = values(metrics, Kind.AVAILABILITY, start=end - back, end=end, step=step)
        for (service, _), one in up.items():
            at = dt.datetime.fromtimestamp(seconds[np.flatnonzero(~np.isnan(one))[-1]], dt.UTC)
            # A window has a value until it no longer reaches back to the last sample.
            at = at if at == end else at - width
            if service not in found or at > found[service]:
                found[service] = at
    return found


def counted(
    metrics: SystemMetrics,
    kind: Kind,
    *,
    services: Sequence[str],
    until: dt.datetime,
    window: dt.timedelta,
    limit_s: float = LATENCY_LIMIT_S,
) -> Mapping[Place, Counts]:
    """Count what was good and bad.

    Args:
        metrics: What is asked.
        kind: ``within_latency`` or ``error_rate`` count requests, ``availability`` minutes.
        services: Names; empty for all.
        until: The newest moment that counts.
        window: How far back.
        limit_s: A bound of the buckets, of within-latency only.

    Returns:
        Counts by (service, region), and by (service, ``all``) for all regions of a service together.

    Raises:
        InvalidValueError: When nothing can be counted of the kind.
    """
    if kind not in (Kind.WITHIN_LATENCY, Kind.ERROR_RATE, Kind.AVAILABILITY):
        raise InvalidValueError(f"kind == {kind.value!r}", "must be within_latency, error_rate or availability")
    asked = _Asked(metrics, kind, tuple(services) or None, limit_s)
    newest, first = floored(until, FINE), floored(until - window, HOUR)
    border = max(floored(until - FINELY, HOUR), first)
    late = asked.slots(border, newest, FINE) if newest - border >= LEAST_WINDOW else {}
    known = [float(np.mean(~np.isnan(one.bad))) for one in late.values()]
    if not known or np.median(known) < LEAST_KNOWN:
        late, border = {}, floored(until, HOUR)
    early = asked.slots(first, border, HOUR) if border > first else {}
    places = sorted({*early, *late})
    found = {place: _joined([part[place] for part in (early, late) if place in part]) for place in places}
    for service in dict.fromkeys(service for service, _ in places):
        found[service, EVERY] = _summed([counts for place, counts in found.items() if place[0] == service])
    return found


class _Asked:
    """One kind of question over some services."""

    def __init__(self, metrics: SystemMetrics, kind: Kind, services: tuple[str, ...] | None, limit_s: float) -> None:
        self._metrics, self._kind, self._services, self._limit_s = metrics, kind, services, limit_s

    def slots(self, start: dt.datetime, end: dt.datetime, step: dt.timedelta) -> dict[Place, Counts]:
        """Count by windows that do not overlap, the last of which ends at the end."""
        scope: _Scope = {"start": start, "end": end, "step": step, "services": self._services}
        seconds, shares = values(self._metrics, self._kind, limit_s=self._limit_s, **scope)
        if not len(seconds):
            return {}
        # Narrow steps are answered over windows of two: every second one, counted back from the end.
        width = max(step, LEAST_WINDOW).total_seconds()
        chosen = slice(
            (len(seconds) - 1) % (round(width / step.total_seconds())), None, round(width / step.total_seconds())
        )
        kept = np.flatnonzero(seconds[chosen] - width >= start.timestamp() - 1e-6)
        rates = {} if self._kind == Kind.AVAILABILITY else values(self._metrics, Kind.REQUEST_RATE, **scope)[1]
        found = {}
        for place, whole in shares.items():
            share = whole[chosen][kept]
            bad = share if self._kind == Kind.ERROR_RATE else 1 - share
            total = np.where(np.isnan(share), np.nan, width / 60)
            if self._kind != Kind.AVAILABILITY:
                # No request at all is known to be none; a share of none is not.
                total = rates[place][chosen][kept] * width if place in rates else np.full(len(kept), np.nan)
            found[place] = Counts(
                end_s=seconds[chosen][kept],
                width_s=np.full(len(kept), width),
                total=total,
                bad=np.where(total == 0, 0.0, np.clip(bad, 0, 1) * total),
            )
        return found


def _joined(parts: Sequence[Counts]) -> Counts:
    return Counts(
        end_s=np.concatenate([one.end_s for one in parts]),
        width_s=np.concatenate([one.width_s for one in parts]),
        total=np.concatenate([one.total for one in parts]),
        bad=np.concatenate([one.bad for one in parts]),
    )


def _summed(parts: Sequence[Counts]) -> Counts:
    """Add up regions; a slot no region knows is not known."""
    longest = max(parts, key=lambda one: len(one.end_s))
    same = [one for one in parts if len(one.end_s) == len(longest.end_s)]
    total, bad = np.stack([one.total for one in same]), np.stack([one.bad for one in same])
    known = ~(np.isnan(total) | np.isnan(bad))
    return Counts(
        end_s=longest.end_s,
        width_s=longest.width_s,
        total=np.where(known.any(axis=0), np.where(known, total, 0).sum(axis=0), np.nan),
        bad=np.where(known.any(axis=0), np.where(known, bad, 0).sum(axis=0), np.nan),
    )
