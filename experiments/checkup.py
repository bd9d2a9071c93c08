"""The check-up of an experiment's data: every check, whatever came out, and what it could not have seen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from experiments.counted import Counted
from experiments.findings import Finding, Level
from experiments.health import ShareCheck, Srm, missing_variant, multiple_exposure, srm, unknown_variant
from experiments.novelty import Novelty
from experiments.plan import ExperimentPlan
from experiments.results import MetricResult
from workspace.columns import Trial
from workspace.errors import NotEstimableError

REGION_ALPHA: Final = 0.0003
"""Error of the sample ratio over all regions: with the overall check's it stays within 0.13 % a look."""
LEAST_OFF: Final = 0.001
MULTIPLE_ERROR: Final = 0.01
"""From this share of users in two variants on, no figure is judged."""
BALANCE_ALPHA: Final = 0.001
LATE_DIFFERENCE: Final = 0.01
LATE_NOTE: Final = 0.05

MULTIPLE: Final = "multiple"
NO_VARIANT: Final = "no_variant"
UNKNOWN_VARIANT: Final = "unknown_variant"


def check_up(
    plan: ExperimentPlan,
    snapshot: Counted,
    metrics: Sequence[MetricResult],
    novelty: Sequence[Novelty],
    late: Mapping[str, float],
) -> tuple[Srm | None, tuple[Finding, ...]]:
    """Check whether the figures of an experiment can be trusted.

    Args:
        plan: The plan.
        snapshot: The sums.
        metrics: The metrics computed from them.
        novelty: Whether lifts fade.
        late: Share of the events that came late, by variant.

    Returns:
        The sample ratio over all regions, or None without users; and every finding.
    """
    regions = _users(plan, snapshot)
    total = {name: sum(region.get(name, 0) for region in regions.values()) for name in plan.names}
    ratio, findings = _ratio(plan, total)
    findings += [_regions(plan, regions), _empty(plan, regions)]
    findings += _exposures(sum(total.values()), snapshot.left_out)
    findings += [
        _late(late),
        _pending(snapshot),
        *_notes(snapshot),
        _balance(metrics),
        _skew(metrics),
        _novelty(novelty),
    ]
    return ratio, tuple(findings)


def _users(plan: ExperimentPlan, snapshot: Counted) -> dict[str, dict[str, int]]:
    """Return exposed users by region and variant."""
    folded = snapshot.cells.fold([Trial.REGION, Trial.VARIANT])
    out: dict[str, dict[str, int]] = {}
    for region, variant, n in zip(folded.keys[Trial.REGION], folded.keys[Trial.VARIANT], folded.n, strict=True):
        if variant in plan.names:
            out.setdefault(str(region), {})[str(variant)] = int(n)
    return out


def _ratio(plan: ExperimentPlan, users: Mapping[str, int]) -> tuple[Srm | None, list[Finding]]:
    try:
        found = srm(users, plan.shares)
    except NotEstimableError:
        return None, [Finding(check="srm", level="note", message="Nobody has been exposed yet.")]
    lost = "the loss of a whole arm" if found.detectable_loss is None else f"{found.detectable_loss:.2%} of an arm"
    blind = f"Losses of less than {lost}, or of users of both arms alike."
    leak = Finding(
        check="leak",
        level="error" if found.leak else "ok",
        message=found.sentence if found.leak else "No arm of weight 0 has users.",
        figures={"leaked": dict(found.leaked)},
    )
    # A leak has a finding of its own: the ratio of the other arms is told beside it.
    broken = not found.ok and not found.leak
    message = "The arms with a weight are looked at apart from the leak." if found.leak else found.sentence
    figures = {"p": found.p, "counts": found.counts, "expected": found.expected, "largest_off": found.largest_off}
    ratio = Finding(check="srm", level="error" if broken else "ok", message=message, blind_to=blind, figures=figures)
    return found, [ratio, leak]


def _regions(plan: ExperimentPlan, regions: Mapping[str, Mapping[str, int]]) -> Finding:
    """Check the sample ratio within each region; Holm, so that many regions don't raise the false alarm."""
    from experiments.multiplicity import adjust

    found = {}
    for region, users in regions.items():
        try:
            found[region] = srm({name: users.get(name, 0) for name in plan.names}, plan.shares)
        except NotEstimableError:
            continue
    # Where few are expected, the exact p-value has the last word.
    ps = [float("nan") if one.p is None else max(one.p, one.p_exact or 0.0) for one in found.values()]
    adjusted = dict(zip(found, (float(p) for p in adjust(ps, method="holm")), strict=True)) if ps else {}
    red = [name for name, one in found.items() if adjusted[name] < REGION_ALPHA and one.largest_off > LEAST_OFF]
    figures = {
        name: {"p": one.p, "p_adjusted": None if np.isnan(adjusted[name]) else adjusted[name], "counts": one.counts}
        for name, one in found.items()
    }
    if not red:
        message = f"Split as intended in each of {len(found)} regions."
    else:
        told = "; ".join(f"{name} ({_counted(found[name].counts)}, p = {found[name].p:.1g})" for name in red)
        message = f"Sample ratio mismatch in {told}: users of one arm are missing there."
    blind = f"Regional losses too small to pass p < {REGION_ALPHA:g} after Holm over {len(found)} regions."
    return Finding(check="srm_region", level="error" if red else "ok", message=message, blind_to=blind, figures=figures)


