"""The recommender as the subject of an evaluation: whatever it fits, weights included, it fits on the training part."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.acts import Acts
from recommender.configuration import DEFAULT_WEIGHTS
from recommender.evaluation.ground import FittedScorer, Ground
from recommender.evaluation.protocols import Protocol, Split, split
from recommender.evaluation.weights import FittedWeights, Pool, fit_weights, rough_weights
from recommender.features import layout
from recommender.features.content import ContentFeatures, ContentVectors
from recommender.features.fitted import fit_features
from recommender.features.matrix import FeatureMatrix
from recommender.profile import Pooling, market_means, profiles
from recommender.rules import Request, RuleBook
from workspace.columns import User
from workspace.errors import InvalidValueError

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Content = tuple[ContentFeatures, ContentVectors]

_EPOCH: Final = dt.date(1970, 1, 1)
_POOL_FILMS: Final = 1_000
_WEIGHT_USERS: Final = 2_000
_USERS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedBlocks:
    """The recommender fitted on a training part.

    Args:
        matrix: The films.
        weights: Block weights.
        evidence: What the weights rest on; empty for given ones.
        pooling: How histories become vectors.
        train: The training acts, ordered by user.
        users: The catalogue's users.
        rules: Who may see what.
    """

    matrix: FeatureMatrix
    weights: Mapping[str, float]
    evidence: Mapping[str, object]
    pooling: Pooling
    train: Acts
    users: pd.DataFrame
    rules: RuleBook

    def scores(self, users: Rows, days: Floats) -> Vectors:
        """Score every film for some users, −inf where a rule forbids it; shape ``(m, n_films)``."""
        queries = self.vectors(users, days) * self.matrix.layout.spread(self.weights)
        out = np.asarray(queries @ self._films.T, np.float32)
        out[~self.allowed(users, days)] = -np.inf
        return out

    @property
    def _films(self) -> Vectors:
        return np.asarray(self.matrix.candidates)

    def vectors(self, users: Rows, days: Floats) -> Vectors:
        """Return the users' vectors at their days, without weights, shape ``(m, dim)``."""
        starts = np.searchsorted(self.train.users, users, side="left")
        stops = np.searchsorted(self.train.users, users, side="right")
        own = self.train.take(np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)]))
        own = replace(own, users=np.repeat(np.arange(len(users)), stops - starts))
        markets = self.users[User.MARKET].take(users).tolist()
        return profiles(self.matrix, own, days=days, markets=markets, pooling=self.pooling)

    def block_scores(self, vectors: Vectors, block: str) -> Vectors:
        """Return what one block says, without its weight, shape ``(m, n_films)``."""
        columns = self.matrix.layout.columns(block)
        return np.asarray(vectors[:, columns] @ self._films[:, columns].T, np.float32)

    def allowed(self, users: Rows, days: Floats) -> Mask:
        """Return what may be shown to whom at the day of the request, shape ``(m, n_films)``."""
        out = np.empty((len(users), len(self._films)), np.bool_)
        # Nobody asks before there is a film, but noisy data may say so; then the oldest film is what there is.
        first = self.rules.first_release or dt.date.min
        columns = self.users[[User.REGION, User.MAXIMUM_AGE, User.EXCLUDED_GENRES]].take(users)
        for place, (region, age, genres) in enumerate(columns.itertuples(index=False)):
            on = max(first, _EPOCH + dt.timedelta(days=int(days[place])))
            limit = None if pd.isna(age) else int(age)
            request = Request(on=on, region=region, user_maximum_age=limit, user_excluded_genres=tuple(genres))
            out[place] = self.rules.decide(request).allowed
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The recommender with some blocks and a way of pooling.

    Args:
        content: Content blocks of the catalogue; they depend on no interaction.
        rules: Who may see what.
        text: Text vectors; None without the block.
        blocks: The blocks.
        pooling: How histories become vectors.
        weights: Given block weights; None fits them inside the training part.
        protocol: How the training part is split again to fit the weights.
        seed: Of that split and its folds.
        name: What reports call it.
    """

    content: Content
    rules: RuleBook
    text: Vectors | None
    blocks: tuple[str, ...]
    pooling: Pooling
    weights: Mapping[str, float] | None = None
    protocol: Protocol = "temporal"
    seed: int = 0
    name: str = "recommendr"

    @classmethod
    def of(
        cls,
        ground: Ground,
        *,
        text: Vectors | None,
        blocks: Sequence[str] = layout.BLOCKS,
        pooling: Pooling | None = None,
        weights: Mapping[str, float] | None = None,
        protocol: Protocol = "temporal",
        seed: int = 0,
        name: str = "recommendr",
    ) -> "Subject":
        """Encode the content of a catalogue once, for all fits to come."""
        films = ground.catalogue.films
        used = text if layout.TEXT in blocks else None
        fitted = ContentFeatures.fit(films, text_dim=0 if used is None else used.shape[1], blocks=blocks)
        return cls(
            content=(fitted, fitted.encode(films, used)),
            rules=RuleBook.of(films),
            text=used,
            blocks=tuple(blocks),
            pooling=pooling or Pooling(),
            weights=weights,
            protocol=protocol,
            seed=seed,
            name=name,
        )

    def fit(self, ground: Ground, train: Acts) -> FittedScorer:
        """Fit weights inside the training part, then features on all of it."""
        weights, evidence = self.weights, {}
        if weights is None:
            found = self.fit_weights(ground, train)
            weights, evidence = found.weights, found.evidence
        return self._fitted(ground, train, weights, evidence)

    def fit_weights(self, ground: Ground, train: Acts) -> FittedWeights:
        """Fit the block weights on acts held back from ``train`` by the protocol; features see the rest.

        With too few users to be judged on, the default weights stand and the evidence says so.
        """
        default = {name: DEFAULT_WEIGHTS[name] for name in self.blocks}
        try:
            inner = split(train, self.protocol, seed=self.seed)[0]
            inner = sample_users(inner, self.seed)
            fitted = self._fitted(ground, inner.train, default, {})
            # The pool that is judged holds what weights fitted on a first pool rank high.
            rough = rough_weights(pool_of(fitted, inner, default, ground.n_films))
            found = fit_weights(pool_of(fitted, inner, rough, ground.n_films), seed=self.seed)
        except InvalidValueError as error:
            return FittedWeights(weights=default, evidence={"method": "defaults", "reason": str(error)})
        weights = {name: found.weights.get(name, 0.0) for name in self.blocks}
        return FittedWeights(weights=weights, evidence={**found.evidence, "protocol": self.protocol})

    def _fitted(
        self, ground: Ground, train: Acts, weights: Mapping[str, float], evidence: Mapping[str, object]
    ) -> FittedBlocks:
        catalogue = ground.catalogue
        features, encoded = fit_features(
            catalogue.films, train, text=self.text, blocks=self.blocks, content=self.content)  # fmt: skip
        matrix = FeatureMatrix(
            layout=features.layout,
            candidates=encoded.vectors,
            audience_history=encoded.audience_history,
            priors=features.priors,
            market_means=market_means(
                encoded.content.vectors, train, markets=catalogue.users[User.MARKET].tolist()),
        )  # fmt: skip
        return FittedBlocks(
            matrix=matrix,
            weights=weights,
            evidence=evidence,
            pooling=self.pooling,
            train=train.take(np.argsort(train.users, kind="stable")),
            users=catalogue.users,
            rules=self.rules,
        )


def sample_users(one: Split, seed: int) -> Split:
    """Keep at most 2,000 users: the weights are a dozen numbers, and memory is users × pool × blocks."""
    if len(one.users) <= _WEIGHT_USERS:
        return one
    rng = np.random.default_rng(seed)
    return one.of_users(np.sort(rng.choice(len(one.users), _WEIGHT_USERS, replace=False)))


def pool_of(fitted: FittedBlocks, inner: Split, weights: Mapping[str, float], n_films: int) -> Pool:
    """Return what every block says of each judged user's best candidates, of which weights are fitted.

    Args:
        fitted: The recommender fitted on the training part of the split.
        inner: The split; its users stand in the pool in their order.
        weights: Block weights by which the best candidates are chosen.
        n_films: How many films there are.
    """
    places = np.arange(len(inner.users))
    parts = [
        _part_of_pool(fitted, inner.of_users(places[low : low + _USERS_AT_ONCE]), weights, n_films)
        for low in range(0, len(places), _USERS_AT_ONCE)
    ]
    return Pool(
        blocks=parts[0].blocks,
        scores=np.concatenate([part.scores for part in parts], axis=1),
        relevant=np.concatenate([part.relevant for part in parts]),
        allowed=np.concatenate([part.allowed for part in parts]),
    )


def _part_of_pool(fitted: FittedBlocks, inner: Split, weights: Mapping[str, float], n_films: int) -> Pool:
    vectors = fitted.vectors(inner.users, inner.days)
    open_films = inner.candidates(n_films) & fitted.allowed(inner.users, inner.days)
    total = (vectors * fitted.matrix.layout.spread(weights)) @ np.asarray(fitted.matrix.candidates).T
    total[~open_films] = -np.inf
    size = min(_POOL_FILMS, n_films)
    films = np.argpartition(-total, size - 1, axis=1)[:, :size]
    # Rows in order, so that equal scores fall as they do in a full ranking.
    films.sort(axis=1)
    blocks = list(fitted.matrix.layout)
    scores = np.empty((len(blocks), *films.shape), np.float32)
    for place, block in enumerate(blocks):
        scores[place] = np.take_along_axis(fitted.block_scores(vectors, block), films, 1)
    return Pool(
        blocks=blocks,
        scores=scores,
        relevant=np.take_along_axis(inner.relevant(n_films), films, 1),
        allowed=np.take_along_axis(open_films, films, 1),
    )
