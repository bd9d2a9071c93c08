"""The recommendation log: every slate with what it takes to make it again, bit for bit."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Date, DateTime, Float, ForeignKey, Integer, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from recommender.rules import Filters, FunnelStep
from workspace.errors import ErasedError, UnknownError
from workspace.store import Base, Store


class SlateRow(Base):
    """One slate as stored."""

    __tablename__ = "slates"

    slate_id: Mapped[str] = mapped_column(String, primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, unique=True)
    user_id: Mapped[str] = mapped_column(String, index=True)
    made_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    on_date: Mapped[dt.date] = mapped_column(Date)
    region: Mapped[str] = mapped_column(String)
    filters: Mapped[dict[str, Any]] = mapped_column(JSON)
    k: Mapped[int] = mapped_column(Integer)
    seed: Mapped[int] = mapped_column(Integer)
    index_version: Mapped[str] = mapped_column(String)
    weights: Mapped[dict[str, float]] = mapped_column(JSON)
    snapshot_id: Mapped[str] = mapped_column(String)
    live_seq: Mapped[int] = mapped_column(Integer)
    transaction_id: Mapped[str] = mapped_column(String)
    funnel: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    items: Mapped[list["SlateItemRow"]] = relationship(order_by="SlateItemRow.rank", cascade="all, delete-orphan")


class SlateItemRow(Base):
    """One film of a slate as stored."""

    __tablename__ = "slate_items"

    slate_id: Mapped[str] = mapped_column(ForeignKey("slates.slate_id"), primary_key=True)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    film_id: Mapped[str] = mapped_column(String)
    score: Mapped[float] = mapped_column(Float)
    contributions: Mapped[dict[str, float]] = mapped_column(JSON)


class ErasedSlate(Base):
    """A slate that went with the person it was made for; nothing but its id is left."""

    __tablename__ = "erased_slates"

    slate_id: Mapped[str] = mapped_column(String, primary_key=True)
    erased_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlateItem:
    """One recommended film; its contributions by block sum to its score."""

    film_id: str
    title: str
    rank: int
    score: float
    contributions: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "film_id": self.film_id,
            "title": self.title,
            "rank": self.rank,
            "score": self.score,
            "contributions": dict(self.contributions),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """A user's recommendations and the conditions they were made under.

    Args:
        on: The date the request is answered for; histories and popularity later than it do not count.
        live_seq: The newest live act known when it was made.
        shown_before: The last slate number that "shown lately" looked at; None when the rule was off.
        relax: User filters whose relaxing would give more films, named only when there are fewer than k.
        path: How the films were searched: ``exact``, ``scan`` or ``graph``.
        latency_ms: The whole request, milliseconds.
    """

    slate_id: str
    user_id: str
    made_at: dt.datetime
    on: dt.date
    region: str
    filters: Filters
    k: int
    seed: int
    index_version: str
    snapshot_id: str
    live_seq: int
    shown_before: int | None
    weights: dict[str, float]
    transaction_id: str
    items: tuple[SlateItem, ...]
    funnel: tuple[FunnelStep, ...]
    relax: tuple[str, ...] = ()
    path: str = "exact"
    latency_ms: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the keys of ``recommendr recommend --json`` first."""
        return {
            "slate_id": self.slate_id,
            "user_id": self.user_id,
            "index_version": self.index_version,
            "items": [item.to_dict() for item in self.items],
            "funnel": [step.to_dict() for step in self.funnel],
            "made_at": self.made_at.isoformat(),
            "on": self.on.isoformat(),
            "region": self.region,
            "filters": self.filters.to_dict(),
            "k": self.k,
            "seed": self.seed,
            "snapshot_id": self.snapshot_id,
            "weights": dict(self.weights),
            "transaction_id": self.transaction_id,
            "relax": list(self.relax),
            "path": self.path,
            "latency_ms": self.latency_ms,
        }


