"""Figures of ranked lists: per user first, their mean second.

A user without anything relevant has no precision: not estimable, and not counted. A user who got no relevant film
counts as 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from workspace.checks import check_scalar

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

NOTHING: Final = -1
CALIBRATION_ALPHA: Final = 0.01
CONFIDENCE: Final = 0.95
_LEAST_USERS: Final = 2


def top_k(scores: Vectors, candidates: Mask, k: int) -> Rows:
    """Return the best k candidates of each user, best first; equal scores by the lower row.

    Args:
        scores: Shape ``(m, n_films)``; −inf for a film never to be shown.
        candidates: Shape ``(m, n_films)``.
        k: Length of a list.

    Returns:
        Shape ``(m, k)``; −1 where fewer than k can be shown.

    Example:
        >>> top_k(np.array([[1, 3, 2]], np.float32), np.array([[True, False, True]]), 3).tolist()
        [[2, 0, -1]]
    """
    check_scalar(k, "k", ge=1)
    # NaN is no score: it would be sorted to wherever the sort happens to put it.
    masked = np.where(candidates & ~np.isnan(scores), scores, -np.inf)
    best = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    rows = np.where(np.isneginf(np.take_along_axis(masked, best, 1)), NOTHING, best)
    return np.pad(rows, ((0, 0), (0, k - rows.shape[1])), constant_values=NOTHING)


def hits(recommended: Rows, relevant: Mask) -> Mask:
    """Return which recommended films are relevant, shape ``(m, k)``."""
    found: Mask = np.take_along_axis(relevant, np.maximum(recommended, 0), 1) & (recommended != NOTHING)
    return found


def precision_per_user(hit: Mask) -> Floats:
    """Return relevant films in the list over k, shape ``(m,)``; the denominator is k, also for a shorter list."""
    out: Floats = hit.mean(axis=1)
    return out


def recall_per_user(hit: Mask, relevant: Mask) -> Floats:
    """Return relevant films in the list over all relevant ones, shape ``(m,)``; NaN without a relevant film."""
    return _ratio(hit.sum(axis=1), relevant.sum(axis=1))


def hit_per_user(hit: Mask) -> Floats:
    """Return 1 for a list with a relevant film, else 0; shape ``(m,)``."""
    out: Floats = np.asarray(hit.any(axis=1), np.float64)
    return out


def ndcg_per_user(hit: Mask, relevant: Mask) -> Floats:
    """Return normalised discounted cumulative gain with binary gains, shape ``(m,)``; NaN without a relevant film.

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002); logarithm base 2.
    """
    k = hit.shape[1]
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant.sum(axis=1), k)]
    return _ratio(hit @ discount, ideal)


def coverage(recommended: Rows, n_films: int) -> float:
    """Return the share of the catalogue that is in somebody's list."""
    return len(np.unique(recommended[recommended != NOTHING])) / n_films


def novelty_per_user(recommended: Rows, audience: Rows, n_users: int) -> Floats:
    """Return the mean self-information of the list in bits, shape ``(m,)``; NaN for an empty list.

    Args:
        recommended: Shape ``(m, k)``.
        audience: How many users know each film from the training part, shape ``(n_films,)``.
        n_users: How many users there are.

    Source: Castells, Hurley and Vargas, "Novelty and Diversity in Recommender Systems" (2015), section 8.3.1; a film
    nobody knows yet counts as known to one more user than there are, not as infinitely new.
    """
    bits = -np.log2((audience + 1) / (n_users + 1))
    shown = recommended != NOTHING
    total = np.where(shown, bits[np.maximum(recommended, 0)], 0.0).sum(axis=1)
    return _ratio(total, shown.sum(axis=1))


def genre_shares(genres: Sequence[Sequence[str]]) -> Floats:
    """Return each film's genres as shares that sum to one, shape ``(n_films, n_genres)``; zeros without a genre."""
    names = sorted({genre for film in genres for genre in film})
    column = {name: i for i, name in enumerate(names)}
    out = np.zeros((len(genres), len(names)))
    for row, film in enumerate(genres):
        for genre in set(film):
            out[row, column[genre]] = 1 / len(set(film))
    return out


def calibration_per_user(recommended: Rows, shares: Floats, taste: Floats) -> Floats:
    """Return how far the list's genres are from the user's, as a divergence in nats; 0 is calibrated, shape ``(m,)``.

    Args:
        recommended: Shape ``(m, k)``.
        shares: Genre shares of films, shape ``(n_films, n_genres)``.
        taste: Genre sums of what each user liked in training, any scale, shape ``(m, n_genres)``.

    Returns:
        KL(p ‖ (1 − α) q + α p), α = 0.01; NaN where user or list has no genre.

    Source: Steck, "Calibrated Recommendations" (RecSys 2018), equations 2 to 5.
    """
    shown = np.where((recommended != NOTHING)[:, :, None], shares[np.maximum(recommended, 0)], 0.0).sum(axis=1)
    wanted_mass, shown_mass = taste.sum(axis=1), shown.sum(axis=1)
    known = (wanted_mass > 0) & (shown_mass > 0)
    p, q = taste[known] / wanted_mass[known, None], shown[known] / shown_mass[known, None]
    smooth = (1 - CALIBRATION_ALPHA) * q + CALIBRATION_ALPHA * p
    ratio = np.divide(p, smooth, out=np.ones_like(p), where=p > 0)
    out = np.full(len(recommended), np.nan)
    out[known] = (p * np.log(ratio)).sum(axis=1)
    return out


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    # Nothing to divide by: not estimable, never 0.
    out: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over users with its interval.

    Args:
        value: The mean; NaN without users.
        low: Lower end of the 95 % t interval; NaN with fewer than two users.
        high: Upper end.
        standard_error: Of the mean.
        users: How many users it rests on.
    """

    value: float
    low: float
    high: float
    standard_error: float
    users: int


def mean_over_users(values: Floats, *, confidence: float = CONFIDENCE) -> Mean:
    """Return the mean and its t interval over users; NaN values are not estimable and left out.

    Example:
        >>> mean_over_users(np.array([0.0, 0.2, 0.4])).value
        0.2
    """
    check_scalar(confidence, "confidence", gt=0, lt=1)
    known = values[~np.isnan(values)]
    if not len(known):
        return Mean(value=np.nan, low=np.nan, high=np.nan, standard_error=np.nan, users=0)
    value = float(known.mean())
    if len(known) < _LEAST_USERS:
        return Mean(value=value, low=np.nan, high=np.nan, standard_error=np.nan, users=len(known))
    error = float(known.std(ddof=1)) / float(np.sqrt(len(known)))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(known) - 1)) * error
    return Mean(value=value, low=value - reach, high=value + reach, standard_error=error, users=len(known))
