"""Erasing a person, step by step; cut short anywhere, the same request goes on where it was.

Every step finds what is left to do by looking, so that doing it twice is doing it once. The request remembers which
steps are done and what they erased; who it is about is nowhere written down but as a keyed digest, so that going on
takes the id again. From the first moment on the person is in the list of who was erased: no import in between brings
them back. The request is closed, with its certificate and its ledger record, in one transaction after the proof.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from audit.erasure import catalogue as catalogues
from audit.erasure import lines, rows
from audit.erasure import telemetry as events
from audit.erasure.certificate import COMPLETE, Certificate, write_certificate
from audit.erasure.needles import Needles, containing
from audit.erasure.records import ERASURE, EXPORT, OPEN, ErasedSubject, Requests, SubjectRequest
from audit.erasure.search import Proof, search
from audit.erasure.subjects import Subjects
from experiments.sums import purge_all
from recommender.catalogue import list_catalogues, load_catalogue
from recommender.index import current_version
from recommender.live import LiveLog
from telemetry.parts import PartLog
from telemetry.pseudonyms import KeyRing
from telemetry.rollups import pending, roll_up
from telemetry.warehouse import open_warehouse
from workspace.clock import Clock, SystemClock
from workspace.columns import Film, User
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.files import file_lock
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

Progress = Callable[[str, int, int], None]
Status = Literal["erased", "already erased", "not proven"]

REQUEST: Final = "erasure.request"
UNPROVEN: Final = "erasure.unproven"
_LOCK: Final = ".erasure.lock"
_LONGEST_REASON: Final = 500


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What an erasure stands on.

    Args:
        progress: Told the step, what is done and the total.
    """

    settings: Settings
    store: Store
    clock: Clock
    keys: KeyRing
    subjects: Subjects
    progress: Progress | None = None
    paths: Paths = field(init=False)
    ledger: Ledger = field(init=False)
    requests: Requests = field(init=False)
    parts: PartLog = field(init=False)

    def __post_init__(self) -> None:
        paths = Paths(self.settings.home)
        object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "ledger", Ledger(self.store, self.clock))
        object.__setattr__(self, "requests", Requests(self.store, self.clock))
        object.__setattr__(self, "parts", PartLog(self.store, paths, self.clock))

    @classmethod
    def open(
        cls, settings: Settings, store: Store, clock: Clock | None = None, progress: Progress | None = None
    ) -> Self:
        """Open the keys of a workspace beside its store."""
        clock = clock or SystemClock()
        return cls(
            settings=settings,
            store=store,
            clock=clock,
            keys=KeyRing.open(settings, clock),
            subjects=Subjects.open(settings),
            progress=progress,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: it may be done again at any time, and returns what it erased this time."""

    name: str
    work: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How an erasure ended.

    Args:
        certificate: What was certified; None while it is not proven.
        proof: The search; None when it was erased before.
    """

    status: Status
    request_id: str
    certificate: Certificate | None
    proof: Proof | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "status": self.status,
            "request_id": self.request_id,
            "proof": None if self.proof is None else self.proof.to_dict(),
            "certificate": None
            if self.certificate is None
            else {"content": dict(self.certificate.content), "sha256": self.certificate.sha256},
        }


def needles_of(ground: Ground, user_id: str) -> Needles:
    """Return the traces of a person in a workspace."""
    pseudonyms = sorted({ground.keys.pseudonym(user_id, day) for day in ground.keys.valid_from})
    words = [user_id, *map(str, pseudonyms)]
    ids: list[str] = []
    if list_catalogues(ground.paths):
        catalogue = load_catalogue(ground.paths)
        ids = [*catalogue.users[User.ID], *catalogue.films[Film.ID]]
    ids += LiveLog(ground.store, ground.clock).user_ids()
    return Needles(user_id=user_id, pseudonyms=tuple(pseudonyms), longer=containing(words, ids))


def is_known(ground: Ground, needles: Needles) -> bool:
    """Tell whether a workspace holds rows of a person's own."""
    return (
        rows.owns_rows(ground.store, needles.user_id)
        or bool(catalogues.snapshots_naming(ground.paths, needles.user_id))
        or bool(events.names_in_events(ground.parts, needles.pseudonyms).rows)
    )


