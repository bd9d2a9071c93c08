"""What a verdict says: one sentence why, one sentence what would change it, with the figures they rest on."""

import datetime as dt
import math
from typing import Final

from experiments.looks import Decision, Judgement, LookResult
from experiments.metrics import METRICS
from experiments.plan import ExperimentPlan
from experiments.results import MetricResult
from experiments.scorecard import Scorecard

_POWER: Final = 0.8
_RULE_DIGITS: Final = 12
_FEW_DIGITS: Final = 0.001


def change(value: float) -> str:
    """Return a relative change in per cent.

    Example:
        >>> change(0.0613), change(-0.25), change(float("inf"))
        ('+6.1 %', '-25 %', 'no bound')
    """
    if math.isinf(value):
        return "no bound"
    return f"{100 * value:+.3g} %" if abs(value) >= 1 else f"{100 * value:+.2g} %"


def small(p: float) -> str:
    """Return a p-value.

    Example:
        >>> small(0.0312), small(1.2e-23), small(0.0)
        ('0.031', '1e-23', 'below 1e-300')
    """
    if p == 0:
        return "below 1e-300"
    return f"{p:.1g}" if p < _FEW_DIGITS else f"{p:.2g}"


def figure(one: MetricResult) -> str:
    """Return a metric with its relative change and 95 % interval, or why there is none."""
    title = _title(one.name)
    if one.judged is None:
        return f"{title} is not estimable ({one.reason})"
    low, high = one.judged.rel_ci
    if one.judged.rel is None:
        low, high = one.judged.ci
        return f"{title} {one.judged.diff:+.3g} (95 % interval {low:+.3g} to {high:+.3g}; control is 0)"
    return f"{title} {change(one.judged.rel)} (95 % interval {change(low)} to {change(high)})"


def against(one: MetricResult, judged: Judgement) -> str:
    """Return a metric, its figures, and what its p-value was held against."""
    if judged.p_adjusted is None:
        return figure(one)
    told = f"p = {small(judged.p_adjusted)} against {small(judged.level)} at this look"
    if judged.since is not None and judged.p_adjusted > judged.level:
        told = f"decided at look {judged.since}"
    return f"{figure(one)}, {told}"


def shipped(plan: ExperimentPlan, look: LookResult, card: Scorecard) -> tuple[str, str]:
    """Say why to ship, and what would change it."""
    variant = _variant(look)
    won = _told(look.primaries, card, variant, look.stand(variant).because)
    guards = [figure(card.metric(one.metric, variant)) for one in look.guardrails if one.variant == variant]
    kept = f"; within their margins: {'; '.join(guards)}" if guards else "; the plan has no guardrail"
    lasting = [one.metric for one in card.novelty if one.variant == variant and one.flagged]
    fades = f"; the lift of {', '.join(lasting)} fades, but what is left of it is significant" if lasting else ""
    reason = f"{variant} is better at look {look.number} of {_looks(plan)} ({look.date}): {won}{kept}{fades}."
    return reason, (
        "Nothing that later looks show: a planned boundary was crossed and the verdict stands, unless the data are "
        f"found broken (sample ratio, leak, users in two variants). Rule {_rule(plan)}."
    )


def rolled_back(plan: ExperimentPlan, look: LookResult, card: Scorecard) -> tuple[str, str]:
    """Say why to roll back, and what would change it."""
    variant = _variant(look)
    because = look.stand(variant).because
    hurt = _told((*look.guardrails, *look.primaries), card, variant, because)
    margins = [
        f"{_title(one.name)} may worsen by {100 * one.margin_rel:.3g} % at most"
        for one in card.of("guardrail")
        if one.variant == variant and one.name in because and one.margin_rel is not None
    ]
    limit = f"; {', '.join(margins)}" if margins else ""
    reason = f"{variant} does harm at look {look.number} of {_looks(plan)} ({look.date}): {hurt}{limit}."
    return reason, (
        "Only a new experiment of a changed treatment: a boundary of harm was crossed at a planned look and the "
        f"verdict stands. Rule {_rule(plan)}."
    )


def of_look(plan: ExperimentPlan, look: LookResult, card: Scorecard) -> str:
    """Say what one look says by itself."""
    if look.refused:
        return refused(plan, look.refused)[0]
    if look.decision is Decision.SHIP:
        return shipped(plan, look, card)[0]
    if look.decision is Decision.ROLL_BACK:
        return rolled_back(plan, look, card)[0]
    return f"Look {look.number} of {_looks(plan)} ({look.date}) did not decide: {_undecided(look, card)}."


