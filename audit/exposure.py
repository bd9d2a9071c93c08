"""What the slates show: exposure by film and film group, popularity, concentration, calibration to the history.

A slate is a row of film rows, best first, −1 for an empty place. Every measure comes by user first, its mean second:
the unit of inference is the user.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

EMPTY: Final = -1
"""An empty place of a slate, and a film or user of unknown group."""
_WHOLE: Final = 1e-6


def position_weights(k: int) -> Floats:
    """Return how much attention each place of a slate gets, v(j) = 1 / log₂(1 + j), j = 1 … k.

    Source: Singh & Joachims (2018), Fairness of exposure in rankings, KDD, §3.1 and §5, with the discount of DCG.

    Args:
        k: Places, 1 or more.

    Returns:
        ``(k,)``.

    Raises:
        InvalidValueError: When ``k`` is below 1.

    Example:
        >>> position_weights(3).round(3).tolist()
        [1.0, 0.631, 0.5]
    """
    check_scalar(k, "k", ge=1)
    return 1.0 / np.log2(np.arange(2, k + 2, dtype=np.float64))


def discounted_exposure(slates: ArrayLike, *, k: int, n_films: int) -> Floats:
    """Return the exposure of every film: the attention of all the places it takes, over users.

    Source: as `position_weights`; places after ``k`` get none.

    Args:
        slates: Film rows, ``(n_users, places)``, −1 for an empty place.
        k: Places that count, at most those there are.
        n_films: Films of the catalogue.

    Returns:
        ``(n_films,)``; the sum over films is the attention of all filled places.

    Raises:
        InvalidValueError: When a film row is outside the catalogue, or ``k`` outside the slate.

    Example:
        >>> discounted_exposure([[0, 2], [0, -1]], k=2, n_films=3).round(3).tolist()
        [2.0, 0.0, 0.631]
    """
    rows = _checked(slates, n_films, k)[:, :k]
    filled = rows != EMPTY
    weights = np.broadcast_to(position_weights(k), rows.shape)
    return np.bincount(rows[filled], weights[filled], n_films).astype(np.float64)


def group_exposure(slates: ArrayLike, film_group_codes: ArrayLike, n_groups: int, k: int) -> Floats:
    """Return each film group's share of each user's discounted exposure.

    E_uF = Σ_j v(j) [film at j is of F] / Σ_j v(j), over the filled places. Films of unknown group are in the
    denominator and in no column: the row then adds up to less than 1, and what is missing is their share.

    Args:
        slates: Film rows, ``(n_users, places)``, −1 for an empty place.
        film_group_codes: Group of every film, ``(n_films,)``, −1 for unknown.
        n_groups: Groups.
        k: Places that count.

    Returns:
        ``(n_users, n_groups)``; a user with an empty slate is NaN.

    Raises:
        InvalidValueError: When a row or code is outside its range.
    """
    codes = _codes(film_group_codes, n_groups)
    rows = _checked(slates, codes.size, k)[:, :k]
    filled = rows != EMPTY
    weights = np.where(filled, position_weights(k), 0.0)
    return _shares(np.where(filled, codes[rows], EMPTY), weights, n_groups)


def history_share(
    history_rows: ArrayLike, user_codes: ArrayLike, film_group_codes: ArrayLike, n_groups: int, n_users: int
) -> Floats:
    """Return each film group's share of each user's history: what the taste alone would ask for.

    Args:
        history_rows: Film of every act, ``(n_acts,)``.
        user_codes: User of every act, ``(n_acts,)``.
        film_group_codes: Group of every film, ``(n_films,)``, −1 for unknown; unknown films count in the whole.
        n_groups: Groups.
        n_users: Users.

    Returns:
        ``(n_users, n_groups)``; a user without history is NaN.

    Raises:
        InvalidValueError: When a row or code is outside its range.
    """
    codes = _codes(film_group_codes, n_groups)
    rows = _whole(history_rows, "history row", 0, codes.size - 1)
    users = _whole(user_codes, "user", 0, n_users - 1)
    if rows.shape != users.shape or rows.ndim != 1:
        raise InvalidValueError(f"{rows.shape} films and {users.shape} users", "must be as many, in one list")
    groups = codes[rows]
    known = groups >= 0
    counts = np.bincount(users[known] * n_groups + groups[known], minlength=n_users * n_groups)
    whole = np.bincount(users, minlength=n_users).astype(np.float64)
    return _divided(counts.reshape(n_users, n_groups).astype(np.float64), whole[:, None])


def arp_per_user(slates: ArrayLike, popularity: ArrayLike) -> Floats:
    """Return the mean popularity of each user's films; NaN for an empty slate.

    Source: Yin, Cui, Li, Yao & Chen (2012), Challenging the long tail recommendation, PVLDB 5:896; as ARP in
    Abdollahpouri, Burke & Mobasher (2019), Managing popularity bias in recommender systems with personalized
    re-ranking, FLAIRS, eq. 4.

    Args:
        slates: Film rows, ``(n_users, k)``.
        popularity: Of every film, ``(n_films,)``, finite.
    """
    values = _values(popularity, "popularity")
    rows = _checked(slates, values.size)
    filled = rows != EMPTY
    total = np.where(filled, values[rows], 0.0).sum(axis=1)
    return _divided(total, filled.sum(axis=1).astype(np.float64))


def arp(slates: ArrayLike, popularity: ArrayLike) -> float:
    """Return the average recommendation popularity: the mean of `arp_per_user` over users with a slate.

    Raises:
        NotEstimableError: When every slate is empty.
    """
    return _mean(arp_per_user(slates, popularity))


def aplt_per_user(slates: ArrayLike, tail_mask: ArrayLike) -> Floats:
    """Return the share of each user's films that are of the long tail; NaN for an empty slate.

    Source: Abdollahpouri, Burke & Mobasher (2019), as `arp_per_user`, eq. 5.

    Args:
        slates: Film rows, ``(n_users, k)``.
        tail_mask: Whether a film is of the tail, ``(n_films,)``.
    """
    return arp_per_user(slates, _flags(tail_mask).astype(np.float64))


def aplt(slates: ArrayLike, tail_mask: ArrayLike) -> float:
    """Return the average share of the long tail: the mean of `aplt_per_user`.

    Raises:
        NotEstimableError: When every slate is empty.
    """
    return _mean(aplt_per_user(slates, tail_mask))


def coverage(slates: ArrayLike, n_films: int) -> float:
    """Return the share of the catalogue that was shown to anybody.

    Source: Ge, Delgado-Battenfeld & Jannach (2010), Beyond accuracy: evaluating recommender systems by coverage and
    serendipity, RecSys, §3.

    Raises:
        NotEstimableError: When the catalogue is empty.
    """
    if n_films < 1:
        raise NotEstimableError("coverage of 0 films", "needs 1 or more")
    rows = _checked(slates, n_films)
    return float(np.unique(rows[rows != EMPTY]).size / n_films)


def tail_coverage(slates: ArrayLike, tail_mask: ArrayLike) -> float:
    """Return the share of the tail's films that were shown to anybody.

    Raises:
        NotEstimableError: When no film is of the tail.
    """
    tail = _flags(tail_mask)
    if not tail.any():
        raise NotEstimableError("coverage of a tail of 0 films", "needs 1 or more")
    rows = _checked(slates, tail.size)
    shown = np.zeros(tail.size, dtype=bool)
    shown[rows[rows != EMPTY]] = True
    return float((shown & tail).sum() / tail.sum())


def gini(values: ArrayLike, *, unbiased: bool = False) -> float:
    """Return the Gini coefficient of values such as the exposure of films; films never shown count as 0.

    G = Σ_i (2i − n − 1) x_(i) / (n Σ x), x sorted upwards: half the relative mean absolute difference over all ordered
    pairs, self-pairs included. It ends at (n − 1)/n when one has all. ``unbiased`` multiplies by n/(n − 1), which
    leaves self-pairs out and ends at 1. Figures of the two conventions must not be compared.

    Source: Gini (1912), Variabilità e mutabilità; Dixon, Weiner, Mitchell-Olds & Woodley (1987), Bootstrapping the
    Gini coefficient of inequality, Ecology 68:1548 (the factor).

    Args:
        values: Not negative, ``(n,)``.
        unbiased: Whether to multiply by n/(n − 1).

    Raises:
        InvalidValueError: When a value is negative or not finite.
        NotEstimableError: Without values, with a sum of 0, or with one value and ``unbiased``.

    Example:
        >>> gini([0, 0, 0, 4]), gini([0, 0, 0, 4], unbiased=True)
        (0.75, 1.0)
    """
    ordered = np.sort(_values(values, "values", least=0.0))
    n, total = ordered.size, float(ordered.sum())
    if n < 1 + unbiased or total == 0:
        raise NotEstimableError(f"a Gini of {n} values that sum to {total:g}", "needs values above 0, two if unbiased")
    ranks = 2.0 * np.arange(1, n + 1) - n - 1
    plain = float(ranks @ ordered) / (n * total)
    return plain * n / (n - 1) if unbiased else plain


def calibration_kl(p: ArrayLike, q: ArrayLike, alpha: float = 0.01) -> float:
    """Return how far the genres shown, q, are from the genres of the history, p, in nats; 0 is calibrated.

    KL(p ‖ q̃) = Σ_g p(g) ln(p(g) / q̃(g)), q̃ = (1 − alpha) q + alpha p, so that a genre that is missing from the slate
    costs a finite amount. A genre with p(g) = 0 costs nothing.

    Source: Steck (2018), Calibrated recommendations, RecSys, eq. 6 and 7.

    Args:
        p: Distribution over genres in the history, ``(n_genres,)``, sums to 1.
        q: Distribution over genres in the slate, ``(n_genres,)``, sums to 1.
        alpha: Weight of p in q̃, inside (0, 1).

    Raises:
        InvalidValueError: When one is no distribution, or ``alpha`` outside.

    Example:
        >>> round(calibration_kl([0.7, 0.3], [1.0, 0.0]), 4)
        1.134
    """
    return float(calibration_per_user(np.atleast_2d(np.asarray(p)), np.atleast_2d(np.asarray(q)), alpha)[0])


def calibration_per_user(p: ArrayLike, q: ArrayLike, alpha: float = 0.01) -> Floats:
    """Return `calibration_kl` of every user; NaN where a row of ``p`` or ``q`` is NaN (no history, no slate).

    Args:
        p: ``(n_users, n_genres)``, rows sum to 1 or are NaN.
        q: ``(n_users, n_genres)``, rows sum to 1 or are NaN.
        alpha: Weight of p in q̃.
    """
    check_scalar(alpha, "alpha", gt=0, lt=1)
    asked, shown = _distributions(p, "p"), _distributions(q, "q")
    if asked.shape != shown.shape:
        raise InvalidValueError(f"p {asked.shape} and q {shown.shape}", "must have the same genres and users")
    smoothed = (1 - alpha) * shown + alpha * asked
    positive = asked > 0
    terms = np.where(positive, asked, 0.0) * np.log(np.where(positive, asked / np.where(positive, smoothed, 1.0), 1.0))
    out = terms.sum(axis=1)
    out[np.isnan(asked).any(axis=1) | np.isnan(shown).any(axis=1)] = np.nan
    floored: Floats = np.maximum(out, 0.0)
    return floored


def exposure_per_relevance(exposure: ArrayLike, relevance: ArrayLike, group_codes: ArrayLike, n_groups: int) -> Floats:
    """Return each film group's mean exposure over its mean relevance.

    (1/|G| Σ_{i∈G} exposure_i) / (1/|G| Σ_{i∈G} relevance_i); the ratio of two groups' figures is the disparate
    treatment ratio (DTR), 1 when exposure is in proportion to relevance.

    Source: Singh & Joachims (2018), as `position_weights`, §4.2, eq. of disparate treatment.

    Args:
        exposure: Of every film, ``(n_films,)``, not negative.
        relevance: Of every film, ``(n_films,)``, not negative.
        group_codes: ``(n_films,)``, −1 for unknown.
        n_groups: Groups.

    Returns:
        ``(n_groups,)``; NaN for a group without films or without relevance: not estimable.
    """
    shown, wanted = _values(exposure, "exposure", least=0.0), _values(relevance, "relevance", least=0.0)
    codes = _codes(group_codes, n_groups)
    if not shown.shape == wanted.shape == codes.shape:
        raise InvalidValueError(
            f"{shown.size} exposures, {wanted.size} relevances and {codes.size} groups", "must be one a film"
        )
    known = codes >= 0
    above = np.bincount(codes[known], shown[known], n_groups)
    below = np.bincount(codes[known], wanted[known], n_groups)
    return _divided(above, below)


def pairwise(
    scores: ArrayLike, relevant: ArrayLike, group_codes: ArrayLike, n_groups: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Return how often a relevant film of each group is ranked above an irrelevant film, over all pairs of one user.

    A tie counts one half.

    Source: Beutel et al. (2019), Fairness in recommendation ranking through pairwise comparisons, KDD, §3.2: pairwise
    accuracy by group of the relevant film.

    Args:
        scores: ``(n_films,)`` of one user, higher is better; NaN for a film that may not be shown is left out.
        relevant: Whether the user wanted the film, ``(n_films,)``.
        group_codes: ``(n_films,)``, −1 for unknown.
        n_groups: Groups.

    Returns:
        Accuracy ``(n_groups,)``, NaN where there is no pair, and the number of pairs ``(n_groups,)``.
    """
    values = np.asarray(scores, dtype=np.float64)
    wanted, codes = _flags(relevant), _codes(group_codes, n_groups)
    if values.ndim != 1 or not values.shape == wanted.shape == codes.shape:
        raise InvalidValueError(f"scores of shape {values.shape}", f"must be one a film, {codes.shape}")
    allowed = ~np.isnan(values)
    others = np.sort(values[allowed & ~wanted])
    asked = allowed & wanted & (codes >= 0)
    below = np.searchsorted(others, values[asked], side="left")
    ties = np.searchsorted(others, values[asked], side="right") - below
    wins = np.bincount(codes[asked], below + 0.5 * ties, n_groups)
    pairs = np.bincount(codes[asked], minlength=n_groups) * others.size
    return _divided(wins, pairs.astype(np.float64)), pairs.astype(np.int64)


