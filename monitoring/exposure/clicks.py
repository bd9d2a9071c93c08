"""Films that are clicked unlike before: one that a click farm pushes, or many that lost clicks together.

The clicks of a film are held against its usual click-through rate and the day's: a day on which everybody clicks more,
a campaign or an experiment, is not the film's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.dating import noise
from monitoring.exposure.days import FilmDays
from monitoring.exposure.episodes import Episode, episodes
from monitoring.exposure.shares import robust_excess

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LENGTHS: Final = (1, 2, 3, 5, 7)
LEAST_RISE: Final = 0.3
"""Least rise of a film's click-through rate worth an alarm, in clicks a film shown; robots click less than that …"""
LEAST_RATIO: Final = 3.0
"""… and as a multiple of its usual one."""
LEAST_EXCESS: Final = 20.0
"""Least clicks more than usual."""
LEVEL: Final = 1e-4
PRIOR_IMPRESSIONS: Final = 200.0
"""A rare film's usual rate is drawn towards that of all films as if it had been shown so many times more."""
FEW: Final = 0.2
SET_LENGTHS: Final = (3, 5, 7, 14)
UNUSUAL: Final = 4.0
"""Robust standard deviations from which a span of days is looked into; what is found there is tested on its own."""
MOST_SPANS: Final = 6
LOST_PARTS: Final = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5])
LOST_FACTORS: Final = np.array([0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75])
GAINED_FACTORS: Final = 1 / LOST_FACTORS
LEAST_LOSS_RATIO: Final = 20.0
"""Log likelihood ratio of the films that lost clicks against chance."""
SURE: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """One film that was clicked far more than usual.

    Args:
        row: The film, a place in the matrices.
        first: First day.
        stop: The day after the last.
        before: Its usual click-through rate.
        within: That of those days.
        clicks: Clicks of those days.
        usual: How many it would have had.
        p_value: Adjusted for every film and span.
    """

    row: int
    first: int
    stop: int
    before: float
    within: float
    clicks: float
    usual: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Films that lost clicks together.

    Args:
        chance: How likely each film is one of them, shape (n_films,).
        share: Share of the films that are.
        factor: What their click-through rate was multiplied by.
        ratio: Log likelihood ratio against chance.
        episode: Their click-through rate beside that of the other films, by day.
    """

    chance: Floats
    share: float
    factor: float
    ratio: float
    episode: Episode


def usual_rates(table: FilmDays) -> Floats:
    """Return the usual click-through rate of each film, shape (n_films,); a rare one is drawn to that of all."""
    impressions, clicks = table.impressions.sum(axis=1), table.clicks.sum(axis=1)
    overall = clicks.sum() / max(impressions.sum(), 1.0)
    out: Floats = (clicks + PRIOR_IMPRESSIONS * overall) / (impressions + PRIOR_IMPRESSIONS)
    return out


def expected_clicks(table: FilmDays, rates: Floats) -> Floats:
    """Return the clicks of each film and day at its usual rate, as often clicked as films of that day are."""
    usual = rates[:, None] * table.impressions
    total = usual.sum(axis=0)
    day = np.divide(table.clicks.sum(axis=0), total, out=np.ones(len(total)), where=total > 0)
    out: Floats = usual * day
    return out


def pushed(table: FilmDays) -> list[Pushed]:
    """Return the films whose click-through rate leapt for some days, the strongest first; each film once."""
    from scipy import stats

    found: list[Pushed] = []
    impressions, clicks = _cumulated(table.impressions), _cumulated(table.clicks)
    spans = len(table.films) * len(table.days) * len(LENGTHS)
    for length in LENGTHS:
        shown = impressions[:, length:] - impressions[:, :-length]
        clicked = clicks[:, length:] - clicks[:, :-length]
        # Without the span itself, which would raise what is usual.
        usual = np.maximum(_outside(table, shown, clicked), 1e-4)
        excess = clicked - usual * shown
        leapt = (excess >= LEAST_EXCESS) & (clicked >= LEAST_RATIO * usual * shown)
        leapt &= excess >= LEAST_RISE * shown
        for row, first in zip(*np.nonzero(leapt), strict=True):
            n, k, rate = float(shown[row, first]), float(clicked[row, first]), float(usual[row, first])
            p_value = min(1.0, spans * float(stats.binom.sf(min(k, n) - 1, n, min(rate, 0.99))))
            if p_value < LEVEL:
                found.append(
                    Pushed(row=int(row), first=int(first), stop=int(first) + length, before=rate, within=k / n,
                           clicks=k, usual=rate * n, p_value=p_value)
                )  # fmt: skip
    return _each_once(found, table)


def _each_once(found: list[Pushed], table: FilmDays) -> list[Pushed]:
    """Keep the best span of each film: the one with most clicks too many, cut to the days that have them."""
    best: dict[int, Pushed] = {}
    for one in found:
        held = best.get(one.row)
        if held is None or _gain(one) > _gain(held):
            best[one.row] = one
    return sorted((_trimmed(one, table) for one in best.values()), key=lambda one: one.p_value)


def _gain(one: Pushed) -> float:
    """Return the log likelihood of the span's own rate above the usual one: longer only while it gains."""
    shown = one.clicks / one.within
    return float(one.clicks * np.log(one.within / one.before) + (shown - one.clicks) * np.log(
        max(1 - one.within, 1e-9) / (1 - one.before)))  # fmt: skip


