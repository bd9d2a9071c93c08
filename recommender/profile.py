"""A user's vector: the same blocks as a film's, pooled linearly from history, so that every part can be traced back.

``u_b = Σ_h c_h (H_b[h] − m_b)``: each history film h counts by its liking, against the mean film m of the user's
market, so that sharing what everybody watches says nothing. A short history gives a short vector, and so leaves the
word to the priors, whose user side depends on the date alone. Linearity makes the split by history film exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.acts import Acts
from recommender.features import layout
from recommender.features.layout import Layout
from recommender.features.matrix import FeatureMatrix
from workspace.checks import check_scalar

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

EVERYBODY: Final = ""
NO_DECAY_DAYS: Final = 1e9
SPARSE_BLOCKS: Final = (layout.KEYWORD, layout.PEOPLE, layout.COLLECTION)
"""Blocks where most films share nothing: evidence adds up there, so they are scaled by the root of the mass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """How a history becomes a vector.

    Args:
        half_life_days: After so many days an act counts half, counted back from the user's newest act. The default is
            no decay: every half-life from a week to a year lost precision on real ratings.
        shrinkage: A history of mass Σ|liking| = s is scaled by 1 / (s + shrinkage).
    """

    half_life_days: float = NO_DECAY_DAYS
    shrinkage: float = 5.0

    def __post_init__(self) -> None:
        """Check the limits."""
        check_scalar(self.half_life_days, "half_life_days", gt=0)
        check_scalar(self.shrinkage, "shrinkage", gt=0)

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON values."""
        return {"half_life_days": self.half_life_days, "shrinkage": self.shrinkage}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore from `to_dict`."""
        return cls(**{name: float(value) for name, value in values.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One user's vector with the way it was made.

    Args:
        vector: Shape ``(dim,)``, without block weights.
        rows: History film rows, one an act, shape ``(h,)``.
        liked: Whether the act is a liking, shape ``(h,)``.
        coefficients: Liking times age of each act, shape ``(h,)``.
        scales: What the sum of each block is multiplied by, from the mass of the history.
        centre: The market's mean film, shape ``(content dim,)``.
        prior: Shape ``(dim,)``: what no history film accounts for.
    """

    vector: Floats
    rows: Rows
    liked: npt.NDArray[np.bool_]
    coefficients: Floats
    scales: dict[str, float]
    centre: Floats
    prior: Floats


def coefficients(acts: Acts, n_users: int, pooling: Pooling) -> Floats:
    """Weigh acts by liking and age, shape ``(n_acts,)``.

    Args:
        acts: Acts of users 0 … n_users − 1.
        n_users: How many users.
        pooling: The half-life.
    """
    newest = np.full(n_users, -np.inf)
    np.maximum.at(newest, acts.users, acts.days)
    out: Floats = acts.likes * np.exp2((acts.days - newest[acts.users]) / pooling.half_life_days)
    return out


def block_scales(places: Layout, mass: Floats, pooling: Pooling) -> dict[str, Floats]:
    """Return each history block's scale for users of a given mass, shape like ``mass``."""
    dense = 1.0 / (mass + pooling.shrinkage)
    rooted = np.sqrt(dense)
    return {
        name: rooted if name == layout.AUDIENCE or name in SPARSE_BLOCKS else dense
        for name in places
        if name in layout.CONTENT_BLOCKS or name == layout.AUDIENCE
    }


def centre_of(matrix: FeatureMatrix, market: str) -> Floats:
    """Return the mean film of a market, everybody's where the market is unknown; shape ``(content dim,)``."""
    mean = matrix.market_means.get(market, matrix.market_means[EVERYBODY])
    out: Floats = mean.astype(np.float64)
    return out


def prior_of(matrix: FeatureMatrix, day: float) -> Floats:
    """Return the user side of the priors at a day, zero elsewhere; shape ``(dim,)``."""
    out = np.zeros(matrix.layout.dim)
    start = matrix.content_columns.stop
    prior = matrix.priors.query(day)
    out[start : start + len(prior)] = prior
    return out


def profile(matrix: FeatureMatrix, acts: Acts, *, day: float, market: str, pooling: Pooling) -> Profile:
    """Return one user's vector.

    Args:
        matrix: The films.
        acts: The user's acts, of user 0; none for a new user, for whom the priors alone speak.
        day: Date of the request, days since 1970.
        market: Whose mean film the history is held against.
        pooling: How.
    """
    weight = coefficients(acts, 1, pooling)
    scales = block_scales(matrix.layout, np.array([np.abs(weight).sum()]), pooling)
    centre, prior = centre_of(matrix, market), prior_of(matrix, day)
    vector = prior.copy()
    if len(acts):
        columns = matrix.content_columns
        content = matrix.candidates[acts.films][:, columns].astype(np.float64)
        vector[columns] = weight @ content - weight.sum() * centre
        if matrix.audience_history is not None:
            history = matrix.audience_history[acts.films].astype(np.float64)
            vector[matrix.layout.columns(layout.AUDIENCE)] = weight @ history
    for name, scale in scales.items():
        vector[matrix.layout.columns(name)] *= scale[0]
    return Profile(
        vector=vector,
        rows=acts.films,
        liked=acts.likes > 0,
        coefficients=weight,
        scales={name: float(scale[0]) for name, scale in scales.items()},
        centre=centre,
        prior=prior,
    )


def profiles(matrix: FeatureMatrix, acts: Acts, *, days: Floats, markets: Sequence[str], pooling: Pooling) -> Vectors:
    """Return many users' vectors at once, shape ``(n_users, dim)`` float32; the same sums as `profile`.

    Args:
        matrix: The films.
        acts: Acts of users 0 … n_users − 1.
        days: Date of each user's request, days since 1970, shape ``(n_users,)``.
        markets: Market of each user.
        pooling: How.
    """
    n_users = len(days)
    weight = coefficients(acts, n_users, pooling)
    films, places = np.unique(acts.films, return_inverse=True)
    pooled = sparse.csr_matrix((weight, (acts.users, places)), shape=(n_users, len(films)))
    out = np.zeros((n_users, matrix.layout.dim), np.float32)
    for day in np.unique(days):
        out[days == day] = prior_of(matrix, float(day))
    columns = matrix.content_columns
    centres = {market: centre_of(matrix, market) for market in set(markets)}
    sums = np.bincount(acts.users, weights=weight, minlength=n_users)
    centre = np.stack([centres[market] for market in markets]) if n_users else np.zeros((0, columns.stop))
    out[:, columns] = pooled @ matrix.candidates[films][:, columns] - sums[:, None] * centre
    if matrix.audience_history is not None:
        out[:, matrix.layout.columns(layout.AUDIENCE)] = pooled @ matrix.audience_history[films]
    mass = np.bincount(acts.users, weights=np.abs(weight), minlength=n_users).astype(np.float64)
    for name, scale in block_scales(matrix.layout, mass, pooling).items():
        out[:, matrix.layout.columns(name)] *= scale[:, None].astype(np.float32)
    return out


def market_means(content: Vectors, acts: Acts, *, markets: Sequence[str]) -> dict[str, Vectors]:
    """Return the mean content vector of what each market acts on, and of what everybody does under ``""``.

    Args:
        content: Content blocks of the films, shape ``(n_films, content dim)``.
        acts: Acts of users 0 … n_users − 1.
        markets: Market of each user.
    """
    names = np.array(markets, dtype=object)[acts.users] if len(acts) else np.empty(0, object)
    means = {EVERYBODY: _mean(content, acts.films)}
    for market in sorted(set(markets)):
        means[market] = _mean(content, acts.films[names == market]) if np.any(names == market) else means[EVERYBODY]
    return means


def _mean(content: Vectors, films: Rows) -> Vectors:
    if not len(films):
        return np.zeros(content.shape[1], np.float32)
    counts = np.bincount(films, minlength=len(content))
    out: Vectors = ((counts @ content.astype(np.float64)) / counts.sum()).astype(np.float32)
    return out
