"""The verdict: what the rule that was frozen at launch says about the figures there are."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Ground = Literal["success", "harm", "refused", "undecided", "waiting", "too_early"]
"""Why: the success rule was met, something is harmed, the data can't be trusted, the planned end came without an
answer, a look is still to come, or none has been yet."""


class Decision(StrEnum):
    """What to do."""

    SHIP = "Ship"
    ROLL_BACK = "Roll back"
    KEEP_RUNNING = "Keep running"
    CANT_TELL = "Can't tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One comparison at one look, held against the boundary of that look.

    Args:
        metric: Its name.
        variant: Which treatment.
        p: Its p-value: two-sided for a primary metric, one-sided towards harm for a guardrail; None when not
            estimable.
        p_adjusted: The same, adjusted by Holm over its family.
        level: What the adjusted one is held against at this look.
        outcome: ``better``, ``worse`` or ``unclear`` for a primary metric; ``non_inferior``, ``harmed`` or ``unclear``
            for a guardrail; ``not_estimable`` for either.
    """

    metric: str
    variant: str
    p: float | None
    p_adjusted: float | None
    level: float
    outcome: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """What one planned look says.

    Args:
        number: From 1.
        day: Full days since the start.
        date: Last full day it saw.
        information: Share of the planned duration.
        boundary: Least |z| that decides at this look.
        level: The same as a two-sided p-value.
        decision: What it decides.
        reason: Why.
        primaries: The primary metrics × treatments.
        guardrails: The guardrails × treatments.
    """

    number: int
    day: int
    date: dt.date
    information: float
    boundary: float
    level: float
    decision: Decision
    reason: str
    primaries: tuple[Judgement, ...]
    guardrails: tuple[Judgement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "look": self.number,
            "day": self.day,
            "date": self.date.isoformat(),
            "information": self.information,
            "boundary": self.boundary,
            "level": self.level,
            "decision": self.decision.value,
            "reason": self.reason,
            "primaries": [one.to_dict() for one in self.primaries],
            "guardrails": [one.to_dict() for one in self.guardrails],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict as of a day.

    Args:
        experiment_id: Of which experiment.
        plan_digest: SHA-256 of the plan whose rule was applied.
        as_of: Last day whose events it knows.
        decision: Ship, Roll back, Keep running or Can't tell.
        ground: Why, as a word for programs.
        reason: Why, in one sentence with figures.
        what_would_change: What would change it, in one sentence.
        variant: The treatment it is about; None when it is about none in particular.
        look: Number of the look that decided; None when none has.
        looks: Every planned look up to this day, evaluated with what was known of its days.
        next_look: Day of the next planned look; None after the last.
    """

    experiment_id: str
    plan_digest: str
    as_of: dt.date
    decision: Decision
    ground: Ground
    reason: str
    what_would_change: str
    variant: str | None = None
    look: int | None = None
    looks: tuple[LookResult, ...] = ()
    next_look: dt.date | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "experiment": self.experiment_id,
            "plan_digest": self.plan_digest,
            "as_of": self.as_of.isoformat(),
            "decision": self.decision.value,
            "ground": self.ground,
            "reason": self.reason,
            "what_would_change": self.what_would_change,
            "variant": self.variant,
            "look": self.look,
            "looks": [one.to_dict() for one in self.looks],
            "next_look": None if self.next_look is None else self.next_look.isoformat(),
        }
