"""The registry: every experiment, from its draft to its decision, and nothing of it changed without a record.

draft → canary → running → stopped → decided, forward only; a draft may go to running at once, and a canary may be
stopped. The plan is frozen when the draft is left. Each method is one transaction with its row of the ledger: a
process killed at any moment leaves the state before or the state after, and of two writers one is refused.
"""

import datetime as dt
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from experiments.assignment import offset_of
from experiments.flags import add_flag, live_on, set_flag
from experiments.layers import Holdout, Placement, place, widths
from experiments.lifecycle import (
    adopted_state,
    changed,
    check_edit,
    check_launch,
    check_reason,
    check_versions,
    checked_decision,
    served_by,
    wrong_state,
)
from experiments.plan import RAMP, ExperimentPlan, State, read_plan
from experiments.records import (
    LIVE,
    ExperimentRow,
    FlagRow,
    HoldoutRow,
    RampRow,
    Record,
    assigning,
    find_row,
    neighbours,
    plan_text,
    read_holdout,
    read_record,
    record_of,
    writing,
)
from workspace.checks import check_scalar
from workspace.clock import Clock, SystemClock
from workspace.errors import InvalidValueError, StateError
from workspace.ledger import Ledger, LedgerEntry, LedgerRow
from workspace.store import Store

__all__ = ["Record", "Registry"]

_SALT_BYTES: Final = 16