def _shares(groups: Ints, weights: Floats, n_groups: int) -> Floats:
    n_users = len(groups)
    users = np.broadcast_to(np.arange(n_users)[:, None], groups.shape)
    known = groups >= 0
    summed = np.bincount(users[known] * n_groups + groups[known], weights[known], n_users * n_groups)
    return _divided(summed.reshape(n_users, n_groups), weights.sum(axis=1)[:, None])


def _divided(above: ArrayLike, below: ArrayLike) -> Floats:
    # Nothing over nothing is not estimable, never 0.
    top, bottom = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    out = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def _mean(values: Floats) -> float:
    if np.isnan(values).all():
        raise NotEstimableError("the mean over 0 users with a slate", "needs 1 or more")
    return float(np.nanmean(values))


def _checked(slates: ArrayLike, n_films: int, k: int | None = None) -> Ints:
    rows = _whole(slates, "film row", EMPTY, n_films - 1)
    if rows.ndim != 2:  # noqa: PLR2004 - users by places
        raise InvalidValueError(f"slates of shape {rows.shape}", "must be (n_users, k)")
    if k is not None and check_scalar(k, "k", ge=1) > rows.shape[1]:
        raise InvalidValueError(f"k == {k}", f"must be <= {rows.shape[1]}, the places of a slate")
    return rows


