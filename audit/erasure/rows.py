"""Taking a person out of the operational store: their own rows go, rows about many people lose the name.

Everything happens in one transaction with SQLite's ``secure_delete`` on, which overwrites what is deleted; `compact`
then rewrites the file and empties the write-ahead log, so that no page of before is left.

Source: https://www.sqlite.org/pragma.html#pragma_secure_delete and https://www.sqlite.org/lang_vacuum.html
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Delete, MetaData, Table, Text, cast, delete, or_, select, text
from sqlalchemy.orm import Session

from audit.erasure.needles import USER_NAMES, Needles
from recommender.live import LiveInteraction, LiveUser
from recommender.slates import ErasedSlate, SlateItemRow, SlateRow
from workspace.clock import Clock
from workspace.store import Store

ERASED: Final = "erased"
KEPT_TABLES: Final = ("ledger", "subject_requests", "erased_subjects", "alembic_version")
"""Never rewritten: records of the ledger are never changed, and the others hold keyed digests only."""
_IDS_AT_A_TIME: Final = 500
_SUBJECT: Final = "subject"


def owns_rows(store: Store, user_id: str) -> bool:
    """Tell whether the store holds rows of a person's own."""
    with store.reading() as session:
        return any(
            session.scalar(select(column).where(column == user_id).limit(1)) is not None
            for column in (LiveUser.user_id, LiveInteraction.user_id, SlateRow.user_id)
        )


def slates_of(store: Store, user_id: str) -> tuple[list[str], list[str]]:
    """Return the ids of a person's slates, and the transactions only their slates were made in."""
    with store.reading() as session:
        own = session.execute(select(SlateRow.slate_id, SlateRow.transaction_id).where(SlateRow.user_id == user_id))
        slates, transactions = [], set()
        for slate_id, transaction_id in own:
            slates.append(slate_id)
            transactions.add(transaction_id)
        shared = _shared(session, sorted(transactions), user_id)
    return slates, sorted(transactions - shared)


def _shared(session: Session, transactions: Sequence[str], user_id: str) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(transactions), _IDS_AT_A_TIME):
        some = transactions[start : start + _IDS_AT_A_TIME]
        query = select(SlateRow.transaction_id).where(SlateRow.transaction_id.in_(some), SlateRow.user_id != user_id)
        found.update(session.scalars(query.distinct()))
    return found


def erase_rows(store: Store, clock: Clock, needles: Needles) -> dict[str, int]:
    """Delete a person's own rows and take their name out of all others.

    Args:
        store: The operational store.
        clock: Stamps the slates that can't be replayed any more.
        needles: The person's traces.

    Returns:
        Rows deleted or changed, by table.
    """
    counts: Counter[str] = Counter()
    with store.session() as session:
        if store.is_sqlite:
            session.execute(text("PRAGMA secure_delete = ON"))
        user_id = needles.user_id
        slates = list(session.scalars(select(SlateRow.slate_id).where(SlateRow.user_id == user_id)))
        for slate_id in slates:
            session.merge(ErasedSlate(slate_id=slate_id, erased_at=clock.now()))
        session.flush()
        own = select(SlateRow.slate_id).where(SlateRow.user_id == user_id)
        counts["slate_items"] = _gone(session, delete(SlateItemRow).where(SlateItemRow.slate_id.in_(own)))
        counts["slates"] = _gone(session, delete(SlateRow).where(SlateRow.user_id == user_id))
        counts["live_interactions"] = _gone(session, delete(LiveInteraction).where(LiveInteraction.user_id == user_id))
        counts["live_users"] = _gone(session, delete(LiveUser).where(LiveUser.user_id == user_id))
        for name, changed in _unnamed(session, needles).items():
            counts[name] += changed
    return {name: count for name, count in counts.items() if count}


def compact(store: Store) -> None:
    """Rewrite the file of the database without its free pages, and empty the write-ahead log.

    PostgreSQL does this by itself, in its own time: there it is left to the operator, and the certificate says so.
    """
    if not store.is_sqlite:
        return
    with store.engine.connect() as connection:
        driver = connection.connection.driver_connection
        # Outside any transaction: SQLite vacuums in none.
        cursor = driver.cursor()  # type: ignore[union-attr]
        try:
            cursor.execute("PRAGMA secure_delete = ON")
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            cursor.close()


def _gone(session: Session, statement: Delete) -> int:
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]


def _unnamed(session: Session, needles: Needles) -> dict[str, int]:
    """Take the name out of every text of every other table; a row that is about the person alone goes."""
    changed: Counter[str] = Counter()
    for table in _tables(session):
        texts = [column for column in table.columns if _is_text(column)]
        keys = list(table.primary_key.columns)
        if not texts or not keys:
            continue
        cells = [cast(column, Text) for column in texts]
        wanted = or_(*(cell.contains(word, autoescape=True) for cell in cells for word in needles.words))
        for row in session.execute(select(*keys, *cells).where(wanted)).all():
            key = {column.name: value for column, value in zip(keys, row, strict=False)}
            old = {column.name: value for column, value in zip(texts, row[len(keys) :], strict=True)}
            named = {name: value for name, value in old.items() if value and needles.is_value(name, value)}
            if named:
                changed[table.name] += 1
                _take_out(session, table, key, named, needles)
    return dict(changed)


def _take_out(
    session: Session, table: Table, key: Mapping[str, Any], named: Mapping[str, str], needles: Needles
) -> None:
    places = " AND ".join(f'"{name}" = :old_{name}' for name in key)
    bound: dict[str, Any] = {f"old_{name}": value for name, value in key.items()}
    if needles.user_id in {named.get(name) for name in (*key, _SUBJECT)}:
        session.execute(text(f'DELETE FROM "{table.name}" WHERE {places}'), bound)  # noqa: S608 - names of our schema
        return
    # As text: a column of JSON would be written as JSON of that text.
    assignments = ", ".join(f'"{name}" = :new_{name}' for name in named)
    bound |= {f"new_{name}": without(value, needles) for name, value in named.items()}
    session.execute(text(f'UPDATE "{table.name}" SET {assignments} WHERE {places}'), bound)  # noqa: S608 - likewise


def _tables(session: Session) -> list[Table]:
    schema = MetaData()
    schema.reflect(session.connection())
    return [table for table in schema.sorted_tables if table.name not in KEPT_TABLES]


def _is_text(column: Any) -> bool:  # noqa: ANN401 - a reflected column
    kind = type(column.type).__name__.upper()
    return any(word in kind for word in ("CHAR", "TEXT", "JSON", "STRING"))


def without(value: str, needles: Needles) -> str:
    """Return a text, JSON or not, in which the word ``erased`` stands for the person.

    Example:
        >>> without('{"users": ["7", "8"], "film": "7"}', Needles(user_id="7"))
        '{"users": ["erased", "8"], "film": "7"}'
    """
    try:
        document = json.loads(value)
    except ValueError:
        return needles.replaced(value, ERASED)
    if not isinstance(document, dict | list):
        return needles.replaced(value, ERASED)
    return json.dumps(_json_without(document, needles), ensure_ascii=False)


def _json_without(value: Any, needles: Needles, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {needles.replaced(str(name), ERASED): _json_without(item, needles, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_json_without(item, needles, field) for item in value]
    if field in USER_NAMES and str(value) == needles.user_id:
        return ERASED
    if isinstance(value, str):
        return needles.replaced(value, ERASED)
    return ERASED if type(value) is int and value in needles.pseudonyms else value
