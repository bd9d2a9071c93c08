"""Diagrams from TOML, and where their boxes go."""

import pytest

from monitoring.reliability import Diagram, Gate, layout, load, parse
from monitoring.reliability.diagram import leaves
from workspace.errors import InvalidValueError, SchemaError, UnknownError
from workspace.paths import Paths

TEXT = """
title = "Films reach their users"
system = "all"
[component.gate]
title = "Gate"
service = "gateway"
[component.a]
availability = 0.9
[component.b]
availability = 0.8
[component.c]
availability = 0.7
[block.all]
kind = "series"
of = ["gate", "votes", "pair"]
[block.votes]
kind = "k_of_n"
needed = 2
of = ["a", "b", "c"]
[block.pair]
kind = "parallel"
of = ["a", "c"]
"""


def diagram() -> Diagram:
    return parse(TEXT, "architecture.toml")


def test_diagram_nests_blocks() -> None:
    root = diagram().root
    assert (root.kind, root.needed) == ("series", 3)
    votes, pair = root.parts[1:]
    assert isinstance(votes, Gate)
    assert (votes.kind, votes.needed, votes.parts) == ("k_of_n", 2, ("a", "b", "c"))
    assert isinstance(pair, Gate)
    assert (pair.kind, pair.needed) == ("parallel", 1)
    assert diagram().component("gate").service == "gateway"
    assert list(leaves(root)) == ["gate", "a", "b", "c", "a", "c"]


def test_shipped_diagram_is_the_way_of_a_request(home: Paths) -> None:
    services = {one.service for one in load().components.values() if one.service}
    assert services == {"gateway", "bff", "user", "content", "recommender"}
    (home.monitoring / "architecture.toml").write_text(TEXT)
    assert load(home).title == "Films reach their users"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title = ", "title ", "is no TOML"),
        ('system = "all"', 'system = "none"', "system == 'none'"),
        ('of = ["a", "c"]', 'of = ["a", "z"]', "the block 'pair' holds 'z', which nobody knows"),
        ('of = ["a", "c"]', 'of = ["all"]', "the block 'all' holds itself, must not. Hint: see all → pair → all"),
        ('of = ["a", "c"]', "of = []", "block pair of == []"),
        ("needed = 2", "needed = 4", "needed == 4, must be at most the 3"),
        ("needed = 2", "", "needed == how many must work"),
        ('kind = "parallel"', 'kind = "either"', "block pair kind == 'either'"),
        ("availability = 0.9", "availability = 90", "component a availability == 90"),
        ("availability = 0.9", "", "it needs one of the two"),
        ("availability = 0.9", "speed = 3", "component a speed is no setting of it"),
        ("[block.pair]", "[component.lost]\navailability = 1\n[block.pair]", "'lost' stands in no block"),
        ("[block.pair]", "[component.votes]\navailability = 1\n[block.pair]", "'votes' is a component and a block"),
    ],
)
def test_diagrams_that_can_not_be_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(SchemaError) as refused:
        parse(TEXT.replace(old, new, 1), "architecture.toml")
    assert said in str(refused.value)
    assert "architecture.toml" in str(refused.value)


def test_diagram_that_unfolds_without_end_is_refused() -> None:
    blocks = [f'[block.b{n}]\nkind = "series"\nof = ["b{n + 1}", "b{n + 1}"]\n' for n in range(40)]
    last = '[block.b40]\nkind = "series"\nof = ["a"]\n'
    with pytest.raises(SchemaError, match="more than 2,000 boxes"):
        parse('title = "t"\nsystem = "b0"\n[component.a]\navailability = 0.9\n' + "".join(blocks) + last, "wide")


def test_copies_take_the_place_of_a_component_everywhere() -> None:
    made = diagram().with_copies("a", 2)
    assert set(made.components) == {"gate", "a_1", "a_2", "b", "c"}
    assert list(leaves(made.root)) == ["gate", "a_1", "a_2", "b", "c", "a_1", "a_2", "c"]
    assert made.component("a_2").source == "a"
    assert diagram().with_copies("a", 1) == diagram()
    with pytest.raises(UnknownError, match="'z'"):
        diagram().with_copies("z", 2)
    with pytest.raises(InvalidValueError, match="copies"):
        diagram().with_copies("a", 0)


def test_boxes_do_not_touch_and_lines_lead_to_the_right() -> None:
    laid = layout(diagram())
    boxes = {box.id: box for box in laid.boxes}
    assert len(boxes) == len(laid.boxes)
    assert [box.component for box in laid.boxes if box.component] == ["gate", "a", "b", "c", "a", "c"]
    for box in laid.boxes:
        assert 0 <= box.x <= box.x + box.width <= laid.width + 1e-9
        assert -1e-9 <= box.y <= box.y + box.height <= laid.height + 1e-9
        for other in laid.boxes:
            apart = box.x + box.width <= other.x or other.x + other.width <= box.x
            assert box is other or apart or box.y + box.height <= other.y or other.y + other.height <= box.y
    assert all(boxes[edge.start].x + boxes[edge.start].width < boxes[edge.end].x for edge in laid.edges)
    assert [box.title for box in laid.boxes if box.kind == "junction"] == ["2 of 3", "1 of 2"]


def test_every_way_leads_from_in_to_out() -> None:
    laid = layout(diagram())
    reached = {box.id for box in laid.boxes if box.title == "in"}
    for _ in laid.boxes:
        reached |= {edge.end for edge in laid.edges if edge.start in reached}
    assert reached == {box.id for box in laid.boxes}
    entered = {edge.end for edge in laid.edges}
    assert {box.title for box in laid.boxes if box.id not in entered} == {"in"}
    assert laid.to_dict()["boxes"][0]["kind"] == "end"
