"""How objectives stand: what `monitoring.objectives` returns."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from monitoring.burn import Burn, Level
from monitoring.findings import Interval

Standing = Literal["met", "at_risk", "missed", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveAlert:
    """Something an objective says now.

    Args:
        objective: Its name.
        level: Whether somebody is woken up.
        segment: Where: service, and region where it is one.
        rule: What was passed, in words.
        text: One plain sentence.
        value: The value of it: a burn rate, or what a limit was passed by, in its unit.
        runbook: Where it says what to do; may be empty.
    """

    objective: str
    level: Level
    segment: Mapping[str, str]
    rule: str
    text: str
    value: float
    runbook: str = ""

    @property
    def key(self) -> str:
        """What stays the same while it lasts: objective, level and place."""
        place = ",".join(f"{name}={value}" for name, value in sorted(self.segment.items()))
        return f"{self.objective}/{self.level}/{place or 'everywhere'}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "objective": self.objective,
            "level": self.level,
            "segment": dict(self.segment),
            "rule": self.rule,
            "text": self.text,
            "value": self.value,
            "runbook": self.runbook,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveStatus:
    """How one objective stands in one place.

    Args:
        name: The objective.
        title: It in words.
        kind: ``budget`` or ``threshold``.
        segment: Service, and region where it is one; empty for every service and region together.
        target: Share that shall be good; of a threshold the limit.
        unit: ``share`` or ``s``.
        window: Over which it is judged.
        attained: Share that was good, of a threshold the newest value that lies farthest beyond; None: not estimable.
        remaining: Share of the budget that is left; None of a threshold, or where it is not estimable.
        standing: ``met``; ``at_risk`` when something fires or the interval reaches past the target; ``missed``.
        burns: How each alert rule stands.
        alerts: What fires.
        total: Requests, or minutes, counted.
        as_of: The moment it is about; None without samples.
        note: What is missing; empty when nothing is.
    """

    name: str
    title: str
    kind: Literal["budget", "threshold"]
    segment: Mapping[str, str]
    target: float
    unit: str
    window: dt.timedelta
    attained: Interval | None
    remaining: Interval | None
    standing: Standing
    burns: tuple[Burn, ...] = ()
    alerts: tuple[ObjectiveAlert, ...] = ()
    total: float = 0.0
    as_of: dt.datetime | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "segment": dict(self.segment),
            "target": self.target,
            "unit": self.unit,
            "window_s": self.window.total_seconds(),
            "attained": self.attained.to_dict() if self.attained else None,
            "remaining": self.remaining.to_dict() if self.remaining else None,
            "standing": self.standing,
            "burns": [one.to_dict() for one in self.burns],
            "alerts": [one.to_dict() for one in self.alerts],
            "total": self.total,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDay:
    """One day of a budget.

    Args:
        day: The day, in UTC.
        total: Requests, or minutes, counted; None where nothing is known.
        bad: How much of that was bad.
        remaining: Share of the budget of the whole window that was left at the end of the day.
    """

    day: dt.date
    total: float | None
    bad: float | None
    remaining: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "day": self.day.isoformat(),
            "total": self.total,
            "bad": self.bad,
            "remaining": self.remaining,
        }
