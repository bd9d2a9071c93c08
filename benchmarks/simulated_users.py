"""Simulated users whose truth is known: populations to draw from, and four weeks of them day by day."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.moments import Moments

Floats = NDArray[np.float64]

POPULATION: Final = 200_000
DAYS: Final = 28
A_DAY: Final = 60
"""New users of each arm a day where looks are daily."""


class Population:
    """Users of whom any number is drawn, with replacement.

    Args:
        values: Sums of each user, ``(users, d)``.
    """

    def __init__(self, values: Floats) -> None:
        self.means = values.mean(axis=0)
        # A column of ones first: one product of the drawn rows then has their count, their sums and their squares.
        self._off = np.column_stack([np.ones(len(values)), values - self.means])

    def rows(self, n: int, rng: np.random.Generator) -> Floats:
        """Return some users around the mean of all, ``(n, d)``."""
        return self._drawn(n, rng)[:, 1:]

    def draw(self, n: int, rng: np.random.Generator) -> Moments:
        """Return the moments of some users."""
        rows = self._drawn(n, rng)
        products = rows.T @ rows
        mean = products[0, 1:] / n
        comoments = products[1:, 1:] - n * np.outer(mean, mean)
        return Moments.from_sums(n, self.means + mean, (comoments + comoments.T) / 2)

    def _drawn(self, n: int, rng: np.random.Generator) -> Floats:
        return np.take(self._off, rng.integers(0, len(self._off), n, dtype=np.int32), axis=0)

    def skewness(self, n: int, rng: np.random.Generator) -> float:
        """Return the skewness of the numerator of some users."""
        x = self.rows(n, rng)[:, 0]
        off = x - x.mean()
        return float((off**3).mean() / (off**2).mean() ** 1.5)

    @property
    def ratio(self) -> float:
        """What is true: Σx / Σy of everybody."""
        return float(self.means[0] / self.means[1])


@cache
def shape(name: str, lift: float = 0.0, users: int = POPULATION) -> Population:
    """Return users whose sums look like those of a metric.

    Args:
        name: Name of the metric, as `experiments.metrics` has it.
        lift: Relative change of what the numerator counts.
        users: How many there are.
    """
    rng = np.random.default_rng([7, len(name)])
    shown = 1.0 + rng.negative_binomial(1.2, 0.03, users)
    if name == "ctr":
        taste = rng.beta(1.2, 13.8, users) * (1 + lift)
        return Population(np.stack([rng.binomial(shown.astype(int), np.minimum(taste, 1.0)), shown], axis=1))
    if name == "thumbs_down_rate":
        grumpy = rng.beta(0.15, 29.85, users) * (1 + lift)
        return Population(np.stack([rng.binomial(shown.astype(int), np.minimum(grumpy, 1.0)), shown], axis=1))
    if name in {"focus_s", "focus_s_uncapped"}:
        seconds = shown * rng.lognormal(1.0, 1.0, users) * rng.gamma(2.0, 0.5, users) * (1 + lift)
        if name == "focus_s":
            seconds = np.minimum(seconds, np.quantile(seconds, 0.99))
        return Population(np.stack([seconds, shown], axis=1))
    if name == "survey_score":
        answers = rng.binomial(4, 0.06, users)
        mood = rng.beta(4.0, 2.5, users)
        return Population(np.stack([answers + rng.binomial(4 * answers, mood) * (1 + lift), answers], axis=1))
    days = rng.geometric(0.12, users).clip(max=DAYS).astype(float)
    acts = rng.poisson(days * rng.gamma(1.5, 4.0, users) * (1 + lift))
    return Population(np.stack([acts, days], axis=1))


@cache
def before_and_after(columns: int, lift: float = 0.0) -> Population:
    """Return users with their values during and before an experiment: a mean and its covariate, or two ratios."""
    rng = np.random.default_rng([11, columns])
    habit = rng.gamma(1.5, 4.0, POPULATION)
    days, days_before = (rng.geometric(0.15, POPULATION).clip(max=DAYS).astype(float) for _ in range(2))
    now = rng.poisson(days * habit * (1 + lift)).astype(float)
    earlier = rng.poisson(days_before * habit).astype(float)
    if columns == 2:
        return Population(np.stack([now / days, earlier / days_before], axis=1))
    return Population(np.stack([now, days, earlier, days_before], axis=1))


def new_users(lift: float, rng: np.random.Generator) -> list[Moments]:
    """Return the users so far after each day, nobody coming twice."""
    users = shape("ctr", lift)
    off = users.rows(A_DAY * DAYS, rng)
    products = off[:, :, None] * off[:, None, :]
    sums = off.reshape(DAYS, A_DAY, 2).sum(axis=1).cumsum(axis=0)
    squares = products.reshape(DAYS, A_DAY, 2, 2).sum(axis=1).cumsum(axis=0)
    return _moments(A_DAY * np.arange(1, DAYS + 1), sums, squares, np.tile(users.means, (DAYS, 1)))


@cache
def _lives(lift: float) -> tuple[Floats, Floats]:
    """Return the centre of each day ``(days, 2)`` and sums of each user ``(users, days, 6)``.

    A user is exposed on a day of the four weeks, most of them early as in any experiment, and comes back on some
    days, the keener the more often; the six are: exposed, two centred totals, and their three products.
    """
    rng = np.random.default_rng(13)
    users = 20_000
    first = np.minimum(rng.geometric(0.10, users) - 1, DAYS - 1)
    keen, taste = rng.beta(1.0, 4.0, users), np.minimum(rng.beta(1.2, 13.8, users) * (1 + lift), 1.0)
    day = np.arange(DAYS)
    here = (day == first[:, None]) | ((day > first[:, None]) & (rng.random((users, DAYS)) < keen[:, None]))
    shown = here * (1 + rng.negative_binomial(1.2, 0.12, (users, DAYS)))
    clicks = rng.binomial(shown, taste[:, None])
    totals = np.stack([clicks, shown], axis=2).cumsum(axis=1).astype(float)
    exposed = (day >= first[:, None]).astype(float)
    centre = totals.sum(axis=0) / exposed.sum(axis=0)[:, None]
    off = (totals - centre) * exposed[:, :, None]
    x, y = off[..., 0], off[..., 1]
    return centre, np.stack([exposed, x, y, x * x, x * y, y * y], axis=2)


def returning_users(lift: float, rng: np.random.Generator) -> list[Moments]:
    """Return the users so far after each day, with what each did up to then."""
    centre, lives = _lives(lift)
    found = lives[rng.integers(0, len(lives), A_DAY * DAYS)].sum(axis=0)
    return _moments(found[:, 0], found[:, 1:3], found[:, [3, 4, 4, 5]].reshape(DAYS, 2, 2), centre)


def _moments(n: NDArray[np.generic], sums: Floats, squares: Floats, centre: Floats) -> list[Moments]:
    means = sums / n[:, None]
    comoments = squares - n[:, None, None] * means[:, :, None] * means[:, None, :]
    return [Moments.from_sums(int(n[at]), centre[at] + means[at], comoments[at]) for at in range(len(n))]
