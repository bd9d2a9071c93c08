"""What users do: choices by taste, fashion and chance, and how they felt about them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.synthetic.randomness import CELL, Draw, Floats, Ints, generator
from data.synthetic.shelf import Shelf, day_number
from data.synthetic.spec import WorldSpec
from data.synthetic.taste import TasteCell
from data.synthetic.truth import Filmographies
from data.synthetic.users import MICROSECONDS_PER_DAY, UserCell
from workspace.columns import Interaction

KINDS: Final = ("watched", "rated", "thumbs_down", "dismissed")
WATCHED, RATED, THUMBS_DOWN, DISMISSED = range(4)
WATCHED_TO_THE_END: Final = 0.9
LIKED_RATING: Final = 4.0

BLOCK_SCORES: Final = 4_000_000
"""Scores in memory at once; bounds the working set whatever the number of films."""
COLD_SHARE: Final = 0.02
COLD_LENGTH: Final = 4
LENGTH_SPREAD: Final = 0.28
CHANCE_OVERSAMPLING: Final = 2
SMALLEST_NOISE: Final = np.float32(1e-30)
MOOD: Final = 0.45
RATED_SHARE: Final = 0.55
ANNOYED_BELOW: Final = -1.0
THUMBS_FROM: Final = 0.8
BORED_BELOW: Final = -0.6
DISMISSAL_FROM: Final = 0.91
BURST_SHARE: Final = 0.35
BURST_DAYS: Final = 18.0
PREMIERE_SHARE: Final = 0.65
PREMIERE_DAYS: Final = 50.0
SETTLING_DAYS: Final = 45.0

INTERACTION_SCHEMA: Final = pa.schema(
    [
        (Interaction.USER, pa.string()),
        (Interaction.FILM, pa.string()),
        (Interaction.KIND, pa.string()),
        (Interaction.VALUE, pa.float32()),
        (Interaction.TS, pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Flat rows of interactions, by user row, then time, then film row."""

    user: Ints
    film: Ints
    kind: Ints
    value: npt.NDArray[np.float32]
    ts_us: Ints