class SlateLog:
    """Reads and appends slates.

    Args:
        store: The operational store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, slate: Slate) -> None:
        """Store one slate, numbered after all that stand."""
        row = SlateRow(
            slate_id=slate.slate_id,
            user_id=slate.user_id,
            made_at=slate.made_at,
            on_date=slate.on,
            region=slate.region,
            filters=slate.filters.to_dict(),
            k=slate.k,
            seed=slate.seed,
            index_version=slate.index_version,
            weights=dict(slate.weights),
            snapshot_id=slate.snapshot_id,
            live_seq=slate.live_seq,
            transaction_id=slate.transaction_id,
            funnel=[step.to_dict() for step in slate.funnel],
            options={
                "shown_before": slate.shown_before,
                "relax": list(slate.relax),
                "path": slate.path,
                "latency_ms": slate.latency_ms,
                "titles": [item.title for item in slate.items],
            },
            items=[
                SlateItemRow(
                    rank=item.rank, film_id=item.film_id, score=item.score, contributions=dict(item.contributions)
                )
                for item in slate.items
            ],
        )
        with self._store.session() as session:
            row.seq = _last_seq(session) + 1
            session.add(row)

    def get(self, slate_id: str) -> Slate:
        """Return one slate.

        Raises:
            UnknownError: When no slate has this id.
            ErasedError: When it was erased with the person it was made for.
        """
        with self._store.reading() as session:
            row = session.get(SlateRow, slate_id)
            if row is None:
                erased = session.get(ErasedSlate, slate_id)
                if erased is not None:
                    when = f"{_aware(erased.erased_at):%Y-%m-%d}"
                    raise ErasedError(
                        f"slate {slate_id} was erased on {when}", "on request of the person it was made for"
                    )
                raise UnknownError(
                    f"slate_id == {slate_id!r}",
                    "must be a logged slate",
                    "`recommendr recommend USER --json` prints the id of the slate it logs",
                )
            return _slate(row)

    def of_user(self, user_id: str, limit: int = 20) -> list[Slate]:
        """Return a user's slates, newest first."""
        query = select(SlateRow).where(SlateRow.user_id == user_id).order_by(SlateRow.seq.desc()).limit(limit)
        with self._store.reading() as session:
            return [_slate(row) for row in session.scalars(query)]

    def last_seq(self) -> int:
        """Return the number of the newest slate, 0 when there is none."""
        with self._store.reading() as session:
            return _last_seq(session)

    def shown(self, user_id: str, *, since: dt.datetime, until: dt.datetime, until_seq: int) -> set[str]:
        """Return the films of a user's slates made in ``[since, until]`` and numbered up to ``until_seq``."""
        query = (
            select(SlateItemRow.film_id)
            .join(SlateRow, SlateRow.slate_id == SlateItemRow.slate_id)
            .where(
                SlateRow.user_id == user_id,
                SlateRow.made_at >= since,
                SlateRow.made_at <= until,
                SlateRow.seq <= until_seq,
            )
        )
        with self._store.reading() as session:
            return set(session.scalars(query))

    def seq_of(self, slate_id: str) -> int:
        """Return the number of a stored slate."""
        with self._store.reading() as session:
            return int(session.scalars(select(SlateRow.seq).where(SlateRow.slate_id == slate_id)).one())


def _last_seq(session: Session) -> int:
    return int(session.scalar(select(func.max(SlateRow.seq))) or 0)


def _slate(row: SlateRow) -> Slate:
    titles = row.options["titles"]
    return Slate(
        slate_id=row.slate_id,
        user_id=row.user_id,
        made_at=_aware(row.made_at),
        on=row.on_date,
        region=row.region,
        filters=Filters.from_dict(row.filters),
        k=row.k,
        seed=row.seed,
        index_version=row.index_version,
        snapshot_id=row.snapshot_id,
        live_seq=row.live_seq,
        shown_before=row.options["shown_before"],
        weights=dict(row.weights),
        transaction_id=row.transaction_id,
        items=tuple(
            SlateItem(
                film_id=item.film_id,
                title=title,
                rank=item.rank,
                score=item.score,
                contributions=dict(item.contributions),
            )
            for item, title in zip(row.items, titles, strict=True)
        ),
        funnel=tuple(FunnelStep(**step) for step in row.funnel),
        relax=tuple(row.options["relax"]),
        path=row.options["path"],
        latency_ms=row.options["latency_ms"],
    )


def _aware(moment: dt.datetime) -> dt.datetime:
    # SQLite keeps no zone; everything is stored in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