def _empty(plan: ExperimentPlan, regions: Mapping[str, Mapping[str, int]]) -> Finding:
    weighted = [name for name in plan.names if plan.shares[name] > 0]
    lacking = {
        region: sum(users.values()) for region, users in regions.items() if any(not users.get(n) for n in weighted)
    }
    silent = sorted(name for name, share in plan.allocation.items() if share > 0 and name not in regions)
    told = [f"{name}: one arm is empty, {users:,} users left out" for name, users in sorted(lacking.items())]
    told += [f"{name}: allocated, but nobody was exposed" for name in silent]
    return Finding(
        check="regions",
        level="warn" if told else "ok",
        message="; ".join(told) + "." if told else "Every region with users has users of every arm.",
        figures={"left_out": lacking, "without_users": silent},
    )


def _exposures(users: int, left_out: Mapping[str, int]) -> list[Finding]:
    multiple = left_out.get(MULTIPLE, 0)
    both = multiple_exposure(multiple, users + multiple)
    level: Level = "ok" if both.ok else "warn"
    if both.share is not None and both.share > MULTIPLE_ERROR:
        level = "error"
    found = [_shares(MULTIPLE, both, level, "users were seen in two variants and are left out")]
    misplaced: tuple[tuple[str, Callable[[int, int], ShareCheck], str], ...] = (
        (NO_VARIANT, missing_variant, "came without a variant and are left out"),
        (UNKNOWN_VARIANT, unknown_variant, "name a variant that is not in the plan and are left out"),
    )
    for name, check, told in misplaced:
        count = left_out.get(name, 0)
        one = check(count, users + multiple + count)
        found.append(_shares(name, one, "ok" if one.ok else "warn", told))
    return found


def _shares(name: str, one: ShareCheck, level: Level, told: str) -> Finding:
    share = "" if one.share is None else f" ({one.share:.2%}; {one.limit:.2%} is tolerated)"
    noted: Level = "note" if level == "ok" and one.count else level
    message = f"{one.count:,} {told}{share}."
    return Finding(check=name, level=noted, message=message[0].upper() + message[1:],
                   figures=one.to_dict())  # fmt: skip


def _late(late: Mapping[str, float]) -> Finding:
    if not late:
        return Finding(check="late", level="note", message="Late events were not looked at.")
    low, high = min(late.values()), max(late.values())
    differs = high - low > LATE_DIFFERENCE
    told = ", ".join(f"{share:.2%} of {name}" for name, share in late.items())
    level: Level = "warn" if differs else "note" if high > LATE_NOTE else "ok"
    tail = "; the arms differ, so recent days favour one of them" if differs else ""
    return Finding(
        check="late",
        level=level,
        message=f"Events that came on a later day than their own: {told}{tail}.",
        blind_to="Events that are still on their way.",
        figures=dict(late),
    )


def _pending(snapshot: Counted) -> Finding:
    days = [day.isoformat() for day in snapshot.pending_dates]
    if not days:
        return Finding(check="pending", level="ok", message="Every day is summed up.")
    message = f"{len(days)} days changed since they were summed up: {', '.join(days[:5])}."
    return Finding(check="pending", level="warn", message=message, figures={"dates": days})


def _notes(snapshot: Counted) -> list[Finding]:
    return [Finding(check="sums", level="note", message=note) for note in snapshot.notes]


def _balance(metrics: Sequence[MetricResult]) -> Finding:
    known = [one for one in metrics if one.balance_p is not None]
    off = [one for one in known if one.balance_p is not None and one.balance_p < BALANCE_ALPHA]
    if not known:
        message = "There is no time before the experiment to compare the arms in."
        return Finding(check="balance", level="note", message=message)
    told = ", ".join(f"{one.title} ({one.variant}, p = {one.balance_p:.1g})" for one in off)
    return Finding(
        check="balance",
        level="warn" if off else "ok",
        message=f"The arms differed before the experiment began: {told}." if off else
        "The arms were alike before the experiment began.",
        blind_to="Differences in what was not measured before, and users who came later.",
        figures={f"{one.name}:{one.variant}": one.balance_p for one in known},
    )  # fmt: skip


def _skew(metrics: Sequence[MetricResult]) -> Finding:
    warned = [one for one in metrics if one.skew is not None]
    if not warned:
        return Finding(check="skew", level="ok", message="The normal approximation holds at these sizes.")
    told = "; ".join(f"{one.title} ({one.variant}): {one.skew}" for one in warned)
    return Finding(check="skew", level="warn", message=told)


def _novelty(found: Sequence[Novelty]) -> Finding:
    if not found:
        return Finding(check="novelty", level="note", message="Whether the lift fades was not looked at.")
    fading = [one for one in found if one.course == "fading"]
    growing = [one for one in found if one.course == "growing"]
    blind = "Changes that take longer than the experiment, and those that lie within one half of a user's days."
    if fading or growing:
        told = "; ".join(_course(one) for one in (*fading, *growing))
        return Finding(check="novelty", level="warn" if fading else "note", message=told, blind_to=blind)
    unknown = [one for one in found if one.course == "not_estimable"]
    if len(unknown) == len(found):
        told = "; ".join(f"{one.metric} of {one.variant}: {one.reason}" for one in unknown)
        return Finding(check="novelty", level="note", message=f"Not estimable: {told}.", blind_to=blind)
    return Finding(check="novelty", level="ok", message="No lift fades with a user's days.", blind_to=blind)


def _course(one: Novelty) -> str:
    early, late = one.early_rel or 0.0, one.late_rel or 0.0
    word = "fades, a novelty effect" if one.course == "fading" else "grows with use"
    p = one.p_adjusted if one.p_adjusted is not None else 1.0
    return (
        f"The change of {one.metric} in {one.variant} {word}: {early:+.1%} in a user's first days, "
        f"{late:+.1%} later (p = {p:.1g})."
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
