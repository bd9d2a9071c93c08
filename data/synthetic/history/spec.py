"""What a history is made of: how many users, how long, which seed, and when it ends."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from data.synthetic.spec import EARLIEST_END, LATEST_END
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, UnknownError

HISTORY_VERSION: Final = "1.0.0"
"""Raised whenever the same spec would give other rows."""

DAYS_A_WEEK: Final = 7
SCALES: Final = {"1m": 1_000_000}
"""Names of large sizes, in weekly users."""


def _today() -> date:
    return datetime.now(tz=UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySpec:
    """The specification of a history of telemetry; the same spec always gives the same rows.

    Args:
        users: Number of users.
        weeks: Length of the history before ``end``.
        seed: Seed of every draw.
        end: The history stops at the first instant (UTC) of this day. Default: today.
        films: Number of films, when no world gives them.
        events_per_user_week: Mean number of events of a user in a week, over all types of event.
        recent_step_min: Minutes between two samples of a service in the last two weeks.
        earlier_step_min: The same before.
        planted: Whether anything happens in it; without, it is what a detector must stay silent on.

    Raises:
        InvalidValueError: When a value lies outside its limits.

    Example:
        >>> HistorySpec(users=10, weeks=2, end=date(2026, 1, 15)).start
        datetime.date(2026, 1, 1)
    """

    users: int = 500
    weeks: int = 26
    seed: int = 20_251_027
    end: date = field(default_factory=_today)
    films: int = 600
    events_per_user_week: float = 20.0
    recent_step_min: int = 5
    earlier_step_min: int = 60
    planted: bool = True

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("users", self.users, 1, 100_000_000),
            ("weeks", self.weeks, 1, 520),
            ("seed", self.seed, 0, 2**63 - 1),
            ("films", self.films, 8, 1_000_000),
            ("recent_step_min", self.recent_step_min, 1, 60),
            ("earlier_step_min", self.earlier_step_min, 1, 60),
        ):
            if not isinstance(value, int):
                raise InvalidValueError(f"{name} == {value!r}", "must be a whole number")
            check_scalar(value, name, ge=low, le=high)
        check_scalar(self.events_per_user_week, "events_per_user_week", ge=1, le=500)
        for name, step in (("recent_step_min", self.recent_step_min), ("earlier_step_min", self.earlier_step_min)):
            if 60 % step:
                raise InvalidValueError(f"{name} == {step}", "must divide an hour", "pass 1, 5, 10, 15, 30 or 60")
        if isinstance(self.end, datetime) or not isinstance(self.end, date):
            raise InvalidValueError(f"end == {self.end!r}", "must be a date", "pass datetime.date(2026, 1, 1)")
        if not EARLIEST_END <= self.end <= LATEST_END:
            raise InvalidValueError(f"end == {self.end}", f"must lie between {EARLIEST_END} and {LATEST_END}")

    @property
    def days(self) -> int:
        """Length of the history in days."""
        return self.weeks * DAYS_A_WEEK

    @property
    def start(self) -> date:
        """First day of the history."""
        return self.end - timedelta(days=self.days)

    def date_of(self, day: int) -> date:
        """Return the date of a day of the history, counted from 0."""
        return self.start + timedelta(days=day)

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-ready values."""
        return asdict(self) | {"end": self.end.isoformat()}


def users_of_scale(name: str) -> int:
    """Return the number of users of a named scale.

    Raises:
        UnknownError: When there is no such scale.

    Example:
        >>> users_of_scale("1m")
        1000000
    """
    if name not in SCALES:
        raise UnknownError(f"scale == {name!r}", "must be a known scale", f"the scales are {', '.join(SCALES)}")
    return SCALES[name]
