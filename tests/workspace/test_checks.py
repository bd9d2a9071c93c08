"""Checks and errors: what, limit, hint."""

import math

import pytest

from workspace.checks import check_scalar
from workspace.errors import InputError, InvalidValueError, RecommendrError, StateError


@pytest.mark.parametrize("value", [1, 0.5, 10])
def test_check_scalar_returns_the_value(value: float) -> None:
    assert check_scalar(value, "x", gt=0, le=10) == value


@pytest.mark.parametrize(
    ("value", "limits", "said"),
    [
        (0, {"gt": 0}, "x == 0, must be > 0. Hint: h."),
        (-1, {"ge": 0}, "x == -1, must be >= 0. Hint: h."),
        (1, {"lt": 1}, "x == 1, must be < 1. Hint: h."),
        (2.5, {"le": 2}, "x == 2.5, must be <= 2. Hint: h."),
        (math.nan, {}, "x == nan, must be a finite number. Hint: h."),
        (True, {}, "x == True, must be a finite number. Hint: h."),
    ],
)
def test_check_scalar_says_what_limit_and_hint(value: float, limits: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_scalar(value, "x", hint="h", **limits)
    assert str(caught.value) == said


def test_errors_form_one_tree() -> None:
    assert issubclass(InvalidValueError, InputError)
    assert issubclass(InvalidValueError, ValueError)
    assert issubclass(StateError, RecommendrError)
    assert str(StateError("nothing imported")) == "nothing imported."
