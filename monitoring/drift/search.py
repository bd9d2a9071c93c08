"""The search for changes: the strongest first, explained, and then what is left.

Every week of every segment and metric is tested against the four weeks before it, and the whole family is held by the
false discovery rate. A rejection is dated on its series, placed in the smallest segments that explain it, and made part
of what is expected; the next look sees what is left. Straight lines are looked for before steps: a slow decline cut
into steps is no news of any day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.multiplicity import adjust
from monitoring.drift import dating
from monitoring.drift.cells import Segment
from monitoring.drift.dating import Step
from monitoring.drift.episodes import Episode, episodes
from monitoring.drift.expectation import BEFORE_DAYS, NOW_DAYS, Field, Floats, between
from monitoring.drift.placement import LEAST_EFFECT, place
from monitoring.drift.testing import Comparison

LEVEL: Final = 0.01
"""Expected share of false ones among the alarms, over metric, segment and week."""
LEAST_TREND: Final = 0.10
"""A line that rises or falls by less over all days is not worth an alarm."""
LONGEST_WINDOW: Final = 28
MOST_ROUNDS: Final = 60
FAINT_PENALTY: Final = 8.0
"""Penalty when the test has already said that there is a change, and only its day is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One change of one metric in one segment.

    Args:
        field: The metric.
        segment: Where.
        episode: When; None for a straight line.
        comparison: How large, one window.
        p_adjusted: Of the test that found it, over everything looked at.
    """

    field: Field
    segment: Segment
    episode: Episode | None
    comparison: Comparison
    p_adjusted: float

    @property
    def change(self) -> float:
        """Relative change."""
        return float(np.expm1(self.comparison.log_change[0]))


@dataclass(slots=True, kw_only=True)
class Search:
    """The state of one search.

    Args:
        fields: The metrics.
        tables: p-value of each segment and window of each metric, shape (n_segments, n_windows); NaN once settled.
        settled: Windows that need no second look, by metric; same shapes.
        tests: How many tests were estimable at first.
    """

    fields: Sequence[Field]
    tables: list[Floats] = field(default_factory=list)
    settled: list[NDArray[np.bool_]] = field(default_factory=list)
    tests: int = 0

    def run(self) -> Iterator[Shift]:
        """Return the changes, the strongest first."""
        for one in self.fields:
            yield from _lines(one)
        self.tables = [_tested(one) for one in self.fields]
        self.settled = [np.zeros(table.shape, dtype=bool) for table in self.tables]
        self.tests = sum(int(np.isfinite(table).sum()) for table in self.tables)
        for _ in range(MOST_ROUNDS):
            chosen = self._strongest()
            if chosen is None:
                return
            yield from self._explained(*chosen)

    def _strongest(self) -> tuple[int, int, int, float] | None:
        """Return metric, segment and window of the smallest p-value that is rejected, with its adjusted value."""
        open_ = [np.where(done, np.nan, table) for table, done in zip(self.tables, self.settled, strict=True)]
        flat = np.concatenate([table.ravel() for table in self.tables])
        adjusted = adjust(flat, "bh")
        waiting = np.concatenate([table.ravel() for table in open_])
        rejected = np.isfinite(waiting) & (adjusted <= LEVEL)
        if not rejected.any():
            return None
        at = int(np.argmin(np.where(rejected, waiting, np.inf)))
        value = float(adjusted[at])
        for number, table in enumerate(self.tables):
            if at < table.size:
                segment, window = divmod(at, table.shape[1])
                return number, segment, window, value
            at -= table.size
        return None

    def _explained(self, number: int, segment: int, window: int, p_adjusted: float) -> list[Shift]:
        one = self.fields[number]
        seed = _episode(one, segment, window)
        if seed is None:
            self._settle(number, [one.segments[segment]], window + BEFORE_DAYS, window + BEFORE_DAYS + NOW_DAYS)
            return []
        now, before = _masks(len(one.cells.days), seed)
        places = place(one, lambda at: one.compare(at, now, before), one.segments[segment])
        shifts = [_shift(one, where, seed, p_adjusted) for where in places]
        stop = len(one.cells.days) if seed.end is None else seed.stop
        self._settle(number, places, seed.begin.low, min(stop, seed.begin.high + LONGEST_WINDOW))
        for shift in shifts:
            one.explain(shift.segment, _factor(shift))
        self.tables[number] = _tested(one)
        return [shift for shift in shifts if abs(shift.change) >= LEAST_EFFECT]

    def _settle(self, number: int, places: Sequence[Segment], first: int, stop: int) -> None:
        """Mark the windows over some days in some segments, and what is within or around them, as looked at."""
        one, done = self.fields[number], self.settled[number]
        start = np.arange(done.shape[1]) + BEFORE_DAYS
        over = (start < stop) & (start + NOW_DAYS > first)
        for at, segment in enumerate(one.segments):
            if any(_related(segment, where) for where in places):
                done[at] |= over


def _tested(one: Field) -> Floats:
    return np.array([one.rolling(at).p for at in range(len(one.segments))])


def _lines(one: Field) -> Iterator[Shift]:
    """Return the straight lines of a metric, where they explain more than steps do."""
    for _ in range(len(one.segments)):
        slopes = [one.slope(at) for at in range(len(one.segments))]
        p = np.array([slope.p[0] for slope in slopes])
        if not np.isfinite(p).any():
            return
        at = int(np.nanargmin(p))
        adjusted = float(adjust(p, "bh")[at])
        if adjusted > LEVEL or abs(np.expm1(slopes[at].log_change[0])) < LEAST_TREND or not _is_line(one, at):
            return
        for where in place(one, one.slope, one.segments[at]):
            found = one.slope(one.place_of(where))
            values, weights = one.course(one.place_of(where))
            level = dating.line(values, weights).level
            one.explain(where, level / level.mean())
            yield Shift(field=one, segment=where, episode=None, comparison=found, p_adjusted=adjusted)


def _is_line(one: Field, at: int) -> bool:
    values, weights = one.course(at)
    line, levels = dating.line(values, weights), dating.levels(values, weights)
    return bool(line.level.min() > 0 and line.cost < levels.cost)


def _episode(one: Field, at: int, window: int) -> Episode | None:
    """Return the episode of a series that a rejected window is about."""
    values, weights = one.course(at)
    first, stop = window + BEFORE_DAYS, window + BEFORE_DAYS + NOW_DAYS
    sign = float(one.rolling(at).log_change[window])
    for penalty in (dating.PENALTY, FAINT_PENALTY):
        found = [
            episode
            for episode in episodes(dating.levels(values, weights, penalty=penalty), weights)
            if episode.change * sign > 0 and episode.begin.day < stop and _last(episode, len(values)) > first
        ]
        # A window long after a change still feels it in the days before it: the nearest beginning is meant.
        near = [episode for episode in found if episode.begin.day > first - BEFORE_DAYS]
        if near:
            return max(near, key=lambda episode: abs(_judged(one, at, episode)))
    return None


def _last(episode: Episode, days: int) -> int:
    return days if episode.end is None else episode.stop


def _judged(one: Field, at: int, episode: Episode) -> float:
    t = float(one.compare(at, *_masks(len(one.cells.days), episode)).t[0])
    return t if np.isfinite(t) else 0.0


def _masks(days: int, episode: Episode) -> tuple[Floats, Floats]:
    first = episode.begin.day
    now = between(days, first, min(episode.stop, first + LONGEST_WINDOW))
    return now, between(days, max(0, first - LONGEST_WINDOW), first)


def _shift(one: Field, segment: Segment, seed: Episode, p_adjusted: float) -> Shift:
    """Return the change of a segment, dated on its own series where that shows it."""
    at = one.place_of(segment)
    values, weights = one.course(at)
    own = [
        episode
        for episode in episodes(dating.levels(values, weights), weights)
        if episode.change * seed.change > 0 and _overlap(episode.begin, seed.begin)
    ]
    chosen = max(own, key=lambda episode: abs(_judged(one, at, episode)), default=seed)
    found = one.compare(at, *_masks(len(values), chosen))
    return Shift(field=one, segment=segment, episode=chosen, comparison=found, p_adjusted=p_adjusted)


def _overlap(one: Step, other: Step) -> bool:
    return one.low <= other.high + NOW_DAYS and other.low <= one.high + NOW_DAYS


def _factor(shift: Shift) -> Floats:
    """Return what a change does to its metric by day."""
    days = len(shift.field.cells.days)
    if shift.episode is None or not np.isfinite(shift.change):
        return np.ones(days)
    stop = days if shift.episode.end is None else shift.episode.stop
    return np.where(between(days, shift.episode.begin.day, stop) > 0, 1 + shift.change, 1.0)


def _related(one: Segment, other: Segment) -> bool:
    """Say whether two segments share users as a whole: one lies in the other, or they cut everyone another way."""
    if ("device" in one) != ("device" in other):
        return True
    return all(one[name] == other[name] for name in one.keys() & other.keys())
