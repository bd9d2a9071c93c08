"""What the services promise and how they keep it: error budgets, burn rates and limits, in plain words.

Counters that begin anew and gaps are the business of `telemetry.system`: its rates are free of both. What is not known
is not counted, and the status says how much of its window is known.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from monitoring import objective_rules
from monitoring.burn import Budget, Burn, Counts, Floats, Guard, budget, burn, words
from monitoring.findings import Interval
from monitoring.ground import Ground
from monitoring.incidents import waits_for
from monitoring.objective_rules import ObjectiveRule, Rules
from monitoring.objective_status import BudgetDay, ObjectiveAlert, ObjectiveStatus, Standing
from monitoring.service_counts import FINE, HOUR, Place, counted, floored, newest, values
from telemetry.system import Kind, SystemMetrics
from telemetry.system.questions import EVERY, LEAST_WINDOW, UNITS
from workspace.columns import Sample
from workspace.errors import InvalidValueError, UnknownError

__all__ = ["BudgetDay", "ObjectiveAlert", "ObjectiveStatus", "Standing", "course", "evaluate"]

STALE: Final = dt.timedelta(hours=1)
ABOUT: Final = dt.timedelta(minutes=15)
"""Services last scraped within this of each other are judged as of the same moment."""
LEAST_IN_TAIL: Final = 5
"""Requests beyond a quantile that make it worth a word: 100 requests for a p95."""
MOST_REGIONS: Final = 0.5
"""When a larger share of the regions of a service fires, the service as a whole is named instead."""
_DIMENSIONS: Final = (Sample.SERVICE, Sample.REGION)
_LOOKED_BACK: Final = dt.timedelta(days=400)


def evaluate(
    ground: Ground, at: dt.datetime | None = None, *, rules: Rules | None = None
) -> tuple[ObjectiveStatus, ...]:
    """Say how every objective stands.

    Args:
        ground: Whose system metrics are asked.
        at: The moment; None for the newest sample there is.
        rules: The objectives; None reads those of the workspace.

    Returns:
        One for each objective, service and (where it is watched by region) region; the whole service before its
        regions.

    Raises:
        InvalidValueError: When the moment is not aware.
        SchemaError: When the file of objectives can't be used.
    """
    rules = rules or objective_rules.load(ground.paths)
    moment = at or ground.clock.now()
    if moment.tzinfo is None:
        raise InvalidValueError(f"at == {moment}", "must be an aware datetime", "pass tzinfo=datetime.UTC")
    last = ground.system.known(moment - _LOOKED_BACK, moment).last
    if last is None or last < moment - max(one.window for one in rules.objective):
        since = "at all" if last is None else f"since {last:%Y-%m-%d %H:%M}"
        return tuple(_unknown(rule, f"not estimable: there is no sample {since}") for rule in rules.objective)
    scraped = newest(ground.system, min(last, moment))
    found: list[ObjectiveStatus] = []
    for rule in rules.objective:
        groups = _alike({name: at for name, at in scraped.items() if name in (rule.services or scraped)}, moment)
        if rule.kind == "threshold":
            found.append(_threshold(ground.system, rule, groups))
            continue
        nothing = f"not estimable: nothing was counted in {words(rule.window)}"
        budgets = [status for group in groups for status in _budgets(ground.system, rule, rules, group)]
        found += _rooted(budgets) or [_unknown(rule, nothing)]
    return tuple(found)


def _rooted(budgets: Sequence[ObjectiveStatus]) -> list[ObjectiveStatus]:
    """Say of an alert that a service it waits for has the same one: that is where to look first."""
    firing = [alert.segment for one in budgets for alert in one.alerts]

    def named(alert: ObjectiveAlert) -> ObjectiveAlert:
        region = alert.segment.get(Sample.REGION)
        same = [segment[Sample.SERVICE] for segment in firing if segment.get(Sample.REGION) == region]
        below = [name for name in same if waits_for(alert.segment[Sample.SERVICE], name)]
        deepest = [name for name in below if not any(waits_for(name, other) for other in below)]
        if not deepest:
            return alert
        return replace(alert, text=f"{alert.text} It waits for {' and '.join(deepest)}, with the same alert.")

    return [replace(one, alerts=tuple(named(alert) for alert in one.alerts)) for one in budgets]


def course(
    ground: Ground, name: str, *, service: str, region: str | None = None, rules: Rules | None = None
) -> tuple[BudgetDay, ...]:
    """Return how the budget of an objective was used up, day by day of its window, the oldest first.

    Args:
        ground: Whose system metrics are asked.
        name: The objective.
        service: Of which service.
        region: Of which region; None for all together.
        rules: The objectives; None reads those of the workspace.

    Raises:
        UnknownError: When there is no such budget, or nothing of the service is known.
    """
    budgets = {one.name: one for one in (rules or objective_rules.load(ground.paths)).objective if one.kind == "budget"}
    if name not in budgets:
        raise UnknownError(f"objective == {name!r}", "must be a budget", f"there is {', '.join(budgets)}")
    rule, now = budgets[name], ground.clock.now()
    last = ground.system.known(now - rule.window, now).last
    scraped = newest(ground.system, min(last, now)) if last else {}
    counts: Mapping[Place, Counts] = {}
    if service in scraped:
        counts = counted(
            ground.system,
            rule.question,
            services=(service,),
            until=scraped[service],
            window=rule.window,
            limit_s=rule.limit_s,
        )
    place = service, region or EVERY
    if place not in counts:
        raise UnknownError(
            f"{_place_text(dict(zip(_DIMENSIONS, place, strict=True)))} has no samples", "must have some"
        )
    return _days(counts[place], _target(rule))


def _days(counts: Counts, target: float) -> tuple[BudgetDay, ...]:
    # A slot belongs to the day it begins in.
    days = ((counts.end_s - counts.width_s) // 86_400).astype(np.int64)
    allowed = (1 - target) * float(np.nansum(counts.total))
    found, spent = [], 0.0
    for day in range(int(days[0]), int(days[-1]) + 1):
        inside = (days == day) & ~np.isnan(counts.total) & ~np.isnan(counts.bad)
        total, bad = float(counts.total[inside].sum()), float(counts.bad[inside].sum())
        spent += bad
        found.append(
            BudgetDay(
                day=dt.date(1970, 1, 1) + dt.timedelta(days=day),
                total=total if inside.any() else None,
                bad=bad if inside.any() else None,
                remaining=1 - spent / allowed if allowed > 0 else 1.0,
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Services that were last scraped at about the same time."""

    services: tuple[str, ...]
    as_of: dt.datetime
    late: str