def erase(ground: Ground, user_id: str, *, reason: str = "", actor: str, further: Sequence[Step] = ()) -> Erased:
    """Erase a person, prove it and certify it.

    Args:
        ground: The workspace.
        user_id: The raw id.
        reason: Why, for the request; must not name the person.
        actor: Who does it, for the ledger.
        further: Steps of whoever composes this with what `audit` can't reach; done before the catalogue.

    Raises:
        UnknownError: When the workspace holds nothing of the person and never erased them.
        InvalidValueError: For a blank id, or a reason that names the person or is too long.
        StateError: When another erasure runs, or a delivery names the person that was not taken in.
    """
    subject = ground.subjects.listed(user_id)
    with file_lock(ground.paths.home / _LOCK, blocking=False):
        needles = needles_of(ground, user_id)
        _check_reason(reason, needles)
        request = ground.requests.latest(ERASURE, subject, OPEN)
        if request is None:
            if not is_known(ground, needles):
                return _before(ground, subject, user_id)
            request = _opened(ground, subject, reason, actor)
        done = _work(ground, request, [*steps(ground, needles), *further, *_last_steps(ground, needles)])
        proof = search(ground.paths.home, needles, ground.store, progress=ground.progress)
        return _closed(ground, request, needles, done, proof, actor)


def steps(ground: Ground, needles: Needles) -> list[Step]:
    """Return the steps before the catalogue, in their order: lines first, since later steps erase what finds them."""

    def traces() -> lines.Traces:
        slates, transactions = rows.slates_of(ground.store, needles.user_id)
        told = events.names_in_events(ground.parts, needles.pseudonyms)
        return lines.Traces(
            needles=needles,
            transactions=frozenset({*transactions, *told.transactions}),
            slates=frozenset({*slates, *told.slates}),
        )

    return [
        Step(name="deliveries", work=lambda: lines.erase_deliveries(ground.paths, traces())),
        Step(name="logs", work=lambda: lines.erase_logs(ground.paths, traces())),
        Step(name="refused rows", work=lambda: lines.erase_refused(ground.paths, traces())),
        Step(name="documents", work=lambda: lines.erase_from_documents(ground.paths, needles)),
        Step(name="rows", work=lambda: rows.erase_rows(ground.store, ground.clock, needles)),
        Step(name="telemetry", work=lambda: events.erase_events(ground.parts, needles.pseudonyms)),
        Step(name="rollups", work=lambda: _roll_up(ground)),
        Step(name="sums of experiments", work=lambda: _purge_sums(ground)),
    ]


def _last_steps(ground: Ground, needles: Needles) -> list[Step]:
    return [
        Step(name="catalogue", work=lambda: catalogues.erase_from_catalogue(ground.paths, needles)),
        Step(
            name="index",
            work=lambda: catalogues.rebuild_index(
                ground.settings, needles, progress=ground.progress, clock=ground.clock
            ),
        ),
        Step(name="older versions", work=lambda: catalogues.remove_computed(ground.paths, needles, ground.clock)),
        Step(name="free pages", work=lambda: _compact(ground)),
    ]


def _check_reason(reason: str, needles: Needles) -> None:
    if needles.is_in(reason) or len(reason) > _LONGEST_REASON or not (reason.isprintable()):
        raise InvalidValueError(
            "the reason", f"must be at most {_LONGEST_REASON} printable characters and not name the person",
            "say for example: request of the person, ticket 12",
        )  # fmt: skip


def _before(ground: Ground, subject: str, user_id: str) -> Erased:
    """Answer for somebody of whom nothing is there: erased before, or never known."""
    earlier = ground.requests.latest(ERASURE, subject)
    if earlier is None or earlier.certificate is None:
        raise UnknownError(
            "the user is unknown here", "must be in the catalogue, the live rows, the slates or the telemetry",
            "check the id; nothing was changed",
        )  # fmt: skip
    # Killed between the certificate and this, the link to the ledger is destroyed now.
    ground.subjects.forget([user_id])
    certificate = Certificate.parse(earlier.certificate)
    return Erased(status="already erased", request_id=earlier.request_id, certificate=certificate, proof=None)


