"""Judging one scorer by one protocol: every figure per user, over all splits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recommender.evaluation import metrics
from recommender.evaluation.ground import FittedScorer, Ground, Scorer, Weighted
from recommender.evaluation.metrics import Mean, mean_over_users
from recommender.evaluation.protocols import Split
from workspace.checks import check_scalar
from workspace.columns import Film

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

PRECISION: Final = "precision_at_k"
RECALL: Final = "recall_at_k"
HIT_RATE: Final = "hit_rate"
NDCG: Final = "ndcg_at_k"
NOVELTY: Final = "novelty_bits"
CALIBRATION: Final = "calibration_kl"
PER_USER: Final = (PRECISION, RECALL, HIT_RATE, NDCG, NOVELTY, CALIBRATION)
_USERS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Figures of one scorer.

    Args:
        name: The scorer.
        k: Length of the lists.
        users: Users judged, increasing, shape ``(m,)``.
        per_user: ``{figure: shape (m,)}``; over several splits the mean of those in which the user was judged.
        coverage: Share of the catalogue in somebody's list; the mean over splits.
        weights: The block weights of each split, where the scorer has some.
        evidence: What they rest on.
    """

    name: str
    k: int
    users: Rows
    per_user: Mapping[str, Floats]
    coverage: float
    weights: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    evidence: Sequence[Mapping[str, object]] = field(default_factory=tuple)

    def mean(self, figure: str = PRECISION) -> Mean:
        """Return the mean of a figure over users, with its interval."""
        return mean_over_users(self.per_user[figure])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; None for what is not estimable."""
        precision = self.mean()
        means = {figure: _plain(self.mean(figure).value) for figure in PER_USER}
        return {**means, "ci95": [_plain(precision.low), _plain(precision.high)],
                "standard_error": _plain(precision.standard_error), "users": precision.users,
                "coverage": self.coverage}  # fmt: skip


def judge(
    scorer: Scorer, ground: Ground, splits: Sequence[Split], *, k: int = 5, progress: Progress | None = None
) -> Judged:
    """Fit a scorer on every split and judge its lists.

    Args:
        scorer: What is judged.
        ground: The catalogue.
        splits: From `protocols.split`.
        k: Length of a list, at most the number of films.
        progress: Told the stage, what is done and what there is.

    Raises:
        InvalidValueError: For a k outside 1 … number of films.
    """
    check_scalar(k, "k", ge=1, le=ground.n_films)
    shares = metrics.genre_shares(ground.catalogue.films[Film.GENRES].tolist())
    sums = {figure: np.zeros(ground.n_users) for figure in PER_USER}
    counts = {figure: np.zeros(ground.n_users) for figure in PER_USER}
    covered, weights, evidence = [], [], []
    judged = [one for one in splits if len(one.users)]
    for done, one in enumerate(judged):
        if progress:
            progress(f"judge {scorer.name}", done, len(judged))
        fitted = scorer.fit(ground, one.train)
        lists, figures = _figures(fitted, ground, one, k, shares)
        for figure, values in figures.items():
            known = ~np.isnan(values)
            sums[figure][one.users[known]] += values[known]
            counts[figure][one.users[known]] += 1
        covered.append(metrics.coverage(lists, ground.n_films))
        if isinstance(fitted, Weighted):
            weights.append(fitted.weights)
            evidence.append(fitted.evidence)
    if progress:
        progress(f"judge {scorer.name}", len(judged), len(judged))
    users = np.flatnonzero(counts[PRECISION])
    per_user = {
        figure: np.divide(sums[figure], counts[figure], out=np.full(ground.n_users, np.nan), where=counts[figure] > 0)[
            users
        ]
        for figure in PER_USER
    }
    return Judged(
        name=scorer.name,
        k=k,
        users=users,
        per_user=per_user,
        coverage=float(np.mean(covered)),
        weights=weights,
        evidence=evidence,
    )


def _figures(
    fitted: FittedScorer, ground: Ground, one: Split, k: int, shares: Floats
) -> tuple[Rows, dict[str, Floats]]:
    audience = np.minimum(np.bincount(one.train.films, minlength=ground.n_films), ground.n_users)
    taste = np.zeros((ground.n_users, shares.shape[1]))
    liked = one.train.positive
    np.add.at(taste, one.train.users[liked], shares[one.train.films[liked]])
    lists: list[Rows] = []
    figures: dict[str, list[Floats]] = {figure: [] for figure in PER_USER}
    places = np.arange(len(one.users))
    for low in range(0, len(places), _USERS_AT_ONCE):
        block = one.of_users(places[low : low + _USERS_AT_ONCE])
        relevant = block.relevant(ground.n_films)
        scores = fitted.scores(block.users, block.days)
        lists.append(metrics.top_k(scores, block.candidates(ground.n_films), k))
        hit = metrics.hits(lists[-1], relevant)
        found = {
            PRECISION: metrics.precision_per_user(hit),
            RECALL: metrics.recall_per_user(hit, relevant),
            HIT_RATE: metrics.hit_per_user(hit),
            NDCG: metrics.ndcg_per_user(hit, relevant),
            NOVELTY: metrics.novelty_per_user(lists[-1], audience, ground.n_users),
            CALIBRATION: metrics.calibration_per_user(lists[-1], shares, taste[block.users]),
        }
        for figure, values in found.items():
            figures[figure].append(values)
    return np.concatenate(lists), {figure: np.concatenate(parts) for figure, parts in figures.items()}


def _plain(value: float) -> float | None:
    # JSON knows no NaN; what is not estimable is null, never 0.
    return None if np.isnan(value) else value
