"""How interactions are split into what a recommender may see and what it is judged by.

In all protocols the candidates are the whole catalogue but the user's training films, and a test film is relevant when
it was rated 4 or more or watched to the end (>= 0.9); a thumbs-down or a dismissal never is.

- ``temporal``: per user with 10 interactions or more, ordered by (time, film id), the first ⌊0.8 n⌋ train,
  the rest test.
- ``random``: a seeded fifth of all rows is the test.
- ``kfold``: each user's interactions are dealt into five seeded folds; each fold is the test once.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from recommender.acts import Acts
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Protocol = Literal["temporal", "random", "kfold"]

PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)
MINIMUM_ACTS: Final = 10
TRAIN_SHARE: Final = 0.8
TEST_SHARE: Final = 0.2
FOLDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One training part and its test.

    Args:
        train: What may be seen.
        test: What the recommender is judged by.
        users: Users that count: those with a relevant test film that is still a candidate, increasing, shape ``(m,)``.
        days: When each of them asks: at their last training act, days since 1970, shape ``(m,)``.
        relevant_users: Place in ``users`` of each relevant (user, film) pair.
        relevant_films: Film row of each pair.
    """

    train: Acts
    test: Acts
    users: Rows
    days: Floats
    relevant_users: Rows
    relevant_films: Rows

    def relevant(self, n_films: int) -> Mask:
        """Return which films are relevant to each user that counts, shape ``(m, n_films)``."""
        out = np.zeros((len(self.users), n_films), np.bool_)
        out[self.relevant_users, self.relevant_films] = True
        return out

    def candidates(self, n_films: int) -> Mask:
        """Return which films are candidates of each user that counts, shape ``(m, n_films)``."""
        out = np.ones((len(self.users), n_films), np.bool_)
        places = _places(self.users, self.train.users)
        known = places >= 0
        out[places[known], self.train.films[known]] = False
        return out

    def of_users(self, places: Rows) -> Self:
        """Keep some of the users that count, named by their increasing places; the parts stay whole."""
        inside = np.isin(self.relevant_users, places)
        return replace(
            self,
            users=self.users[places],
            days=self.days[places],
            relevant_users=np.searchsorted(places, self.relevant_users[inside]),
            relevant_films=self.relevant_films[inside],
        )


def split(acts: Acts, protocol: Protocol, *, seed: int = 0) -> list[Split]:
    """Split interactions by a protocol.

    Args:
        acts: All interactions, ordered by user, time, film (as `Ground.acts` is).
        protocol: ``temporal``, ``random`` or ``kfold``.
        seed: Of the random protocols.

    Returns:
        One split, or one a fold.

    Raises:
        InvalidValueError: For an unknown protocol, or when no user is left to be judged.
    """
    if protocol not in PROTOCOLS:
        raise InvalidValueError(f"protocol == {protocol!r}", f"must be one of {', '.join(PROTOCOLS)}")
    check_scalar(seed, "seed", ge=0)
    tests = {"temporal": _temporal, "random": _random, "kfold": _kfold}[protocol](acts, seed)
    splits = [part(acts, test) for test in tests]
    if not any(len(one.users) for one in splits):
        raise InvalidValueError(
            f"protocol == {protocol!r} leaves no user with a relevant test film",
            f"must leave one with {MINIMUM_ACTS} interactions",
            "evaluate on a catalogue with more interactions",
        )
    return splits


def part(acts: Acts, test: Mask) -> Split:
    """Part interactions by a mask of the test rows."""
    train, held = acts.take(~test), acts.take(test)
    n_films = int(acts.films.max(initial=-1)) + 1
    pairs = np.unique(held.users[held.positive] * n_films + held.films[held.positive])
    # A film that is also in the training part is no candidate: nobody can be right about it.
    pairs = np.setdiff1d(pairs, train.users * n_films + train.films)
    owners, films = np.divmod(pairs, max(1, n_films))
    newest = np.full(int(acts.users.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(newest, train.users, train.days)
    # Without a training act there is no time to ask at, nor a history to be judged by.
    kept = np.isfinite(newest[owners])
    users = np.unique(owners[kept])
    return Split(
        train=train,
        test=held,
        users=users,
        days=newest[users],
        relevant_users=np.searchsorted(users, owners[kept]),
        relevant_films=films[kept],
    )


def _places(users: Rows, codes: Rows) -> Rows:
    if not len(users):
        return np.full(len(codes), -1, np.int64)
    places = np.minimum(np.searchsorted(users, codes), len(users) - 1)
    return np.where(users[places] == codes, places, -1)


def _ranks(acts: Acts) -> tuple[Rows, Rows]:
    """Return each act's place in its user's order, and how many acts the user has."""
    counts = np.bincount(acts.users)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    order = np.lexsort((acts.films, acts.days, acts.users))
    place = np.empty(len(acts), np.int64)
    place[order] = np.arange(len(acts)) - starts[acts.users[order]]
    return place, counts[acts.users]


def _temporal(acts: Acts, _: int) -> list[Mask]:
    place, count = _ranks(acts)
    # Whole numbers, since 0.8 n in floats may fall a hair under a whole number.
    return [(place >= count * round(TRAIN_SHARE * 100) // 100) & (count >= MINIMUM_ACTS)]


def _random(acts: Acts, seed: int) -> list[Mask]:
    chosen = np.zeros(len(acts), np.bool_)
    rng = np.random.default_rng(seed)
    chosen[rng.permutation(len(acts))[: round(TEST_SHARE * len(acts))]] = True
    return [chosen & (_ranks(acts)[1] >= MINIMUM_ACTS)]


def _kfold(acts: Acts, seed: int) -> list[Mask]:
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(acts)), acts.users))
    counts = np.bincount(acts.users)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(len(acts)) - starts[acts.users[order]]
    # Each user's first fold is drawn, so that the remainders don't all fall into fold 0.
    dealt = np.empty(len(acts), np.int64)
    dealt[order] = (place + rng.integers(0, FOLDS, len(counts))[acts.users[order]]) % FOLDS
    return [dealt == fold for fold in range(FOLDS)]