class Registry:
    """Creates, launches, ramps, stops and decides experiments.

    Args:
        store: The operational store.
        ledger: Where every change is recorded; one on the same store when None.
        clock: What "now" means.
        known_versions: Returns the index versions there are; None checks none.

    Example:
        >>> import tempfile; from pathlib import Path; from workspace.settings import Settings
        >>> registry = Registry(Store.open(Settings(home=Path(tempfile.mkdtemp()))))
        >>> registry.all()
        []
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger | None = None,
        clock: Clock | None = None,
        *,
        known_versions: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._ledger = ledger or Ledger(store, self._clock)
        self._known_versions = known_versions

    def get(self, experiment_id: str) -> Record:
        """Return an experiment.

        Raises:
            UnknownError: When there is none of that id, naming those there are.
            IntegrityError: When its stored plan is not the one its digest names.
        """
        with self._store.reading() as session:
            return read_record(session, find_row(session, experiment_id))

    def all(self) -> list[Record]:
        """Return every experiment, the newest first."""
        with self._store.reading() as session:
            ramps: dict[str, list[RampRow]] = {}
            for ramp in session.scalars(select(RampRow).order_by(RampRow.seq)):
                ramps.setdefault(ramp.experiment_id, []).append(ramp)
            newest = select(ExperimentRow).order_by(ExperimentRow.created_at.desc(), ExperimentRow.experiment_id)
            return [record_of(row, ramps.get(row.experiment_id, [])) for row in session.scalars(newest)]

    def history(self, experiment_id: str) -> list[LedgerEntry]:
        """Return every change of an experiment, the oldest first.

        Raises:
            UnknownError: When there is none of that id.
        """
        with self._store.reading() as session:
            find_row(session, experiment_id)
            query = select(LedgerRow).where(
                LedgerRow.subject == experiment_id, LedgerRow.action.startswith("experiment.")
            )
            return [_entry(row) for row in session.scalars(query.order_by(LedgerRow.seq))]

    def create(self, plan: ExperimentPlan, actor: str) -> Record:
        """Add a draft.

        Raises:
            InvalidValueError: When the id is taken.
        """
        with writing(self._store) as session:
            now = self._clock.now()
            row = self._new(session, plan, State.DRAFT, now)
            add_flag(session, plan.flag, now)
            return self._told(session, row, actor, "create", {"plan": plan.to_dict()})

    def edit(self, experiment_id: str, changes: Mapping[str, Any], actor: str) -> Record:
        """Change the plan of a draft.

        Args:
            experiment_id: Which one.
            changes: New values by field; a field inside another is written with a dot, as ``rule.alpha``.
            actor: Who.

        Raises:
            StateError: When it is no draft any more: its plan is frozen.
            InvalidValueError: When a field is unknown or its value can't be, or it is the id.
        """
        with writing(self._store) as session:
            row = find_row(session, experiment_id)
            check_edit(read_record(session, row), changes)
            plan = read_plan(changed(json.loads(row.plan), changes))
            _freeze(row, plan)
            add_flag(session, plan.flag, self._clock.now())
            told = json.loads(json.dumps(dict(changes), default=str))
            return self._told(session, row, actor, "edit", {"changes": told, "digest": row.digest})

    def launch(self, experiment_id: str, actor: str, *, canary: bool = False) -> Record:
        """Freeze the plan and begin to assign users; or let a canary become the experiment in full.

        Args:
            experiment_id: Which one.
            actor: Who.
            canary: Begin with the first share of the ramp, split half and half.

        Raises:
            StateError: When its state, its start, its flag or the room in its layer forbid it.
            UnknownError: When a variant names an index version that is not there.
            InvalidValueError: When nobody would take part, or a canary would move users between variants later.
        """
        with writing(self._store) as session:
            row = find_row(session, experiment_id)
            now, state = self._clock.now(), State.CANARY if canary else State.RUNNING
            if row.state == State.CANARY and not canary:
                before = read_record(session, row)
                share = max(before.plan.default_allocation, before.share or 0.0)
                return self._placed(session, row, actor, "launch", State.RUNNING, share)
            if row.state != State.DRAFT:
                raise wrong_state(experiment_id, row.state, "launched", "a draft")
            plan = self._launchable(session, row, canary=canary)
            _freeze(row, plan)
            flag = add_flag(session, plan.flag, now)
            _refuse_taken(session, flag)
            row.launched_at = now
            set_flag(flag, read_record(session, row), forced=None, reason=f"{experiment_id} was launched", at=now)
            share = RAMP[0] if canary else plan.default_allocation
            return self._placed(session, row, actor, "launch", state, share)

    def ramp(self, experiment_id: str, share: float, actor: str) -> Record:
        """Let more users take part; whoever takes part stays, with the same variant.

        Args:
            experiment_id: A canary or a running experiment.
            share: Of the users of each region with an allocation. The share it stands at changes nothing.
            actor: Who.

        Raises:
            StateError: When it is not live, or its layer has no room.
            InvalidValueError: When the share is lower than before, or above the canary's last step.
        """
        with writing(self._store) as session:
            row = find_row(session, experiment_id)
            before = read_record(session, row)
            if not before.live or before.placement is None:
                raise wrong_state(experiment_id, row.state, "ramped", "a canary or running, with users assigned here")
            most = RAMP[-1] if before.state is State.CANARY else 1.0
            hint = "a canary ends there: launch it" if before.state is State.CANARY else "0.25 is a quarter"
            check_scalar(share, "share", gt=0, le=most, hint=hint)
            stands = before.share or 0.0
            if share == stands:
                return before
            if share < stands:
                raise InvalidValueError(
                    f"share == {share:g}",
                    f"must be above {stands:g}, where it stands: a ramp never takes users out",
                    "stop the experiment instead",
                )
            return self._placed(session, row, actor, "ramp", before.state, share)

    def stop(self, experiment_id: str, actor: str, reason: str, *, roll_back: bool = False) -> Record:
        """Assign nobody any more; the flag serves the control's version from the next request on.

        Args:
            experiment_id: A canary or a running experiment.
            actor: Who.
            reason: Why.
            roll_back: Also force the flag to control, until another experiment is launched on it.

        Raises:
            StateError: When it is not live.
            InvalidValueError: When no reason is given.
        """
        check_reason(reason)
        with writing(self._store) as session:
            row = find_row(session, experiment_id)
            if row.state not in LIVE:
                raise wrong_state(experiment_id, row.state, "stopped", "a canary or running")
            now = self._clock.now()
            row.state, row.stopped_at, row.stop_reason, row.rolled_back = State.STOPPED.value, now, reason, roll_back
            details: dict[str, Any] = {"reason": reason}
            if roll_back:
                record = read_record(session, row)
                details["flag"] = _settled(session, record, record.plan.control, reason, now)
            return self._told(session, row, actor, "roll_back" if roll_back else "stop", details)

    def decide(
        self,
        experiment_id: str,
        decision: str,
        reason: str,
        actor: str,
        as_of: dt.date | None = None,
        *,
        variant: str | None = None,
    ) -> Record:
        """Record what was decided about a stopped experiment, and let its flag serve it to everyone.

        Args:
            experiment_id: Which one.
            decision: Ship, Roll back or Can't tell; the last one leaves the flag as it is.
            reason: Why.
            actor: Who.
            as_of: Last day the decision knew of; the day it was stopped when None.
            variant: What is shipped; may be left out when there is one treatment.

        Raises:
            StateError: When it is not stopped.
            InvalidValueError: When the decision is none of these, or lacks its reason or variant.
        """
        chosen = checked_decision(decision)
        check_reason(reason)
        with writing(self._store) as session:
            row = find_row(session, experiment_id)
            if row.state != State.STOPPED:
                raise wrong_state(experiment_id, row.state, "decided", "stopped")
            now, record = self._clock.now(), read_record(session, row)
            row.state, row.decided_at, row.decision = State.DECIDED.value, now, chosen.value
            row.decision_reason = reason
            row.decided_as_of = as_of or (record.stopped_at or now).date()
            details: dict[str, Any] = {
                "decision": chosen.value,
                "reason": reason,
                "as_of": row.decided_as_of.isoformat(),
            }
            served = served_by(chosen, record, variant)
            if served is not None:
                details["flag"] = _settled(session, record, served, f"{experiment_id} was decided: {chosen}", now)
            return self._told(session, row, actor, "decide", details)

    def adopt(
        self,
        plan: ExperimentPlan,
        state: State | str,
        actor: str,
        *,
        launched_at: dt.datetime,
        stopped_at: dt.datetime | None = None,
        stop_reason: str | None = None,
        ramp: Sequence[tuple[dt.datetime, float]] = (),
        decision: str | None = None,
        decision_reason: str | None = None,
    ) -> Record:
        """Register an experiment that ran before this registry knew it; its users were assigned elsewhere.

        Adopting the same plan again changes nothing.

        Args:
            plan: As it was frozen then.
            state: ``running``, ``stopped`` or ``decided``.
            actor: Who.
            launched_at: When it began, aware.
            stopped_at: When it ended; needed unless it runs.
            stop_reason: Why it ended.
            ramp: When it was ramped to which share; the default allocation from the launch on when empty.
            decision: What was decided; needed when it is decided.
            decision_reason: Why.

        Raises:
            InvalidValueError: When the state and what is told do not fit, or the id is taken by another plan.
        """
        standing = adopted_state(state, launched_at, stopped_at, decision)
        with writing(self._store) as session:
            known = session.get(ExperimentRow, plan.experiment_id)
            if known is not None and known.adopted and known.digest == plan.digest:
                return read_record(session, known)
            row = self._new(session, plan, standing, launched_at, adopted=True)
            row.launched_at, row.stopped_at, row.stop_reason = launched_at, stopped_at, stop_reason
            if decision is not None:
                row.decided_at, row.decision = stopped_at, checked_decision(decision).value
                row.decision_reason = decision_reason
                row.decided_as_of = None if stopped_at is None else stopped_at.date()
            for at, share in ramp or ((launched_at, plan.default_allocation),):
                session.add(RampRow(experiment_id=plan.experiment_id, at=at, share=share))
            flag = add_flag(session, plan.flag, launched_at)
            if live_on(session, flag) is None and flag.forced is None:
                reason = f"{plan.experiment_id} was adopted"
                set_flag(flag, read_record(session, row), forced=None, reason=reason, at=self._clock.now())
            details = {"state": standing.value, "digest": row.digest, "plan": plan.to_dict()}
            details |= {"launched_at": launched_at.isoformat(), "note": "it ran before this registry knew it"}
            return self._told(session, row, actor, "adopt", details)

    def holdout(self) -> Holdout:
        """Return the users who are in no experiment."""
        with self._store.reading() as session:
            return read_holdout(session)

    def hold_out(self, share: float, actor: str, *, renew: bool = False) -> Holdout:
        """Keep a share of all users out of every experiment.

        Args:
            share: In [0, 1).
            actor: Who.
            renew: Draw another group of users.

        Raises:
            StateError: When an experiment is live, whose users would be taken out.
            InvalidValueError: When the share is outside its limits.
        """
        with writing(self._store) as session:
            before = read_holdout(session)
            after = Holdout(share=share, period=before.period + 1 if renew else before.period)
            live = list(session.scalars(select(ExperimentRow.experiment_id).where(assigning())))
            if live:
                raise StateError(
                    f"the holdout can't be changed while {', '.join(sorted(live))} assigns users",
                    "since users would be taken out of it",
                    "stop it, or wait for its end",
                )
            session.merge(HoldoutRow(period=after.period, share=share, changed_at=self._clock.now()))
            details = {"share": share, "period": after.period, "before": before.share}
            self._ledger.append(actor, "experiment.holdout", after.salt, details, session=session)
            return after

    def _new(
        self, session: Session, plan: ExperimentPlan, state: State, at: dt.datetime, *, adopted: bool = False
    ) -> ExperimentRow:
        if session.get(ExperimentRow, plan.experiment_id) is not None:
            raise InvalidValueError(
                f"experiment_id == {plan.experiment_id!r}",
                "must be new: events of two experiments would be taken for one",
                "choose another id",
            )
        row = ExperimentRow(
            experiment_id=plan.experiment_id, state=state.value, revision=0, created_at=at, adopted=adopted
        )
        row.rolled_back = False
        _freeze(row, plan)
        session.add(row)
        session.flush()
        return row

    def _launchable(self, session: Session, row: ExperimentRow, *, canary: bool) -> ExperimentPlan:
        """Return the plan with its salt when it may be launched."""
        plan = read_record(session, row).plan
        check_launch(plan, self._clock.now().date(), canary=canary)
        if self._known_versions is not None:
            check_versions(plan, list(self._known_versions()))
        if not plan.salt:
            return plan.model_copy(update={"salt": secrets.token_hex(_SALT_BYTES)})
        _refuse_known_salt(session, plan)
        return plan

    def _placed(self, session: Session, row: ExperimentRow, actor: str, act: str, state: State, share: float) -> Record:
        """Give a live experiment the slots of a share, and record the step."""
        plan = read_plan(json.loads(row.plan))
        own = (
            Placement(layer=plan.layer, holdout=read_holdout(session))
            if row.placement is None
            else Placement.from_dict(row.placement)
        )
        wanted = widths(plan, share, canary=state is State.CANARY)
        others = neighbours(session, row)
        # Before the state is written: a refused launch rolls everything back anyway, but says why first.
        row.placement = place(own, wanted, others, offset=offset_of(plan.salt)).to_dict()
        row.state = state.value
        session.add(RampRow(experiment_id=row.experiment_id, at=self._clock.now(), share=share))
        details: dict[str, Any] = {"state": state.value, "share": share, "shares": wanted}
        if act == "launch":
            details |= {"digest": row.digest, "salt": plan.salt, "weights": plan.shares, "placement": row.placement}
        return self._told(session, row, actor, act, details)

    def _told(self, session: Session, row: ExperimentRow, actor: str, act: str, details: Mapping[str, Any]) -> Record:
        """Count the change, record it, and return what it led to."""
        row.revision += 1
        session.flush()
        self._ledger.append(actor, f"experiment.{act}", row.experiment_id, details, session=session)
        return read_record(session, row)


def _freeze(row: ExperimentRow, plan: ExperimentPlan) -> None:
    row.plan, row.digest, row.flag, row.layer = plan_text(plan), plan.digest, plan.flag, plan.layer


def _refuse_taken(session: Session, flag: FlagRow) -> None:
    live = live_on(session, flag)
    if live is not None:
        raise StateError(
            f"flag {flag.flag} is decided by {live}",
            "and one experiment at a time decides a flag",
            f"stop {live} first, or give the other one a flag of its own",
        )


def _refuse_known_salt(session: Session, plan: ExperimentPlan) -> None:
    launched = select(ExperimentRow).where(ExperimentRow.launched_at.is_not(None))
    for other in session.scalars(launched):
        if other.experiment_id != plan.experiment_id and json.loads(other.plan)["salt"] == plan.salt:
            raise InvalidValueError(
                f"salt == {plan.salt!r}",
                f"must be new: {other.experiment_id} has it, and would put the same users on the same side",
                "leave it empty, then one is drawn",
            )


def _settled(session: Session, record: Record, variant: str, reason: str, at: dt.datetime) -> dict[str, Any]:
    """Serve a variant to everyone, unless another experiment has taken the flag over since; return what was done."""
    flag = add_flag(session, record.plan.flag, at)
    if flag.experiment_id not in {None, record.experiment_id}:
        return {"flag": flag.flag, "left_to": flag.experiment_id}
    set_flag(flag, record, forced=variant, reason=reason, at=at)
    return {"flag": flag.flag, "serves": variant, "index_version": flag.index_version}


def _entry(row: LedgerRow) -> LedgerEntry:
    return LedgerEntry(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        details=json.loads(row.details),
        transaction_id=row.transaction_id,
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
