"""Films that were not shown for a while, all of them at once: a provider that failed, for example.

A film that is usually shown e times in a span is not shown at all with probability exp(-e) by chance. Over all films,
a span in which a part of them is gone is told from chance by the likelihood of a mixture: a share pi of the films is
gone and shows nothing, the others are shown as ever. The span with the largest likelihood ratio is the candidate. Days
are searched first; a gap of hours shows as days on which the mix of films is unusual, and there the hours are searched.

Source: the scan statistic over spans is Kulldorff 1997, "A spatial scan statistic", Communications in Statistics
26:1481, in time; the mixture is the zero-inflated Poisson of Lambert 1992, Technometrics 34:1.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitoring.drift.dating import CONFIDENCE_DROP
from monitoring.exposure.days import FilmDays
from monitoring.exposure.shares import robust_excess
from monitoring.ground import Ground
from workspace.columns import Event, Rollup

if TYPE_CHECKING:
    from telemetry.warehouse.sql import Value

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LONGEST_DAYS: Final = 14
LEAST_RATIO: Final = 30.0
"""Log likelihood ratio a gap must reach: with some thousand spans, about one chance in 10^9 for each history."""
LEAST_FILMS: Final = 3
LEAST_SHARE: Final = 0.02
"""A gap counts when the films that are gone usually make up so much of the impressions."""
UNUSUAL: Final = 6.0
"""Robust standard deviations above which the mix of films of a day is unusual."""
MOST_DAYS: Final = 8
"""Days whose hours are looked at in one run, the newest first."""
CAP: Final = 16.0
"""One film's share in the mix of a day is cut: a single film is another detector's business."""
LEAST_EXPECTED: Final = 3.0
"""A film that is usually shown fewer times in the gap can't be told to be gone."""
LINGERS: Final = 0.05
"""So much of its usual share a group may still have in a gap: visits that began before it go on."""
LINGERS_FOR: Final = dt.timedelta(minutes=5)
_PARTS: Final = np.array([0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8])
_MOST_FILMS: Final = 4_000
_HOUR: Final = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanished:
    """Films that were gone in a span.

    Args:
        first: First slot of the span.
        stop: The slot after its last.
        ratio: Log likelihood ratio against chance.
        gone: Which films, shape (n_films,).
        expected: How often each would have been shown, shape (n_films,).
    """

    first: int
    stop: int
    ratio: float
    gone: Flags
    expected: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A gap in time.

    Args:
        at: Its beginning.
        low: The earliest it can have begun.
        high: The latest.
        ended: Its end; None while it lasts.
        found: The films.
    """

    at: dt.datetime
    low: dt.datetime
    high: dt.datetime
    ended: dt.datetime | None
    found: Vanished


def vanished(counts: Floats, expected: Floats, *, longest: int) -> Vanished | None:
    """Return the span of slots in which a group of films was gone, if chance does not explain it.

    Args:
        counts: Impressions, shape (n_films, n_slots).
        expected: How many there usually are, the same shape; 0 where a film is not expected.
        longest: Longest span, in slots.
    """
    slots = counts.shape[1]
    shown, usual = _cumulated(counts), _cumulated(expected)
    top, first, stop = LEAST_RATIO, 0, 0
    for length in range(1, min(longest, slots) + 1):
        zero = shown[:, length:] == shown[:, :-length]
        mean = usual[:, length:] - usual[:, :-length]
        # Where nobody is expected to be shown much, nothing can be seen to be missing.
        if not (zero & (mean >= LEAST_EXPECTED)).any():
            continue
        ratio = _ratio(zero, mean)
        place = int(np.argmax(ratio))
        if ratio[place] > top:
            top, first, stop = float(ratio[place]), place, place + length
    if stop == 0:
        return None
    mean = usual[:, stop] - usual[:, first]
    gone = (shown[:, stop] == shown[:, first]) & (mean >= LEAST_EXPECTED)
    if gone.sum() < LEAST_FILMS or mean[gone].sum() < LEAST_SHARE * mean.sum():
        return None
    return Vanished(first=first, stop=stop, ratio=top, gone=gone, expected=mean)


def usual(table: FilmDays) -> Floats:
    """Return how often each film would be shown on each day: its share of what is alive times the day's impressions."""
    alive = table.alive()
    total = table.total
    share = table.impressions.sum(axis=1) / np.maximum((alive * total).sum(axis=1), 1.0)
    out: Floats = share[:, None] * alive * total
    return out


