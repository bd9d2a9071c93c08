"""Figures of an audit as dots with their intervals: ratios against the parity band, and how well a group can be told.

Like `dashboard.figures`, imported only by what draws one: Plotly stays off every other page.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import plotly.graph_objects as go

from dashboard.components import plain
from dashboard.figures import Figure, markup_free
from dashboard.theme import PALETTES, Mode

if TYPE_CHECKING:
    from audit.results import Interval
    from dashboard.components import Tone

_ROW_PX: Final = 30
_MARGIN_PX: Final = 112
_LABEL_CHARACTERS: Final = 26
_SAID: Final = 12
_WIDEST: Final = 4.0
_ROOM: Final = 1.08
_TICKS: Final = (0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 1.25, 2.0, 4.0, 10.0, 20.0)
_SYMBOLS: Final[Mapping[str, str]] = {"bad": "diamond", "warn": "triangle-up", "info": "circle-open", "good": "circle"}
CHANCE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One figure.

    Args:
        label: What it is of.
        group: Under which heading it stands; empty for none.
        value: The figure.
        interval: Its interval.
        verdict: What it says, in words.
        tone: How grave that is; decides shape and colour.
        seen: The figure nearest to "no difference" that would not have been missed; drawn as a tick.
    """

    label: str
    group: str
    value: float
    interval: "Interval | None"
    verdict: str
    tone: "Tone"
    seen: float | None = None


def ratios(dots: Sequence[Dot], *, parity: "Interval", mode: Mode) -> Figure:
    """Draw ratios to a reference on a logarithmic axis, the parity band behind them.

    Args:
        dots: From top to bottom; a heading goes before each new group. A ratio of 0 stands at the left edge.
        parity: The ratios that count as parity.
        mode: Light or dark.
    """
    held = [one.value for one in dots] + [end for one in dots for end in one.interval or ()] + list(parity)
    reach = min(max([_WIDEST / 2, *(abs(math.log2(one)) for one in held if one > 0 and math.isfinite(one))]), _WIDEST)
    low, high = -reach * _ROOM, reach * _ROOM

    def at(value: float) -> float:
        # Equal factors are equally far from 1: half and double of the reference are as grave as each other.
        return low if value <= 0 else min(max(math.log2(value), low), high)

    chart = go.Figure()
    palette = PALETTES[mode]
    chart.add_vrect(x0=at(parity[0]), x1=at(parity[1]), fillcolor=palette.good, opacity=0.13, line_width=0)
    for end in parity:
        chart.add_vline(x=at(end), line={"color": palette.good, "width": 1, "dash": "dot"})
    chart.add_vline(x=0, line={"color": palette.ink, "width": 1})
    ticks = [one for one in _TICKS if low <= math.log2(one) <= high]
    axis = {"range": [low, high], "tickvals": [at(one) for one in ticks], "ticktext": [f"{one:g}" for one in ticks]}
    _draw(chart, dots, at, mode)
    _lay_out(chart, dots, {**axis, "title": "Ratio to the reference"}, mode)
    told = _said(dots)
    return Figure(
        chart=chart,
        alt=f"Ratios to the reference with their intervals, parity from {parity[0]:g} to {parity[1]:g}: {told}.",
    )


def shares(dots: Sequence[Dot], *, mode: Mode) -> Figure:
    """Draw areas under the curve from 0 to 1, chance marked.

    Args:
        dots: From top to bottom.
        mode: Light or dark.
    """
    ends = [CHANCE, *(one.value for one in dots), *(end for one in dots for end in one.interval or ())]
    low, high = max(0.0, min(ends) - 0.04), min(1.0, max(ends) + 0.04)
    chart = go.Figure()
    chart.add_vline(x=CHANCE, line={"color": PALETTES[mode].ink, "width": 1})
    _draw(chart, dots, lambda value: value, mode)
    axis = {"range": [low - 0.01, high + 0.01], "tickformat": ".2f", "title": "AUC; 0.5 is chance"}
    _lay_out(chart, dots, axis, mode)
    return Figure(chart=chart, alt=f"How well the group can be told from each block, chance is 0.5: {_said(dots)}.")


