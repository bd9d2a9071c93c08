"""The parts of *User telemetry*: what is looked at, and one panel for each question about it."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from dashboard import access, components, controls, words
from dashboard.components import Tone
from dashboard.drill_down import drill_down
from dashboard.loaders import telemetry as loaders
from dashboard.loaders.telemetry import OWN, PERIODS, Asked
from dashboard.panels import mode
from dashboard.tabs import draw_open
from telemetry.answers import DIMENSIONS, HIGH, LOW, N_USERS, PERIOD, VALUE, MetricAnswer, Tile
from telemetry.metrics import METRICS, Metric, metric
from telemetry.warehouse.tables import NONE
from workspace.columns import Rollup
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    from dashboard.timelines import Line

_METRIC_TITLES: Final = {one.name: one.title for one in METRICS}
_TICKS: Final = {"share": ".2~%", "s": ".2f", "score": ".2f", "count": ".2f"}
_SPLITS: Final = {"nothing": "Nothing", **{name: words.dimension(name) for name in DIMENSIONS}}
_ACTIVE_BY: Final = {"region": "Region", "market": "Market", "device": "Device", "index_version": "Index version"}
_MOST_LINES: Final = 10
_NOWHERE: Final = "none"
_OBSERVED: Final = "Correlation over time is no proof that one causes the other."


def choose() -> Asked:
    """Draw the controls; all of them live in the address.

    Raises:
        StateError: When there is no telemetry yet.
        InvalidValueError: When the days are the wrong way round.
    """
    who = access.viewer()
    first, last = loaders.span(max(PERIODS.values()))
    with st.container(key="request"):
        when, begin, end = st.columns([2, 2, 2], vertical_alignment="bottom")
    period = when.selectbox("Period", [*PERIODS, OWN], index=1, key="period", bind="query-params")
    if period == OWN:
        start = _day(begin, "First day", "from", first)
        stop = _day(end, "Last day", "to", last)
    else:
        start, stop = loaders.span(PERIODS[period])
    if start > stop:
        raise InvalidValueError(f"first day == {start}", f"must not be after the last day, {stop}")
    return Asked(start=start, end=stop, where=_filters(start, stop), actor=who.actor if who else "")


def _day(place: Any, label: str, key: str, default: dt.date) -> dt.date:  # noqa: ANN401 - a Streamlit column
    value = place.date_input(label, value=default, key=key, bind="query-params", format="YYYY-MM-DD")
    return value if isinstance(value, dt.date) else default


def _filters(start: dt.date, end: dt.date) -> loaders.Where:
    known = loaders.names(start, end)
    chosen: dict[str, tuple[str, ...]] = {}
    used = any(st.query_params.get(dim) or st.session_state.get(dim) for dim in DIMENSIONS)
    with st.expander("Only some of it", expanded=used):
        places = st.columns(3)
        for at, dim in enumerate(DIMENSIONS):
            offered = known.get(dim, [])
            linked = [value for value in st.query_params.get_all(dim) if value not in offered]
            if linked:
                components.error(
                    InvalidValueError(
                        f"{words.dimension(dim)} == {linked[0]!r} in the address", "has no telemetry then"
                    )
                )
            values = places[at % 3].multiselect(
                words.dimension(dim), offered, key=dim, bind="query-params", placeholder="All"
            )
            if values:
                chosen[dim] = tuple(values)
    return tuple(chosen.items())


def glance(asked: Asked) -> None:
    """Show every metric beside the period before."""
    kept = loaders.tiles(asked)
    components.last_good(kept)
    components.tiles([_tile(one) for one in kept.value])
    days = (asked.end - asked.start).days + 1
    components.show(
        f'<p class="rr-muted">{asked.start} to {asked.end}, against the {words.count(days, "day")} before. Intervals '
        "are of 95 %, by user: the events of one user resemble one another, so that intervals by event would be too "
        "narrow. A change whose interval holds 0 is called unclear.</p>"
    )


def _tile(tile: Tile) -> components.Tile:
    change, tone = _change(tile)
    query = {name: value for name, value in st.query_params.to_dict().items() if name not in ("tab", "metric")}
    shown = tile.value is not None and tile.ci is not None
    return components.Tile(
        label=tile.metric.title,
        value=number(tile.value, tile.metric) if shown else "withheld",
        interval=f"{_interval(tile.ci, tile.metric)} · {words.count(tile.n_users or 0, 'user')}"
        if tile.ci
        else "about too few users, or nobody",
        change=change,
        tone=tone,
        course=tile.spark,
        link=components.link("telemetry", **query, tab="Over time", metric=tile.metric.name),
    )


def _change(tile: Tile) -> tuple[str, Tone]:
    if tile.change is None or tile.change_ci is None:
        return "no period before to compare", "info"
    low, high = tile.change_ci
    told = f"{_percent(tile.change)} [{_percent(low)}, {_percent(high)}]"
    if low <= 0 <= high:
        return f"unclear {told}", "info"
    better = (tile.change > 0) == (tile.metric.better == "up")
    return f"{'better' if better else 'worse'} {told}", "good" if better else "bad"


def over_time(asked: Asked) -> None:
    """Draw one metric over time, by a dimension."""
    from dashboard import timelines

    one, by = _metric_and_split()
    kept = loaders.metric(asked, one.name, by, over_time=True)
    components.last_good(kept)
    answer = kept.value
    lines = _lines(answer, by)
    figure = timelines.course(lines, title=f"{one.title}{_unit(one)}", tick=_TICKS[one.unit], mode=mode())
    components.show(f'<p class="rr-muted">{components.text(one.meaning)}</p>')
    if answer.rows.empty:
        components.banner("Nothing to show for this choice.", "Widen the period, or drop a filter.")
    else:
        st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="course")
    _remarks(answer)
    _download(answer)


def _lines(answer: MetricAnswer, by: tuple[str, ...]) -> "list[Line]":
    from dashboard.timelines import Line

    rows = answer.rows
    if rows.empty:
        return []
    periods = pd.DatetimeIndex(sorted(rows[PERIOD].unique()))
    dims = list(answer.question.by)
    groups = [("All users", rows)] if not by else [(_named(key), some) for key, some in rows.groupby(dims)]
    groups.sort(key=lambda group: -group[1][N_USERS].sum())
    lines = []
    for name, some in groups[:_MOST_LINES]:
        # A withheld period is a gap in its line, never a straight one across.
        whole = some.set_index(PERIOD).reindex(periods)
        lines.append(
            Line(name=name, moments=periods, heights=whole[VALUE].tolist(), low=whole[LOW].tolist(),
                 high=whole[HIGH].tolist())
        )  # fmt: skip
    return lines


def segments(asked: Asked) -> None:
    """List one metric by a dimension for the whole period."""
    one, by = _metric_and_split()
    kept = loaders.metric(asked, one.name, by, over_time=False)
    components.last_good(kept)
    answer = kept.value
    dims = list(answer.question.by)
    rows = [
        (
            *([_segment_link(one, dims, row)] if dims else ["All users"]),
            f"{int(row[N_USERS]):,}",
            number(row[VALUE], one),
            _interval((row[LOW], row[HIGH]), one),
        )
        for row in answer.rows.to_dict("records")
    ]
    components.table(
        (" and ".join(words.dimension(dim) for dim in dims) or "Segment", "Users", one.title, "95 % interval, by user"),
        rows, numeric=("Users", one.title), tight=("95 % interval, by user",),
        caption=f"{one.title}{_unit(one)}, {asked.start} to {asked.end}; a segment leads to its users",
    )  # fmt: skip
    _remarks(answer)
    _download(answer)


def _segment_link(one: Metric, dims: list[str], row: Mapping[str, Any]) -> components.Markup:
    query = st.query_params.to_dict() | {dim: str(row[dim]) for dim in dims}
    query |= {"tab": "Drill down", "metric": one.name}
    query.pop("who", None)
    return components.anchor(_named(tuple(row[dim] for dim in dims)), "telemetry", **query)


def survey(asked: Asked) -> None:
    """Put what users say beside what they do."""
    from dashboard import timelines

    kept = loaders.survey(asked)
    components.last_good(kept)
    found = kept.value
    score, ctr = metric("survey_score"), metric("ctr")
    for one in (score, ctr):
        some = found.rows[found.rows[f"{one.name}_{VALUE}"].notna()]
        line = timelines.Line(
            name=one.title, moments=some[PERIOD], heights=some[f"{one.name}_{VALUE}"].tolist(),
            low=some[f"{one.name}_{LOW}"].tolist(), high=some[f"{one.name}_{HIGH}"].tolist(),
        )  # fmt: skip
        figure = timelines.course([line], title=f"{one.title}{_unit(one)}", tick=_TICKS[one.unit], mode=mode())
        st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key=f"survey-{one.name}")
    together = found.correlation
    if together is None:
        components.banner("Too few periods to say how the two go together.", "Four are needed; choose a longer period.")
    else:
        unclear = together.low <= 0 <= together.high
        components.banner(
            f"Correlation {together.value:+.2f} [{together.low:+.2f}, {together.high:+.2f}] over "
            f"{together.points} periods{': unclear.' if unclear else '.'}",
            _OBSERVED,
        )
    if found.suppressed:
        components.show(f'<p class="rr-muted">{words.count(found.suppressed, "period")} withheld for privacy.</p>')


def activity(asked: Asked) -> None:
    """Show active users and sessions, by region or another dimension."""
    from dashboard import timelines

    by = st.selectbox("By", list(_ACTIVE_BY), format_func=_ACTIVE_BY.__getitem__, key="active", bind="query-params")
    kept = loaders.active(asked, (by,))
    components.last_good(kept)
    rows, withheld = kept.value
    periods = pd.DatetimeIndex(sorted(rows[PERIOD].unique()))
    for column, title in ((N_USERS, "Active users"), (Rollup.SESSIONS, "Sessions")):
        lines = [
            timelines.Line(
                name=str(name), moments=periods, heights=some.set_index(PERIOD)[column].reindex(periods).tolist()
            )
            for name, some in rows.groupby(by)
        ]
        lines.sort(key=lambda line: -max((height for height in line.heights if not pd.isna(height)), default=0.0))
        each = "a day" if asked.grain == "day" else "a week"
        figure = timelines.course(lines, title=f"{title} {each}", tick=",.0f", mode=mode())
        st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key=f"active-{column}")
    told = "Users and sessions are counted, not estimated; the filters above do not apply to them."
    withheld_told = f" {words.count(withheld, 'row')} withheld for privacy." if withheld else ""
    components.show(f'<p class="rr-muted">{told}{withheld_told}</p>')


def _metric_and_split() -> tuple[Metric, tuple[str, ...]]:
    left, right = st.columns(2)
    with left:
        name = controls.choose_one("Metric", _METRIC_TITLES, "metric") or METRICS[0].name
    with right:
        split = controls.choose_one("Broken down by", _SPLITS, "by") or "nothing"
    return metric(name), () if split == "nothing" else (split,)


def _remarks(answer: MetricAnswer) -> None:
    told = list(answer.notes)
    if answer.suppressed:
        told.append(f"{words.count(answer.suppressed, 'cell')} withheld for privacy: about too few users.")
    if answer.pending_dates:
        told.append(
            f"{words.count(len(answer.pending_dates), 'day')} have events that are not rolled up yet: "
            "run `recommendr telemetry rollup`."
        )
    if answer.as_of:
        told.append(f"Newest event {answer.as_of:%Y-%m-%d %H:%M} UTC.")
    components.show(f'<p class="rr-muted">{" ".join(components.code(one) for one in told)}</p>')


def _download(answer: MetricAnswer) -> None:
    st.download_button(
        "Download as CSV", answer.rows.to_csv(index=False), f"{answer.metric}.csv", "text/csv", on_click="ignore"
    )


def _named(key: Any) -> str:  # noqa: ANN401 - one value, or several
    values = key if isinstance(key, tuple) else (key,)
    return _NOWHERE if set(values) == {NONE} else " · ".join(str(one) for one in values)


def number(value: float | None, one: Metric) -> str:
    """Return a value of a metric as text.

    Example:
        >>> number(0.12345, metric("ctr")), number(3.5, metric("survey_score"))
        ('12.35 %', '3.50')
    """
    if value is None or pd.isna(value):
        return "–"
    return f"{100 * value:.2f} %" if one.unit == "share" else f"{value:.2f}{' s' if one.unit == 's' else ''}"


def _interval(interval: tuple[float, float] | None, one: Metric) -> str:
    if interval is None or any(pd.isna(end) for end in interval):
        return "no interval"
    low, high = (number(end, one).removesuffix(" %").removesuffix(" s") for end in interval)
    return f"[{low}, {high}]"


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %".replace("-", "\u2212")


def _unit(one: Metric) -> str:
    return {"share": ", %", "s": ", s", "score": ", 1 to 5", "count": ""}[one.unit]


PANELS: Final[dict[str, Callable[[Asked], None]]] = {
    "At a glance": glance,
    "Over time": over_time,
    "Segments": segments,
    "Drill down": drill_down,
    "Survey": survey,
    "Activity": activity,
}


def draw(asked: Asked) -> None:
    """Draw the tabs, and only the open one's panel."""
    draw_open(PANELS, asked)