def _trimmed(one: Pushed, table: FilmDays) -> Pushed:
    """Leave out days at either end that are as usual, or have next to none of the clicks."""
    clicks, shown = table.clicks[one.row], table.impressions[one.row]
    usual = clicks < np.maximum((one.before + one.within) / 2 * shown, FEW * clicks[one.first : one.stop].mean())
    first, stop = one.first, one.stop
    while first + 1 < stop and usual[first]:
        first += 1
    while stop - 1 > first and usual[stop - 1]:
        stop -= 1
    return replace(one, first=first, stop=stop)


def _outside(table: FilmDays, shown: Floats, clicked: Floats) -> Floats:
    impressions = table.impressions.sum(axis=1)[:, None] - shown
    clicks = table.clicks.sum(axis=1)[:, None] - clicked
    overall = table.clicks.sum() / max(table.impressions.sum(), 1.0)
    out: Floats = (clicks + PRIOR_IMPRESSIONS * overall) / (np.maximum(impressions, 0.0) + PRIOR_IMPRESSIONS)
    return out


def lost_clicks(table: FilmDays) -> Lost | None:
    """Return the films that lost clicks together for some days, if there are any.

    The days are those on which the clicks are spread over films unlike on others; on them a mixture says which films:
    a share of them is clicked by a factor less, the others are clicked as ever.

    Source: Pearson's dispersion statistic; the two-point mixture by maximum likelihood over a grid.
    """
    for span, spread in _unusual_spans(table):
        ratio, rates, chance = _loss(table, span)[:3]
        if ratio < LEAST_LOSS_RATIO * spread:
            continue
        episode = _course(table, rates, chance > 0.5)  # noqa: PLR2004 - more likely than not
        if episode is None or episode.first >= span[1] or (episode.stop or len(table.days)) <= span[0]:
            continue
        # All the days of the loss tell the films better than those by which it was found.
        ratio, _, chance, share, factor = _loss(table, (episode.first, episode.stop or len(table.days)))
        if ratio >= LEAST_LOSS_RATIO * spread:
            return Lost(chance=chance, share=share, factor=factor, ratio=ratio, episode=episode)
    return None


def _loss(table: FilmDays, span: tuple[int, int]) -> tuple[float, Floats, Floats, float, float]:
    """Return the mixture of some days: likelihood ratio, usual rates, each film's chance, share and factor."""
    rates = usual_rates(table.without(_only(table, span)))
    clicks = table.clicks[:, slice(*span)].sum(axis=1)
    mean = (rates[:, None] * table.impressions[:, slice(*span)]).sum(axis=1)
    lost, share, factor, chance = _mixture(clicks, mean, LOST_FACTORS)
    gained = _mixture(clicks, mean, GAINED_FACTORS)[0]
    # Robots click everything their taste is shown: those films gain, and the others seem to lose.
    return (lost if lost > gained else 0.0), rates, chance, share, factor


