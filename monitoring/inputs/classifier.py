"""Drift of many columns at once: can a classifier tell from a row which of two samples it comes from?"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitoring.inputs.distances import Floats, Rng, samples_of
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

MOST_ROWS: Final = 20_000
_ROUNDS: Final = 60
_LEAVES: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well the samples can be told apart.

    Args:
        auc: Chance that a row of the current sample looks more like it than one of the reference; 0.5 is not at all.
        low: Low end of its 95 % interval.
        high: High end.
        p_value: One-sided: of an AUC this high, or higher, if nothing changed.
        n_test: Rows that were judged; as many were learnt from.
        importances: How much AUC is lost when a column is shuffled, the largest first.
    """

    auc: float
    low: float
    high: float
    p_value: float
    n_test: int
    importances: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "auc": self.auc,
            "ci95": [self.low, self.high],
            "p_value": self.p_value,
            "n_test": self.n_test,
            "importances": dict(self.importances),
        }


def domain_classifier(
    reference: ArrayLike, current: ArrayLike, *, names: tuple[str, ...] = (), rng: Rng = None
) -> Separation:
    """Test whether two samples can be told apart, with gradient-boosted trees.

    One half of both samples is learnt from, the other half judged. Given what was learnt, the judged rows are
    exchangeable if nothing changed, so that Mann–Whitney's test of the scores keeps its level; the AUC of
    cross-validation, whose folds share rows, would not.

    Source: Lopez-Paz & Oquab (2017), Revisiting classifier two-sample tests, ICLR, §3; the interval of the AUC is
    Hanley & McNeil's (1982), Radiology 143:29.

    Args:
        reference: One sample, shape (n, d).
        current: The other.
        names: What the columns are called; by number when empty.
        rng: Seed or generator.

    Raises:
        InvalidValueError: When the names are not as many as the columns.
        NotEstimableError: With fewer than 20 rows without NaN on a side.

    Example:
        >>> rng = np.random.default_rng(2)
        >>> domain_classifier(rng.normal(size=(200, 2)), rng.normal(3, 1, size=(200, 2)), rng=2).auc > 0.95
        True
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    generator = np.random.default_rng(rng)
    first, second, _ = samples_of(reference, current)
    names = names or tuple(str(column) for column in range(first.shape[1]))
    if len(names) != first.shape[1]:
        raise InvalidValueError(f"{len(names)} names", f"must be {first.shape[1]}, one a column")
    learnt, judged = zip(*(_halves(rows, generator) for rows in (first, second)), strict=True)
    model = HistGradientBoostingClassifier(
        max_iter=_ROUNDS, max_leaf_nodes=_LEAVES, early_stopping=False, random_state=int(generator.integers(2**31))
    )
    model.fit(np.concatenate(learnt), np.repeat([0, 1], [len(rows) for rows in learnt]))
    rows, truth = np.concatenate(judged), np.repeat([False, True], [len(part) for part in judged])
    scores = model.decision_function(rows)
    auc, p_value = _judged(scores, truth)
    lost = {}
    for column, name in enumerate(names):
        shuffled = rows.copy()
        shuffled[:, column] = generator.permutation(shuffled[:, column])
        lost[name] = auc - _judged(model.decision_function(shuffled), truth)[0]
    margin = 1.959964 * _auc_error(auc, int((~truth).sum()), int(truth.sum()))
    return Separation(
        auc=auc,
        low=max(0.0, auc - margin),
        high=min(1.0, auc + margin),
        p_value=p_value,
        n_test=len(rows),
        importances=dict(sorted(lost.items(), key=lambda item: -item[1])),
    )


def _halves(rows: Floats, generator: np.random.Generator) -> tuple[Floats, Floats]:
    order = generator.permutation(len(rows))[:MOST_ROWS]
    half = check_scalar(len(order), "rows", ge=2) // 2
    return rows[order[:half]], rows[order[half:]]


def _judged(scores: Floats, truth: NDArray[np.bool_]) -> tuple[float, float]:
    from scipy.stats import mannwhitneyu

    # Ties are corrected for: trees give few different scores. One score for all rows says nothing at all.
    if np.ptp(scores) == 0:
        return 0.5, 1.0
    found = mannwhitneyu(scores[truth], scores[~truth], alternative="greater", method="asymptotic")
    return float(found.statistic) / (int(truth.sum()) * int((~truth).sum())), float(found.pvalue)


def _auc_error(auc: float, negatives: int, positives: int) -> float:
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return float(np.sqrt(max(spread, 0.0) / (positives * negatives)))
