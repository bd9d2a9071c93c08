"""One quantity against another as a line, with a point that is looked at.

Like `dashboard.figures`, imported only by what draws one: Plotly stays off every other page.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.figures import Figure
from dashboard.theme import CATEGORICAL, PALETTES, Mode

_HEIGHT_PX = 320


def curve(
    x: Sequence[float], y: Sequence[float], *, titles: tuple[str, str], ticks: tuple[str, str], mode: Mode,
    at: tuple[float, float] | None = None,
) -> Figure:  # fmt: skip
    """Draw a curve.

    Args:
        x: Along the bottom, rising.
        y: Upwards.
        titles: What they are.
        ticks: Plotly's formats of their values.
        mode: Light or dark.
        at: A point to mark.
    """
    palette = PALETTES[mode]
    ink = {"color": palette.ink, "size": 12}
    chart = go.Figure(
        go.Scatter(
            x=list(x), y=list(y), mode="lines+markers", marker={"size": 5},
            line={"color": CATEGORICAL[mode][0], "width": 2},
            hovertemplate=f"%{{x:{ticks[0]}}}: %{{y:{ticks[1]}}}<extra></extra>",
        )
    )  # fmt: skip
    if at is not None:
        chart.add_trace(
            go.Scatter(
                x=[at[0]], y=[at[1]], mode="markers", hoverinfo="skip",
                marker={"size": 14, "symbol": "circle-open", "color": palette.ink, "line": {"width": 3}},
            )
        )  # fmt: skip
    axis = {"gridcolor": palette.line, "zeroline": False, "tickfont": ink, "fixedrange": True, "automargin": True}
    chart.update_layout(
        height=_HEIGHT_PX, margin={"l": 8, "r": 8, "t": 12, "b": 8}, font=ink, showlegend=False,
        hoverlabel={"bgcolor": palette.raised, "font": ink}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis=axis | {"title": {"text": titles[0], "font": ink}, "tickformat": ticks[0], "rangemode": "tozero"},
        yaxis=axis | {"title": {"text": titles[1], "font": ink}, "tickformat": ticks[1], "rangemode": "tozero"},
    )  # fmt: skip
    said = f"{titles[1]} against {titles[0].lower()}"
    if x:
        said += f": from {y[0]:.3g} at {x[0]:g} to {y[-1]:.3g} at {x[-1]:g}."
    return Figure(chart=chart, alt=said)