class Behaviour:
    """Turns taste into history, cell by cell.

    Args:
        spec: The world.
        shelf: Its films.
        factors: Film factors, shape (n_films, d).
        people: Noticed people of each film, shape (n_films, 4).
        lawful: Whether a film may be shown in a region, shape (n_regions, n_films).
        minimum_age: Minimum age of each film, 0 where none, shape (n_films,).
    """

    def __init__(
        self,
        *,
        spec: WorldSpec,
        shelf: Shelf,
        factors: npt.NDArray[np.float32],
        people: npt.NDArray[np.int32],
        lawful: npt.NDArray[np.bool_],
        minimum_age: Ints,
    ) -> None:
        self._spec = spec
        self._shelf = shelf
        self._factors = np.ascontiguousarray(factors.T)
        self._filmographies = Filmographies(people)
        self._lawful = lawful
        self._minimum_age = minimum_age
        self._genres = np.zeros((len(shelf), int(shelf.genre.max()) + 1), dtype=np.bool_)
        for column in shelf.genre.T:
            here = np.flatnonzero(column >= 0)
            self._genres[here, column[here]] = True
        self._end = day_number(spec.end)
        on_sale = np.clip((self._end - shelf.release_day) / SETTLING_DAYS, 0.02, 1.0)
        self._pull = (spec.popularity_pull * shelf.fame + np.log(on_sale)).astype(np.float32)
        self._fashion = np.cumsum(np.exp(1.0 * shelf.fame) * on_sale)

    def act(self, cell: int, rows: range, users: UserCell, taste: TasteCell) -> Acts:
        """Return the interactions of the users of one cell."""
        wanted, by_chance = self._lengths(cell, users)
        choice = generator(self._spec.seed, Draw.CHOICE, cell)
        step = max(1, min(CELL, BLOCK_SCORES // len(self._shelf)))
        user, film, liking = [], [], []
        fashion = generator(self._spec.seed, Draw.SHELF, 2 * cell + 1)
        for low in range(0, CELL, step):
            block = slice(low, min(low + step, CELL))
            scores: npt.NDArray[np.float32] = taste.vectors[block] @ self._factors
            self._filmographies.add(scores, taste.favourites[block])
            allowed = self._allowed(users, block)
            noise = choice.standard_exponential(scores.shape, dtype=np.float32)
            chosen = self._chosen(scores, allowed, noise, wanted[block], by_chance[block], fashion)
            user.append(chosen[0] + low)
            film.append(chosen[1])
            liking.append(scores[chosen])
        return self._felt(cell, rows, users, taste, np.concatenate(user), np.concatenate(film), np.concatenate(liking))

    def _lengths(self, cell: int, users: UserCell) -> tuple[Ints, Ints]:
        """Return (by taste, by chance): how many films each user of the cell meets, shape (CELL,) each."""
        rng = generator(self._spec.seed, Draw.CHOICE, (1 << 40) + cell)
        mean = min(self._spec.interactions_per_user, len(self._shelf) / 4)
        present = np.clip((self._end - users.joined_day) / self._spec.days, 0.0, 1.0)
        length = mean * rng.lognormal(-(LENGTH_SPREAD**2) / 2, LENGTH_SPREAD, CELL) * (0.45 + 0.55 * present) * 1.12
        whole = np.clip(np.round(length), 1, len(self._shelf) // 3).astype(np.int64)
        cold = rng.random(CELL) < COLD_SHARE
        whole = np.where(cold, np.minimum(whole, rng.integers(0, COLD_LENGTH, CELL)), whole)
        by_chance = rng.binomial(whole, self._spec.chance_share)
        return whole - by_chance, by_chance

    def _allowed(self, users: UserCell, block: slice) -> npt.NDArray[np.bool_]:
        allowed = self._lawful[users.region[block]].copy()
        excluded = users.excluded[block, : self._genres.shape[1]]
        for row in np.flatnonzero(excluded.any(axis=1)):
            allowed[row] &= ~self._genres[:, excluded[row]].any(axis=1)
        limit = users.maximum_age[block]
        for row in np.flatnonzero(limit >= 0):
            allowed[row] &= self._minimum_age <= limit[row]
        return allowed

    def _chosen(
        self,
        scores: npt.NDArray[np.float32],
        allowed: npt.NDArray[np.bool_],
        noise: npt.NDArray[np.float32],
        by_taste: Ints,
        by_chance: Ints,
        fashion: np.random.Generator,
    ) -> tuple[Ints, Ints]:
        """Return (user, film) pairs: the best by taste plus Gumbel noise, then some by fashion, no film twice.

        Source: Kool, van Hoof, Welling (2019), Stochastic beams and where to find them: the k largest of
        utility + Gumbel noise are a sample without replacement from the softmax of the utilities.
        """
        films = len(self._shelf)
        # The log of a standard exponential is minus a Gumbel.
        utility = self._spec.sharpness * scores + self._pull - np.log(np.maximum(noise, SMALLEST_NOISE))
        utility[~allowed] = -np.inf
        most = int(max(1, by_taste.max()))
        best = np.argpartition(-utility, most - 1, axis=1)[:, :most]
        values = np.take_along_axis(utility, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
        user, place = np.nonzero((np.arange(most) < by_taste[:, None]) & np.isfinite(values))
        taken = user * films + best[user, place]
        tries = fashion.random((len(scores), max(1, CHANCE_OVERSAMPLING * int(by_chance.max()))))
        met = np.minimum(np.searchsorted(self._fashion, tries * self._fashion[-1], side="right"), films - 1)
        met_user = np.repeat(np.arange(len(scores)), met.shape[1])
        lawful = allowed[met_user, met.ravel()]
        keys = np.concatenate([taken, (met_user * films + met.ravel())[lawful]])
        first = np.sort(np.unique(keys, return_index=True)[1])
        extra = keys[first[first >= len(taken)]]
        owner = extra // films
        nth = np.arange(len(extra)) - np.searchsorted(owner, owner, side="left")
        keys = np.concatenate([taken, extra[nth < by_chance[owner]]])
        return keys // films, keys % films

    def _felt(
        self,
        cell: int,
        rows: range,
        users: UserCell,
        taste: TasteCell,
        user: Ints,
        film: Ints,
        liking: npt.NDArray[np.float32],
    ) -> Acts:
        """Return the acts: what was done, how it was valued and when."""
        rng = generator(self._spec.seed, Draw.SHELF, 2 * cell)
        # Draws go by the order of the pairs; sorting first makes that order one of rows, not of utilities.
        order = np.lexsort((film, user))
        user, film, liking = user[order], film[order], liking[order]
        joy = liking - taste.bar[user] + MOOD * rng.standard_normal(len(user))
        kind, value = _reactions(joy, rng)
        day = self._days(rng, film, users.joined_day[user])
        evening = np.clip(rng.normal(20.0, 3.2, len(user)) % 24, 0, 23.999)
        ts_us = day * MICROSECONDS_PER_DAY + (evening * 3600).astype(np.int64) * 1_000_000
        order = np.lexsort((film, ts_us, user))
        order = order[user[order] < len(rows)]
        return Acts(
            user=user[order] + rows.start, film=film[order], kind=kind[order], value=value[order], ts_us=ts_us[order]
        )

    def _days(self, rng: np.random.Generator, film: Ints, joined: Ints) -> Ints:
        """Return the day of each act: a premiere draws at once, a fashion for a while, the rest any day."""
        start, last = day_number(self._spec.start), self._end - 1
        release = self._shelf.release_day[film]
        low = np.minimum(np.maximum(np.maximum(start, joined), release), last)
        any_day = low + (rng.random(len(film)) * (last - low + 1)).astype(np.int64)
        burst = (self._shelf.burst_day[film] + BURST_DAYS * rng.standard_normal(len(film))).astype(np.int64)
        premiere = release + rng.exponential(PREMIERE_DAYS, len(film)).astype(np.int64)
        day = np.where(rng.random(len(film)) < BURST_SHARE, burst, any_day)
        day = np.where((release >= start) & (rng.random(len(film)) < PREMIERE_SHARE), premiere, day)
        return np.where((day < low) | (day > last), any_day, day)


def _reactions(joy: Floats, rng: np.random.Generator) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Return (kind, value) of each act from how much it was enjoyed; joy above 0 is a positive."""
    draw, luck = rng.random(len(joy)), rng.random(len(joy))
    kind = np.where(draw < RATED_SHARE, RATED, WATCHED)
    kind = np.where((joy < ANNOYED_BELOW) & (draw > THUMBS_FROM), THUMBS_DOWN, kind)
    kind = np.where((joy < BORED_BELOW) & (draw > DISMISSAL_FROM), DISMISSED, kind)
    stars = np.where(
        joy >= 0, np.round(2 * (LIKED_RATING + 0.75 * joy)) / 2, np.minimum(3.5, np.round(2 * (3.6 + 0.9 * joy)) / 2)
    )
    share = np.where(joy >= 0, 0.91 + 0.09 * luck, (0.89 + 0.3 * joy) * (0.5 + 0.5 * luck))
    value = np.select([kind == RATED, kind == WATCHED], [np.clip(stars, 0.5, 5.0), np.clip(share, 0.02, 1.0)], -1.0)
    return kind, np.round(value, 3).astype(np.float32)


def interaction_table(acts: Acts, user_ids: pa.Array, first_user: int, film_ids: pa.Array) -> pa.Table:
    """Return the contract rows of some acts.

    Args:
        acts: The acts.
        user_ids: Pseudonyms of the users from row ``first_user`` on.
        first_user: Row of the first of them.
        film_ids: Ids of all films.
    """
    return pa.table(
        [
            user_ids.take(pa.array(acts.user - first_user)),
            film_ids.take(pa.array(acts.film)),
            pa.array(KINDS).take(pa.array(acts.kind)),
            pa.array(acts.value),
            pa.array(acts.ts_us).cast(pa.timestamp("us", tz="UTC")),
        ],
        schema=INTERACTION_SCHEMA,
    )
