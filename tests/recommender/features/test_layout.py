"""The layout: ranges join, weights spread over them."""

import pytest

from recommender.features.layout import Layout
from workspace.errors import InvalidValueError


def test_layout_lays_blocks_side_by_side() -> None:
    places = Layout.of({"text": 3, "genre": 2})
    assert places.ranges == {"text": (0, 3), "genre": (3, 5)}
    assert places.dim == 5
    assert list(places) == ["text", "genre"]
    assert "genre" in places
    assert "era" not in places
    assert places.columns("genre") == slice(3, 5)


def test_layout_without_blocks_is_empty() -> None:
    assert Layout.of({}).dim == 0


def test_spread_gives_each_column_its_block_s_weight_and_zero_to_the_unnamed() -> None:
    places = Layout.of({"text": 2, "genre": 1, "era": 1})
    assert places.spread({"text": 0.5, "era": 2.0, "closest_film": 9.0}).tolist() == [0.5, 0.5, 0.0, 2.0]


def test_columns_of_an_unknown_block_name_the_known_ones() -> None:
    with pytest.raises(InvalidValueError, match="must be one of text"):
        Layout.of({"text": 2}).columns("genre")


@pytest.mark.parametrize(
    "ranges", [{"a": (1, 2)}, {"a": (0, 2), "b": (3, 4)}, {"a": (0, 0)}, {"a": (0, 3), "b": (2, 4)}]
)
def test_layout_refuses_gaps_overlaps_and_empty_blocks(ranges: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(InvalidValueError):
        Layout(ranges)
