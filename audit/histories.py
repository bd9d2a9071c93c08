"""Histories made up from tastes: a genre or two, what goes with them, and films that fit, popular ones more often.

No user's history is read. A taste is drawn from what the catalogue says of its films, so that any catalogue gives
tastes; films of the same taste that are kept back are what a good list should show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.acts import POSITIVE_RATING, Acts, likes
from workspace.columns import Film
from workspace.errors import NotEstimableError

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LIKED_SHARE: Final = 0.8
"""Share of a history that fits its taste; the rest was watched because everybody does, and liked less."""
_SECOND_GENRE_CHANCE: Final = 0.6
_SECOND_GENRE: Final = 0.7
_KEYWORDS: Final = 3
_KEYWORD: Final = 1.0
_SHARPNESS: Final = 2.0
_LEAST_FILMS: Final = 2
_DAYS: Final = 365.0
_LIKED: Final = (4.0, 4.5, 5.0)
_MIDDLING: Final = (2.0, 2.5, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What somebody likes, in words of the catalogue.

    Args:
        genres: One or two.
        keywords: Up to three that go with them; none where the catalogue has no keywords.
    """

    genres: tuple[str, ...]
    keywords: tuple[str, ...]

    @property
    def words(self) -> str:
        """The taste as a reader reads it."""
        return " and ".join(self.genres) + (f" ({', '.join(self.keywords)})" if self.keywords else "")


