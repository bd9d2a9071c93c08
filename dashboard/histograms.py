"""Histograms of p-values: level when there is nothing to find.

Like `dashboard.figures`, imported only by what draws one: Plotly stays off every other page.
"""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures import Figure
from dashboard.theme import PALETTES, Mode

_HEIGHT_PX = 280


def p_values(values: NDArray[np.float64], *, bins: int, mode: Mode) -> Figure:
    """Draw how often each p-value came.

    Args:
        values: p-values, shape (n,); NaN is not counted.
        bins: How many bars.
        mode: Light or dark.
    """
    palette = PALETTES[mode]
    known = values[np.isfinite(values)]
    counts, edges = np.histogram(known, bins=bins, range=(0.0, 1.0))
    ink = {"color": palette.ink, "size": 12}
    chart = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges) * 0.94,
            marker={"color": [palette.loss_mark, *[palette.muted] * (bins - 1)]},
            customdata=np.column_stack([edges[:-1], edges[1:]]),
            hovertemplate="p from %{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y} splits<extra></extra>",
        )
    )  # fmt: skip
    level = len(known) / bins
    chart.add_hline(
        y=level, line={"color": palette.ink, "width": 1.5, "dash": "dash"},
        annotation={"text": "level", "font": {"color": palette.ink}},
    )  # fmt: skip
    axis = {"gridcolor": palette.line, "zeroline": False, "tickfont": ink, "fixedrange": True}
    chart.update_layout(
        height=_HEIGHT_PX, margin={"l": 8, "r": 8, "t": 12, "b": 8}, font=ink, showlegend=False,
        hoverlabel={"bgcolor": palette.raised, "font": ink},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        xaxis=axis | {"title": {"text": "p-value", "font": ink}, "range": [0, 1]},
        yaxis=axis | {"title": {"text": "Splits", "font": ink}, "automargin": True},
    )  # fmt: skip
    alt = (
        f"Histogram of {len(known):,} p-values in {bins} bars: {counts[0]:,} below {edges[1]:g} where {level:g} "
        f"would be level; the others between {counts[1:].min():,} and {counts[1:].max():,}."
    )
    return Figure(chart=chart, alt=alt)
