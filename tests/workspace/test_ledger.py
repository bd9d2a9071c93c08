"""The ledger: appended in one order by all processes, and any altered byte found and located."""

import hashlib
import json
import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from workspace import logs
from workspace.clock import FrozenClock
from workspace.errors import IntegrityError, InvalidValueError
from workspace.ledger import GENESIS, Ledger, LedgerHead, _canonical_again
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = ("at", "actor", "action", "subject", "details", "transaction_id", "previous_hash", "hash")


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    opened = Store.open(Settings(home=home.home))
    yield opened
    opened.close()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store, FrozenClock(AT))


def fill(ledger: Ledger, count: int = 5) -> None:
    for number in range(1, count + 1):
        ledger.append("cli", "index.switch", f"v{number}", {"from": f"v{number - 1}", "films": number})


def alter(home: Paths, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(home.database)) as connection, connection:
        connection.execute(statement, values)


def test_append_chains_records_as_defined(ledger: Ledger) -> None:
    with logs.transaction("txn_1"):
        first = ledger.append("cli", "index.switch", "v2", {"z": 1, "a": ["Agnès", 0.5, None]})
        second = ledger.append("anna", "user.erase", "u7")
    # Written out by hand: keys in order, no spaces, UTF-8.
    record = (
        '{"action":"index.switch","actor":"cli","at":"2026-03-01T12:00:00.000000+00:00",'
        '"details":{"a":["Agnès",0.5,null],"z":1},"seq":1,"subject":"v2","transaction_id":"txn_1"}'
    )
    assert first.previous_hash == GENESIS == "0" * 64
    assert first.hash == hashlib.sha256(("0" * 64 + record).encode()).hexdigest()
    assert second.previous_hash == first.hash
    assert (second.seq, second.details) == (2, {})
    assert ledger.head() == LedgerHead(length=2, hash=second.hash)


def test_verify_empty_and_whole_chain(ledger: Ledger) -> None:
    empty = ledger.verify()
    assert (empty.ok, empty.length, empty.head) == (True, 0, GENESIS)
    fill(ledger)
    verdict = ledger.verify()
    assert verdict.to_dict() == {
        "ok": True,
        "length": 5,
        "broken_at": None,
        "reason": "",
        "head": ledger.head().hash,
    }


def test_entries_come_newest_first(ledger: Ledger) -> None:
    fill(ledger)
    assert [entry.seq for entry in ledger.entries(limit=2, offset=1)] == [4, 3]
    assert ledger.entries()[0].to_dict()["details"] == {"from": "v4", "films": 5}


@pytest.mark.parametrize("column", COLUMNS)
def test_verify_locates_any_flipped_byte(home: Paths, store: Store, ledger: Ledger, column: str) -> None:
    fill(ledger)
    with closing(sqlite3.connect(home.database)) as connection:
        (text,) = connection.execute(f"SELECT {column} FROM ledger WHERE seq = 3").fetchone()  # noqa: S608
    original = text.encode()
    for position in range(len(original)):
        for bit in (0x01, 0x80):
            damaged = bytearray(original)
            damaged[position] ^= bit
            alter(home, f"UPDATE ledger SET {column} = CAST(? AS TEXT) WHERE seq = 3", bytes(damaged))  # noqa: S608
            verdict = ledger.verify()
            assert (verdict.ok, verdict.broken_at, verdict.length) == (False, 3, 2), (position, bit)
            assert verdict.reason
    alter(home, f"UPDATE ledger SET {column} = ? WHERE seq = 3", text)  # noqa: S608
    assert ledger.verify().ok
    store.close()


def test_verify_locates_a_byte_flipped_in_the_file(home: Paths, store: Store, ledger: Ledger) -> None:
    fill(ledger)
    store.close()
    content = home.database.read_bytes()
    at = content.index(b'"films":4')
    home.database.write_bytes(content[:at] + b'"films":9' + content[at + 9 :])
    assert ledger.verify().broken_at == 4


@pytest.mark.parametrize(
    ("statement", "broken_at", "said"),
    [
        ("DELETE FROM ledger WHERE seq = 2", 2, "record 2 is missing"),
        ("DELETE FROM ledger WHERE seq = 1", 1, "record 1 is missing"),
        ("UPDATE ledger SET seq = 9 WHERE seq = 5", 5, "record 5 is missing: the next is 9"),
        ("UPDATE ledger SET details = ' ' || details WHERE seq = 4", 4, "not in canonical form"),
        ("UPDATE ledger SET details = 'null' WHERE seq = 4", 4, "does not give its hash"),
        ("UPDATE ledger SET details = 'x' WHERE seq = 4", 4, "its text is damaged"),
        ("UPDATE ledger SET details = replace(hex(zeroblob(5000)), '0', '[') WHERE seq = 4", 4, "its text is damaged"),
    ],
)
def test_verify_locates_removed_moved_and_rewritten_records(
    home: Paths, ledger: Ledger, statement: str, broken_at: int, said: str
) -> None:
    fill(ledger)
    alter(home, statement)
    verdict = ledger.verify()
    assert (verdict.ok, verdict.broken_at) == (False, broken_at)
    assert said in verdict.reason


