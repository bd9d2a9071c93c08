"""Withheld entries can't be had back: by hand, by enumeration of all tables, and by the programme's own proof."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.suppression import Release, check, feasible, withhold
from audit.suppression.release import Line
from workspace.errors import IntegrityError, InvalidValueError, RecommendrError, SchemaError, UnknownError


def table(rows: list[list[int]]) -> Release:
    cells = {(f"r{i}", f"c{j}"): count for i, row in enumerate(rows) for j, count in enumerate(row)}
    return Release.of(cells, ["row", "column"])


def enumerated(release: Release, hidden: set[tuple[str, ...]], least: int, most: int) -> dict[Any, tuple[int, int]]:
    """Every whole table whose cells of two rows and two columns are hidden, its totals shown: all of them tried out."""
    cells = [("r0", "c0"), ("r0", "c1"), ("r1", "c0"), ("r1", "c1")]
    assert hidden == set(cells)
    tried = np.indices((most - least + 1,) * 4).reshape(4, -1) + least
    true = [release.counts[key] for key in cells]
    fits = np.ones(tried.shape[1], dtype=bool)
    for one, two in ((0, 1), (2, 3), (0, 2), (1, 3)):
        fits &= tried[one] + tried[two] == true[one] + true[two]
    return {key: (int(row.min()), int(row.max())) for key, row in zip(cells, tried[:, fits], strict=True)}


def test_totals_are_those_of_every_line() -> None:
    release = table([[1, 2], [3, 4]])
    assert release.counts["r0", "total"] == 3
    assert release.counts["total", "c1"] == 6
    assert release.counts["total", "total"] == 10
    assert len(release.lines) == 6


def test_the_feasible_interval_is_that_of_all_tables() -> None:
    release = table([[3, 12, 9], [11, 4, 14], [20, 13, 15]])
    hidden = {("r0", "c0"), ("r0", "c1"), ("r1", "c0"), ("r1", "c1")}
    expected = enumerated(release, hidden, 1, 20)
    assert feasible(release, hidden, least=1) == expected
    # By hand: 3 + t, 12 − t, 11 − t, 4 + t with all at least 1: t from −2 to 10.
    assert expected["r0", "c0"] == (1, 13)
    assert expected["r1", "c1"] == (2, 14)


@given(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=2, max_size=2))
@settings(max_examples=15, deadline=None)
def test_the_feasible_interval_of_small_tables_is_enumerated(rows: list[list[int]]) -> None:
    release = table(rows)
    hidden = {("r0", "c0"), ("r0", "c1"), ("r1", "c0"), ("r1", "c1")}
    assert feasible(release, hidden) == enumerated(release, hidden, 0, 18)


def test_a_cell_withheld_alone_is_known() -> None:
    weak = check(table([[3, 20], [30, 40]]), {("r0", "c0")}, k=10)
    assert [(one.key, one.interval, one.reason) for one in weak] == [(("r0", "c0"), (3, 3), "known exactly")]


def test_two_small_cells_that_add_up_to_less_than_k_are_known_to_be_small() -> None:
    release = Release.of({("a",): 3, ("b",): 4, ("c",): 50}, ["region"])
    weak = check(release, {("a",), ("b",)}, k=10)
    assert {one.reason for one in weak} == {"known to be below 10"}
    assert {one.interval for one in weak} == {(1, 6)}
    found = withhold(release, k=10)
    assert set(found.primary) == {("a",), ("b",)}
    assert found.complementary == (("c",),)
    assert found.shown == {("total",): 57}


def test_a_small_cell_that_is_shown_is_named() -> None:
    weak = check(table([[3, 20], [30, 40]]), set(), k=10)
    assert [(one.key, one.reason) for one in weak] == [(("r0", "c0"), "small, and not withheld")]


def test_nothing_is_withheld_where_nothing_is_small() -> None:
    found = withhold(table([[10, 0], [30, 40]]), k=10)
    assert found.hidden == frozenset()
    assert found.intervals == {}
    assert found.shown["total", "total"] == 80


def test_a_total_below_k_takes_its_cells_along() -> None:
    found = withhold(table([[2, 3], [30, 40], [25, 60]]), k=10)
    assert {("r0", "c0"), ("r0", "c1"), ("r0", "total")} <= found.hidden
    assert ("total", "total") in found.shown


@given(
    st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=4),
    st.integers(2, 12),
)
@settings(max_examples=15, deadline=None)
def test_what_is_withheld_can_not_be_had_back(rows: list[list[int]], k: int) -> None:
    release = table(rows)
    found = withhold(release, k=k)
    assert {**release.counts} == {**release.counts, **found.shown}
    assert all(count == 0 or count >= k for count in found.shown.values())
    zeros = all(release.counts[key] for key in found.hidden)
    if found.shown:
        assert check(release, found.hidden, k=k, zeros_shown=zeros) == []
    # Shown lines add up.
    for line in release.lines:
        if not {line.total, *line.parts} & found.hidden:
            assert sum(found.shown[key] for key in line.parts) == found.shown[line.total]


def test_small_numerators_are_withheld_and_proven_too() -> None:
    users = Release.of({("a",): 40, ("b",): 50, ("c",): 60}, ["region"])
    acted = Release.of({("a",): 3, ("b",): 20, ("c",): 30}, ["region"])
    found = withhold(users, k=10, positives=acted)
    assert found.primary == (("a",),)
    assert len(found.complementary) == 1
    assert check(acted, found.hidden, k=10) == []


def test_regions_within_markets_are_one_release() -> None:
    regions = Release.of({("kg",): 4, ("kz",): 30, ("uz",): 25, ("us",): 90, ("ca",): 60}, ["region"])
    markets = Release(
        counts={("central_asia",): 59, ("north_america",): 150, **regions.counts},
        lines=(
            Line(total=("central_asia",), parts=(("kg",), ("kz",), ("uz",))),
            Line(total=("north_america",), parts=(("us",), ("ca",))),
        ),
    )
    found = withhold(regions.joined(markets), k=10)
    assert found.primary == (("kg",),)
    # Withholding a region of the other market would protect nothing: central_asia is published.
    assert set(found.complementary) & {("kz",), ("uz",)}


def test_three_axes_are_protected() -> None:
    cells = {key: 20 + 3 * at for at, key in enumerate(itertools.product("ab", "cde", "fg"))}
    cells["a", "c", "f"] = 4
    release = Release.of(cells, ["one", "two", "three"])
    found = withhold(release, k=10)
    assert check(release, found.hidden, k=10) == []
    assert ("total", "total", "total") in found.shown


def test_what_may_not_be_shown_for_other_reasons_is_protected_as_well() -> None:
    found = withhold(Release.of({("a",): 30, ("b",): 40, ("c",): 50}, ["region"]), k=10, already=[("a",)])
    assert found.primary == ()
    assert len(found.complementary) == 2


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Release.of({("a",): -1}, ["x"]), InvalidValueError),
        (lambda: Release.of({("a",): 1.5}, ["x"]), InvalidValueError),  # type: ignore[dict-item]
        (lambda: Release.of({("a", "b"): 1}, ["x"]), SchemaError),
        (lambda: Release.of({("total",): 1}, ["x"]), SchemaError),
        (lambda: Release(counts={("a",): 1}, lines=(Line(total=("b",), parts=(("a",),)),)), SchemaError),
        (lambda: Release(counts={("a",): 1, ("b",): 2}, lines=(Line(total=("b",), parts=(("a",),)),)), SchemaError),
        (lambda: Release.of({("a",): 1}, ["x"]).joined(Release.of({("a",): 2}, ["x"])), SchemaError),
        (lambda: withhold(table([[1, 2], [3, 4]]), k=1), InvalidValueError),
        (lambda: withhold(table([[1, 2], [3, 4]]), k=10, already=[("z", "z")]), UnknownError),
        (lambda: withhold(table([[1, 2], [3, 4]]), k=10, positives=table([[1]])), UnknownError),
        (lambda: check(table([[1, 2], [3, 4]]), {("z", "z")}, k=10), UnknownError),
        (lambda: feasible(table([[0, 2], [3, 4]]), {("r0", "c0")}, least=1), IntegrityError),
    ],
)
def test_bad_input_is_refused(call: Any, error: type[RecommendrError]) -> None:
    with pytest.raises(error):
        call()
