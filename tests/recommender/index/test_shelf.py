import shutil
from pathlib import Path

import numpy as np
import pytest

from recommender.index import (
    broken_versions,
    current_version,
    list_versions,
    open_version,
    previous_version,
    rollback,
    switch,
    verify,
    write_delta,
    write_version,
)
from tests.recommender.index.conftest import BLOCKS, DIM, clustered
from workspace.errors import IntegrityError, StateError, UnknownError
from workspace.paths import Paths


def write(paths: Paths, seed: int, *, graph: bool = False) -> str:
    def attach(folder: Path) -> None:
        (folder / "ids.txt").write_text("318 296 593\n" * 20)

    return write_version(
        paths, vectors=clustered(300, seed=seed), blocks=BLOCKS, attachments=attach, graph=graph
    ).version


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, str, str]:
    """A full version with every kind of file, and a delta over it."""
    paths = Paths(tmp_path_factory.mktemp("published")).ensure()
    full = write(paths, 0, graph=True)
    delta = write_delta(paths, full, replaced=[1], vectors=np.ones((2, DIM)), removed=[2]).version
    return paths, full, delta


@pytest.fixture
def copied(published: tuple[Paths, str, str], tmp_path: Path) -> tuple[Paths, str, str]:
    home, full, delta = published
    shutil.copytree(home.home, tmp_path / "copy")
    return Paths(tmp_path / "copy"), full, delta


FULL_FILES = ("codes.npy", "graph.usearch", "ids.txt", "manifest.json", "steps.npy", "vectors.npy")
DELTA_FILES = ("codes.npy", "manifest.json", "removed.npy", "replaced.npy", "steps.npy", "vectors.npy")


def test_the_files_tested_are_all_there_are(published: tuple[Paths, str, str]) -> None:
    paths, full, delta = published
    for version, files in ((full, FULL_FILES), (delta, DELTA_FILES)):
        assert sorted(path.name for path in (paths.indexes / version).iterdir()) == list(files)
        assert verify(paths, version) == []


@pytest.mark.parametrize("place", [0.0, 0.37, 0.999])
@pytest.mark.parametrize(
    ("kind", "file"), [("full", name) for name in FULL_FILES] + [("delta", name) for name in DELTA_FILES]
)
def test_flipped_bit_is_found_and_refused(copied: tuple[Paths, str, str], kind: str, file: str, place: float) -> None:
    paths, full, delta = copied
    version = full if kind == "full" else delta
    switch(paths, full)
    path = paths.indexes / version / file
    content = bytearray(path.read_bytes())
    # The last byte of the manifest is its line end: flip inside the object.
    content[min(int(place * len(content)), len(content) - 3)] ^= 0x04
    path.write_bytes(content)
    assert [problem.file for problem in verify(paths, version)] == [f"{version}/{file}"]
    with pytest.raises(IntegrityError):
        open_version(paths, version, verify=True)
    with pytest.raises(IntegrityError):
        switch(paths, version)
    assert current_version(paths) == full


@pytest.mark.parametrize("left", [0, 1, 60, -1])
@pytest.mark.parametrize("file", FULL_FILES)
def test_truncated_file_is_refused_at_any_opening(copied: tuple[Paths, str, str], file: str, left: int) -> None:
    paths, full, delta = copied
    path = paths.indexes / full / file
    content = path.read_bytes()
    assert len(content[:left]) < len(content)
    path.write_bytes(content[:left])
    if file == "manifest.json" and left == -1:  # only the line end is gone: the object is whole
        assert open_version(paths, full).version == full
        return
    for version in (full, delta):
        assert verify(paths, version)
        with pytest.raises(IntegrityError):
            open_version(paths, version)
        with pytest.raises(IntegrityError):
            switch(paths, version)


@pytest.mark.parametrize("file", FULL_FILES)
def test_missing_and_foreign_files_are_found(copied: tuple[Paths, str, str], file: str) -> None:
    paths, full, _ = copied
    (paths.indexes / full / file).rename(paths.indexes / full / "stranger")
    files = {problem.file for problem in verify(paths, full)}
    assert f"{full}/{file}" in files
    if file != "manifest.json":  # without it nothing can be called foreign
        assert f"{full}/stranger" in files
    with pytest.raises(IntegrityError):
        open_version(paths, full)


