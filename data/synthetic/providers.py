"""Two independent feeds about the films of a world: different coverage, gaps, disagreements and dirty rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.synthetic.randomness import Draw, generator
from data.synthetic.world import World
from workspace.columns import Film

AURORA: Final = "aurora"
BOREAL: Final = "boreal"
COVERAGE: Final = 0.95
RUNTIME_SHARE: Final = 0.06
SPELLING_SHARE: Final = 0.02
DUPLICATE_SHARE: Final = 0.02
BROKEN_SHARE: Final = 0.02
DAY_US: Final = 86_400_000_000
BROKEN_DATES: Final = ("2021-13-45", "soon", "0000-00-00", "31/02/1998", "19770-5-1")

ABSENT: Final = {AURORA: (Film.WRITERS,), BOREAL: (Film.TAGLINE, Film.POPULARITY)}
"""Columns a feed does not have at all."""

GAPS: Final = {
    AURORA: {
        Film.TAGLINE: 0.1,
        Film.RUNTIME_MIN: 0.03,
        Film.KEYWORDS: 0.04,
        Film.STUDIOS: 0.08,
        Film.AGE_RATING: 0.05,
        Film.ORIGINAL_TITLE: 0.05,
    },
    BOREAL: {
        Film.SYNOPSIS: 0.08,
        Film.KEYWORDS: 0.12,
        Film.CAST: 0.05,
        Film.RUNTIME_MIN: 0.05,
        Film.VOTE_AVERAGE: 0.06,
        Film.COLLECTION: 0.1,
        Film.AGE_RATING: 0.1,
    },
}
"""Share of rows in which a field is missing; at most one feed lacks a field of a film both carry."""

SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (
    lambda title: title.removeprefix("The "),
    str.upper,
    lambda title: title.replace(" and ", " & "),
    lambda title: f"{title} (uncut)",
    lambda title: title.replace(":", " –"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Who carries what: masks over the films, and per field who lacks it."""

    carried: dict[str, npt.NDArray[np.bool_]]
    lacking: dict[str, dict[str, npt.NDArray[np.bool_]]]


def providers(world: World) -> dict[str, pd.DataFrame]:
    """Return the two feeds, by provider.

    Each carries about 95 % of the films and every film is in at least one of them. Release dates are ISO text, as feeds
    deliver them, and a few are broken; some ids occur twice, a few titles are missing. Legal blocks and availability
    are never missing and never in dispute. Rows are dirty only for films that the other feed carries clean, so that the
    two together give every film of the world.

    Args:
        world: The world the feeds describe.

    Returns:
        ``{"aurora": frame, "boreal": frame}``, columns a subset of ``Film.ALL``.
    """
    plan = _plan(world)
    return {name: _feed(world, name, plan, row) for row, name in enumerate((AURORA, BOREAL))}


def _plan(world: World) -> _Plan:
    rng = generator(world.spec.seed, Draw.PROVIDER)
    films = len(world.films)
    absent = rng.random(films)
    carried = {AURORA: absent >= 1 - COVERAGE, BOREAL: (absent < 1 - COVERAGE) | (absent >= 2 * (1 - COVERAGE))}
    both = carried[AURORA] & carried[BOREAL]
    lacking: dict[str, dict[str, npt.NDArray[np.bool_]]] = {AURORA: {}, BOREAL: {}}
    for name, other in ((AURORA, BOREAL), (BOREAL, AURORA)):
        for field, share in GAPS[name].items():
            if field not in ABSENT[other]:
                taken = lacking[other].get(field, np.zeros(films, dtype=np.bool_))
                lacking[name][field] = both & ~taken & (rng.random(films) < share)
    return _Plan(carried=carried, lacking=lacking)


def _feed(world: World, name: str, plan: _Plan, row: int) -> pd.DataFrame:
    rng = generator(world.spec.seed, Draw.PROVIDER, row + 1)
    feed = world.films.copy()
    films = len(feed)
    feed[Film.PROVIDER] = name
    feed[Film.RELEASE_DATE] = feed[Film.RELEASE_DATE].dt.strftime("%Y-%m-%d").astype(object)
    if name == BOREAL:
        _differ(feed, rng)
    for field, lacks in plan.lacking[name].items():
        for column in (Film.AGE_RATING, Film.MINIMUM_AGE) if field == Film.AGE_RATING else (field,):
            feed[column] = _without(feed[column], lacks)
    both = plan.carried[AURORA] & plan.carried[BOREAL]
    # Odd films are dirty in one feed, even ones in the other, and only where the other feed lacks nothing.
    prone = both & (np.arange(films) % 2 == row)
    for lacks in plan.lacking[BOREAL if name == AURORA else AURORA].values():
        prone &= ~lacks
    broken = np.flatnonzero(prone & (rng.random(films) < BROKEN_SHARE))
    feed.loc[broken, Film.RELEASE_DATE] = [BROKEN_DATES[place % len(BROKEN_DATES)] for place in range(len(broken))]
    untitled = np.flatnonzero(prone & (rng.random(films) < BROKEN_SHARE))
    feed.loc[untitled, Film.TITLE] = ""
    twice = feed[prone & (rng.random(films) < DUPLICATE_SHARE)].copy()
    twice[Film.UPDATED_AT] -= pd.Timedelta(days=30)
    feed = feed[plan.carried[name]].drop(columns=list(ABSENT[name]))
    return pd.concat([feed, twice.drop(columns=list(ABSENT[name]))], ignore_index=True)


def _differ(feed: pd.DataFrame, rng: np.random.Generator) -> None:
    """Let a feed disagree with the world in runtime, spelling and the moment of its updates, in place."""
    films = len(feed)
    off = rng.choice([-4, -3, -2, 2, 3, 5], films) * (rng.random(films) < RUNTIME_SHARE)
    feed[Film.RUNTIME_MIN] = np.maximum(feed[Film.RUNTIME_MIN] + off, 40.0)
    titles: list[str] = feed[Film.TITLE].tolist()
    for place in np.flatnonzero(rng.random(films) < SPELLING_SHARE).tolist():
        titles[place] = SPELLINGS[place % len(SPELLINGS)](titles[place])
    feed[Film.TITLE] = pd.array(titles, dtype="str")
    lag = (rng.exponential(2.0, films) * DAY_US).astype(np.int64)
    feed[Film.UPDATED_AT] -= pd.to_timedelta(lag, unit="us")


def _without(column: pd.Series, lacks: npt.NDArray[np.bool_]) -> pd.Series:
    """Return the column with nothing where it is lacking: empty list, empty text or no number."""
    if column.name in Film.LISTS:
        values: list[Any] = [[] if lacking else value for value, lacking in zip(column, lacks, strict=True)]
        return pd.Series(values, dtype=object, index=column.index)
    return column.mask(lacks, "" if column.name in Film.TEXTS else np.nan)