def _codes(codes: ArrayLike, n_groups: int) -> Ints:
    check_scalar(n_groups, "n_groups", ge=1)
    return _whole(codes, "group code", EMPTY, n_groups - 1)


def _whole(values: ArrayLike, name: str, least: int, most: int) -> Ints:
    given = np.asarray(values)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise InvalidValueError(f"{name} of type {given.dtype}", "must be whole numbers")
    whole: Ints = given.astype(np.int64)
    if whole.size and not (least <= whole.min() and whole.max() <= most):
        wrong = whole[(whole < least) | (whole > most)].flat[0]
        raise InvalidValueError(f"{name} == {wrong}", f"must be {least} to {most}")
    return whole


def _values(values: ArrayLike, name: str, *, least: float = -np.inf) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or not np.isfinite(given).all() or (given.size and given.min() < least):
        limit = "must be one finite number each" + ("" if np.isinf(least) else f", {least:g} at least")
        raise InvalidValueError(f"{name} of shape {given.shape}", limit)
    return given


def _flags(values: ArrayLike) -> Flags:
    given: NDArray[Any] = np.asarray(values)
    if given.dtype != np.bool_ or given.ndim != 1:
        raise InvalidValueError(f"flags of type {given.dtype} and shape {given.shape}", "must be one bool a film")
    return given.astype(np.bool_)


def _distributions(values: ArrayLike, name: str) -> Floats:
    given = np.atleast_2d(np.asarray(values, dtype=np.float64))
    known = given[~np.isnan(given).any(axis=1)]
    if not np.isfinite(known).all() or (known < 0).any() or (abs(known.sum(axis=1) - 1) > _WHOLE).any():
        raise InvalidValueError(
            f"{name} is no distribution", "must be shares from 0 that sum to 1", "divide by the sum"
        )
    return given