def _alike(scraped: Mapping[str, dt.datetime], moment: dt.datetime) -> list[_Group]:
    groups: list[_Group] = []
    for name, at in sorted(scraped.items(), key=lambda item: (item[1], item[0]), reverse=True):
        if groups and groups[-1].as_of - at <= ABOUT:
            groups[-1] = replace(groups[-1], services=(*groups[-1].services, name))
        else:
            late = f"the newest sample of {name} is of {at:%Y-%m-%d %H:%M}" if moment - at > STALE else ""
            groups.append(_Group(services=(name,), as_of=at, late=late))
    return groups


def _unknown(rule: ObjectiveRule, note: str) -> ObjectiveStatus:
    return ObjectiveStatus(
        name=rule.name,
        title=rule.title,
        kind=rule.kind,
        segment={},
        target=_target(rule),
        unit=UNITS[rule.question],
        window=rule.window if rule.kind == "budget" else rule.lasting,
        attained=None,
        remaining=None,
        standing="unknown",
        note=note,
    )


def _target(rule: ObjectiveRule) -> float:
    value = rule.target if rule.kind == "budget" else rule.limit
    if value is None:  # the rules are checked when they are read
        raise InvalidValueError(f"the objective {rule.name!r} has no target", "must have one")
    return value


def _budgets(metrics: SystemMetrics, rule: ObjectiveRule, rules: Rules, group: _Group) -> list[ObjectiveStatus]:
    counts = counted(
        metrics,
        rule.question,
        services=group.services,
        until=group.as_of,
        window=rule.window,
        limit_s=rule.limit_s,
    )
    found = []
    for service in dict.fromkeys(service for service, _ in counts):
        regions = [place for place in counts if place[0] == service and place[1] != EVERY] if rule.by_region else []
        statuses = [_budget(rule, rules, place, counts[place], group.late) for place in ((service, EVERY), *regions)]
        found += _placed(statuses)
    return found


