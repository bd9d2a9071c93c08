"""The picture of a block diagram: what must work from left to right, each box with how surely it does."""

import html
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from dashboard.components import plain, show, text
from monitoring.reliability import Box, ComponentAvailability, Layout, SystemReliability

_X_PX: Final = 84
_Y_PX: Final = 76
_WEAK: Final = 0.999


def draw(laid: Layout, components: Mapping[str, ComponentAvailability], system: SystemReliability) -> None:
    """Draw a block diagram; on a narrow screen it scrolls sideways by itself.

    Args:
        laid: Where its boxes go.
        components: How surely each component works.
        system: What each means for the whole.
    """
    single = {block.name for block in system.blocks if block.single}
    boxes = "".join(
        _box(box, components.get(box.component or ""), single=box.component in single) for box in laid.boxes
    )
    size = f"width:{laid.width * _X_PX:.0f}px;height:{laid.height * _Y_PX:.0f}px"
    # As a mask, since Streamlit takes drawings out of HTML; so the lines have the colour of the mode.
    wires = f'<div class="rr-wires" style="--course:url(data:image/svg+xml,{quote(_wires(laid))})"></div>'
    show(
        f'<div class="rr-scroll" tabindex="0" role="region" aria-label="{html.escape(_said(laid, components))}">'
        f'<div class="rr-blocks" style="{size}">{wires}{boxes}</div></div>'
    )


def _wires(laid: Layout) -> str:
    boxes = {box.id: box for box in laid.boxes}
    lines = []
    for edge in laid.edges:
        start, end = boxes[edge.start], boxes[edge.end]
        lines.append(
            f"<line x1='{(start.x + start.width) * _X_PX:.1f}' y1='{_middle(start):.1f}' "
            f"x2='{end.x * _X_PX:.1f}' y2='{_middle(end):.1f}'/>"
        )
    width, height = laid.width * _X_PX, laid.height * _Y_PX
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' stroke='#000' "
        f"stroke-width='1.5'>{''.join(lines)}</svg>"
    )


def _middle(box: Box) -> float:
    return (box.y + box.height / 2) * _Y_PX


def _box(box: Box, one: ComponentAvailability | None, *, single: bool) -> str:
    place = (
        f"left:{box.x * _X_PX:.1f}px;top:{box.y * _Y_PX:.1f}px;"
        f"width:{box.width * _X_PX:.1f}px;height:{box.height * _Y_PX:.1f}px"
    )
    if one is None:
        return f'<div class="rr-block {box.kind}" style="{place}">{text(box.title)}</div>'
    weak = "weak" if one.value is not None and one.value.value < _WEAK else ""
    alone = "single" if single else ""
    told = f'<span class="rr-num">{_available(one)}</span>'
    return f'<div class="rr-block {weak} {alone}" style="{place}"><strong>{text(box.title)}</strong>{told}</div>'


def _available(one: ComponentAvailability) -> str:
    return "not estimable" if one.value is None else f"{one.value.value:.3%}"


def _said(laid: Layout, components: Mapping[str, ComponentAvailability]) -> str:
    drawn = [box.component for box in laid.boxes if box.component is not None]
    told = ", ".join(f"{plain(components[name].title)} {_available(components[name])}" for name in dict.fromkeys(drawn))
    return f"Block diagram from left to right: {told}."
