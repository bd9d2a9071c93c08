"""Incidents of the services: when one began, where its root lies, when it was over.

Stretches of bad measures become one incident when they overlap and one explains the other: the same service in other
regions, another measure of the same service, or a service that waits for it. The root is the service farthest down the
way of a request; what waits for it is a consequence, named in the evidence and not reported again.
"""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitoring.burn import words
from monitoring.episode_scan import Scan
from monitoring.episodes import Episode, Measure
from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from telemetry.system.incidents import LIMITS
from telemetry.system.questions import Kind
from workspace.columns import Sample
from workspace.errors import InvalidValueError

DETECTOR: Final = "objectives.services"
CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    "gateway": ("bff",),
    "bff": ("user", "content", "recommender"),
}
"""Which service waits for which; one that is not named waits for none."""
TOGETHER: Final = dt.timedelta(minutes=15)
"""Two stretches that begin within this of each other began together."""
AFTER_LEAK: Final = dt.timedelta(hours=1)
"""A process that is down within this of the end of a leak was ended by it."""
LOOKED_BACK: Final = dt.timedelta(days=182)
USUAL_FROM: Final = dt.timedelta(days=14)
"""How much is read before a span, to know what is usual."""
EVERYWHERE: Final = 0.8
"""Share of the regions of a service from which on it is the service as a whole."""
GRAVE: Final = 0.1
"""Share of requests, or of minutes, from which on an incident is critical."""
FULL_SOON: Final = dt.timedelta(days=1)
_NAMES: Final[Mapping[Measure, str]] = {
    "errors": "errors",
    "latency": "slow requests",
    "availability": "downtime",
    "memory": "memory",
    "cpu": "processor load",
}
_ORDER: Final[Sequence[Measure]] = ("memory", "cpu", "availability", "latency", "errors")


def find(ground: Ground, start: dt.datetime, end: dt.datetime) -> tuple[Finding, ...]:
    """Return the incidents that touch a span, the newest first, one finding for each.

    Args:
        ground: Whose system metrics are asked.
        start: Beginning of the span, aware; some days before it are read too, to know what is usual.
        end: Its end.

    Raises:
        InvalidValueError: When the span is empty or not aware.
    """
    if start.tzinfo is None or end.tzinfo is None or start >= end:
        raise InvalidValueError(f"start == {start}", f"must be aware and before {end}")
    found, _ = _read(ground, start, end)
    return tuple(one for one in found if one.ended is None or one.ended >= start)


class Services:
    """Finds the incidents of the services."""

    name: Final = DETECTOR
    metrics: Final = tuple(_NAMES)

    def look(self, ground: Ground) -> Outcome:
        """Look at the last half year of every service and region, up to the newest sample."""
        begun = time.perf_counter()
        now = ground.clock.now()
        found, scan = _read(ground, now - LOOKED_BACK, now)
        notes = scan.notes if scan else [f"not estimable: no sample in the {words(LOOKED_BACK)} before {now:%Y-%m-%d}"]
        return Outcome(
            detector=self.name,
            findings=tuple(found),
            notes=tuple(notes),
            looked_at=scan.looked_at if scan else 0,
            seconds=time.perf_counter() - begun,
        )


def _read(ground: Ground, start: dt.datetime, end: dt.datetime) -> tuple[list[Finding], Scan | None]:
    known = ground.system.known(start - USUAL_FROM, end)
    if known.first is None or known.last is None:
        return [], None
    scan = Scan(metrics=ground.system, start=known.first, end=min(known.last, end))
    roots = [(_root(group), group) for group in joined(scan.episodes())]
    found = [_finding(root, group, scan.regions(root[0].service), scan.end) for root, group in roots]
    return sorted(found, key=lambda one: one.onset.at, reverse=True), scan


def joined(episodes: Sequence[Episode]) -> list[list[Episode]]:
    """Return the stretches by incident, in the order they were given."""
    group = list(range(len(episodes)))
    for later, one in enumerate(episodes):
        for earlier, other in enumerate(episodes[:later]):
            if group[earlier] != group[later] and (_belongs(one, other) or _belongs(other, one)):
                old, new = group[later], group[earlier]
                group = [new if number == old else number for number in group]
    return [
        [one for one, number in zip(episodes, group, strict=True) if number == name] for name in dict.fromkeys(group)
    ]


