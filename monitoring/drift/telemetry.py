"""Drift of user telemetry: which figure changed, where, since when, and by how much."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.multiplicity import adjust
from monitoring.drift import cells as reading
from monitoring.drift import dating
from monitoring.drift.breadth import breadth
from monitoring.drift.cells import METRICS, Cells, Segment
from monitoring.drift.expectation import BEFORE_DAYS, LEAST_HISTORY, NOW_DAYS, Field, between
from monitoring.drift.questions import Questions
from monitoring.drift.search import LEVEL, Search, Shift, Twins
from monitoring.drift.testing import LEAST_UNITS
from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from telemetry.metrics import metric as metric_of
from workspace.columns import Rollup
from workspace.errors import InvalidValueError, StateError

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "drift.telemetry"
CRITICAL: Final = 0.20
"""A change for the worse of so much is critical."""
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryDrift:
    """Looks for changes of the metrics of user telemetry by market, region, device and index version.

    Args:
        most_user_days: Up to so many rows of single users the engine sums up users; beyond, it reads random groups.
    """

    most_user_days: int = reading.MOST_USER_DAYS

    @property
    def name(self) -> str:
        """What it is called."""
        return NAME

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it may report."""
        return METRICS

    def look(self, ground: Ground) -> Outcome:
        """Look at the last half year of whole days; see `monitoring.drift`."""
        began = time.perf_counter()
        try:
            cells = reading.read(ground, most_user_days=self.most_user_days)
        except StateError as error:  # nothing is rolled up yet
            return Outcome(detector=NAME, notes=(f"drift is not estimable: {error.what}",))
        notes = _notes(ground, cells)
        if len(cells.days) < LEAST_HISTORY:
            missing = LEAST_HISTORY - len(cells.days)
            takes = f"a week and the four before it take {LEAST_HISTORY} days: {missing} are missing"
            short = f"Drift is not estimable: {takes}."
            return Outcome(detector=NAME, notes=(*notes, short), seconds=time.perf_counter() - began)
        metrics = twins_of(ground, cells)
        search = Search(metrics=metrics, questions=Questions.of(cells))
        findings: list[Finding] = []
        for shift in search.run():
            if _of_few(ground, shift):
                notes.append(_told_of_few(shift))
            else:
                findings.append(_finding(shift, search))
        notes += [note for one in metrics if (note := _not_estimable(one.cut))]
        return Outcome(
            detector=NAME,
            findings=tuple(sorted(together(findings), key=lambda one: one.onset.at, reverse=True)),
            notes=tuple(notes),
            looked_at=search.tests,
            seconds=time.perf_counter() - began,
        )


def twins_of(ground: Ground, cells: Cells, metrics: Sequence[str] = METRICS) -> list[Twins]:
    """Return some metrics in every segment, with the extremes of users cut and as they are.

    Args:
        ground: The workspace; it says the least number of users.
        cells: What they are read from.
        metrics: Names of metrics.
    """
    least = max(LEAST_UNITS, ground.settings.k_anonymity)
    fields = [
        [Field.of(cells, metric_of(name), least_units=least, cut=cut) for cut in (True, False)] for name in metrics
    ]
    return [Twins(cut=cut, plain=plain) for cut, plain in fields]


