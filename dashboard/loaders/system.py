"""What *System telemetry* shows: the services against their limits, over time, with the incidents found."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from telemetry.system import SystemMetrics, open_system_metrics
from telemetry.system.incidents import LIMITS, Incident, incidents
from telemetry.system.questions import DIMENSIONS, SERVICES, VALUE, Kind, Known, SystemQuestion
from workspace.columns import Sample
from workspace.errors import RecommendrError
from workspace.settings import Settings, load_settings

PERIODS: Final = {
    "Last hour": dt.timedelta(hours=1),
    "Last 6 hours": dt.timedelta(hours=6),
    "Last 24 hours": dt.timedelta(days=1),
    "Last 7 days": dt.timedelta(days=7),
    "Last 14 days": dt.timedelta(days=14),
    "Last 26 weeks": dt.timedelta(weeks=26),
}
FRONT: Final = SERVICES[0]
"""The service whose latency is what users wait for."""
_STEPS: Final = tuple(dt.timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 180, 360, 720, 1_440))
LOOKED_BACK: Final = dt.timedelta(days=2)
_MOST_POINTS: Final = 240
_LEAST_STEP: Final = dt.timedelta(minutes=5)
_TTL: Final = dt.timedelta(seconds=20)
_WATCHED: Final = (Kind.WITHIN_LATENCY, Kind.ERROR_RATE, Kind.CPU, Kind.MEMORY, Kind.AVAILABILITY)
_QUANTILES: Final = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is looked at.

    Args:
        period: Name of a period of `PERIODS`.
        services: Names; empty for all.
        regions: Names; empty for all.
        by: ``service`` or ``region``: which lines are drawn.
    """

    period: str
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    by: str = Sample.SERVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One service in the last hour it was heard of, None where nothing is known."""

    service: str
    heard: dt.datetime | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    within: float | None
    errors: float | None
    cpu: float | None
    memory: float | None
    availability: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    """The services at a glance.

    Args:
        source: What answered.
        known: What there are samples of.
        start: Beginning of the period.
        end: Its end, the newest sample.
        step: Width of a window.
        health: One line a service, over the last windows.
        incidents: Stretches beyond a limit, by service and region, the newest first.
    """

    source: str
    known: Known
    start: dt.datetime
    end: dt.datetime
    step: dt.timedelta
    health: tuple[Health, ...]
    incidents: tuple[Incident, ...]


@st.cache_resource(max_entries=2, show_spinner=False)
def _opened(settings: Settings) -> SystemMetrics:
    return open_system_metrics(settings)


def metrics() -> SystemMetrics:
    """Return what answers questions about the services."""
    return _opened(load_settings())


def overview(scope: Scope) -> Kept[SystemView]:
    """Return the services at a glance, or the last good view.

    Raises:
        UnreachableError: When nothing answers, and nothing has yet.
    """
    return ask((load_settings(), "system", scope), lambda: _overview(scope), ttl=_TTL)


def courses(scope: Scope, kind: Kind) -> Kept[dict[str, pd.DataFrame]]:
    """Return one measure over time, a line for each service or region; of latency p95."""

    def answer() -> dict[str, pd.DataFrame]:
        known, start, end, step = _window(scope)
        found = metrics().answer(_question(scope, known, kind, start, end, step, by=(scope.by,)))
        return {str(name): some for name, some in found.groupby(scope.by)}

    return ask((load_settings(), "system", scope, kind), answer, ttl=_TTL)


def quantiles(scope: Scope) -> Kept[dict[str, pd.DataFrame]]:
    """Return latency at p50, p95 and p99 over time, of what users meet first unless services are chosen."""
    chosen = scope if scope.services else replace(scope, services=(FRONT,))

    def answer() -> dict[str, pd.DataFrame]:
        known, start, end, step = _window(chosen)
        kind = Kind.LATENCY_QUANTILE
        return {
            f"p{100 * q:g}": metrics().answer(_question(chosen, known, kind, start, end, step, by=(), quantile=q))
            for q in _QUANTILES
        }

    return ask((load_settings(), "quantiles", chosen), answer, ttl=_TTL)


def known_names() -> Known:
    """Return the services and regions that can be chosen; none while nothing answers."""
    now = dt.datetime.now(dt.UTC)
    try:
        return ask(
            (load_settings(), "known"), lambda: metrics().known(now - dt.timedelta(weeks=60), now), ttl=_TTL
        ).value
    except RecommendrError:
        return Known()


def _overview(scope: Scope) -> SystemView:
    known, start, end, step = _window(scope)
    found: list[Incident] = []
    for kind in _WATCHED:
        answer = metrics().answer(_question(scope, known, kind, start, end, step, by=DIMENSIONS))
        found += incidents(answer, LIMITS[kind], step=step)
    return SystemView(
        source=metrics().name,
        known=known,
        start=start,
        end=end,
        step=step,
        health=_health(scope, known, known.last or end),
        incidents=tuple(sorted(found, key=lambda one: one.start, reverse=True)),
    )


def _window(scope: Scope) -> tuple[Known, dt.datetime, dt.datetime, dt.timedelta]:
    period = PERIODS[scope.period]
    now = dt.datetime.now(dt.UTC)
    known = metrics().known(now - dt.timedelta(weeks=60), now)
    end = known.last or now
    step = next((step for step in _STEPS if step >= _LEAST_STEP and period / step <= _MOST_POINTS), _STEPS[-1])
    # Windows end at whole steps: the newest sample lies in the one that ends next.
    return known, end - period, end + step, step


def _question(
    scope: Scope, known: Known, kind: Kind, start: dt.datetime, end: dt.datetime, step: dt.timedelta,
    *, by: Sequence[str], quantile: float = 0.95,
) -> SystemQuestion:  # fmt: skip
    return SystemQuestion(
        kind=kind,
        start=start,
        end=end,
        step=step,
        services=tuple(name for name in scope.services if name in known.services) or None,
        regions=tuple(name for name in scope.regions if name in known.regions) or None,
        by=tuple(by),
        quantile=quantile,
    )


def _health(scope: Scope, known: Known, end: dt.datetime) -> tuple[Health, ...]:
    hour = dt.timedelta(hours=1)
    # Windows end at whole hours: the newest sample lies in the one that ends next.
    end += hour

    heard: dict[str, dt.datetime] = {}

    def last(kind: Kind, quantile: float = 0.95) -> dict[str, float]:
        # Services fall silent at different times: each is shown by its own last hour, which the table names.
        question = _question(scope, known, kind, end - LOOKED_BACK, end, hour, by=(Sample.SERVICE,), quantile=quantile)
        answer = metrics().answer(question).dropna(subset=[VALUE])
        heard.update(dict(answer.groupby(Sample.SERVICE)[Sample.TS].max()))
        return dict(answer.groupby(Sample.SERVICE)[VALUE].last())

    p50, p95, p99 = (last(Kind.LATENCY_QUANTILE, quantile) for quantile in _QUANTILES)
    within, errors, cpu, memory, up = (last(kind) for kind in _WATCHED)
    names = [name for name in known.services if not scope.services or name in scope.services]
    return tuple(
        Health(
            service=name,
            heard=heard.get(name),
            p50_s=p50.get(name),
            p95_s=p95.get(name),
            p99_s=p99.get(name),
            within=within.get(name),
            errors=errors.get(name),
            cpu=cpu.get(name),
            memory=memory.get(name),
            availability=up.get(name),
        )
        for name in names
    )
