"""Overlapping filters whose difference is a few people are refused, whatever their order."""

import pytest

from audit.suppression import DifferencingError, DifferencingGuard
from workspace.errors import InvalidValueError, RecommendrError, UnknownError

SIZES = {"KG free": 40, "KG premium": 3, "UZ free": 50, "UZ premium": 20, "KZ free": 12, "KZ premium": 0}
KG, UZ, KZ = ([f"{name} free", f"{name} premium"] for name in ("KG", "UZ", "KZ"))


@pytest.fixture
def guard() -> DifferencingGuard:
    return DifferencingGuard(SIZES, k=10)


def test_a_filter_inside_another_is_refused_in_either_order(guard: DifferencingGuard) -> None:
    assert guard.admit("KG", KG) == 43
    with pytest.raises(DifferencingError, match="'KG free' beside 'KG' tells about too few users"):
        guard.admit("KG free", ["KG free"])
    other = DifferencingGuard(SIZES, k=10)
    assert other.admit("KG free", ["KG free"]) == 40
    with pytest.raises(DifferencingError):
        other.admit("KG", KG)


def test_overlapping_filters_are_refused(guard: DifferencingGuard) -> None:
    guard.admit("KG and UZ free", [*KG, "UZ free"])
    with pytest.raises(DifferencingError):
        guard.admit("free of KG and UZ, and premium of UZ", ["KG free", "UZ free", "UZ premium"])


def test_no_number_is_in_a_refusal(guard: DifferencingGuard) -> None:
    guard.admit("KG", KG)
    with pytest.raises(DifferencingError) as refusal:
        guard.admit("KG free", ["KG free"])
    assert not {"3", "40", "43"} & set(str(refusal.value).replace("'", " ").split())


def test_differences_large_enough_are_answered(guard: DifferencingGuard) -> None:
    assert guard.admit("UZ", UZ) == 70
    assert guard.admit("UZ free", ["UZ free"]) == 50


def test_an_answer_is_given_again_and_cells_without_users_make_no_difference(guard: DifferencingGuard) -> None:
    assert guard.admit("KZ", KZ) == guard.admit("KZ free", ["KZ free"]) == 12
    assert len(guard.answered) == 1


def test_what_was_answered_before_is_remembered(guard: DifferencingGuard) -> None:
    guard.admit("KG", KG)
    again = DifferencingGuard(SIZES, k=10, answered=guard.answered)
    assert again.answered == guard.answered
    assert not again.may("KG free", ["KG free"])
    with pytest.raises(UnknownError):
        DifferencingGuard(SIZES, k=10, answered=[("z", ["z"])])


def test_small_and_empty_filters_are_refused(guard: DifferencingGuard) -> None:
    for cells in (["KG premium"], ["KZ premium"], []):
        with pytest.raises(DifferencingError, match="too few"):
            guard.admit("few", cells)


def test_groups_of_k_that_several_answers_give_are_no_reason_to_refuse() -> None:
    # (a + b) + (a + c) − (b + c) is twice the 4 of a, and 4 is enough here.
    guard = DifferencingGuard({"a": 4, "b": 40, "c": 50}, k=4)
    assert [guard.admit(name, list(name)) for name in ("ab", "bc", "ac")] == [44, 90, 54]


def test_a_small_piece_of_three_answers_is_refused() -> None:
    # Each pair differs by 40 and more; whole less the two others leaves the 3 of x.
    guard = DifferencingGuard({"x": 3, "b": 40, "c": 50}, k=10)
    guard.admit("whole", ["x", "b", "c"])
    guard.admit("b", ["b"])
    assert not guard.may("c", ["c"])
    with pytest.raises(DifferencingError, match="beside what was answered"):
        guard.admit("c", ["c"])
    assert [name for name, _ in guard.answered] == ["whole", "b"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: DifferencingGuard({"a": -1}, k=10), InvalidValueError),
        (lambda: DifferencingGuard({"a": 1.5}, k=10), InvalidValueError),  # type: ignore[dict-item]
        (lambda: DifferencingGuard({"a": 1}, k=1), InvalidValueError),
        (lambda: DifferencingGuard({"a": 1}, k=10).admit("z", ["z"]), UnknownError),
    ],
)
def test_bad_input_is_refused(call: object, error: type[RecommendrError]) -> None:
    with pytest.raises(error):
        call()  # type: ignore[operator]
