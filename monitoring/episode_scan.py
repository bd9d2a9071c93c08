"""Reading the services over half a year: by the hour, and by ten minutes in the last day."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from monitoring.burn import Floats
from monitoring.episode_dating import KINDS, Dating
from monitoring.episodes import (
    LEAST_POINTS,
    Episode,
    Measure,
    Run,
    bad_runs,
    grouped,
    high_runs,
    hinge,
    moment,
    usual_share,
)
from monitoring.findings import Onset
from monitoring.service_counts import FINE, HOUR, LEAST_KNOWN, Place, floored, values
from telemetry.system import Kind, SystemMetrics
from telemetry.system.incidents import LIMITS
from telemetry.system.questions import LEAST_WINDOW

DOWN_S: Final = 360.0
"""Of one window: two scrapes five minutes apart, as means over windows show them. A single one may be a release."""
ROUNDING: Final = 1e-9
HIGH_S: Final = 1_800.0
"""Memory or load above its limit for less is the business of the objectives."""
LEAK_ABOVE: Final = 0.05
"""Memory above the usual, as a share of all, from which on it is looked at; and the least growth of a leak."""
LEAK_S: Final = 6 * 3_600.0
LEAK_BEFORE: Final = dt.timedelta(days=3)
LEAK_NOISE: Final = 6.0
LEAK_SURE: Final = 10.0
MOST_POINTS: Final = 1_500
GAP_S: Final = 7_200.0
MOST_NAMED: Final = 3
LATELY: Final = dt.timedelta(days=1)
"""How far back windows of ten minutes are looked at: what is short is found while it is new."""
_HOUR_S, _NARROW_S = 3_600.0, LEAST_WINDOW.total_seconds()


@dataclass(slots=True)
class Scan:
    """One reading of the services.

    Args:
        metrics: What is asked.
        start: Where it begins.
        end: The newest moment that counts.
    """

    metrics: SystemMetrics
    start: dt.datetime
    end: dt.datetime
    notes: list[str] = field(default_factory=list)
    looked_at: int = 0
    _seconds: Floats = field(default_factory=lambda: np.empty(0))
    _widths: Floats = field(default_factory=lambda: np.empty(0))
    _fine: bool | None = None
    _newest: dict[Place, int] = field(default_factory=dict)
    _dating: Dating = field(init=False)

    def __post_init__(self) -> None:
        self._dating = Dating(metrics=self.metrics, start=self.start, end=self.end)

    def episodes(self) -> list[Episode]:
        """Return every stretch, dated."""
        rates, up = self._windows(Kind.REQUEST_RATE), self._windows(Kind.AVAILABILITY)
        if not rates or not up:
            self.notes.append(f"not estimable: no samples between {self.start:%Y-%m-%d} and {self.end:%Y-%m-%d %H:%M}")
            return []
        self._newest = {place: int(np.flatnonzero(~np.isnan(one))[-1]) for place, one in up.items()}
        found: list[Episode] = []
        found += self._shares("errors", rates) + self._shares("latency", rates)
        found += self._downs(up) + self._gauges("memory") + self._gauges("cpu")
        if self._dating.exhausted:
            self.notes.append(f"{len(found)} bad stretches: too many to date each finely, some are dated by the hour")
        return found

    def regions(self, service: str) -> int:
        """Return in how many regions a service was seen."""
        return sum(1 for name, _ in self._newest if name == service)

    def _windows(self, kind: Kind) -> dict[Place, Floats]:
        """Return values by the hour, and by ten minutes in the last day where the samples are that fine."""
        first, whole = floored(self.start, HOUR), floored(self.end, HOUR)
        border = max(first + HOUR, floored(self.end - LATELY, HOUR)) if self._lately(kind) else whole
        if border <= first:
            return {}
        early_s, early = values(self.metrics, kind, start=first, end=border, step=HOUR)
        late_s, late = self._lately_values(kind, border) if border < whole else (np.empty(0), {})
        self._seconds = np.concatenate([early_s, late_s])
        self._widths = np.concatenate([np.full(len(early_s), _HOUR_S), np.full(len(late_s), _NARROW_S)])
        self.looked_at = max(self.looked_at, len(early))
        nothing = np.full(len(early_s), np.nan), np.full(len(late_s), np.nan)
        return {
            place: np.concatenate([early.get(place, nothing[0]), late.get(place, nothing[1])])
            for place in dict.fromkeys([*early, *late])
        }

    def _lately(self, kind: Kind) -> bool:
        """Say whether the last day can be read finely; found out once, so that all measures have the same windows."""
        if self._fine is None:
            border = max(self.start, floored(self.end - LATELY, HOUR))
            late = self._lately_values(kind, border)[1] if self.end - border >= LEAST_WINDOW else {}
            known = [float(np.mean(~np.isnan(one))) for one in late.values()]
            self._fine = bool(known) and float(np.median(known)) >= LEAST_KNOWN
        return self._fine

    def _lately_values(self, kind: Kind, border: dt.datetime) -> tuple[Floats, dict[Place, Floats]]:
        seconds, found = values(self.metrics, kind, start=border, end=self.end, step=FINE)
        # The windows overlap: every second one, counted back from the end, does not.
        kept = np.flatnonzero(seconds - _NARROW_S >= border.timestamp() - 1)[::-1][::2][::-1]
        return seconds[kept], {place: one[kept] for place, one in found.items()}

    def _shares(self, measure: Measure, rates: dict[Place, Floats]) -> list[Episode]:
        kind, found = KINDS[measure], []
        limit = LIMITS[kind].value if kind == Kind.ERROR_RATE else 1 - LIMITS[kind].value
        for place, answers in self._windows(kind).items():
            if place not in rates:
                continue
            share = answers if kind == Kind.ERROR_RATE else 1 - answers
            total = rates[place] * self._widths
            bad = np.clip(share, 0, 1) * total
            usual = usual_share(bad, total, limit)
            found += [
                self._share(measure, place, run, bad, total, usual)
                for run in bad_runs(bad, total, limit=limit, usual=usual)
            ]
        return found

    def _share(self, measure: Measure, place: Place, run: Run, bad: Floats, total: Floats, usual: float) -> Episode:
        began, ended = self._ends(measure, place, run)
        inside = self._inside(run, began, ended)
        n, k = float(np.nansum(total[inside])), float(np.nansum(bad[inside]))
        low, high = wilson(k, n)
        with np.errstate(invalid="ignore"):
            worst = float(np.nanmax(bad[inside] / total[inside]))
        return Episode(
            measure=measure,
            service=place[0],
            region=place[1],
            began=began,
            ended=ended,
            usual=usual,
            level=k / n,
            low=low,
            high=high,
            worst=worst,
            total=n,
            p_value=run.p_value,
        )

    def _downs(self, availability: dict[Place, Floats]) -> list[Episode]:
        self._note_gaps(availability)
        found = []
        for place, up in availability.items():
            down = 1 - up
            for first, last in grouped(down > ROUNDING, bridged=0):
                if float(np.nanmax(down[first : last + 1] * self._widths[first : last + 1])) >= DOWN_S:
                    found.append(self._gauge("availability", place, Run(first=first, last=last), down, usual=0.0))
        return found

    def _note_gaps(self, availability: dict[Place, Floats]) -> None:
        """Say which series have no samples when; those of one gap in one line, whatever their number."""
        gaps: dict[tuple[int, int], list[Place]] = {}
        newest = max(self._newest.values())
        for place, up in availability.items():
            mine, begun = self._newest[place], int(np.flatnonzero(~np.isnan(up))[0])
            for first, last in grouped(np.isnan(up[: mine + 1]), bridged=0):
                # What begins later than the rest is new, not missing.
                if first < begun:
                    continue
                gaps.setdefault((first, last), []).append(place)
            if mine < newest:
                gaps.setdefault((mine + 1, newest), []).append(place)
        for (first, last), places in sorted(gaps.items()):
            if self._span_s(first, last) < GAP_S:
                continue
            named = ", ".join(f"{service} in {region}" for service, region in places)
            if len(places) > MOST_NAMED:
                named = f"{len(places)} of {len(availability)} services and regions"
            since = moment(self._seconds[first] - self._widths[first])
            until = "" if last == newest else f" until {self._at(last):%Y-%m-%d %H:%M}"
            self.notes.append(f"{named}: no samples since {since:%Y-%m-%d %H:%M}{until}")

    def _gauges(self, measure: Measure) -> list[Episode]:
        found: list[Episode] = []
        limit = LIMITS[KINDS[measure]].value
        for place, series in self._windows(KINDS[measure]).items():
            if np.isnan(series).all():
                continue
            usual = float(np.nanmedian(series))
            leaks = self._leaks(place, series, usual) if measure == "memory" else []
            found += leaks
            found += [
                self._gauge(measure, place, run, series, usual=usual)
                for run in high_runs(series, limit=limit, least=1)
                if self._span_s(run.first, run.last) >= HIGH_S
                and usual <= limit
                and not any(_during(leak, self._at(run.last)) for leak in leaks)
            ]
        return found

    def _gauge(self, measure: Measure, place: Place, run: Run, series: Floats, *, usual: float) -> Episode:
        began, ended = self._ends(measure, place, run)
        inside = self._inside(run, began, ended)
        return Episode(
            measure=measure,
            service=place[0],
            region=place[1],
            began=began,
            ended=ended,
            usual=usual,
            level=float(np.nanmean(series[inside])),
            worst=float(np.nanmax(series[run.first : run.last + 1])),
            total=float(self._widths[inside].sum() / 60),
        )

    def _leaks(self, place: Place, series: Floats, usual: float) -> list[Episode]:
        spread = 1.4826 * float(np.nanmedian(np.abs(series - usual)))
        with np.errstate(invalid="ignore"):
            above = series > usual + max(LEAK_ABOVE, LEAK_NOISE * spread)
        found = []
        for first, last in grouped(above, bridged=1):
            # The last window may hold the end: it is left out of the line.
            if self._span_s(first, last - 1) < LEAK_S or not _grows(series[first:last]):
                continue
            leak = self._leak(place, Run(first=first, last=last), series)
            if leak is not None:
                found.append(leak)
        return found

    def _leak(self, place: Place, run: Run, series: Floats) -> Episode | None:
        ended = self._ends("memory", place, run)[1]
        stop = min(ended.low, self._at(run.last)) if ended else self._at(run.last)
        begin = max(self.start, self._at(run.first) - LEAK_BEFORE - (stop - self._at(run.first)) / 2)
        seconds, read = self._line(place, begin, stop)
        fitted = hinge((seconds - seconds[0]) / 86_400, read)
        if fitted is None or fitted.growth < LEAK_SURE * fitted.error:
            return None
        at, low, high = (moment(seconds[0] + 86_400 * one) for one in (fitted.at, fitted.low, fitted.high))
        return Episode(
            measure="memory",
            service=place[0],
            region=place[1],
            began=Onset(at=at, low=low, high=high),
            ended=ended,
            usual=fitted.level,
            level=fitted.growth,
            low=fitted.growth - 1.96 * fitted.error,
            high=fitted.growth + 1.96 * fitted.error,
            worst=float(np.nanmax(series[run.first : run.last + 1])),
            total=(stop - at) / dt.timedelta(minutes=1),
            leaking=True,
        )

    def _line(self, place: Place, begin: dt.datetime, stop: dt.datetime) -> tuple[Floats, Floats]:
        """Return (middles of windows, memory), as fine as there is, at most some points."""
        for step in (LEAST_WINDOW, HOUR):
            seconds, found = values(self.metrics, Kind.MEMORY, start=begin, end=stop, step=step, services=(place[0],))
            if place in found and np.mean(~np.isnan(found[place])) > 0.5:  # noqa: PLR2004 - more than half
                break
        read, each = found[place], -(-len(seconds) // MOST_POINTS)
        kept = len(seconds) // each * each
        middles = (seconds - step.total_seconds() / 2)[:kept].reshape(-1, each).mean(axis=1)
        return middles, read[:kept].reshape(-1, each).mean(axis=1)

    def _ends(self, measure: Measure, place: Place, run: Run) -> tuple[Onset, Onset | None]:
        seconds, widths = self._seconds, self._widths
        return self._dating.ends(
            measure,
            place,
            (seconds[run.first] - widths[run.first], seconds[run.first]),
            (seconds[run.last] - widths[run.last], seconds[run.last]),
            lasting=run.last >= self._newest.get(place, 0),
        )

    def _span_s(self, first: int, last: int) -> float:
        return float(self._widths[first : last + 1].sum())

    def _at(self, window: int) -> dt.datetime:
        return moment(self._seconds[window])

    def _inside(self, run: Run, began: Onset, ended: Onset | None) -> slice:
        """Return the windows that lie wholly inside a stretch; all of them when none does."""
        stop = ended.at.timestamp() if ended else np.inf
        first, last = run.first, run.last
        while first < last and self._seconds[first] - self._widths[first] < began.low.timestamp():
            first += 1
        while last > first and self._seconds[last] > stop:
            last -= 1
        return slice(first, last + 1)


def _during(leak: Episode, at: dt.datetime) -> bool:
    return leak.began.at <= at and (leak.ended is None or at <= leak.ended.high + HOUR)


def _grows(values: Floats) -> bool:
    """Say whether a series of hours rises in a line by more than noise."""
    known = ~np.isnan(values)
    if known.sum() < LEAST_POINTS:
        return False
    t, y = np.arange(len(values))[known], values[known]
    centred = t - t.mean()
    slope = float(centred @ (y - y.mean()) / (centred**2).sum())
    rest = y - y.mean() - slope * centred
    error = np.sqrt((rest**2).sum() / (len(y) - 2) / (centred**2).sum())
    return bool(slope * (t[-1] - t[0]) >= LEAK_ABOVE / 2 and slope > LEAK_SURE * error)


def wilson(bad: float, total: float, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22(158).

    Example:
        >>> [round(end, 4) for end in wilson(10, 100)]
        [0.0552, 0.1744]
    """
    share = bad / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return float(middle - half), float(middle + half)
