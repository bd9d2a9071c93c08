"""Films that changed and users who joined, as events tell of them: a vector at once, each event once.

A message is first put into the inbox, one file an event, so that whoever delivered it may forget it. `Arrivals.apply`
then takes everything in the inbox in one go: all films make one new catalogue snapshot and one increment of the index.
A run that is killed is repeated by the next one; what was applied already is known by its event id.
"""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, TypeAdapter, ValidationError
from sqlalchemy import DateTime, String, select
from sqlalchemy.orm import Mapped, mapped_column

from audit.erasure import Subjects, erased_since
from dashboard.admission import HELD_NEW
from dashboard.imports import import_lock, publish
from recommender.building import BuildOptions, build_index
from recommender.catalogue import load_catalogue
from recommender.index import current_version
from recommender.live import LiveLog
from recommender.providers import FilmUpdate, update_films
from workspace.clock import Clock, SystemClock
from workspace.columns import Film, User
from workspace.files import write_json
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Base, Store

FILM_UPDATED: Final = "film.updated"
USER_JOINED: Final = "user.joined"
KINDS: Final = (FILM_UPDATED, USER_JOINED)
INBOX: Final = "arrivals"
REFUSED: Final = "refused"
ERASED_BEFORE: Final = "user was erased on request"
_OLDEST_LIMIT: Final = 21


class _Envelope(BaseModel):
    event_id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
    ts: AwareDatetime


class _FilmUpdated(_Envelope):
    type: Literal["film.updated"]
    film: dict[str, Any]


class _UserJoined(_Envelope):
    type: Literal["user.joined"]
    user: dict[str, Any]


_ENVELOPE: Final[TypeAdapter[_FilmUpdated | _UserJoined]] = TypeAdapter(
    Annotated[_FilmUpdated | _UserJoined, Field(discriminator="type")]
)


class ArrivalRow(Base):
    """An event that was applied."""

    __tablename__ = "arrivals"

    event_id: Mapped[str] = mapped_column(String, primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    subject: Mapped[str] = mapped_column(String)
    ts: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    applied_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What became of the messages of one run.

    Args:
        films: Film events taken.
        users: Users who joined.
        repeated: Events applied before.
        refused: Messages that could not be taken, by reason; they are kept in ``spool/refused``.
        index_version: What is served afterwards.
    """

    films: int = 0
    users: int = 0
    repeated: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    index_version: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "films": self.films,
            "users": self.users,
            "repeated": self.repeated,
            "refused": dict(self.refused),
            "index_version": self.index_version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    event_id: str
    kind: str
    subject: str
    ts: dt.datetime
    body: Mapping[str, Any]
    file: Path


class Arrivals:
    """Receives and applies the events of films and users.

    Args:
        settings: The workspace.
        store: Its operational store.
        clock: What tells the time.
        actor: Who does it, for the ledger.
    """

    def __init__(self, settings: Settings, store: Store, *, clock: Clock | None = None, actor: str) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock or SystemClock()
        self._actor = actor
        self._paths = Paths(settings.home)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Keep a message until `apply`; the same one twice is kept once."""
        named = json.dumps([message.get("type"), message.get("event_id")], default=str)
        name = hashlib.sha256(named.encode()).hexdigest()[:32]
        write_json(self._paths.spool / INBOX / f"{name}.json", dict(message))

    def waiting(self) -> int:
        """Return how many messages the inbox holds."""
        return len(list((self._paths.spool / INBOX).glob("*.json")))

    def apply(self) -> Arrived:
        """Take everything in the inbox.

        Raises:
            StateError: When there is no catalogue or index yet, or another import runs; the messages then wait.
        """
        files = sorted((self._paths.spool / INBOX).glob("*.json"))
        if not files:
            return Arrived(index_version=current_version(self._paths))
        with import_lock(self._paths):
            return self._apply(files)

    def _apply(self, files: Sequence[Path]) -> Arrived:
        refused: Counter[str] = Counter()
        messages = []
        for file in files:
            try:
                messages.append(_read(file))
            except ValidationError as problem:
                first = problem.errors(include_url=False)[0]
                reason = f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}"
                refused[reason] += self._refuse(file, reason)
        known = self._known([message.event_id for message in messages])
        fresh = [message for message in messages if message.event_id not in known]
        films = self._apply_films([one for one in fresh if one.kind == FILM_UPDATED], refused)
        users = self._apply_users([one for one in fresh if one.kind == USER_JOINED], refused)
        for message in messages:
            message.file.unlink(missing_ok=True)
        return Arrived(
            films=films,
            users=users,
            repeated=len(messages) - len(fresh),
            refused=dict(refused),
            index_version=current_version(self._paths),
        )

    def _apply_films(self, messages: Sequence[_Message], refused: Counter[str]) -> int:
        if not messages:
            return 0
        catalogue = load_catalogue(self._paths)
        updated = update_films(
            catalogue, [FilmUpdate(film=one.body, at=one.ts) for one in messages], now=self._clock.now()
        )
        changed = updated.catalogue
        outcomes = updated.outcomes
        if changed.snapshot_id != catalogue.snapshot_id:
            admitted = publish(self._settings, changed, previous=catalogue, clock=self._clock, actor=self._actor)
            changed = admitted.catalogue
            outcomes = _refused_at_gate(messages, outcomes, admitted.withheld)
        # Also after a run that was killed between the snapshot and its index; without a change it builds nothing.
        build_index(self._settings, changed, options=BuildOptions(strategy="incremental"), clock=self._clock)
        taken = []
        for message, reason in zip(messages, outcomes, strict=True):
            if reason:
                refused[reason] += self._refuse(message.file, reason)
            else:
                taken.append(message)
        self._remember(taken)
        return len(taken)

    def _apply_users(self, messages: Sequence[_Message], refused: Counter[str]) -> int:
        if not messages:
            return 0
        users = load_catalogue(self._paths).users
        markets = dict(zip(users[User.REGION], users[User.MARKET], strict=True))
        imported = set(users[User.ID])
        live = LiveLog(self._store, self._clock)
        erased = erased_since(
            self._store, Subjects.open(self._settings), [one.subject for one in messages if one.subject.strip()]
        )
        taken = []
        for message in messages:
            if message.subject in erased and message.ts <= erased[message.subject]:
                # Told again after the erasure. Nothing of it is kept; who joins anew afterwards is welcome.
                refused[ERASED_BEFORE] += 1
                continue
            reason = "user was imported already" if message.subject in imported else _unfit(message.body, markets)
            if reason:
                refused[reason] += self._refuse(message.file, reason)
                continue
            live.add_user(_user(message, markets))
            taken.append(message)
        self._remember(taken)
        return len(taken)

    def _known(self, event_ids: Sequence[str]) -> set[str]:
        with self._store.reading() as session:
            return set(session.scalars(select(ArrivalRow.event_id).where(ArrivalRow.event_id.in_(event_ids))))

    def _remember(self, messages: Sequence[_Message]) -> None:
        now = self._clock.now()
        with self._store.session() as session:
            for one in messages:
                session.merge(
                    ArrivalRow(event_id=one.event_id, kind=one.kind, subject=one.subject, ts=one.ts, applied_at=now)
                )

    def _refuse(self, file: Path, reason: str) -> int:
        """Put a message aside with the reason, so that it can be mended and sent again."""
        text = file.read_text("utf-8", errors="replace")
        write_json(self._paths.spool / REFUSED / file.name, {"reason": reason, "message": text})
        file.unlink(missing_ok=True)
        return 1


