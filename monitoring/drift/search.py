"""The search for changes: the strongest first, explained, and then what is left.

Every week of every segment and metric is tested against the four weeks before it, and the whole family is held by the
false discovery rate. A rejection is dated on its series, placed in the smallest segments that explain it, and made part
of what is expected; the next look sees what is left. Straight lines are looked for before steps: a slow decline cut
into steps is no news of any day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.multiplicity import adjust
from monitoring.drift import dating
from monitoring.drift.cells import Segment
from monitoring.drift.dating import Step
from monitoring.drift.episodes import LONGEST_INCIDENT_DAYS, Episode, episodes
from monitoring.drift.expectation import BEFORE_DAYS, NOW_DAYS, Field, Floats, between
from monitoring.drift.placement import place
from monitoring.drift.questions import LONGEST_WINDOW, Questions, Release, around
from monitoring.drift.testing import Comparison

LEVEL: Final = 0.01
"""Expected share of false ones among the alarms, over metric, segment and week."""
LEAST_EFFECT: Final = 0.05
"""A smaller relative change is not worth an alarm."""
LEAST_TREND: Final = 0.10
"""A line that rises or falls by less over all days is not worth an alarm."""
MOST_ROUNDS: Final = 60
FAINT_PENALTY: Final = 8.0
"""Penalty when the test has already said that there is a change, and only its day is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """One metric twice.

    Args:
        cut: With the extremes of users cut: changes are found by it.
        plain: As it is: how large they are.
    """

    cut: Field
    plain: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One change of one metric in one segment.

    Args:
        twins: The metric.
        segment: Where.
        episode: When; None for a straight line.
        comparison: How large, one window, from the sums as they are.
        p_adjusted: Of the test that found it, over everything looked at.
        told: What was made of it in the expectation of every segment, shape (n_segments, n_days).
    """

    twins: "Twins"
    segment: Segment
    episode: Episode | None
    comparison: Comparison
    p_adjusted: float
    told: Floats

    @property
    def change(self) -> float:
        """Relative change."""
        return float(np.expm1(self.comparison.log_change[0]))


@dataclass(slots=True, kw_only=True)
class Search:
    """The state of one search.

    Args:
        metrics: What is searched.
        questions: What is asked of each.
        p: p-value of each question of each metric, shape (n_questions,).
        sign: Direction of each.
        settled: Questions that need no second look.
        tests: How many questions were estimable at first.
    """

    metrics: Sequence[Twins]
    questions: Questions
    p: list[Floats] = field(default_factory=list)
    sign: list[Floats] = field(default_factory=list)
    settled: list[NDArray[np.bool_]] = field(default_factory=list)
    tests: int = 0

    def run(self) -> list[Shift]:
        """Return the changes, the strongest first, each measured beside all the others."""
        found = [shift for one in self.metrics for shift in _lines(one)]
        found += self._steps()
        return [shift for shift in map(_measured, found) if abs(shift.change) >= LEAST_EFFECT]

    def _steps(self) -> Iterator[Shift]:
        answers = [self.questions.asked(one.cut) for one in self.metrics]
        self.p, self.sign = [p for p, _ in answers], [sign for _, sign in answers]
        self.settled = [np.zeros(len(self.questions), dtype=bool) for _ in self.metrics]
        self.tests = sum(int(np.isfinite(p).sum()) for p in self.p)
        for _ in range(MOST_ROUNDS):
            chosen = self._strongest()
            if chosen is None:
                return
            yield from self._explained(*chosen)

    def _strongest(self) -> tuple[int, int, float] | None:
        """Return metric and question of the smallest p-value that is rejected, with its adjusted value."""
        weighted = np.minimum(np.concatenate([p / self.questions.weight for p in self.p]), 1.0)
        adjusted = adjust(weighted, "bh")
        rejected = np.isfinite(adjusted) & (adjusted <= LEVEL) & ~np.concatenate(self.settled)
        if not rejected.any():
            return None
        at = int(np.argmin(np.where(rejected, weighted, np.inf)))
        number, question = divmod(at, len(self.questions))
        return number, question, float(adjusted[at])

    def _explained(self, number: int, question: int, p_adjusted: float) -> list[Shift]:
        twins, asked = self.metrics[number], self.questions
        one, at = twins.cut, int(asked.place[question])
        seed = _episode(one, at, asked, question, self.sign[number][question])
        if seed is None:
            self._settle(number, [one.segments[at]], int(asked.first[question]), int(asked.stop[question]))
            return []
        now, before = around(len(one.cells.days), seed.begin.day, seed.stop)
        places = place(one, lambda part: one.compare(part, now, before), one.segments[at])
        shifts = [_shift(twins, where, seed, p_adjusted) for where in places]
        stop = len(one.cells.days) if seed.end is None else seed.stop
        self._settle(number, places, seed.begin.low, min(stop, seed.begin.high + LONGEST_WINDOW))
        self.p[number], self.sign[number] = asked.asked(one)
        return shifts

    def _settle(self, number: int, places: Sequence[Segment], first: int, stop: int) -> None:
        """Mark the questions about some days in some segments, and what is within or around them, as looked at."""
        over = (self.questions.first < stop) & (self.questions.stop > first)
        segments = self.metrics[number].cut.segments
        related = np.array([any(_related(segment, where) for where in places) for segment in segments])
        self.settled[number] |= over & related[self.questions.place]


def _lines(twins: Twins) -> Iterator[Shift]:
    """Return the straight lines of a metric, where they explain more than steps do."""
    one = twins.cut
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
            found = twins.plain.slope(one.place_of(where))
            told = [_straightened(each, where) for each in (one, twins.plain)][-1]
            yield Shift(twins=twins, segment=where, episode=None, comparison=found, p_adjusted=adjusted, told=told)


def _straightened(one: Field, where: Segment) -> Floats:
    level = dating.line(*one.course(one.place_of(where))).level
    return one.explain(where, level / level.mean())


def _is_line(one: Field, at: int) -> bool:
    values, weights = one.course(at)
    line, levels = dating.line(values, weights), dating.levels(values, weights)
    return bool(line.level.min() > 0 and line.cost < levels.cost)


def _episode(one: Field, at: int, asked: Questions, question: int, sign: float) -> Episode | None:
    """Return the episode of a series that a rejected question is about."""
    values, weights = one.course(at)
    first, stop = int(asked.first[question]), int(asked.stop[question])
    run = asked.release(question)
    known = [_of_release(run, values, weights)] if run is not None else []
    for penalty in (dating.PENALTY, FAINT_PENALTY):
        found = [
            episode
            for episode in (*known, *episodes(dating.levels(values, weights, penalty=penalty), weights))
            if episode.change * sign > 0 and episode.begin.day < stop and _last(episode, len(values)) > first
        ]
        # A window long after a change still feels it in the days before it: the nearest beginning is meant.
        near = [episode for episode in found if episode.begin.day > first - BEFORE_DAYS]
        if near:
            return max(near, key=lambda episode: abs(_judged(one, at, episode)))
    return None


def _of_release(run: Release, values: Floats, weights: Floats) -> Episode:
    """Return the episode that the days of an index version would be."""
    begin = dating.step_at(values, weights, (max(0, run.first - LONGEST_WINDOW), run.first, run.stop))
    over = run.stop < len(values) and run.stop - run.first <= LONGEST_INCIDENT_DAYS
    until = min(run.stop + LONGEST_WINDOW, len(values))
    end = dating.step_at(values, weights, (run.first, run.stop, until)) if over else None
    return Episode(begin=begin, end=end, normal=begin.before, level=begin.after, days=run.stop - run.first)


def _last(episode: Episode, days: int) -> int:
    return days if episode.end is None else episode.stop


def _judged(one: Field, at: int, episode: Episode) -> float:
    t = float(one.compare(at, *around(len(one.cells.days), episode.begin.day, episode.stop)).t[0])
    return t if np.isfinite(t) else 0.0


def _shift(twins: Twins, segment: Segment, seed: Episode, p_adjusted: float) -> Shift:
    """Return the change of a segment, dated on its own series where that shows it."""
    one, at = twins.cut, twins.cut.place_of(segment)
    values, weights = one.course(at)
    own = [
        episode
        for episode in episodes(dating.levels(values, weights), weights)
        if episode.change * seed.change > 0 and _overlap(episode.begin, seed.begin)
    ]
    chosen = max((seed, *own), key=lambda episode: abs(_judged(one, at, episode)))
    for each in (one, twins.plain):
        found = each.compare(at, *around(len(values), chosen.begin.day, chosen.stop))
        told = each.explain(segment, _factor(found, chosen, len(values)))
    return Shift(twins=twins, segment=segment, episode=chosen, comparison=found, p_adjusted=p_adjusted, told=told)


def _measured(shift: Shift) -> Shift:
    """Return a change measured again, now that the others are expected and no longer blur the days before it."""
    if shift.episode is None:
        return shift
    one = shift.twins.plain
    at = one.place_of(shift.segment)
    now, before = around(len(one.cells.days), shift.episode.begin.day, shift.episode.stop)
    season = one.expected[at] / shift.told[at]
    return replace(shift, comparison=one.days(at).compare(now, before, season=season, least_units=one.least_units))


def _overlap(one: Step, other: Step) -> bool:
    return one.low <= other.high + NOW_DAYS and other.low <= one.high + NOW_DAYS


def _factor(found: Comparison, episode: Episode, days: int) -> Floats:
    """Return what a change does to its metric by day."""
    change = float(np.expm1(found.log_change[0]))
    if not np.isfinite(change):
        return np.ones(days)
    stop = days if episode.end is None else episode.stop
    return np.where(between(days, episode.begin.day, stop) > 0, 1 + change, 1.0)


def _related(one: Segment, other: Segment) -> bool:
    """Say whether two segments share users as a whole: one lies in the other, or they cut everyone another way."""
    if ("device" in one) != ("device" in other):
        return True
    return all(one[name] == other[name] for name in one.keys() & other.keys())
