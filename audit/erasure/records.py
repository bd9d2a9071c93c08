"""Requests of the people the data is about, and the list of who was erased, as they are stored.

No row holds an id: a person is a keyed digest (`audit.erasure.subjects`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import JSON, DateTime, String, Text, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from audit.erasure.subjects import Subjects
from workspace.clock import Clock
from workspace.errors import UnknownError
from workspace.ids import new_id
from workspace.store import Base, Store

Kind = Literal["erasure", "export"]

ERASURE: Final[Kind] = "erasure"
EXPORT: Final[Kind] = "export"
OPEN: Final = "open"
DONE: Final = "done"
ERASED: Final = "erased"
_ASKED_AT_A_TIME: Final = 500


class RequestRow(Base):
    """One request as stored."""

    __tablename__ = "subject_requests"

    request_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), index=True)
    subject: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16))
    requested_by: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    completed_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    certificate: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


class ErasedSubject(Base):
    """Somebody who was erased: imports leave them out."""

    __tablename__ = "erased_subjects"

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_id: Mapped[str] = mapped_column(String(64))
    erased_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRequest:
    """One request.

    Args:
        subject: Keyed digest of the person; ``erased`` of a request other than the erasure itself, once they were.
        state: ``open`` until it is finished, then ``done``; of an erasure that was cut short also the steps done.
        certificate: Its canonical JSON, when it is done.
        details: The reason, and of every finished step what it did.
    """

    request_id: str
    kind: str
    subject: str
    state: str
    requested_by: str
    requested_at: dt.datetime
    completed_at: dt.datetime | None
    certificate: str | None
    details: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "request_id": self.request_id,
            "kind": self.kind,
            "subject": self.subject,
            "state": self.state,
            "requested_by": self.requested_by,
            "requested_at": self.requested_at.isoformat(),
            "completed_at": self.completed_at.isoformat() if self.completed_at else None,
            "certificate": self.certificate is not None,
            "details": dict(self.details),
        }


class Requests:
    """Opens, advances and lists requests.

    Args:
        store: The operational store.
        clock: Stamps them.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def open(self, session: Session, kind: Kind, subject: str, *, actor: str, details: Mapping[str, Any]) -> str:
        """Enter a request within a writing session; return its id."""
        row = RequestRow(
            request_id=new_id("req"),
            kind=kind,
            subject=subject,
            state=OPEN,
            requested_by=actor,
            requested_at=self._clock.now(),
            completed_at=None,
            certificate=None,
            details=dict(details),
        )
        session.add(row)
        return row.request_id

    def note(self, request_id: str, **details: object) -> None:
        """Add to the details of a request."""
        with self._store.session() as session:
            row = session.get_one(RequestRow, request_id)
            row.details = {**row.details, **details}

    def complete(self, session: Session, request_id: str, certificate: str | None) -> None:
        """Close a request within a writing session."""
        row = session.get_one(RequestRow, request_id)
        row.state, row.completed_at, row.certificate = DONE, self._clock.now(), certificate

    def unlink(self, session: Session, kind: Kind, subject: str) -> None:
        """Take a person's digest off their requests of a kind, within a writing session."""
        session.execute(
            update(RequestRow).where(RequestRow.kind == kind, RequestRow.subject == subject).values(subject=ERASED)
        )

    def latest(self, kind: Kind, subject: str, state: str | None = None) -> SubjectRequest | None:
        """Return the newest request of a kind about a person, or None."""
        query = select(RequestRow).where(RequestRow.kind == kind, RequestRow.subject == subject)
        if state is not None:
            query = query.where(RequestRow.state == state)
        query = query.order_by(RequestRow.requested_at.desc(), RequestRow.request_id.desc()).limit(1)
        with self._store.reading() as session:
            row = session.scalars(query).first()
            return None if row is None else _request(row)

    def get(self, request_id: str) -> SubjectRequest:
        """Return a request.

        Raises:
            UnknownError: When there is none of this id.
        """
        with self._store.reading() as session:
            row = session.get(RequestRow, request_id)
        if row is None:
            raise UnknownError(f"request == {request_id!r}", "must be one that was made")
        return _request(row)

    def all(self, limit: int = 100) -> list[SubjectRequest]:
        """Return requests, newest first."""
        query = select(RequestRow).order_by(RequestRow.requested_at.desc(), RequestRow.request_id.desc()).limit(limit)
        with self._store.reading() as session:
            return [_request(row) for row in session.scalars(query)]


def erased_since(store: Store, subjects: Subjects, user_ids: Sequence[str]) -> dict[str, dt.datetime]:
    """Return who of some people was erased, and when.

    Args:
        store: Holds the list.
        subjects: Makes the digests it holds.
        user_ids: The ids to ask for.
    """
    with store.reading() as session:
        if not session.scalar(select(func.count()).select_from(ErasedSubject)):
            return {}  # the usual case costs no digest
        by_digest = dict(zip(subjects.listed_all(user_ids), user_ids, strict=True))
        digests, found = list(by_digest), {}
        for start in range(0, len(digests), _ASKED_AT_A_TIME):
            some = digests[start : start + _ASKED_AT_A_TIME]
            for row in session.scalars(select(ErasedSubject).where(ErasedSubject.subject.in_(some))):
                found[by_digest[row.subject]] = _aware(row.erased_at)
    return found


def _request(row: RequestRow) -> SubjectRequest:
    return SubjectRequest(
        request_id=row.request_id,
        kind=row.kind,
        subject=row.subject,
        state=row.state,
        requested_by=row.requested_by,
        requested_at=_aware(row.requested_at),
        completed_at=None if row.completed_at is None else _aware(row.completed_at),
        certificate=row.certificate,
        details=dict(row.details),
    )


def _aware(moment: dt.datetime) -> dt.datetime:
    # SQLite keeps no zone; everything is stored in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
