"""Looking more than once: boundaries for planned looks, and an interval that holds at every look there ever is."""

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import special

from experiments.contrast import Method
from experiments.estimates import Estimate, Interval, Side, check_alpha
from experiments.moments import FloatArray, Moments
from experiments.statistics import cuped, ratio, welch
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Spending = Literal["obrien_fleming", "pocock", "alpha_t2"]

_ESTIMATORS: Final[dict[Method, Callable[..., Estimate]]] = {"mean": welch, "ratio": ratio, "cuped": cuped}
_REACH: Final = 10.0
"""Standard deviations of the score beyond which its density is nothing."""
_RULE: Final = special.roots_legendre(16)
_PANEL: Final = 4.0
"""Standard deviations of the narrower increment that one panel of the quadrature spans."""
_CLOSEST: Final = 1e-4
_STEPS: Final = 60
_PRECISION: Final = 1e-10


def boundaries(times: Sequence[float], *, alpha: float = 0.05, spending: Spending = "obrien_fleming") -> FloatArray:
    """Return the z that the statistic must reach at each look, on either side.

    The error that the spending function allows up to each look is spent there: the k-th boundary solves
    P(|Z₁| < z₁, …, |Zₖ₋₁| < zₖ₋₁, |Zₖ| ≥ zₖ) = α(tₖ) − α(tₖ₋₁), where Zₖ√tₖ is a sum of independent normal increments.
    The probability is integrated numerically from look to look.

    Source: Lan & DeMets (1983), Discrete sequential boundaries for clinical trials, Biometrika 70:659; recursion of
    Armitage, McPherson & Rowe (1969), J. Royal Statistical Society A 132:235; Jennison & Turnbull (2000), Group
    Sequential Methods, §7.2 and ch. 19.

    Args:
        times: Information fractions of the looks (users so far / users at the planned end), increasing, inside (0, 1].
        alpha: Two-sided error over all looks, half of it on either side.
        spending: See `spent`.

    Returns:
        ``(k,)``. Infinite where a look comes so early that the error allowed is no positive double.

    Raises:
        InvalidValueError: When the times do not increase inside (0, 1].

    Example:
        >>> boundaries([0.2, 0.4, 0.6, 0.8, 1.0]).round(3).tolist()
        [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    at = _checked_times(times)
    sides = np.diff(spent(times, alpha=alpha, spending=spending), prepend=0.0) / 2
    walk = _Walk(at)
    found = np.empty(at.size)
    for look, allowed in enumerate(sides):
        found[look] = walk.solve(float(allowed))
        walk.step(found[look])
    return found


def spent(times: Sequence[float], *, alpha: float = 0.05, spending: Spending = "obrien_fleming") -> FloatArray:
    """Return the two-sided error that may be spent up to each look.

    With a = α/2 on either side: ``obrien_fleming`` 2(1 − Φ(z₁₋ₐ⸝₂/√t)), next to nothing early and nearly all at the
    end; ``pocock`` a·ln(1 + (e − 1)t), about evenly; ``alpha_t2`` a·t², between them.

    Source: Lan & DeMets (1983), §3; Kim & DeMets (1987), Biometrika 74:149 (power family).

    Args:
        times: As in `boundaries`.
        alpha: Two-sided error over all looks.
        spending: Name of the function.
    """
    at = _checked_times(times)
    side = check_alpha(alpha) / 2
    if spending not in get_args(Spending):
        raise InvalidValueError(f"spending == {spending!r}", f"must be one of {', '.join(get_args(Spending))}")
    if spending == "obrien_fleming":
        return np.asarray(4.0 * special.ndtr(special.ndtri(side / 2) / np.sqrt(at)))
    share = np.log1p(math.expm1(1.0) * at) if spending == "pocock" else at**2
    return np.asarray(2.0 * side * share)


def crossing(times: Sequence[float], bounds: npt.ArrayLike, *, drift: float = 0.0) -> FloatArray:
    """Return the probability that the statistic first crosses at each look, on either side.

    Args:
        times: As in `boundaries`.
        bounds: z at each look, ``(k,)``.
        drift: Expected z at time 1: 0 under the null hypothesis, diff/se at the planned end under another.

    Returns:
        ``(k,)``; the sum is the error at ``drift=0``, the power elsewhere.

    Example:
        >>> looks = [0.5, 1.0]
        >>> round(float(crossing(looks, boundaries(looks)).sum()), 6)
        0.05
    """
    at = _checked_times(times)
    limits = np.asarray(bounds, dtype=np.float64)
    if limits.shape != at.shape or not (limits > 0).all():
        raise InvalidValueError(f"bounds == {limits.tolist()}", "must be one z > 0 a look", "take them from boundaries")
    walk = _Walk(at, check_scalar(drift, "drift", hint="pass diff / se at the planned end"))
    found = np.empty(at.size)
    for look, limit in enumerate(limits):
        found[look] = walk.beyond(limit) + walk.beyond(-limit)
        walk.step(limit)
    return found


def confidence_sequence(
    control: Moments,
    variant: Moments,
    *,
    alpha: float = 0.05,
    tuned_at: float,
    method: Method = "mean",
    side: Side = "two",
) -> Interval:
    """Return an interval of the difference that holds at every sample size at once, however often one looks.

    Args:
        control: Moments of control, with the columns the method takes.
        variant: The same of the variant.
        alpha: Error over all looks.
        tuned_at: Users of both arms at which the band is to be tightest.
        method: ``mean`` (Welch), ``ratio`` or ``cuped``.
        side: ``greater`` gives a lower bound only, ``less`` an upper one.

    Raises:
        NotEstimableError: As the method.

    Example:
        >>> control, variant = Moments.from_values([1, 2, 3, 4]), Moments.from_values([3, 4, 5, 8])
        >>> low, high = confidence_sequence(control, variant, tuned_at=100)
        >>> bool(low < welch(control, variant).ci[0])
        True
    """
    if method not in _ESTIMATORS:
        raise InvalidValueError(f"method == {method!r}", f"must be one of {', '.join(_ESTIMATORS)}")
    estimate = _ESTIMATORS[method](control, variant)
    return confidence_sequence_of(estimate, alpha=alpha, tuned_at=tuned_at, side=side)


def confidence_sequence_of(
    estimate: Estimate, *, alpha: float = 0.05, tuned_at: float, side: Side = "two", relative: bool = False
) -> Interval:
    """Return the same from an estimate, whatever made it (stratified, adjusted).

    Args:
        estimate: Difference and standard error; its users are those of both arms.
        alpha: Error over all looks.
        tuned_at: Users of both arms at which the band is to be tightest.
        side: ``greater`` gives a lower bound only, ``less`` an upper one.
        relative: Whether the interval is of the relative difference, by Fieller with the same half-width.
    """
    critical = always_valid_critical(estimate.n, alpha=alpha, tuned_at=tuned_at, side=side)
    return estimate.fieller(critical, side=side) if relative else estimate.interval(critical, side=side)


def always_valid_critical(n: float, *, alpha: float = 0.05, tuned_at: float, side: Side = "two") -> float:
    """Return the half-width of an asymptotic confidence sequence in standard errors.

    Two-sided √(2(nρ² + 1)/(nρ²) · ln(√(nρ² + 1)/α)); one-sided with ln(1 + √(nρ² + 1)/(2α)).
    ρ² = (−2 ln α + ln(1 − 2 ln α))/N* is tightest at N* up to a closed form for Lambert's W; one-sided with 2α for α.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit theory and asymptotic
    confidence sequences, Annals of Statistics 52:2613, theorem 2.2, and its appendix B (one-sided, and ρ). As the
    central limit theorem it is asymptotic: for some hundred users and more.

    Args:
        n: Users so far, both arms.
        alpha: Error over all looks; below 0.5 when one-sided.
        tuned_at: N*, users of both arms.
        side: ``two``, or a one-sided bound.
    """
    check_alpha(alpha)
    check_scalar(float(n), "n", gt=0, hint="pass the users of both arms")
    check_scalar(float(tuned_at), "tuned_at", gt=0, hint="pass the users at which the band is to be tightest")
    level = alpha if side == "two" else 2 * check_scalar(alpha, "alpha", lt=0.5, hint="one side has half the error")
    spread = n * (-2 * math.log(level) + math.log1p(-2 * math.log(level))) / tuned_at
    evidence = math.sqrt(spread + 1) / level
    return math.sqrt(2 * (spread + 1) / spread * (math.log(evidence) if side == "two" else math.log1p(evidence)))


class _Walk:
    """The score S = Z√t of those that have not crossed yet: its density on a grid, carried from look to look."""

    def __init__(self, times: FloatArray, drift: float = 0.0) -> None:
        self._roots = np.sqrt(times)
        self._gaps = np.diff(times, prepend=0.0)
        self._drift = drift
        self._look = 0
        self._scores = np.zeros(1)
        self._mass = np.ones(1)  # density times the weight of the quadrature

    def beyond(self, limit: float) -> float:
        """Return the probability of a z above the limit at the next look, or below it when it is negative."""
        away = self._away(limit * self._roots[self._look])
        return float(self._mass @ special.ndtr(-away if limit > 0 else away))

    def solve(self, allowed: float) -> float:
        """Return the z that is exceeded with a probability at the next look."""
        limit = -float(special.ndtri(allowed)) if allowed > 0 else math.inf
        root, step = self._roots[self._look], math.sqrt(self._gaps[self._look])
        rate = root / (step * math.sqrt(2 * math.pi))
        # At a look that follows closely, nobody gets further than one step from the highest score so far.
        share = min(allowed / float(self._mass.sum()), 1.0)
        limit = min(limit, float(self._scores[-1] - step * special.ndtri(share)) / root) if allowed > 0 else limit
        # The logarithm of the probability is concave in z: Newton's steps come down to the root and never pass it.
        for _ in range(_STEPS if math.isfinite(limit) else 0):
            away = self._away(limit * root)
            chance = float(self._mass @ special.ndtr(-away))
            slope = float(self._mass @ np.exp(-away * away / 2)) * rate
            if not (chance > 0 and slope > 0):
                return math.inf
            change = chance / slope * math.log(chance / allowed)
            limit += change
            if abs(change) < _PRECISION:
                break
        return limit

    def step(self, limit: float) -> None:
        """Go on to the next look and leave out those beyond the limit there."""
        root, gap = float(self._roots[self._look]), float(self._gaps[self._look])
        centre = self._drift * root * root
        low, high = max(-limit * root, centre - _REACH * root), min(limit * root, centre + _REACH * root)
        # Dense enough for the bell that led here and for the one that leads on.
        narrow = math.sqrt(min(self._gaps[self._look : self._look + 2]))
        nodes, weights = _quadrature(low, max(low, high), _PANEL * narrow)
        away = self._away(nodes[:, None])
        density = np.exp(-away * away / 2) @ self._mass / math.sqrt(2 * math.pi * gap)
        self._look, self._scores, self._mass = self._look + 1, nodes, density * weights

    def _away(self, scores: FloatArray) -> FloatArray:
        """Return how far scores at the next look are from what is expected, in standard deviations of the step."""
        gap = self._gaps[self._look]
        return np.asarray((scores - self._scores - self._drift * gap) / np.sqrt(gap))


def _quadrature(low: float, high: float, widest: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of Gauss–Legendre panels, none wider than asked."""
    panels = max(1, math.ceil((high - low) / widest))
    half = (high - low) / panels / 2
    middles = low + half * (2 * np.arange(panels) + 1)
    nodes, weights = _RULE
    return (middles[:, None] + half * nodes).ravel(), np.tile(half * weights, panels)


def _checked_times(times: Sequence[float]) -> FloatArray:
    at = np.asarray(times, dtype=np.float64)
    if at.ndim != 1 or not at.size or not ((at > 0) & (at <= 1)).all() or not (np.diff(at) >= _CLOSEST).all():
        raise InvalidValueError(
            f"times == {at.tolist()}",
            f"must increase inside (0, 1], by {_CLOSEST:g} at least",
            "pass users so far / users at the planned end; a look that nobody was added to is none",
        )
    return at
