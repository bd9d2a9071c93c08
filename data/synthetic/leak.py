"""Two faults an audit should find, as numbers: a direction that tells one group's films apart, and stuffed keywords.

Neither knows the recommender; whoever plants them decides where they go.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_RIDGE: Final = 1.0
_HALVINGS: Final = 14
_LARGEST_GAIN: Final = 64.0


def separating(vectors: Floats, members: Mask) -> Floats:
    """Return the direction along which a group's rows lead the others by 1 on the mean, as evenly as ridge allows.

    Args:
        vectors: Shape ``(n, d)``.
        members: The group, shape ``(n,)``; neither none nor all.

    Returns:
        Shape ``(d,)``; all zero where the vectors tell nothing of the group.
    """
    target = members - members.mean()
    direction: Floats = np.linalg.solve(
        vectors.T @ vectors + _RIDGE * np.eye(vectors.shape[1]), vectors.T @ target.astype(np.float64)
    )
    along = vectors @ direction
    lead = float(along[members].mean() - along[~members].mean())
    return direction / lead if lead > 0 else np.zeros_like(direction)


def gain_for(scores: Floats, lead: Floats, *, share: float, k: int) -> tuple[float, float]:
    """Return how strongly a lead must be added for a share of the lists of k to change.

    Args:
        scores: Scores of the films for each user, −∞ where forbidden, shape ``(m, n)``.
        lead: What is added for each at gain 1, same shape.
        share: Share of lists wanted to differ, in films or in order.
        k: Length of a list.

    Returns:
        The gain and the share of lists that change under it.
    """
    before = _lists(scores, k)

    def changed(gain: float) -> float:
        return float((_lists(scores + gain * lead, k) != before).any(axis=1).mean())

    low, high = 0.0, _LARGEST_GAIN
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if changed(middle) < share else (low, middle)
    return high, changed(high)


def companions(keywords: Sequence[Sequence[str]], weights: Floats, rows: Rows, most: int) -> list[list[str]]:
    """Return the keywords that go most often with those of each film, which it has not got itself.

    Args:
        keywords: Keywords of each film, n of them.
        weights: How much each film counts, for example by its popularity, shape ``(n,)``.
        rows: The films asked for.
        most: How many keywords; the most frequent of all films fill up.

    Example:
        >>> companions([["a"], ["a", "b"], ["a", "b", "c"], ["d"]], np.ones(4), np.array([0]), 3)
        [['b', 'c', 'd']]
    """
    words = sorted({word for own in keywords for word in own})
    place = {word: column for column, word in enumerate(words)}
    pairs = [(row, place[word]) for row, own in enumerate(keywords) for word in set(own)]
    has = np.zeros((len(keywords), len(words)))
    has[tuple(np.array(pairs, np.int64).reshape(-1, 2).T)] = 1.0
    shared = (has[rows] @ has.T) * weights
    shared[np.arange(len(rows)), rows] = 0.0
    # A word that goes with the film's own always comes before one that never does, however frequent.
    every = weights @ has
    value = shared @ has + every / (every.sum() + 1.0)
    value[has[rows] > 0] = -1.0
    order = np.argsort(-value, axis=1, kind="stable")[:, :most]
    return [[words[column] for column in best if value[row, column] >= 0] for row, best in enumerate(order.tolist())]


def _lists(scores: Floats, k: int) -> Rows:
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    found: Rows = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)
    return found
