"""The parts of *System telemetry*: what is looked at, the services at a glance, and each measure over time."""

from functools import partial
from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard import components, words
from dashboard.loaders import system
from dashboard.loaders.system import PERIODS, Health, Scope, SystemView
from dashboard.panels import mode
from dashboard.tabs import draw_open
from telemetry.system.incidents import LIMITS, Incident, Limit
from telemetry.system.questions import UNITS, VALUE, Kind
from workspace.columns import Sample

if TYPE_CHECKING:
    import datetime as dt

    from dashboard.timelines import Mark

_SHOWN_INCIDENTS: Final = 40
_MARKED: Final = 6
_SPLITS: Final = {"Service": Sample.SERVICE, "Region": Sample.REGION}
_TABS: Final = {
    "Latency": Kind.LATENCY_QUANTILE,
    "Within 1 s": Kind.WITHIN_LATENCY,
    "Errors": Kind.ERROR_RATE,
    "CPU": Kind.CPU,
    "Memory": Kind.MEMORY,
    "Availability": Kind.AVAILABILITY,
    "Requests": Kind.REQUEST_RATE,
    "Sessions": Kind.ACTIVE_SESSIONS,
}
TITLES: Final = {
    Kind.LATENCY_QUANTILE: "p95 latency, s",
    Kind.WITHIN_LATENCY: "Share answered within 1 s",
    Kind.ERROR_RATE: "Share of requests with an error",
    Kind.CPU: "CPU in use",
    Kind.MEMORY: "Memory in use",
    Kind.AVAILABILITY: "Share of the time up",
    Kind.REQUEST_RATE: "Requests a second",
    Kind.ACTIVE_SESSIONS: "Active sessions",
}


def choose() -> Scope:
    """Draw the controls; all of them live in the address."""
    known = system.known_names()
    with st.container(key="request"):
        when, what, where, split, live = st.columns([2, 3, 3, 2, 1], vertical_alignment="bottom")
    period = when.selectbox("Period", list(PERIODS), index=2, key="period", bind="query-params")
    services = what.multiselect("Services", known.services, key="service", bind="query-params", placeholder="All")
    regions = where.multiselect("Regions", known.regions, key="region", bind="query-params", placeholder="All")
    by = split.selectbox("Lines by", list(_SPLITS), key="by", bind="query-params")
    live.toggle("Live", key="live", bind="query-params", help="Ask again every 30 seconds.")
    return Scope(period=period, services=tuple(services), regions=tuple(regions), by=_SPLITS[by])


def draw(scope: Scope, view: SystemView) -> None:
    """Draw the services at a glance, then the measure whose tab is open."""
    if not view.known.services:
        components.banner(
            "There are no samples of any service yet.",
            "The console adds its own each minute; `recommendr init` makes a synthetic history.",
        )
        return
    components.show(
        f'<p class="rr-muted">{components.text(view.source)}; newest sample {view.end - view.step:%Y-%m-%d %H:%M} UTC, '
        f"windows of {_span(view.step.total_seconds())}.</p>"
    )
    _draw_health(view.health)
    draw_open({label: partial(_draw_course, scope, kind, view, label) for label, kind in _TABS.items()})
    _draw_incidents(view.incidents)


def _draw_health(lines: tuple[Health, ...]) -> None:
    rows = [
        (
            one.service,
            "–" if one.heard is None else f"{one.heard:%Y-%m-%d %H:%M}",
            *(_seconds(value) for value in (one.p50_s, one.p95_s, one.p99_s)),
            _held(one.within, LIMITS[Kind.WITHIN_LATENCY], "{:.2%}"),
            _held(one.errors, LIMITS[Kind.ERROR_RATE], "{:.2%}"),
            _held(one.cpu, LIMITS[Kind.CPU], "{:.0%}"),
            _held(one.memory, LIMITS[Kind.MEMORY], "{:.0%}"),
            _held(one.availability, LIMITS[Kind.AVAILABILITY], "{:.2%}"),
        )
        for one in lines
    ]
    components.table(
        ("Service", "Hour until (UTC)", "p50, s", "p95, s", "p99, s", "Within 1 s", "Errors", "CPU", "Memory", "Up"),
        rows,
        numeric=("p50, s", "p95, s", "p99, s", "Within 1 s", "Errors", "CPU", "Memory", "Up"),
        tight=("Hour until (UTC)",),
        caption="The last hour of each; quantiles are interpolated inside a bucket, the share within 1 s is exact",
    )


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _held(value: float | None, limit: Limit, form: str) -> object:
    if value is None:
        return "–"
    return components.pill(form.format(value), "bad" if limit.broken(value) else "good")