def refused(plan: ExperimentPlan, messages: tuple[str, ...], shipped_at: LookResult | None = None) -> tuple[str, str]:
    """Say why no verdict is given on these data, and what would change it."""
    before = f"Look {shipped_at.number} said Ship, but the data are broken since: " if shipped_at else ""
    reason = f"{before}The data can't be trusted, so no figure is judged: {' '.join(messages)}"
    return reason, (
        "Find and mend the cause, then start a new experiment with a new salt: users that are missing can't be made "
        f"up for by more of them. Rule {_rule(plan)}."
    )


def too_early(plan: ExperimentPlan, card: Scorecard, first: dt.date) -> tuple[str, str]:
    """Say that no look has been yet."""
    day = plan.rule.look_days[0]
    users = sum(card.users.values())
    reason = f"Too early: the first planned look is after {first} (day {day}), and what is seen before decides nothing."
    return f"{reason[:-1]}; {users:,} users are in so far.", (
        f"The look after {first}, if a primary metric crosses its boundary or a guardrail is harmed. "
        f"Rule {_rule(plan)}."
    )


def waiting(
    plan: ExperimentPlan, look: LookResult, card: Scorecard, following: dt.date, withdrawn: int | None
) -> tuple[str, str]:
    """Say why the last look did not decide, and what the next one would need."""
    reason = f"{_withdrawn(withdrawn)}{of_look(plan, look, card)}"
    boundary = f"|z| of {look.boundary:.2f} was needed"
    return reason, (
        f"The next look is after {following}: a lower boundary than this one's ({boundary}) and more users may decide, "
        f"and so may a harmed guardrail. Rule {_rule(plan)}."
    )


def undecided(
    plan: ExperimentPlan,
    look: LookResult | None,
    card: Scorecard,
    stopped: dt.date | None,
    withdrawn: int | None,
) -> tuple[str, str]:
    """Say that the experiment ended without an answer, and what size of effect it could have seen."""
    if look is None:
        ended = f"It was stopped on {stopped}, before its first planned look: no figure was ever to be judged."
        return ended, f"Another experiment that runs until its first look. Rule {_rule(plan)}."
    ended = "The planned end is reached" if stopped is None else f"It was stopped on {stopped}"
    ended = f"{_withdrawn(withdrawn)}{ended}"
    reason = f"{ended} without an answer: {_undecided(look, card)}{_could_see(look, card)}."
    return reason, (
        "A new experiment, sized for the effect that would be worth having: more users or days, or a metric that "
        f"varies less; more looks at this one would only add false alarms. Rule {_rule(plan)}."
    )


def _withdrawn(look: int | None) -> str:
    return "" if look is None else f"Look {look} said Ship, but the lift fades and that no longer stands. "


def _undecided(look: LookResult, card: Scorecard) -> str:
    held = next((one for one in look.stands if one.standing == "held"), None)
    if held is not None:
        won = _told(look.primaries, card, held.variant, held.because)
        names = {one.split()[0] for one in held.blockers}
        guards = [figure(one) for one in card.of("guardrail") if one.variant == held.variant and one.name in names]
        beside = f" ({'; '.join(guards)})" if guards else ""
        return f"{held.variant} wins ({won}), but {', '.join(held.blockers)}{beside}"
    return "; ".join(
        against(card.metric(one.metric, one.variant), one) + (f" for {one.variant}" if len(look.stands) > 1 else "")
        for one in look.primaries
    )


def _could_see(look: LookResult, card: Scorecard) -> str:
    from scipy import stats

    if any(one.standing == "held" for one in look.stands):
        return ""

    sizes = []
    for one in card.of("primary"):
        if one.judged is None or one.judged.mean_control == 0:
            continue
        least = (look.boundary + stats.norm.isf(1 - _POWER)) * one.judged.se / abs(one.judged.mean_control)
        sizes.append(f"{100 * least:.2g} % in {_title(one.name)}")
    if not sizes:
        return ""
    return f"; it would have seen a change of {', '.join(dict.fromkeys(sizes))} four times in five"


def _told(judged: tuple[Judgement, ...], card: Scorecard, variant: str, names: tuple[str, ...]) -> str:
    mine = [one for one in judged if one.variant == variant and one.metric in names]
    return "; ".join(against(card.metric(one.metric, variant), one) for one in mine)


def _variant(look: LookResult) -> str:
    return look.variant or ""


def _looks(plan: ExperimentPlan) -> int:
    return len(plan.rule.look_days)


def _title(name: str) -> str:
    return METRICS[name].title if name in METRICS else name


def _rule(plan: ExperimentPlan) -> str:
    return plan.digest[:_RULE_DIGITS]
