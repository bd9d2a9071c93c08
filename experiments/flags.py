"""Feature flags: which variant, and so which index version, serves a user now.

Every lookup reads the flag anew: a switch made by another process counts from the next request on. Only the record
of the experiment, which has a revision, is kept between lookups.
"""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from experiments.assignment import Standing, Texts, Why, assign, standing
from experiments.plan import State
from experiments.records import LIVE, ExperimentRow, FlagRow, Record, aware, find_row, read_record, writing
from workspace.clock import Clock, SystemClock
from workspace.columns import Event, User
from workspace.errors import StateError, UnknownError
from workspace.ledger import Ledger
from workspace.store import Store

_OUTSIDE: Final[dict[Why, str]] = {
    "region": "region {region} takes no part in {experiment}",
    "layer": "not among the users of {experiment}",
    "holdout": "held out of every experiment",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one user is served.

    Args:
        flag: Which flag was asked.
        variant: The variant: the assigned one, or the one that everyone is served; None when the user is in no
            experiment and nothing is forced.
        experiment_id: The experiment the user takes part in; None when they take part in none, and then their events
            carry neither experiment nor variant.
        index_version: What serves them; None is the current version.
        reason: Why, in words.
    """

    flag: str
    variant: str | None
    experiment_id: str | None
    index_version: str | None
    reason: str

    @property
    def trial(self) -> dict[str, str]:
        """What an event of this user carries of the experiment: both columns, or none."""
        if self.experiment_id is None or self.variant is None:
            return {}
        return {Event.EXPERIMENT: self.experiment_id, Event.VARIANT: self.variant}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagState:
    """How a flag is set.

    Args:
        experiment_id: The experiment that decides it, or was the last to.
        forced: The variant everyone is served, if any.
        index_version: What serves the forced one; None is the current version.
        reason: Why it is so.
        changed_at: Since when.
    """

    flag: str
    experiment_id: str | None
    forced: str | None
    index_version: str | None
    reason: str
    changed_at: dt.datetime

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "changed_at": self.changed_at.isoformat()}


class Flags:
    """Looks flags up.

    Args:
        store: The operational store.
        clock: What "today" means: nobody is assigned before an experiment's first day.
        ledger: Where a flag set by hand is recorded.
    """

    def __init__(self, store: Store, clock: Clock | None = None, ledger: Ledger | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._ledger = ledger or Ledger(store, self._clock)
        self._known: dict[str, Record] = {}

    def lookup(self, flag: str, user_id: str, region: str) -> Served:
        """Return what a user is served.

        Args:
            flag: The flag.
            user_id: The user.
            region: Their home region: allocation is by region.

        Raises:
            UnknownError: When there is no such flag, naming those there are.
        """
        state, record = self._read(flag)
        told = _for_everyone(state, record, self._clock.now().date())
        if told is not None or record is None or record.placement is None:
            return told or _unassigned(state, record, "")
        found = standing(record.plan, user_id, region, record.placement)
        if found.variant is None:
            why = _OUTSIDE[found.why].format(region=region, experiment=record.experiment_id)
            return _unassigned(state, record, why)
        return _assigned(state, record, found)

    def lookup_all(self, flag: str, user_ids: Texts, regions: Texts) -> pd.DataFrame:
        """Return what many users are served, by one reading of the flag.

        Args:
            flag: The flag.
            user_ids: ``(n,)`` ids.
            regions: ``(n,)`` home regions, or one for all.

        Returns:
            ``(n, 4)``: user, experiment, variant and index version, as `Served` has them.

        Raises:
            UnknownError: When there is no such flag.
            InvalidValueError: When an id is missing, or ids and regions differ in number.
        """
        state, record = self._read(flag)
        ids = pd.Series(user_ids.to_pylist() if isinstance(user_ids, pa.Array | pa.ChunkedArray) else list(user_ids))
        told = _for_everyone(state, record, self._clock.now().date())
        if told is not None or record is None or record.placement is None:
            one = told or _unassigned(state, record, "")
            variant = np.full(len(ids), one.variant, dtype=object)
            versions: dict[str | None, str | None] = {one.variant: one.index_version}
        else:
            variant = assign(record.plan, user_ids, regions, placement=record.placement)
            versions = {name: record.version_of(name) for name in record.plan.names}
            versions[None] = record.version_of(record.plan.control)
        experiment = None if told is not None or record is None else record.experiment_id
        return pd.DataFrame(
            {
                User.ID: ids,
                Event.EXPERIMENT: pd.Series([None if name is None else experiment for name in variant], dtype=object),
                Event.VARIANT: pd.Series(variant, dtype=object),
                Event.INDEX_VERSION: pd.Series([versions[name] for name in variant], dtype=object),
            }
        )

    def state(self, flag: str) -> FlagState:
        """Return how a flag is set.

        Raises:
            UnknownError: When there is no such flag.
        """
        return self._read(flag)[0]

    def all(self) -> list[FlagState]:
        """Return every flag by name."""
        with self._store.reading() as session:
            return [_state_of(row) for row in session.scalars(select(FlagRow).order_by(FlagRow.flag))]

    def force(self, flag: str, variant: str, actor: str, reason: str) -> FlagState:
        """Serve one variant of the flag's last experiment to everyone.

        Raises:
            UnknownError: When there is no such flag or variant.
            StateError: When an experiment runs on it, whose users would change sides, or none ever has.
        """
        with writing(self._store) as session:
            row = self._idle(session, flag)
            held = None if row.experiment_id is None else session.get(ExperimentRow, row.experiment_id)
            if held is None:
                raise StateError(f"flag {flag} has no variants", "since no experiment was launched on it")
            record = read_record(session, held)
            if variant not in record.plan.names:
                names = ", ".join(record.plan.names)
                raise UnknownError(f"variant == {variant!r}", f"must be one of {names}")
            set_flag(row, record, forced=variant, reason=reason, at=self._clock.now())
            details = {"variant": variant, "index_version": row.index_version, "reason": reason}
            self._ledger.append(actor, "flag.force", flag, details, session=session)
            return _state_of(row)

    def free(self, flag: str, actor: str, reason: str) -> FlagState:
        """Serve nothing in particular again: the current index version to everyone, until an experiment is launched.

        Raises:
            UnknownError: When there is no such flag.
            StateError: When an experiment runs on it.
        """
        with writing(self._store) as session:
            row = self._idle(session, flag)
            before = row.forced
            row.experiment_id, row.forced, row.index_version = None, None, None
            row.reason, row.changed_at = reason, self._clock.now()
            self._ledger.append(actor, "flag.free", flag, {"forced": before, "reason": reason}, session=session)
            return _state_of(row)

    def _idle(self, session: Session, flag: str) -> FlagRow:
        row = _row(session, flag)
        live = live_on(session, row)
        if live is not None:
            raise StateError(
                f"flag {flag} is decided by {live}",
                "and serving everyone the same would change sides of its users",
                f"stop {live} first: `recommendr experiment stop {live} --roll-back` serves control at once",
            )
        return row

    def _read(self, flag: str) -> tuple[FlagState, Record | None]:
        with self._store.reading() as session:
            query = (
                select(FlagRow, ExperimentRow.revision)
                .outerjoin(ExperimentRow, FlagRow.experiment_id == ExperimentRow.experiment_id)
                .where(FlagRow.flag == flag)
            )
            found = session.execute(query).first()
            if found is None:
                raise _unknown(session, flag)
            state = _state_of(found[0])
            if state.experiment_id is None:
                return state, None
            known = self._known.get(state.experiment_id)
            if known is None or known.revision != found[1]:
                known = read_record(session, find_row(session, state.experiment_id))
                self._known[state.experiment_id] = known
            return state, known


def add_flag(session: Session, flag: str, at: dt.datetime) -> FlagRow:
    """Return the row of a flag, made when it is new; the caller's transaction commits it."""
    row = session.get(FlagRow, flag)
    if row is None:
        row = FlagRow(flag=flag, experiment_id=None, forced=None, index_version=None, changed_at=at)
        row.reason = "no experiment was launched on it"
        session.add(row)
        session.flush()
    return row


def set_flag(row: FlagRow, record: Record, *, forced: str | None, reason: str, at: dt.datetime) -> None:
    """Put a flag into the hands of an experiment, serving one of its variants to everyone or each their own."""
    row.experiment_id, row.forced = record.experiment_id, forced
    row.index_version = None if forced is None else record.version_of(forced)
    row.reason, row.changed_at = reason, at


def live_on(session: Session, row: FlagRow) -> str | None:
    """Return the id of the canary or running experiment a flag is in the hands of, None when there is none."""
    held = None if row.experiment_id is None else session.get(ExperimentRow, row.experiment_id)
    return held.experiment_id if held is not None and held.state in LIVE else None


def _row(session: Session, flag: str) -> FlagRow:
    row = session.get(FlagRow, flag)
    if row is None:
        raise _unknown(session, flag)
    return row


def _unknown(session: Session, flag: str) -> UnknownError:
    names = list(session.scalars(select(FlagRow.flag).order_by(FlagRow.flag)))
    known = f"the flags are {', '.join(names)}" if names else "there are none; creating an experiment makes its flag"
    return UnknownError(f"flag == {flag!r}", "must be a known flag", known)


def _state_of(row: FlagRow) -> FlagState:
    return FlagState(
        flag=row.flag,
        experiment_id=row.experiment_id,
        forced=row.forced,
        index_version=row.index_version,
        reason=row.reason,
        changed_at=aware(row.changed_at),
    )


def _for_everyone(state: FlagState, record: Record | None, today: dt.date) -> Served | None:
    """Return what everyone is served alike, None when it depends on the user."""
    if state.forced is not None:
        return Served(
            flag=state.flag,
            variant=state.forced,
            experiment_id=None,
            index_version=state.index_version,
            reason=f"everyone is served {state.forced}: {state.reason}",
        )
    if record is None:
        return _unassigned(state, None, state.reason)
    if not record.live:
        return _unassigned(state, record, f"{record.experiment_id} is {record.state.value}")
    if record.placement is None:
        return _unassigned(state, record, f"the users of {record.experiment_id} are assigned elsewhere")
    if today < record.plan.start:
        return _unassigned(state, record, f"{record.experiment_id} starts on {record.plan.start}")
    return None


def _unassigned(state: FlagState, record: Record | None, reason: str) -> Served:
    version = None if record is None else record.version_of(record.plan.control)
    return Served(flag=state.flag, variant=None, experiment_id=None, index_version=version, reason=reason)


def _assigned(state: FlagState, record: Record, found: Standing) -> Served:
    variant = str(found.variant)
    stage = f"a canary at {record.share:.0%}" if record.state is State.CANARY and record.share else "running"
    return Served(
        flag=state.flag,
        variant=variant,
        experiment_id=record.experiment_id,
        index_version=record.version_of(variant),
        reason=f"assigned to {variant} by {record.experiment_id}, {stage}",
    )
