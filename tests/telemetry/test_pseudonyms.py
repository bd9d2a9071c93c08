import datetime as dt
import hashlib
import json
import multiprocessing
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.pseudonyms import KeyRing
from workspace.clock import FrozenClock
from workspace.errors import IntegrityError, InvalidValueError, StateError
from workspace.settings import Settings

TODAY = dt.date(2026, 5, 4)
CLOCK = FrozenClock(dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC))


def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.open(Settings(home=tmp_path / "home"), CLOCK)


def hmac_by_hand(key: bytes, message: bytes) -> int:
    """RFC 2104 spelt out: H(K ^ opad, H(K ^ ipad, text)), then the first 63 bits after the sign."""
    padded = key + b"\0" * (64 - len(key))
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + message).digest()
    digest = hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()
    return int.from_bytes(digest[:8], "big") & (2**63 - 1)


def write_keys(path: Path, *keys: tuple[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"valid_from": day, "key": key.hex()} for day, key in keys]
    path.write_text(json.dumps({"purpose": "telemetry", "keys": entries}))
    path.chmod(0o600)
    return path


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()))
def test_pseudonym_is_the_hmac(raw_id: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = write_keys(Path(folder) / "telemetry.json", ("2000-01-01", bytes(range(32))))
        found = KeyRing(path, CLOCK).pseudonyms([raw_id, "other", raw_id], TODAY)
    assert found[0] == found[2] == hmac_by_hand(bytes(range(32)), raw_id.encode())


def test_pseudonyms_known_value(tmp_path: Path) -> None:
    path = write_keys(tmp_path / "k" / "telemetry.json", ("2000-01-01", b"k" * 32))
    # printf %s ann | openssl dgst -sha256 -hmac kkkk…k (32 times), first 8 bytes without the sign
    assert KeyRing(path, CLOCK).pseudonym("ann", TODAY) == hmac_by_hand(b"k" * 32, b"ann")


def test_pseudonyms_use_the_key_of_each_date(tmp_path: Path) -> None:
    old, new = b"a" * 32, b"b" * 32
    path = write_keys(tmp_path / "k" / "telemetry.json", ("2026-05-03", new), ("2000-01-01", old))
    days = [dt.date(1999, 1, 1), dt.date(2026, 5, 2), dt.date(2026, 5, 3), TODAY]
    found = KeyRing(path, CLOCK).pseudonyms(["ann"] * 4, days)
    assert found.tolist() == [hmac_by_hand(key, b"ann") for key in (old, old, new, new)]
    assert found[1] != found[2]


def test_pseudonyms_of_arrays_remember_nothing_wrong(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    ids = pa.chunked_array([pa.array(["a", "b"]), pa.array(["b", "c"])])
    first = keys.pseudonyms(ids, np.array([TODAY] * 4, dtype="datetime64[D]"))
    again = keys.pseudonyms(["c", "b", "a"], TODAY)
    assert first.tolist() == [again[2], again[1], again[1], again[0]]
    assert first.dtype == np.int64
    assert (first >= 0).all()
    assert keys.pseudonyms([], TODAY).tolist() == []


def test_open_makes_private_files_once(tmp_path: Path) -> None:
    first = ring(tmp_path)
    folder = tmp_path / "home.keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "telemetry.json").stat().st_mode) == 0o600
    assert ring(tmp_path).pseudonym("ann", TODAY) == first.pseudonym("ann", TODAY)


def test_two_installations_differ(tmp_path: Path) -> None:
    one = KeyRing.open(Settings(home=tmp_path / "one"), CLOCK).pseudonym("ann", TODAY)
    two = KeyRing.open(Settings(home=tmp_path / "two"), CLOCK).pseudonym("ann", TODAY)
    assert one != two


def pseudonym_of_a_process(home: str) -> int:
    return KeyRing.open(Settings(home=Path(home)), CLOCK).pseudonym("ann", TODAY)


def test_open_at_once_in_several_processes_makes_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.map(pseudonym_of_a_process, [str(tmp_path / "home")] * 6)
    assert len(set(found)) == 1


def test_key_folder_of_the_settings_is_used(tmp_path: Path) -> None:
    KeyRing.open(Settings(home=tmp_path / "home", key_folder=tmp_path / "safe"), CLOCK)
    assert (tmp_path / "safe" / "telemetry.json").is_file()
    assert not (tmp_path / "home.keys").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_file_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_keys(tmp_path / "k" / "telemetry.json", ("2000-01-01", b"k" * 32))
    path.chmod(mode)
    with pytest.raises(StateError, match="readable by its owner alone"):
        KeyRing(path, CLOCK)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"keys": []}', b'{"keys": [{"valid_from": "x", "key": "00"}]}',
                                     b'{"keys": [{"valid_from": "2000-01-01", "key": "00"}]}'])  # fmt: skip
def test_a_damaged_key_file_is_named_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "telemetry.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(IntegrityError, match="restore it"):
        KeyRing(path, CLOCK)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="restore the keys"):
        KeyRing(tmp_path / "telemetry.json", CLOCK)


def test_rotate_serves_days_ahead_and_other_processes_follow(tmp_path: Path) -> None:
    keys, other = ring(tmp_path), ring(tmp_path)
    before, tomorrow = keys.pseudonym("ann", TODAY), TODAY + dt.timedelta(days=1)
    keys.rotate(tomorrow)
    assert keys.pseudonym("ann", TODAY) == before
    assert keys.pseudonym("ann", tomorrow) == other.pseudonym("ann", tomorrow) != before
    assert keys.valid_from == (dt.date(2000, 1, 1), tomorrow)
    with pytest.raises(InvalidValueError, match="must be after 2026-05-05"):
        keys.rotate(tomorrow)


def test_rotate_refuses_a_day_that_has_begun(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="must be after 2026-05-04"):
        ring(tmp_path).rotate(TODAY)


def test_no_secret_in_a_repr(tmp_path: Path) -> None:
    write_keys(tmp_path / "home.keys" / "telemetry.json", ("2000-01-01", b"\x11" * 32))
    keys = ring(tmp_path)
    assert "11" * 8 not in repr(vars(keys)["_keys"])