def test_damaged_manifest_is_listed_as_broken(copied: tuple[Paths, str, str]) -> None:
    paths, full, delta = copied
    (paths.indexes / full / "manifest.json").write_text('{"version": "v1"}')
    assert [manifest.version for manifest in list_versions(paths)] == [delta]
    assert list(broken_versions(paths)) == [full]


def test_switch_moves_current_and_rollback_walks_back(paths: Paths) -> None:
    a, b, c = (write(paths, seed) for seed in range(3))
    assert current_version(paths) is None
    for version in (a, b, c, c):
        switch(paths, version)
        assert open_version(paths).version == version
    assert previous_version(paths) == b
    assert rollback(paths) == b
    assert open_version(paths).version == b
    assert rollback(paths) == a
    with pytest.raises(StateError, match="no earlier index version"):
        rollback(paths)
    assert current_version(paths) == a


def test_rollback_after_a_return_leads_to_what_was_current_before(paths: Paths) -> None:
    a, b = write(paths, 0), write(paths, 1)
    for version in (a, b, a):
        switch(paths, version)
    assert rollback(paths) == b
    assert rollback(paths) == a


def test_rollback_to_a_damaged_version_is_refused(paths: Paths) -> None:
    a, b = write(paths, 0), write(paths, 1)
    switch(paths, a)
    switch(paths, b)
    (paths.indexes / a / "steps.npy").write_bytes(b"")
    with pytest.raises(IntegrityError, match="damaged"):
        rollback(paths)
    assert current_version(paths) == b


def test_reader_keeps_its_version_through_a_switch(paths: Paths) -> None:
    a, b = write(paths, 0), write(paths, 1)
    switch(paths, a)
    reader = open_version(paths)
    before = reader.search(np.ones(DIM), k=5)
    switch(paths, b)
    after = reader.search(np.ones(DIM), k=5)
    assert reader.version == a
    assert after.scores.tobytes() == before.scores.tobytes()
    assert open_version(paths).version == b
    assert open_version(paths).search(np.ones(DIM), k=5).scores.tobytes() != before.scores.tobytes()


def test_switch_to_an_unknown_version_names_those_there_are(paths: Paths) -> None:
    a = write(paths, 0)
    with pytest.raises(UnknownError, match=a):
        switch(paths, "v0123456789ab")


@pytest.mark.parametrize("step", ["forward", "back"])
def test_kill_between_pointer_and_record_changes_no_story(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    a, b, c = (write(paths, seed) for seed in range(3))
    switch(paths, a)
    switch(paths, b)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    # Going forward the record is written first; going back the pointer is.
    monkeypatch.setattr(f"recommender.index.shelf.{'write_pointer' if step == 'forward' else 'write_json'}", killed)
    with pytest.raises(Killed):
        _ = switch(paths, c) if step == "forward" else rollback(paths)
    monkeypatch.undo()
    assert current_version(paths) == (b if step == "forward" else a)
    assert previous_version(paths) == (a if step == "forward" else None)
    switch(paths, c)
    assert rollback(paths) == (b if step == "forward" else a)


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"../../x", b"{}"])
def test_damaged_pointer_is_named_and_cured_by_a_switch(paths: Paths, content: bytes) -> None:
    a = write(paths, 0)
    switch(paths, a)
    (paths.indexes / "current").write_bytes(content)
    with pytest.raises(IntegrityError, match="current"):
        open_version(paths)
    switch(paths, a)
    assert open_version(paths).version == a


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_damaged_record_of_switches_stops_only_the_way_back(paths: Paths, content: bytes) -> None:
    a, b = write(paths, 0), write(paths, 1)
    switch(paths, a)
    (paths.indexes / "switches.json").write_bytes(content)
    assert open_version(paths).version == a
    with pytest.raises(IntegrityError, match="switches"):
        rollback(paths)
    switch(paths, b)
    assert current_version(paths) == b
