"""Which group of films is shown more, or less, than before: a studio that stuffs keywords, for example.

The share of a group in what is shown each day is held against the level before: of all pairs of a user and a film that
met on that day, so that a robot that is shown a film fifty times counts once. A share moves with chance and with the
tastes of whoever is there; the spread from day to day says by how much, and a change counts when it is beyond that,
beyond a least effect, and carried by the films of the group and not by one of them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.multiplicity import adjust
from monitoring.drift.dating import NORMAL_MAD
from monitoring.exposure.days import STUDIO, FilmDays
from monitoring.exposure.episodes import Episode, episodes

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_REL: Final = 0.3
"""Least change of a share worth an alarm, relative …"""
LEAST_ABS: Final = 0.01
"""… and of all impressions: a small studio may double unnoticed, since few users notice it."""
PENALTY: Final = 30.0
LEVEL: Final = 0.001
LEAST_A_DAY: Final = 5.0
"""A group with fewer impressions a day has no share worth following."""
MOST_GROUPS: Final = 10
FILM_RATIO: Final = 2.0
"""Without a catalogue: a film shown so many times as often as before may belong to a group that rose together."""
FILM_Z: Final = 5.0
LEAST_FILMS: Final = 3
SIDE_DAYS: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A group whose share changed.

    Args:
        attribute: What makes the group, for example the studio; empty when its films have nothing known in common.
        value: Which one.
        rows: Its films, places in the matrices.
        episode: When and by how much.
        p_value: Adjusted for everything looked at.
    """

    attribute: str
    value: str
    rows: NDArray[np.int64]
    episode: Episode
    p_value: float


def shifted_groups(table: FilmDays, attributes: pd.DataFrame, names: tuple[str, ...] = (STUDIO,)) -> list[Shift]:
    """Return the groups whose share of impressions changed, the largest change first.

    A group is found, its films are taken out, and the others are held against each other again: when one studio takes
    more, the rest don't all take less.

    Args:
        table: Impressions by film and day.
        attributes: Index: film ids; a column for each of ``names``.
        names: The attributes to group by.
    """
    known = attributes.reindex(list(table.films))
    groups = {
        (name, str(value)): np.asarray(rows, dtype=np.int64)
        for name in names
        for value, rows in sorted(known.reset_index(drop=True).groupby(name).indices.items())
        if value
    }
    found: list[Shift] = []
    gone = np.zeros(len(table.films), dtype=bool)
    for _ in range(MOST_GROUPS):
        best = _strongest(table, groups, gone)
        if best is None:
            break
        found.append(best)
        gone[best.rows] = True
    return found


def risen_films(table: FilmDays) -> list[Shift]:
    """Return groups of films that rose together on one day, found without knowing anything about them.

    For each day the fortnight after it is held against the fortnight before, film by film; the day on which most films
    doubled is the candidate, and the share of those films is then followed as that of a group.
    """
    found: list[Shift] = []
    told = np.zeros(table.users.shape, dtype=bool)
    nothing_gone = np.zeros(len(table.films), dtype=bool)
    for _ in range(MOST_GROUPS):
        rows = _doubled(table, told)
        shift = _followed(table, ("", ""), rows, nothing_gone) if len(rows) >= LEAST_FILMS else None
        if shift is None or shift.p_value >= LEVEL:
            break
        found.append(shift)
        stop = len(table.days) if shift.episode.stop is None else shift.episode.stop + SIDE_DAYS
        told[rows, max(0, shift.episode.first - SIDE_DAYS) : stop] = True
    return found


def _doubled(table: FilmDays, told: Flags) -> NDArray[np.int64]:
    """Return the films that doubled on the day on which most did, without those already told of that day."""
    days, best = len(table.days), np.empty(0, dtype=np.int64)
    sums, whole = _cumulated(table.users), _cumulated(_total(table)[None, :])[0]
    for day in range(SIDE_DAYS, days - LEAST_FILMS):
        stop = min(days, day + SIDE_DAYS)
        before, after = sums[:, day] - sums[:, day - SIDE_DAYS], sums[:, stop] - sums[:, day]
        quotient = (whole[stop] - whole[day]) / max(whole[day] - whole[day - SIDE_DAYS], 1.0)
        usual = before * quotient
        risen = (before > 0) & (after >= FILM_RATIO * usual) & ~told[:, day]
        risen &= after - usual >= FILM_Z * np.sqrt(usual * (1 + quotient) + 1)
        if risen.sum() > len(best):
            best = np.flatnonzero(risen)
    return best


