"""Withholding entries of a table so that no reader can have the small ones back.

*Primary*: entries that count 1 to k − 1 units, or in whose numerator 1 to k − 1 units stand. *Complementary*: further
entries, until `audit.suppression.consistency.check` finds no weakness. Totals are entries like any other: they are
published as they are or withheld, never changed, so whatever is published adds up.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from audit.suppression.consistency import Interval, broken, feasible
from audit.suppression.release import Key, Release
from workspace.checks import check_scalar
from workspace.errors import UnknownError

_SPECK = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A table as it may leave.

    Args:
        shown: Counts that are published, by key.
        primary: Entries withheld because they are about too few.
        complementary: Entries withheld to protect those.
        intervals: The least and the most a reader can tell each withheld entry to be.
    """

    shown: Mapping[Key, int]
    primary: tuple[Key, ...]
    complementary: tuple[Key, ...]
    intervals: Mapping[Key, Interval]

    @property
    def hidden(self) -> frozenset[Key]:
        """All withheld entries."""
        return frozenset((*self.primary, *self.complementary))


def withhold(release: Release, *, k: int, positives: Release | None = None, already: Collection[Key] = ()) -> Withheld:
    """Return which entries of a table may be shown.

    For every entry that is given away, the entries are withheld over which k units could have been moved to it with
    all sums kept, at the least cost; an entry costs 1 + ln(1 + its count) for each unit moved.

    Source: Fischetti & Salazar (2001), as `audit.suppression.consistency.feasible`, §3; the heuristic by network flows
    of Kelly, Golden & Assad (1992), Cell suppression: disclosure protection for sensitive tabular data, Networks
    22:397. It is not the least loss possible; that it is enough is checked.

    Args:
        release: Units by entry.
        k: Least units a published entry, or its numerator, may be about.
        positives: Units of each entry in the numerator, with the same keys and lines; what is withheld is withheld in
            both tables, and both are proven.
        already: Entries that must not be shown for other reasons.

    Raises:
        InvalidValueError: When ``k`` is below 2.
        UnknownError: When an entry of ``already`` or ``positives`` is not in the release.

    Example:
        >>> table = Release.of({("KG",): 3, ("UZ",): 40, ("KZ",): 25}, ["region"])
        >>> found = withhold(table, k=10)
        >>> found.primary, found.complementary
        ((('KG',),), (('KZ',),))
    """
    check_scalar(k, "k", ge=2)
    tables = (release,) if positives is None else (release, positives)
    if positives is not None and set(positives.counts) != set(release.counts):
        raise UnknownError("positives of other entries", "must be counted for the same keys as the units")
    unknown = set(already) - set(release.counts)
    if unknown:
        raise UnknownError(f"entry == {min(unknown)}", "must be in the release")
    small = {key for key in release.counts if any(0 < table.counts[key] < k for table in tables)}
    hidden = small | set(already)
    intervals: dict[Key, Interval] = {}
    changed = True
    # Withholding more only widens what a reader must think possible: an entry once protected stays so. A second round
    # looks at the entries that the first one added.
    while changed:
        before = len(hidden)
        for table in tables:
            intervals = _protect(table, hidden, k)
        changed = len(hidden) > before
    order = list(release.counts)
    if positives is not None:
        intervals = feasible(release, hidden, least=least_of(release, hidden))
    return Withheld(
        shown={key: release.counts[key] for key in order if key not in hidden},
        primary=tuple(key for key in order if key in small),
        complementary=tuple(key for key in order if key in hidden and key not in small),
        intervals={key: intervals[key] for key in order if key in hidden},
    )


def least_of(table: Release, hidden: Collection[Key]) -> int:
    """Return what a reader knows every withheld entry to be at least: 1, unless one of 0 is withheld too."""
    return int(all(table.counts[key] > 0 for key in hidden))


def _protect(table: Release, hidden: set[Key], k: int) -> dict[Key, Interval]:
    """Withhold entries until none of a table is given away; adds to ``hidden``, returns the intervals."""
    done: dict[Key, Interval] = {}
    while len(done) < len(hidden):
        for key in [one for one in table.counts if one in hidden and one not in done]:
            sensitive = 0 < table.counts[key] < k
            found = feasible(table, hidden, least=least_of(table, hidden), only=(key,))[key]
            if broken(*found, k, sensitive=sensitive):
                needed = _moved(table, hidden, key, k if sensitive else 1)
                # Nothing can be moved to it: only a table of nothing is safe.
                hidden |= needed if needed - hidden else set(table.counts)
            done[key] = found
    return feasible(table, hidden, least=least_of(table, hidden))


def _moved(table: Release, hidden: set[Key], target: Key, units: int) -> set[Key]:
    """Return the entries that take part when some units are moved to one with all sums kept, at the least cost."""
    keys = list(table.counts)
    place = {key: at for at, key in enumerate(keys)}
    counts = np.array([table.counts[key] for key in keys], dtype=np.float64)
    sums = sparse.lil_matrix((len(table.lines), len(keys)))
    for at, line in enumerate(table.lines):
        for part in line.parts:
            sums[at, place[part]] = 1.0
        sums[at, place[line.total]] = -1.0
    matrix = sparse.hstack([sums, -sums]).tocsr()
    cost = [0.0 if key in hidden else 1.0 + math.log1p(table.counts[key]) for key in keys]
    # A reader knows a withheld entry not to be 0: that much can't be moved away. An entry of 0 is better shown.
    down: list[tuple[float, float | None]] = [(0.0, max(count - 1.0, 0.0)) for count in counts.tolist()]
    up: list[tuple[float, float | None]] = [
        (0.0, None) if count or keys[at] in hidden else (0.0, 0.0) for at, count in enumerate(counts.tolist())
    ]
    up[place[target]], down[place[target]] = (units, units), (0.0, 0.0)
    found = optimize.linprog(
        cost * 2, A_eq=matrix, b_eq=np.zeros(len(table.lines)), bounds=[*up, *down], method="highs"
    )
    if not found.success:
        return set()
    flow = np.abs(found.x[: len(keys)] - found.x[len(keys) :])
    return {key for key, amount in zip(keys, flow.tolist(), strict=True) if amount > _SPECK}
