"""Checks at construction: each returns the value it checked, or says what is wrong with it."""

import math
from typing import TypeVar

from workspace.errors import InvalidValueError

Number = TypeVar("Number", int, float)


def check_scalar(
    value: Number,
    name: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    hint: str = "",
) -> Number:
    """Return ``value`` when it lies inside its limits.

    Args:
        value: The number to check.
        name: What the caller calls it.
        gt: It must be greater than this.
        ge: It must be at least this.
        lt: It must be less than this.
        le: It must be at most this.
        hint: How to cure a value outside.

    Returns:
        The same value.

    Raises:
        InvalidValueError: When the value is not finite or lies outside.

    Example:
        >>> check_scalar(5, "k", ge=1)
        5
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidValueError(f"{name} == {value!r}", "must be a finite number", hint)
    for limit, holds, sign in (
        (gt, gt is None or value > gt, ">"),
        (ge, ge is None or value >= ge, ">="),
        (lt, lt is None or value < lt, "<"),
        (le, le is None or value <= le, "<="),
    ):
        if not holds:
            raise InvalidValueError(f"{name} == {value}", f"must be {sign} {limit:g}", hint)
    return value
