"""The time, as something that is handed in: never read from the system by whoever computes with it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from workspace.errors import InvalidValueError


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        return datetime.now(UTC)


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands still until it is told to move.

    Args:
        at: The moment it shows; must be aware.

    Example:
        >>> FrozenClock(datetime(2026, 1, 2, tzinfo=UTC)).now().isoformat()
        '2026-01-02T00:00:00+00:00'
    """

    at: datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise InvalidValueError(
                f"at == {self.at.isoformat()}", "must be an aware datetime", "pass tzinfo=datetime.UTC"
            )
        self.at = self.at.astimezone(UTC)

    def now(self) -> datetime:
        """Return the moment it stands at."""
        return self.at

    def advance(self, by: timedelta) -> datetime:
        """Move the clock.

        Args:
            by: How far; may be negative.

        Returns:
            The new moment.
        """
        self.at += by
        return self.at
