"""Who comes on a day, when, and which films each request shows."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from data.synthetic.history.crowd import Crowd, Crowds
from data.synthetic.history.draws import CELL, Draw, Flags, Floats, Rows, Seconds, generator, mixed, spread, unit
from data.synthetic.history.plan import (
    ALLOCATED,
    LEAK_SHARE,
    LOSING_REGION,
    LOST_SHARE,
    STUFFED_SHARE,
    Experiment,
    Plan,
)
from data.synthetic.history.repertoire import SLOTS, Repertoire
from data.synthetic.history.slates import NO_FILM, NO_SLATES, POSITIONS, RealSlates
from data.synthetic.regions import REGION_CODES

SECONDS_A_DAY: Final = 86_400
DAY_ZERO: Final = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - only its number is used
WEEKDAYS: Final = (0.90, 0.87, 0.89, 0.95, 1.10, 1.20, 1.09)
"""Visits by day of the week, Monday first; mean one."""
HOURS: Final = (
    0.45, 0.22, 0.12, 0.08, 0.07, 0.10, 0.22, 0.42, 0.50, 0.48, 0.50, 0.60,
    0.78, 0.72, 0.62, 0.64, 0.78, 1.05, 1.55, 2.10, 2.55, 2.45, 1.75, 0.95,
)  # fmt: skip
"""Visits by hour of the region's own clock."""
HOURS_AHEAD: Final = {"US": -5, "CA": -5, "GB": 0, "FR": 1, "DE": 1, "ES": 1, "NL": 1, "KZ": 5, "UZ": 5, "KG": 6}
"""Clock of each region against UTC, in the order of REGIONS: standard time all year, so that no table of zones and
summer times on a machine changes a row."""
QUANTILES: Final = 960
MORE_SLATES: Final = 0.62
"""Probability that a request is the last of its visit."""
EVENTS_A_SLATE: Final = 6.07
BOT_VISITS, BOT_SLATES, BOT_GAP_S = 3.0, 30, 2.0
FARM_VISITS: Final = 4.0
FAVOURITE_SHARE: Final = 0.55
TRIES: Final = 12
LOOKED_BACK_DAYS: Final = 56
SALTS: Final = {"variant": 11, "allocated": 12, "lost": 13}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """The visits of one cell and day, by user and time, and their slates.

    Attributes:
        user: User of each visit, a row of the crowd, shape (n_visits,).
        start_s: Second of the day, shape (n_visits,).
        visit: Visit of each slate, shape (n_slates,).
        nth: Place of a slate in its visit, from 0, shape (n_slates,).
        real: Row of the real slate that was shown, -1 for others, shape (n_slates,).
    """

    user: Rows
    start_s: Seconds
    visit: Rows
    nth: Rows
    real: Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """What the experiment of a day does to a crowd.

    Attributes:
        experiment: The one that runs, if any.
        arm: 0 control, 1 treatment, -1 not in it, shape (n,).
        lost: Users whose events never arrive, shape (n,).
    """

    experiment: Experiment | None
    arm: npt.NDArray[np.int8]
    lost: Flags


def arms(plan: Plan, crowd: Crowd, day: int) -> Arms:
    """Return the arms of a crowd by a hash of the user and the experiment."""
    experiment = plan.experiment(day)
    arm = np.full(len(crowd), -1, dtype=np.int8)
    lost = np.zeros(len(crowd), dtype=np.bool_)
    if experiment is None:
        return Arms(experiment=None, arm=arm, lost=lost)
    salt = plan.experiments.index(experiment) * 100 + plan.spec.seed
    drawn = {name: unit(mixed(crowd.key, salt + number)) for name, number in SALTS.items()}
    # Robots ask without the client that assigns variants.
    inside = (drawn["allocated"] < ALLOCATED) & ~crowd.bot & ~crowd.farm
    arm[inside] = (drawn["variant"] < 0.5)[inside]  # noqa: PLR2004 - one half each
    if experiment.effect == "srm":
        lost = (arm == 1) & (crowd.region == REGION_CODES.index(LOSING_REGION)) & (drawn["lost"] < LOST_SHARE)
    return Arms(experiment=experiment, arm=arm, lost=lost)


