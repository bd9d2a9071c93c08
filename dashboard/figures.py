"""Plotly figures, each with the sentence that says the same to whoever can't see it.

Plotly is imported with this module and by nothing else, so a page that draws no figure never loads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.components import plain
from dashboard.theme import CATEGORICAL, PALETTES, Mode

_ROW_PX = 30
_MARGIN_PX = 64
_LABEL_CHARACTERS = 34
_MAP_GENRES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart and its words."""

    chart: go.Figure
    alt: str


def contribution_waterfall(
    terms: Sequence[tuple[str, float]], *, start: tuple[str, float], end: tuple[str, float], mode: Mode
) -> Figure:
    """Draw how signed terms lead from one total to another.

    Args:
        terms: Label and value, in order; start + their sum = end.
        start: Label and total they begin with.
        end: Label and total they lead to.
        mode: Light or dark.
    """
    palette = PALETTES[mode]
    labels = [_short(label) for label, _ in (start, *terms, end)]
    chart = go.Figure(
        go.Waterfall(
            orientation="h",
            y=list(range(len(labels))),
            x=[start[1], *(value for _, value in terms), 0],
            measure=["absolute", *("relative" for _ in terms), "total"],
            increasing={"marker": {"color": palette.gain_mark}},
            decreasing={"marker": {"color": palette.loss_mark}},
            totals={"marker": {"color": palette.ink}},
            connector={"line": {"color": palette.line, "width": 1}},
            hovertemplate="%{customdata}: %{delta:+.4f}<extra></extra>",
            customdata=[markup_free(label) for label in labels],
        )
    )
    _rows(chart, labels, mode)
    worst = min(terms, key=lambda term: term[1], default=("", 0.0))
    alt = f"From {plain(start[0])} at {start[1]:.4f} to {plain(end[0])} at {end[1]:.4f}"
    alt += f"; the largest loss is {plain(worst[0])} with {worst[1]:+.4f}." if worst[1] < 0 else "; no part is lower."
    return Figure(chart=chart, alt=alt)


def history_bars(terms: Sequence[tuple[str, float]], *, mode: Mode) -> Figure:
    """Draw what each film of the history adds to a score."""
    palette = PALETTES[mode]
    labels = [_short(label) for label, _ in terms]
    values = [value for _, value in terms]
    chart = go.Figure(
        go.Bar(
            orientation="h",
            x=values,
            y=list(range(len(labels))),
            marker={"color": [palette.gain_mark if value >= 0 else palette.loss_mark for value in values]},
            text=[f"{value:+.4f}" for value in values],
            textposition="auto",
            hovertemplate="%{customdata}: %{x:+.5f}<extra></extra>",
            customdata=[markup_free(label) for label, _ in terms],
        )
    )
    _rows(chart, labels, mode)
    first = f" The largest is {plain(terms[0][0])} with {terms[0][1]:+.4f}." if terms else ""
    return Figure(chart=chart, alt=f"What {len(terms)} parts of the history add to the score.{first}")


def film_map(points: pd.DataFrame, film_id: str, *, mode: Mode) -> Figure:
    """Draw every film as a dot, one of them marked.

    Args:
        points: Columns film_id, title, x, y, genre.
        film_id: The film to mark.
        mode: Light or dark.
    """
    palette, colours = PALETTES[mode], CATEGORICAL[mode]
    common = list(points["genre"].value_counts().index[:_MAP_GENRES])
    grouped = points["genre"].where(points["genre"].isin(common), "other")
    chart = go.Figure()
    for at, genre in enumerate([*common, "other"]):
        some = points[grouped == genre]
        if some.empty:
            continue
        chart.add_trace(
            go.Scattergl(
                x=some["x"],
                y=some["y"],
                mode="markers",
                name=markup_free(genre) or "none",
                marker={"size": 5, "opacity": 0.6, "color": colours[at % len(colours)]},
                customdata=[markup_free(title) for title in some["title"]],
                hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
            )
        )
    here = points[points["film_id"] == film_id]
    chart.add_trace(
        go.Scatter(
            x=here["x"], y=here["y"], mode="markers", name="this film", hoverinfo="skip",
            marker={"size": 16, "symbol": "circle-open", "color": palette.ink, "line": {"width": 3}},
        )
    )  # fmt: skip
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    chart.update_layout(
        height=460, margin={"l": 0, "r": 0, "t": 8, "b": 0}, xaxis=hidden, yaxis=hidden, dragmode="pan",
        legend={"orientation": "h", "y": -0.02, "font": {"color": palette.ink}},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    alt = f"Map of {len(points):,} films coloured by first genre, this film circled; distances are not scores."
    return Figure(chart=chart, alt=alt)


def _rows(chart: go.Figure, labels: Sequence[str], mode: Mode) -> None:
    palette = PALETTES[mode]
    ink: dict[str, Any] = {"color": palette.ink, "size": 13}
    chart.update_layout(
        height=_MARGIN_PX + _ROW_PX * max(1, len(labels)),
        margin={"l": 8, "r": 8, "t": 8, "b": 32},
        showlegend=False,
        font=ink,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={"gridcolor": palette.line, "zerolinecolor": palette.muted, "tickfont": ink, "fixedrange": True},
        # Positions, not names: two films of one title are two rows.
        yaxis={
            "autorange": "reversed", "automargin": True, "tickfont": ink, "fixedrange": True, "tickmode": "array",
            "tickvals": list(range(len(labels))), "ticktext": [markup_free(label) for label in labels],
        },
    )  # fmt: skip


def _short(label: str) -> str:
    shown = plain(label)
    return shown if len(shown) <= _LABEL_CHARACTERS else shown[: _LABEL_CHARACTERS - 1].rstrip() + "\u2026"


def markup_free(label: object) -> str:
    """Return a label that Plotly shows literally."""
    # Plotly reads <b>, <a> and &entities; in its labels: they must arrive escaped to be shown literally.
    return plain(label).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
