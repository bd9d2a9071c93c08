"""The specification of a world."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from data.synthetic import WorldSpec
from workspace.errors import InvalidValueError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("films", 0), ("films", 10.5), ("films", True), ("users", 0), ("users", -1), ("seed", -1), ("months", 0),
        ("months", 241), ("interactions_per_user", 0.5), ("interactions_per_user", float("nan")),
        ("chance_share", 1.1), ("sharpness", -1.0), ("popularity_pull", float("inf")), ("partial_share", -0.1),
        ("blocked_share", 2.0), ("end", "2026-01-01"), ("end", date(1980, 1, 1)),
        ("end", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_spec_refuses_values_outside_their_limits(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        WorldSpec(**{field: value})


def test_spec_survives_json() -> None:
    spec = WorldSpec(films=99, users=7, end=date(2026, 2, 28))
    assert WorldSpec.from_dict(spec.to_dict()) == spec


def test_spec_refuses_unknown_fields() -> None:
    with pytest.raises(InvalidValueError, match="fields of WorldSpec"):
        WorldSpec.from_dict({"end": "2026-01-01", "actors": 3})


def test_spec_ends_today_by_default() -> None:
    assert abs((WorldSpec().end - datetime.now(tz=UTC).date()).days) <= 1


def test_spec_window_is_its_months() -> None:
    # 24 months of 30.4375 days are 730.5 days, rounded to the even 730.
    assert WorldSpec(end=date(2026, 1, 1)).start == date(2024, 1, 2)