def _budget(rule: ObjectiveRule, rules: Rules, place: Place, counts: Counts, late: str) -> ObjectiveStatus:
    target, until_s = _target(rule), float(counts.end_s[-1])
    minutes = rule.question == Kind.AVAILABILITY
    guard = Guard(
        # A window of minutes is always counted: what must be there is samples, which `LEAST_COVERED` asks for.
        least_total=0 if minutes else rules.guard.least_requests,
        least_bad=rules.guard.least_bad_minutes if minutes else rules.guard.least_bad,
    )
    left = budget(counts, target=target, window=rule.window, until_s=until_s)
    burns = tuple(burn(counts, one, target=target, until_s=until_s, guard=guard) for one in rules.burn_rules)
    segment = {Sample.SERVICE: place[0]} | ({} if place[1] == EVERY else {Sample.REGION: place[1]})
    # Pages come before tickets, and the fastest burn before the rest: one alert says it.
    firing = sorted((one for one in burns if one.fires), key=lambda one: (one.rule.level, -one.rule.factor))
    alerts = tuple(_burn_alert(rule, segment, one, left) for one in firing[:1])
    return ObjectiveStatus(
        name=rule.name,
        title=rule.title,
        kind="budget",
        segment=segment,
        target=target,
        unit=UNITS[rule.question],
        window=rule.window,
        attained=left.attained,
        remaining=left.remaining,
        standing=_standing(left.attained, target, fires=bool(firing)),
        burns=burns,
        alerts=alerts,
        total=left.total,
        as_of=dt.datetime.fromtimestamp(until_s, dt.UTC),
        note="; ".join(filter(None, (late, left.note))),
    )


def _standing(attained: Interval | None, target: float, *, fires: bool) -> Standing:
    if attained is None:
        return "unknown"
    if attained.value < target:
        return "missed"
    return "at_risk" if fires or (attained.low is not None and attained.low < target) else "met"


def _burn_alert(rule: ObjectiveRule, segment: Mapping[str, str], one: Burn, left: Budget) -> ObjectiveAlert:
    rate = one.long_rate or 0.0
    bad = {
        Kind.WITHIN_LATENCY: f"of the requests took longer than {rule.limit_s:g} s",
        Kind.ERROR_RATE: "of the requests failed",
        Kind.AVAILABILITY: "of the time it was down",
    }[rule.question]
    rest = left.remaining.value if left.remaining else 0.0
    pace = "the budget is used up"
    if rest > 0:
        pace = (
            f"at this pace the rest of the budget of {words(rule.window)} is gone in {words(rule.window * rest / rate)}"
        )
    return ObjectiveAlert(
        objective=rule.name,
        level=one.rule.level,
        segment=segment,
        rule=one.rule.text,
        text=(
            f"{_place_text(segment)}: in the last {words(one.rule.long)} {one.bad / one.total:.2%} {bad}, "
            f"{rate:.3g} times what is allowed; {pace}."
        ),
        value=rate,
        runbook=rule.runbook,
    )


def _place_text(segment: Mapping[str, str]) -> str:
    service, region = segment.get(Sample.SERVICE, "every service"), segment.get(Sample.REGION)
    return f"{service} in {region}" if region else service


def _placed(statuses: Sequence[ObjectiveStatus]) -> list[ObjectiveStatus]:
    """Keep the alerts of the smallest place that explains them: a region, or the service when most regions fire."""
    whole, *regions = statuses
    firing = [one for one in regions if one.alerts]
    if not firing:
        return list(statuses)
    if len(firing) > MOST_REGIONS * len(regions):
        first = whole if whole.alerts else replace(whole, alerts=(_spread(firing),))
        return [first, *(replace(one, alerts=()) for one in regions)]
    return [replace(whole, alerts=()), *regions]


def _spread(firing: Sequence[ObjectiveStatus]) -> ObjectiveAlert:
    """Return the worst alert of many regions as one of their service."""
    worst = min((one.alerts[0] for one in firing), key=lambda one: (one.level, -one.value))
    names = ", ".join(one.segment[Sample.REGION] for one in firing)
    segment = {Sample.SERVICE: worst.segment[Sample.SERVICE]}
    return replace(worst, segment=segment, text=f"{worst.text[:-1]}; the same in {names}.")


