"""What users do with what they are shown: clicks, looks, thumbs-down, refreshes and answers to surveys."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from data.synthetic.history.crowd import MARKET_OF_REGION, Crowd
from data.synthetic.history.draws import Draw, Flags, Floats, Ints, Rows, Seconds, generator
from data.synthetic.history.plan import DRIFT_MARKET, INCIDENT_FACTOR, Plan
from data.synthetic.history.repertoire import Repertoire
from data.synthetic.history.slates import NO_FILM
from data.synthetic.history.visits import BOT_GAP_S, SECONDS_A_DAY, Arms, Visits, clicks_of
from data.synthetic.regions import MARKETS

EVENT_TYPES: Final = ("impression", "click", "focus", "thumbs_down", "refresh", "survey")
CLICK_LEVEL: Final = 0.1064
FAVOURITE_PULL, OTHER_PULL = 1.45, 0.75
DRIFT_PULL, DRIFT_OTHER = 1.45, 0.68
FARM_CLICKS: Final = 0.92
BOT_CLICKS: Final = 0.35
MOST_LIKELY: Final = 0.95
LOOK_AFTER_CLICK, LOOK_WITHOUT = 0.85, 0.03
DWELL_MEDIAN_S, DWELL_SPREAD, LONGEST_DWELL_S = 14.0, 0.9, 600.0
GLANCE: Final = 0.35
THUMBS_LEVEL: Final = 0.011
REFRESH_LEVEL: Final = 0.12
ANSWER_LEVEL: Final = 0.055
ANSWER_ENGAGEMENT: Final = 0.6
ANSWERS_AT_THE_END: Final = 0.35
"""Share of the first day's willingness to answer that is left on the last."""
SCORE_MEAN, SCORE_SPREAD, SCORE_NOISE = 3.5, 0.8, 0.45
PAUSE_S, PAUSE_SPREAD = 22.0, 0.6
MICROSECONDS: Final = 1_000_000
RENDER_S: Final = 0.02
_DAY_BITS: Final = 37


