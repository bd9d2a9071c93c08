"""The ledger: an append-only hash chain of every act that changes what others rely on.

h_i = SHA-256(h_{i-1} || canonical JSON of record i), h_0 = 64 zeros, || on the hexadecimal text of the hash.

Source: RFC 8785 (JSON Canonicalization Scheme) for the canonical form; Haber and Stornetta 1991 for the chain.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import rfc8785
from sqlalchemy import LargeBinary, Text, cast, func, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column
from sqlalchemy.sql import ColumnElement

from workspace.checks import check_scalar
from workspace.clock import Clock, SystemClock
from workspace.errors import IntegrityError, InvalidValueError
from workspace.logs import current_transaction
from workspace.store import Base, Store

GENESIS: Final = "0" * 64
_VERIFIED_AT_A_TIME: Final = 5_000
_NUMBERS_THAT_DIFFER: Final = re.compile(r"\d[.eE]|\d{16}|-0")
"""Also met inside texts, which then take the slow way to the same answer."""
_PLAIN: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


class LedgerRow(Base):
    """One record as it is stored: text that is hashed exactly as it stands."""

    __tablename__ = "ledger"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    details: Mapped[str] = mapped_column(Text)
    transaction_id: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)


_TEXTS: Final = (
    LedgerRow.at,
    LedgerRow.actor,
    LedgerRow.action,
    LedgerRow.subject,
    LedgerRow.details,
    LedgerRow.transaction_id,
    LedgerRow.previous_hash,
    LedgerRow.hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One record: who did what to what, when, under which transaction."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    transaction_id: str
    previous_hash: str
    hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHead:
    """Length and last hash of the chain: noted elsewhere, it proves later that nothing was cut off."""

    length: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerVerdict:
    """What a verification found; ``broken_at`` is the number of the first record that does not hold."""

    ok: bool
    length: int
    broken_at: int | None
    reason: str
    head: str

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return asdict(self)


class Ledger:
    """Appends to and verifies the chain.

    Args:
        store: Where it is kept.
        clock: What tells the time of a record.
    """

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    def append(
        self,
        actor: str,
        action: str,
        subject: str,
        details: Mapping[str, Any] | None = None,
        *,
        session: Session | None = None,
    ) -> LedgerEntry:
        """Add a record; appends of all processes come one after the other.

        Args:
            actor: Who, for example ``cli`` or a signed-in name.
            action: What, for example ``index.switch``.
            subject: To what, for example a version.
            details: Anything JSON can hold; never personal data, since records are never erased.
            session: A writing session of the same store, so that the act and its record commit together.

        Returns:
            The record as stored.

        Raises:
            InvalidValueError: When a name is empty or the details are not JSON.
        """
        record: dict[str, Any] = {
            "actor": _checked_name(actor, "actor"),
            "action": _checked_name(action, "action"),
            "subject": _checked_name(subject, "subject"),
            "details": dict(details or {}),
            "transaction_id": current_transaction(),
        }
        # Read back as it will be verified: a float of 1e16 is written as a whole number too large to be one again.
        _canonical(json.loads(_canonical(record)))
        with self._writing(session) as writer:
            previous = writer.execute(
                select(LedgerRow.seq, LedgerRow.hash).order_by(LedgerRow.seq.desc()).limit(1)
            ).first()
            seq, previous_hash = (previous.seq + 1, previous.hash) if previous else (1, GENESIS)
            record |= {"seq": seq, "at": self._clock.now().isoformat(timespec="microseconds")}
            row = LedgerRow(
                **{**record, "details": _canonical(record["details"]).decode()},
                previous_hash=previous_hash,
                hash=_chained(previous_hash, record),
            )
            writer.add(row)
            writer.flush()
            return _entry(row)

    def entries(self, limit: int = 100, offset: int = 0) -> list[LedgerEntry]:
        """Return records, newest first.

        Args:
            limit: How many at most, 1 to 10,000.
            offset: How many of the newest to pass over.

        Raises:
            IntegrityError: When a record can't be read; `verify` says which.
            InvalidValueError: When a number is outside its limits.
        """
        check_scalar(limit, "limit", ge=1, le=10_000)
        check_scalar(offset, "offset", ge=0)
        with self._store.reading() as session:
            rows = session.scalars(select(LedgerRow).order_by(LedgerRow.seq.desc()).limit(limit).offset(offset)).all()
            return [_entry(row) for row in rows]

    def head(self) -> LedgerHead:
        """Return length and last hash, to be noted outside the store."""
        with self._store.reading() as session:
            last = session.execute(
                select(LedgerRow.seq, LedgerRow.hash).order_by(LedgerRow.seq.desc()).limit(1)
            ).first()
        return LedgerHead(length=last.seq, hash=last.hash) if last else LedgerHead(length=0, hash=GENESIS)

    def verify(self, noted: LedgerHead | None = None) -> LedgerVerdict:
        """Recompute the whole chain.

        Args:
            noted: A head noted earlier. Without it, records cut off at the end can't be missed: a shorter chain is
                a chain too.

        Returns:
            Whether every record holds, and the first that does not.
        """
        length, previous_hash, noted_holds = 0, GENESIS, noted is None or noted.length == 0
        try:
            for seq, stored in self._stored():
                reason = _fault(length + 1, previous_hash, seq, stored)
                if reason:
                    return _broken(length, length + 1, reason, previous_hash)
                length, previous_hash = seq, stored["hash"].decode()
                if noted and noted.length == length:
                    noted_holds = noted.hash == previous_hash
                    if not noted_holds:
                        return _broken(length, length, "its hash is not the one noted earlier", previous_hash)
        except (IntegrityError, DatabaseError) as error:
            return _broken(length, length + 1, f"the store can't be read beyond this point: {error}", previous_hash)
        if not noted_holds:
            return _broken(length, length + 1, "records noted earlier are missing at the end", previous_hash)
        return LedgerVerdict(ok=True, length=length, broken_at=None, reason="", head=previous_hash)

    def _stored(self) -> Iterator[tuple[int, dict[str, bytes]]]:
        """Yield number and raw bytes of every record, in order; bytes, since a damaged text may not be UTF-8."""
        columns = [self._raw(column) for column in _TEXTS]
        after = None
        while True:
            with self._store.reading() as session:
                query = select(LedgerRow.seq, *columns).order_by(LedgerRow.seq).limit(_VERIFIED_AT_A_TIME)
                rows = session.execute(query if after is None else query.where(LedgerRow.seq > after)).all()
            for row in rows:
                yield row[0], {column.key: bytes(value) for column, value in zip(_TEXTS, row[1:], strict=True)}
            if len(rows) < _VERIFIED_AT_A_TIME:
                return
            after = rows[-1][0]

    def _raw(self, column: InstrumentedAttribute[str]) -> ColumnElement[bytes]:
        if self._store.is_sqlite:
            return cast(column, LargeBinary)
        return func.convert_to(column, "UTF8", type_=LargeBinary)

    @contextmanager
    def _writing(self, session: Session | None) -> Iterator[Session]:
        if session is not None:
            self._serialise(session)
            yield session
            return
        with self._store.session() as own:
            self._serialise(own)
            yield own

    def _serialise(self, session: Session) -> None:
        # A writing session of SQLite holds the only write lock already.
        if not self._store.is_sqlite:
            session.execute(text("LOCK TABLE ledger IN SHARE ROW EXCLUSIVE MODE"))


def _canonical(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError) as error:
        raise InvalidValueError(
            f"a ledger record can't hold this: {error}", hint="use text, finite numbers, lists and dicts of them"
        ) from error


def _chained(previous_hash: str, record: Mapping[str, Any]) -> str:
    return hashlib.sha256(previous_hash.encode() + _canonical(dict(record))).hexdigest()


def _checked_name(value: str, name: str) -> str:
    if not value or not value.isprintable():
        raise InvalidValueError(f"{name} == {value!r}", "must be printable text and not empty")
    return value


def _entry(row: LedgerRow) -> LedgerEntry:
    values = {column.key: getattr(row, column.key) for column in _TEXTS}
    try:
        values["details"] = json.loads(row.details)
    except ValueError as error:
        raise IntegrityError(f"ledger record {row.seq} can't be read", hint="verify the ledger") from error
    return LedgerEntry(seq=row.seq, **values)


def _fault(expected: int, previous_hash: str, seq: int, stored: Mapping[str, bytes]) -> str:
    """Say what is wrong with a record, or nothing."""
    if seq != expected:
        return f"record {expected} is missing: the next is {seq}"
    try:
        record: dict[str, Any] = {key: value.decode() for key, value in stored.items()}
        details = json.loads(record["details"])
        canonical = _canonical_again(record["details"], details)
        claimed_previous, claimed = record.pop("previous_hash"), record.pop("hash")
        computed = _chained_text(previous_hash, record, seq, details, canonical)
    except (ValueError, RecursionError) as error:
        return f"its text is damaged: {error}"
    if claimed_previous != previous_hash:
        return "its previous hash is not the hash of the record before"
    if stored["details"].decode() != canonical:
        return "its details are not in canonical form"
    if claimed != computed:
        return "its content does not give its hash"
    return ""


def _canonical_again(text: str, value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Return the canonical form of what a text was read as.

    For plain ASCII without fractions and large numbers the serialiser of the standard library gives the same bytes as
    RFC 8785 asks for, in a tenth of the time; a text it gives back unchanged is canonical.
    """
    if text.isascii() and not _NUMBERS_THAT_DIFFER.search(text) and text == _PLAIN(value):
        return text
    return _canonical(value).decode()


def _chained_text(
    previous_hash: str,
    record: Mapping[str, str],
    seq: int,
    details: Any,  # noqa: ANN401 - whatever JSON can hold
    canonical: str,
) -> str:
    """Return the hash of a record whose details are at hand as a value and in canonical form."""
    texts = {name: value for name, value in record.items() if name != LedgerRow.details.key}
    if not all(map(str.isascii, texts.values())):
        return _chained(previous_hash, {**texts, LedgerRow.details.key: details, "seq": seq})
    fields = {name: _PLAIN(value) for name, value in texts.items()}
    fields |= {LedgerRow.details.key: canonical, "seq": str(seq)}
    body = ",".join(f'"{name}":{fields[name]}' for name in sorted(fields))
    return hashlib.sha256(f"{previous_hash}{{{body}}}".encode()).hexdigest()


def _broken(length: int, broken_at: int, reason: str, head: str) -> LedgerVerdict:
    return LedgerVerdict(ok=False, length=length, broken_at=broken_at, reason=reason, head=head)
