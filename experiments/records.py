"""What the store holds about experiments: its tables, and the record of one experiment that is read from them.

The plan is stored as the very text whose SHA-256 is its digest, so that a later release, whose plans may know more
fields, still reads and proves the plan of then.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    String,
    Text,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from experiments.layers import Holdout, Placement
from experiments.plan import ExperimentPlan, State, read_plan
from workspace.errors import IntegrityError, UnknownError
from workspace.store import Base, Store

LIVE: Final = (State.CANARY, State.RUNNING)
"""States in which users are assigned."""
_NAMED_AT_MOST: Final = 20


class ExperimentRow(Base):
    """One experiment as stored."""

    __tablename__ = "experiments"

    experiment_id: Mapped[str] = mapped_column(String, primary_key=True)
    state: Mapped[str] = mapped_column(String, index=True)
    flag: Mapped[str] = mapped_column(String, index=True)
    layer: Mapped[str] = mapped_column(String, index=True)
    revision: Mapped[int] = mapped_column(Integer)
    plan: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String)
    adopted: Mapped[bool] = mapped_column()
    placement: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    launched_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    stopped_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    stop_reason: Mapped[str | None] = mapped_column(Text)
    rolled_back: Mapped[bool] = mapped_column()
    decided_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    decision: Mapped[str | None] = mapped_column(String)
    decision_reason: Mapped[str | None] = mapped_column(Text)
    decided_as_of: Mapped[dt.date | None] = mapped_column(Date)


class RampRow(Base):
    """One step of a ramp as stored."""

    __tablename__ = "experiment_ramps"

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.experiment_id"), index=True)
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    share: Mapped[float] = mapped_column(Float)


class FlagRow(Base):
    """One flag as stored."""

    __tablename__ = "experiment_flags"

    flag: Mapped[str] = mapped_column(String, primary_key=True)
    experiment_id: Mapped[str | None] = mapped_column(ForeignKey("experiments.experiment_id"))
    forced: Mapped[str | None] = mapped_column(String)
    index_version: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class HoldoutRow(Base):
    """The users who are in no experiment; the row of the latest period counts."""

    __tablename__ = "experiment_holdout"

    period: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    share: Mapped[float] = mapped_column(Float)
    changed_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One experiment: its plan, and what became of it.

    Args:
        plan: Frozen at launch.
        state: Where it stands.
        digest: SHA-256 of the plan's canonical JSON.
        revision: Counts its changes.
        adopted: It ran before this registry knew it, and its users were assigned elsewhere.
        placement: The slots of its layer it owns; None before its launch and for an adopted one.
        launched_at: When it left the draft, as a canary or in full.
        ramp: When it was ramped to which share of the users of a region; a launch in full stands at the default
            allocation.
        rolled_back: It was stopped by serving control to everyone.
        decided_as_of: Last day the decision knew of.
    """

    plan: ExperimentPlan
    state: State
    digest: str
    revision: int
    adopted: bool
    placement: Placement | None
    created_at: dt.datetime
    launched_at: dt.datetime | None = None
    stopped_at: dt.datetime | None = None
    stop_reason: str | None = None
    rolled_back: bool = False
    ramp: tuple[tuple[dt.datetime, float], ...] = ()
    decided_at: dt.datetime | None = None
    decision: str | None = None
    decision_reason: str | None = None
    decided_as_of: dt.date | None = None

    @property
    def experiment_id(self) -> str:
        """Its id."""
        return self.plan.experiment_id

    @property
    def live(self) -> bool:
        """Whether it is a canary or running."""
        return self.state in LIVE

    @property
    def share(self) -> float | None:
        """What the ramp stands at; None before the launch."""
        return self.ramp[-1][1] if self.ramp else None

    def version_of(self, variant: str) -> str | None:
        """Return the index version that serves a variant; None serves the current one."""
        return next(one.index_version for one in self.plan.variants if one.name == variant)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return {
            "experiment": self.experiment_id,
            "state": self.state.value,
            "digest": self.digest,
            "revision": self.revision,
            "adopted": self.adopted,
            "plan": self.plan.to_dict(),
            "planned_end": self.plan.planned_end.isoformat(),
            "created_at": self.created_at.isoformat(),
            "launched_at": _iso(self.launched_at),
            "stopped_at": _iso(self.stopped_at),
            "stop_reason": self.stop_reason,
            "rolled_back": self.rolled_back,
            "ramp": [{"at": at.isoformat(), "share": share} for at, share in self.ramp],
            "placement": None if self.placement is None else self.placement.to_dict(),
            "decision": self.decision,
            "decision_reason": self.decision_reason,
            "decided_at": _iso(self.decided_at),
            "decided_as_of": _iso(self.decided_as_of),
        }


