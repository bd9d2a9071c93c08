"""The forest plot of an experiment: each metric's relative change with its interval, against no change and its margin.

Like `dashboard.figures`, imported only by what draws one: Plotly stays off every other page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import plotly.graph_objects as go

from dashboard.components import plain
from dashboard.figures import Figure, markup_free
from dashboard.theme import PALETTES, Mode

Judged = Literal["good", "bad", "unclear"]

_ROW_PX: Final = 34
_MARGIN_PX: Final = 88
_SYMBOLS: Final[dict[Judged, str]] = {"good": "triangle-up", "bad": "triangle-down", "unclear": "circle-open"}
_WORDS: Final[dict[Judged, str]] = {"good": "better", "bad": "worse", "unclear": "inconclusive"}
_ROOM: Final = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric of one variant.

    Args:
        label: What it is.
        group: Under which heading it stands; a guardrail stands apart.
        change: Relative change, 0.01 is 1 %.
        low: Low end of its interval; infinite when there is none.
        high: High end.
        judged: Better, worse or inconclusive; shape and colour say it.
        margin: Relative change that a guardrail must not reach, signed, or None.
    """

    label: str
    group: str
    change: float
    low: float
    high: float
    judged: Judged
    margin: float | None = None


def forest(rows: Sequence[Row], *, mode: Mode) -> Figure:
    """Draw relative changes with their intervals, from top to bottom.

    Args:
        rows: In the order they are drawn; a gap and a heading go before each new group.
        mode: Light or dark.
    """
    chart = go.Figure()
    low, high = _range(rows)
    places, ticks, at, group = [], [], 0, ""
    for row in rows:
        if row.group != group:
            group = row.group
            places.append(at)
            ticks.append(f"<b>{markup_free(group)}</b>")
            at += 1
        places.append(at)
        ticks.append(markup_free(row.label))
        _draw(chart, row, at, (low, high), mode)
        at += 1
    _lay_out(chart, places, ticks, (low, high), mode)
    return Figure(chart=chart, alt=_said(rows))


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    """Return what of the axis is shown: the intervals that are no more than some times as wide as the narrowest."""
    ends = [end for row in rows for end in (row.low, row.high, row.change) if abs(end) != float("inf")]
    ends += [row.margin for row in rows if row.margin is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = _ROOM * ((high - low) or 0.01)
    return low - room, high + room


def _draw(chart: go.Figure, row: Row, at: int, shown: tuple[float, float], mode: Mode) -> None:
    palette = PALETTES[mode]
    colour = {"good": palette.gain_mark, "bad": palette.loss_mark, "unclear": palette.muted}[row.judged]
    name = f"{row.group}: {row.label}"
    ends = [max(row.low, shown[0]), min(row.high, shown[1])]
    chart.add_trace(
        go.Scatter(
            x=ends, y=[at, at], mode="lines", line={"color": colour, "width": 3}, hoverinfo="skip", showlegend=False
        )
    )
    chart.add_trace(
        go.Scatter(
            x=[row.change], y=[at], mode="markers", name=markup_free(name), showlegend=False,
            marker={"color": colour, "size": 12, "symbol": _SYMBOLS[row.judged], "line": {"width": 2, "color": colour}},
            customdata=[[row.low, row.high, _WORDS[row.judged]]],
            hovertemplate="%{x:+.2%} [%{customdata[0]:+.2%}, %{customdata[1]:+.2%}], %{customdata[2]}"
            "<extra>%{fullData.name}</extra>",
        )
    )  # fmt: skip
    if row.margin is not None:
        chart.add_shape(
            type="line", x0=row.margin, x1=row.margin, y0=at - 0.38, y1=at + 0.38,
            line={"color": palette.loss_mark, "width": 2, "dash": "dot"},
        )  # fmt: skip


def _lay_out(
    chart: go.Figure, places: Sequence[int], ticks: Sequence[str], shown: tuple[float, float], mode: Mode
) -> None:
    palette = PALETTES[mode]
    ink = {"color": palette.ink, "size": 13}
    chart.add_vline(x=0, line={"color": palette.ink, "width": 1})
    chart.update_layout(
        height=_MARGIN_PX + _ROW_PX * len(places), margin={"l": 8, "r": 16, "t": 8, "b": 40}, font=ink,
        hovermode="closest", hoverlabel={"bgcolor": palette.raised, "font": ink},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        xaxis={"range": list(shown), "tickformat": "+.0%" if shown[1] - shown[0] > 0.06 else "+.1%",  # noqa: PLR2004
               "gridcolor": palette.line, "zeroline": False, "tickfont": ink, "fixedrange": True,
               "title": {"text": "Change against control", "font": ink}, "nticks": 7},
        yaxis={"range": [len(places) - 0.4, -0.6], "tickmode": "array", "tickvals": list(places),
               "ticktext": list(ticks), "automargin": True, "tickfont": ink, "showgrid": False, "zeroline": False,
               "fixedrange": True},
    )  # fmt: skip


def _said(rows: Sequence[Row]) -> str:
    told = "; ".join(
        f"{plain(row.label)} {row.change:+.2%} [{row.low:+.2%}, {row.high:+.2%}], {_WORDS[row.judged]}" for row in rows
    )
    return f"Relative changes against control with their intervals: {told or 'nothing to show'}."
