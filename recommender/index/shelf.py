"""The versions on the shelf: which there are, which is current, whether their bytes are still theirs.

The pointer file ``current`` is the truth, switched by one rename. Beside it ``switches.json`` keeps the way back: the
versions that were current, oldest first. It is written before the pointer moves forward and after it moves back, and
read only up to the current version, so that a kill between the two writes leaves both telling the same story.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recommender.index.manifest import MANIFEST_FILE, Manifest, read_manifest
from workspace.errors import IntegrityError, StateError, UnknownError
from workspace.files import file_lock, read_pointer, sha256_file, write_json, write_pointer
from workspace.paths import Paths

POINTER: Final = "current"
SWITCHES: Final = "switches.json"
_SWITCH_LOCK: Final = ".switch.lock"
_NAME: Final = re.compile(r"v[0-9a-f]{12}")
_MOST_SWITCHES: Final = 100
_ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file of a version that is not as it was published.

    Attributes:
        file: Its path under the folder of versions, the version first.
        expected: The SHA-256, the size in bytes, or ``absent``.
        found: What is there instead.
    """

    file: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file} should be {self.expected} and is {self.found}"


def folder_of(paths: Paths, version: str) -> Path:
    """Return where a version lies or would lie."""
    return paths.indexes / version


def known_version(paths: Paths, version: str | None) -> str:
    """Return a version's name when its folder is there; None stands for the current one.

    Raises:
        StateError: When None is asked for and no version is current.
        UnknownError: When there is no such version.
    """
    name = version or current_version(paths)
    if name is None:
        raise StateError("no index version is current", hint="build one, or switch to one that is there")
    if not _NAME.fullmatch(name) or not folder_of(paths, name).is_dir():
        there = ", ".join(_names(paths)) or "none"
        raise UnknownError(f"index version == {name!r}", "must be one that was built", f"there are: {there}")
    return name


def list_versions(paths: Paths) -> list[Manifest]:
    """Return the manifests of all versions, oldest first; those that can't be read are in `broken_versions`."""
    found = []
    for name in _names(paths):
        try:
            found.append(read_manifest(folder_of(paths, name)))
        except IntegrityError:
            continue
    return sorted(found, key=lambda manifest: (manifest.created_at, manifest.version))


def broken_versions(paths: Paths) -> dict[str, str]:
    """Return the versions whose manifest can't be read, with the reason."""
    broken = {}
    for name in _names(paths):
        try:
            read_manifest(folder_of(paths, name))
        except IntegrityError as error:
            broken[name] = str(error)
    return broken


def current_version(paths: Paths) -> str | None:
    """Return the version that is served, or None before the first switch.

    Raises:
        IntegrityError: When the pointer file is damaged.
    """
    return read_pointer(paths.indexes / POINTER)


def previous_version(paths: Paths) -> str | None:
    """Return the version `rollback` leads to, or None.

    Raises:
        IntegrityError: When the pointer or the list of switches is damaged.
    """
    return _before(_way_back(paths))


def switch(paths: Paths, version: str) -> None:
    """Make a version the current one, by one rename, after its hashes are found right.

    Raises:
        UnknownError: When there is no such version.
        IntegrityError: When its files are not what its manifest says; the current version stays.
        StateError: When the disk refuses.
    """
    known_version(paths, version)
    _refuse_damaged(paths, version)
    with file_lock(paths.indexes / _SWITCH_LOCK):
        try:
            way = _way_back(paths)
        except IntegrityError:
            way = []  # a damaged record of the past must not stop the switch that cures it
        if way[-1:] != [version]:
            way = [*way, version][-_MOST_SWITCHES:]
        write_json(paths.indexes / SWITCHES, way)
        write_pointer(paths.indexes / POINTER, version)