def course(ground: Ground, metric: str, segment: Segment, *, cells: Cells | None = None) -> "pd.DataFrame":
    """Return a metric in a segment day by day, for drawing.

    Args:
        ground: The workspace.
        metric: Name of a metric.
        segment: Where; empty for everyone.
        cells: What was read already; None reads it.

    Returns:
        One row a day: ``event_date``, ``value`` with ``low`` and ``high`` (95 %, by users), ``expected`` (the levels
        between its changes, with the week put back), ``deseasonalised`` (the value without the week). NaN where there
        is no figure, or one of too few users.

    Raises:
        UnknownError: When the metric or the segment is unknown.
    """
    import pandas as pd
    from scipy import special

    read = cells or reading.read(ground)
    one = twins_of(ground, read, (metric,))[0].plain
    if segment not in one.segments:
        read.sums(one.metric, segment)
        segment = next(known for known in one.segments if segment.items() <= known.items())
    at = one.place_of(segment)
    days, size = one.days(at), len(read.days)
    enough = days.acting(np.eye(size)) >= ground.settings.k_anonymity
    with np.errstate(divide="ignore", invalid="ignore"):
        value = days.above / days.below
        squares = np.diag(days.products)
        across = np.diag(days.products[:size, size:])
        residual = squares[:size] - 2 * value * across + value**2 * squares[size:]
        margin = special.ndtri(0.975) * np.sqrt(np.maximum(residual, 0)) / days.below
    values, weights = one.course(at)
    fitted = dating.levels(values, weights).level * (days.above.sum() / (days.below * one.season).sum())
    columns = {
        "value": value, "low": np.maximum(value - margin, 0), "high": value + margin,
        "expected": fitted * one.season, "deseasonalised": value / one.season,
    }  # fmt: skip
    shown = {name: np.where(enough, column, np.nan) for name, column in columns.items()}
    return pd.DataFrame({Rollup.DATE: pd.to_datetime(list(read.days)), **shown})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One segment of a tree, one week against the four before it.

    Args:
        segment: Which.
        parent: The segment around it; None for everyone.
        now: The metric in the week; None where it is not estimable.
        before: In the four weeks before.
        effect: Relative change; None where it is not estimable.
        p_value: Adjusted for all segments of the tree.
        flagged: Whether it changed, at `LEVEL`.
    """

    segment: Segment
    parent: Segment | None
    now: float | None
    before: float | None
    effect: Interval | None
    p_value: float | None
    flagged: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "segment": dict(self.segment),
            "parent": None if self.parent is None else dict(self.parent),
            "now": self.now,
            "before": self.before,
            "effect": self.effect.to_dict() if self.effect else None,
            "p_value": self.p_value,
            "flagged": self.flagged,
        }


def segment_tree(ground: Ground, metric: str, week: dt.date, *, cells: Cells | None = None) -> tuple[Node, ...]:
    """Return how a metric stands in every segment in one week against the four weeks before.

    Args:
        ground: The workspace.
        metric: Name of a metric.
        week: First day of the week.
        cells: What was read already; None reads it.

    Raises:
        InvalidValueError: When the days are not there.
        UnknownError: When the metric is unknown.
    """
    read = cells or reading.read(ground)
    first = (week - read.days[0]).days
    if first < BEFORE_DAYS or first + NOW_DAYS > len(read.days):
        raise InvalidValueError(
            f"week == {week}",
            f"must lie from {read.days[0] + BEFORE_DAYS * _DAY} to {read.days[-1] - (NOW_DAYS - 1) * _DAY}",
            "ask for a week that has four weeks before it",
        )
    twins = twins_of(ground, read, (metric,))[0]
    one, size = twins.plain, len(read.days)
    now, before = between(size, first, first + NOW_DAYS), between(size, first - BEFORE_DAYS, first)
    found = [one.compare(at, now, before) for at in range(len(one.segments))]
    tested = [float(twins.cut.compare(at, now, before).p[0]) for at in range(len(one.segments))]
    adjusted = adjust(tested, "bh")
    nodes = []
    for segment, each, p in zip(one.segments, found, adjusted, strict=True):
        known = bool(np.isfinite(p) and np.isfinite(each.p[0]))
        change, low, high = (float(end[0]) for end in each.interval())
        nodes.append(
            Node(
                segment=segment,
                parent=_parent(segment),
                now=float(each.now[0]) if known else None,
                before=float(each.before[0]) if known else None,
                effect=Interval(value=change, low=low, high=high) if known else None,
                p_value=float(p) if known else None,
                flagged=known and bool(p <= LEVEL),
            )
        )
    return tuple(nodes)


def together(findings: Sequence[Finding]) -> list[Finding]:
    """Return one finding for changes of several metrics in one place at one time: the clearest, with the others beside.

    Args:
        findings: As found, the clearest first.
    """
    kept: list[Finding] = []
    for one in findings:
        lead = next((other for other in kept if _same_time_and_place(one, other)), None)
        if lead is None:
            kept.append(one)
            continue
        also = [*lead.evidence.get("also", ()), {"metric": one.metric, "effect": one.effect.to_dict()}]
        kept[kept.index(lead)] = replace(lead, evidence={**lead.evidence, "also": also})
    return kept


def _same_time_and_place(one: Finding, other: Finding) -> bool:
    if one.metric == other.metric or one.segment != other.segment:
        return False
    if one.evidence["kind"] != other.evidence["kind"] or one.evidence["kind"] == "trend":
        return False
    # Days that are certain to a day may still lie a day apart.
    return one.onset.low - 2 * _DAY <= other.onset.high and other.onset.low - 2 * _DAY <= one.onset.high


def _parent(segment: Segment) -> Segment | None:
    if not segment:
        return None
    return {"market": segment["market"]} if "region" in segment else {}


def _of_few(ground: Ground, shift: Shift) -> bool:
    if shift.episode is None:
        return False
    first = shift.twins.plain.cells.days[shift.episode.begin.day]
    stop = first + _DAY * shift.episode.days
    return breadth(ground, shift.twins.plain.metric, shift.segment, first, stop).few


def _finding(shift: Shift, search: Search) -> Finding:
    one, cells = shift.twins.plain, shift.twins.plain.cells
    change, low, high = (float(end[0]) for end in shift.comparison.interval())
    onset, ended, kind = _when(shift)
    segment = _versioned(shift) if shift.episode is not None and not shift.segment else dict(shift.segment)
    worse = (change < 0) == (one.metric.better == "up")
    severity = Severity.INFO if not worse else Severity.CRITICAL if abs(change) >= CRITICAL else Severity.WARNING
    return Finding(
        detector=NAME,
        metric=one.metric.name,
        segment=segment,
        onset=onset,
        ended=ended,
        effect=Interval(value=change, low=low, high=high),
        unit="relative",
        severity=severity,
        p_value=shift.p_adjusted,
        summary=_sentence(one.metric.title, change, segment, onset, ended, kind),
        evidence={
            "kind": kind,
            "before": float(shift.comparison.before[0]),
            "now": float(shift.comparison.now[0]),
            "unit": one.metric.unit,
            "source": cells.source,
            "tests": search.tests,
            "level": LEVEL,
            "treatment_left_out": list(cells.treated),
        },
    )


def _when(shift: Shift) -> tuple[Onset, dt.datetime | None, str]:
    if shift.episode is None:
        first = _midnight(shift, 0)
        return Onset(at=first, low=first, high=first), None, "trend"
    begin, end = shift.episode.begin, shift.episode.end
    onset = Onset(at=_midnight(shift, begin.day), low=_midnight(shift, begin.low), high=_midnight(shift, begin.high))
    if end is None:
        return onset, None, "step"
    return onset, _midnight(shift, end.day), "incident"


def _midnight(shift: Shift, day: int) -> dt.datetime:
    return dt.datetime.combine(shift.twins.plain.cells.days[0], dt.time(), dt.UTC) + day * _DAY


def _versioned(shift: Shift) -> dict[str, str]:
    """Return the index version whose days are those of a change of everyone; nobody's otherwise."""
    episode, serving = shift.episode, shift.twins.plain.cells.serving()
    if episode is None or episode.begin.day == 0:
        return {}
    middle = serving[episode.begin.day + episode.days // 2]
    served = [day for day, name in enumerate(serving) if name == middle]
    first, last = served[0], served[-1]
    if not middle or not episode.begin.low - 1 <= first <= episode.begin.high + 1:
        return {}
    if episode.end is None:
        return {"index_version": middle} if last == len(serving) - 1 else {}
    return {"index_version": middle} if episode.end.low - 1 <= last + 1 <= episode.end.high + 1 else {}


def _sentence(
    title: str, change: float, segment: Mapping[str, str], onset: Onset, ended: dt.datetime | None, kind: str
) -> str:
    way = "rose" if change > 0 else "fell"
    where = ", ".join(f"{name} {value}" for name, value in segment.items()) or "everyone"
    size = f"{abs(change):.0%}"
    if kind == "trend":
        return f"{title} of {where} {way} steadily, by {size} since {onset.at:%Y-%m-%d}."
    until = f" until {ended - _DAY:%Y-%m-%d}" if ended else ""
    return f"{title} of {where} {way} by {size} on {onset.at:%Y-%m-%d}{until}."


def _told_of_few(shift: Shift) -> str:
    onset, ended, kind = _when(shift)
    told = _sentence(shift.twins.plain.metric.title, shift.change, shift.segment, onset, ended, kind)
    return f"{told} Most of it is the work of a few accounts: see the outliers."


def _notes(ground: Ground, cells: Cells) -> list[str]:
    notes = []
    if cells.treated_impressions:
        names = ", ".join(cells.treated)
        notes.append(f"{cells.treated_impressions:,} impressions under treatment of {names} are left out.")
    if cells.left_out_users:
        k = ground.settings.k_anonymity
        many = f"{cells.left_out_users}" if cells.left_out_users >= k else f"fewer than {k}"
        notes.append(f"Days of {many} accounts are left out: far more impressions than people have.")
    empty = sum(not name for name in cells.serving())
    if empty:
        notes.append(f"{empty} of {len(cells.days)} days have no impressions: they count for nothing.")
    crossed = [day for day in ground.rotations if cells.days[0] < day <= cells.days[-1]]
    if crossed:
        days = ", ".join(day.isoformat() for day in crossed)
        notes.append(f"The pseudonym key changed on {days}: users before and after can't be paired.")
    return notes


def _not_estimable(one: Field) -> str:
    """Return which segments have too few users for one metric, in plain words."""
    week = np.zeros((len(one.cells.days), 1))
    week[-NOW_DAYS:] = 1
    few = []
    for place, segment in enumerate(one.segments):
        acting = float(one.days(place).acting(week)[0])
        if acting < one.least_units:
            few.append((", ".join(segment.values()) or "everyone", acting))
    if not few:
        return ""
    named = ", ".join(name for name, _ in few)
    least = int(one.least_units)
    return f"{one.metric.name} of the last week is not estimable for {named}: fewer than {least} users who act."
