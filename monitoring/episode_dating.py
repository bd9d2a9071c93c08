"""When a stretch that was found by the hour began and ended, on the finest windows there are."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from monitoring.burn import Floats
from monitoring.episodes import Measure, between, edge, grouped, moment
from monitoring.findings import Onset
from monitoring.service_counts import FINE, HOUR, Place, floored, values
from telemetry.system import Kind, SystemMetrics

MARGIN: Final = dt.timedelta(hours=2)
"""How far before and after an end of a stretch the fine windows are read that date it."""
INSIDE: Final = dt.timedelta(hours=3)
KINDS: Final[dict[Measure, Kind]] = {
    "errors": Kind.ERROR_RATE,
    "latency": Kind.WITHIN_LATENCY,
    "availability": Kind.AVAILABILITY,
    "memory": Kind.MEMORY,
    "cpu": Kind.CPU,
}
MOST_QUESTIONS: Final = 200
"""Fine questions of one scan: where services flap for weeks, the rest of the stretches is dated by the hour."""
_COUNTED: Final = (Kind.ERROR_RATE, Kind.WITHIN_LATENCY)
_COUNTER_MEMBERS, _GAUGE_MEMBERS = (-1, 0), (-2, -1, 0)
_BEFORE, _AFTER = 24, 36
"""Windows on the two sides of an end that date it: two hours of good ones, up to three of bad ones."""
_TOP: Final = 0.9
Hour = tuple[float, float]
"""Beginning and end of a window, in seconds since 1970."""


@dataclass(slots=True)
class Dating:
    """Dates stretches, asking each service once for what is near in time.

    Args:
        metrics: What is asked.
        start: The oldest moment that counts.
        end: The newest.
    """

    metrics: SystemMetrics
    start: dt.datetime
    end: dt.datetime
    _asked: dict[tuple[Kind, str, dt.datetime, dt.datetime], tuple[Floats, dict[Place, Floats]]] = field(
        default_factory=dict
    )

    @property
    def exhausted(self) -> bool:
        """Whether no more is asked."""
        return len(self._asked) >= MOST_QUESTIONS

    def ends(
        self, measure: Measure, place: Place, first: Hour, last: Hour, *, lasting: bool
    ) -> tuple[Onset, Onset | None]:
        """Return when a stretch began and ended; its end is None while it lasts.

        Args:
            measure: What was bad.
            place: Service and region.
            first: Its first window.
            last: Its last.
            lasting: Whether that is the newest window of its series.
        """
        began, ended = between(*first), None if lasting else between(*last)
        fine, _ = self._edge(measure, place, first[0], last[1], rising=True)
        if fine is not None:
            began = fine
        fine, still = self._edge(measure, place, first[0], last[1], rising=False)
        if fine is not None:
            ended = fine
        if still or ended is None:
            return began, None
        return began, max(ended, began, key=lambda one: one.at)

    def _edge(
        self, measure: Measure, place: Place, first_s: float, last_s: float, *, rising: bool
    ) -> tuple[Onset | None, bool]:
        """Date one end of a stretch on fine windows; return (None where there are none, whether it still lasts)."""
        seconds, read = self._fine(measure, place, first_s, last_s, rising=rising)
        known = np.flatnonzero(~np.isnan(read))
        inside = read[(seconds > first_s) & (seconds <= last_s)]
        # Half of nothing is nothing, too.
        if 2 * len(known) <= len(read) or np.isnan(inside).all():
            return None, False
        outside = read[(seconds <= first_s) if rising else (seconds > last_s)]
        # Without anything beside it, the stretch is held against none at all.
        floor = float(np.nanmedian(outside)) if np.sum(~np.isnan(outside)) > 1 else 0.0
        with np.errstate(invalid="ignore"):
            runs = grouped(read > (float(np.nanquantile(inside, _TOP)) + floor) / 2, bridged=2)
        if not runs:
            return None, False
        first, last = runs[0] if rising else runs[-1]
        if not rising and last >= known[-1] - 1:
            return None, True
        half = max(2, min(_AFTER, (last - first + 1) // 2 + 1))
        part = slice(max(0, first - _BEFORE), first + half)
        if not rising:
            part = slice(max(0, last + 1 - half), last + 1 + _BEFORE)
        found = edge(read[part], _COUNTER_MEMBERS if KINDS[measure] in _COUNTED else _GAUGE_MEMBERS)
        if found is None:
            return None, False
        sample, step = seconds[part], FINE.total_seconds()
        return between(
            sample[found.before],
            sample[found.before] + step,
            low_s=sample[found.earliest],
            high_s=sample[found.latest] + step,
        ), False

    def _fine(
        self, measure: Measure, place: Place, first_s: float, last_s: float, *, rising: bool
    ) -> tuple[Floats, Floats]:
        """Return (ends of windows, badness) about one end of a stretch; regions of a service share one question."""
        border = moment(first_s if rising else last_s)
        start, end = (border - MARGIN, border + INSIDE) if rising else (border - INSIDE, border + MARGIN)
        if moment(last_s) - moment(first_s) < INSIDE:
            start, end = moment(first_s) - MARGIN, moment(last_s) + MARGIN
        start, end = max(floored(start, HOUR), self.start), min(floored(end, HOUR), self.end)
        key = (KINDS[measure], place[0], start, end)
        if key not in self._asked:
            if self.exhausted:
                return np.empty(0), np.empty(0)
            self._asked[key] = values(
                self.metrics, KINDS[measure], start=start, end=end, step=FINE, services=(place[0],)
            )
        seconds, found = self._asked[key]
        read = found.get(place, np.full(len(seconds), np.nan))
        return seconds, read if measure in ("errors", "memory", "cpu") else 1 - read
