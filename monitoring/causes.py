"""The likely cause of a finding among what changed around its beginning.

Each change gets points: how near it is to the beginning, whether it reaches the place, and how plausible its kind is
for the metric. A cause nobody recorded gets points too, so that the weights of one finding sum to less than 1 and the
best is "likely" at most: nearness in time is no proof.

points = plausibility of the kind × nearness in time × fit of the place × (1.5 when it ended together with the finding)
weight = points / (0.25 + points of all changes)

The constants are a judgement, not an estimate: they are here, and in the documentation, to be argued with.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from monitoring.changes import EXPOSURE, GAP, INCIDENTS, gather, incidents_of
from monitoring.findings import Cause, Change, ChangeKind, Finding
from monitoring.ground import Ground
from workspace.columns import Event, Rollup

SLATES: Final = "drift.slates"
UNKNOWN: Final = 0.25
"""Points of a cause that nobody recorded."""
BEFORE: Final = dt.timedelta(days=4)
"""A change is looked for from so long before the earliest beginning …"""
AFTER: Final = dt.timedelta(days=1)
"""… to so long after the latest: days are the grain of most findings."""
FADES_IN: Final = dt.timedelta(days=1.5)
"""Points fall to 37 % with this distance from the interval of the beginning."""
TOGETHER: Final = 1.5
"""Factor of a change that began and ended with the finding."""
LEAST_WEIGHT: Final = 0.1
MOST_CAUSES: Final = 3

PLAUSIBLE: Final[Mapping[str, Mapping[ChangeKind, float]]] = {
    "drift": {"index_version": 1.0, "feature_version": 0.9, "catalogue": 0.8, "provider": 0.6, "experiment": 0.5,
              "incident": 0.4},
    "survey": {"index_version": 0.2, "feature_version": 0.2, "catalogue": 0.1, "provider": 0.1, "experiment": 0.3,
               "incident": 0.2},
    "exposure": {"index_version": 0.9, "feature_version": 0.9, "catalogue": 1.0, "provider": 1.0, "experiment": 0.3,
                 "incident": 0.6},
    "gap": {"index_version": 0.5, "feature_version": 0.3, "catalogue": 0.8, "provider": 1.0, "experiment": 0.1,
            "incident": 1.0},
    "objectives": {"index_version": 0.7, "feature_version": 0.5, "catalogue": 0.4, "provider": 0.4, "experiment": 0.4,
                   "incident": 0.6},
    "outliers": {"index_version": 0.05, "feature_version": 0.05, "catalogue": 0.3, "provider": 0.2, "experiment": 0.0,
                 "incident": 0.2},
}  # fmt: skip
"""How plausible each kind of change is as the cause of each kind of finding."""


def explain(
    findings: Sequence[Finding], ground: Ground, *, incidents: Sequence[Finding] | None = None
) -> tuple[Finding, ...]:
    """Fill in the likely causes of findings, or say in their evidence that nothing known changed.

    Args:
        findings: Of all detectors of a run.
        ground: Where the changes are recorded.
        incidents: Findings of ``objectives.services``; None takes those among ``findings``, or looks for them when
            there are none.

    Returns:
        The same findings in the same order, with ``causes`` and with ``cause`` in their evidence.
    """
    if not findings:
        return ()
    start = min(one.onset.low for one in findings) - BEFORE
    end = max([one.onset.high for one in findings] + [one.ended for one in findings if one.ended]) + AFTER
    if incidents is None:
        incidents = [one for one in findings if one.detector == INCIDENTS] or incidents_of(ground, start, end)
    gaps = [one for one in findings if one.detector == EXPOSURE and one.metric == GAP]
    changes = gather(ground, start, end, findings=[*incidents, *gaps])
    places = _markets(ground)
    return tuple(_explained(one, changes, places) for one in findings)


def ranked(finding: Finding, changes: Sequence[Change], markets: Mapping[str, str] | None = None) -> tuple[Cause, ...]:
    """Return the likely causes of one finding, the likeliest first.

    Args:
        finding: What was found.
        changes: What changed around that time.
        markets: Market of each region.

    Returns:
        At most three, each with a weight of 0.1 or more; empty when nothing known fits.
    """
    points = [(_points(finding, one, markets or {}), one) for one in changes if not _same(finding, one)]
    total = UNKNOWN + sum(value for value, _ in points)
    causes = [
        Cause(change=one, weight=value / total, reason=_reason(finding, one))
        for value, one in sorted(points, key=lambda pair: -pair[0])
        if value / total >= LEAST_WEIGHT
    ]
    return tuple(causes[:MOST_CAUSES])


def _explained(finding: Finding, changes: Sequence[Change], markets: Mapping[str, str]) -> Finding:
    causes = ranked(finding, changes, markets)
    if causes:
        words = f"likely: {causes[0].change.summary or causes[0].change.name}"
    else:
        low, high = finding.onset.low - BEFORE, finding.onset.high + _after(finding)
        near = sum(low <= one.at <= high and not _same(finding, one) for one in changes)
        beside = f" that fits, among {near} at that time" if near else ""
        words = f"no known change between {low:%Y-%m-%d} and {high:%Y-%m-%d}{beside}"
    return replace(finding, causes=causes, evidence={**finding.evidence, "cause": words})


def _points(finding: Finding, change: Change, markets: Mapping[str, str]) -> float:
    near = _nearness(finding, change.at)
    if change.until is not None and change.kind != "index_version":
        # What was taken away can be a cause as well; the end of an index version is the beginning of the next.
        near = max(near, 0.6 * _nearness(finding, change.until))
    points = _plausible(finding, change) * near * _fit(finding.segment, change.segment, change, markets)
    return points * (TOGETHER if _together(finding, change) else 1.0)


def _plausible(finding: Finding, change: Change) -> float:
    group = finding.detector.partition(".")[0]
    kind = "survey" if finding.metric.startswith("survey") else group if group in PLAUSIBLE else "drift"
    if finding.detector in {EXPOSURE, SLATES}:
        kind = "gap" if finding.metric == GAP else "exposure"
    return PLAUSIBLE[kind][change.kind]


def _nearness(finding: Finding, at: dt.datetime) -> float:
    """Return 1 at the likeliest beginning, falling outside its interval and a little inside it; 0 far from it."""
    low, high = finding.onset.low, finding.onset.high
    if not low - BEFORE <= at <= high + _after(finding):
        return 0.0
    outside = max(low - at, at - high, dt.timedelta(0)) / FADES_IN
    # Within the interval every moment is possible, and the middle the likeliest.
    inside = abs(at - finding.onset.at) / max(high - low, FADES_IN)
    return math.exp(-outside - 0.5 * inside)


def _after(finding: Finding) -> dt.timedelta:
    """Return how long after the interval of the beginning a cause may lie: within the day when only that is known."""
    return AFTER if finding.onset.high.time() == dt.time() else dt.timedelta(0)


def _together(finding: Finding, change: Change) -> bool:
    if finding.ended is None or change.until is None:
        return False
    slack = max(AFTER, (finding.onset.high - finding.onset.low) / 2)
    return abs(change.until - finding.ended) <= slack and abs(change.at - finding.onset.at) <= slack


def _fit(where: Mapping[str, str], reach: Mapping[str, str], change: Change, markets: Mapping[str, str]) -> float:
    """Return how well the reach of a change fits the place of a finding."""
    if where.get(Event.INDEX_VERSION) == change.name and change.kind in {"index_version", "feature_version"}:
        return 1.0
    if not reach:
        # Something that reaches everybody may show in one place alone, but had better show everywhere.
        return 1.0 if not where or Event.INDEX_VERSION in where else 0.7
    shared = [key for key in reach if key in where]
    if shared:
        return float(all(reach[key] == where[key] for key in shared))
    for inner, outer, fit in ((reach, where, 0.6), (where, reach, 0.8)):
        if Event.REGION in inner and Rollup.MARKET in outer:
            return fit if markets.get(inner[Event.REGION]) == outer[Rollup.MARKET] else 0.0
    return 0.4


def _same(finding: Finding, change: Change) -> bool:
    """Tell whether the change is the finding itself, told as a change."""
    kind = {INCIDENTS: "incident", EXPOSURE: "provider"}.get(finding.detector)
    return change.kind == kind and change.at == finding.onset.at and dict(change.segment) == dict(finding.segment)


def _reason(finding: Finding, change: Change) -> str:
    days = (change.at - finding.onset.at) / dt.timedelta(days=1)
    if finding.onset.low <= change.at <= finding.onset.high:
        when = "within the interval of the beginning"
    else:
        when = f"{abs(days):.1f} days {'before' if days < 0 else 'after'} the beginning"
    if _together(finding, change):
        when += ", and over at the same time"
    elif change.until is not None and _nearness(finding, change.until) > _nearness(finding, change.at):
        when = "its end is near the beginning"
    if change.segment and all(finding.segment.get(key) == value for key, value in change.segment.items()):
        when += ", in the same place"
    return when


def _markets(ground: Ground) -> dict[str, str]:
    frame = ground.warehouse.query(f"SELECT {Event.REGION}, {Rollup.MARKET} FROM REGIONS")  # noqa: S608 - our own names
    return dict(zip(frame[Event.REGION], frame[Rollup.MARKET], strict=True))