def draw_visits(plan: Plan, crowd: Crowd, cell: int, day: int, arm: Arms, real: RealSlates = NO_SLATES) -> Visits:
    """Return the visits of a cell on a day; slates that the recommender really made come as the last visit."""
    rng = generator(plan.spec.seed, Draw.VISIT, cell, day)
    date = plan.spec.date_of(day)
    rate = crowd.activity * np.float32(_visits_a_day(plan) * WEEKDAYS[date.weekday()])
    rate = np.where(crowd.bot, BOT_VISITS * plan.bots.has(day), rate)
    rate = np.where(crowd.farm, rate + FARM_VISITS * plan.farm.has(day), rate)
    rate[(crowd.joined > date.toordinal() - DAY_ZERO) | arm.lost] = 0
    user, _ = spread(rng.poisson(rate))
    start = _starts(rng, crowd.region[user])
    slates = np.where(crowd.bot[user], BOT_SLATES, rng.geometric(MORE_SLATES, len(user)))
    visit, nth = spread(slates)
    visits = Visits(user=user, start_s=start, visit=visit, nth=nth, real=np.full(len(visit), -1, dtype=np.int32))
    return _with_real(visits, real, cell, day)


def _visits_a_day(plan: Plan) -> float:
    return plan.spec.events_per_user_week / 7 / EVENTS_A_SLATE * MORE_SLATES


def _starts(rng: np.random.Generator, region: npt.NDArray[np.int8]) -> Seconds:
    """Return seconds of the UTC day by the region's own evening."""
    table = _clocks()
    place = rng.random(len(region)) * QUANTILES
    low = place.astype(np.int64)
    below, above = table[region, low], table[region, low + 1]
    return below + (above - below) * (place - low)