def _total(table: FilmDays) -> Floats:
    out: Floats = table.users.sum(axis=0)
    return out


def _share(part: Floats, whole: Floats) -> tuple[Floats, Floats]:
    """Return the share of each day, NaN on a day without impressions, and the weight of each day."""
    share = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return share, np.where(np.isfinite(share), whole, 0.0)


def _moved(share: Floats) -> bool:
    """Tell whether any two days in a row lie far enough from the usual to be worth the search for the exact days."""
    pairs = (share[1:] + share[:-1]) / 2
    return bool(np.nanmax(pairs) - np.nanmin(pairs) >= LEAST_ABS)


def _strongest(table: FilmDays, groups: dict[tuple[str, str], NDArray[np.int64]], gone: Flags) -> Shift | None:
    total = table.users[~gone].sum(axis=0)
    shifts, p_values = [], []
    for key, films in groups.items():
        rows = films[~gone[films]]
        if len(rows) < 2 or table.users[rows].sum() < LEAST_A_DAY * len(table.days):  # noqa: PLR2004 - a group
            continue
        shift = _followed(table, key, rows, gone, total)
        shifts.append(shift)
        p_values.append(1.0 if shift is None else shift.p_value)
    if not shifts:
        return None
    adjusted = adjust(p_values, "bh")
    real = [
        Shift(attribute=one.attribute, value=one.value, rows=one.rows, episode=one.episode, p_value=float(p))
        for one, p in zip(shifts, adjusted, strict=True)
        if one is not None and p < LEVEL
    ]
    return max(real, key=lambda one: abs(one.episode.level - one.episode.before), default=None)


def _followed(
    table: FilmDays, key: tuple[str, str], rows: NDArray[np.int64], gone: Flags, total: Floats | None = None
) -> Shift | None:
    """Return the largest change of one group, if there is one worth an alarm."""
    from scipy import stats

    whole = table.users[~gone].sum(axis=0) if total is None else total
    share, weights = _share(table.users[rows].sum(axis=0), whole)
    if not _moved(share):
        return None
    found = [
        one
        for one in episodes(share, weights, least_rel=LEAST_REL, least_abs=LEAST_ABS, penalty=PENALTY)
        if _carried(table, rows, one, whole)
    ]
    if not found:
        return None
    best = max(found, key=lambda one: abs(one.z))
    # Any pair of days could have been its beginning and its end.
    p_value = min(1.0, 2 * float(stats.norm.sf(abs(best.z))) * len(table.days) ** 2 / 2)
    return Shift(attribute=key[0], value=key[1], rows=rows, episode=best, p_value=p_value)


def _carried(table: FilmDays, rows: NDArray[np.int64], episode: Episode, total: Floats) -> bool:
    """Tell whether the change is that of the group: it is still there without the film that changed most."""
    stop = episode.stop or len(table.days)
    begun = max(0, episode.first - 4 * SIDE_DAYS)
    before = table.users[rows, begun : episode.first].sum(axis=1) / total[begun : episode.first].sum()
    within = table.users[rows, episode.first : stop].sum(axis=1) / total[episode.first : stop].sum()
    change = within - before
    rest = np.ones(len(rows), dtype=bool)
    rest[np.argmax(np.abs(change))] = False
    left = change[rest].sum() / max(before[rest].sum(), 1e-12)
    whole = change.sum() / max(before.sum(), 1e-12)
    return bool(np.sign(left) == np.sign(whole) and abs(left) >= abs(whole) / 2)


def _cumulated(values: Floats) -> Floats:
    out: Floats = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return out


def robust_excess(values: Floats) -> Floats:
    """Return how far each value lies above the median of all, in robust standard deviations, shape (n,)."""
    centre = np.median(values)
    spread = NORMAL_MAD * np.median(np.abs(values - centre))
    out: Floats = (values - centre) / spread if spread > 0 else np.zeros(len(values))
    return out