def plan_text(plan: ExperimentPlan) -> str:
    """Return the plan's canonical JSON, whose SHA-256 is its digest."""
    return json.dumps(plan.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def record_of(row: ExperimentRow, ramps: Sequence[RampRow]) -> Record:
    """Return the record of stored rows.

    Raises:
        IntegrityError: When the stored plan is not the one its digest names.
    """
    if hashlib.sha256(row.plan.encode()).hexdigest() != row.digest:
        raise IntegrityError(
            f"the plan of {row.experiment_id} is not what its digest says",
            "and no verdict may rest on it",
            "restore the store from a copy; the ledger holds the digest of the launch",
        )
    return Record(
        plan=read_plan(json.loads(row.plan)),
        state=State(row.state),
        digest=row.digest,
        revision=row.revision,
        adopted=row.adopted,
        placement=None if row.placement is None else Placement.from_dict(row.placement),
        created_at=aware(row.created_at),
        launched_at=_aware(row.launched_at),
        stopped_at=_aware(row.stopped_at),
        stop_reason=row.stop_reason,
        rolled_back=row.rolled_back,
        ramp=tuple((aware(one.at), one.share) for one in ramps),
        decided_at=_aware(row.decided_at),
        decision=row.decision,
        decision_reason=row.decision_reason,
        decided_as_of=row.decided_as_of,
    )


@contextmanager
def writing(store: Store) -> Iterator[Session]:
    """Open a session that may change experiments and flags; those of all processes come one after the other.

    What is read in it can't change before it is written.
    """
    with store.session() as session:
        # A writing session of SQLite holds the only write lock already.
        if not store.is_sqlite:
            session.execute(text("LOCK TABLE experiments IN SHARE ROW EXCLUSIVE MODE"))
        yield session


def find_row(session: Session, experiment_id: str) -> ExperimentRow:
    """Return the stored row of an experiment.

    Raises:
        UnknownError: When there is none of that id, naming those there are.
    """
    row = session.get(ExperimentRow, experiment_id)
    if row is None:
        query = select(ExperimentRow.experiment_id).order_by(ExperimentRow.created_at.desc()).limit(_NAMED_AT_MOST)
        names = list(session.scalars(query))
        hint = f"the experiments are {', '.join(names)}" if names else "there are none yet: create one"
        raise UnknownError(f"experiment == {experiment_id!r}", "must be a registered experiment", hint)
    return row


def read_record(session: Session, row: ExperimentRow) -> Record:
    """Return the record of a row with its ramp; raises as `record_of`."""
    session.flush()
    of_row = select(RampRow).where(RampRow.experiment_id == row.experiment_id).order_by(RampRow.seq)
    return record_of(row, session.scalars(of_row).all())


def read_holdout(session: Session) -> Holdout:
    """Return the users who are in no experiment."""
    row = session.scalars(select(HoldoutRow).order_by(HoldoutRow.period.desc()).limit(1)).first()
    return Holdout() if row is None else Holdout(share=row.share, period=row.period)


def assigning() -> ColumnElement[bool]:
    """Return the condition that an experiment assigns users now."""
    return ExperimentRow.state.in_([state.value for state in LIVE]) & ExperimentRow.adopted.is_(False)


def neighbours(session: Session, row: ExperimentRow) -> dict[str, Placement]:
    """Return what the other live experiments of the same layer own."""
    query = select(ExperimentRow).where(
        assigning(), ExperimentRow.layer == row.layer, ExperimentRow.experiment_id != row.experiment_id
    )
    return {
        one.experiment_id: Placement.from_dict(one.placement)
        for one in session.scalars(query)
        if one.placement is not None
    }


def aware(moment: dt.datetime) -> dt.datetime:
    """Return a stored moment with its zone, which SQLite does not keep."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _aware(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else aware(moment)


def _iso(moment: dt.date | None) -> str | None:
    return None if moment is None else moment.isoformat()