def last_visits(plan: Plan, crowds: Crowds) -> Seconds:
    """Return when each user came last, in days since the start; NaN for who did not come in the last weeks.

    The draws of a day are the same whenever they are made, so that looking ahead changes nothing.
    """
    users = plan.spec.users
    found = np.full(users, np.nan)
    for cell in range(-(-users // CELL)):
        crowd = crowds.cell(cell)
        mine = found[cell * CELL : cell * CELL + len(crowd)]
        for day in range(plan.spec.days - 1, max(-1, plan.spec.days - 1 - LOOKED_BACK_DAYS), -1):
            visits = draw_visits(plan, crowd, cell, day, arms(plan, crowd, day))
            last = np.full(len(crowd), np.nan)
            np.fmax.at(last, visits.user, day + visits.start_s / SECONDS_A_DAY)
            np.copyto(mine, last, where=np.isnan(mine))
    return found


@cache
def _clocks() -> Seconds:
    """Return quantiles of the start of a visit in seconds of the UTC day, shape (n_regions, QUANTILES + 1)."""
    rows = []
    for ahead in HOURS_AHEAD.values():
        weights = np.roll(np.repeat(HOURS, 60), -60 * ahead)
        cumulated = np.concatenate([[0.0], np.cumsum(weights)]) / np.sum(weights)
        rows.append(np.interp(np.arange(QUANTILES + 1) / QUANTILES, cumulated, np.arange(1441) * 60.0))
    return np.array(rows)


def _with_real(visits: Visits, real: RealSlates, cell: int, day: int) -> Visits:
    """Return the visits with one more for each user whose slates of that day are known, as the day's last."""
    chosen = real.of(day, cell)
    if not len(chosen):
        return visits
    users, first = np.unique(real.user[chosen] - cell * CELL, return_index=True)
    counts = np.diff(np.append(first, len(chosen)))
    start = real.second[chosen][first]
    # Nothing comes after the last visit: what chance had put there never was.
    last = dict(zip(users.tolist(), start.tolist(), strict=True))
    before = np.array(
        [second < last.get(user, np.inf) for user, second in zip(visits.user, visits.start_s, strict=True)]
    )
    before = before.reshape(-1).astype(np.bool_)
    slates = np.bincount(visits.visit, minlength=len(visits.user))[before]
    user = np.concatenate([visits.user[before], users]).astype(np.int32)
    begun = np.concatenate([visits.start_s[before], start])
    counted = np.concatenate([slates, counts])
    rows = [np.full(count, -1) for count in slates] + np.split(chosen, first[1:])
    order = np.lexsort((begun, user))
    visit, nth = spread(counted[order])
    shown = np.concatenate([rows[place] for place in order]).astype(np.int32)
    return Visits(user=user[order], start_s=begun[order], visit=visit, nth=nth, real=shown)


class Screen:
    """Draws the films of slates.

    Args:
        plan: The plan.
        films: The films.
    """

    def __init__(self, plan: Plan, films: Repertoire) -> None:
        self._plan = plan
        self._films = films

    def show(self, crowd: Crowd, visits: Visits, cell: int, day: int) -> Rows:
        """Return the films of every slate, rows of the repertoire, NO_FILM at a short end, (n_slates, POSITIONS)."""
        rng = generator(self._plan.spec.seed, Draw.SHOW, cell, day)
        films, user = self._films, visits.user[visits.visit]
        shape = (len(user), POSITIONS)
        region = crowd.region[user].astype(np.int64)[:, None]
        favourite = rng.random(shape, dtype=np.float32) < FAVOURITE_SHARE
        genre = np.where(favourite, crowd.favourite[user][:, None] + 1, 0)
        film = films.tables[region, genre, rng.integers(0, SLOTS, shape, dtype=np.uint16)]
        if self._plan.version(day).leaks:
            film = self._leaking(rng, film)
        if day >= self._plan.stuffing_day:
            stuffed = rng.random(shape, dtype=np.float32) < STUFFED_SHARE
            film = np.where(stuffed, films.stuffed[rng.integers(0, len(films.stuffed), shape)], film)
        farmed = crowd.farm[user] & self._plan.farm.has(day)
        film[farmed, 0] = films.farmed
        return self._lawful(rng, film, crowd, visits, user, day)

    def _leaking(self, rng: np.random.Generator, film: Rows) -> Rows:
        """Return slates most of which go on with the lead of their first film."""
        films = self._films
        lead = films.lead[film[:, :1]]
        place = (rng.random(film.shape, dtype=np.float32) * films.lead_count[lead]).astype(np.int32)
        same = films.by_lead[films.lead_first[lead] + np.minimum(place, films.lead_count[lead] - 1)]
        follows = rng.random(film.shape, dtype=np.float32) < LEAK_SHARE
        follows[:, 0] = False
        return np.where(follows, same, film)

    def _lawful(self, rng: np.random.Generator, film: Rows, crowd: Crowd, visits: Visits, user: Rows, day: int) -> Rows:
        """Replace films that may not stand where they do, by others drawn anew."""
        gone = self._gone(visits, day)
        rows: Rows = np.arange(len(film), dtype=np.int32)
        for _ in range(TRIES):
            bad = self._forbidden(film[rows], crowd, user[rows], gone[rows], day)
            row, column = np.nonzero(bad)
            if not len(row):
                return film
            region = crowd.region[user[rows[row]]].astype(np.int64)
            film[rows[row], column] = self._films.tables[region, 0, rng.integers(0, SLOTS, len(row), dtype=np.uint16)]
            rows = rows[np.unique(row)]
        # A handful of slates: what is allowed is looked for one by one.
        for row in rows:
            self._search(film, int(row), crowd, user, gone, day)
        return film

    def _search(self, film: Rows, row: int, crowd: Crowd, user: Rows, gone: Flags, day: int) -> None:
        """Fill one slate with what is allowed; with too little of it the slate stays short."""
        count = len(self._films)
        everything = np.arange(count, dtype=np.int32)[:, None]
        alone, out = np.full(count, user[row]), np.full(count, gone[row])
        allowed = np.flatnonzero(~self._forbidden(everything, crowd, alone, out, day)[:, 0]).tolist()
        kept = [one for one in dict.fromkeys(film[row].tolist()) if one in set(allowed)]
        filled = [*kept, *(one for one in allowed if one not in kept)][:POSITIONS]
        film[row] = filled + [NO_FILM] * (POSITIONS - len(filled))

    def _forbidden(self, film: Rows, crowd: Crowd, user: Rows, gone: Flags, day: int) -> Flags:
        films = self._films
        bad = np.zeros(film.shape, dtype=np.bool_)
        for column in range(1, film.shape[1]):
            for earlier in range(column):
                bad[:, column] |= film[:, column] == film[:, earlier]
        if gone.any():
            bad |= gone[:, None] & films.provider_gone[film]
        if films.ruled:
            date = self._plan.spec.date_of(day).toordinal() - DAY_ZERO
            bad |= ~films.lawful[crowd.region[user].astype(np.int64)[:, None], film]
            bad |= films.released[film] > date
            bad |= films.minimum_age[film] > crowd.maximum_age[user][:, None]
            bad |= (films.genre_bits[film] & crowd.excluded[user][:, None]) != 0
        return bad

    def _gone(self, visits: Visits, day: int) -> Flags:
        """Return the slates requested while a provider of films is out, by the start of their visit."""
        outage = self._plan.provider_outage
        when = day + visits.start_s[visits.visit] / SECONDS_A_DAY
        inside: Flags = (when >= outage.first) & (when < outage.stop)
        return inside


def clicks_of(positions: int) -> Floats:
    """Return the factor of a click by position, from the first on."""
    return np.array([1 / (1 + 0.28 * place) for place in range(positions)], dtype=np.float32)
