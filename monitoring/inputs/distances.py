"""How far two samples lie apart: PSI and Wasserstein of one column, energy and MMD of many at once.

Energy and MMD come with the p-value of a permutation test, which is exact whatever the distribution: under "nothing
changed" the labels are exchangeable, and the observed labelling is counted among the permutations.

A sample is never padded or repaired: rows with NaN are left out and counted; too few of them are refused.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError

Floats = NDArray[np.float64]
Rng = int | np.random.Generator | None

LEAST_ROWS: Final = 20
"""Fewer rows in a sample say nothing about a distribution."""
BINS: Final = 10
PERMUTATIONS: Final = 199
MOST_ROWS: Final = 2_000
"""Rows of both samples together that a matrix of all distances is made of: 32 MB."""
_CHUNK: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far two samples lie apart.

    Args:
        method: ``energy`` or ``mmd``.
        value: The distance, at least 0 up to what an unbiased estimate may fall below it.
        p_value: Share of the permutations with at least this distance, the observed one among them.
        permutations: How many were drawn.
        n_reference: Rows used.
        n_current: Rows used.
        left_out: Rows that were not used: with NaN, or beyond the limit and not drawn.
    """

    method: Literal["energy", "mmd"]
    value: float
    p_value: float
    permutations: int
    n_reference: int
    n_current: int
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "method": self.method,
            "value": self.value,
            "p_value": self.p_value,
            "permutations": self.permutations,
            "n_reference": self.n_reference,
            "n_current": self.n_current,
            "left_out": self.left_out,
        }