def _belongs(one: Episode, other: Episode) -> bool:
    """Say whether a stretch is explained by another, or by what explains that."""
    place = (one.service, one.region) == (other.service, other.region)
    if other.leaking:
        # What happens beside a leak is something else, unless the leak ended it.
        ends = other.ended.at if other.ended else None
        return place and ends is not None and abs(one.began.at - ends) <= AFTER_LEAK
    if one.leaking or not (one.began.at < other.until and other.began.at < one.until):
        return False
    if place:
        return True
    same_time = abs(one.began.at - other.began.at) <= TOGETHER or (
        one.began.low <= other.began.high and other.began.low <= one.began.high
    )
    if one.service == other.service:
        return same_time and one.measure == other.measure
    return same_time and one.region == other.region and waits_for(one.service, other.service)


def waits_for(service: str, other: str) -> bool:
    """Say whether a service waits for another, directly or through others.

    Example:
        >>> waits_for("gateway", "content"), waits_for("content", "gateway")
        (True, False)
    """
    return any(called == other or waits_for(called, other) for called in CALLS.get(service, ()))


def _root(group: Sequence[Episode]) -> list[Episode]:
    """Return the stretches of the service that explains the rest, those of its main measure."""
    leaks = [one for one in group if one.leaking]
    if leaks:
        return leaks[:1]
    services = list(dict.fromkeys(one.service for one in group))
    deepest = [name for name in services if not any(waits_for(name, other) for other in services)]
    name = max(deepest, key=lambda service: max(one.level for one in group if one.service == service))
    mine = [one for one in group if one.service == name]
    # Of shares of requests the larger one names it; a service that is down is that before all.
    main = max(mine, key=lambda one: (one.measure == "availability", one.level, -_ORDER.index(one.measure)))
    return [one for one in mine if one.measure == main.measure]


def _finding(root: Sequence[Episode], group: Sequence[Episode], regions: int, now: dt.datetime) -> Finding:
    first = root[0]
    places = sorted({one.region for one in root})
    segment = {Sample.SERVICE: first.service}
    if len(places) == 1 and regions > 1:
        segment[Sample.REGION] = places[0]
    onset = _together([one.began for one in root])
    ends = [one.ended for one in root if one.ended is not None]
    ended = _together(ends) if len(ends) == len(root) else None
    if first.leaking:
        ended = _killed(first, group) or ended
    where = _where(first.service, places, regions)
    return Finding(
        detector=DETECTOR,
        metric=first.measure,
        segment=segment,
        onset=onset,
        ended=ended.at if ended else None,
        effect=_down(onset, ended, now) if first.measure == "availability" else _effect(root),
        unit="share per day" if first.leaking else "min" if first.measure == "availability" else "share",
        p_value=_adjusted(root),
        severity=_severity(root, group, places, regions, now),
        summary=_summary(root, group, where, onset, ended, now),
        evidence=_evidence(root, group, ended),
    )


def _together(moments: Sequence[Onset]) -> Onset:
    """Return one moment from those of several regions: what the middle one of them says, so that none decides alone."""
    middle = len(moments) // 2
    at = sorted(one.at for one in moments)[middle]
    low, high = sorted(one.low for one in moments)[middle], sorted(one.high for one in moments)[middle]
    return Onset(at=at, low=min(low, at), high=max(high, at))


def _killed(leak: Episode, group: Sequence[Episode]) -> Onset | None:
    downs = [one for one in group if one.measure == "availability" and one.service == leak.service]
    return downs[0].began if downs else None


def _effect(root: Sequence[Episode]) -> Interval:
    if len(root) == 1 or root[0].total <= 0:
        return Interval(value=root[0].level, low=root[0].low, high=root[0].high)
    total = sum(one.total for one in root)
    lows, highs = [one.low for one in root if one.low is not None], [one.high for one in root if one.high is not None]
    return Interval(
        value=sum(one.level * one.total for one in root) / total,
        low=min(lows, default=None),
        high=max(highs, default=None),
    )


def _down(onset: Onset, ended: Onset | None, now: dt.datetime) -> Interval:
    """Return the minutes of a downtime; of one that lasts, those until now."""
    minute = dt.timedelta(minutes=1)
    last = ended or Onset(at=max(now, onset.at), low=max(now, onset.at), high=max(now, onset.at))
    return Interval(
        value=(last.at - onset.at) / minute,
        low=max(0.0, (last.low - onset.high) / minute),
        high=(last.high - onset.low) / minute,
    )


