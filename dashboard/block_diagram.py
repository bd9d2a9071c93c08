"""The picture of a block diagram: what must work from left to right, each box with how surely it does.

Like `dashboard.figures`, imported only by what draws one: Plotly stays off every other page.
"""

from collections.abc import Mapping
from typing import Final

import plotly.graph_objects as go

from dashboard.components import plain
from dashboard.figures import Figure, markup_free
from dashboard.theme import PALETTES, Mode, Palette
from monitoring.reliability import Box, ComponentAvailability, Layout, SystemReliability

_UNIT_PX: Final = 104
_MARGIN_PX: Final = 40
_LINE_CHARACTERS: Final = 13
_WEAK: Final = 0.999


def block_diagram(
    laid: Layout, components: Mapping[str, ComponentAvailability], system: SystemReliability, *, mode: Mode
) -> Figure:
    """Draw a block diagram.

    Args:
        laid: Where its boxes go.
        components: How surely each component works.
        system: What each means for the whole.
        mode: Light or dark.
    """
    palette = PALETTES[mode]
    boxes = {box.id: box for box in laid.boxes}
    chart = go.Figure()
    for edge in laid.edges:
        start, end = boxes[edge.start], boxes[edge.end]
        chart.add_shape(
            type="line", x0=start.x + start.width, y0=_middle(start), x1=end.x, y1=_middle(end),
            line={"color": palette.muted, "width": 1.5}, layer="below",
        )  # fmt: skip
    single = {block.name for block in system.blocks if block.single}
    for box in laid.boxes:
        _draw(chart, box, components.get(box.component or ""), single=box.component in single, palette=palette)
    hidden = {"visible": False, "fixedrange": True}
    chart.update_layout(
        height=int(max(2.0, laid.height) * _UNIT_PX) + _MARGIN_PX, margin={"l": 4, "r": 4, "t": 8, "b": 8},
        xaxis={**hidden, "range": [-0.2, laid.width + 0.2]},
        yaxis={**hidden, "range": [laid.height + 0.2, -0.2]},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", showlegend=False,
        hoverlabel={"bgcolor": palette.raised, "font": {"color": palette.ink}},
    )  # fmt: skip
    return Figure(chart=chart, alt=_said(laid, components))


def _middle(box: Box) -> float:
    return box.y + box.height / 2


def _draw(chart: go.Figure, box: Box, one: ComponentAvailability | None, *, single: bool, palette: Palette) -> None:
    weak = one is not None and one.value is not None and one.value.value < _WEAK
    border = palette.loss_mark if weak else palette.accent if single else palette.line
    chart.add_shape(
        type="circle" if box.kind != "component" else "rect", x0=box.x, y0=box.y, x1=box.x + box.width,
        y1=box.y + box.height, fillcolor=palette.raised, line={"color": border, "width": 2.5 if single else 1.5},
        layer="below",
    )  # fmt: skip
    lines = [f"<b>{line}</b>" if one is not None else line for line in _wrapped(box.title)]
    told = "<br>".join([*lines, *([_available(one)] if one is not None else [])])
    chart.add_trace(
        go.Scatter(
            x=[box.x + box.width / 2], y=[_middle(box)], mode="text", text=[told],
            textfont={"color": palette.ink, "size": 11}, hoverinfo="text" if one is not None else "skip",
            hovertext=[_hover(one, single=single)],
        )
    )  # fmt: skip


def _wrapped(title: str) -> list[str]:
    lines = [""]
    for word in markup_free(title).split():
        if lines[-1] and len(lines[-1]) + len(word) >= _LINE_CHARACTERS:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _available(one: ComponentAvailability | None) -> str:
    if one is None:
        return ""
    return "not estimable" if one.value is None else f"{one.value.value:.3%}"


def _hover(one: ComponentAvailability | None, *, single: bool) -> str:
    if one is None:
        return ""
    said = [markup_free(one.title), _available(one), "measured" if one.measured else "assumed"]
    if single:
        said.append("the system fails with it")
    return "<br>".join(said)


def _said(laid: Layout, components: Mapping[str, ComponentAvailability]) -> str:
    drawn = [box.component for box in laid.boxes if box.component is not None]
    told = ", ".join(f"{plain(components[name].title)} {_available(components[name])}" for name in dict.fromkeys(drawn))
    return f"Block diagram from left to right: {told}."
