"""One planned look: every primary metric and every guardrail held against the boundary of that look."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from experiments.novelty import Novelty
from experiments.plan import ExperimentPlan
from experiments.results import MetricResult, good, guarded
from experiments.scorecard import Scorecard

Standing = Literal["harm", "success", "held", "open"]
"""Of a treatment at a look: harmed, successful, successful but something is not settled, or nothing decisive."""
Crossed = Mapping[tuple[str, str], int]
"""Number of the look at which a primary metric of a treatment first crossed its boundary for the better."""


class Decision(StrEnum):
    """What to do."""

    SHIP = "Ship"
    ROLL_BACK = "Roll back"
    KEEP_RUNNING = "Keep running"
    CANT_TELL = "Can't tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One comparison at one look, held against the boundary of that look.

    Args:
        metric: Its name.
        variant: Which treatment.
        p: Its p-value: two-sided for a primary metric, one-sided towards harm for a guardrail; None when not
            estimable.
        p_adjusted: The same, adjusted by Holm over its family.
        level: What the adjusted one is held against at this look.
        outcome: ``better``, ``worse`` or ``unclear`` for a primary metric; ``non_inferior``, ``harmed`` or ``unclear``
            for a guardrail; ``not_estimable`` for either.
        since: Number of the look at which a primary metric crossed for the better.
    """

    metric: str
    variant: str
    p: float | None
    p_adjusted: float | None
    level: float
    outcome: str
    since: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where one treatment stands at a look.

    Args:
        variant: Which treatment.
        standing: ``harm``, ``success``, ``held`` or ``open``.
        because: Names of the metrics that say so.
        blockers: What stands between a success and shipping it, in words.
    """

    variant: str
    standing: Standing
    because: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        document = {"variant": self.variant, "standing": self.standing}
        return {**document, "because": list(self.because), "blockers": list(self.blockers)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """What one planned look says.

    Args:
        number: From 1.
        day: Full days since the start.
        date: Last full day it saw.
        information: Share of the planned duration.
        boundary: Least |z| that decides at this look.
        level: The same as a two-sided p-value.
        decision: What it decides by itself.
        reason: Why, in one sentence with figures.
        variant: The treatment it is about.
        refused: Why its data can't be trusted; empty when they can.
        stands: Every treatment.
        primaries: The primary metrics × treatments.
        guardrails: The guardrails × treatments.
    """

    number: int
    day: int
    date: dt.date
    information: float
    boundary: float
    level: float
    decision: Decision
    reason: str
    variant: str | None
    refused: tuple[str, ...]
    stands: tuple[Stand, ...]
    primaries: tuple[Judgement, ...]
    guardrails: tuple[Judgement, ...]

    def stand(self, variant: str) -> Stand:
        """Return where a treatment stands."""
        return next(one for one in self.stands if one.variant == variant)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "look": self.number,
            "day": self.day,
            "date": self.date.isoformat(),
            "information": self.information,
            "boundary": self.boundary,
            "level": self.level,
            "decision": self.decision.value,
            "reason": self.reason,
            "variant": self.variant,
            "refused": list(self.refused),
            "stands": [one.to_dict() for one in self.stands],
            "primaries": [one.to_dict() for one in self.primaries],
            "guardrails": [one.to_dict() for one in self.guardrails],
        }


def boundaries_of(plan: ExperimentPlan) -> list[float]:
    """Return the least |z| that decides at each planned look, by the spending the plan froze."""
    from experiments.sequential import boundaries

    return [float(z) for z in boundaries(plan.rule.looks, alpha=plan.rule.alpha, spending=plan.rule.spending)]


def evaluate(
    plan: ExperimentPlan, number: int, card: Scorecard, boundary: float, crossed: Crossed
) -> tuple[LookResult, dict[tuple[str, str], int]]:
    """Hold the scorecard of a planned look against its boundary.

    Holm over the primary metrics × treatments works on p-values at the level of the look, 2 · (1 − Φ(boundary)), so
    that the family's error over all looks stays at alpha.

    Args:
        plan: The frozen plan.
        number: Of the look, from 1.
        card: Its scorecard, as of its own last day.
        boundary: Its least |z|.
        crossed: What crossed at earlier looks.

    Returns:
        The result, and what has crossed up to now.

    Source: Lan, DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 1983; Maurer, Bretz,
        "Multiple testing in group sequential trials using graphical approaches", Statistics in Biopharmaceutical
        Research 2013, section 3, for Holm at each look by nominal levels.
    """
    from scipy import stats

    level = float(2 * stats.norm.sf(boundary))
    refused = tuple(one.message for one in card.findings if one.level == "error")
    primaries = _primaries(card, level, number, crossed)
    guardrails = tuple(_guardrail(one, level / 2) for one in card.of("guardrail"))
    stands = tuple(_stand(plan, name, primaries, guardrails, card) for name in plan.names[1:])
    decision, variant = _decided(plan, card, stands)
    day = plan.rule.look_days[number - 1]
    result = LookResult(
        number=number,
        day=day,
        date=plan.look_date(day),
        information=plan.rule.looks[number - 1],
        boundary=boundary,
        level=level,
        decision=Decision.CANT_TELL if refused else decision,
        reason="",
        variant=None if refused else variant,
        refused=refused,
        stands=stands,
        primaries=primaries,
        guardrails=guardrails,
    )
    # What comes from data that can't be trusted is not remembered.
    found = {} if refused else {(one.metric, one.variant): one.since for one in primaries if one.since is not None}
    return result, {**crossed, **found}


def _primaries(card: Scorecard, level: float, number: int, crossed: Crossed) -> tuple[Judgement, ...]:
    from experiments.multiplicity import adjust

    chosen = card.of("primary")
    ps = [float("nan") if one.judged is None else one.judged.p for one in chosen]
    adjusted = adjust(ps, method="holm")
    return tuple(
        _primary(one, float(p_adjusted), level, number, crossed.get((one.name, one.variant)))
        for one, p_adjusted in zip(chosen, adjusted, strict=True)
    )


def _primary(one: MetricResult, p_adjusted: float, level: float, number: int, since: int | None) -> Judgement:
    bare = Judgement(
        metric=one.name, variant=one.variant, p=None, p_adjusted=None, level=level, outcome="not_estimable", since=since
    )
    if one.judged is None:
        return bare
    sign = good(one)
    crosses = p_adjusted <= level
    # A crossing stands, as in any group-sequential test, as long as the figure has not turned round.
    better = sign > 0 and (crosses or since is not None)
    outcome = "better" if better else "worse" if crosses and sign < 0 else "unclear"
    first = since if since is not None or not better else number
    return replace(bare, p=one.judged.p, p_adjusted=p_adjusted, outcome=outcome, since=first)


def _guardrail(one: MetricResult, level: float) -> Judgement:
    return Judgement(
        metric=one.name,
        variant=one.variant,
        p=one.p_harm,
        p_adjusted=one.p_harm_adjusted,
        level=level,
        outcome=guarded(one, level),
    )


def _stand(
    plan: ExperimentPlan,
    variant: str,
    primaries: Sequence[Judgement],
    guardrails: Sequence[Judgement],
    card: Scorecard,
) -> Stand:
    mine = [one for one in primaries if one.variant == variant]
    guards = [one for one in guardrails if one.variant == variant]
    harmed = [one.metric for one in guards if one.outcome == "harmed"]
    harmed += [one.metric for one in mine if one.outcome == "worse"]
    if harmed:
        return Stand(variant=variant, standing="harm", because=tuple(harmed))
    better = tuple(one.metric for one in mine if one.outcome == "better")
    if not better or (plan.rule.success == "all_primaries" and len(better) < len(mine)):
        return Stand(variant=variant, standing="open", because=better)
    blockers = [f"{one.metric} is {_said(one.outcome)}" for one in guards if one.outcome != "non_inferior"]
    blockers += [_fades(one) for one in card.novelty if one.variant == variant and one.metric in better and halts(one)]
    standing: Standing = "held" if blockers else "success"
    return Stand(variant=variant, standing=standing, because=better, blockers=tuple(blockers))


def halts(one: Novelty) -> bool:
    """Say whether a fading lift forbids shipping: not when what is left of it is significant by itself."""
    return one.flagged and not one.lasts


def _said(outcome: str) -> str:
    return "not estimable" if outcome == "not_estimable" else "not yet shown to be within its margin"


def _fades(one: Novelty) -> str:
    return f"the lift of {one.metric} fades (novelty)"


def _decided(plan: ExperimentPlan, card: Scorecard, stands: Sequence[Stand]) -> tuple[Decision, str | None]:
    winners = [one.variant for one in stands if one.standing == "success"]
    if winners:
        return Decision.SHIP, max(winners, key=lambda name: _lift(plan, card, name))
    harmed = [one.variant for one in stands if one.standing == "harm"]
    if harmed:
        return Decision.ROLL_BACK, harmed[0]
    held = [one.variant for one in stands if one.standing == "held"]
    last = card.as_of >= plan.planned_end
    return (Decision.CANT_TELL if last else Decision.KEEP_RUNNING), held[0] if held else None


def _lift(plan: ExperimentPlan, card: Scorecard, variant: str) -> float:
    one = card.metric(plan.kinds("primary")[0].metric, variant)
    return -1.0 if one.judged is None or one.judged.rel is None else good(one) * abs(one.judged.rel)