def unusual_days(table: FilmDays) -> list[int]:
    """Return the days on which the mix of films is not that of the others, as short runs; places in the table."""
    expected = usual(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(expected > 1, (table.impressions - expected) ** 2 / expected, 0.0)
    films = np.maximum((expected > 1).sum(axis=0), 1)
    mix = np.minimum(parts, CAP).sum(axis=0) / films
    # Held against the days around it, since tastes and index versions change the mix for longer.
    around = pd.Series(mix).rolling(15, center=True, min_periods=5).median().to_numpy()
    flagged = robust_excess(mix - around) > UNUSUAL
    return [int(place) for place in np.flatnonzero(flagged)]


def gaps(ground: Ground, table: FilmDays) -> list[Gap]:
    """Return the gaps of a history, the newest first."""
    found = []
    whole = _frequent(table)
    counts, expected = table.impressions[whole], usual(table)[whole]
    days = vanished(counts, expected, longest=LONGEST_DAYS)
    if days is not None:
        at, end = (_midnight(table.days[0]) + place * dt.timedelta(days=1) for place in (days.first, days.stop))
        day = dt.timedelta(days=1)
        open_ended = days.stop == len(table.days)
        found.append(
            Gap(
                at=at, low=at - day, high=at + day, ended=None if open_ended else end, found=_spread(days, whole, table)
            )
        )
    seen = {place for one in found for place in _days_of(one, table)}
    for first, last in _runs([place for place in unusual_days(table) if place not in seen][-MOST_DAYS:]):
        gap = _by_hour(ground, table, whole, first, last)
        if gap is not None:
            found.append(gap)
    return sorted(found, key=lambda one: one.at, reverse=True)


def _by_hour(ground: Ground, table: FilmDays, whole: NDArray[np.int64], first: int, last: int) -> Gap | None:
    """Look for a gap in the hours of some days, and of the days beside them."""
    begin, end = max(0, first - 1), min(len(table.days) - 1, last + 1)
    start = _midnight(table.days[begin])
    slots = (end - begin + 1) * 24
    hours = _hours(ground, table, (begin, end), slots)[whole]
    total = hours.sum(axis=0)
    near = usual(table)[whole][:, begin : end + 1]
    share = near / np.maximum(table.total[begin : end + 1], 1.0)
    expected = np.repeat(share, 24, axis=1) * total
    found = vanished(hours, expected, longest=min(slots, 72))
    if found is None:
        return None
    spread = _spread(found, whole, table)
    at, low, high = _edge(ground, table, spread, start + (found.first - 1) * _HOUR, falls=True)
    # The hour before the first whole one is where it began, the hour after the last where it was over.
    ended = _edge(ground, table, spread, start + found.stop * _HOUR, falls=False)[0] if found.stop < slots else None
    return Gap(at=at, low=low, high=high, ended=ended, found=spread)


def _edge(
    ground: Ground, table: FilmDays, found: Vanished, hour: dt.datetime, *, falls: bool
) -> tuple[dt.datetime, dt.datetime, dt.datetime]:
    """Return in which minute of an hour films went, or came back, with the interval of that moment."""
    counts = _counts(ground, table, (hour, hour + _HOUR), 60, "MINUTE")
    part, total = counts[found.gone].sum(axis=0), counts.sum(axis=0)
    usual = float(found.expected[found.gone].sum() / found.expected.sum())
    places = change_of_share(part, total, usual, falls=falls)
    minute, low, high = (hour + place * dt.timedelta(minutes=1) for place in places)
    return minute, low - LINGERS_FOR, high + LINGERS_FOR


def change_of_share(part: Floats, total: Floats, usual: float, *, falls: bool) -> tuple[int, int, int]:
    """Return the slot at which a share falls from the usual to next to nothing, or rises back to it.

    Args:
        part: Counts of the group, shape (n_slots,).
        total: Counts of all.
        usual: The usual share, in (0, 1).
        falls: Whether it falls or rises.

    Returns:
        The likeliest slot, the earliest and the latest that are likely at 95 %; from 0 to n_slots.

    Source: binomial likelihood ratio of a change point, Siegmund 1988.

    Example:
        >>> change_of_share(np.array([5.0, 6, 0, 0]), np.array([10.0] * 4), 0.5, falls=True)
        (2, 2, 2)
    """
    usual = min(max(usual, 1e-6), 1 - 1e-6)
    gone = LINGERS * usual
    rest = total - part
    gain = part * np.log(usual / gone) + rest * np.log((1 - usual) / (1 - gone))
    # Log likelihood of the usual share up to a slot and of the other from it on; the other way round when it rises.
    likelihood = np.concatenate([[0.0], np.cumsum(gain if falls else -gain)])
    likely = np.flatnonzero(likelihood >= likelihood.max() - CONFIDENCE_DROP / 2)
    return int(np.argmax(likelihood)), int(likely[0]), int(likely[-1])


def _hours(ground: Ground, table: FilmDays, span: tuple[int, int], slots: int) -> Floats:
    window = (_midnight(table.days[span[0]]), _midnight(table.days[span[1]]) + dt.timedelta(days=1))
    return _counts(ground, table, window, slots, "HOUR")


def _counts(
    ground: Ground,
    table: FilmDays,
    window: tuple[dt.datetime, dt.datetime],
    slots: int,
    unit: Literal["HOUR", "MINUTE"],
) -> Floats:
    """Return the impressions of each film in each hour or minute of a window, shape (n_films, n_slots)."""
    start, end = (moment.replace(tzinfo=None) for moment in window)
    parameters: dict[str, Value] = {"start": start, "end": end}
    frame = ground.warehouse.query(
        f"SELECT DATE_TRUNC('{unit}', {Event.TS}) AS {Rollup.HOUR}, {Event.FILM}, "
        f"CAST(COUNT(*) AS BIGINT) AS {Rollup.IMPRESSIONS} FROM EVENTS "
        f"WHERE {Event.TS} >= :start AND {Event.TS} < :end AND {Event.TYPE} = 'impression' "
        f"AND {Event.FILM} IS NOT NULL GROUP BY 1, 2",
        window=(start.date(), (end - dt.timedelta(microseconds=1)).date()),
        parameters=parameters,
    )
    out = np.zeros((len(table.films), slots))
    known = pd.Index(table.films.astype(str)).get_indexer(frame[Event.FILM].astype(str))
    since = (pd.to_datetime(frame[Rollup.HOUR]) - pd.Timestamp(start)) / ((end - start) / slots)
    slot, kept = since.to_numpy().astype(np.int64), known >= 0
    out[known[kept], slot[kept]] = frame[Rollup.IMPRESSIONS].to_numpy(dtype=np.float64)[kept]
    return out


def _ratio(zero: Flags, mean: Floats) -> Floats:
    """Return the log likelihood ratio of the best mixture, for each span, shape (n_spans,)."""
    best = np.zeros(zero.shape[1])
    # Beyond 50 a film is as surely gone as it can be; no overflow that way.
    surprise = np.where(zero, np.exp(np.minimum(mean, 50.0)), 0.0)
    there = mean > 0
    for part in _PARTS:
        terms = np.where(there, np.log((1 - part) + part * surprise), 0.0)
        best = np.maximum(best, terms.sum(axis=0))
    return best


def _frequent(table: FilmDays) -> NDArray[np.int64]:
    """Return the films shown most: the rest could not be told to be gone."""
    order = np.argsort(-table.impressions.sum(axis=1), kind="stable")[:_MOST_FILMS]
    return np.sort(order)


def _spread(found: Vanished, whole: NDArray[np.int64], table: FilmDays) -> Vanished:
    gone, expected = np.zeros(len(table.films), dtype=bool), np.zeros(len(table.films))
    gone[whole], expected[whole] = found.gone, found.expected
    return Vanished(first=found.first, stop=found.stop, ratio=found.ratio, gone=gone, expected=expected)


def _runs(places: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs


def _days_of(gap: Gap, table: FilmDays) -> range:
    return range(gap.found.first - 1, min(gap.found.stop + 1, len(table.days)))


def _cumulated(values: Floats) -> Floats:
    out: Floats = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return out


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
