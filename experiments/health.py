"""Whether an experiment's counts can be trusted: sample ratio, leaks, users or rows that fit nowhere.

Pure functions on counts. The sample-ratio test is Pearson's chi-square on exposed users against the intended shares;
where few users are expected in an arm, its approximation cries wolf, so an exact test must agree before it is red.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from workspace.errors import InvalidValueError, NotEstimableError

SRM_ALPHA: Final = 0.001
"""A sample ratio is doubted below this p only: it is looked at every day."""
LEAST_SHARE_OFF: Final = 0.001
"""A share that is off by no more than this, 0.1 percentage point, is harmless however small its p."""
_POWER: Final = 0.80
_FEW: Final = 100
"""Below so many expected users of an arm the chi-square p is held against an exact one."""
_TWO: Final = 2
_NORMAL: Final = NormalDist()
MULTIPLE_LIMIT: Final = 0.001
MISSING_LIMIT: Final = 0.01
UNKNOWN_LIMIT: Final = 0.001

Counts = Mapping[str, int] | Sequence[int] | np.ndarray[Any, Any]
Weights = Mapping[str, float] | Sequence[float] | np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Srm:
    """Whether users are split as intended.

    Args:
        p: Chi-square p of the arms with a weight; None when fewer than two of them leave nothing to compare.
        p_exact: Exact binomial p, Bonferroni over arms, where few users are expected in an arm; else None.
        ok: Neither a leak, nor both p < .001 and a share off by more than 0.1 percentage point.
        leak: Whether an arm of weight 0 has users.
        leaked: Users of each such arm.
        statistic: Chi-square.
        df: Its degrees of freedom.
        counts: Exposed users by arm.
        expected: Users intended by arm, given how many there are in arms with a weight.
        shares: Share of each arm among the users of arms with a weight; of a leaking arm, relative to the same.
        largest_off: How far the worst share is off, as a share (0.001 = 0.1 percentage point).
        detectable_loss: Share of one arm's users, whichever arm, whose loss this test sees with 80 % power; None when
            not even the loss of all of them.
    """

    p: float | None
    p_exact: float | None
    ok: bool
    leak: bool
    leaked: dict[str, int]
    statistic: float
    df: int
    counts: dict[str, int]
    expected: dict[str, float]
    shares: dict[str, float]
    largest_off: float
    detectable_loss: float | None

    @property
    def sentence(self) -> str:
        """What was found and what could have been, for people."""
        if self.leak:
            arms = ", ".join(f"{name} ({count:,} users)" for name, count in self.leaked.items())
            return f"Leak: users are in an arm of weight 0, {arms}."
        if self.p is None:
            return "Only one arm has a weight: there is no ratio to check."
        seen = (
            "It could not have seen even the loss of a whole arm."
            if self.detectable_loss is None
            else f"It would have seen the loss of {self.detectable_loss:.2%} of an arm's users (80 % power)."
        )
        off = f"p = {self.p:.3g}, the worst share is off by {100 * self.largest_off:.2f} points"
        return f"{'Split as intended' if self.ok else 'Sample ratio mismatch'}: {off}. {seen}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {**asdict(self), "sentence": self.sentence}


def srm(counts: Counts, weights: Weights) -> Srm:
    """Test whether exposed users are split over the arms as intended.

    Args:
        counts: Exposed users by arm, or in the order of the weights.
        weights: Intended shares before scaling to 1, by arm or in the order of the counts; 0 is allowed.

    Returns:
        The test, red (``ok`` False) only if p < .001 and the worst share is off by more than 0.1 percentage point, or
        if an arm of weight 0 has users.

    Raises:
        InvalidValueError: When counts or weights are not what they must be.
        NotEstimableError: When there is no user at all.

    Source: Pearson (1900); Fabijan et al. (2019), Diagnosing sample ratio mismatch in online controlled experiments,
        KDD, for the threshold; power of the chi-square test by the non-central distribution, Cohen (1988), chapter 7.

    Example:
        >>> found = srm({"control": 50_000, "treatment": 51_100}, {"control": 0.5, "treatment": 0.5})
        >>> found.ok, round(found.p, 5), round(found.detectable_loss, 4)
        (False, 0.00054, 0.0257)
    """
    from scipy import special

    users, intended = _matched(counts, weights)
    weighted = [name for name, weight in intended.items() if weight > 0]
    leaked = {name: users[name] for name in users if name not in weighted and users[name] > 0}
    scale, total = math.fsum(intended.values()), sum(users[name] for name in weighted)
    if total == 0 and not leaked:
        raise NotEstimableError("the sample ratio", "no user is exposed yet", "wait for the first exposures")
    share = {name: intended[name] / scale for name in users}
    expected = {name: total * share[name] for name in users}
    shares = {name: users[name] / total if total else 0.0 for name in users}
    statistic = math.fsum((users[n] - expected[n]) ** 2 / expected[n] for n in weighted) if total else 0.0
    df = len(weighted) - 1
    p = float(special.chdtrc(df, statistic)) if df and total else None
    p_exact = _exact(users, share, weighted, total) if p is not None else None
    largest_off = max((abs(shares[n] - share[n]) for n in weighted), default=0.0) if total else 0.0
    doubted = p is not None and max(p, p_exact or 0.0) < SRM_ALPHA and largest_off > LEAST_SHARE_OFF
    return Srm(
        p=p,
        p_exact=p_exact,
        ok=not doubted and not leaked,
        leak=bool(leaked),
        leaked=leaked,
        statistic=statistic,
        df=df,
        counts=users,
        expected=expected,
        shares=shares,
        largest_off=largest_off,
        detectable_loss=_detectable([share[n] for n in weighted], total) if p is not None else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareCheck:
    """Whether a share of users or rows that fit nowhere is small enough.

    Args:
        name: What was counted.
        count: How many.
        total: Of how many.
        share: Their quotient; None when there is nothing to divide by.
        limit: Share that is tolerated.
        p: Exact one-sided p of a share above the limit.
        ok: Not both above the limit and p < .001.
    """

    name: str
    count: int
    total: int
    share: float | None
    limit: float
    p: float | None
    ok: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return asdict(self)


def multiple_exposure(multiple: int, users: int) -> ShareCheck:
    """Check the users that were seen in more than one variant.

    Args:
        multiple: Users seen in two variants or more; they are left out of every figure.
        users: Exposed users, these included.

    Example:
        >>> multiple_exposure(2, 1_000).ok, multiple_exposure(20, 1_000).ok
        (True, False)
    """
    return _share_check("multiple exposure", multiple, users, MULTIPLE_LIMIT)


def missing_variant(without: int, rows: int) -> ShareCheck:
    """Check the rows that name the experiment and no variant.

    Args:
        without: Rows without a variant.
        rows: Rows of the experiment, these included.
    """
    return _share_check("missing variant", without, rows, MISSING_LIMIT)


def unknown_variant(unknown: int, rows: int) -> ShareCheck:
    """Check the rows whose variant is not in the plan.

    Args:
        unknown: Rows of a variant that the plan does not have.
        rows: Rows of the experiment, these included.
    """
    return _share_check("unknown variant", unknown, rows, UNKNOWN_LIMIT)


def _share_check(name: str, count: int, total: int, limit: float) -> ShareCheck:
    from scipy import stats

    count, total = _whole(count, f"count of {name}"), _whole(total, f"total of {name}")
    if count > total:
        hint = "count them among the total as well"
        raise InvalidValueError(f"count of {name} == {count}", f"must be at most the total, {total}", hint)
    if total == 0:  # nothing was exposed: no share, never 0
        return ShareCheck(name=name, count=0, total=0, share=None, limit=limit, p=None, ok=True)
    share, p = count / total, float(stats.binom.sf(count - 1, total, limit))
    ok = not (share > limit and p < SRM_ALPHA)
    return ShareCheck(name=name, count=count, total=total, share=share, limit=limit, p=p, ok=ok)


def _matched(counts: Counts, weights: Weights) -> tuple[dict[str, int], dict[str, float]]:
    """Return users and weights by the same arms, in the order of the weights when those have names."""
    if len(counts) != len(weights) and not (isinstance(counts, Mapping) and isinstance(weights, Mapping)):
        hint = "give one weight an arm, 0 for an arm nobody should be in"
        raise InvalidValueError(f"{len(weights)} weights for {len(counts)} arms", "must be as many", hint)
    if isinstance(weights, Mapping):
        names = [str(name) for name in weights]
    else:
        names = [str(name) for name in (counts if isinstance(counts, Mapping) else range(len(weights)))]
    values = weights.values() if isinstance(weights, Mapping) else weights
    intended = {name: _weight(value, name) for name, value in zip(names, values, strict=True)}
    if len(intended) < _TWO or not math.fsum(intended.values()) > 0:
        hint = "pass for example 0.5 and 0.5"
        raise InvalidValueError(f"weights == {list(intended.values())}", "must be two or more, one above 0", hint)
    if not isinstance(counts, Mapping):
        counts = dict(zip(names, counts, strict=True))
    found = {str(name): _whole(value, f"users of arm {name!r}") for name, value in counts.items()}
    if unknown := sorted(found.keys() - intended.keys()):
        hint = f"the arms with weights are {', '.join(intended)}; give an arm nobody should be in a weight of 0"
        raise InvalidValueError(f"arms == {unknown}", "must each have a weight", hint)
    # An arm that was planned and that nobody is in has no row of its own: that is a count of 0.
    return {name: found.get(name, 0) for name in intended}, intended


def _whole(value: Any, name: str) -> int:  # noqa: ANN401 - whatever was counted
    number = value.item() if isinstance(value, np.generic) else value
    whole = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    if not whole or number < 0 or number != int(number):
        raise InvalidValueError(f"{name} == {number!r}", "must be a whole number from 0 on", "count each user once")
    return int(number)


def _weight(value: Any, name: str) -> float:  # noqa: ANN401 - whatever was asked for
    number = value.item() if isinstance(value, np.generic) else value
    finite = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    if not finite or number < 0:
        hint = "pass intended shares, for example 0.5 and 0.5"
        raise InvalidValueError(f"weight of {name!r} == {number!r}", "must be a finite number from 0 on", hint)
    return float(number)


def _exact(users: dict[str, int], share: dict[str, float], weighted: list[str], total: int) -> float | None:
    from scipy import stats

    if min(total * share[name] for name in weighted) >= _FEW:
        return None
    each = [stats.binomtest(users[name], total, share[name]).pvalue for name in weighted]
    # With two arms both tests are the same one.
    return float(min(1.0, min(each) * (len(each) if len(each) > _TWO else 1)))


def _detectable(shares: list[float], total: int) -> float | None:
    """Return the loss that is seen whichever arm it hits.

    An arm of share w that loses a share L of its users has the share w(1 − L) / (1 − wL), the non-centrality is
    n·w(1 − w)L² / (1 − wL)² and the share is off by w(1 − w)L / (1 − wL). Both limits must be passed.
    """
    needed = math.sqrt(_non_centrality(len(shares) - 1) / total)
    losses = []
    for w in shares:
        spread = math.sqrt(w * (1 - w))
        off = max(needed * spread, LEAST_SHARE_OFF + _NORMAL.inv_cdf(_POWER) * spread / math.sqrt(total))
        losses.append(off / (spread**2 + w * off))
    worst = float(max(losses))
    return worst if worst <= 1 else None


@cache
def _non_centrality(df: int) -> float:
    from scipy import optimize, stats

    critical = stats.chi2.isf(SRM_ALPHA, df)
    return float(optimize.brentq(lambda nc: stats.ncx2.sf(critical, df, nc) - _POWER, 1e-6, 500.0))
