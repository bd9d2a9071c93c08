import bz2
import gzip
import lzma
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.erasure.needles import Needles, containing
from audit.erasure.search import Proof, search
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

USER = "anna-4711"
PSEUDONYM = 0x1234_5678_9ABC_DEF0
NEEDLES = Needles(user_id=USER, pseudonyms=(PSEUDONYM,), longer=("anna-47112", "joanna-4711"))


def found(home: Path, needles: Needles = NEEDLES) -> Proof:
    return search(home, needles)


WRITTEN: dict[str, bytes] = {
    "utf8": b"xx" + USER.encode() + b"\x00",
    "glued": b"anna-4711SE",  # as SQLite puts one column after the other
    "utf16": b"\x01" + USER.encode("utf-16-le"),
    "utf16be": USER.encode("utf-16-be"),
    "int64": b"\xff" + struct.pack("<q", PSEUDONYM),
    "int64be": struct.pack(">q", PSEUDONYM) + b"\xff",
    "decimal": b'{"user": 1311768467463790320}',
    "decimal16": "1311768467463790320".encode("utf-16-le"),
    "hex": b"user 123456789abcdef0",
    "HEX": b"user 0x123456789ABCDEF0",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_search_finds_every_form_in_plain_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file.bin").write_bytes(b"\x00" * 5_000 + WRITTEN[name])
    proof = found(tmp_path)
    assert not proof.clean
    assert [(hit.where, hit.reading, hit.count) for hit in proof.hits] == [("deep/file.bin", "bytes", 1)]


@pytest.mark.parametrize("other", ["anna-47112", "joanna-4711", "anna-471", "bo"])
def test_search_tells_others_whose_id_contains_it_apart(tmp_path: Path, other: str) -> None:
    (tmp_path / "file.bin").write_bytes(other.encode() + b"\x00" + other.encode("utf-16-le"))
    assert found(tmp_path).clean


def zst(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zst,
}


@pytest.mark.parametrize("suffix", PACKED)
def test_search_unpacks(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"log{suffix}").write_bytes(PACKED[suffix](b"line " * 500 + USER.encode() + b"-end" * 500))
    assert "unpacked" in [hit.reading for hit in found(tmp_path).hits]


def test_search_unpacks_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", b"a" * 4_000 + struct.pack("<q", PSEUDONYM))
    assert "unpacked" in [hit.reading for hit in found(tmp_path).hits]


def test_bytes_alone_do_not_see_a_packed_column_and_decoding_does(tmp_path: Path) -> None:
    ids = pa.array([f"user-{i % 90:05d}" for i in range(3_000)] + [USER] * 3)
    numbers = pa.array([*range(3_002), PSEUDONYM])
    lists = pa.array([["x"]] * 3_002 + [["x", USER]])
    path = tmp_path / "part.parquet"
    table = pa.table({"who": ids, "number": numbers, "tags": lists})
    pq.write_table(table, path, compression="gzip", write_statistics=False)
    assert USER.encode() not in path.read_bytes()
    assert struct.pack("<q", PSEUDONYM) not in path.read_bytes()
    hits = {hit.where.partition(": ")[2]: hit.count for hit in found(tmp_path).hits if hit.reading == "decoded"}
    assert hits == {"who": 3, "number": 1, "tags": 1}


def test_short_id_counts_where_a_field_holds_users_never_by_chance_nor_of_a_film(tmp_path: Path) -> None:
    needles = Needles(user_id="7", pseudonyms=(PSEUDONYM,))
    assert not needles.telling
    (tmp_path / "vectors.npy").write_bytes(b"7" * 100)
    (tmp_path / "a.json").write_text(
        '{"film_id": "7", "n": 7, "user_id": "17", "users": [77, "7.5"], "at": "user 7-8"}'
    )
    pq.write_table(pa.table({"user_id": ["17", "77"], "film_id": ["7", "8"]}), tmp_path / "part.parquet")
    proof = found(tmp_path, needles)
    assert proof.clean, proof.hits
    assert not proof.telling
    (tmp_path / "a.json").write_text('{"users": ["6", "7"]}')
    pq.write_table(pa.table({"user_id": ["17", "7"], "film_id": ["7", "8"]}), tmp_path / "part.parquet")
    assert {hit.where for hit in found(tmp_path, needles).hits} == {"a.json", "part.parquet: user_id"}


def test_file_that_cannot_be_read_makes_the_proof_unclean(tmp_path: Path) -> None:
    (tmp_path / "part.parquet").write_bytes(b"PAR1 nonsense PAR1")
    proof = found(tmp_path)
    assert not proof.clean
    assert proof.unreadable[0].startswith("part.parquet: ")


def test_file_named_after_the_person_is_found(tmp_path: Path) -> None:
    (tmp_path / f"{USER}.txt").touch()
    assert [hit.form for hit in found(tmp_path).hits] == ["name of the file"]


def test_records_of_the_ledger_are_told_apart_and_numbered(home: Paths) -> None:
    store = Store.open(Settings(home=home.home))
    ledger = Ledger(store)
    ledger.append("cli", "x", "nobody", {})
    ledger.append("ann", "user_looked_at", USER, {"reason": f"{USER} asked"})
    proof = search(home.home, NEEDLES, store)
    assert proof.clean
    assert proof.ledger == (2,)
    store.close()


def test_value_that_crosses_pages_of_the_database_is_found_by_decoding(home: Paths) -> None:
    store = Store.open(Settings(home=home.home))
    store.close()
    connection = sqlite3.connect(home.database)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA secure_delete = ON")  # else the row of before is still in a free page
    connection.execute("INSERT INTO monitor_runs VALUES ('r', '2026-01-01', '2026-01-01', NULL, 1, '')")
    hidden = False
    for pad in range(4_000, 8_200, 5):
        connection.execute("UPDATE monitor_runs SET report = ?", ("x" * pad + USER + "y" * (13_000 - pad),))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        hidden = USER.encode() not in home.database.read_bytes()
        if hidden:
            break
    connection.close()
    assert hidden, "no padding put the id across a cut"
    store = Store.open(Settings(home=home.home))
    proof = search(home.home, NEEDLES, store)
    assert {hit.where for hit in proof.hits} >= {"table monitor_runs: report"}
    store.close()


def test_containing_names_the_longer_ids_once() -> None:
    assert containing(["7"], ["7", "17", "17", "8"]) == ("17",)
