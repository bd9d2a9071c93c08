"""How many users an experiment needs, what it could see, and for how many days it has to run.

The effect is given relative to the baseline, as people speak of it. A ratio metric is designed by the standard
deviation of a user's linearised value, (x − R·y)/ȳ: ``Estimate`` of past data has it as se·√n of an arm.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from experiments.estimates import check_alpha
from experiments.moments import FloatArray
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError

LONGEST_DAYS: Final = 3650
_FEWEST: Final = 2.0
_MOST: Final = 1e12
_MANY: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Users an experiment needs.

    Args:
        n_control: In control.
        n_variant: In the variant.
    """

    n_control: int
    n_variant: int

    @property
    def total(self) -> int:
        """Users of both arms."""
        return self.n_control + self.n_variant

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"n_control": self.n_control, "n_variant": self.n_variant, "total": self.total}


def power(
    *,
    baseline_mean: float,
    baseline_sd: float,
    mde_rel: float,
    n_control: float,
    ratio: float = 1.0,
    alpha: float = 0.05,
    one_sided: bool = False,
) -> float:
    """Return the probability of a significant result when the effect is real.

    Source: the noncentral t distribution, as ``statsmodels.stats.power.TTestIndPower`` has it; Cohen (1988),
    Statistical Power Analysis for the Behavioral Sciences, §2.

    Args:
        baseline_mean: Mean of control, not 0.
        baseline_sd: Standard deviation of a user's value, above 0.
        mde_rel: Effect relative to the baseline, not 0; its sign does not matter.
        n_control: Users in control, 2 at least.
        ratio: Users in the variant for one in control.
        alpha: Error of the test.
        one_sided: Whether the test asks for one direction only, as a guardrail does.

    Raises:
        InvalidValueError: Naming the argument outside its limits.

    Example:
        >>> round(power(baseline_mean=0.1, baseline_sd=0.3, mde_rel=0.1, n_control=14_130), 3)
        0.8
    """
    effect = _effect(baseline_mean, baseline_sd, mde_rel)
    check_scalar(float(n_control), "n_control", ge=_FEWEST, hint="one user has no spread")
    check_scalar(float(ratio), "ratio", gt=0, hint="pass users in the variant for one in control")
    check_scalar(float(n_control * ratio), "n_variant", ge=_FEWEST, hint="one user has no spread")
    return _power(effect, n_control, ratio, check_alpha(alpha), one_sided)


def sample_size(
    *,
    baseline_mean: float,
    baseline_sd: float,
    mde_rel: float,
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    one_sided: bool = False,
) -> Sizes:
    """Return the fewest users of each arm that reach a power.

    Args:
        baseline_mean: As in `power`.
        baseline_sd: As in `power`.
        mde_rel: As in `power`.
        ratio: As in `power`.
        alpha: As in `power`.
        power: Wanted probability of a significant result, above alpha and below 1.
        one_sided: As in `power`.

    Raises:
        NotEstimableError: When a million million users would not do.

    Example:
        >>> sample_size(baseline_mean=0.1, baseline_sd=0.3, mde_rel=0.1)
        Sizes(n_control=14129, n_variant=14129)
    """
    effect = _effect(baseline_mean, baseline_sd, mde_rel)
    check_scalar(float(ratio), "ratio", gt=0, hint="pass users in the variant for one in control")
    _check_power(power, alpha)
    least = max(_FEWEST, _FEWEST / ratio)
    n = _solve(lambda n: _power(effect, n, ratio, alpha, one_sided) - power, least, _MOST)
    if n is None:
        raise NotEstimableError(f"users for mde_rel == {mde_rel}", f"would be more than {_MOST:g}", "ask for less")
    # What is a whole number but for the last digits of the solver is that number.
    n_control = math.ceil(n * (1 - 1e-9))
    return Sizes(n_control=n_control, n_variant=max(math.ceil(n * ratio * (1 - 1e-9)), int(_FEWEST)))


def mde(
    *,
    baseline_mean: float,
    baseline_sd: float,
    n_control: float,
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    one_sided: bool = False,
) -> float:
    """Return the smallest effect, relative to the baseline and positive, that is seen with a power.

    Args:
        baseline_mean: As in `power`.
        baseline_sd: As in `power`.
        n_control: As in `power`.
        ratio: As in `power`.
        alpha: As in `power`.
        power: Wanted probability of a significant result, above alpha and below 1.
        one_sided: As in `power`.

    Example:
        >>> round(mde(baseline_mean=0.1, baseline_sd=0.3, n_control=14_129), 4)
        0.1
    """
    unit = _effect(baseline_mean, baseline_sd, 1.0)
    check_scalar(float(n_control), "n_control", ge=_FEWEST, hint="one user has no spread")
    check_scalar(float(ratio), "ratio", gt=0, hint="pass users in the variant for one in control")
    check_scalar(float(n_control * ratio), "n_variant", ge=_FEWEST, hint="one user has no spread")
    _check_power(power, alpha)
    se = math.sqrt((1 + 1 / ratio) / n_control)
    found = _solve(lambda size: _power(size * se, n_control, ratio, alpha, one_sided) - power, 1e-6, 1e3)
    if found is None:
        raise NotEstimableError(
            f"an effect that {n_control:g} users show", "would be beyond every measure", "add users"
        )
    return found * se / unit


