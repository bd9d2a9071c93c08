"""Where the boxes and lines of a block diagram go; drawing them is somebody else's business.

Units: a component is 1 wide and 1 high; x grows to the right from the source to the sink, y downwards.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from monitoring.reliability.diagram import Diagram, Gate

GAP_X: Final = 0.6
GAP_Y: Final = 0.4
JUNCTION: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box.

    Args:
        id: Unlike every other's; a component that stands in two places has two boxes.
        kind: ``component``; ``junction`` where branches meet; ``end`` at both ends.
        title: What is written in it; of a junction how many branches must work.
        component: The component it stands for; None of the rest.
        x: Left edge.
        y: Upper edge.
        width: In the same units.
        height: Likewise.
    """

    id: str
    kind: Literal["component", "junction", "end"]
    title: str
    component: str | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One line, from the right edge of a box to the left edge of another, both at half height.

    Args:
        start: Id of the box it leaves.
        end: Id of the box it reaches.
    """

    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A diagram, laid out.

    Args:
        boxes: All boxes.
        edges: All lines.
        width: Of the whole.
        height: Likewise.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: float
    height: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "boxes": [{name: getattr(one, name) for name in Box.__slots__} for one in self.boxes],
            "edges": [{"start": one.start, "end": one.end} for one in self.edges],
            "width": self.width,
            "height": self.height,
        }


def layout(diagram: Diagram) -> Layout:
    """Lay out a diagram from left to right.

    Example:
        >>> from monitoring.reliability.diagram import load
        >>> laid = layout(load())
        >>> [box.title for box in laid.boxes if box.kind == "junction"]
        ['1 of 2']
    """
    width, height = _size(diagram, diagram.root)
    drawing = _Drawing(diagram)
    middle = height / 2
    source = drawing.box("end", "in", None, 0.0, middle, JUNCTION)
    last = drawing.gate(diagram.root, JUNCTION + GAP_X, middle, source)
    whole = width + 2 * (JUNCTION + GAP_X)
    sink = drawing.box("end", "out", None, whole - JUNCTION, middle, JUNCTION)
    drawing.edges.append(Edge(start=last, end=sink))
    return Layout(boxes=tuple(drawing.boxes), edges=tuple(drawing.edges), width=whole, height=height)


def _size(diagram: Diagram, part: "str | Gate") -> tuple[float, float]:
    if isinstance(part, str):
        return 1.0, 1.0
    sizes = [_size(diagram, one) for one in part.parts]
    if part.kind == "series":
        return sum(width for width, _ in sizes) + GAP_X * (len(sizes) - 1), max(height for _, height in sizes)
    height = sum(height for _, height in sizes) + GAP_Y * (len(sizes) - 1)
    return max(width for width, _ in sizes) + GAP_X + JUNCTION, height


class _Drawing:
    def __init__(self, diagram: Diagram) -> None:
        self.boxes: list[Box] = []
        self.edges: list[Edge] = []
        self._diagram = diagram

    def box(
        self,
        kind: Literal["component", "junction", "end"],
        title: str,
        component: str | None,
        x: float,
        middle: float,
        size: float,
    ) -> str:
        name = f"{component or kind}-{len(self.boxes)}"
        self.boxes.append(
            Box(id=name, kind=kind, title=title, component=component, x=x, y=middle - size / 2, width=size, height=size)
        )
        return name

    def gate(self, part: "str | Gate", x: float, middle: float, before: str) -> str:
        """Draw a part that is reached from one box; return the box it is left by."""
        if isinstance(part, str):
            drawn = self.box("component", self._diagram.component(part).title, part, x, middle, 1.0)
            self.edges.append(Edge(start=before, end=drawn))
            return drawn
        if part.kind == "series":
            for one in part.parts:
                before = self.gate(one, x, middle, before)
                x += _size(self._diagram, one)[0] + GAP_X
            return before
        width, height = _size(self._diagram, part)
        top, lasts = middle - height / 2, []
        for one in part.parts:
            inner = _size(self._diagram, one)[1]
            lasts.append(self.gate(one, x, top + inner / 2, before))
            top += inner + GAP_Y
        joint = self.box(
            "junction", f"{part.needed} of {len(part.parts)}", None, x + width - JUNCTION, middle, JUNCTION
        )
        self.edges += [Edge(start=last, end=joint) for last in lasts]
        return joint
