"""How the console says what an experiment's figures are: changes, p-values, states, verdicts and checks."""

import math
import re
from typing import Final

from dashboard.components import Tone
from experiments.findings import Level
from experiments.metrics import Unit
from experiments.plan import State
from experiments.verdict import Decision

MINUS: Final = "\u2212"
DECISION_TONES: Final[dict[Decision, Tone]] = {
    Decision.SHIP: "good",
    Decision.ROLL_BACK: "bad",
    Decision.KEEP_RUNNING: "info",
    Decision.CANT_TELL: "warn",
}
LEVEL_TONES: Final[dict[Level, Tone]] = {"ok": "good", "note": "info", "warn": "warn", "error": "bad"}
LEVELS: Final[dict[Level, str]] = {"ok": "in order", "note": "note", "warn": "look at it", "error": "wrong"}
STATE_TONES: Final[dict[State, Tone]] = {
    State.DRAFT: "info",
    State.CANARY: "warn",
    State.RUNNING: "good",
    State.STOPPED: "info",
    State.DECIDED: "info",
}
STATUSES: Final[dict[str, tuple[str, Tone]]] = {
    "better": ("better", "good"),
    "worse": ("worse", "bad"),
    "unclear": ("inconclusive", "info"),
    "non_inferior": ("within its margin", "good"),
    "harmed": ("harmed", "bad"),
    "not_estimable": ("not estimable", "warn"),
}
ROLES: Final = {
    "primary": "Primary",
    "guardrail": "Guardrails",
    "secondary": "Secondary",
    "beside": "Read beside",
}
CHECKS: Final = {
    "srm": "Sample ratio",
    "srm_region": "Sample ratio by region",
    "leak": "Leak into an arm of weight 0",
    "multiple": "Users in two variants",
    "no_variant": "Events without a variant",
    "unknown_variant": "Variants nobody planned",
    "late": "Late events",
    "pending": "Days not rolled up",
    "balance": "Balance before the start",
    "novelty": "Novelty",
}
_LEAST_FIXED: Final = 1e-4
_NEGATIVE: Final = re.compile(r"(?<![\w-])-(?=\d)")


def change(value: float | None) -> str:
    """Return a relative change as text.

    Example:
        >>> change(0.0612), change(None), change(float("inf"))
        ('+6.12 %', '–', '∞')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return f"{100 * value:+.2f} %".replace("-", MINUS)


def interval(ends: tuple[float, float] | None) -> str:
    """Return an interval of relative changes as text.

    Example:
        >>> interval((0.01, 0.02))
        '[+1.00, +2.00] %'
    """
    if ends is None:
        return "–"
    if not all(math.isfinite(end) for end in ends):
        return "not bounded"
    low, high = (change(end).removesuffix(" %") for end in ends)
    return f"[{low}, {high}] %"


def sentence(text: str) -> str:
    """Return a sentence whose negative figures bear a true minus.

    Example:
        >>> sentence("-8.3 % (-24 % to +8.4 %), 80-day")
        '−8.3 % (−24 % to +8.4 %), 80-day'
    """
    return _NEGATIVE.sub(MINUS, text)


def p_value(p: float | None) -> str:
    """Return a p-value as text; however small, it is never 0.

    Example:
        >>> p_value(0.0312), p_value(1.2e-23), p_value(None)
        ('0.0312', '1.2e-23', '–')
    """
    if p is None or math.isnan(p):
        return "–"
    return f"{p:.4f}" if p >= _LEAST_FIXED else f"{p:.1e}"


def value(number: float | None, unit: Unit) -> str:
    """Return a mean of a metric as text.

    Example:
        >>> value(0.12345, "share"), value(3.5, "score")
        ('12.35 %', '3.500')
    """
    if number is None or math.isnan(number):
        return "–"
    return f"{100 * number:.2f} %" if unit == "share" else f"{number:.3f}{' s' if unit == 's' else ''}"


def total(number: float | None, least: int) -> str:
    """Return a sum over users as text; one so small that it is about few of them is withheld.

    Example:
        >>> total(1234.0, 10), total(3.0, 10), total(0.0, 10)
        ('1,234', 'under 10', '0')
    """
    if number is None or math.isnan(number):
        return "–"
    return f"under {least}" if 0 < number < least else f"{number:,.0f}"


def check(name: str) -> str:
    """Return the name of a check of health in words."""
    return CHECKS.get(name, name.replace("_", " ").capitalize())