def _draw_course(scope: Scope, kind: Kind, view: SystemView, label: str) -> None:
    from dashboard import timelines

    if kind is Kind.LATENCY_QUANTILE:
        _draw_quantiles(scope, view)
    kept = system.courses(scope, kind)
    components.last_good(kept)
    lines = [
        timelines.Line(name=name, moments=frame[Sample.TS], heights=frame[VALUE]) for name, frame in kept.value.items()
    ]
    limit = LIMITS.get(kind)
    figure = timelines.course(
        lines,
        title=TITLES[kind],
        tick={"share": ".1%", "s": ".3~f", "1/s": ".3~s", "count": ",.0f"}[UNITS[kind]],
        mode=mode(),
        limit=None if limit is None else (f"limit {limit.name}", limit.value),
        marks=_marks(view, kind),
    )
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key=f"course-{label}")


def _draw_quantiles(scope: Scope, view: SystemView) -> None:
    from dashboard import timelines

    kept = system.quantiles(scope)
    components.last_good(kept)
    lines = [
        timelines.Line(name=name, moments=frame[Sample.TS], heights=frame[VALUE]) for name, frame in kept.value.items()
    ]
    whose = ", ".join(scope.services) or system.FRONT
    figure = timelines.course(
        lines, title=f"Latency of {whose}, s", tick=".3~f", mode=mode(),
        limit=("limit 1 s", LIMITS[Kind.LATENCY_QUANTILE].value), marks=_marks(view, Kind.LATENCY_QUANTILE),
    )  # fmt: skip
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="quantiles")


def _marks(view: SystemView, kind: Kind) -> "list[Mark]":
    """Return the longest stretches beyond the limit, those that overlap as one."""
    from dashboard import timelines

    watched = Kind.WITHIN_LATENCY if kind is Kind.LATENCY_QUANTILE else kind
    joined: list[tuple[dt.datetime, dt.datetime, set[str]]] = []
    for one in sorted((one for one in view.incidents if one.kind is watched), key=lambda one: one.start):
        if joined and one.start <= joined[-1][1]:
            start, end, names = joined[-1]
            joined[-1] = (start, max(end, one.end), names | {one.service})
        else:
            joined.append((one.start, one.end, {one.service}))
    longest = sorted(joined, key=lambda one: one[0] - one[1])[:_MARKED]
    return [timelines.Mark(name=", ".join(sorted(names)), start=start, end=end) for start, end, names in longest]


def _draw_incidents(found: tuple[Incident, ...]) -> None:
    st.header("Incidents", anchor=False)
    if not found:
        components.banner("No measure lay beyond its limit in this period.", tone="good")
        return
    together: dict[tuple[dt.datetime, dt.datetime, str, Kind], list[Incident]] = {}
    for one in found:
        together.setdefault((one.start, one.end, one.service, one.kind), []).append(one)
    rows = [
        (
            f"{start:%Y-%m-%d %H:%M}",
            _span((end - start).total_seconds()),
            service,
            ", ".join(sorted(one.region for one in some)),
            TITLES[kind],
            f"{_worst(some):.1%}",
            LIMITS[kind].name,
        )
        for (start, end, service, kind), some in list(together.items())[:_SHOWN_INCIDENTS]
    ]
    components.table(
        ("Began (UTC)", "Lasted", "Service", "Regions", "Measure", "Worst", "Limit"),
        rows,
        tight=("Began (UTC)", "Lasted"),
        numeric=("Worst",),
        caption=f"{words.count(len(found), 'stretch', 'stretches')} beyond a limit, the newest first"
        + (f"; {_SHOWN_INCIDENTS} lines are shown" if len(together) > _SHOWN_INCIDENTS else ""),
    )


def _worst(found: list[Incident]) -> float:
    values = [one.worst for one in found]
    return max(values) if LIMITS[found[0].kind].side == "above" else min(values)


def _span(seconds: float) -> str:
    """Return a length of time in its largest fitting unit.

    Example:
        >>> _span(5400), _span(300), _span(172800)
        ('1.5 h', '5 min', '2 d')
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"