class Type(IntEnum):
    """Types of event by their place in `EVENT_TYPES`."""

    IMPRESSION = 0
    CLICK = 1
    FOCUS = 2
    THUMBS_DOWN = 3
    REFRESH = 4
    SURVEY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Events of one cell and day, by user and time.

    Attributes:
        slate: Slate of each event; for a survey the last one before it, shape (n,).
        place: Place in the slate from 0, -1 where no film is named, shape (n,).
        kind: A `Type`, shape (n,).
        second: Second of the day, shape (n,).
        value: Dwell in seconds or score, NaN where none, shape (n,).
    """

    slate: Rows
    place: npt.NDArray[np.int16]
    kind: npt.NDArray[np.int8]
    micros: Ints
    value: Seconds


class Reactions:
    """Turns slates into events.

    Args:
        plan: The plan.
        films: The films.
    """

    def __init__(self, plan: Plan, films: Repertoire) -> None:
        self._plan = plan
        self._films = films
        self._new_genre = int(np.argsort(films.shares, kind="stable")[len(films.shares) // 2])

    @property
    def drift_genre(self) -> str:
        """The genre that comes into fashion in the market whose taste drifts."""
        return self._films.genres[self._new_genre]

    def act(self, crowd: Crowd, visits: Visits, film: Rows, arm: Arms, cell: int, day: int) -> Acts:
        """Return the events of a cell on a day.

        Args:
            crowd: The users.
            visits: Their visits.
            film: Films of the slates, -1 where a slate is shorter, shape (n_slates, k).
            arm: The experiment.
            cell: The cell.
            day: The day.
        """
        rng = generator(self._plan.spec.seed, Draw.ACT, cell, day)
        user = visits.user[visits.visit]
        there, bot = film != NO_FILM, crowd.bot[user]
        uniform = [rng.random(film.shape, dtype=np.float32) for _ in range(3)]
        chance = self._clicks(crowd, user, film, arm, day)
        clicked = there & (uniform[0] < chance)
        looked = there & (uniform[1] < np.where(clicked, LOOK_AFTER_CLICK, LOOK_WITHOUT))
        looked = np.where(bot[:, None], clicked, looked)
        thumbs = crowd.thumbs[user] * _by_arm(arm, user, arm.experiment.thumbs_factor() if arm.experiment else 1.0)
        disliked = there & ~clicked & (uniform[2] < np.float32(THUMBS_LEVEL) * (thumbs * ~bot)[:, None])
        dwell = self._dwell(rng, looked, clicked, bot)
        start, gap = _times(rng, visits, dwell, bot)
        refreshed = np.flatnonzero(rng.random(len(user), dtype=np.float32) < REFRESH_LEVEL)
        last = np.flatnonzero(np.append(visits.visit[1:] != visits.visit[:-1], len(user) > 0)[: len(user)])
        answered, score = self._answers(rng, crowd, user[last], day)
        drawn = {Type.CLICK: clicked, Type.FOCUS: looked, Type.THUMBS_DOWN: disliked}
        parts = [self._shown(there, start)]
        parts += [_named(rng, kind, flags, start, gap, dwell) for kind, flags in drawn.items()]
        parts.append(_unnamed(Type.REFRESH, refreshed, start + 0.9 * gap, np.full(len(refreshed), np.nan)))
        parts.append(_unnamed(Type.SURVEY, last[answered], start + 0.95 * gap, score))
        return _ordered(parts, user)

    def _clicks(self, crowd: Crowd, user: Rows, film: Rows, arm: Arms, day: int) -> Floats:
        """Return the probability of a click on each film, shape (n_slates, k)."""
        films, plan = self._films, self._plan
        level = np.float32(CLICK_LEVEL) * crowd.clicks[user]
        level *= _by_arm(arm, user, arm.experiment.click_factor(day) if arm.experiment else 1.0)
        favourite = films.genre[film] == crowd.favourite[user][:, None]
        pull = np.where(favourite, np.float32(FAVOURITE_PULL), np.float32(OTHER_PULL))
        if day >= plan.drift_day:
            drifted = MARKET_OF_REGION[crowd.region[user]] == MARKETS.index(DRIFT_MARKET)
            wanted = films.genre[film[drifted]] == self._new_genre
            pull[drifted] = np.where(wanted, np.float32(DRIFT_PULL), np.float32(DRIFT_OTHER))
        chance: Floats = level[:, None] * pull * clicks_of(film.shape[1]) * films.quality[film]
        if plan.incident.has(day):
            chance = np.where(films.broken[film], chance * np.float32(INCIDENT_FACTOR), chance)
        farm = crowd.farm[user] & plan.farm.has(day)
        chance[farm] = np.where(film[farm] == films.farmed, np.float32(FARM_CLICKS), chance[farm])
        chance[crowd.bot[user]] = BOT_CLICKS
        return np.minimum(chance, np.float32(MOST_LIKELY))

    def _dwell(self, rng: np.random.Generator, looked: Flags, clicked: Flags, bot: Flags) -> Seconds:
        """Return the seconds of looking at each film, 0 where nobody looked, shape (n_slates, k)."""
        dwell = np.zeros(looked.shape)
        seconds = DWELL_MEDIAN_S * np.exp(DWELL_SPREAD * rng.standard_normal(int(looked.sum())))
        # Who does not click only glances; a robot does not look at all.
        seconds *= np.where(clicked[looked], 1.0, GLANCE) * ~np.repeat(bot[:, None], looked.shape[1], axis=1)[looked]
        dwell[looked] = np.minimum(np.round(seconds, 2), LONGEST_DWELL_S)
        return dwell

    def _answers(self, rng: np.random.Generator, crowd: Crowd, user: Rows, day: int) -> tuple[Rows, Seconds]:
        """Return which visits end with an answer, and the scores."""
        spec = self._plan.spec
        left = 1.0 - (1.0 - ANSWERS_AT_THE_END) * day / max(1, spec.days - 1) if spec.planted else 1.0
        willing = np.exp(ANSWER_ENGAGEMENT * crowd.engagement[user] - ANSWER_ENGAGEMENT**2 / 2)
        chance = ANSWER_LEVEL * left * willing * ~crowd.bot[user]
        answered = np.flatnonzero(rng.random(len(user)) < chance).astype(np.int32)
        noise = SCORE_NOISE * rng.standard_normal(len(answered))
        score = np.round(SCORE_MEAN + SCORE_SPREAD * crowd.sentiment[user[answered]] + noise)
        return answered, np.clip(score, 1.0, 5.0)

    @staticmethod
    def _shown(there: Flags, start: Seconds) -> "_Part":
        flat = np.flatnonzero(there)
        slate, place = flat // there.shape[1], flat % there.shape[1]
        return _Part(
            kind=Type.IMPRESSION,
            slate=slate,
            place=place,
            second=start[slate] + RENDER_S * place,
            value=np.full(len(flat), np.nan),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Events of one type."""

    kind: Type
    slate: Ints
    place: Ints
    second: Seconds
    value: Seconds


