"""What a reader can work out of a table with withheld entries, by linear programming.

The reader knows every published entry, every sum, that counts are not negative, and, when counts of 0 are published,
that no withheld entry is 0. What is left for a withheld entry is the interval between the least and the most it can be
under all of that together.

The rule. Of every withheld entry the interval must have some width. Of a *sensitive* one, which counts fewer than k
units, it must reach k or more, so that nobody can tell that the entry is small, and be at least k wide.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from audit.suppression.release import Key, Release
from workspace.checks import check_scalar
from workspace.errors import IntegrityError, UnknownError

Interval = tuple[int, int]

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """A withheld entry that the published ones give away, wholly or too closely.

    Args:
        key: The entry.
        interval: The least and the most it can be.
        reason: Which part of the rule fails, without the count.
    """

    key: Key
    interval: Interval
    reason: str


def feasible(
    release: Release, hidden: Collection[Key], *, least: int = 0, only: Collection[Key] | None = None
) -> dict[Key, Interval]:
    """Return the least and the most every withheld entry can be, given all that is published.

    The bounds are those of the linear relaxation, rounded inwards to whole numbers: exact for tables of one or two
    axes with their totals (the constraints are totally unimodular), and never too narrow for others.

    Source: Fischetti & Salazar (2001), Solving the cell suppression problem on tabular data with linear constraints,
    Management Science 47:1008, §2 (the attacker's problem).

    Args:
        release: All counts, of which only those not hidden are used.
        hidden: Withheld entries.
        least: What the reader knows every withheld entry to be at least.
        only: Withheld entries to answer for; None: all.

    Raises:
        UnknownError: When an entry is not in the release.
        IntegrityError: When no table agrees with what is published.
    """
    keys = _ordered(release, hidden)
    if not keys:
        return {}
    matrix, known, top = _equations(release, keys)
    out = {}
    for at, key in enumerate(keys):
        if only is not None and key not in only:
            continue
        bounds = []
        for sign in (1.0, -1.0):
            aim = np.zeros(len(keys))
            aim[at] = sign
            found = optimize.linprog(aim, A_eq=matrix, b_eq=known, bounds=(least, top), method="highs")
            if not found.success:
                raise IntegrityError(
                    "no table agrees with what is published", hint="withhold entries, never change them"
                )
            bounds.append(sign * found.fun)
        out[key] = (int(np.ceil(bounds[0] - _ROUNDING)), int(np.floor(bounds[1] + _ROUNDING)))
    return out


def check(
    release: Release,
    hidden: Collection[Key],
    *,
    k: int,
    sensitive: Collection[Key] | None = None,
    zeros_shown: bool = True,
) -> list[Weakness]:
    """Return every withheld entry that breaks the rule, and every small one that is not withheld.

    Args:
        release: All counts.
        hidden: Withheld entries.
        k: Least units a published entry may be about.
        sensitive: Withheld entries that must not be told to be small; None: those that count 1 to k − 1.
        zeros_shown: Whether entries of 0 are published, so that a withheld one can't be 0.

    Returns:
        Weaknesses in the order of the release; empty when the table may leave.

    Raises:
        UnknownError: When an entry is not in the release.
    """
    check_scalar(k, "k", ge=2)
    needy = {key for key, count in release.counts.items() if 0 < count < k}
    needy = needy if sensitive is None else needy | set(sensitive)
    out = [
        Weakness(key=key, interval=(release.counts[key],) * 2, reason="small, and not withheld")
        for key in release.counts
        if key in needy and key not in hidden
    ]
    for key, (low, high) in feasible(release, hidden, least=int(zeros_shown)).items():
        reason = broken(low, high, k, sensitive=key in needy)
        if reason:
            out.append(Weakness(key=key, interval=(low, high), reason=reason))
    return out


def broken(low: int, high: int, k: int, *, sensitive: bool) -> str:
    """Return which part of the rule an interval breaks; empty when none."""
    if low == high:
        return "known exactly"
    if sensitive and high < k:
        return f"known to be below {k}"
    if sensitive and high - low < k:
        return f"known to within less than {k}"
    return ""


def _ordered(release: Release, hidden: Collection[Key]) -> list[Key]:
    wanted = set(hidden)
    unknown = wanted - set(release.counts)
    if unknown:
        raise UnknownError(f"entry == {min(unknown)}", "must be in the release")
    return [key for key in release.counts if key in wanted]


def _equations(release: Release, keys: list[Key]) -> tuple[sparse.csr_matrix, NDArray[np.float64], float]:
    place = {key: at for at, key in enumerate(keys)}
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    known: list[float] = []
    for line in release.lines:
        terms = [(key, 1.0) for key in line.parts] + [(line.total, -1.0)]
        if not any(key in place for key, _ in terms):
            continue
        shown = 0.0
        for key, sign in terms:
            if key in place:
                rows.append(len(known))
                columns.append(place[key])
                values.append(sign)
            else:
                shown += sign * release.counts[key]
        known.append(-shown)
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(known), len(keys)))
    # An entry in no sum has no upper limit; any number above all counts stands for it.
    return matrix, np.array(known), 2.0 * sum(release.counts.values()) + 2.0
