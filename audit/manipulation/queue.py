"""The review queue: films that were held or are to be looked at, appeals, and decisions with their reason."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sqlalchemy import JSON, DateTime, Double, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from workspace.clock import Clock, SystemClock
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ids import new_id
from workspace.ledger import Ledger
from workspace.store import Base, Store

State = Literal["held", "review", "released", "kept", "superseded"]
HELD: Final = "held"
REVIEW: Final = "review"
RELEASED: Final = "released"
KEPT: Final = "kept"
SUPERSEDED: Final = "superseded"
OPEN: Final = (HELD, REVIEW)
WITHHELD: Final = (HELD, KEPT)
"""States in which the content stays out of the catalogue."""
LONGEST_TEXT: Final = 2_000
_KNOWN_SHOWN: Final = 5
_FILMS_NAMED: Final = 100


class FilmReview(Base):
    """One film's content that somebody has to look at, or has looked at."""

    __tablename__ = "film_reviews"

    review_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    film_id: Mapped[str] = mapped_column(Text, index=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    snapshot_id: Mapped[str] = mapped_column(Text)
    studio: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(32))
    score: Mapped[float] = mapped_column(Double)
    reasons: Mapped[dict[str, Any]] = mapped_column(JSON)
    film: Mapped[str] = mapped_column(Text)
    before: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), index=True)
    opened_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    appeal: Mapped[str | None] = mapped_column(Text)
    appealed_by: Mapped[str | None] = mapped_column(Text)
    appealed_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    decided_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    decided_by: Mapped[str | None] = mapped_column(Text)
    decision_reason: Mapped[str | None] = mapped_column(Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A film's content to be put into the queue.

    Args:
        film_id: The film.
        content_hash: Of its content, as `recommender.catalogue.film_hashes`.
        snapshot_id: The catalogue it was judged against; empty when there was none.
        studio: Its first studio.
        title: Its title.
        source: What brought it: an import, an event, a scan.
        score: The gate's.
        reasons: The judgement as plain data.
        film: The content, as JSON.
        before: Its last admitted content, as JSON; None for a new film.
        withheld: Whether it is kept out until somebody decides.
    """

    film_id: str
    content_hash: str
    snapshot_id: str
    studio: str
    title: str
    source: str
    score: float
    reasons: dict[str, Any]
    film: str
    before: str | None
    withheld: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One row of the queue; fields as of `Case`, and what became of it."""

    review_id: str
    film_id: str
    content_hash: str
    snapshot_id: str
    studio: str
    title: str
    source: str
    score: float
    reasons: dict[str, Any]
    film: str
    before: str | None
    state: str
    opened_at: dt.datetime
    appeal: str | None
    appealed_by: str | None
    appealed_at: dt.datetime | None
    decided_at: dt.datetime | None
    decided_by: str | None
    decision_reason: str | None

    @property
    def open(self) -> bool:
        """Whether nobody has decided yet."""
        return self.state in OPEN

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        plain = asdict(self)
        for name in ("opened_at", "appealed_at", "decided_at"):
            plain[name] = None if plain[name] is None else plain[name].isoformat()
        return plain


class ReviewQueue:
    """Holds, lists, takes appeals and decides; every decision is a row of the ledger.

    Args:
        store: The operational store.
        ledger: Where changes are recorded; one on the same store when None.
        clock: What "now" means.
    """

    def __init__(self, store: Store, ledger: Ledger | None = None, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._ledger = ledger or Ledger(store, self._clock)

    def hold(self, cases: Sequence[Case], actor: str) -> list[Review]:
        """Put films into the queue; content that is in it already stays as it stands.

        An older open row of the same film is superseded: only its newest content can be decided on.

        Args:
            cases: The films.
            actor: Who does it.

        Returns:
            The rows that were added.
        """
        added = []
        with self._store.session() as session:
            for case in cases:
                rows = session.scalars(select(FilmReview).where(FilmReview.film_id == case.film_id)).all()
                if any(row.content_hash == case.content_hash and row.state != SUPERSEDED for row in rows):
                    continue
                for row in rows:
                    if row.state in OPEN:
                        row.state = SUPERSEDED
                made = self._row(case)
                session.add(made)
                added.append(made)
            if added:
                held = sum(row.state == HELD for row in added)
                films = [row.film_id for row in added][:_FILMS_NAMED]
                counts = {"held": held, "review": len(added) - held, "films": films}
                self._ledger.append(actor, "film.hold", added[0].snapshot_id or "catalogue", counts, session=session)
            return [_review(row) for row in added]

    def reviews(self, states: Sequence[str] = OPEN) -> list[Review]:
        """Return the rows in these states: appeals first, then the highest score."""
        with self._store.reading() as session:
            rows = session.scalars(select(FilmReview).where(FilmReview.state.in_(states))).all()
            return sorted((_review(row) for row in rows), key=_urgency)

    def get(self, review_id: str) -> Review:
        """Return one row.

        Raises:
            UnknownError: When there is none of that id.
        """
        with self._store.reading() as session:
            return _review(_known(session, review_id))

    def standing(self) -> dict[tuple[str, str], str]:
        """Return the state of every content that is held or was decided, by film id and content hash."""
        columns = (FilmReview.film_id, FilmReview.content_hash, FilmReview.state)
        with self._store.reading() as session:
            rows = session.execute(select(*columns).order_by(FilmReview.opened_at)).all()
        return {(row.film_id, row.content_hash): row.state for row in rows if row.state != SUPERSEDED}

    def appeal(self, review_id: str, text: str, actor: str) -> Review:
        """Enter what the studio says for its film; the row comes to the top of the queue.

        Raises:
            UnknownError: When there is no such row.
            StateError: When it was superseded, released, or appealed already.
            InvalidValueError: When the text is empty or too long.
        """
        _checked(text, "the appeal")
        with self._store.session() as session:
            row = _known(session, review_id)
            if row.state in (RELEASED, SUPERSEDED) or row.appeal is not None:
                state = "appealed already" if row.appeal is not None else row.state
                raise StateError(f"review {review_id} is {state}", "can't be appealed", "look at it again")
            row.appeal, row.appealed_by, row.appealed_at = text.strip(), actor, self._clock.now()
            if row.state == KEPT:  # an appeal against a decision opens it again; the content stays out until then
                row.state = HELD
            self._ledger.append(actor, "film.appeal", review_id, {"film_id": row.film_id}, session=session)
            return _review(row)

    def release(self, review_id: str, reason: str, actor: str) -> Review:
        """Let a film's content in; arguments and errors as `keep`."""
        return self._decide(review_id, RELEASED, reason, actor)

    def keep(self, review_id: str, reason: str, actor: str) -> Review:
        """Keep a film's content out.

        Args:
            review_id: Which row.
            reason: Why; it goes into the ledger.
            actor: Who decides.

        Raises:
            UnknownError: When there is no such row.
            StateError: When it was decided already.
            InvalidValueError: When there is no reason, or it is too long.
        """
        return self._decide(review_id, KEPT, reason, actor)

    def _decide(self, review_id: str, state: str, reason: str, actor: str) -> Review:
        _checked(reason, "the reason")
        with self._store.session() as session:
            row = _known(session, review_id)
            if row.state not in OPEN:
                raise StateError(
                    f"review {review_id} is {row.state} already", "can be decided once", "enter an appeal to reopen it"
                )
            row.state, row.decision_reason = state, reason.strip()
            row.decided_by, row.decided_at = actor, self._clock.now()
            action = "film.release" if state == RELEASED else "film.keep"
            details = {"film_id": row.film_id, "content_hash": row.content_hash, "reason": row.decision_reason}
            self._ledger.append(actor, action, review_id, details, session=session)
            return _review(row)

    def _row(self, case: Case) -> FilmReview:
        plain = asdict(case)
        state = HELD if plain.pop("withheld") else REVIEW
        return FilmReview(review_id=new_id("review"), state=state, opened_at=self._clock.now(), **plain)


def _urgency(review: Review) -> tuple[bool, float, str]:
    return review.appeal is None, -review.score, review.review_id


def _known(session: Session, review_id: str) -> FilmReview:
    row = session.get(FilmReview, review_id)
    if row is None:
        ids = session.scalars(select(FilmReview.review_id).where(FilmReview.state.in_(OPEN)).limit(_KNOWN_SHOWN)).all()
        hint = f"open are {', '.join(ids)}" if ids else "the queue is empty"
        raise UnknownError(f"review == {review_id[:80]!r}", "must be one of the queue", hint)
    return row


def _review(row: FilmReview) -> Review:
    values = {column.key: getattr(row, column.key) for column in FilmReview.__table__.columns}
    for name in ("opened_at", "appealed_at", "decided_at"):
        moment = values[name]
        # SQLite forgets the zone; what was written is UTC.
        values[name] = moment.replace(tzinfo=dt.UTC) if moment is not None and moment.tzinfo is None else moment
    return Review(**values)


def _checked(text: str, name: str) -> None:
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise InvalidValueError(name, f"must be 1 to {LONGEST_TEXT} characters", "say why, in a sentence")