def _rows(dots: Sequence[Dot]) -> tuple[list[int], list[str]]:
    """Return the row of every dot, and the label of every row."""
    rows, labels, group = [], [], ""
    for one in dots:
        if one.group != group:
            group = one.group
            labels.append(f"<b>{_short(group)}</b>")
        rows.append(len(labels))
        labels.append(_short(one.label))
    return rows, labels


def _draw(chart: go.Figure, dots: Sequence[Dot], at: Callable[[float], float], mode: Mode) -> None:
    palette = PALETTES[mode]
    colours = {"bad": palette.loss_mark, "warn": palette.warn, "info": palette.muted, "good": palette.gain_mark}
    rows, _ = _rows(dots)
    seen: dict[str, list[tuple[int, Dot]]] = {}
    for row, one in zip(rows, dots, strict=True):
        seen.setdefault(one.verdict, []).append((row, one))
    for verdict, some in seen.items():
        colour = colours[some[0][1].tone]
        lines = [(at(one.interval[0]), at(one.interval[1]), row) for row, one in some if one.interval is not None]
        chart.add_trace(
            go.Scatter(
                x=[end for low, high, _ in lines for end in (low, high, None)],
                y=[end for _, _, row in lines for end in (row, row, None)],
                mode="lines", line={"color": colour, "width": 2.5}, hoverinfo="skip", showlegend=False,
            )
        )  # fmt: skip
        chart.add_trace(
            go.Scatter(
                x=[at(one.value) for _, one in some], y=[row for row, _ in some], mode="markers",
                name=markup_free(verdict), customdata=[markup_free(_told(one)) for _, one in some],
                hovertemplate="%{customdata}<extra></extra>",
                marker={"color": colour, "size": 11, "symbol": _SYMBOLS[some[0][1].tone],
                        "line": {"width": 2, "color": colour}},
            )
        )  # fmt: skip
    ticks = [(at(one.seen), row) for row, one in zip(rows, dots, strict=True) if one.seen is not None]
    if ticks:
        chart.add_trace(
            go.Scatter(
                x=[tick for tick, _ in ticks], y=[row for _, row in ticks], mode="markers", name="least it would see",
                hoverinfo="skip", marker={"color": palette.ink, "size": 12, "symbol": "line-ns",
                                          "line": {"width": 2, "color": palette.ink}},
            )
        )  # fmt: skip


def _lay_out(chart: go.Figure, dots: Sequence[Dot], axis: dict[str, Any], mode: Mode) -> None:
    palette = PALETTES[mode]
    ink = {"color": palette.ink, "size": 13}
    _, labels = _rows(dots)
    chart.update_layout(
        height=_MARGIN_PX + _ROW_PX * max(1, len(labels)), margin={"l": 8, "r": 12, "t": 8, "b": 40}, font=ink,
        hovermode="closest", hoverlabel={"bgcolor": palette.raised, "font": ink},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1, "x": 0, "font": ink,
                "itemclick": False, "itemdoubleclick": False},
        xaxis={**axis, "title": {"text": axis["title"], "font": ink}, "gridcolor": palette.line, "zeroline": False,
               "tickfont": ink, "fixedrange": True},
        # Positions, not names: two groups of one name are two rows.
        yaxis={"range": [len(labels) - 0.4, -0.6], "tickvals": list(range(len(labels))), "ticktext": labels,
               "automargin": True, "tickfont": ink, "showgrid": False, "zeroline": False, "fixedrange": True},
    )  # fmt: skip


def _short(label: str) -> str:
    shown = plain(label)
    return markup_free(shown if len(shown) <= _LABEL_CHARACTERS else f"{shown[: _LABEL_CHARACTERS - 1].rstrip()}…")


def _told(one: Dot) -> str:
    name = f"{one.group}: {one.label}" if one.group else one.label
    interval = "" if one.interval is None else f" ({one.interval[0]:.2f} to {one.interval[1]:.2f})"
    return f"{plain(name)} {one.value:.2f}{interval}, {one.verdict}"


def _said(dots: Sequence[Dot]) -> str:
    told = "; ".join(_told(one) for one in dots[:_SAID])
    more = f"; and {len(dots) - _SAID} more" if len(dots) > _SAID else ""
    return f"{told}{more}" if dots else "nothing to show"
