"""A person's own data, whole and readable, and what must be said with it (GDPR, Article 15).

The document holds nothing of anybody else: the person's own rows, their slates, their events under every pseudonym, who
looked at them and why, and the register of purposes with what is kept how long and who may see it.

Source: Regulation (EU) 2016/679, Article 15(1) and 15(3).
"""

import datetime as dt
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import select

from audit.erasure.erasing import Ground, is_known, needles_of
from audit.erasure.needles import Needles
from audit.erasure.records import ERASURE, EXPORT
from audit.purposes import register
from recommender.catalogue import list_catalogues, load_catalogue
from recommender.live import LiveLog
from recommender.slates import SlateLog, SlateRow
from telemetry.parts import EVENTS
from workspace.columns import Event, Film, Interaction
from workspace.errors import ErasedError, UnknownError

FORMAT: Final = 1
EXPORTED: Final = "user.export"
LOOKED: Final = "user_looked_at"
_ENTRIES_AT_A_TIME: Final = 10_000
_RIGHTS: Final = (
    "rectification, erasure or restriction of the data, and to object to their processing (Articles 16 to 18 and 21)",
    "to receive the data you gave in a form machines read: this file is one (Article 20)",
    "to lodge a complaint with a supervisory authority (Article 77)",
)
_LOGIC: Final = (
    "A film's score is the sum, over blocks of features, of weight times the product of your vector and the film's. "
    "Your vector is made of your own acts; each slate below names what every block added to each score. No decision "
    "with legal or similar effect is made by it."
)


def export_user(ground: Ground, user_id: str, *, actor: str) -> dict[str, Any]:
    """Gather a person's data, enter the request and its ledger record.

    Args:
        ground: The workspace.
        user_id: The raw id.
        actor: Who asks, for the ledger.

    Returns:
        The document, plain JSON values.

    Raises:
        UnknownError: When nothing is known of them.
        ErasedError: When they were erased.
    """
    needles = needles_of(ground, user_id)
    subject = ground.subjects.listed(user_id)
    if not is_known(ground, needles):
        earlier = ground.requests.latest(ERASURE, subject)
        if earlier is not None:
            raise ErasedError(f"the user was erased by request {earlier.request_id}", "there is nothing to export")
        raise UnknownError(
            "the user is unknown here", "must be in the catalogue, the live rows, the slates or the telemetry"
        )
    data = {
        "account": _account(ground, user_id),
        "acts": _acts(ground, user_id),
        "slates": _slates(ground, user_id),
        "events": _events(ground, needles),
        "looks": _looks(ground, user_id, needles),
    }
    counts = {name: len(rows) for name, rows in data.items()}
    with ground.store.session() as session:
        request_id = ground.requests.open(session, EXPORT, subject, actor=actor, details={"counts": counts})
        ground.requests.complete(session, request_id, None)
        # Without the request, whose row holds the digest that an import is compared with.
        facts = {"counts": counts}
        ground.ledger.append(actor, EXPORTED, ground.subjects.named(user_id), facts, session=session)
    return {
        "format": FORMAT,
        "request_id": request_id,
        "made_at": ground.clock.now().isoformat(),
        "user_id": user_id,
        "pseudonyms": [str(number) for number in needles.pseudonyms],
        **data,
        "purposes": [purpose.to_dict() for purpose in register()],
        "retention_days": ground.settings.retention_days,
        "logic": _LOGIC,
        "your_rights": list(_RIGHTS),
    }


def _account(ground: Ground, user_id: str) -> list[dict[str, Any]]:
    found = []
    if list_catalogues(ground.paths):
        with suppress(UnknownError):
            found.append({"source": "catalogue", **load_catalogue(ground.paths).user(user_id)})
    live = LiveLog(ground.store, ground.clock).user(user_id)
    if live is not None:
        found.append({"source": "joined since", **live})
    return _plain(found)


def _acts(ground: Ground, user_id: str) -> list[dict[str, Any]]:
    frames = []
    titles: dict[str, str] = {}
    if list_catalogues(ground.paths):
        catalogue = load_catalogue(ground.paths)
        titles = dict(zip(catalogue.films[Film.ID], catalogue.films[Film.TITLE], strict=True))
        acts = catalogue.interactions
        frames.append(acts[acts[Interaction.USER] == user_id])
    frames.append(LiveLog(ground.store, ground.clock).history(user_id))
    rows = [row for frame in frames for row in frame.drop(columns=Interaction.USER).to_dict("records")]
    return _plain({**row, Film.TITLE: titles.get(row[Interaction.FILM], "")} for row in rows)


def _slates(ground: Ground, user_id: str) -> list[dict[str, Any]]:
    with ground.store.reading() as session:
        ids = session.scalars(select(SlateRow.slate_id).where(SlateRow.user_id == user_id).order_by(SlateRow.seq)).all()
    log = SlateLog(ground.store)
    return [log.get(slate_id).to_dict() for slate_id in ids]


def _events(ground: Ground, needles: Needles) -> list[dict[str, Any]]:
    wanted = pa.array(needles.pseudonyms, pa.int64())
    found: list[dict[str, Any]] = []
    for part in ground.parts.parts(EVENTS):
        with pq.ParquetFile(part.path) as file:
            if not pc.any(pc.is_in(file.read([Event.USER])[Event.USER], wanted)).as_py():
                continue
            table = file.read()
        found += table.filter(pc.is_in(table[Event.USER], wanted)).drop_columns([Event.USER]).to_pylist()
    return _plain(found)


def _looks(ground: Ground, user_id: str, needles: Needles) -> list[dict[str, Any]]:
    """Return who looked at the person's own data, when and why."""
    names = {*ground.subjects.names_of([user_id, *map(str, needles.pseudonyms)]), user_id}
    found: list[dict[str, Any]] = []
    offset = 0
    while True:
        entries = ground.ledger.entries(_ENTRIES_AT_A_TIME, offset)
        found += [
            {"at": entry.at, "by": entry.actor, "why": str(entry.details.get("reason", ""))}
            for entry in entries
            if entry.action == LOOKED and entry.subject in names
        ]
        if len(entries) < _ENTRIES_AT_A_TIME:
            return found[::-1]
        offset += _ENTRIES_AT_A_TIME


def _plain(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: _cell(value) for name, value in row.items()} for row in rows]


def _cell(value: Any) -> Any:  # noqa: ANN401 - a cell of any column
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat() if not pd.isna(value) else None
    if isinstance(value, list):
        return [_cell(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if value is None or (isinstance(value, float) and value != value) else value  # noqa: PLR0124 - NaN