def _opened(ground: Ground, subject: str, reason: str, actor: str) -> SubjectRequest:
    with ground.store.session() as session:
        request_id = ground.requests.open(
            session, ERASURE, subject, actor=actor, details={"reason": reason, "done": {}}
        )
        session.merge(ErasedSubject(subject=subject, request_id=request_id, erased_at=ground.clock.now()))
        # By the request, not by the person's own name there: that must lead to nobody once its key is destroyed.
        ground.ledger.append(actor, REQUEST, request_id, {"reason": reason}, session=session)
    return ground.requests.get(request_id)


def _work(ground: Ground, request: SubjectRequest, planned: Sequence[Step]) -> dict[str, dict[str, Any]]:
    done: dict[str, dict[str, Any]] = {name: dict(counts) for name, counts in request.details["done"].items()}
    for number, step in enumerate(planned):
        if ground.progress is not None:
            ground.progress(f"erase: {step.name}", 0, 0)
        erased = step.work()
        before = done.get(step.name, {})
        added = {name: before.get(name, 0) + count for name, count in erased.items()}
        if erased or step.name not in done:
            done[step.name] = {**before, **added}
            ground.requests.note(request.request_id, done=done, at=number)
    return done


def _roll_up(ground: Ground) -> dict[str, int]:
    warehouse = open_warehouse(ground.settings, ground.store)
    try:
        if ground.settings.snowflake_connection is not None:
            raise StateError(
                "the warehouse is in Snowflake", "which this command does not rewrite",
                "delete the pseudonym there, then unset RECOMMENDR_SNOWFLAKE_CONNECTION for the erasure",
            )  # fmt: skip
        waiting = pending(ground.parts, warehouse)
        days = len(roll_up(ground.parts, warehouse, ground.clock, progress=ground.progress).dates) if waiting else 0
    finally:
        warehouse.close()
    removed = events.remove_retired(ground.parts, ground.store)
    return {name: count for name, count in (("days computed anew", days), ("old files removed", removed)) if count}


def _purge_sums(ground: Ground) -> dict[str, int]:
    count = len(list((ground.paths.home / "experiments").glob("*/sums/*")))
    purge_all(ground.paths)
    return {"kept sums": count} if count else {}


def _compact(ground: Ground) -> dict[str, int]:
    rows.compact(ground.store)
    return {}


def _closed(
    ground: Ground, request: SubjectRequest, needles: Needles, done: dict[str, dict[str, Any]], proof: Proof, actor: str
) -> Erased:
    if not proof.clean:
        facts = {"hits": len(proof.hits), "unreadable": len(proof.unreadable)}
        ground.ledger.append(actor, UNPROVEN, request.request_id, facts)
        return Erased(status="not proven", request_id=request.request_id, certificate=None, proof=proof)
    at = ground.clock.now()
    current = next((entry.snapshot_id for entry in list_catalogues(ground.paths) if entry.current), None)
    certificate = write_certificate(
        request={
            "request_id": request.request_id,
            "requested_at": request.requested_at.isoformat(),
            "requested_by": request.requested_by,
        },
        erased=done,
        proof=proof,
        now={"snapshot_id": current, "index_version": current_version(ground.paths)},
        completed_at=at,
    )
    _seal(ground, request, certificate, needles, actor)
    return Erased(status="erased", request_id=request.request_id, certificate=certificate, proof=proof)


def _seal(ground: Ground, request: SubjectRequest, certificate: Certificate, needles: Needles, actor: str) -> None:
    with ground.store.session() as session:
        ground.requests.complete(session, request.request_id, certificate.text)
        ground.requests.unlink(session, EXPORT, request.subject)
        facts = {"certificate": certificate.sha256}
        ground.ledger.append(actor, COMPLETE, request.request_id, facts, session=session)
    ground.subjects.forget([needles.user_id, *map(str, needles.pseudonyms)])
