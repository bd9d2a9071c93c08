"""The A/A proof on a user's own data: split the hash buckets at random, a thousand times, and count the false alarms.

Users fall into buckets by a hash, so a random half of the buckets against the other half is an experiment in which
nothing differs. Whatever the metric's skew, rarity or clumping, the share of halves that "differ" at 5 % is what the
test's 5 % is worth on this data.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.cells import Cells
from experiments.estimates import check_alpha
from experiments.metrics import MetricSpec
from workspace.checks import check_scalar
from workspace.columns import Trial
from workspace.errors import InvalidValueError, NotEstimableError

Floats = NDArray[np.float64]

REPEATS: Final = 1_000
LEAST_BUCKETS: Final = 40
"""Fewer buckets than this can't be halved in enough ways to tell 5 % from 10 %."""
_LEAST_USERS: Final = 2
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resplit:
    """False alarms of one metric.

    Args:
        metric: Its name.
        rate: Share of the splits with p < alpha; None when the metric is not estimable.
        rate_ci: Clopper–Pearson 95 % interval of the rate, for the splits of this data.
        tolerated: Rates that a right test shows 99 times in 100, on data as of so many buckets.
        p_values: p of every split, shape ``(repeats,)``; empty when not estimable.
        alpha: Level of the test.
        n_buckets: Buckets with users.
        n_users: Users.
        left_out: Users of regions that are too small to be split, by region; only when stratified.
        reason: Why it is not estimable.
    """

    metric: str
    rate: float | None
    rate_ci: tuple[float, float] | None
    tolerated: tuple[float, float]
    p_values: Floats
    alpha: float
    n_buckets: int
    n_users: int
    left_out: dict[str, int]
    reason: str | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the rate is one that a right test shows; None when not estimable."""
        return None if self.rate is None else self.tolerated[0] <= self.rate <= self.tolerated[1]

    def histogram(self, bins: int = 20) -> tuple[int, ...]:
        """Return how many p-values fall into each of equal bins of [0, 1]; they are level when the test is right."""
        return tuple(int(count) for count in np.histogram(self.p_values, bins=bins, range=(0, 1))[0])

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, the p-values as their histogram."""
        plain = {key: value for key, value in asdict(self).items() if key != "p_values"}
        return {**plain, "ok": self.ok, "repeats": len(self.p_values), "histogram": list(self.histogram())}


