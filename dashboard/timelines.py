"""Figures over time: metrics with their intervals, and system measures against their limits.

Like `dashboard.figures`, imported only by what draws one: Plotly stays off every other page.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from dashboard.components import plain
from dashboard.figures import Figure, markup_free
from dashboard.theme import CATEGORICAL, PALETTES, Mode

_HEIGHT_PX: Final = 360
_MOST_LINES: Final = 10
_DASHES: Final = ("solid", "dash", "dot", "dashdot")
_BAND_OPACITY: Final = 0.16


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One course over time.

    Args:
        name: What it is called.
        moments: Where it is known, oldest first.
        heights: What it is there; NaN leaves a gap.
        low: Lower ends of its interval.
        high: Upper ends.
    """

    name: str
    moments: Sequence[Any]
    heights: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stretch of time that is pointed out."""

    name: str
    start: dt.datetime
    end: dt.datetime


def course(
    lines: Sequence[Line],
    *,
    title: str,
    tick: str,
    mode: Mode,
    limit: tuple[str, float] | None = None,
    marks: Sequence[Mark] = (),
) -> Figure:
    """Draw courses over time with their interval bands.

    Args:
        lines: At most ten; colour and dash tell them apart.
        title: What is drawn, for the axis and for whoever can't see it.
        tick: Plotly's format of a value, for example ``.1%``.
        mode: Light or dark.
        limit: Name and value of a limit to hold them against.
        marks: Stretches to point out, for example incidents.
    """
    palette = PALETTES[mode]
    chart = go.Figure()
    drawn = list(lines)[:_MOST_LINES]
    for at, line in enumerate(drawn):
        colour = CATEGORICAL[mode][at % len(CATEGORICAL[mode])]
        if line.low is not None and line.high is not None:
            _band(chart, line, colour)
        chart.add_trace(
            go.Scatter(
                x=list(line.moments), y=list(line.heights), name=markup_free(line.name), mode="lines+markers",
                line={"color": colour, "width": 2, "dash": _DASHES[(at // len(CATEGORICAL[mode])) % len(_DASHES)]},
                marker={"size": 4}, connectgaps=False, legendgroup=str(at),
                hovertemplate=f"%{{y:{tick}}}<extra>%{{fullData.name}}</extra>",
            )
        )  # fmt: skip
    if limit is not None:
        chart.add_hline(
            y=limit[1], line={"color": palette.loss_mark, "width": 1.5, "dash": "dash"},
            annotation={"text": markup_free(limit[0]), "font": {"color": palette.ink}},
        )  # fmt: skip
    for mark in marks:
        chart.add_vrect(
            x0=mark.start, x1=mark.end, fillcolor=palette.loss_mark, opacity=0.18, line_width=0,
            annotation={"text": markup_free(mark.name), "font": {"color": palette.ink, "size": 11}, "textangle": -90,
                        "yanchor": "top"},
        )  # fmt: skip
    _lay_out(chart, title, tick, mode)
    return Figure(chart=chart, alt=_said(drawn, title, marks))


def scatter(points: pd.DataFrame, *, x: str, y: str, titles: tuple[str, str], ticks: tuple[str, str],
            mode: Mode) -> Figure:  # fmt: skip
    """Draw one measure against another, a dot a period and region.

    Args:
        points: Columns ``x``, ``y`` and ``label``.
        x: Column along the bottom.
        y: Column upwards.
        titles: What they are.
        ticks: Plotly's formats of their values.
        mode: Light or dark.
    """
    palette = PALETTES[mode]
    chart = go.Figure(
        go.Scatter(
            x=points[x], y=points[y], mode="markers", marker={"size": 8, "color": CATEGORICAL[mode][0], "opacity": 0.7},
            customdata=[markup_free(label) for label in points["label"]],
            hovertemplate=f"%{{customdata}}: %{{x:{ticks[0]}}}, %{{y:{ticks[1]}}}<extra></extra>",
        )
    )  # fmt: skip
    _lay_out(chart, titles[1], ticks[1], mode)
    chart.update_xaxes(title={"text": titles[0], "font": {"color": palette.ink}}, tickformat=ticks[0])
    chart.update_layout(showlegend=False, hovermode="closest")
    return Figure(chart=chart, alt=f"{len(points)} periods: {titles[1]} against {titles[0]}.")


def _band(chart: go.Figure, line: Line, colour: str) -> None:
    # A band is broken where its line is: Plotly would fill straight across a gap.
    known = pd.DataFrame({"x": list(line.moments), "low": line.low, "high": line.high, "value": line.heights})
    groups = known["value"].isna().cumsum()[known["value"].notna()]
    for _, piece in known.loc[groups.index].groupby(groups):
        chart.add_trace(
            go.Scatter(
                x=[*piece["x"], *piece["x"][::-1]], y=[*piece["high"], *piece["low"][::-1]], fill="toself",
                fillcolor=colour, opacity=_BAND_OPACITY, line={"width": 0}, mode="lines", hoverinfo="skip",
                showlegend=False,
            )
        )  # fmt: skip


def _lay_out(chart: go.Figure, title: str, tick: str, mode: Mode) -> None:
    palette = PALETTES[mode]
    ink = {"color": palette.ink, "size": 12}
    axis: dict[str, Any] = {"gridcolor": palette.line, "zerolinecolor": palette.line, "tickfont": ink,
                            "fixedrange": True}  # fmt: skip
    chart.update_layout(
        height=_HEIGHT_PX, margin={"l": 8, "r": 8, "t": 12, "b": 8}, hovermode="x unified", font=ink,
        legend={"orientation": "h", "y": -0.18, "font": ink},
        hoverlabel={"bgcolor": palette.raised, "font": ink},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", xaxis=axis,
        yaxis=axis | {"tickformat": tick, "title": {"text": title, "font": ink}, "automargin": True},
    )  # fmt: skip


def _said(lines: Sequence[Line], title: str, marks: Sequence[Mark]) -> str:
    parts = []
    for line in lines[:3]:
        values = [value for value in line.heights if pd.notna(value)]
        if values:
            parts.append(f"{plain(line.name)} from {values[0]:.4g} to {values[-1]:.4g}")
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""  # noqa: PLR2004 - three are said in full
    pointed = f" Marked: {', '.join(plain(mark.name) for mark in marks)}." if marks else ""
    return f"{title} over time: {'; '.join(parts) or 'nothing to show'}{more}.{pointed}"
