"""What a detector says: something changed, where, when, by how much, and what probably caused it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

ChangeKind = Literal["index_version", "feature_version", "provider", "catalogue", "experiment", "incident"]
EVERYONE: Final[Mapping[str, str]] = {}
"""The segment of all users, or of all services."""


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with the interval that holds the truth in 95 of 100 cases; None where it is not estimable."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """When something began, with the interval of that moment.

    Args:
        at: The most likely moment, aware.
        low: The earliest it can have been.
        high: The latest.
    """

    at: dt.datetime
    low: dt.datetime
    high: dt.datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None or not self.low <= self.at <= self.high:
            raise InvalidValueError(
                f"onset == {self.low} … {self.at} … {self.high}", "must be aware moments in this order"
            )

    def to_dict(self) -> dict[str, str]:
        """Return plain data."""
        return {"at": self.at.isoformat(), "low": self.low.isoformat(), "high": self.high.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something somebody or something did to the system, which may explain a finding.

    Args:
        kind: What changed.
        name: Which one, for example an index version.
        at: When it began to count.
        until: When it was over; None while it lasts.
        segment: Whom it reaches; empty for everybody.
        summary: In plain words.
    """

    kind: ChangeKind
    name: str
    at: dt.datetime
    until: dt.datetime | None = None
    segment: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "kind": self.kind,
            "name": self.name,
            "at": self.at.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "segment": dict(self.segment),
            "summary": self.summary,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A change that may have caused a finding.

    Args:
        change: The change.
        weight: How likely beside the others, 0 … 1; the weights of one finding sum to at most 1.
        reason: Why it is thought so.
    """

    change: Change
    weight: float
    reason: str

    def __post_init__(self) -> None:
        check_scalar(self.weight, "weight", ge=0, le=1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"change": self.change.to_dict(), "weight": self.weight, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a detector found.

    Args:
        detector: Who says so, for example ``drift.telemetry``; the part before the dot names the page.
        metric: What changed.
        segment: Where, for example ``{"market": "central_asia"}`` or ``{"service": "bff", "region": "GB"}``; the
            smallest place that explains it; empty for everywhere.
        onset: When it began.
        ended: When it was over; None while it lasts.
        effect: How large, in ``unit``.
        unit: ``relative`` (0.05 is 5 %), or the metric's own unit.
        p_value: Of the test behind it, adjusted for everything looked at; None where there is no test.
        severity: How much it matters.
        summary: One plain sentence for whoever is woken up by it.
        causes: Likely causes, the likeliest first.
        evidence: What the page shows beside it, as plain data: values before and after, users, settings.
    """

    detector: str
    metric: str
    segment: Mapping[str, str]
    onset: Onset
    effect: Interval
    unit: str
    severity: Severity
    summary: str
    ended: dt.datetime | None = None
    p_value: float | None = None
    causes: tuple[Cause, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What stays the same when it is found again: detector, metric and segment."""
        place = ",".join(f"{name}={value}" for name, value in sorted(self.segment.items()))
        return f"{self.detector}/{self.metric}/{place or 'everywhere'}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "detector": self.detector,
            "metric": self.metric,
            "segment": dict(self.segment),
            "onset": self.onset.to_dict(),
            "ended": self.ended.isoformat() if self.ended else None,
            "effect": self.effect.to_dict(),
            "unit": self.unit,
            "p_value": self.p_value,
            "severity": self.severity.value,
            "summary": self.summary,
            "causes": [cause.to_dict() for cause in self.causes],
            "evidence": dict(self.evidence),
            "key": self.key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run of a detector gave.

    Args:
        detector: Which.
        findings: What it found, the newest first.
        notes: What it could not look at and why, with how much data is missing: never silence.
        looked_at: How many series, segments or rows it looked at.
        seconds: How long it took.
    """

    detector: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    looked_at: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "detector": self.detector,
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "looked_at": self.looked_at,
            "seconds": self.seconds,
        }
