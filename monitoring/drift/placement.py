"""Where a change is: the smallest segments that explain it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitoring.drift.cells import Segment
from monitoring.drift.expectation import Field
from monitoring.drift.testing import Comparison

Contrast = Callable[[int], Comparison]

ALPHA: Final = 0.001
"""Level at which the parts of a segment are said to have changed differently, and a part to have changed."""
LEFT_OVER: Final = 1 / 3
"""The other parts are untouched when together they changed by less than this share of what the part did."""
LEAST_MOVED: Final = 0.03
"""A part that changed by less did not move; changes are smaller where the extremes of users are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How one segment changed.

    Args:
        segment: Which.
        log_change: ln(now / before).
        se: Standard error of that.
        p: Two-sided p-value.
    """

    segment: Segment
    log_change: float
    se: float
    p: float


def place(field: Field, contrast: Contrast, segment: Segment) -> list[Segment]:
    """Return the smallest segments within one that explain how it changed.

    A segment is left for its parts when they changed differently (Cochran's Q), some of them clearly, and the others
    together next to nothing. The way to take it apart (by market or by device) is the one whose parts differ most.

    Args:
        field: The metric.
        contrast: Says how the segment at a place of the field changed.
        segment: Where it was found.

    Source: Cochran 1954, "The combination of estimates from different experiments", Biometrics 10:101.
    """
    ways = []
    for children in field.cells.children(segment):
        parts = changed(field, contrast, children)
        apart = heterogeneity(parts)
        moved = _moved(parts)
        if apart < ALPHA and moved and len(moved) < len(parts) and _rest_is_still(parts, moved):
            ways.append((apart, len(moved), moved))
    if not ways:
        return [segment]
    _, _, moved = min(ways, key=lambda way: way[:2])
    return [smallest for part in moved for smallest in place(field, contrast, part.segment)]


def changed(field: Field, contrast: Contrast, segments: Sequence[Segment]) -> list[Part]:
    """Return how segments changed; those that are not estimable are left out."""
    parts = []
    for one in segments:
        found = contrast(field.place_of(one))
        if np.isfinite(found.se[0]):
            parts.append(
                Part(segment=one, log_change=float(found.log_change[0]), se=float(found.se[0]), p=float(found.p[0]))
            )
    return parts


def heterogeneity(parts: Sequence[Part]) -> float:
    """Return the p-value of Cochran's Q: that independent parts changed alike; 1 with fewer than two parts.

    Example:
        >>> alike = [Part(segment={}, log_change=0.1, se=0.1, p=0.3)] * 2
        >>> round(heterogeneity(alike), 6)
        1.0
    """
    from scipy import special

    if len(parts) < 2:  # noqa: PLR2004 - one part differs from none
        return 1.0
    change, weight = np.array([one.log_change for one in parts]), np.array([one.se**-2.0 for one in parts])
    mean = (change * weight).sum() / weight.sum()
    return float(special.chdtrc(len(parts) - 1, (weight * (change - mean) ** 2).sum()))


def _moved(parts: Sequence[Part]) -> list[Part]:
    """Return the parts that changed clearly, in the direction of the clearest."""
    clear = [one for one in parts if one.p < ALPHA and abs(np.expm1(one.log_change)) >= LEAST_MOVED]
    if not clear:
        return []
    sign = min(clear, key=lambda one: one.p).log_change
    return [one for one in clear if one.log_change * sign > 0]


def _rest_is_still(parts: Sequence[Part], moved: Sequence[Part]) -> bool:
    rest = [one for one in parts if one not in moved]
    weight = np.array([one.se**-2.0 for one in rest])
    left = float((np.array([one.log_change for one in rest]) * weight).sum() / weight.sum())
    least = min(abs(one.log_change) for one in moved)
    return abs(left) <= LEFT_OVER * least