def _by_arm(arm: Arms, user: Rows, factor: float) -> Floats:
    return np.where(arm.arm[user] == 1, np.float32(factor), np.float32(1.0))


def _times(rng: np.random.Generator, visits: Visits, dwell: Seconds, bot: Flags) -> tuple[Seconds, Seconds]:
    """Return when each slate was shown, in seconds of the day, and how long it stood; all within the day."""
    pause = PAUSE_S * np.exp(PAUSE_SPREAD * rng.standard_normal(len(bot)))
    gap = np.where(bot, BOT_GAP_S, np.minimum(pause, 20 * PAUSE_S) + dwell.sum(axis=1))
    before = np.cumsum(gap) - gap
    first = np.flatnonzero(visits.nth == 0)
    length = np.add.reduceat(gap, first) if len(first) else gap
    # A visit that would pass midnight begins a little earlier: an event of a day lies in that day.
    begun = np.maximum(np.minimum(visits.start_s, SECONDS_A_DAY - 1 - length), 0.0)
    since = before - before[first][visits.visit] if len(first) else before
    return begun[visits.visit] + since, gap


def _named(rng: np.random.Generator, kind: Type, flags: Flags, start: Seconds, gap: Seconds, dwell: Seconds) -> _Part:
    """Return events that name a film: somewhere in the time its slate stood."""
    flat = np.flatnonzero(flags)
    slate, place = flat // flags.shape[1], flat % flags.shape[1]
    share = 0.1 + 0.35 * rng.random(len(flat)) + (0.4 if kind == Type.FOCUS else 0.0)
    value = dwell[slate, place] if kind == Type.FOCUS else np.full(len(flat), np.nan)
    return _Part(kind=kind, slate=slate, place=place, second=start[slate] + share * gap[slate], value=value)


def _unnamed(kind: Type, slate: npt.NDArray[np.integer], second: Seconds, value: Seconds) -> _Part:
    place = np.full(len(slate), NO_FILM)
    return _Part(kind=kind, slate=slate.astype(np.int64), place=place, second=second[slate], value=value)


def _ordered(parts: list[_Part], user: Rows) -> Acts:
    slate = np.concatenate([part.slate for part in parts])
    micros = (np.concatenate([part.second for part in parts]) * MICROSECONDS).astype(np.int64)
    micros = np.minimum(micros, SECONDS_A_DAY * MICROSECONDS - 1)
    order = np.argsort((user[slate].astype(np.int64) << _DAY_BITS) | micros, kind="stable")
    kind = np.repeat(np.array([part.kind for part in parts], dtype=np.int8), [len(part.slate) for part in parts])
    return Acts(
        slate=slate[order].astype(np.int32),
        place=np.concatenate([part.place for part in parts])[order].astype(np.int16),
        kind=kind[order],
        micros=micros[order],
        value=np.concatenate([part.value for part in parts])[order],
    )
