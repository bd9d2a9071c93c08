"""Snapshots of the catalogue on disk: immutable folders named by their content, and a pointer to the current one.

A folder appears under its name at once and complete; the pointer is switched by one rename after it. Killed anywhere
in between, the last good snapshot is still the current one, and the next save finishes the job.
"""

import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.catalogue.model import Catalogue
from recommender.catalogue.schema import (
    conform_films,
    conform_interactions,
    conform_provenance,
    conform_quarantine,
    conform_users,
)
from workspace.errors import IntegrityError, SchemaError, StateError, UnknownError
from workspace.files import (
    folder_lock,
    publish_folder,
    read_pointer,
    sha256_file,
    sweep_temporaries,
    write_json,
    write_pointer,
)
from workspace.paths import Paths

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
POINTER: Final = "current"
CONFIRMED: Final = "confirmed.json"
_DOORS: Final = {
    "films": conform_films,
    "users": conform_users,
    "interactions": conform_interactions,
    "quarantine": conform_quarantine,
    "provenance": conform_provenance,
}
_RESTORE: Final = "import the data again, or switch to another snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotEntry:
    """A snapshot as the list shows it."""

    snapshot_id: str
    imported_at: str
    confirmed_at: str
    counts: dict[str, int]
    current: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return {"snapshot_id": self.snapshot_id, "imported_at": self.imported_at, "confirmed_at": self.confirmed_at,
                "counts": self.counts, "current": self.current}  # fmt: skip


def save_catalogue(catalogue: Catalogue, paths: Paths, *, current: bool = True) -> Path:
    """Store a catalogue and, unless told otherwise, make it the current one.

    A snapshot with the same content is not written twice: its hashes are checked and the moment of this import is
    noted as its last confirmation. A damaged one is replaced.

    Args:
        catalogue: What to store.
        paths: The workspace.
        current: Whether to switch to it.

    Returns:
        The folder of the snapshot.

    Raises:
        StateError: When the file system refuses.
    """
    final = paths.catalogue / catalogue.snapshot_id
    with folder_lock(paths.catalogue):
        sweep_temporaries(paths.catalogue)
        if final.exists() and not _intact(final):
            _set_aside(final)
        if not final.exists():
            with publish_folder(final) as folder:
                _write(catalogue, folder)
        _confirm(catalogue, paths)
        if current:
            write_pointer(paths.catalogue / POINTER, catalogue.snapshot_id)
    return final


def load_catalogue(paths: Paths, snapshot_id: str | None = None) -> Catalogue:
    """Open a snapshot after checking the hash of every file of it.

    Args:
        paths: The workspace.
        snapshot_id: Which; None for the current one.

    Returns:
        The catalogue.

    Raises:
        StateError: When nothing was imported yet.
        UnknownError: When there is no such snapshot.
        IntegrityError: When a file is missing or not what its hash says.
    """
    folder = _folder(paths, snapshot_id)
    manifest = verify_snapshot(folder)
    frames = {name: _read(folder / f"{name}.parquet") for name in _DOORS}
    facts = dict(manifest["facts"])
    facts["confirmed_at"] = _confirmations(paths).get(folder.name, facts.get("imported_at"))
    return Catalogue(snapshot_id=folder.name, manifest=facts, **frames)


def list_catalogues(paths: Paths) -> list[SnapshotEntry]:
    """Return all snapshots, the latest import first; one whose manifest is damaged has no counts."""
    current = read_pointer(paths.catalogue / POINTER)
    confirmed = _confirmations(paths)
    entries = []
    for folder in sorted(paths.catalogue.glob("c*/")) if paths.catalogue.is_dir() else ():
        try:
            facts = _manifest(folder)["facts"]
        except IntegrityError:
            facts = {}
        imported = str(facts.get("imported_at") or "")
        entries.append(
            SnapshotEntry(snapshot_id=folder.name, imported_at=imported,
                          confirmed_at=confirmed.get(folder.name, imported), counts=facts.get("counts", {}),
                          current=folder.name == current)
        )  # fmt: skip
    return sorted(entries, key=lambda entry: (entry.imported_at, entry.snapshot_id), reverse=True)


def switch_catalogue(paths: Paths, snapshot_id: str) -> None:
    """Make another snapshot the current one, after checking its hashes.

    Raises:
        UnknownError: When there is no such snapshot.
        IntegrityError: When it is damaged.
    """
    folder = _folder(paths, snapshot_id)
    verify_snapshot(folder)
    with folder_lock(paths.catalogue):
        write_pointer(paths.catalogue / POINTER, folder.name)


