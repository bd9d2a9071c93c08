"""What may happen to an experiment, and when: the checks of every step that need no store."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, Final

from experiments.plan import ExperimentPlan, State
from experiments.records import Record
from experiments.verdict import Decision
from workspace.columns import Trial
from workspace.errors import InvalidValueError, StateError, UnknownError

HALF: Final = 0.5
_ROUNDING: Final = 1e-9
_ADOPTABLE: Final = (State.RUNNING, State.STOPPED, State.DECIDED)


def wrong_state(experiment_id: str, state: str, act: str, needed: str) -> StateError:
    """Return the error of a step that the state forbids, with the order of the states."""
    order = " → ".join(one.value for one in State)
    return StateError(
        f"{experiment_id} is {State(state).value}", f"and must be {needed} to be {act}", f"states go {order}"
    )


def _as_words(state: State) -> str:
    return f"a {state.value}" if state in {State.DRAFT, State.CANARY} else state.value


def check_reason(reason: str) -> None:
    """Refuse an empty reason.

    Raises:
        InvalidValueError: When it says nothing.
    """
    if not reason.strip():
        raise InvalidValueError(f"reason == {reason!r}", "must not be empty", "say why in a sentence")


def checked_decision(decision: str) -> Decision:
    """Return a decision that ends an experiment.

    Raises:
        InvalidValueError: When it is none of those.
    """
    possible = (Decision.SHIP, Decision.ROLL_BACK, Decision.CANT_TELL)
    if decision not in possible:
        names = ", ".join(one.value for one in possible)
        raise InvalidValueError(f"decision == {decision!r}", f"must be one of {names}", "an end is one of these")
    return Decision(decision)


def served_by(decision: Decision, record: Record, variant: str | None) -> str | None:
    """Return the variant everyone is served after a decision, None when nothing changes.

    Raises:
        InvalidValueError: When the variant is unknown, or there are several to ship and none is named.
    """
    plan = record.plan
    if variant is not None and variant not in plan.names:
        raise InvalidValueError(f"variant == {variant!r}", f"must be one of {', '.join(plan.names)}")
    if decision is Decision.CANT_TELL:
        return None
    if decision is Decision.ROLL_BACK:
        return plan.control
    treatments = [name for name in plan.names if name != plan.control]
    if variant is None and len(treatments) > 1:
        raise InvalidValueError(
            "no variant is named", f"must be one of {', '.join(treatments)}", "say which is shipped"
        )
    return variant or treatments[0]


def adopted_state(
    state: State | str, launched_at: dt.datetime, stopped_at: dt.datetime | None, decision: str | None
) -> State:
    """Return the state of an adopted experiment when what is told of it fits.

    Raises:
        InvalidValueError: When it does not.
    """
    if state not in set(_ADOPTABLE):
        names = ", ".join(one.value for one in _ADOPTABLE)
        raise InvalidValueError(f"state == {str(state)!r}", f"must be one of {names}", "a draft is created instead")
    for name, moment in (("launched_at", launched_at), ("stopped_at", stopped_at)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidValueError(f"{name} == {moment}", "must be an aware datetime", "pass tzinfo=datetime.UTC")
    standing = State(state)
    if (stopped_at is None) != (standing is State.RUNNING):
        raise InvalidValueError(f"stopped_at == {stopped_at}", f"must fit the state {standing.value}")
    if stopped_at is not None and stopped_at < launched_at:
        raise InvalidValueError(f"stopped_at == {stopped_at}", f"must be after the launch at {launched_at}")
    if (decision is not None) != (standing is State.DECIDED):
        raise InvalidValueError(f"decision == {decision!r}", f"must fit the state {standing.value}")
    return standing


def check_launch(plan: ExperimentPlan, today: dt.date, *, canary: bool) -> None:
    """Refuse a plan that can't be launched today.

    Raises:
        StateError: When its first day is over.
        InvalidValueError: When nobody would take part, or a canary would move users between variants later.
    """
    if plan.start < today:
        raise StateError(
            f"{plan.experiment_id} was to start on {plan.start}",
            f"and today is {today}: its looks are counted from the start",
            f"set the start: `recommendr experiment edit {plan.experiment_id} --set start={today}`",
        )
    if not any(share > 0 for share in (plan.default_allocation, *plan.allocation.values())):
        raise InvalidValueError("allocation is 0 in every region", "must be above 0 in one", "nobody would take part")
    if canary and abs(plan.shares[plan.control] - HALF) > _ROUNDING:
        raise InvalidValueError(
            f"the control's share == {plan.shares[plan.control]:g}",
            "must be 0.5 for a canary, which is split half and half and never moves a user afterwards",
            "give control half of the weight, or launch without a canary",
        )


def check_versions(plan: ExperimentPlan, known: Collection[str]) -> None:
    """Refuse a plan whose variants name an index version that is not there.

    Raises:
        UnknownError: Naming the version, its variant and those there are.
    """
    for one in plan.variants:
        if one.index_version is not None and one.index_version not in known:
            raise UnknownError(
                f"index_version == {one.index_version!r} of variant {one.name}",
                f"must be one of {', '.join(known) or 'none yet'}",
                "build it with `recommendr index build`, or correct the plan",
            )


def check_edit(record: Record, fields: Collection[str]) -> None:
    """Refuse an edit of a plan that is frozen, or of its id.

    Raises:
        StateError: Naming the fields, the state and the cure.
        InvalidValueError: For the id.
    """
    if record.state is not State.DRAFT:
        since = "" if record.launched_at is None else f" on {record.launched_at:%Y-%m-%d}"
        raise StateError(
            f"{', '.join(sorted(fields)) or 'the plan'} of {record.experiment_id} can't be changed: "
            f"it is {_as_words(record.state)}",
            f"and its plan was frozen at its launch{since}, so that the verdict follows the rule of before the data",
            "stop it and launch a new experiment with the other plan",
        )
    if Trial.EXPERIMENT in fields:
        raise InvalidValueError("experiment_id can't be changed", "it names the draft", "create another one")


def changed(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's document with new values at dotted places.

    Raises:
        InvalidValueError: When a place is none of the plan, or none is named.
    """
    if not changes:
        raise InvalidValueError("no change is named", "must be one at least", "write it as rule.alpha=0.01")
    for path, value in changes.items():
        *steps, last = path.split(".")
        target: Any = document
        for step in steps:
            target = _inside(target, step, path)
        if isinstance(target, list):
            _inside(target, last, path)
            target[int(last)] = value
        elif isinstance(target, dict):
            target[last] = value
        else:
            raise _no_field(path)
    return document


def _inside(target: Any, step: str, path: str) -> Any:  # noqa: ANN401 - whatever a plan's document holds
    try:
        return target[int(step)] if isinstance(target, list) else target[step]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise _no_field(path) from error


def _no_field(path: str) -> InvalidValueError:
    return InvalidValueError(f"{path} is no field of the plan", hint="see `recommendr experiment show ID --json`")
