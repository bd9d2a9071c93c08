"""What is asked of every metric: did this segment change in these days, beside the days before?"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.cells import Cells, Segment
from monitoring.drift.expectation import BEFORE_DAYS, NOW_DAYS, Field, Floats, between, windows

LONGEST_WINDOW: Final = 28
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Days in a row on which one index version served.

    Args:
        name: Which.
        first: Its first day, a place in the series.
        stop: First day after it.
    """

    name: str
    first: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Every week of every segment against the four weeks before, and every index version against those before it.

    Args:
        place: Segment of each question, shape (n_questions,).
        first: First day it asks about.
        stop: First day after.
        weight: How much of the family it is worth, mean one.
        releases: What the last questions are about, in order.
    """

    place: Ints
    first: Ints
    stop: Ints
    weight: Floats
    releases: tuple[Release, ...]

    @classmethod
    def of(cls, cells: Cells) -> Self:
        """Return the questions of a history.

        Everyone, markets, regions, devices and index versions have equal parts in the family of tests, however many
        there are of each: with as many regions as a world has, a change of everyone must not drown.

        Args:
            cells: The history.

        Source: Genovese, Roeder, Wasserman 2006, "False discovery control with p-value weighting", Biometrika 93:509.
        """
        segments = cells.segments()
        start = np.arange(windows(len(cells.days))[0].shape[1]) + BEFORE_DAYS
        runs = releases(cells.serving())
        kinds = [kind_of(segment) for segment in segments for _ in start] + ["release"] * len(runs)
        counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
        place = np.repeat(np.arange(len(segments)), len(start))
        first = np.tile(start, len(segments))
        return cls(
            place=np.concatenate([place, np.zeros(len(runs), dtype=np.int64)]),
            first=np.concatenate([first, np.array([run.first for run in runs], dtype=np.int64)]),
            stop=np.concatenate([first + NOW_DAYS, np.array([run.stop for run in runs], dtype=np.int64)]),
            weight=np.array([len(kinds) / (len(counts) * counts[kind]) for kind in kinds]),
            releases=runs,
        )

    def __len__(self) -> int:
        return len(self.place)

    def release(self, number: int) -> Release | None:
        """Return the index version a question is about, if any."""
        behind = number - (len(self) - len(self.releases))
        return self.releases[behind] if behind >= 0 else None

    def asked(self, one: Field) -> tuple[Floats, Floats]:
        """Return p-value and direction of every question of a metric, shape (n_questions,) each; NaN not estimable."""
        found = [one.rolling(place) for place in range(len(one.segments))]
        if self.releases:
            days = len(one.cells.days)
            masks = [around(days, run.first, run.stop) for run in self.releases]
            now, before = (np.column_stack(side) for side in zip(*masks, strict=True))
            found.append(one.compare(0, now, before))
        return np.concatenate([each.p for each in found]), np.concatenate([np.sign(each.t) for each in found])


def around(days: int, first: int, stop: int) -> tuple[Floats, Floats]:
    """Return which days are compared for a change: those from it on, and those before it, four weeks at most each."""
    now = between(days, first, min(stop, first + LONGEST_WINDOW))
    return now, between(days, max(0, first - LONGEST_WINDOW), first)


def releases(serving: tuple[str, ...]) -> tuple[Release, ...]:
    """Return the days in a row of each index version that has a week of others before it.

    Example:
        >>> [(run.name, run.first, run.stop) for run in releases(("a",) * 8 + ("b",) * 2 + ("a",))]
        [('b', 8, 10), ('a', 10, 11)]
    """
    cuts = [day for day in range(1, len(serving)) if serving[day] != serving[day - 1]]
    runs = pairwise([*cuts, len(serving)])
    return tuple(
        Release(name=serving[first], first=first, stop=stop)
        for first, stop in runs
        if serving[first] and first >= NOW_DAYS
    )


def kind_of(segment: Segment) -> str:
    """Return what kind of segment it is.

    Example:
        >>> kind_of({"market": "central_asia", "region": "KZ"})
        'region'
    """
    return "region" if "region" in segment else next(iter(segment), "everyone")
