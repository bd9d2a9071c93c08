"""When Welch's test can't be trusted: skewed users in arms of different size."""

import math
from typing import Final

from scipy import special

from workspace.checks import check_scalar

TOLERATED: Final = 0.03
"""Expected false alarms may exceed alpha by this share of it before it is said: 5.15 % at 5 %.

Well inside the half point that would matter, because samples understate the skewness of heavy tails."""


def statistic_skewness(n_control: float, n_variant: float, skewness: float) -> float:
    """Return the skewness of a difference of means, in standard errors.

    λ = γ (1/nᵥ² − 1/n꜀²) / (1/nᵥ + 1/n꜀)^{3/2}: 0 at equal arms, whatever the users' own skewness γ.

    Args:
        n_control: Users in control.
        n_variant: Users in the variant.
        skewness: Skewness γ of a user's value, the same in both arms as the null hypothesis has it.

    Example:
        >>> round(statistic_skewness(9000, 1000, 10.0), 4)
        0.2667
    """
    return skewness * (n_control - n_variant) / math.sqrt(n_control * n_variant * (n_control + n_variant))


def false_alarms(skewness: float, alpha: float = 0.05) -> tuple[float, float, float]:
    """Return the false alarms to expect of a t test: both sides, lower tail, upper tail.

    With x the normal quantile of 1 − α/2 and λ the statistic's skewness, the lower and upper tails are
    α/2 ± λ(2x² + 1)φ(x)/6, and both together α + xφ(x)·λ²(x⁴ + 2x² − 3)/9: the first order cancels between the tails,
    the second does not.

    Source: Hall (1992), The Bootstrap and Edgeworth Expansion, §2.6 (q₁, q₂ of the studentised mean). For two arms the
    joint cumulants of the difference and of its estimated variance are those of one sample with λ for γ/√n. The term
    in the kurtosis lowers false alarms; it is left out.

    Args:
        skewness: Skewness λ of the statistic, `statistic_skewness`.
        alpha: Level of the two-sided test.
    """
    x = float(-special.ndtri(alpha / 2))
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    both = alpha + x * density * skewness**2 * (x**4 + 2 * x**2 - 3) / 9
    shift = skewness * (2 * x * x + 1) * density / 6
    return min(both, 1.0), min(max(alpha / 2 + shift, 0.0), 1.0), min(max(alpha / 2 - shift, 0.0), 1.0)


def skew_warning(
    n_control: float, n_variant: float, skewness_control: float, skewness_variant: float, *, alpha: float = 0.05
) -> str | None:
    """Return what to do about a skewed metric in unequal arms, or None when Welch's test holds its level.

    The two skewnesses are pooled by users, since the false alarms of a test are about arms that do not differ; two
    equal arms therefore never warn.

    Args:
        n_control: Users in control.
        n_variant: Users in the variant.
        skewness_control: Skewness of a user's value in control; for a ratio that of its numerator.
        skewness_variant: The same in the variant.
        alpha: Level of the two-sided test.

    Raises:
        InvalidValueError: When a count is below 1 or a skewness is not a finite number.

    Example:
        >>> skew_warning(5000, 5000, 40.0, 40.0) is None
        True
        >>> print(skew_warning(9000, 1000, 15.0, 15.0))
        Skewness 15.0 in arms of 9,000 and 1,000 users: about 9.0 % false alarms instead of 5 %. \
Compare with a matched control of 1,000 users drawn at random, or read the capped metric.
    """
    for value, name in ((n_control, "n_control"), (n_variant, "n_variant")):
        check_scalar(float(value), name, ge=1, hint="pass the users of the arm")
    for value, name in ((skewness_control, "skewness_control"), (skewness_variant, "skewness_variant")):
        check_scalar(float(value), name, hint="a metric without variance has no skewness")
    pooled = (n_control * skewness_control + n_variant * skewness_variant) / (n_control + n_variant)
    expected = false_alarms(statistic_skewness(n_control, n_variant, pooled), alpha)[0]
    if expected <= alpha * (1 + TOLERATED):
        return None
    matched = min(n_control, n_variant)
    arm = "control" if n_variant <= n_control else "variant"
    return (
        f"Skewness {pooled:.1f} in arms of {n_control:,.0f} and {n_variant:,.0f} users: about {100 * expected:.1f} % "
        f"false alarms instead of {100 * alpha:g} %. Compare with a matched {arm} of {matched:,.0f} users drawn at "
        "random, or read the capped metric."
    )
