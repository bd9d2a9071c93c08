"""Findings along time: a bar from when each began to when it was over, with the interval of its beginning.

Like `dashboard.figures`, imported only by what draws one: Plotly stays off every other page.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import plotly.graph_objects as go

from dashboard.components import plain
from dashboard.figures import Figure, markup_free
from dashboard.theme import PALETTES, Mode

Grade = Literal["info", "warning", "critical"]

_ROW_PX: Final = 36
_MARGIN_PX: Final = 96
_LABEL_CHARACTERS: Final = 30
_SYMBOLS: Final[dict[Grade, str]] = {"info": "circle-open", "warning": "diamond", "critical": "square"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One finding.

    Args:
        label: What and where.
        summary: In a sentence.
        began: The likeliest moment.
        low: The earliest it can have begun.
        high: The latest.
        ended: When it was over; None while it lasts.
        grade: How much it matters.
    """

    label: str
    summary: str
    began: dt.datetime
    low: dt.datetime
    high: dt.datetime
    ended: dt.datetime | None
    grade: Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was changed, as a line across."""

    name: str
    at: dt.datetime


def stretches(
    shown: Sequence[Stretch], *, span: tuple[dt.datetime, dt.datetime], events: Sequence[Event] = (), mode: Mode
) -> Figure:
    """Draw findings below each other, the newest on top.

    Args:
        shown: The findings.
        span: First and last moment of the axis.
        events: What was changed in that time.
        mode: Light or dark.
    """
    palette = PALETTES[mode]
    colours = {"info": palette.gain_mark, "warning": palette.warn, "critical": palette.loss_mark}
    ordered = sorted(shown, key=lambda one: one.began, reverse=True)
    chart = go.Figure()
    for row, one in enumerate(ordered):
        colour, until = colours[one.grade], one.ended or span[1]
        chart.add_trace(
            go.Scatter(
                x=[one.began, until], y=[row, row], mode="lines", line={"color": colour, "width": 9}, opacity=0.55,
                hoverinfo="skip", showlegend=False,
            )
        )  # fmt: skip
        chart.add_trace(
            go.Scatter(
                x=[one.low, one.high], y=[row, row], mode="lines", line={"color": palette.ink, "width": 1.5},
                hoverinfo="skip", showlegend=False,
            )
        )  # fmt: skip
        chart.add_trace(
            go.Scatter(
                x=[one.began], y=[row], mode="markers", showlegend=False, customdata=[markup_free(one.summary)],
                marker={"color": colour, "size": 11, "symbol": _SYMBOLS[one.grade],
                        "line": {"color": palette.ink, "width": 1}},
                hovertemplate="%{customdata}<extra>%{x|%Y-%m-%d %H:%M}</extra>",
            )
        )  # fmt: skip
    for event in events:
        chart.add_vline(x=event.at, line={"color": palette.muted, "width": 1, "dash": "dot"})
    _lay_out(chart, ordered, span, mode)
    return Figure(chart=chart, alt=_said(ordered, events))


def _lay_out(chart: go.Figure, ordered: Sequence[Stretch], span: tuple[dt.datetime, dt.datetime], mode: Mode) -> None:
    palette = PALETTES[mode]
    ink = {"color": palette.ink, "size": 12}
    labels = [_short(one.label) for one in ordered]
    chart.update_layout(
        height=_ROW_PX * max(2, len(ordered)) + _MARGIN_PX, margin={"l": 8, "r": 12, "t": 8, "b": 8}, font=ink,
        hoverlabel={"bgcolor": palette.raised, "font": ink}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", hovermode="closest",
        xaxis={"range": list(span), "gridcolor": palette.line, "fixedrange": True, "tickfont": ink},
        yaxis={"tickvals": list(range(len(labels))), "ticktext": labels, "range": [len(labels) - 0.4, -0.6],
               "fixedrange": True, "automargin": True, "tickfont": ink, "showgrid": False, "zeroline": False},
    )  # fmt: skip


def _short(label: str) -> str:
    shown = markup_free(label)
    return shown if len(shown) <= _LABEL_CHARACTERS else f"{shown[: _LABEL_CHARACTERS - 1]}…"


def _said(ordered: Sequence[Stretch], events: Sequence[Event]) -> str:
    if not ordered:
        return "No findings in this time."
    told = "; ".join(f"{plain(one.label)} from {one.began:%Y-%m-%d}" for one in ordered[:5])
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""  # noqa: PLR2004 - five are said
    changed = f" {len(events)} changes are marked." if events else ""
    return f"Findings by when they began: {told}{more}.{changed}"