def test_verify_finds_a_cut_end_by_a_noted_head_only(home: Paths, ledger: Ledger) -> None:
    fill(ledger)
    noted = ledger.head()
    alter(home, "DELETE FROM ledger WHERE seq = 5")
    assert ledger.verify().ok
    verdict = ledger.verify(noted)
    assert (verdict.ok, verdict.broken_at) == (False, 5)
    ledger.append("mallory", "index.switch", "v5")
    assert ledger.verify().ok
    assert ledger.verify(noted).broken_at == 5


def test_verify_accepts_a_head_noted_earlier(ledger: Ledger) -> None:
    nothing = ledger.head()
    fill(ledger, 3)
    noted = ledger.head()
    fill(ledger, 2)
    assert ledger.verify(noted).ok
    assert ledger.verify(nothing).ok


def test_verify_of_a_damaged_page_is_a_verdict(home: Paths, store: Store, ledger: Ledger) -> None:
    fill(ledger)
    store.close()
    content = bytearray(home.database.read_bytes())
    page = content.index(b"index.switch") // 4096
    content[page * 4096 : page * 4096 + 8] = b"\xff" * 8
    home.database.write_bytes(content)
    verdict = ledger.verify()
    assert (verdict.ok, verdict.broken_at) == (False, 1)
    assert "can't be read beyond this point" in verdict.reason


def test_entries_of_a_damaged_record_are_a_named_error(home: Paths, ledger: Ledger) -> None:
    fill(ledger, 1)
    alter(home, "UPDATE ledger SET details = 'x'")
    with pytest.raises(IntegrityError, match=r"record 1 can't be read.*verify the ledger"):
        ledger.entries()


@pytest.mark.parametrize(
    "details",
    [{"x": float("nan")}, {"x": 2**60}, {"x": 1e16}, {"x": object()}, {1: "x"}, {"x": "\ud800"}, {"x": {1, 2}}],
)
def test_append_refuses_details_that_are_not_json(ledger: Ledger, details: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match="a ledger record can't hold this"):
        ledger.append("cli", "x", "y", details)
    assert ledger.head().length == 0


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb"])
def test_append_refuses_impossible_names(ledger: Ledger, name: str) -> None:
    with pytest.raises(InvalidValueError, match="subject == "):
        ledger.append("cli", "x", name)


def test_append_in_a_session_is_undone_with_it(store: Store, ledger: Ledger) -> None:
    fill(ledger, 1)
    with pytest.raises(ZeroDivisionError), store.session() as session:
        ledger.append("cli", "x", "y", session=session)
        raise ZeroDivisionError
    assert ledger.head().length == 1
    with store.session() as session:
        ledger.append("cli", "x", "y", session=session)
        ledger.append("cli", "x", "z", session=session)
    assert ledger.verify().length == 3


def append_many(home: Path, name: str, count: int) -> None:
    own = Store.open(Settings(home=home))
    for number in range(count):
        Ledger(own).append(name, "test.append", str(number))
    own.close()


def test_append_by_four_processes_makes_one_chain(home: Paths) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(home.home, f"p{number}", 25)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    own = Store.open(Settings(home=home.home))
    entries = Ledger(own).entries(limit=1_000)
    assert Ledger(own).verify().to_dict()["length"] == 100
    assert Ledger(own).verify().ok
    for number in range(4):
        mine = [int(entry.subject) for entry in reversed(entries) if entry.actor == f"p{number}"]
        assert mine == list(range(25))
    own.close()


def test_details_are_stored_as_canonical_text(home: Paths, ledger: Ledger) -> None:
    ledger.append("cli", "x", "y", {"b": 1.0, "a": "é"})
    with closing(sqlite3.connect(home.database)) as connection:
        (text,) = connection.execute("SELECT details FROM ledger").fetchone()
    assert text == '{"a":"é","b":1}'
    assert json.loads(text) == {"a": "é", "b": 1}


SMALL = st.floats(-1e6, 1e6) | st.integers(-(2**53) + 1, 2**53 - 1)


@given(
    st.recursive(
        st.none() | st.booleans() | SMALL | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
)
def test_short_cut_of_a_verification_agrees_with_rfc8785(value: Any) -> None:
    for text in (rfc8785.dumps(value).decode(), json.dumps(value), json.dumps(value, indent=1)):
        assert _canonical_again(text, json.loads(text)) == rfc8785.dumps(json.loads(text)).decode()
