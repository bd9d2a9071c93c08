"""Clocks: aware, in UTC, and still when frozen."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from workspace.clock import FrozenClock, SystemClock
from workspace.errors import InvalidValueError


def test_system_clock_is_aware_and_does_not_go_back() -> None:
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert first.utcoffset() == timedelta(0)
    assert first <= second


def test_frozen_clock_shows_utc_and_moves_on_request() -> None:
    clock = FrozenClock(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == clock.now() == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert clock.now().tzinfo is UTC
    assert clock.advance(timedelta(hours=1)) == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)


def test_frozen_clock_refuses_a_naive_moment() -> None:
    with pytest.raises(InvalidValueError, match="must be an aware datetime"):
        FrozenClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test
