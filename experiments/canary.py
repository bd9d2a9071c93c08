"""The canary: a treatment meets 1, 5, 10, 25, then 50 % of the users, and goes back by itself when it does harm.

The monitored share is split half and half. Guardrails are looked at as often as one likes: harm is told by an
always-valid one-sided bound, so that looking often does not roll back what is harmless.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from experiments.findings import Finding
from experiments.lifecycle import wrong_state
from experiments.metrics import Direction
from experiments.plan import RAMP, State
from experiments.records import Record, aware
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError, StateError

if TYPE_CHECKING:
    from experiments.estimates import Estimate
    from experiments.registry import Registry
    from experiments.scorecard import Scorecard

Action = Literal["ramp", "hold", "roll_back"]

_MULTIPLE: Final = "multiple"
_HOUR: Final = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRule:
    """When a canary goes on, waits or goes back.

    Args:
        alpha: Error of rolling back something harmless, over all guardrails, treatments and looks.
        tuned_at: Users of both arms at which the bounds are tightest; chosen before the data.
        least_users: Exposed users of all arms below which a step is not left.
        least_hours: Hours a step is watched at least.
    """

    alpha: float = 0.05
    tuned_at: int = 10_000
    least_users: int = 1_000
    least_hours: float = 24.0

    def __post_init__(self) -> None:
        check_scalar(self.alpha, "alpha", gt=0, lt=0.5, hint="0.05 rolls 5 % of the harmless canaries back")
        check_scalar(self.tuned_at, "tuned_at", ge=1)
        check_scalar(self.least_users, "least_users", ge=1)
        check_scalar(self.least_hours, "least_hours", ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailReading:
    """One guardrail of one treatment against control.

    Args:
        metric: Its name.
        variant: The treatment.
        better: Which way is good.
        estimate: The difference; None when there is none.
        reason: Why there is none.
    """

    metric: str
    variant: str
    better: Direction
    estimate: "Estimate | None" = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryInputs:
    """What is known when a step is judged.

    Args:
        at: Up to when events are known, aware.
        guardrails: Every guardrail × treatment.
        users: Exposed users by variant, those in two variants left out.
        multiple: Users seen in more than one variant.
    """

    at: dt.datetime
    guardrails: tuple[GuardrailReading, ...]
    users: Mapping[str, int]
    multiple: int = 0

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise InvalidValueError(f"at == {self.at}", "must be an aware datetime", "pass tzinfo=datetime.UTC")
        check_scalar(self.multiple, "multiple", ge=0)
        for name, count in self.users.items():
            check_scalar(count, f"users of {name}", ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryStep:
    """What one step of a canary came to.

    Args:
        experiment_id: Of which experiment.
        action: ``ramp`` to the next share, ``hold`` this one, or ``roll_back`` to control for everyone.
        reason: Why, in one sentence.
        share: Monitored share when it was judged.
        next_share: Where the ramp goes; None unless it does.
        checks: Every check, whatever came out.
        executed: Whether registry and flag were changed.
    """

    experiment_id: str
    action: Action
    reason: str
    share: float
    next_share: float | None = None
    checks: tuple[Finding, ...] = field(default=())
    executed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "experiment": self.experiment_id,
            "action": self.action,
            "reason": self.reason,
            "share": self.share,
            "next_share": self.next_share,
            "checks": [one.to_dict() for one in self.checks],
            "executed": self.executed,
        }


def inputs_of(card: "Scorecard") -> CanaryInputs:
    """Return what a canary is judged by from a scorecard: the figures its experiment is judged by as well."""
    known = dt.datetime.combine(card.as_of + dt.timedelta(days=1), dt.time(), dt.UTC)
    if card.computed_at:
        # Of a day that is not over, no more is known than when it was summed up.
        known = min(known, aware(dt.datetime.fromisoformat(card.computed_at)))
    return CanaryInputs(
        at=known,
        guardrails=tuple(
            GuardrailReading(
                metric=one.name, variant=one.variant, better=one.better, estimate=one.judged, reason=one.reason
            )
            for one in card.of("guardrail")
        ),
        users=card.users,
        multiple=int(card.left_out.get(_MULTIPLE, 0)),
    )


def judge(record: Record, inputs: CanaryInputs, rule: CanaryRule | None = None) -> CanaryStep:
    """Say what a canary should do next; nothing is changed.

    Harm comes first: a broken sample ratio may explain it away, but users should not wait for that. Whatever else
    is wrong, or missing, holds the ramp where it is.

    Args:
        record: A canary.
        inputs: What is known.
        rule: When it goes on; the default one when None.

    Raises:
        StateError: When it is no canary.
    """
    if record.state is not State.CANARY or record.share is None:
        raise wrong_state(record.experiment_id, record.state, "judged as a canary", "a canary")
    chosen, share = rule or CanaryRule(), record.share
    checks = (*_guardrails(inputs, chosen), *_health(record, inputs), *_enough(record, inputs, chosen))
    following = next((step for step in RAMP if step > share), None)
    harm = [one for one in checks if one.level == "error" and one.check.startswith("guardrail")]
    held = [one for one in checks if one.level != "ok"]
    action: Action = "roll_back" if harm else "hold" if held or following is None else "ramp"
    if action == "ramp":
        reason = f"Nothing speaks against {following:.0%}: every check of the step at {share:.0%} is passed."
    elif harm or held:
        reason = (harm or held)[0].message
    else:
        reason = f"{share:.0%} is the last step and every check is passed: launch it in full, or stop it."
    return CanaryStep(
        experiment_id=record.experiment_id,
        action=action,
        reason=reason,
        share=share,
        next_share=following if action == "ramp" else None,
        checks=checks,
    )


class Canary:
    """Judges canaries and does what the judgement says.

    Args:
        registry: Where their ramps and flags are changed.
        rule: When they go on, wait or go back.
    """

    def __init__(self, registry: "Registry", rule: CanaryRule | None = None) -> None:
        self._registry = registry
        self._rule = rule or CanaryRule()

    def step(self, experiment_id: str, inputs: CanaryInputs, actor: str, *, execute: bool = True) -> CanaryStep:
        """Judge a canary, and ramp it or roll it back.

        The same inputs twice ramp once: a step has to be watched before it is left. What was rolled back says so.

        Args:
            experiment_id: Which one.
            inputs: What is known.
            actor: Who, for the ledger.
            execute: Whether to do it.

        Raises:
            UnknownError: When there is none of that id.
            StateError: When it is no canary, and was not rolled back.
        """
        record = self._registry.get(experiment_id)
        if record.rolled_back and record.stopped_at is not None:
            reason = f"It was rolled back on {record.stopped_at:%Y-%m-%d}: {record.stop_reason}"
            return CanaryStep(experiment_id=experiment_id, action="roll_back", reason=reason, share=record.share or 0.0)
        step = judge(record, inputs, self._rule)
        if not execute or step.action == "hold":
            return step
        if step.action == "roll_back":
            self._registry.stop(experiment_id, actor, step.reason, roll_back=True)
            return _done(step)
        return self._ramped(step, actor)

    def _ramped(self, step: CanaryStep, actor: str) -> CanaryStep:
        assert step.next_share is not None  # noqa: S101 - `judge` names it whenever it ramps
        try:
            self._registry.ramp(step.experiment_id, step.next_share, actor)
        except StateError as error:
            if self._registry.get(step.experiment_id).state is not State.CANARY:
                raise
            # The layer is full: the canary waits where it is until somebody else's experiment ends.
            full = Finding(check="layer", level="warn", message=str(error))
            return CanaryStep(
                experiment_id=step.experiment_id,
                action="hold",
                reason=full.message,
                share=step.share,
                checks=(*step.checks, full),
            )
        return _done(step)


def _done(step: CanaryStep) -> CanaryStep:
    return CanaryStep(
        experiment_id=step.experiment_id,
        action=step.action,
        reason=step.reason,
        share=step.share,
        next_share=step.next_share,
        checks=step.checks,
        executed=True,
    )


def _guardrails(inputs: CanaryInputs, rule: CanaryRule) -> list[Finding]:
    if not inputs.guardrails:
        return [Finding(check="guardrails", level="ok", message="The plan has no guardrail: no harm could be seen.")]
    # Bonferroni: the bounds hold together, whatever the guardrails have to do with each other.
    alpha = rule.alpha / len(inputs.guardrails)
    return [_guardrail(one, alpha, rule.tuned_at) for one in inputs.guardrails]


def _guardrail(one: GuardrailReading, alpha: float, tuned_at: int) -> Finding:
    check, name = f"guardrail {one.metric} of {one.variant}", f"{one.metric} of {one.variant}"
    if one.estimate is None:
        return Finding(check=check, level="warn", message=f"{name} is not estimable: {one.reason or 'no figures'}.")
    from experiments.sequential import confidence_sequence_of

    side: Literal["greater", "less"] = "greater" if one.better == "down" else "less"
    low, high = confidence_sequence_of(one.estimate, alpha=alpha, tuned_at=tuned_at, side=side)
    bound = low if one.better == "down" else high
    harmed = bound > 0 if one.better == "down" else bound < 0
    figures = {"diff": one.estimate.diff, "rel": one.estimate.rel, "bound": bound, "n": one.estimate.n, "alpha": alpha}
    moved = "by an unknown share" if one.estimate.rel is None else f"{one.estimate.rel:+.2%}"
    if harmed:
        least = "at least" if one.better == "down" else "at most"
        told = f"{name} is harmed: {moved}, {least} {bound:+.3g} at any number of looks."
        return Finding(check=check, level="error", message=told, figures=figures)
    told = f"{name} shows no harm: {moved}, and the always-valid bound {bound:+.3g} is not beyond 0."
    return Finding(check=check, level="ok", message=told, figures=figures)


def _health(record: Record, inputs: CanaryInputs) -> list[Finding]:
    from experiments.health import multiple_exposure, srm

    try:
        ratio = srm(dict(inputs.users), record.plan.shares)
    except NotEstimableError:
        return [Finding(check="srm", level="warn", message="Nobody has been exposed yet.")]
    broken = "leak" if ratio.leak else "srm"
    split = Finding(
        check=broken,
        level="ok" if ratio.ok else "warn",
        message=ratio.sentence,
        figures={"p": ratio.p, "counts": ratio.counts, "expected": ratio.expected},
    )
    twice = multiple_exposure(inputs.multiple, sum(inputs.users.values()) + inputs.multiple)
    shares = "no user" if twice.share is None else f"{twice.share:.3%} of the users"
    told = f"{shares} were seen in more than one variant; {twice.limit:.3%} are tolerated."
    figures = {"count": twice.count, "share": twice.share, "limit": twice.limit, "p": twice.p}
    return [split, Finding(check="multiple", level="ok" if twice.ok else "warn", message=told, figures=figures)]


def _enough(record: Record, inputs: CanaryInputs, rule: CanaryRule) -> list[Finding]:
    users, since = sum(inputs.users.values()), record.ramp[-1][0]
    hours = (inputs.at - since) / _HOUR
    return [
        Finding(
            check="users",
            level="ok" if users >= rule.least_users else "note",
            message=f"{users:,} users were exposed; a step is left with {rule.least_users:,} at least.",
            figures={"users": users, "least": rule.least_users},
        ),
        Finding(
            check="time",
            level="ok" if hours >= rule.least_hours else "note",
            message=f"{max(0.0, hours):.1f} h of this step are known; {rule.least_hours:g} h are watched at least.",
            figures={"hours": hours, "least": rule.least_hours},
        ),
    ]
