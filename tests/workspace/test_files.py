"""Files: whole or absent, under refusals, faults and SIGKILL."""

import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workspace import files
from workspace.errors import IntegrityError, InvalidValueError, StateError

WRITER = """
import sys
from pathlib import Path
from workspace import files

folder = Path(sys.argv[1])
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    number += 1
    files.write_bytes(folder / "value", (b"%08d" % number) * 20_000)
    with files.publish_folder(folder / f"v{number}") as draft:
        for part in range(3):
            (draft / f"part{part}").write_bytes((b"%08d" % number) * 5_000)
        files.write_json(draft / "manifest.json", {"number": number})
    files.write_pointer(folder / "current", f"v{number}")
    print(number, flush=True)
"""


def test_write_bytes_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x"
    files.write_bytes(path, b"one")
    files.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [child.name for child in path.parent.iterdir()] == ["x"]


def test_write_json_is_readable_and_sorted(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"b": [1.5, None], "a": "Agnès"})
    text = (tmp_path / "x.json").read_text("utf-8")
    assert json.loads(text) == {"a": "Agnès", "b": [1.5, None]}
    assert text.index('"a"') < text.index('"b"')
    assert "Agnès" in text


@pytest.mark.parametrize("value", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}])
def test_write_json_refuses_what_json_can_not_hold(tmp_path: Path, value: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match="can't be JSON"):
        files.write_json(tmp_path / "x.json", value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", ["fsync", "replace", "write"])
def test_write_bytes_fault_keeps_the_old_file_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = tmp_path / "x"
    files.write_bytes(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as fault:
        fault.setattr(os, function, refuse)
        with pytest.raises(StateError, match=r"can't be written: No space left on device\. Hint: free some space"):
            files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_bytes_continues_after_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: whole(descriptor, bytes(content)[:3]))
    files.write_bytes(tmp_path / "x", b"0123456789")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_write_bytes_into_a_file_as_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no folder")
    with pytest.raises(StateError, match="check that the folder exists and is writable"):
        files.write_bytes(tmp_path / "x" / "y", b"")


def test_publish_folder_appears_complete(tmp_path: Path) -> None:
    final = tmp_path / "versions" / "v1"
    with files.publish_folder(final) as draft:
        (draft / "sub").mkdir()
        (draft / "sub" / "x").write_text("1")
        assert draft.parent == final.parent
        assert not final.exists()
    assert (final / "sub" / "x").read_text() == "1"
    assert [path.name for path in final.parent.iterdir()] == ["v1"]


def test_publish_folder_syncs_every_file_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    with files.publish_folder(tmp_path / "v") as draft:
        (draft / "sub").mkdir()
        (draft / "sub" / "x").write_text("1")
    expected = {path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))}
    assert synced == expected


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), OSError(errno.ENOENT, "an input is gone")])
def test_publish_folder_error_inside_leaves_nothing_and_passes(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, files.publish_folder(tmp_path / "v"):
        raise error
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_publish_folder_full_disk_inside_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="free some space"), files.publish_folder(tmp_path / "v"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", ["fsync", "rename"])
def test_publish_folder_fault_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as fault, pytest.raises(StateError, match="Input/output error"):
        fault.setattr(os, function, refuse)
        with files.publish_folder(tmp_path / "v") as draft:
            (draft / "x").write_text("1")
    assert list(tmp_path.iterdir()) == []


def test_publish_folder_never_overwrites(tmp_path: Path) -> None:
    final = tmp_path / "v"
    final.mkdir()
    (final / "x").write_text("first")
    with pytest.raises(StateError, match="published folders never change"), files.publish_folder(final):
        pass
    (final / "x").unlink()
    final.rmdir()
    with pytest.raises(StateError, match="never change"), files.publish_folder(final) as draft:
        (draft / "x").write_text("second")
        with files.publish_folder(final) as faster:
            (faster / "x").write_text("first")
    assert (final / "x").read_text() == "first"
    assert list(tmp_path.iterdir()) == [final]


def test_sweep_removes_leftovers_and_spares_living_writers_and_others(tmp_path: Path) -> None:
    (tmp_path / ".v1.0123.tmp").mkdir()
    (tmp_path / ".v1.0123.tmp" / "x").write_text("half")
    (tmp_path / ".x.0456.tmp").write_text("half")
    (tmp_path / "notes.tmp").write_text("not ours")
    (tmp_path / ".hidden").write_text("not ours")
    with files.publish_folder(tmp_path / "v2") as draft:
        removed = files.sweep_temporaries(tmp_path)
        assert draft.is_dir()
    assert {path.name for path in removed} == {".v1.0123.tmp", ".x.0456.tmp"}
    assert {path.name for path in tmp_path.iterdir()} == {"v2", "notes.tmp", ".hidden"}


def test_sweep_of_a_missing_folder_removes_nothing(tmp_path: Path) -> None:
    assert files.sweep_temporaries(tmp_path / "none") == []


def test_sweep_removes_no_link_target(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / ".x.1.tmp").symlink_to(outside)
    with pytest.raises(StateError):
        files.sweep_temporaries(inside)
    assert outside.is_dir()


def sweep_for(folder: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        files.sweep_temporaries(folder)


def test_sweep_while_others_write_takes_nothing_from_them(tmp_path: Path) -> None:
    sweeper = multiprocessing.get_context("fork").Process(target=sweep_for, args=(tmp_path, 30.0))
    sweeper.start()
    try:
        for number in range(200):
            files.write_bytes(tmp_path / "x", b"%d" % number)
            with files.publish_folder(tmp_path / f"v{number}") as draft:
                (draft / "x").write_text(str(number))
    finally:
        sweeper.terminate()
        sweeper.join()
    assert (tmp_path / "x").read_bytes() == b"199"
    assert all((tmp_path / f"v{number}" / "x").read_text() == str(number) for number in range(200))


@pytest.mark.parametrize("write", ["file", "folder"])
def test_writer_begins_again_when_a_sweeper_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    lock, swept = fcntl.flock, []

    def late(descriptor: int, operation: int) -> None:
        if not swept:
            swept.append(True)
            assert len(files.sweep_temporaries(tmp_path)) == 1
        lock(descriptor, operation)

    # `swept` is filled before the sweep locks, so only the writer's first lock comes too late.
    monkeypatch.setattr(fcntl, "flock", late)
    if write == "file":
        files.write_bytes(tmp_path / "x", b"1")
    else:
        with files.publish_folder(tmp_path / "x"):
            pass
    assert swept
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_sweep_spares_what_got_its_name_in_the_meantime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = tmp_path / ".x.1.tmp"
    leftover.write_text("whole")
    lock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        leftover.rename(tmp_path / "x")
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert files.sweep_temporaries(tmp_path) == []
    assert (tmp_path / "x").read_text() == "whole"


def test_sha256_file_agrees_with_the_digest_of_the_content(tmp_path: Path) -> None:
    content = random.Random(0).randbytes(3_000_000)
    (tmp_path / "x").write_bytes(content)
    assert files.sha256_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()
    with pytest.raises(IntegrityError, match="can't be read"):
        files.sha256_file(tmp_path / "y")


def test_pointer_is_none_at_first_and_switches(tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    assert files.read_pointer(pointer) is None
    files.write_pointer(pointer, "v1")
    files.write_pointer(pointer, "c0ffee.2-x_y")
    assert files.read_pointer(pointer) == "c0ffee.2-x_y"


@pytest.mark.parametrize("value", ["", "../up", "a/b", ".hidden", "two\nlines", "é", "x" * 201])
def test_pointer_refuses_what_is_no_plain_name(tmp_path: Path, value: str) -> None:
    pointer = tmp_path / "current"
    with pytest.raises(InvalidValueError):
        files.write_pointer(pointer, value)
    pointer.write_text(value)
    with pytest.raises(IntegrityError, match="the pointer"):
        files.read_pointer(pointer)


def test_folder_lock_excludes_and_is_let_go(tmp_path: Path) -> None:
    with (
        files.folder_lock(tmp_path / "new"),
        pytest.raises(StateError, match="is locked by another process"),
        files.folder_lock(tmp_path / "new", blocking=False),
    ):
        pass
    with files.folder_lock(tmp_path / "new", blocking=False):
        pass


@pytest.mark.kill
def test_sigkill_at_any_moment_leaves_the_last_good_state(tmp_path: Path) -> None:
    chance = random.Random(7)
    number = current = 0
    for _ in range(25):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        # So many rounds are whole; the kill falls somewhere into the next one.
        for _ in range(chance.randint(1, 3)):
            assert child.stdout.readline()
        time.sleep(chance.uniform(0, 0.03))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        number, earlier = check_whole(tmp_path), current
        current = current_number(tmp_path)
        assert current >= earlier
        files.sweep_temporaries(tmp_path)
        assert not list(tmp_path.glob(".*.tmp"))
    assert number >= 10


def check_whole(folder: Path) -> int:
    """Everything that has a name is complete; returns the newest number."""
    value = folder / "value"
    if value.exists():
        content = value.read_bytes()
        assert content == content[:8] * 20_000
    published = sorted(int(path.name[1:]) for path in folder.glob("v[0-9]*"))
    for number in published:
        version = folder / f"v{number}"
        for part in range(3):
            assert (version / f"part{part}").read_bytes() == (b"%08d" % number) * 5_000
        assert json.loads((version / "manifest.json").read_text()) == {"number": number}
    return max([0, *published])


def current_number(folder: Path) -> int:
    """The number the pointer leads to, which is there."""
    current = files.read_pointer(folder / "current")
    if current is None:
        return 0
    assert (folder / current).is_dir()
    return int(current[1:])