def days_left(  # noqa: PLR0913 - keyword-only, and each is a number of the design
    *,
    baseline_mean: float,
    baseline_sd: float,
    mde_rel: float,
    per_day_control: float,
    per_day_variant: float,
    n_control: float = 0,
    n_variant: float = 0,
    alpha: float = 0.05,
    power: float = 0.8,
    one_sided: bool = False,
) -> int:
    """Return how many more days at the real traffic reach a power; 0 when it is reached.

    New users become rarer as an experiment goes on: take those of the last days, and take the figure for the least.

    Args:
        baseline_mean: As in `power`.
        baseline_sd: As in `power`.
        mde_rel: As in `power`.
        per_day_control: New users of control a day.
        per_day_variant: New users of the variant a day.
        n_control: Users of control so far.
        n_variant: Users of the variant so far.
        alpha: As in `power`.
        power: Wanted probability of a significant result, above alpha and below 1.
        one_sided: As in `power`.

    Raises:
        NotEstimableError: When an arm gets nobody, or ten years would not do.

    Example:
        >>> days_left(baseline_mean=0.1, baseline_sd=0.3, mde_rel=0.1, per_day_control=1000, per_day_variant=1000)
        15
    """
    effect = _effect(baseline_mean, baseline_sd, mde_rel)
    _check_power(power, alpha)
    arms = _arms(n_control, n_variant, per_day_control, per_day_variant)

    def enough(days: int) -> bool:
        control, variant = arms(days)
        if min(control, variant) < _FEWEST:
            return False
        return _power(effect, control, variant / control, alpha, one_sided) >= power

    if not enough(LONGEST_DAYS):
        raise NotEstimableError(
            f"days until mde_rel == {mde_rel} is seen",
            f"would be more than {LONGEST_DAYS:,}",
            "raise the allocation, ask for a larger effect, or choose a metric that varies less",
        )
    low, high = -1, LONGEST_DAYS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def mde_by_day(
    days: Sequence[int],
    *,
    baseline_mean: float,
    baseline_sd: float,
    per_day_control: float,
    per_day_variant: float,
    n_control: float = 0,
    n_variant: float = 0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> FloatArray:
    """Return the smallest relative effect that is seen after each number of days, for a chart.

    Args:
        days: Days from now, ``(k,)``.
        baseline_mean: As in `power`.
        baseline_sd: As in `power`.
        per_day_control: New users of control a day.
        per_day_variant: New users of the variant a day.
        n_control: Users of control so far.
        n_variant: Users of the variant so far.
        alpha: As in `power`.
        power: Wanted probability of a significant result, above alpha and below 1.

    Returns:
        ``(k,)``; NaN on days when an arm has fewer than two users.
    """
    arms = _arms(n_control, n_variant, per_day_control, per_day_variant)
    found = np.full(len(days), np.nan)
    for at, day in enumerate(days):
        control, variant = arms(day)
        if min(control, variant) >= _FEWEST:
            found[at] = mde(
                baseline_mean=baseline_mean,
                baseline_sd=baseline_sd,
                n_control=control,
                ratio=variant / control,
                alpha=alpha,
                power=power,
            )
    return found


def _effect(baseline_mean: float, baseline_sd: float, mde_rel: float) -> float:
    """Return the effect in standard deviations, positive."""
    for value, name in ((baseline_mean, "baseline_mean"), (mde_rel, "mde_rel")):
        if check_scalar(float(value), name) == 0:
            raise InvalidValueError(f"{name} == 0", "must not be 0", "a relative effect needs a baseline and a size")
    check_scalar(float(baseline_sd), "baseline_sd", gt=0, hint="without variance there is nothing to estimate")
    return abs(mde_rel * baseline_mean) / baseline_sd


def _check_power(power: float, alpha: float) -> None:
    check_alpha(alpha)
    check_scalar(power, "power", gt=alpha, lt=1, hint="pass 0.8 for 80 %")


def _power(effect: float, n_control: float, ratio: float, alpha: float, one_sided: bool) -> float:
    from statsmodels.stats.power import NormalIndPower, TTestIndPower

    side = "larger" if one_sided else "two-sided"
    # The noncentral t loses digits, and at last itself, where the normal distribution has long taken over.
    if n_control * (1 + ratio) < _MANY:
        reached = float(TTestIndPower().power(effect, n_control, alpha, ratio=ratio, alternative=side))
        if math.isfinite(reached):
            return reached
    return float(NormalIndPower().power(effect, n_control, alpha, ratio=ratio, alternative=side))


def _solve(gap: Callable[[float], float], low: float, high: float) -> float | None:
    """Return where an increasing function is 0, on a logarithmic scale; ``low`` when it is above 0 from the start."""
    from scipy.optimize import brentq

    if gap(low) >= 0:
        return low
    if gap(high) < 0:
        return None
    # statsmodels' own solver has an absolute tolerance and loses small effects of large experiments.
    return float(math.exp(brentq(lambda at: gap(math.exp(at)), math.log(low), math.log(high), xtol=1e-13)))


def _arms(
    n_control: float, n_variant: float, per_day_control: float, per_day_variant: float
) -> Callable[[int], tuple[float, float]]:
    """Return the users of both arms after so many days."""
    for value, name in ((n_control, "n_control"), (n_variant, "n_variant")):
        check_scalar(float(value), name, ge=0, hint="pass users so far")
    for value, name in ((per_day_control, "per_day_control"), (per_day_variant, "per_day_variant")):
        check_scalar(float(value), name, ge=0, hint="pass new users a day")
    return lambda days: (n_control + days * per_day_control, n_variant + days * per_day_variant)