def _unusual_spans(table: FilmDays) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield the spans of days on which clicks are spread over films as on few others, the most unusual first.

    With each comes how far clicks are usually spread, 1 being Poisson's: what is measured by it is multiplied.
    """
    expected = expected_clicks(table, usual_rates(table))
    above, below = _cumulated(table.clicks), _cumulated(expected)
    found: list[tuple[float, tuple[int, int], float]] = []
    for length in SET_LENGTHS:
        if length * 4 > len(table.days):
            continue
        mean = below[:, length:] - below[:, :-length]
        seen = above[:, length:] - above[:, :-length]
        enough = mean >= 1
        parts = np.where(enough, (seen - mean) ** 2 / np.where(enough, mean, 1.0), 0.0)
        # One film's share is cut: the click farm is another finding.
        spread = np.minimum(parts, 25.0).sum(axis=0) / np.maximum(enough.sum(axis=0), 1)
        usual = max(1.0, float(np.median(spread)))
        excess = robust_excess(spread)
        found += [
            (float(excess[place]), (int(place), int(place) + length), usual)
            for place in np.flatnonzero(excess > UNUSUAL)
        ]
    told: list[tuple[int, int]] = []
    for _, span, usual in sorted(found, reverse=True):
        if len(told) < MOST_SPANS and all(span[0] >= stop or span[1] <= first for first, stop in told):
            told.append(span)
            yield span, usual


def _mixture(clicks: Floats, mean: Floats, factors: Floats) -> tuple[float, float, float, Floats]:
    """Return log likelihood ratio, share, factor and each film's chance of the best two-point mixture of Poissons."""
    known = mean > 0
    k, m = clicks[known], mean[known]
    overall = k.sum() / m.sum()
    top, best = -np.inf, (0.0, 1.0, overall)
    for part in LOST_PARTS:
        for factor in factors:
            # The level at which both parts together have as many clicks as there were.
            level = overall / (1 - part + part * factor)
            both = np.logaddexp(np.log(1 - part), np.log(part) + k * np.log(factor) - level * m * (factor - 1))
            ratio = float((both + k * np.log(level / overall) - m * (level - overall)).sum())
            if ratio > top:
                top, best = ratio, (float(part), float(factor), float(level))
    part, factor, level = best
    odds = np.log(part / (1 - part)) + k * np.log(factor) - level * m * (factor - 1)
    chance = np.zeros(len(clicks))
    chance[known] = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
    return top, part, factor, chance


def _course(table: FilmDays, rates: Floats, chosen: Flags) -> Episode | None:
    """Return when the films chosen were clicked less than the others, from day to day."""
    if not chosen.any() or chosen.all():
        return None
    usual = rates[:, None] * table.impressions
    mean = usual[chosen].sum(axis=0)
    others = table.clicks[~chosen].sum(axis=0) / np.maximum(usual[~chosen].sum(axis=0), 1e-9)
    quotient = np.divide(
        table.clicks[chosen].sum(axis=0), mean * others, out=np.full(len(mean), np.nan), where=mean * others > 0
    )
    weights = np.where(np.isfinite(quotient), mean, 0.0)
    if not noise(quotient, weights) > 0:
        return None
    found = episodes(quotient, weights, least_rel=0.2, least_abs=0.2, penalty=20.0)
    return min((one for one in found if one.level < one.before), key=lambda one: one.z, default=None)


def _only(table: FilmDays, span: tuple[int, int]) -> Flags:
    masked = np.zeros(table.impressions.shape, dtype=bool)
    masked[:, slice(*span)] = True
    return masked


def _cumulated(values: Floats) -> Floats:
    out: Floats = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return out
