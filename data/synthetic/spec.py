"""What a world is made of: sizes, seed, window and the few dials of its difficulty."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

GENERATOR_VERSION: Final = "1.0.0"
"""Raised whenever the same spec would give other rows."""

DAYS_PER_MONTH: Final = 30.4375
EARLIEST_END: Final = date(1990, 1, 1)
LATEST_END: Final = date(2200, 1, 1)


def _today() -> date:
    return datetime.now(tz=UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """The specification of a world; the same spec always gives the same rows.

    Args:
        films: Number of films.
        users: Number of users.
        seed: Seed of every draw.
        months: Length of the history before ``end``.
        end: The history stops at the first instant (UTC) of this day. Default: today, so that a world made now is
            as fresh as a daily import; pass a date to get the same rows tomorrow.
        interactions_per_user: Mean length of a history; capped at a quarter of the films.
        chance_share: Share of a history that chance and fashion chose instead of taste.
        sharpness: How strictly taste decides; 0 makes every choice a matter of chance.
        popularity_pull: How much a film's fame adds to its choice by taste.
        partial_share: Share of films sold in some markets only.
        blocked_share: Share of films legally blocked in one region or more.

    Raises:
        InvalidValueError: When a value lies outside its limits.

    Example:
        >>> WorldSpec(films=100, users=10, seed=1, end=date(2026, 1, 1)).start
        datetime.date(2024, 1, 2)
    """

    films: int = 600
    users: int = 500
    seed: int = 20_251_027
    months: int = 24
    end: date = field(default_factory=_today)
    interactions_per_user: float = 60.0
    chance_share: float = 0.15
    sharpness: float = 1.4
    popularity_pull: float = 0.25
    partial_share: float = 0.05
    blocked_share: float = 0.02

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("films", self.films, 8, 5_000_000),
            ("users", self.users, 1, 100_000_000),
            ("seed", self.seed, 0, 2**63 - 1),
            ("months", self.months, 1, 240),
        ):
            if not isinstance(value, int):
                raise InvalidValueError(f"{name} == {value!r}", "must be a whole number")
            check_scalar(value, name, ge=low, le=high)
        check_scalar(self.interactions_per_user, "interactions_per_user", ge=1, le=2_000)
        check_scalar(self.sharpness, "sharpness", ge=0, le=100)
        check_scalar(self.popularity_pull, "popularity_pull", ge=0, le=10)
        for name, share in (
            ("chance_share", self.chance_share),
            ("partial_share", self.partial_share),
            ("blocked_share", self.blocked_share),
        ):
            check_scalar(share, name, ge=0, le=1)
        if isinstance(self.end, datetime) or not isinstance(self.end, date):
            raise InvalidValueError(f"end == {self.end!r}", "must be a date", "pass datetime.date(2026, 1, 1)")
        if not EARLIEST_END <= self.end <= LATEST_END:
            raise InvalidValueError(f"end == {self.end}", f"must lie between {EARLIEST_END} and {LATEST_END}")

    @property
    def start(self) -> date:
        """First day of the history."""
        return self.end - timedelta(days=round(self.months * DAYS_PER_MONTH))

    @property
    def days(self) -> int:
        """Length of the history in days."""
        return (self.end - self.start).days

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-ready values; the inverse of :meth:`from_dict`."""
        return asdict(self) | {"end": self.end.isoformat()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "WorldSpec":
        """Return the spec that :meth:`to_dict` described.

        Raises:
            InvalidValueError: When a key is unknown or the date is not ISO 8601.
        """
        try:
            return cls(**(values | {"end": date.fromisoformat(values["end"])}))
        except (TypeError, KeyError) as error:
            raise InvalidValueError(f"spec == {values!r}", "must have the fields of WorldSpec") from error
