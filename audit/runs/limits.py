"""What an audit could not have seen, in sentences: the plan's gaps, what was withheld or unknown, and the power."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from audit import names
from audit.groups import UNKNOWN
from audit.plan import CROSS, FILM_AXES, MEASURES, USER_AXES, AuditPlan
from audit.results import Figure, GroupCount, Swap, Verdict


def limits(
    plan: AuditPlan,
    subject: Mapping[str, Any],
    counts: Sequence[GroupCount],
    figures: Sequence[Figure],
    swaps: Sequence[Swap],
    *,
    short_slates: int | None,
    withheld: int,
    left_out: Mapping[str, int],
) -> tuple[str, ...]:
    """Return the limits of an audit, a sentence each.

    Args:
        plan: What was declared.
        subject: Facts of what was audited.
        counts: Group sizes.
        figures: All figures.
        swaps: All swaps.
        short_slates: Users who got fewer films than asked for; None when withheld.
        withheld: Cells withheld.
        left_out: Users outside the panel, by reason.
    """
    return (
        *_panel(plan, left_out),
        *_plan(plan),
        *_subject(subject),
        *_sizes(plan, counts),
        *_evidence(plan, figures),
        *_swaps(plan, swaps),
        *_withheld(plan, short_slates, withheld),
    )


def _panel(plan: AuditPlan, left_out: Mapping[str, int]) -> Iterator[str]:
    if plan.panel == "observed":
        yield (
            "Observed users differ in taste as well as in group: a difference between groups is no proof that the "
            "system made it, and no cause is claimed."
        )
        yield "Names, genders and ages of real users are not known here, and nothing was asked about them."
    else:
        yield (
            "Personas are not people: their histories are made up from tastes and attributes do not shape them, so "
            "nothing is said about what real groups watch, nor about harm that needs a real history."
        )
        yield (
            f"Only {plan.tastes:,} tastes were tried, with {plan.history_length} films each at most: a disparity that "
            "only other tastes, or much shorter or longer histories, would meet is out of sight."
        )
    if plan.panel == "matched":
        yield "Histories of their own differ by chance between groups: invariance under a swap was not tested."
    for reason, users in sorted(left_out.items()):
        if users >= plan.k_anonymity:
            yield f"{users:,} users were left out: {reason}."
        elif users:
            yield f"Fewer than {plan.k_anonymity} users were left out: {reason}."


def _plan(plan: AuditPlan) -> Iterator[str]:
    asked = {part for axis in plan.axes for part in axis.split(CROSS)}
    missing = [axis for axis in USER_AXES if axis not in asked]
    if missing:
        yield f"The plan does not ask about {_axes(missing)} of users: nothing is said about them."
    films = [axis for axis in FILM_AXES if axis not in plan.film_axes]
    if films:
        yield f"The plan does not ask about {_axes(films)} of films."
    if not any(CROSS in axis for axis in plan.axes):
        yield "No intersection of attributes was declared: a disparity for one group within another is out of sight."
    measures = [name for name in MEASURES if name not in plan.measures]
    if measures:
        yield f"The plan leaves out {', '.join(map(_measure, measures))}."
    if plan.family:
        outside = [axis for axis in plan.axes if axis not in {one for one, _ in plan.family}]
        if outside:
            yield f"Outside the declared family, listed without a verdict: {_axes(outside)}."
    yield (
        f"Lists of {plan.k} films on {plan.on.isoformat()} were looked at: other lengths, filters, days, and what "
        "users did with their lists, were not."
    )


def _subject(subject: Mapping[str, Any]) -> Iterator[str]:
    segments = subject.get("segments") or ["market"]
    yield (
        f"The recommender was asked through the user contract, with {_axes(segments)} joined into the market: a "
        "field that reaches a list outside that contract (the client, the page around it) is out of reach."
    )
    if any((subject.get("rerank") or {}).values()):
        yield "Lists were ranked by the index's score; what the re-rank adds to a served list was not audited."


def _sizes(plan: AuditPlan, counts: Sequence[GroupCount]) -> Iterator[str]:
    for one in counts:
        if one.group == UNKNOWN and one.share:
            what = "films" if one.side == "provider" else "users"
            yield f"{one.share:.1%} of the {what} have no known {names.inside(one.axis)}: they are in no group of it."
    small: dict[tuple[str, str], list[str]] = {}
    for one in counts:
        if not one.judged and one.group != UNKNOWN and one.reason.startswith("below"):
            small.setdefault((one.side, one.axis), []).append(one.group)
    for (side, axis), groups in small.items():
        what = "films" if side == "provider" else "users"
        yield (
            f"By {names.inside(axis)}, {len(groups)} groups hold less than {plan.least_share:.0%} of the {what} and "
            f"are listed, not judged: {', '.join(map(names.group, groups))}."
        )


def _evidence(plan: AuditPlan, figures: Sequence[Figure]) -> Iterator[str]:
    judged = [one for one in figures if one.verdict is not None]
    if not judged:
        yield "No figure could be judged."
        return
    unclear = sum(one.verdict is Verdict.UNCLEAR for one in judged)
    if unclear:
        yield (
            f"{unclear:,} of {len(judged):,} judged figures have not enough evidence: neither disparity nor parity is "
            "shown by them."
        )
    low, high = plan.parity
    for measure in dict.fromkeys(one.measure for one in judged):
        reach = [_distance(one.detectable_ratio) for one in judged if one.measure == measure and one.detectable_ratio]
        if reach and median(reach) > 1:
            yield (
                f"A ratio up to {median(reach):.2f} (or down to {1 / median(reach):.2f}) of {_measure(measure)} would "
                f"have been missed by half of its figures with a chance of one in five; parity is {low:g} to {high:g}."
            )
    gaps = sum(one.reason.startswith("not estimable") for one in figures)
    if gaps:
        yield f"{gaps:,} figures are not estimable; each says why."


def _axes(axes: Sequence[str]) -> str:
    return ", ".join(map(names.inside, axes))


def _measure(name: str) -> str:
    words = names.measure(name)
    return words[:1].lower() + words[1:]


def _distance(ratio: float) -> float:
    return max(ratio, 1 / ratio) if ratio > 0 else float("inf")


def _swaps(plan: AuditPlan, swaps: Sequence[Swap]) -> Iterator[str]:
    untested = [one.attribute for one in swaps if not one.pairs]
    if untested:
        yield f"No two personas differ in {_axes(untested)} alone: its swap was not tested."
    if plan.panel == "observed":
        yield "Observed users can't be swapped: whether a name or a gender changes a list is a question for personas."


def _withheld(plan: AuditPlan, short_slates: int | None, withheld: int) -> Iterator[str]:
    if withheld:
        yield (
            f"{withheld:,} cells about fewer than {plan.k_anonymity} users, or from which one could be computed, are "
            "withheld."
        )
    if short_slates is None:
        yield f"Fewer than {plan.k_anonymity} users got fewer than {plan.k} films, because rules allowed no more."
    elif short_slates:
        yield f"{short_slates:,} users got fewer than {plan.k} films, because rules allowed no more."
    yield (
        "On the provider side the unit is the film: however many users are asked, the catalogue's number of films in "
        "a group limits what can be said of it."
    )