def false_alarms(
    cells: Cells,
    metrics: Sequence[MetricSpec],
    *,
    repeats: int = REPEATS,
    alpha: float = 0.05,
    stratified: bool = False,
    rng: int | np.random.Generator = 0,
) -> dict[str, Resplit]:
    """Compare random halves of the hash buckets, both variants pooled, by the test that judges experiments.

    Args:
        cells: Sums of users by hash bucket, and whatever else; by region when stratified.
        metrics: Metrics, all ratios of two sums of the cells.
        repeats: How many splits.
        alpha: Level of the two-sided test.
        stratified: Whether the region-stratified test is used, as in a verdict.
        rng: Seed, or where the splits come from.

    Returns:
        The result of each metric, by its name; one that is not estimable has its reason.

    Raises:
        InvalidValueError: When the cells are not split by bucket (or region), or a number is outside its limits.
        NotEstimableError: When there are fewer than 40 buckets with users.

    Source: the comparison is `experiments.statistics.ratio` or `stratified` (combined ratio), a row a split.
    """
    check_alpha(alpha)
    check_scalar(repeats, "repeats", ge=1)
    strata, n_buckets, left_out = _strata(cells, stratified=stratified)
    generator = np.random.default_rng(rng)
    signs = np.where(np.arange(n_buckets) < n_buckets // 2, 1.0, -1.0)
    halves = _Halves(cells, metrics, strata, generator.permuted(np.tile(signs, (repeats, 1)), axis=1))
    found = {}
    for spec in metrics:
        p, reason = halves.p_values(spec)
        rate = None if reason else float((p < alpha).mean())
        found[spec.name] = Resplit(
            metric=spec.name,
            rate=rate,
            rate_ci=None if rate is None else _interval(int((p < alpha).sum()), repeats),
            tolerated=_tolerated(alpha, repeats, n_buckets),
            p_values=p,
            alpha=alpha,
            n_buckets=n_buckets,
            n_users=int(sum(one.n.sum() for one in strata)),
            left_out=left_out,
            reason=reason,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Moments of the buckets of one region, and which bucket each row is about, ``(c,)``."""

    bucket: NDArray[np.intp]
    n: Floats
    means: Floats
    comoments: Floats


class _Halves:
    """Both halves of every split, from one matrix product.

    Sums are taken around the mean of all users: what is added up is then as large as the spread, not as the mean.
    """

    def __init__(self, cells: Cells, metrics: Sequence[MetricSpec], strata: Sequence[_Stratum], signs: Floats) -> None:
        self._at = {name: cells.place(name) for spec in metrics for name in (spec.top, spec.denominator)}
        self._pairs = {pair: at for at, pair in enumerate(cells.pairs)}
        self._d, self._p, self._strata = len(cells.columns), len(cells.pairs), len(strata)
        every = np.concatenate([one.n for one in strata])
        self._centre = every @ np.concatenate([one.means for one in strata]) / every.sum()
        self._weights = np.array([one.n.sum() for one in strata]) / every.sum()
        left, right = (np.array([pair[side] for pair in cells.pairs], dtype=np.intp) for side in (0, 1))
        blocks = np.zeros((signs.shape[1], len(strata), 1 + self._d + self._p))
        for at, one in enumerate(strata):
            off = one.means - self._centre
            blocks[one.bucket, at, 0] = one.n
            blocks[one.bucket, at, 1 : 1 + self._d] = one.n[:, None] * off
            blocks[one.bucket, at, 1 + self._d :] = one.comoments + one.n[:, None] * off[:, left] * off[:, right]
        total = blocks.sum(axis=0)
        difference = (signs @ blocks.reshape(len(blocks), -1)).reshape(-1, *total.shape)
        self._sums = ((total + difference) / 2, (total - difference) / 2)  # each (repeats, strata, 1 + d + p)

    def p_values(self, spec: MetricSpec) -> tuple[Floats, str | None]:
        """Return p of every split, or why there is none."""
        from scipy import special

        figures = [self._half(sums, spec) for sums in self._sums]
        if any(reason for *_, reason in figures):
            return np.empty(0), next(reason for *_, reason in figures if reason)
        variance = sum(parts.sum(axis=1) for _, parts, _, _ in figures)
        if not (variance > 0).all():
            return np.empty(0), "the users of some halves are all alike"
        df = variance**2 / sum((parts**2 / (n - 1)).sum(axis=1) for _, parts, n, _ in figures)
        statistic = (figures[0][0] - figures[1][0]) / np.sqrt(variance)
        return np.minimum(2 * special.stdtr(df, -np.abs(statistic)), 1.0), None

    def _half(self, sums: Floats, spec: MetricSpec) -> tuple[Floats, Floats, Floats, str | None]:
        """Return the combined ratio ``(repeats,)``, its variance by stratum and users ``(repeats, strata)``."""
        x, y = self._at[spec.top], self._at[spec.denominator]
        n = sums[..., 0]
        if not (n >= _LEAST_USERS).all():
            return np.empty(0), np.empty(0), n, "some halves have fewer than two users"
        dx, dy = sums[..., 1 + x] / n, sums[..., 1 + y] / n
        below = self._centre[y] + dy @ self._weights
        if not (below > 0).all():
            return np.empty(0), np.empty(0), n, f"the sum of {spec.denominator} is 0"
        ratio = (self._centre[x] + dx @ self._weights) / below
        r = ratio[:, None]
        xx, xy, yy = (
            sums[..., 1 + self._d + self._pair(i, j)] - n * a * b
            for i, j, a, b in ((x, x, dx, dx), (x, y, dx, dy), (y, y, dy, dy))
        )
        spread = np.maximum(xx - 2 * r * xy + r**2 * yy, 0.0) / (n * (n - 1))
        return ratio, self._weights**2 * spread / below[:, None] ** 2, n, None

    def _pair(self, i: int, j: int) -> int:
        return self._pairs[min(i, j), max(i, j)]


def _strata(cells: Cells, *, stratified: bool) -> tuple[list[_Stratum], int, dict[str, int]]:
    """Return the regions that can be halved (all in one unless stratified), how many buckets, and who is left out."""
    keys = [Trial.REGION, Trial.BUCKET] if stratified else [Trial.BUCKET]
    if missing := [key for key in keys if key not in cells.keys.columns]:
        raise InvalidValueError(f"cells without {missing[0]}", f"must be split by {' and '.join(keys)}")
    folded = cells.fold(keys)
    buckets, numbers = np.unique(folded.keys[Trial.BUCKET].to_numpy(), return_inverse=True)
    if len(buckets) < LEAST_BUCKETS:
        limit = f"needs {LEAST_BUCKETS} hash buckets with users, there are {len(buckets)}"
        raise NotEstimableError("the false-alarm rate", limit, "wait for users")
    if not stratified:
        whole = _Stratum(numbers.astype(np.intp), folded.n, folded.means, folded.comoments)
        return [whole], len(buckets), {}
    kept, left_out = [], {}
    for region in folded.keys[Trial.REGION].unique():
        rows = (folded.keys[Trial.REGION] == region).to_numpy()
        if rows.sum() < LEAST_BUCKETS:
            left_out[str(region)] = int(folded.n[rows].sum())
            continue
        kept.append(_Stratum(numbers[rows].astype(np.intp), folded.n[rows], folded.means[rows], folded.comoments[rows]))
    if not kept:
        limit = f"needs a region with {LEAST_BUCKETS} hash buckets with users"
        raise NotEstimableError("the false-alarm rate by region", limit, "wait for users")
    return kept, len(buckets), left_out


def _interval(hits: int, repeats: int) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(hits, repeats, alpha=0.05, method="beta")
    # The method leaves the bound it has no quantile for open; a share has its own.
    return (0.0 if hits == 0 else float(low), 1.0 if hits == repeats else float(high))


def _tolerated(alpha: float, repeats: int, n_buckets: int) -> tuple[float, float]:
    """Return the rates of a right test, in 99 of 100 data sets.

    Two things make the rate wander. There are so many splits: α(1 − α)/repeats. And all of them are of the same B
    buckets, whose variance differs from that of the users by a factor of 1 ± √(2/(B − 1)): that scales every statistic
    by its root, and the rate 2Φ(−z/s) moves by φ(z)z per unit of the factor.
    """
    z = _NORMAL.inv_cdf(1 - alpha / 2)
    wander = _NORMAL.pdf(z) * z * math.sqrt(2 / (n_buckets - 1))
    reach = _NORMAL.inv_cdf(0.995) * math.sqrt(alpha * (1 - alpha) / repeats + wander**2)
    return (max(alpha - reach, 0.0), min(alpha + reach, 1.0))
