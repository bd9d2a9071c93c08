"""The verdict: what the rule that was frozen at launch says about the figures there are."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from experiments import sentences
from experiments.looks import Decision, Judgement, LookResult, Stand, boundaries_of, evaluate, halts
from experiments.plan import ExperimentPlan
from experiments.scorecard import Scorecard
from workspace.errors import InvalidValueError

__all__ = ["Decision", "Ground", "Judgement", "LookResult", "Stand", "Verdict", "judge", "looks_due"]

Ground = Literal["success", "harm", "refused", "undecided", "waiting", "too_early"]
"""Why: the success rule was met, something is harmed, the data can't be trusted, the planned end came without an
answer, a look is still to come, or none has been yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict as of a day.

    Args:
        experiment_id: Of which experiment.
        plan_digest: SHA-256 of the plan whose rule was applied.
        as_of: Last day whose events it knows.
        decision: Ship, Roll back, Keep running or Can't tell.
        ground: Why, as a word for programs.
        reason: Why, in one sentence with figures.
        what_would_change: What would change it, in one sentence.
        variant: The treatment it is about; None when it is about none in particular.
        look: Number of the look that decided; None when none has.
        looks: Every planned look up to this day, each with what was known of its days.
        next_look: Day of the next planned look; None after the last, and after a decision.
    """

    experiment_id: str
    plan_digest: str
    as_of: dt.date
    decision: Decision
    ground: Ground
    reason: str
    what_would_change: str
    variant: str | None = None
    look: int | None = None
    looks: tuple[LookResult, ...] = ()
    next_look: dt.date | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "experiment": self.experiment_id,
            "plan_digest": self.plan_digest,
            "as_of": self.as_of.isoformat(),
            "decision": self.decision.value,
            "ground": self.ground,
            "reason": self.reason,
            "what_would_change": self.what_would_change,
            "variant": self.variant,
            "look": self.look,
            "looks": [one.to_dict() for one in self.looks],
            "next_look": None if self.next_look is None else self.next_look.isoformat(),
        }


def looks_due(plan: ExperimentPlan, as_of: dt.date) -> list[tuple[int, dt.date]]:
    """Return number and last day of the planned looks that can be taken when the events up to a day are known."""
    dates = [(number, plan.look_date(day)) for number, day in enumerate(plan.rule.look_days, start=1)]
    return [(number, date) for number, date in dates if date <= as_of]


def judge(
    plan: ExperimentPlan, looks: Sequence[Scorecard], current: Scorecard, *, stopped: dt.date | None = None
) -> Verdict:
    """Apply the frozen rule.

    Verdicts are reached at planned looks only. The first look that ships or rolls back decides, and its verdict
    stands; a ship is withdrawn when the data turn out broken later, or a later planned look finds that its lift fades.
    Errors of health forbid a verdict on any day.

    Args:
        plan: The frozen plan.
        looks: Scorecards of the planned looks up to the day of ``current``, in order, each as of its own last day.
        current: Scorecard as of the day the verdict is asked for.
        stopped: Last day of an experiment that was stopped before its planned end.

    Raises:
        InvalidValueError: When the scorecards are not those of the looks that are due, or of another plan.

    Source: Lan, DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 1983, for looks at boundaries;
        design.md of this project for the four words.
    """
    _check(plan, looks, current)
    results: list[LookResult] = []
    crossed: dict[tuple[str, str], int] = {}
    for (number, _), card, boundary in zip(looks_due(plan, current.as_of), looks, boundaries_of(plan), strict=False):
        result, crossed = evaluate(plan, number, card, boundary, crossed)
        results.append(replace(result, reason=sentences.of_look(plan, result, card)))
    decided = next((one for one in results if one.decision in (Decision.SHIP, Decision.ROLL_BACK)), None)
    if decided is not None and not _faded(decided, looks[-1]):
        return _decided(plan, decided, results, looks[decided.number - 1], current)
    errors = _errors(current)
    if errors:
        return _verdict(plan, current, results, Decision.CANT_TELL, "refused", sentences.refused(plan, errors))
    return _open(plan, results, looks, current, stopped)


def _faded(decided: LookResult, latest: Scorecard) -> bool:
    """Say whether a lift that was shipped has turned out a novelty since."""
    if decided.decision is not Decision.SHIP or decided.variant is None:
        return False
    won = decided.stand(decided.variant).because
    return any(one.variant == decided.variant and one.metric in won and halts(one) for one in latest.novelty)


def _decided(
    plan: ExperimentPlan, look: LookResult, results: Sequence[LookResult], card: Scorecard, current: Scorecard
) -> Verdict:
    errors = _errors(current)
    if look.decision is Decision.ROLL_BACK:
        told = sentences.rolled_back(plan, look, card)
        return _verdict(plan, current, results, look.decision, "harm", told, look=look)
    if errors:
        told = sentences.refused(plan, errors, look)
        return _verdict(plan, current, results, Decision.CANT_TELL, "refused", told)
    return _verdict(plan, current, results, look.decision, "success", sentences.shipped(plan, look, card), look=look)


def _open(
    plan: ExperimentPlan,
    results: Sequence[LookResult],
    looks: Sequence[Scorecard],
    current: Scorecard,
    stopped: dt.date | None,
) -> Verdict:
    early = stopped if stopped is not None and stopped <= current.as_of and stopped < plan.planned_end else None
    last = (results[-1], looks[-1]) if results else None
    withdrawn = next((one.number for one in results if one.decision is Decision.SHIP), None)
    if early is not None or current.as_of >= plan.planned_end:
        look, card = last if last is not None else (None, current)
        told = sentences.undecided(plan, look, card, early, withdrawn)
        return _verdict(plan, current, results, Decision.CANT_TELL, "undecided", told)
    following = plan.look_date(plan.rule.look_days[len(results)])
    if last is None:
        told = sentences.too_early(plan, current, following)
        return _verdict(plan, current, results, Decision.KEEP_RUNNING, "too_early", told, following=following)
    told = sentences.waiting(plan, *last, following, withdrawn)
    return _verdict(plan, current, results, Decision.KEEP_RUNNING, "waiting", told, following=following)


def _verdict(
    plan: ExperimentPlan,
    current: Scorecard,
    results: Sequence[LookResult],
    decision: Decision,
    ground: Ground,
    told: tuple[str, str],
    *,
    look: LookResult | None = None,
    following: dt.date | None = None,
) -> Verdict:
    return Verdict(
        experiment_id=plan.experiment_id,
        plan_digest=plan.digest,
        as_of=current.as_of,
        decision=decision,
        ground=ground,
        reason=told[0],
        what_would_change=told[1],
        variant=None if look is None else look.variant,
        look=None if look is None else look.number,
        looks=tuple(results),
        next_look=following,
    )


def _errors(card: Scorecard) -> tuple[str, ...]:
    return tuple(one.message for one in card.findings if one.level == "error")


def _check(plan: ExperimentPlan, looks: Sequence[Scorecard], current: Scorecard) -> None:
    due = [date for _, date in looks_due(plan, current.as_of)]
    given = [card.as_of for card in looks]
    if given != due:
        raise InvalidValueError(
            f"looks of {[day.isoformat() for day in given]}", f"must be those of {[day.isoformat() for day in due]}"
        )
    for card in (*looks, current):
        if card.plan_digest != plan.digest:
            hint = "a rule that was frozen at launch is applied to its own experiment only"
            raise InvalidValueError(
                f"a scorecard of plan {card.plan_digest[:12]}", f"must be of {plan.digest[:12]}", hint
            )
