"""Remediation: going back to the index version before, proposed or performed, recorded, and reversible.

A rule is about an estimate. It proposes when the estimate is beyond the threshold. It performs only when it is set to
and the whole interval is beyond: chance must not switch versions. After one that was performed the rolling week still
holds days of the version before, so for that long nothing more is done.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import JSON, DateTime, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitoring.alerts.records import aware, aware_or_none, iso
from recommender import activation, index
from workspace.clock import Clock, SystemClock
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.files import file_lock
from workspace.ids import new_id
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.store import Base, Store

State = Literal["proposed", "performed", "reversed", "dismissed"]
ROLL_BACK: Final = "index.roll_back"
SETTLING: Final = dt.timedelta(days=7)
"""How long a rolling week holds days of the version before."""
BY_HAND: Final = "by hand"
_NAMED_AT_MOST: Final = 10
_LONGEST_REASON: Final = 1_000


class RemediationRow(Base):
    """One remediation as stored."""

    __tablename__ = "remediations"

    remediation_id: Mapped[str] = mapped_column(String, primary_key=True)
    rule: Mapped[str] = mapped_column(String, index=True)
    action: Mapped[str] = mapped_column(String)
    state: Mapped[str] = mapped_column(String, index=True)
    reason: Mapped[str] = mapped_column(Text)
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
    proposed_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    performed_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    reversed_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remediation:
    """One remediation.

    Args:
        rule: Which asked for it; "by hand" when nobody's rule did.
        reason: Why, with the figure.
        before: The index version that was served when it was proposed.
        after: The one it goes back to.
        actor: Who acted last.
    """

    remediation_id: str
    rule: str
    action: str
    state: State
    reason: str
    before: str
    after: str
    proposed_at: dt.datetime
    actor: str
    performed_at: dt.datetime | None = None
    reversed_at: dt.datetime | None = None
    details: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "remediation_id": self.remediation_id,
            "rule": self.rule,
            "action": self.action,
            "state": self.state,
            "reason": self.reason,
            "before": self.before,
            "after": self.after,
            "proposed_at": self.proposed_at.isoformat(),
            "performed_at": iso(self.performed_at),
            "reversed_at": iso(self.reversed_at),
            "actor": self.actor,
            "details": dict(self.details),
        }


class Remediations:
    """Proposes, performs and reverses.

    Args:
        store: The operational store.
        paths: The workspace with its index versions.
        ledger: Where every act is recorded; one on the same store when None.
        clock: What "now" means.
    """

    def __init__(self, store: Store, paths: Paths, ledger: Ledger | None = None, clock: Clock | None = None) -> None:
        self._store = store
        self._paths = paths
        self._clock = clock or SystemClock()
        self._ledger = ledger or Ledger(store, self._clock)

    def all(self, limit: int = 100) -> tuple[Remediation, ...]:
        """Return the remediations, the newest first."""
        with self._store.reading() as session:
            query = select(RemediationRow).order_by(
                RemediationRow.proposed_at.desc(), RemediationRow.remediation_id.desc()
            )
            return tuple(_remediation_of(row) for row in session.scalars(query.limit(limit)))

    def propose(
        self, reason: str, actor: str, *, rule: str = BY_HAND, details: Mapping[str, Any] | None = None
    ) -> Remediation:
        """Propose to go back to the index version before; the same proposal twice is one.

        Raises:
            StateError: When there is no version before.
            InvalidValueError: When no reason is given.
        """
        _checked_reason(reason)
        with self._alone():
            before, after = self._versions()
            with self._store.session() as session:
                known = session.scalars(
                    select(RemediationRow).where(
                        RemediationRow.rule == rule,
                        RemediationRow.before == before,
                        RemediationRow.after == after,
                        RemediationRow.state == "proposed",
                    )
                ).first()
                if known is not None:
                    return _remediation_of(known)
                row = RemediationRow(
                    remediation_id=new_id("remediation"),
                    rule=rule,
                    action=ROLL_BACK,
                    state="proposed",
                    reason=reason,
                    before=before,
                    after=after,
                    proposed_at=self._clock.now(),
                    actor=actor,
                    details=dict(details or {}),
                )
                session.add(row)
                return self._told(session, row, actor, "propose")

    def perform(self, remediation_id: str, actor: str) -> Remediation:
        """Go back to the version a proposal names.

        Killed half-way and called again, it finishes what it began, and goes back no further.

        Raises:
            UnknownError: When there is none of that id.
            StateError: When it is no proposal any more, or another version is served than when it was made.
            IntegrityError: When the version it goes back to is damaged; the current one stays.
        """
        with self._alone():
            found = self._get(remediation_id)
            if found.state == "performed":
                return found
            if found.state != "proposed":
                raise _wrong_state(found, "performed", "a proposal")
            self._roll_back(found, actor)
            return self._moved(remediation_id, "performed", actor, "perform")

    def reverse(self, remediation_id: str, actor: str, reason: str) -> Remediation:
        """Serve again the version that was served before a remediation was performed.

        Raises:
            UnknownError: When there is none of that id.
            StateError: When it was not performed, or a third version is served now.
            IntegrityError: When that version is damaged; the current one stays.
        """
        _checked_reason(reason)
        with self._alone():
            found = self._get(remediation_id)
            if found.state == "reversed":
                return found
            if found.state != "performed":
                raise _wrong_state(found, "reversed", "performed")
            current = index.current_version(self._paths)
            if current == found.after:
                activation.activate(self._paths, self._ledger, found.before, actor=actor)
            elif current != found.before:
                raise _moved_on(found, current, found.after)
            activation.settle(self._paths, self._ledger)
            return self._moved(remediation_id, "reversed", actor, "reverse", reason)

    def dismiss(self, remediation_id: str, actor: str, reason: str) -> Remediation:
        """Turn a proposal down; its rule proposes no more while the same version is served.

        Raises:
            UnknownError: When there is none of that id.
            StateError: When it is no proposal any more.
        """
        _checked_reason(reason)
        with self._alone():
            found = self._get(remediation_id)
            if found.state != "proposed":
                raise _wrong_state(found, "dismissed", "a proposal")
            return self._moved(remediation_id, "dismissed", actor, "dismiss", reason)

    def answer(
        self, rule: str, reason: str, actor: str, *, perform: bool, details: Mapping[str, Any] | None = None
    ) -> tuple[Remediation | None, str]:
        """Do what a rule asks for, unless something speaks against it.

        Args:
            rule: Which asks.
            reason: Why, with the figure.
            actor: Who runs it.
            perform: Whether to go back at once.
            details: The figure as data.

        Returns:
            What was proposed or performed, now or before, if anything; and why nothing more is done now.
        """
        with self._store.reading() as session:
            query = (
                select(RemediationRow).where(RemediationRow.rule == rule).order_by(RemediationRow.proposed_at.desc())
            )
            earlier = [_remediation_of(row) for row in session.scalars(query)]
        current, now = index.current_version(self._paths), self._clock.now()
        # What a person has once undone is only proposed from then on; and where going back once did not help, whether
        # to go back further is for a person to say.
        perform = perform and not any(
            (one.state == "reversed" and one.before == current) or (one.state == "performed" and one.after == current)
            for one in earlier
        )
        for one in earlier:
            # Killed after the switch, or somebody has done by hand what was proposed.
            if one.state == "proposed" and one.after == current:
                return self.perform(one.remediation_id, actor), ""
            if one.state == "proposed" and one.before == current and perform:
                return self.perform(one.remediation_id, actor), ""
        stands, against = _against(earlier, current, now)
        if against:
            return stands, against
        try:
            proposed = self.propose(reason, actor, rule=rule, details=details)
        except StateError as nothing_before:
            return None, str(nothing_before)
        return (self.perform(proposed.remediation_id, actor) if perform else proposed), ""

    def _roll_back(self, found: Remediation, actor: str) -> None:
        current, earlier = index.current_version(self._paths), index.previous_version(self._paths)
        if current == found.after:
            # Killed after the switch: it only has to be recorded.
            activation.settle(self._paths, self._ledger)
            return
        if current != found.before or earlier != found.after:
            raise _moved_on(found, current, found.before)
        activation.roll_back(self._paths, self._ledger, actor=actor)

    def _versions(self) -> tuple[str, str]:
        before, after = index.current_version(self._paths), index.previous_version(self._paths)
        if before is None or after is None:
            raise StateError("there is no earlier index version to go back to", hint="switch to a version by its name")
        return before, after

    def _get(self, remediation_id: str) -> Remediation:
        with self._store.reading() as session:
            row = session.get(RemediationRow, remediation_id)
            if row is not None:
                return _remediation_of(row)
            newest = select(RemediationRow.remediation_id).order_by(RemediationRow.proposed_at.desc())
            names = list(session.scalars(newest.limit(_NAMED_AT_MOST)))
        hint = f"there are {', '.join(names)}" if names else "there is none yet"
        raise UnknownError(f"remediation == {remediation_id!r}", "must be a remediation", hint)

    def _moved(self, remediation_id: str, state: State, actor: str, act: str, reason: str = "") -> Remediation:
        with self._store.session() as session:
            row = session.get_one(RemediationRow, remediation_id)
            row.state, row.actor = state, actor
            if state == "performed":
                row.performed_at = self._clock.now()
            elif state == "reversed":
                row.reversed_at = self._clock.now()
            if reason:
                row.details = {**row.details, f"{act}_reason": reason}
            return self._told(session, row, actor, act)

    def _told(self, session: Session, row: RemediationRow, actor: str, act: str) -> Remediation:
        session.flush()
        facts = {"rule": row.rule, "before": row.before, "after": row.after, "reason": row.reason}
        self._ledger.append(actor, f"remediation.{act}", row.remediation_id, facts, session=session)
        return _remediation_of(row)

    def _alone(self) -> AbstractContextManager[None]:
        """Keep two processes from going back at the same time, which would be two versions back."""
        return file_lock(self._paths.monitoring / ".remediation.lock")


def _against(earlier: Sequence[Remediation], current: str | None, now: dt.datetime) -> tuple[Remediation | None, str]:
    """Return what speaks against acting now, and why; or nothing."""
    for one in earlier:
        if one.state == "proposed" and one.before == current:
            return one, f"{one.remediation_id} is proposed already"
        if one.state == "dismissed" and one.before == current:
            return one, f"{one.remediation_id} was turned down, and {current} is still served"
        if one.state == "performed" and one.performed_at is not None and now < one.performed_at + SETTLING:
            until = one.performed_at + SETTLING
            return one, f"{one.remediation_id} was performed; until {until:%Y-%m-%d} its week holds days from before"
    return None, ""


def _remediation_of(row: RemediationRow) -> Remediation:
    return Remediation(
        remediation_id=row.remediation_id,
        rule=row.rule,
        action=row.action,
        state=row.state,  # type: ignore[arg-type] # only ever written here
        reason=row.reason,
        before=row.before or "",
        after=row.after or "",
        proposed_at=aware(row.proposed_at),
        performed_at=aware_or_none(row.performed_at),
        reversed_at=aware_or_none(row.reversed_at),
        actor=row.actor,
        details=row.details,
    )


def _wrong_state(found: Remediation, act: str, wanted: str) -> StateError:
    return StateError(f"{found.remediation_id} can't be {act}: it is {found.state}", f"must be {wanted}")


def _moved_on(found: Remediation, current: str | None, expected: str) -> StateError:
    return StateError(
        f"{found.remediation_id} is about {expected}, and {current} is served now",
        "so it would undo somebody else's switch",
        "switch to a version by its name",
    )


def _checked_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _LONGEST_REASON:
        raise InvalidValueError("the reason", f"must be 1 to {_LONGEST_REASON} characters", "say why, in a sentence")
