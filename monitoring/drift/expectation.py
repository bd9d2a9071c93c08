"""What one metric is expected to be on each day in every segment: its season, and what was found already.

A change that was found becomes part of what is expected, in its segment and in proportion in those that share users
with it, so that the next look sees only what is left to explain.
"""

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.cells import Cells, Segment
from monitoring.drift.seasons import expected_by_day, weekday_factors
from monitoring.drift.testing import Comparison, Days
from telemetry.metrics import Metric

Floats = NDArray[np.float64]

NOW_DAYS: Final = 7
BEFORE_DAYS: Final = 28
LEAST_HISTORY: Final = NOW_DAYS + BEFORE_DAYS


@dataclass(slots=True, kw_only=True)
class Field:
    """One metric in every segment.

    Args:
        metric: Which.
        cells: What it is read from.
        cut: Whether with the extremes of users cut, as changes are found by.
        segments: Every segment, everyone first.
        season: Factor of each day by its weekday, the same for all, shape (n_days,).
        expected: The same with what was found, by segment, shape (n_segments, n_days).
        least_units: Units that act without which nothing is estimable.
    """

    metric: Metric
    cells: Cells
    cut: bool
    segments: tuple[Segment, ...]
    season: Floats
    expected: Floats
    least_units: float
    _days: dict[int, Days] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, cells: Cells, metric: Metric, *, least_units: float, cut: bool = False) -> Self:
        """Lay out a metric; its segments are summed up when they are asked for.

        Args:
            cells: What it is read from.
            metric: Which.
            least_units: Units that act without which nothing is estimable.
            cut: Whether with the extremes of users cut.
        """
        segments = tuple(cells.segments())
        above, below = (sums.sum(axis=0) for sums in cells.sums(metric, {}, cut=cut))
        season = expected_by_day(weekday_factors(above, below, cells.days), cells.days)
        return cls(
            metric=metric, cells=cells, cut=cut, segments=segments, season=season,
            expected=np.tile(season, (len(segments), 1)), least_units=least_units,
        )  # fmt: skip

    def days(self, place: int) -> Days:
        """Return the sums of the days of the segment at a place."""
        if place not in self._days:
            self._days[place] = Days.of(*self.cells.sums(self.metric, self.segments[place], cut=self.cut))
        return self._days[place]

    def place_of(self, segment: Segment) -> int:
        """Return the place of a segment among `segments`."""
        return self.segments.index(dict(segment))

    def compare(self, place: int, now: NDArray[np.float64], before: NDArray[np.float64]) -> Comparison:
        """Compare days of a segment with other days, beside what is expected; see `Days.compare`."""
        return self.days(place).compare(now, before, season=self.expected[place], least_units=self.least_units)

    def slope(self, place: int) -> Comparison:
        """Test a segment for a straight line beside what is expected; see `Days.slope`."""
        return self.days(place).slope(season=self.expected[place], least_units=self.least_units)

    def rolling(self, place: int) -> Comparison:
        """Compare the seven days up to each day with the four weeks before them, shape (n_days - 34,)."""
        return self.compare(place, *windows(len(self.cells.days)))

    def course(self, place: int) -> tuple[Floats, Floats]:
        """Return a segment beside what is expected, mean one, and the weight of each day; NaN on a day without."""
        days, expected = self.days(place), self.expected[place]
        below = days.below * expected
        with np.errstate(divide="ignore", invalid="ignore"):
            return days.above / below / (days.above.sum() / below.sum()), below

    def explain(self, segment: Segment, factor: Floats) -> Floats:
        """Make a change part of what is expected.

        Args:
            segment: Where it was found.
            factor: What it does to the metric there, by day, 1 where nothing, shape (n_days,).

        Returns:
            What it does to the metric in every segment, shape (n_segments, n_days).
        """
        told = np.ones_like(self.expected)
        share = self._part(segment, 0, factor)
        for place, other in enumerate(self.segments):
            if _within(other, segment):
                told[place] = factor
            elif _within(segment, other):
                told[place] = 1 + (factor - 1) * self._part(segment, place, factor)
            elif ("device" in other) != ("device" in segment):
                # Who uses which device is taken to be the same everywhere.
                told[place] = 1 + (factor - 1) * share
        self.expected *= told
        return told

    def _part(self, segment: Segment, place: int, factor: Floats) -> float:
        """Return how much of what stands above the line of a segment is that of one within it, on untouched days."""
        quiet = factor == 1
        quiet = quiet if quiet.any() else np.ones(len(factor), dtype=bool)
        whole = self.days(place).above[quiet].sum()
        return float(self.days(self.place_of(segment)).above[quiet].sum() / whole) if whole > 0 else 0.0


def windows(days: int) -> tuple[Floats, Floats]:
    """Return which days each rolling window and those before it hold, shape (n_days, n_days - 34) each."""
    count = max(days - LEAST_HISTORY + 1, 0)
    day, first = np.arange(days)[:, None], np.arange(count)[None, :] + BEFORE_DAYS
    now = (day >= first) & (day < first + NOW_DAYS)
    before = (day >= first - BEFORE_DAYS) & (day < first)
    return now.astype(np.float64), before.astype(np.float64)


def between(days: int, first: int, stop: int) -> Floats:
    """Return 1 for the days from a first to before a stop, 0 for others, shape (n_days,)."""
    day = np.arange(days)
    return ((day >= first) & (day < stop)).astype(np.float64)


def _within(inner: Segment, outer: Segment) -> bool:
    return all(inner.get(name) == value for name, value in outer.items())