def _threshold(metrics: SystemMetrics, rule: ObjectiveRule, groups: Sequence[_Group]) -> ObjectiveStatus:
    limit, unit = _target(rule), UNITS[rule.question]
    latest: dict[Place, Floats] = {}
    notes: list[str] = []
    for group in groups:
        judged, missing = _latest(metrics, rule, group)
        latest |= judged
        notes += [note for note in (group.late, missing) if note]
    as_of = groups[0].as_of if groups else None
    if not latest:
        return replace(_unknown(rule, "; ".join(notes) or "not estimable: no such service has samples"), as_of=as_of)
    newest = {place: float(series[~np.isnan(series)][-1]) for place, series in latest.items()}
    beyond = [place for place, series in latest.items() if np.nanmin(series) > limit]
    worst = max(newest.values())
    alerts = tuple(_limit_alert(rule, place, newest[place], limit, unit) for place in sorted(beyond))
    standing: Standing = "missed" if beyond else "at_risk" if worst > limit else "met"
    return ObjectiveStatus(
        name=rule.name,
        title=rule.title,
        kind="threshold",
        segment={},
        target=limit,
        unit=unit,
        window=rule.lasting,
        attained=Interval(value=worst),
        remaining=None,
        standing=standing,
        alerts=alerts,
        as_of=as_of,
        note="; ".join(notes),
    )


def _latest(metrics: SystemMetrics, rule: ObjectiveRule, group: _Group) -> tuple[dict[Place, Floats], str]:
    """Return the newest windows of every place that can be judged, and what is missing."""
    for step in (FINE, HOUR):
        end = floored(group.as_of, step)
        span = max(rule.lasting, step, LEAST_WINDOW)
        answers = _asked(metrics, group, rule, rule.question, end, span, step)
        known = {place: one for place, one in answers.items() if np.mean(~np.isnan(one)) > MOST_REGIONS}
        if len(known) < MOST_REGIONS * max(1, len(answers)) or not known:
            continue
        judged = known
        if rule.question in (Kind.LATENCY_QUANTILE, Kind.ERROR_RATE):
            share = 1 - rule.quantile if rule.question == Kind.LATENCY_QUANTILE else _target(rule)
            rates = _asked(metrics, group, rule, Kind.REQUEST_RATE, end, span, step)
            width = max(step, LEAST_WINDOW).total_seconds()
            judged = {
                place: one
                for place, one in known.items()
                if place in rates and np.nanmin(rates[place]) * width * share >= LEAST_IN_TAIL
            }
        few = len(answers) - len(judged)
        return judged, f"{few} of {len(answers)} services and regions have too few requests or samples" if few else ""
    return {}, f"not estimable: no samples in the {words(rule.lasting)} before {group.as_of:%Y-%m-%d %H:%M}"


def _asked(
    metrics: SystemMetrics,
    group: _Group,
    rule: ObjectiveRule,
    kind: Kind,
    end: dt.datetime,
    span: dt.timedelta,
    step: dt.timedelta,
) -> dict[Place, Floats]:
    return values(
        metrics,
        kind,
        start=end - span,
        end=end,
        step=step,
        services=group.services,
        quantile=rule.quantile,
        limit_s=rule.limit_s,
    )[1]


def _limit_alert(rule: ObjectiveRule, place: Place, value: float, limit: float, unit: str) -> ObjectiveAlert:
    said = {
        Kind.CPU: "of the processors are in use",
        Kind.MEMORY: "of the memory is in use",
        Kind.ERROR_RATE: "of the requests fail",
        Kind.LATENCY_QUANTILE: f"is what {rule.quantile:.0%} of the requests take at most",
    }[rule.question]
    shown, allowed = (f"{one:.0%}" if unit == "share" else f"{one * 1000:,.0f} ms" for one in (value, limit))
    segment = dict(zip(_DIMENSIONS, place, strict=True))
    return ObjectiveAlert(
        objective=rule.name,
        level=rule.level,
        segment=segment,
        rule=f"above {allowed} for {words(rule.lasting)}",
        text=f"{_place_text(segment)}: {shown} {said}, for at least {words(rule.lasting)}; {allowed} is the limit.",
        value=value,
        runbook=rule.runbook,
    )
