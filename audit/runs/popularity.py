"""What the whole panel was shown: how popular, how concentrated, and how much of the catalogue."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from audit.exposure import aplt_per_user, arp_per_user, coverage, discounted_exposure, gini, tail_coverage
from audit.results import PopularityRow
from workspace.errors import NotEstimableError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HEAD_SHARE: Final = 0.2
"""The head: the fifth of the films with the most acts. All others are the tail."""
_LEAST_CLUSTERS: Final = 2


def tail_of(acts: Floats, alive: Mask) -> Mask:
    """Return the films of the tail: all living films but the fifth with the most acts.

    Source: Abdollahpouri, Burke & Mobasher (2019), §3: the short head and the long tail, here cut by films.

    Args:
        acts: Acts on each film, shape ``(n_films,)``.
        alive: Whether it is in the catalogue.
    """
    order = np.lexsort((np.arange(len(acts)), -acts))
    living = order[alive[order]]
    out = alive.copy()
    out[living[: round(HEAD_SHARE * len(living))]] = False
    return out


def popularity_rows(
    rows: Codes, acts: Floats, alive: Mask, clusters: Codes, *, k: int, alpha: float
) -> tuple[PopularityRow, ...]:
    """Return the measures of popularity.

    Args:
        rows: Films shown, −1 for an empty place, shape ``(n, k)``.
        acts: Acts on each film in the catalogue's histories, shape ``(n_films,)``.
        alive: Whether a film is in the catalogue.
        clusters: What was drawn independently, shape ``(n,)``.
        k: Places that count.
        alpha: Error of the intervals.
    """
    tail = tail_of(acts, alive)
    exposure = discounted_exposure(rows, k=k, n_films=len(acts))[alive]
    # A film that left the catalogue can't be shown: it would make the catalogue look less covered than it is.
    place = np.cumsum(alive) - 1
    living = np.where(rows >= 0, place[rows], -1)
    size = int(alive.sum())
    arp, aplt = arp_per_user(rows, acts), aplt_per_user(rows, tail)
    return (
        _by_user("arp", arp, clusters, alpha, "mean number of acts on the films shown, by user, then over users"),
        _by_user(
            "aplt", aplt, clusters, alpha,
            f"share of the films shown outside the {HEAD_SHARE:.0%} of films with the most acts, by user, then over "
            "users",
        ),
        _fact(
            "gini", lambda: gini(exposure),
            f"of discounted exposure over all {size:,} films, shown or not; Σ(2i − n − 1)x / (nΣx), without the factor "
            "n/(n − 1): 0 when all get the same, (n − 1)/n when one gets all",
        ),
        _fact("coverage", lambda: coverage(living, size), f"share of {size:,} films shown to anybody of the panel"),
        _fact(
            "tail_coverage", lambda: tail_coverage(living, tail[alive]),
            f"share of the {int(tail.sum()):,} films of the tail shown to anybody of the panel",
        ),
    )  # fmt: skip


def mean_interval(values: Floats, clusters: Codes, alpha: float) -> tuple[float, tuple[float, float] | None]:
    """Return a mean over units with its interval by cluster; no interval from a single cluster.

    se² = C/(C − 1) Σ_c (Σ_{i∈c} (x_i − x̄))² / n², t with C − 1 degrees of freedom.

    Source: Liang & Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika 73:13; the
    mean as the simplest such model.

    Args:
        values: By unit, NaN where there is none.
        clusters: Shape like ``values``.
        alpha: Error of the interval.

    Raises:
        NotEstimableError: Without values.
    """
    known = np.isfinite(values)
    if not known.any():
        raise NotEstimableError("a mean of 0 values", "needs 1 or more")
    x, home = values[known], np.unique(clusters[known], return_inverse=True)[1]
    mean = float(x.mean())
    count = int(home.max()) + 1
    if count < _LEAST_CLUSTERS:
        return mean, None
    sums = np.bincount(home, x - mean)
    error = float(np.sqrt(count / (count - 1) * np.sum(sums**2))) / len(x)
    half = float(stats.t.ppf(1 - alpha / 2, count - 1)) * error
    return mean, (mean - half, mean + half)


def _by_user(name: str, values: Floats, clusters: Codes, alpha: float, convention: str) -> PopularityRow:
    try:
        value, interval = mean_interval(values, clusters, alpha)
    except NotEstimableError:
        return PopularityRow(
            measure=name, value=None, interval=None, convention=f"not estimable: no list; {convention}"
        )
    return PopularityRow(measure=name, value=value, interval=interval, convention=convention)


def _fact(name: str, compute: Callable[[], float], convention: str) -> PopularityRow:
    try:
        return PopularityRow(measure=name, value=compute(), interval=None, convention=convention)
    except NotEstimableError:
        return PopularityRow(
            measure=name, value=None, interval=None, convention=f"not estimable: no list; {convention}"
        )
