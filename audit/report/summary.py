"""The first thing a reader meets: what was found, whether swapped attributes change lists, what could not be seen."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from audit import names
from audit.results import Figure, Findings, Swap, Verdict


def summary(findings: Findings) -> dict[str, Any]:
    """Return counts of verdicts and three sentences.

    Returns:
        ``found sentences verdicts declared outside without_verdict``: ``verdicts`` counts the declared comparisons,
        ``without_verdict`` the reasons of declared comparisons that have none.
    """
    declared = [one for one in findings.figures if one.in_family]
    judged = Counter(one.verdict.value for one in declared if one.verdict is not None)
    reasons = Counter(_kind(one.reason) for one in declared if one.verdict is None)
    compared = [one for one in findings.figures if one.reference not in (one.group, "")]
    return {
        "found": findings.found,
        "sentences": [
            _of_verdicts(findings, judged),
            _of_swaps(findings.swaps),
            _of_sight(findings, declared),
        ],
        "verdicts": {verdict.value: judged[verdict.value] for verdict in Verdict},
        "declared": len(declared),
        "outside": len(compared) - len(declared),
        "without_verdict": dict(sorted(reasons.items())),
    }


def _of_verdicts(findings: Findings, judged: Mapping[str, int]) -> str:
    low, high = findings.plan.parity
    total = sum(judged.values())
    if not total:
        return "Nothing could be judged: no declared comparison had a verdict."
    rest = [
        f"{judged.get(verdict.value, 0):,} {words}"
        for verdict, words in (
            (Verdict.PARITY, f"with parity shown (ratio within {low:g} to {high:g})"),
            (Verdict.FLAGGED, "flagged"),
            (Verdict.UNCLEAR, "without enough evidence"),
        )
        if judged.get(verdict.value)
    ]
    said = names.listing(rest) or "nothing else"
    compared = names.counted(total, "declared comparison")
    if not findings.disparities:
        return f"No disparity was found in {compared}: {said}."
    worst = sorted(findings.disparities, key=_distance, reverse=True)
    first = names.figure(_plain(worst[0]), findings.plan.k)
    ratio = f" (ratio {worst[0].ratio:.2f})" if worst[0].ratio is not None else ""
    return f"Disparity was found in {len(worst):,} of {compared}, the largest in {first}{ratio}; beside {said}."


def _of_swaps(swaps: Sequence[Swap]) -> str:
    if not swaps:
        return "Swapped attributes were not tested: the panel is of real users, of whom no such attribute is known."
    failed = [swap for swap in swaps if not swap.passed]
    pairs = sum(swap.pairs for swap in swaps)
    if not failed:
        said = f"Identical histories gave identical lists in {names.counted(pairs, 'pair')} of personas"
        stated = sum(swap.differing for swap in swaps)
        if not stated:
            return f"{said} that differ in one attribute alone."
        return f"{said}, but for {stated:,} that a declared use or a rule accounts for."
    parts = []
    for swap in failed:
        carrier = names.block(swap.leaking_blocks[0][0]) if swap.leaking_blocks else "no single block"
        parts.append(
            f"swapping {names.axis(swap.attribute).lower()} changed {swap.differing - swap.by_rule:,} of "
            f"{names.counted(swap.pairs, 'list')} (carried by: {carrier})"
        )
    said = names.listing(parts)
    return f"{said[:1].upper()}{said[1:]}; it must change none."


def _of_sight(findings: Findings, declared: Sequence[Figure]) -> str:
    seen = sorted(
        abs(math.log(one.detectable_ratio))
        for one in declared
        if one.verdict is not None and one.detectable_ratio is not None and one.detectable_ratio > 0
    )
    parts = []
    if seen:
        typical, worst = math.exp(seen[len(seen) // 2]), math.exp(seen[-1])
        parts.append(
            f"of the judged comparisons half could have missed a ratio of {1 / typical:.2f} or {typical:.2f}, and the "
            f"weakest one of {1 / worst:.2f} or {worst:.2f}, with a chance of one in five"
        )
    else:
        parts.append("how small a disparity could have been seen is not known for any comparison")
    if findings.withheld:
        parts.append(f"{names.counted(findings.withheld, 'cell')} withheld for privacy")
    unjudged = sum(1 for one in findings.counts if not one.judged and one.group != "unknown")
    if unjudged:
        parts.append(f"{names.counted(unjudged, 'group')} too small to be judged")
    return f"What it could not see: {'; '.join(parts)}."


def _distance(figure: Figure) -> float:
    return abs(math.log(figure.ratio)) if figure.ratio is not None and figure.ratio > 0 else math.inf


def _plain(figure: Figure) -> dict[str, Any]:
    return {name: getattr(figure, name) for name in ("measure", "film_axis", "film_group", "group", "reference")}


def _kind(reason: str) -> str:
    return reason.partition(":")[0].strip() or "no reason given"
