"""Rates of groups and how far apart they are: intervals of a share and of a difference, and impact ratios."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scipy import special

from experiments.estimates import check_alpha
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError, UnknownError

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactRatio:
    """How often a group is selected, against the group it is held against.

    Args:
        group: The group.
        n: Its members.
        selected: Those selected.
        rate: Selected over members; None for an empty group.
        interval: Wilson's interval of the rate.
        ratio: Rate over the reference's rate; None when not estimable.
        reference: The group it is held against.
        reason: Why there is no ratio.
    """

    group: str
    n: int
    selected: int
    rate: float | None
    interval: Interval | None
    ratio: float | None
    reference: str
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def wilson(successes: int, n: int, *, alpha: float = 0.05) -> Interval:
    """Return Wilson's score interval of a share.

    (2np + z² ± z √(z² + 4npq)) / (2(n + z²)), z the 1 − alpha/2 quantile of the normal distribution.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference, J. American
    Statistical Association 22:209; without continuity correction, method 3 of Newcombe (1998), Two-sided confidence
    intervals for the single proportion, Statistics in Medicine 17:857.

    Args:
        successes: Units that have it, 0 to ``n``.
        n: Units, 1 or more.
        alpha: Error the interval allows.

    Raises:
        InvalidValueError: When a count is negative or no whole number, or there are more successes than units.
        NotEstimableError: Without units.

    Example:
        >>> [round(bound, 4) for bound in wilson(81, 263)]
        [0.2553, 0.3662]
    """
    check_counts(successes, n)
    return score_interval(successes / n, n, normal_quantile(alpha))


def newcombe(k1: int, n1: int, k0: int, n0: int, *, alpha: float = 0.05) -> Interval:
    """Return the interval of the difference of two independent shares, k1/n1 − k0/n0.

    With Wilson's intervals (l, u) of both: d − √((p1 − l1)² + (u0 − p0)²) to d + √((u1 − p1)² + (p0 − l0)²).

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions: comparison of
    eleven methods, Statistics in Medicine 17:873, method 10.

    Args:
        k1: Successes of the group.
        n1: Its units.
        k0: Successes of the reference.
        n0: Its units.
        alpha: Error the interval allows.

    Raises:
        InvalidValueError: As `wilson`.
        NotEstimableError: As `wilson`.

    Example:
        >>> [round(bound, 4) for bound in newcombe(56, 70, 48, 80)]
        [0.0524, 0.3339]
    """
    check_counts(k1, n1)
    check_counts(k0, n0)
    z = normal_quantile(alpha)
    p1, p0 = float(k1 / n1), float(k0 / n0)
    (l1, u1), (l0, u0) = score_interval(p1, n1, z), score_interval(p0, n0, z)
    return p1 - p0 - math.hypot(p1 - l1, u0 - p0), p1 - p0 + math.hypot(u1 - p1, p0 - l0)


def impact_ratio(
    selected: Mapping[str, int], applicants: Mapping[str, int], *, reference: str | None = None, alpha: float = 0.05
) -> dict[str, ImpactRatio]:
    """Return every group's rate of selection over that of the most selected group, or of a named one.

    Source: New York City, Rules of the Department of Consumer and Worker Protection, 6 RCNY § 5-300 (impact ratio) and
    § 5-301 (b), for Local Law 144 of 2021.

    Args:
        selected: Selected members by group.
        applicants: All members by group; the same groups.
        reference: The group to hold the others against; None is the most selected, of several the first.
        alpha: Error the intervals of the rates allow.

    Returns:
        Ratios by group, in the order of ``applicants``. Where nobody of the reference was selected there is no ratio.

    Raises:
        UnknownError: When a group is in one of the mappings only, or the reference in neither.
        InvalidValueError: When a count is negative, no whole number, or more are selected than there are.
        NotEstimableError: Without groups, with nobody in them, or with nobody in the named reference.

    Example:
        >>> found = impact_ratio({"Male": 667, "Female": 555}, {"Male": 1390, "Female": 1181})
        >>> round(found["Female"].ratio, 3)
        0.979
    """
    check_alpha(alpha)
    _check_groups(selected, applicants, reference)
    rates = {group: selected[group] / n for group, n in applicants.items() if n}
    if not rates:
        raise NotEstimableError("impact ratios of groups without members", "need one group with members")
    if reference is not None and reference not in rates:
        raise NotEstimableError(f"reference == {reference!r}", "must have members", "name another group")
    held = reference if reference is not None else max(rates, key=lambda group: rates[group])
    out = {}
    for group, n in applicants.items():
        rate = rates.get(group)
        reason = ""
        if rate is None:
            reason = "not estimable: the group has no members"
        elif rates[held] == 0:
            reason = "not estimable: nobody of the reference was selected"
        out[group] = ImpactRatio(
            group=group,
            n=n,
            selected=selected[group],
            rate=rate,
            interval=wilson(selected[group], n, alpha=alpha) if n else None,
            ratio=None if rate is None or reason else rate / rates[held],
            reference=held,
            reason=reason,
        )
    return out


def score_interval(p: float, n: float, critical: float) -> Interval:
    """Return Wilson's interval of a share from its effective number of units.

    Args:
        p: The share, 0 to 1.
        n: Units, above 0; need not be whole: clustered users count for fewer than they are.
        critical: Quantile of the normal or t distribution.
    """
    squared = critical * critical
    if math.isinf(squared):
        return 0.0, 1.0
    half = critical * math.sqrt(squared + 4 * n * p * (1 - p))
    # At 0 and 1 the bound is the share itself; rounding would leave a speck beside it.
    low = 0.0 if p == 0 else (2 * n * p + squared - half) / (2 * (n + squared))
    high = 1.0 if p == 1 else (2 * n * p + squared + half) / (2 * (n + squared))
    return float(max(low, 0.0)), float(min(high, 1.0))


def normal_quantile(alpha: float) -> float:
    """Return the two-sided critical value of the normal distribution."""
    return float(-special.ndtri(check_alpha(alpha) / 2))


def check_counts(successes: int, n: int) -> None:
    """Refuse counts that are no share.

    Raises:
        InvalidValueError: When a count is negative or no whole number, or there are more successes than units.
        NotEstimableError: Without units.
    """
    for name, value in (("successes", successes), ("n", n)):
        check_scalar(float(value), name, ge=0)
        if float(value) != int(value):
            raise InvalidValueError(f"{name} == {value}", "must be a whole number", "counts are of units")
    if successes > n:
        raise InvalidValueError(f"successes == {successes}", f"must be <= {n}, the units", "count units, not rows")
    if n == 0:
        raise NotEstimableError("a share of 0 units", "needs 1 or more", "leave the group out and say so")


def _check_groups(selected: Mapping[str, int], applicants: Mapping[str, int], reference: str | None) -> None:
    apart = set(selected) ^ set(applicants)
    if apart:
        raise UnknownError(f"group == {min(apart)!r}", "must be counted in both, selected and applicants")
    if reference is not None and reference not in applicants:
        raise UnknownError(f"reference == {reference!r}", f"must be one of {', '.join(applicants) or 'the groups'}")
    for group, n in applicants.items():
        if n or selected[group]:  # a group without members is no error: it has no rate, and says so
            check_counts(selected[group], n)
