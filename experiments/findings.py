"""What was found about the health of an experiment, in words for whoever decides it."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Level = Literal["ok", "note", "warn", "error"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "note", "warn", "error")
"""From good to bad; an error forbids a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check and how it came out.

    Args:
        check: Name of the check, for example ``srm``.
        level: ``ok``, ``note``, ``warn`` or ``error``; an error forbids a verdict.
        message: What was found, in plain words.
        blind_to: What this check could not have seen.
        figures: The numbers behind it.
    """

    check: str
    level: Level
    message: str
    blind_to: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "check": self.check,
            "level": self.level,
            "message": self.message,
            "blind_to": self.blind_to,
            "figures": dict(self.figures),
        }


def worst(findings: "tuple[Finding, ...]") -> Level:
    """Return the worst level of some findings; ``ok`` when there are none.

    Example:
        >>> worst((Finding(check="late", level="note", message="…"), Finding(check="srm", level="error", message="…")))
        'error'
    """
    return max((one.level for one in findings), key=LEVELS.index, default="ok")