class Shelf:
    """The films histories are drawn from, with their genres and keywords as masks.

    Args:
        films: Films of the contract, n of them.
        lawful: Films that may be in a history, shape ``(n,)``.

    Raises:
        NotEstimableError: When no lawful film has a genre or a keyword: there is nothing to draw a taste from.
    """

    def __init__(self, films: pd.DataFrame, lawful: Mask) -> None:
        self.lawful = np.flatnonzero(lawful)
        self._genres = _named(films[Film.GENRES].tolist(), self.lawful)
        self._keywords = _named(films[Film.KEYWORDS].tolist(), self.lawful)
        self._keywords_of = films[Film.KEYWORDS].tolist()
        self._genre_names = sorted(self._genres) or sorted(self._keywords)
        if not self._genre_names:
            raise NotEstimableError(
                "a persona's history would be empty: no film that may be shown has a genre or a keyword",
                "a taste is drawn from them",
                "import films with genres",
            )
        masks = self._genres or self._keywords
        has = np.zeros((len(self._genre_names), len(films)), np.float32)
        for place, name in enumerate(self._genre_names):
            has[place, masks[name]] = 1.0
        self._together: Floats = (has @ has.T).astype(np.float64)
        self._size = len(films)
        self.popularity = _popularity(films)

    def draw(self, rng: np.random.Generator) -> Taste:
        """Draw a taste: a genre by its number of films, perhaps a second that occurs with it, keywords of one film."""
        masks = self._genres or self._keywords
        chosen = _pick(rng, np.diag(self._together))
        together = self._together[chosen].copy()
        together[chosen] = 0.0
        genres = [self._genre_names[chosen]]
        members = masks[genres[0]]
        if together.sum() and rng.random() < _SECOND_GENRE_CHANCE:
            genres.append(self._genre_names[_pick(rng, together)])
        anchor = int(members[_pick(rng, self.popularity[members])])
        # Rare keywords of a film say more of a taste than "drama" does; those of one film alone say nothing of others.
        shared = [word for word in dict.fromkeys(self._keywords_of[anchor]) if len(self._keywords.get(word, ())) > 1]
        shared.sort(key=lambda word: (len(self._keywords[word]), word))
        return Taste(genres=tuple(genres), keywords=tuple(shared[:_KEYWORDS]))

    def match(self, taste: Taste) -> Floats:
        """Return how well each film fits, 0 for not at all, shape ``(n,)``; 0 for what is not lawful."""
        masks = self._genres or self._keywords
        fit = np.zeros(self._size)
        for name, weight in zip(taste.genres, (1.0, _SECOND_GENRE), strict=False):
            fit[masks[name]] += weight
        for word in taste.keywords:
            fit[self._keywords[word]] += _KEYWORD
        return fit**_SHARPNESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Histories with what was kept back of each.

    Args:
        seen: Acts of users 0 … n − 1.
        relevant: Further films of the same taste, as acts nobody has done yet.
    """

    seen: Acts
    relevant: Acts


def draw_histories(
    shelf: Shelf, tastes: Sequence[Taste], *, copies: Sequence[int], length: int, before: float, seed: Sequence[int]
) -> Drawn:
    """Draw histories of a length from tastes.

    Args:
        shelf: The films.
        tastes: The tastes.
        copies: How many histories of each taste; they are users one after the other.
        length: Films of a history at most; fewer where the taste has no more.
        before: Day before which everything happened, days since 1970.
        seed: Of the draws; each taste has its own stream, so that one taste more changes no other.

    Raises:
        NotEstimableError: When a history would be empty.
    """
    seen: list[_Films] = []
    relevant: list[_Films] = []
    first = 0
    for place, (taste, count) in enumerate(zip(tastes, copies, strict=True)):
        rng = np.random.default_rng([*seed, place])
        drawn = _draw(shelf, shelf.match(taste), rng, count=count, length=length, before=before)
        if drawn is None:
            raise NotEstimableError(
                f"the history of taste {place} ({taste.words}) would be empty",
                "a persona needs at least one film it likes, and one kept back",
                "give a later date, or another seed",
            )
        seen.append(drawn[0].after(first))
        relevant.append(drawn[1].after(first))
        first += count
    return Drawn(seen=_joined(seen), relevant=_joined(relevant))


@dataclass(frozen=True, slots=True)
class _Films:
    """Ratings of the users of one taste: user, film row, stars, day."""

    users: Rows
    films: Rows
    stars: Floats
    days: Floats

    def after(self, first: int) -> "_Films":
        return _Films(self.users + first, self.films, self.stars, self.days)


def _draw(
    shelf: Shelf, fit: Floats, rng: np.random.Generator, *, count: int, length: int, before: float
) -> tuple[_Films, _Films] | None:
    """Draw histories and as many films kept back of each; None when there are not two films of the taste."""
    likely = shelf.lawful[fit[shelf.lawful] > 0]
    if len(likely) < _LEAST_FILMS:
        return None
    liked = max(1, round(length * LIKED_SHARE))
    chosen = _sample(rng, likely, fit[likely] * shelf.popularity[likely], count, liked + length)
    # Where the taste is short of films, history and films kept back share them evenly.
    half = min(liked, chosen.shape[1] // 2)
    mine, kept = chosen[:, :half], chosen[:, half:]
    others = np.setdiff1d(shelf.lawful, likely)
    common = _sample(rng, others, shelf.popularity[others], count, length - half if half == liked else 0)
    films = np.hstack([mine, common])
    values = np.hstack([rng.choice(_LIKED, mine.shape), rng.choice(_MIDDLING, common.shape)])
    days = before - 1.0 - np.floor(rng.random(films.shape) * _DAYS)
    # Ordered by film, so that sums over a history are taken in one order whatever order it was drawn in.
    order = np.argsort(films, axis=1)
    films, values = np.take_along_axis(films, order, axis=1), np.take_along_axis(values, order, axis=1)
    kept = np.sort(kept, axis=1)
    return (
        _Films(_owners(films), films.ravel(), values.ravel(), days.ravel()),
        _Films(_owners(kept), kept.ravel(), np.full(kept.size, max(_LIKED)), np.full(kept.size, before)),
    )


def _owners(films: Rows) -> Rows:
    return np.repeat(np.arange(films.shape[0]), films.shape[1])


def _sample(rng: np.random.Generator, rows: Rows, weights: Floats, times: int, count: int) -> Rows:
    """Draw rows without replacement, by weight, shape ``(times, min(count, len(rows)))``.

    The rows with the largest log-weight plus Gumbel noise are such a draw.

    Source: Kool, van Hoof & Welling, "Stochastic Beams and Where to Find Them" (ICML 2019), section 2.3.
    """
    keys = np.log(weights) + rng.gumbel(size=(times, len(rows)))
    best = np.argsort(-keys, axis=1, kind="stable")[:, :count]
    return rows[best]


def _joined(parts: Sequence[_Films]) -> Acts:
    return ratings(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.films for part in parts]),
        np.concatenate([part.stars for part in parts]),
        np.concatenate([part.days for part in parts]),
    )


def ratings(users: Rows, films: Rows, values: Floats, days: Floats) -> Acts:
    """Return ratings in stars as the acts the recommender reads."""
    kinds = np.full(len(films), "rated", dtype=object)
    return Acts(
        users=users,
        films=films,
        likes=likes(kinds, values),
        watched=np.ones(len(films), np.bool_),
        positive=values >= POSITIVE_RATING,
        days=days,
    )


def _named(cells: Sequence[Sequence[str]], rows: Rows) -> dict[str, Rows]:
    found: dict[str, list[int]] = {}
    for row in rows.tolist():
        for name in dict.fromkeys(cells[row]):
            found.setdefault(name, []).append(row)
    return {name: np.array(members, np.int64) for name, members in found.items()}


def _pick(rng: np.random.Generator, weights: Floats) -> int:
    return int(rng.choice(len(weights), p=weights / weights.sum()))


def _popularity(films: pd.DataFrame) -> Floats:
    """Return how often a film is met, by the rank of its popularity: 1 / √rank, since scales differ by provider."""
    for column in (Film.POPULARITY, Film.VOTE_COUNT):
        values = pd.to_numeric(films[column]).to_numpy(np.float64, na_value=np.nan)
        if np.isfinite(values).any():
            values = np.where(np.isfinite(values), values, -np.inf)
            rank = np.empty(len(values))
            rank[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
            return 1.0 / np.sqrt(rank)
    return np.ones(len(films))
