"""How hard a world is: precision of perfect knowledge and of mere popularity, by the k-fold protocol.

The protocol is written here a second time on purpose: a figure of the data must not depend on the code it will judge.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.synthetic.interactions import LIKED_RATING, WATCHED_TO_THE_END
from data.synthetic.randomness import Draw, Floats, Ints, generator
from data.synthetic.world import World
from workspace.checks import check_scalar
from workspace.columns import Film, Interaction, User

USERS_AT_ONCE: Final = 256

Scorer = Callable[[Ints, "History"], npt.NDArray[np.float32]]
"""Scores of some user rows for every film, (user rows (m,), train history) -> (m, n_films)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Interactions as rows of users and films.

    Attributes:
        user: User row of each interaction.
        film: Film row of each interaction.
        positive: Whether it was rated 4 or more, or watched to the end.
    """

    user: Ints
    film: Ints
    positive: npt.NDArray[np.bool_]

    def part(self, mask: npt.NDArray[np.bool_]) -> "History":
        """Return the interactions under the mask."""
        return History(user=self.user[mask], film=self.film[mask], positive=self.positive[mask])


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Precision@k: mean over the folds of the mean over users with a relevant film in the fold.

    Attributes:
        mean: The figure.
        folds: The figure of each fold.
        per_user: Mean over the folds of each user that counted, for intervals.
    """

    mean: float
    folds: tuple[float, ...]
    per_user: Floats

    @property
    def ci95(self) -> tuple[float, float]:
        """95 % interval by user, normal approximation."""
        half = 1.96 * float(self.per_user.std(ddof=1)) / float(np.sqrt(len(self.per_user)))
        return self.mean - half, self.mean + half


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleReport:
    """Difficulty of a world at k.

    Attributes:
        k: Length of a slate.
        folds: Number of folds.
        users: Users that counted in at least one fold.
        popularity: Precision of the number of train positives of a film.
        oracle: Precision of the true preference.
        oracle_ci95: Its interval.
        lawful_oracle: Precision of the true preference among the films lawful for the user.
        random: Precision of a uniformly random order, expected.
        positives_share: Share of positives among the interactions.
    """

    k: int
    folds: int
    users: int
    popularity: float
    oracle: float
    oracle_ci95: tuple[float, float]
    lawful_oracle: float
    random: float
    positives_share: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values, rounded to four places."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - figures are whole, broken or pairs
    if isinstance(value, tuple):
        return [round(item, 4) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def positives(interactions: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which interactions are positive: rated 4 or more, or watched to the end (90 %)."""
    kind, value = interactions[Interaction.KIND].to_numpy(), interactions[Interaction.VALUE].to_numpy()
    positive: npt.NDArray[np.bool_] = ((kind == "rated") & (value >= LIKED_RATING)) | (
        (kind == "watched") & (value >= WATCHED_TO_THE_END)
    )
    return positive


def history(world: World) -> History:
    """Return the interactions of a world by rows."""
    users = pd.Index(world.users[User.ID]).get_indexer(world.interactions[Interaction.USER])
    films = pd.Index(world.films[Film.ID]).get_indexer(world.interactions[Interaction.FILM])
    return History(user=users.astype(np.int64), film=films.astype(np.int64), positive=positives(world.interactions))


def folds(user: Ints, count: int, seed: int) -> Ints:
    """Return the fold of each interaction: each user's interactions are dealt out evenly in random order."""
    rng = generator(seed, Draw.FOLD)
    order = np.lexsort((rng.random(len(user)), user))
    owner = user[order]
    place = np.arange(len(user)) - np.searchsorted(owner, owner, side="left")
    # A random first fold per user keeps the remainders from all falling into fold 0.
    shift = rng.integers(0, count, int(user.max(initial=0)) + 1)
    dealt = np.empty(len(user), dtype=np.int64)
    dealt[order] = (place + shift[owner]) % count
    return dealt


def precision_at_k(
    acts: History, scorer: Scorer, *, users: int, films: int, k: int = 5, fold_count: int = 5, seed: int = 0
) -> Precision:
    """Return the k-fold precision@k of a scorer.

    Args:
        acts: All interactions.
        scorer: Scores for some users given the train part.
        users: Number of users.
        films: Number of films; the candidates are all of them but the user's train films.
        k: Length of a slate.
        fold_count: Number of folds.
        seed: Seed of the folds.

    Raises:
        InvalidValueError: When ``k`` or ``fold_count`` lie outside their limits.
    """
    check_scalar(k, "k", ge=1, le=films)
    check_scalar(fold_count, "fold_count", ge=2, le=100)
    dealt = folds(acts.user, fold_count, seed)
    sums, counted, means = np.zeros(users), np.zeros(users), []
    for fold in range(fold_count):
        train, test = acts.part(dealt != fold), acts.part((dealt == fold) & acts.positive)
        relevant = np.unique(test.user)
        hits = np.concatenate(
            [
                _hits(relevant[low : low + USERS_AT_ONCE], train, test, scorer, films, k)
                for low in range(0, len(relevant), USERS_AT_ONCE)
            ]
        )
        # A user with nothing relevant in the fold has no precision: not estimable, never 0.
        means.append(float(hits.mean()))
        sums[relevant] += hits
        counted[relevant] += 1
    some = counted > 0
    return Precision(mean=float(np.mean(means)), folds=tuple(means), per_user=sums[some] / counted[some])


def _hits(rows: Ints, train: History, test: History, scorer: Scorer, films: int, k: int) -> Floats:
    scores = scorer(rows, train).copy()
    place = np.full(int(max(train.user.max(initial=0), rows.max())) + 1, -1)
    place[rows] = np.arange(len(rows))
    seen, wanted = np.isin(train.user, rows), np.isin(test.user, rows)
    scores[place[train.user[seen]], train.film[seen]] = -np.inf
    relevant = np.zeros((len(rows), films), dtype=np.bool_)
    relevant[place[test.user[wanted]], test.film[wanted]] = True
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    shares: Floats = np.take_along_axis(relevant, best, axis=1).sum(axis=1) / k
    return shares


def _lawful(world: World) -> npt.NDArray[np.bool_]:
    """Return whether each film may be shown to each user by region, shape (n_users, n_films)."""
    regions = world.users[User.REGION].to_numpy()
    masks = {
        region: np.array(
            [
                (not sold or region in sold) and region not in blocked
                for sold, blocked in zip(
                    world.films[Film.AVAILABLE_REGIONS], world.films[Film.BLOCKED_REGIONS], strict=True
                )
            ]
        )
        for region in set(regions)
    }
    return np.stack([masks[region] for region in regions])


def measure(world: World, *, k: int = 5, fold_count: int = 5, seed: int = 0) -> OracleReport:
    """Return how hard a world is.

    Args:
        world: A world with at least one positive interaction.
        k: Length of a slate.
        fold_count: Number of folds.
        seed: Seed of the folds.
    """
    acts, films, users = history(world), len(world.films), len(world.users)
    lawful = _lawful(world)

    def popular(rows: Ints, train: History) -> npt.NDArray[np.float32]:
        counts = np.bincount(train.film[train.positive], minlength=films).astype(np.float32)
        return np.broadcast_to(counts, (len(rows), films))

    def truth(rows: Ints, _: History) -> npt.NDArray[np.float32]:
        return world.truth.preference(rows)

    def lawful_truth(rows: Ints, _: History) -> npt.NDArray[np.float32]:
        return np.where(lawful[rows], world.truth.preference(rows), np.float32(-1e6)).astype(np.float32)

    def run(scorer: Scorer) -> Precision:
        return precision_at_k(acts, scorer, users=users, films=films, k=k, fold_count=fold_count, seed=seed)

    oracle = run(truth)
    liked = np.bincount(acts.user[acts.positive], minlength=users)
    chance = (
        liked[liked > 0]
        / fold_count
        / (films - (1 - 1 / fold_count) * np.bincount(acts.user, minlength=users)[liked > 0])
    )
    return OracleReport(
        k=k,
        folds=fold_count,
        users=len(oracle.per_user),
        popularity=run(popular).mean,
        oracle=oracle.mean,
        oracle_ci95=oracle.ci95,
        lawful_oracle=run(lawful_truth).mean,
        random=float(chance.mean()),
        positives_share=float(acts.positive.mean()),
    )
