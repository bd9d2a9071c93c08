import datetime as dt
import hashlib
import json
import os
import stat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from telemetry.pseudonyms import KeyRing
from telemetry.quarantine import KEPT_TEXTS, Quarantine, Refusal, outline, without_user
from workspace.paths import Paths
from workspace.settings import Settings

TODAY = dt.date(2026, 5, 4)


def quarantine(home: Path) -> tuple[Quarantine, KeyRing]:
    keys = KeyRing.open(Settings(home=home))
    return Quarantine(Paths(home), keys), keys


def test_write_keeps_private_lines_with_reason_and_digest(tmp_path: Path) -> None:
    folder, keys = quarantine(tmp_path / "home")
    raw = b'{"user_id": "ann77", "ts": "2026-05-01T00:00:00Z", "device": "fridge of ann77", "mail": "ann77@x.org"}'
    refusals = [
        Refusal(row=3, field="device", reason="unknown device", raw=raw, record=json.loads(raw)),
        Refusal(row=4, field="", reason="malformed JSON", raw=b'{"user_id": "ann77"'),
        Refusal(row=9, field="device", reason="unknown device", raw=raw, record=json.loads(raw)),
    ]
    counts = folder.write("batch_1", "a.jsonl", refusals, TODAY)
    assert counts == {("device", "unknown device"): 2, ("", "malformed JSON"): 1}
    path = folder.path("batch_1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text = path.read_text("utf-8")
    assert "ann" not in text
    first, second, _ = map(json.loads, text.splitlines())
    label = f"user:{keys.pseudonym('ann77', dt.date(2026, 5, 1))}"
    assert first["row"] == 3
    assert first["sha256"] == hashlib.sha256(raw).hexdigest()
    shown = json.loads(first["value"])
    assert shown["user_id"] == label
    assert shown["device"] == f"fridge of {label}"
    assert second["value"] == '{"aaaa_aa": "aaa99"'


def test_write_nothing_leaves_no_file(tmp_path: Path) -> None:
    folder, _ = quarantine(tmp_path / "home")
    assert folder.write("batch_1", "a", [], TODAY) == {}
    assert not folder.folder.exists()


def test_write_limits_what_is_kept(tmp_path: Path) -> None:
    folder, _ = quarantine(tmp_path / "home")
    long = Refusal(row=1, field="", reason="malformed JSON", raw=b"x" * 100_000)
    folder.write("batch_1", "a", [long] * (KEPT_TEXTS + 1), TODAY)
    lines = [json.loads(line) for line in folder.path("batch_1").read_text("utf-8").splitlines()]
    assert len(lines[0]["value"]) == 2_048
    assert lines[-1]["value"] is None
    assert lines[-1]["sha256"] == hashlib.sha256(b"x" * 100_000).hexdigest()


def test_sweep_removes_files_of_batches_never_committed(tmp_path: Path) -> None:
    folder, _ = quarantine(tmp_path / "home")
    refusal = Refusal(row=1, field="", reason="malformed JSON", raw=b"x")
    for batch in ("batch_1", "batch_2"):
        folder.write(batch, "a", [refusal], TODAY)
    (folder.folder / ".batch_3.jsonl.0f.tmp").write_bytes(b"")
    assert folder.sweep({"batch_1"}) == [folder.path("batch_2"), folder.folder / ".batch_3.jsonl.0f.tmp"]
    assert [path.name for path in folder.folder.iterdir()] == ["batch_1.jsonl"]


@given(st.text())
def test_outline_has_no_letter_or_digit_of_its_own(text: str) -> None:
    assert {c for c in outline(text) if c.isalpha()} <= {"a"} | {c for c in text if c.isalpha() and c == "a"}
    assert not {c for c in outline(text) if c.isdecimal()} - {"9"}


def test_without_user_reaches_nested_values_and_keys() -> None:
    value = {"ann77": [{"who": "ann77"}, "xann77x", 5, None, True], "n": 77}
    assert without_user(value, "ann77", "U") == {"U": [{"who": "U"}, "xUx", 5, None, True], "n": 77}
    assert without_user({"n": 77, "t": "a77b"}, "77", "U") == {"n": "U", "t": "a77b"}


def test_without_user_shows_what_is_too_deep_by_outline() -> None:
    value: object = "ann77"
    for _ in range(12):
        value = [value]
    assert "ann" not in json.dumps(without_user(value, "ann77", "U"))


def test_expire_removes_what_was_refused_before_and_nothing_else(tmp_path: Path) -> None:
    folder, _ = quarantine(tmp_path / "home")
    for name in ("old", "new"):
        folder.write(name, "a.jsonl", [Refusal(row=1, field="", reason="malformed JSON", raw=b"{")], TODAY)
    limit = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
    os.utime(folder.path("old"), (0, limit.timestamp() - 1))
    os.utime(folder.path("new"), (0, limit.timestamp() + 1))
    assert folder.expire(limit) == [folder.path("old")]
    assert folder.path("new").exists()