def verify_snapshot(folder: Path) -> dict[str, Any]:
    """Check the manifest of a snapshot and the hash of every file it names.

    Returns:
        The manifest.

    Raises:
        IntegrityError: Naming the file that is missing or not what its hash says.
    """
    manifest = _manifest(folder)
    for name, facts in manifest["files"].items():
        if sha256_file(folder / name) != facts["sha256"]:
            raise IntegrityError(f"{folder / name} is not what its SHA-256 says", hint=_RESTORE)
    return manifest


def _folder(paths: Paths, snapshot_id: str | None) -> Path:
    name = snapshot_id or read_pointer(paths.catalogue / POINTER)
    if name is None:
        raise StateError(
            f"there is no catalogue in {paths.home}", hint="run `recommendr init` or `recommendr import movielens PATH`"
        )
    known = [folder.name for folder in paths.catalogue.glob("c*/")] if paths.catalogue.is_dir() else []
    if name not in known:
        raise UnknownError(f"snapshot {name!r} is not in {paths.catalogue}", hint=f"known are {', '.join(known)}")
    return paths.catalogue / name


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        stated = manifest.pop("sha256")
        names = set(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", hint=_RESTORE) from error
    if stated != _digest(manifest) or names != {f"{name}.parquet" for name in _DOORS}:
        raise IntegrityError(f"{path} is not what its SHA-256 says", hint=_RESTORE)
    return manifest  # type: ignore[no-any-return]


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _write(catalogue: Catalogue, folder: Path) -> None:
    files = {}
    for name in _DOORS:
        frame = getattr(catalogue, name)
        path = folder / f"{name}.parquet"
        pq.write_table(_table(frame), path, compression="zstd")
        files[path.name] = {"sha256": sha256_file(path), "bytes": path.stat().st_size, "rows": len(frame)}
    manifest = {"format": FORMAT, "snapshot_id": catalogue.snapshot_id, "files": files, "facts": catalogue.manifest}
    # Through JSON once, so that the hash is of what will be read back (tuples become lists, keys become text).
    manifest = json.loads(json.dumps(manifest, allow_nan=False))
    write_json(folder / MANIFEST, {**manifest, "sha256": _digest(manifest)})


def _table(frame: pd.DataFrame) -> pa.Table:
    columns = {}
    for name in frame.columns:
        cells = frame[name]
        if cells.dtype == object:
            columns[name] = pa.array(cells.tolist(), type=pa.list_(pa.string()))
        else:
            columns[name] = pa.Array.from_pandas(cells)
    return pa.table(columns)


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} can't be read: {error}", hint=_RESTORE) from error
    columns = {
        field.name: _lists(table[field.name]) if pa.types.is_list(field.type) else table[field.name].to_pandas()
        for field in table.schema
    }
    frame = pd.DataFrame(columns, columns=table.column_names)
    try:
        return _DOORS[path.stem](frame, path.name)
    except SchemaError as error:
        raise IntegrityError(f"{path} has not the columns of this version: {error}", hint=_RESTORE) from error


def _lists(column: pa.ChunkedArray) -> pd.Series:
    """Return the cells as Python lists; equal strings are one object, which halves time and memory."""
    result = np.empty(len(column), dtype=object)
    row = 0
    for chunk in column.chunks:
        encoded = chunk.flatten().dictionary_encode()
        words = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)[:-1]
        values = words[encoded.indices.to_numpy()].tolist()
        offsets = chunk.offsets.to_numpy()
        bounds = (offsets - offsets[0]).tolist()
        for start, stop in pairwise(bounds):
            result[row] = values[start:stop]
            row += 1
    return pd.Series(result, dtype=object)


def _intact(folder: Path) -> bool:
    try:
        verify_snapshot(folder)
    except IntegrityError:
        return False
    return True


def _set_aside(folder: Path) -> None:
    """Take a damaged snapshot out of the way by one rename; killed after it, the next sweep removes the rest."""
    hidden = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _confirmations(paths: Paths) -> dict[str, str]:
    try:
        confirmed = json.loads((paths.catalogue / CONFIRMED).read_bytes())
    except (OSError, ValueError):
        # Only a note of when the same content was seen again: without it the moment of the import stands.
        return {}
    return confirmed if isinstance(confirmed, dict) else {}


def _confirm(catalogue: Catalogue, paths: Paths) -> None:
    imported = catalogue.manifest.get("imported_at")
    if imported:
        write_json(paths.catalogue / CONFIRMED, {**_confirmations(paths), catalogue.snapshot_id: str(imported)})