def _adjusted(root: Sequence[Episode]) -> float | None:
    """Return the least chance, times all the windows that were looked at (Bonferroni)."""
    chances = [one.p_value for one in root if one.p_value is not None]
    return min(1.0, min(chances) * WINDOWS) if chances else None


WINDOWS: Final = 50 * 24 * 182 * 3
"""Services × regions × hours × measures of half a year."""


def _severity(
    root: Sequence[Episode], group: Sequence[Episode], places: Sequence[str], regions: int, now: dt.datetime
) -> Severity:
    first = root[0]
    down = any(one.measure == "availability" for one in group)
    if first.leaking:
        soon = first.ended is None and _full(first, now) is not None and _left(first, now) <= FULL_SOON
        return Severity.CRITICAL if down or soon else Severity.WARNING
    if first.measure in ("memory", "cpu"):
        return Severity.WARNING
    everywhere = regions > 1 and len(places) >= EVERYWHERE * regions
    return Severity.CRITICAL if down or everywhere or max(one.level for one in root) >= GRAVE else Severity.WARNING


def _full(leak: Episode, now: dt.datetime) -> dt.datetime | None:
    """Return when memory is full if it goes on; None when that is past."""
    at = leak.began.at + dt.timedelta(days=(1 - leak.usual) / leak.level)
    return at if at > now else None


def _left(leak: Episode, now: dt.datetime) -> dt.timedelta:
    return (_full(leak, now) or now) - now


def _where(service: str, places: Sequence[str], regions: int) -> str:
    if len(places) == 1:
        return f"{service} in {places[0]}"
    if len(places) >= EVERYWHERE * regions:
        return f"{service} in all regions" if len(places) == regions else f"{service} in {len(places)} regions"
    return f"{service} in {', '.join(places)}"


def _summary(
    root: Sequence[Episode],
    group: Sequence[Episode],
    where: str,
    onset: Onset,
    ended: Onset | None,
    now: dt.datetime,
) -> str:
    first, level = root[0], _effect(root).value
    since = f"from {onset.at:%d %B %H:%M}" + (f" for {words(ended.at - onset.at)}" if ended else ", and it goes on")
    if first.leaking:
        said = f"{where}: memory grew by {level:.1%} of all a day, {since}"
        downs = [one for one in group if one.measure == "availability"]
        if downs and downs[0].ended:
            return f"{said}; then the process was down for {words(downs[0].ended.at - downs[0].began.at)}."
        full = _full(first, now)
        return f"{said}; full in {words(full - now)}." if ended is None and full else f"{said}."
    if first.measure == "availability":
        return f"{where} was down, {since}."
    if first.measure in ("memory", "cpu"):
        limit = LIMITS[Kind.MEMORY if first.measure == "memory" else Kind.CPU].name
        return f"{where}: {_NAMES[first.measure]} at {level:.0%}, above {limit}, {since}."
    verb = "failed" if first.measure == "errors" else "took longer than 1 s"
    others = list(dict.fromkeys(one.service for one in group if one.service != first.service))
    behind = f"; {' and '.join(others)} waited for it" if others else ""
    return f"{where}: {level:.1%} of the requests {verb}, {since}{behind}."


def _evidence(root: Sequence[Episode], group: Sequence[Episode], ended: Onset | None) -> dict[str, Any]:
    first = root[0]
    rest = [one for one in group if one not in root]
    return {
        "regions": sorted({one.region for one in root}),
        "usual": sum(one.usual for one in root) / len(root),
        "worst": max(one.worst for one in root),
        "counted": sum(one.total for one in root),
        "counted_unit": "requests" if first.measure in ("errors", "latency") else "minutes",
        "ended_between": [ended.low.isoformat(), ended.high.isoformat()] if ended else None,
        "upstream": [_member(one) for one in rest if waits_for(one.service, first.service)],
        "also": [_member(one) for one in rest if not waits_for(one.service, first.service)],
    }


def _member(one: Episode) -> dict[str, Any]:
    return {
        "service": one.service,
        "region": one.region,
        "measure": one.measure,
        "share": one.level,
        "usual": one.usual,
        "began": one.began.at.isoformat(),
        "ended": one.ended.at.isoformat() if one.ended else None,
    }
