"""Catalogue snapshots and index versions that went because they were computed with the data of an erased person.

A slate of anybody may have been made from one of them; its replay then says *erased*, not *unknown*.
"""

import datetime as dt
import json
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recommender.catalogue import list_catalogues
from recommender.index import broken_versions, current_version, list_versions
from recommender.index.shelf import SWITCHES
from workspace.errors import ErasedError, StateError, UnknownError
from workspace.files import file_lock, folder_lock, sweep_temporaries, write_json
from workspace.paths import Paths

NOTES: Final = "erased.json"
_LOCK: Final = ".erased.lock"
_SWITCH_LOCK: Final = ".switch.lock"


def note_erased(paths: Paths, names: Iterable[str], at: dt.datetime) -> None:
    """Remember, before they are removed, that snapshots or versions are erased."""
    with file_lock(paths.catalogue / _LOCK):
        noted = erased_parts(paths)
        write_json(paths.catalogue / NOTES, {**{name: at.isoformat() for name in names}, **noted})


def erased_parts(paths: Paths) -> dict[str, str]:
    """Return what was erased, each with the moment."""
    try:
        noted = json.loads((paths.catalogue / NOTES).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(at) for name, at in noted.items()} if isinstance(noted, dict) else {}


@contextmanager
def erased_named(paths: Paths, *names: str) -> Iterator[None]:
    """Turn *unknown* into *erased* where one of some snapshots or versions was erased.

    Raises:
        ErasedError: When the block needed one that was.
    """
    try:
        yield
    except UnknownError as error:
        noted = erased_parts(paths)
        gone = next((name for name in names if name in noted), None)
        if gone is None:
            raise
        raise ErasedError(
            f"{gone} was erased on {noted[gone][:10]}", "since it was computed with the data of an erased person"
        ) from error


def versions_of(paths: Paths, snapshots: Collection[str]) -> list[str]:
    """Return the index versions that were built on one of some snapshots, or stand on a version that was."""
    known = {entry.snapshot_id for entry in list_catalogues(paths)}
    manifests = {one.version: one for one in list_versions(paths)}
    stale = {
        name
        for name, one in manifests.items()
        if (built_on := str(one.extra.get("snapshot_id"))) in snapshots or built_on not in known
    }
    # A delta stands on its base, which was fitted before.
    stale |= {name for name, one in manifests.items() if one.delta is not None and one.delta.base in stale}
    return sorted(stale | set(broken_versions(paths)))


def remove_versions(paths: Paths, names: Collection[str]) -> None:
    """Remove index versions, the current one never, and forget the way back to them.

    Raises:
        StateError: When one of them is the current one.
    """
    current = current_version(paths)
    if current in names:
        raise StateError(f"version {current} is current", "and can't be removed", "build another one first")
    with file_lock(paths.indexes / _SWITCH_LOCK):
        way = json.loads((paths.indexes / SWITCHES).read_bytes()) if (paths.indexes / SWITCHES).exists() else []
        write_json(paths.indexes / SWITCHES, [name for name in way if name not in names])
        for name in names:
            _remove_folder(paths.indexes / name)
    for folder in (paths.indexes, paths.catalogue):
        sweep_temporaries(folder)


def remove_snapshots(paths: Paths, names: Collection[str]) -> None:
    """Remove catalogue snapshots; the caller has made another one current."""
    with folder_lock(paths.catalogue):
        for name in names:
            _remove_folder(paths.catalogue / name)
        sweep_temporaries(paths.catalogue)


def _remove_folder(folder: Path) -> None:
    """Take a folder away by one rename; killed after it, the next sweep removes the rest."""
    if not folder.is_dir():
        return
    hidden = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