def psi(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the population stability index of counts in the same bins.

    PSI = Σ (qᵢ − pᵢ) ln(qᵢ/pᵢ) over the shares p and q. Half a row is added to every bin of both, so that an empty bin
    gives a finite figure; without any change PSI is about (bins − 1)(1/n + 1/m).

    Source: Siddiqi (2006), Credit Risk Scorecards, §7, whose rule of thumb calls 0.1 a small and 0.25 a large shift;
    the sum is the symmetrised divergence of Kullback & Leibler (1951), On information and sufficiency, eq. 2.6.

    Args:
        reference: Rows in each bin, shape (n_bins,).
        current: The same of the other sample.

    Raises:
        InvalidValueError: When the shapes differ or a count is negative.
        NotEstimableError: When one of the samples has no row.

    Example:
        >>> round(psi([500, 500], [250, 750]), 3)
        0.274
    """
    p, q = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if p.shape != q.shape or p.ndim != 1 or not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise InvalidValueError(f"counts of shapes {p.shape} and {q.shape}", "must be finite and of the same bins")
    if (p < 0).any() or (q < 0).any():
        raise InvalidValueError(f"a count == {min(p.min(), q.min()):g}", "must be >= 0")
    if p.sum() == 0 or q.sum() == 0:
        raise NotEstimableError("psi of a sample without rows", "both need at least one")
    p, q = (p + 0.5) / (p.sum() + 0.5 * p.size), (q + 0.5) / (q.sum() + 0.5 * q.size)
    return float(np.sum((q - p) * np.log(q / p)))


def wasserstein(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the Wasserstein-1 distance in standard deviations of the reference: how far rows had to be moved.

    Source: Ramdas, García & Cuturi (2017), On Wasserstein two-sample testing, Entropy 19:47, §2, as scipy has it.

    Args:
        reference: One sample, shape (n,).
        current: The other.

    Raises:
        NotEstimableError: With fewer than 20 rows, or a constant reference: there is no unit to measure in.

    Example:
        >>> values = np.arange(100.0)
        >>> round(wasserstein(values, values + values.std()), 3)
        1.0
    """
    from scipy.stats import wasserstein_distance

    first, second, _ = samples_of(np.reshape(reference, (-1, 1)), np.reshape(current, (-1, 1)))
    spread = float(first.std())
    if spread <= 1e-12 * max(1.0, float(np.abs(first).max())):
        raise NotEstimableError("wasserstein of a constant reference", "it has no standard deviation")
    return float(wasserstein_distance(first[:, 0], second[:, 0])) / spread


def energy(reference: ArrayLike, current: ArrayLike, *, permutations: int = PERMUTATIONS, rng: Rng = None) -> Distance:
    """Test whether two samples of vectors come from one distribution, by their energy distance.

    E = 2·mean‖x − y‖ − mean‖x − x′‖ − mean‖y − y′‖, which is 0 only for equal distributions.

    Source: Székely & Rizzo (2013), Energy statistics, J. Statistical Planning and Inference 143:1249, eq. 2.1 and §6.

    Args:
        reference: One sample, shape (n,) or (n, d); columns count as they are scaled.
        current: The other.
        permutations: How many to draw; the smallest p is 1 over one more.
        rng: Seed or generator.

    Raises:
        NotEstimableError: With fewer than 20 rows without NaN on a side.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> energy(rng.normal(size=(50, 2)), rng.normal(2, 1, size=(50, 2)), rng=1).p_value
        0.005
    """
    return _permuted("energy", reference, current, permutations, rng)


def mmd(reference: ArrayLike, current: ArrayLike, *, permutations: int = PERMUTATIONS, rng: Rng = None) -> Distance:
    """Test whether two samples of vectors come from one distribution, by maximum mean discrepancy.

    The kernel is Gaussian with the median of all distances as its width.

    Source: Gretton, Borgwardt, Rasch, Schölkopf & Smola (2012), A kernel two-sample test, JMLR 13:723, eq. 3 (the
    unbiased estimate) and §8 (median width).

    Args:
        reference: As `energy`.
        current: As `energy`.
        permutations: As `energy`.
        rng: Seed or generator.

    Raises:
        NotEstimableError: As `energy`.
    """
    return _permuted("mmd", reference, current, permutations, rng)


def _permuted(
    method: Literal["energy", "mmd"], reference: ArrayLike, current: ArrayLike, permutations: int, rng: Rng
) -> Distance:
    permutations = check_scalar(permutations, "permutations", ge=19, le=100_000)
    generator = np.random.default_rng(rng)
    first, second, gone = samples_of(reference, current)
    first, second, undrawn = _bounded(first, second, generator)
    distances = _distances(np.concatenate([first, second]))
    n, m = len(first), len(second)
    labels = np.zeros((permutations + 1, n + m), dtype=np.float64)
    labels[0, :n] = 1.0
    for row in labels[1:]:
        row[generator.permutation(n + m)[:n]] = 1.0
    matrix = distances if method == "energy" else _kernel(distances)
    values = np.concatenate(
        [_statistic(method, matrix, labels[at : at + _CHUNK], n, m) for at in range(0, len(labels), _CHUNK)]
    )
    # Rounding must not make a permutation that is the observed labelling appear smaller.
    reached = int(np.sum(values >= values[0] - 1e-12 * max(1.0, abs(values[0]))))
    return Distance(
        method=method,
        value=float(values[0]),
        p_value=reached / len(values),
        permutations=permutations,
        n_reference=n,
        n_current=m,
        left_out=gone + undrawn,
    )


def _statistic(method: str, matrix: Floats, labels: Floats, n: int, m: int) -> Floats:
    """Return the statistic of each labelling, from sums of the matrix within and between the two sides."""
    sums = labels @ matrix
    within = np.einsum("ij,ij->i", sums, labels)
    crossed = sums.sum(axis=1) - within
    rest = float(matrix.sum()) - within - 2 * crossed
    if method == "energy":
        found: Floats = 2 * crossed / (n * m) - within / n**2 - rest / m**2
        return found
    # The diagonal of the kernel is 0 here, so that only pairs of different rows count.
    unbiased: Floats = within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * crossed / (n * m)
    return unbiased


def _kernel(distances: Floats) -> Floats:
    width = float(np.median(distances[np.triu_indices_from(distances, 1)]))
    kernel: Floats = np.exp(-(distances**2) / (2 * width**2)) if width > 0 else np.ones_like(distances)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _distances(rows: Floats) -> Floats:
    from scipy.spatial.distance import pdist, squareform

    found: Floats = squareform(pdist(rows))
    return found


def _bounded(first: Floats, second: Floats, generator: np.random.Generator) -> tuple[Floats, Floats, int]:
    """Draw as many rows as a matrix of all distances may have, and say how many were not drawn."""
    total = len(first) + len(second)
    if total <= MOST_ROWS:
        return first, second, 0
    half = MOST_ROWS // 2
    # Of a short sample everything; of the long one what room is left.
    n = min(len(first), max(half, MOST_ROWS - len(second)))
    m = min(len(second), MOST_ROWS - n)
    kept = (generator.choice(len(first), n, replace=False), generator.choice(len(second), m, replace=False))
    return first[kept[0]], second[kept[1]], total - n - m


def samples_of(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats, int]:
    """Return both samples as matrices without the rows that have NaN, and how many rows those are."""
    sides = []
    for name, values in (("reference", reference), ("current", current)):
        rows = np.asarray(values, dtype=np.float64)
        rows = rows[:, None] if rows.ndim == 1 else rows
        if rows.ndim != 2:  # noqa: PLR2004 - a matrix
            raise InvalidValueError(f"{name} has {rows.ndim} dimensions", "must be rows of numbers")
        if np.isinf(rows).any():
            raise InvalidValueError(f"{name} holds an infinite number", "must be finite, or NaN where nothing is known")
        sides.append(rows)
    if sides[0].shape[1] != sides[1].shape[1]:
        raise InvalidValueError(f"{sides[0].shape[1]} and {sides[1].shape[1]} columns", "must be the same columns")
    known = [rows[~np.isnan(rows).any(axis=1)] for rows in sides]
    for name, rows in zip(("reference", "current"), known, strict=True):
        if len(rows) < LEAST_ROWS:
            raise NotEstimableError(
                f"{name} has {len(rows)} rows without NaN", f"must have {LEAST_ROWS}, {LEAST_ROWS - len(rows)} more"
            )
    return known[0], known[1], sum(len(rows) for rows in sides) - len(known[0]) - len(known[1])