def _read(file: Path) -> _Message:
    told = _ENVELOPE.validate_json(file.read_bytes())
    body: Mapping[str, Any] = told.film if isinstance(told, _FilmUpdated) else told.user
    subject = str(body.get(Film.ID if told.type == FILM_UPDATED else User.ID) or "").strip()
    return _Message(
        event_id=told.event_id, kind=told.type, subject=subject, ts=told.ts.astimezone(dt.UTC), body=body, file=file
    )


def _refused_at_gate(
    messages: Sequence[_Message], outcomes: Sequence[str], withheld: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the outcomes with what the gate can't judge refused; what it holds was taken, into the queue."""
    reasons = {film: reason for film, reason in withheld.items() if reason != HELD_NEW}
    return tuple(outcome or reasons.get(one.subject, "") for one, outcome in zip(messages, outcomes, strict=True))


def _unfit(user: Mapping[str, Any], markets: Mapping[str, str]) -> str:
    if not str(user.get(User.ID) or "").strip():
        return f"{User.ID} missing"
    if user.get(User.REGION) not in markets:
        return f"{User.REGION} must be one of {', '.join(sorted(markets))}"
    limit = user.get(User.MAXIMUM_AGE)
    if limit is not None and not (isinstance(limit, int) and 0 <= limit <= _OLDEST_LIMIT):
        return f"{User.MAXIMUM_AGE} must be a whole number from 0 to {_OLDEST_LIMIT}"
    genres = user.get(User.EXCLUDED_GENRES, [])
    if not isinstance(genres, list) or not all(isinstance(genre, str) for genre in genres):
        return f"{User.EXCLUDED_GENRES} must be a list of names"
    if not all(isinstance(user.get(name, True), bool) for name in (User.PREMIUM, User.CONSENT)):
        return f"{User.PREMIUM} and {User.CONSENT} must be true or false"
    return ""


def _user(message: _Message, markets: Mapping[str, str]) -> dict[str, Any]:
    user = message.body
    return {
        User.ID: message.subject,
        User.REGION: user[User.REGION],
        User.MARKET: markets[user[User.REGION]],
        User.PREMIUM: user.get(User.PREMIUM, True),
        User.JOINED_AT: message.ts,
        User.EXCLUDED_GENRES: user.get(User.EXCLUDED_GENRES, []),
        User.MAXIMUM_AGE: user.get(User.MAXIMUM_AGE),
        # Consent is given, never assumed.
        User.CONSENT: user.get(User.CONSENT, False),
    }
