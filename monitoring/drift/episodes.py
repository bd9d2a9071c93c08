"""Changes of a series as a person would tell them: a change that stayed, or an incident with a beginning and an end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitoring.drift.dating import Floats, Levels, Step

LONGEST_INCIDENT_DAYS: Final = 35
"""What lasts longer before it is undone is two changes."""
BACK_TO_NORMAL: Final = 0.4
"""An incident is over when no more than so much of its largest departure is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A departure from what was normal.

    Args:
        begin: The change that began it.
        end: The change that ended it; None while it lasts.
        normal: Level before.
        level: Mean level of its days.
        days: How many days it lasted.
    """

    begin: Step
    end: Step | None
    normal: float
    level: float
    days: int

    @property
    def change(self) -> float:
        """How its level stands to normal, 0 where it is the same."""
        return self.level / self.normal - 1

    @property
    def stop(self) -> int:
        """First day after it, or after the series."""
        return self.begin.day + self.days


def episodes(levels: Levels, weights: Floats) -> tuple[Episode, ...]:
    """Return the episodes of a series.

    Args:
        levels: The series as levels.
        weights: Of its days, shape (n_days,).

    Example:
        >>> from monitoring.drift import dating
        >>> series = [1.0, 1.1, 0.9, 1.0] * 5 + [0.5, 0.6, 0.4] + [1.0, 1.1, 0.9, 1.0] * 5
        >>> found = episodes(dating.levels(series, [100] * 43, sigma=1.0), np.full(43, 100.0))
        >>> [(one.begin.day, one.stop, round(one.change, 1)) for one in found]
        [(20, 23, -0.5)]
    """
    found = []
    steps = levels.steps
    place = 0
    while place < len(steps):
        normal = steps[place].before
        last = _end(steps, place, normal) if normal > 0 else None
        stop = steps[last].day if last is not None else _stop(steps, place, len(levels.level))
        inside = slice(steps[place].day, stop)
        if normal > 0 and weights[inside].sum() > 0:
            level = float(np.average(levels.level[inside], weights=weights[inside]))
            end = steps[last] if last is not None else None
            found.append(Episode(begin=steps[place], end=end, normal=normal, level=level, days=stop - steps[place].day))
        place = place + 1 if last is None else last + 1
    return tuple(found)


def _end(steps: Sequence[Step], place: int, normal: float) -> int | None:
    """Return the place of the step that ends what a step began."""
    most = steps[place].after / normal - 1
    for later in range(place + 1, len(steps)):
        if steps[later].day - steps[place].day > LONGEST_INCIDENT_DAYS:
            return None
        left = steps[later].after / normal - 1
        if abs(left) <= BACK_TO_NORMAL * abs(most):
            return later
        if left * most < 0:
            return None
        most = max(most, left, key=abs)
    return None


def _stop(steps: Sequence[Step], place: int, days: int) -> int:
    return steps[place + 1].day if place + 1 < len(steps) else days
