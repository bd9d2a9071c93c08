"""What a comparison could not have seen: the ratio it would miss with a stated chance."""

from typing import Final

from scipy import optimize

from audit.contrasts import Contrast
from workspace.checks import check_scalar

MISSED: Final = 0.2
"""Chance of missing a disparity that is called detectable: one in five, a power of 80 %."""
_LARGEST: Final = 1e6


def detectable_ratio(
    contrast: Contrast, value_reference: float, *, alpha: float, below: bool, most: float | None = None
) -> float | None:
    """Return the ratio on one side of 1 that a comparison misses with a chance of one in five.

    It solves |r − 1| · m0 = (c(alpha) + c(one-sided 0.2)) · se(r), where m0 is the reference's value and se(r) the
    standard error of the difference if the ratio were r. Disparities between it and 1 are missed more often.

    Source: Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, §2; normal or t approximation.

    Args:
        contrast: The comparison.
        value_reference: The reference's value, above 0.
        alpha: Level at which the row is tested.
        below: Whether to look below 1.
        most: Largest value the measure can take, 1 for a share; None for no limit.

    Returns:
        The ratio, or None when no ratio on that side would be seen: even 0, or the largest possible, is missed.
    """
    check_scalar(value_reference, "value_reference", gt=0)
    reach = contrast.critical(alpha) + contrast.critical(2 * MISSED)
    end = 0.0 if below else (_LARGEST if most is None else most / value_reference)

    def seen(ratio: float) -> float:
        return abs(ratio - 1) * value_reference - reach * contrast.se_at(ratio)

    if seen(end) < 0 or end == 1:
        return None
    return float(optimize.brentq(seen, 1.0, end, xtol=1e-12, rtol=1e-12))