def rollback(paths: Paths) -> str:
    """Make the version current that was so before; called again, the one before that.

    Returns:
        The version that is current now.

    Raises:
        StateError: When there was none before.
        UnknownError: When it was removed.
        IntegrityError: When its files are damaged; the current version stays.
    """
    with file_lock(paths.indexes / _SWITCH_LOCK):
        way = _way_back(paths)
        earlier = _before(way)
        if earlier is None:
            raise StateError("there is no earlier index version to go back to", hint="switch to a version by its name")
        known_version(paths, earlier)
        _refuse_damaged(paths, earlier)
        write_pointer(paths.indexes / POINTER, earlier)
        write_json(paths.indexes / SWITCHES, way[:-1])
    return earlier


def verify(paths: Paths, version: str | None = None) -> list[Problem]:
    """Compare every file of a version, and of the base it stands on, with the hashes it was published with.

    Args:
        paths: The workspace.
        version: Its name; None: the current one.

    Returns:
        What is wrong; nothing when it is whole.

    Raises:
        StateError: When None is asked for and no version is current.
        UnknownError: When there is no such version.
    """
    name = known_version(paths, version)
    folder = folder_of(paths, name)
    try:
        manifest = read_manifest(folder)
    except IntegrityError as error:
        return [Problem(file=f"{name}/{MANIFEST_FILE}", expected="readable and sealed", found=str(error))]
    problems = [*sizes_wrong(folder, manifest), *_strangers(folder, manifest)]
    wrong = {problem.file for problem in problems}
    for file, stored in manifest.files.items():
        if f"{name}/{file}" not in wrong and (found := _hash(folder / file)) != stored.sha256:
            problems.append(Problem(file=f"{name}/{file}", expected=stored.sha256, found=found))
    if manifest.delta is not None:
        problems.extend(_base_problems(paths, manifest.delta.base, manifest.delta.base_checksum))
    return problems


def sizes_wrong(folder: Path, manifest: Manifest) -> list[Problem]:
    """Return the files that are missing or of another size: the check that costs nothing."""
    problems = []
    for file, stored in manifest.files.items():
        path = folder / file
        found = f"{path.stat().st_size} bytes" if path.is_file() else _ABSENT
        if found != f"{stored.bytes} bytes":
            problems.append(Problem(file=f"{folder.name}/{file}", expected=f"{stored.bytes} bytes", found=found))
    return problems


def _base_problems(paths: Paths, base: str, checksum: str) -> list[Problem]:
    if not folder_of(paths, base).is_dir():
        return [Problem(file=base, expected="the base of this delta", found=_ABSENT)]
    problems = verify(paths, base)
    if not problems and (found := read_manifest(folder_of(paths, base)).checksum) != checksum:
        problems.append(Problem(file=f"{base}/{MANIFEST_FILE}", expected=checksum, found=found))
    return problems


def _strangers(folder: Path, manifest: Manifest) -> list[Problem]:
    known = {*manifest.files, MANIFEST_FILE}
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return [
        Problem(file=f"{folder.name}/{file}", expected=_ABSENT, found="a file nobody published")
        for file in found
        if file not in known
    ]


def _hash(path: Path) -> str:
    try:
        return sha256_file(path)
    except IntegrityError as error:
        return str(error)


def _refuse_damaged(paths: Paths, version: str) -> None:
    problems = verify(paths, version)
    if problems:
        raise IntegrityError(
            f"version {version} is damaged: {problems[0]}", "", "keep the current version and build this one again"
        )


def _way_back(paths: Paths) -> list[str]:
    """Return the versions that were current, the current one last."""
    current = current_version(paths)
    if current is None:
        return []
    path = paths.indexes / SWITCHES
    try:
        way = json.loads(path.read_bytes()) if path.exists() else []
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", "", "switch to a version by its name") from error
    if not isinstance(way, list) or not all(isinstance(name, str) for name in way):
        raise IntegrityError(f"{path} is damaged", "must be a list of versions", "switch to a version by its name")
    while way and way[-1] != current:
        way.pop()
    return way or [current]


def _before(way: list[str]) -> str | None:
    return next(iter(way[-2:-1]), None)


def _names(paths: Paths) -> list[str]:
    if not paths.indexes.is_dir():
        return []
    return sorted(path.name for path in paths.indexes.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))
