"""Writing and opening versions: one immutable folder each, published by one rename.

A full version holds ``vectors.npy`` (float32), ``codes.npy`` (int8), ``steps.npy`` and perhaps ``graph.usearch``. A
*delta* holds the same for the rows that changed since its base, and names the base; it contains all changes since, so
that there is never a chain. Both may hold files of the caller.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommender.index.graph import CONNECTIVITY, EXPANSION_ADD, Graph, Progress, build_graph, open_graph
from recommender.index.manifest import (
    FORMAT,
    MANIFEST_FILE,
    DeltaFacts,
    Manifest,
    StoredFile,
    check_blocks,
    check_vectors,
    digest_of,
    plain,
    read_manifest,
    stable_part,
)
from recommender.index.measure import measured
from recommender.index.quantize import CodeBounds, Coder
from recommender.index.search import IndexVersion
from recommender.index.segment import Segment
from recommender.index.shelf import folder_of, known_version, sizes_wrong
from recommender.index.shelf import verify as verify_files
from workspace.clock import Clock, SystemClock
from workspace.errors import IntegrityError, InvalidValueError
from workspace.files import folder_lock, publish_folder, sha256_file, sweep_temporaries, write_json
from workspace.paths import Paths

VECTORS: Final = "vectors.npy"
CODES: Final = "codes.npy"
STEPS: Final = "steps.npy"
GRAPH: Final = "graph.usearch"
REPLACED: Final = "replaced.npy"
REMOVED: Final = "removed.npy"
OWN_FILES: Final = (VECTORS, CODES, STEPS, GRAPH, REPLACED, REMOVED, MANIFEST_FILE)
# From here on a graph pays for its build; under it the scan takes a few milliseconds.
GRAPH_ROWS: Final = 200_000
FULL_SHARE: Final = 0.1

Attach = Callable[[Path], None]


def write_version(
    paths: Paths,
    *,
    vectors: NDArray[np.floating],
    blocks: dict[str, tuple[int, int]],
    extra: dict[str, Any] | None = None,
    attachments: Attach | None = None,
    graph: bool | None = None,
    sample_queries: ArrayLike | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Manifest:
    """Publish a full version, or return the one with the same content.

    Args:
        paths: The workspace.
        vectors: ``(rows, dim)``, finite; stored as float32.
        blocks: Column range of each named block.
        extra: The caller's facts, as JSON holds them; ``extra["run"]`` does not count for the version's id.
        attachments: Called with a folder to put the caller's own files in; they count for the id.
        graph: Whether to build a graph; None: from 200,000 rows on.
        sample_queries: ``(m, dim)`` to measure the graph's recall on; None: blends of rows.
        progress: Told of the stage, rows done and rows in all.
        clock: Where the time of creation comes from.

    Returns:
        Its manifest. It is not yet the current version: see `switch`.

    Raises:
        InvalidValueError: When a number is NaN or infinite, or shapes and ranges do not fit.
        StateError: When the disk refuses.
    """
    rows = check_vectors(vectors, None, blocks)
    facts = plain(extra or {})
    ranges = check_blocks(blocks, rows.shape[1])
    if not len(rows):
        raise InvalidValueError("rows == 0", "must be >= 1", "import a catalogue first")
    with_graph = len(rows) >= GRAPH_ROWS if graph is None else graph

    def fill(folder: Path) -> tuple[CodeBounds, Graph | None]:
        bounds = _write_segment(folder, rows, progress)
        if not with_graph:
            return bounds, None
        segment = _open_segment(folder, bounds)
        built = measured(build_graph(segment.codes, progress), segment, sample_queries)
        built.save(folder / GRAPH)
        return bounds, built

    content = {
        "format": FORMAT,
        "blocks": ranges,
        "vectors": _digest(rows),
        "graph": [CONNECTIVITY, EXPANSION_ADD] if with_graph else None,
        "extra": stable_part(facts),
    }
    return _publish(
        paths,
        content,
        fill,
        attachments,
        clock,
        rows=len(rows),
        dim=rows.shape[1],
        blocks=ranges,
        extra=facts,
        delta=None,
    )


def write_delta(
    paths: Paths,
    base: str,
    *,
    replaced: ArrayLike,
    vectors: NDArray[np.floating],
    removed: ArrayLike = (),
    extra: dict[str, Any] | None = None,
    attachments: Attach | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Manifest:
    """Publish a version that differs from another in some rows; that one is not touched.

    Rows of the base keep their numbers, new rows follow after the last. When the base is a delta itself, the new
    version stands on the same full version and holds the changes of both.

    Args:
        paths: The workspace.
        base: The version that has changed.
        replaced: Its rows that have another vector (a removed row among them is served again).
        vectors: float32 ``(len(replaced) + new rows, dim)``: those of the replaced rows, then the new rows.
        removed: Its rows that are no longer served; their numbers are not used again.
        extra: As `write_version`.
        attachments: As `write_version`; what the base holds is not taken over.
        progress: As `write_version`.
        clock: As `write_version`.

    Returns:
        Its manifest; ``needs_full`` tells that a full regeneration is due.

    Raises:
        InvalidValueError: When rows are unknown or named twice, or numbers are bad.
        UnknownError: When there is no such base.
        IntegrityError: When the base is damaged.
    """
    old = open_version(paths, base)
    rows = check_vectors(vectors, old.dim, old.blocks)
    facts = plain(extra or {})
    change = _collapse(
        paths, old, _row_numbers(replaced, "replaced", old.rows), rows, _row_numbers(removed, "removed", old.rows)
    )
    root = change.root

    def fill(folder: Path) -> tuple[CodeBounds, None]:
        _save(folder / REPLACED, change.replaced)
        _save(folder / REMOVED, change.removed)
        return _write_segment(folder, change.vectors, progress), None

    appended = len(change.vectors) - len(change.replaced)
    touched = len(change.vectors) + len(change.removed)
    delta = DeltaFacts(
        base=root.version,
        base_checksum=root.checksum,
        replaced=len(change.replaced),
        appended=appended,
        removed=len(change.removed),
        needs_full=touched > FULL_SHARE * root.rows,
    )
    content = {
        "format": FORMAT,
        "base": root.version,
        "replaced": _digest(change.replaced),
        "removed": _digest(change.removed),
        "vectors": _digest(change.vectors),
        "extra": stable_part(facts),
    }
    return _publish(
        paths,
        content,
        fill,
        attachments,
        clock,
        rows=root.rows + appended,
        dim=root.dim,
        blocks=root.blocks,
        extra=facts,
        delta=delta,
    )


def open_version(paths: Paths, version: str | None = None, *, verify: bool = False) -> IndexVersion:
    """Open a version, mapped from its files; several may be open at once.

    Args:
        paths: The workspace.
        version: Its name; None: the current one.
        verify: Read every byte and compare the hashes; sizes and headers are always compared.

    Raises:
        StateError: When no version is current.
        UnknownError: When there is no such version.
        IntegrityError: When it, or its base, is not what its manifest says.
    """
    folder = folder_of(paths, known_version(paths, version))
    manifest = read_manifest(folder)
    problems = verify_files(paths, manifest.version) if verify else sizes_wrong(folder, manifest)
    if problems:
        raise IntegrityError(
            f"version {manifest.version} is damaged: {problems[0]}",
            "every file must be as its manifest says",
            "roll back to another version, or build this one again",
        )
    if manifest.delta is None:
        segment = _open_segment(folder, manifest.bounds, (manifest.rows, manifest.dim))
        graph = None
        if manifest.graph is not None:
            graph = open_graph(folder / GRAPH, manifest.graph, manifest.rows, manifest.dim)
        return IndexVersion(
            manifest=manifest, folder=folder, segments=[segment], graph=graph, removed=np.empty(0, dtype=np.int64)
        )
    return _open_delta(paths, manifest, manifest.delta, folder)


def _open_delta(paths: Paths, manifest: Manifest, delta: DeltaFacts, folder: Path) -> IndexVersion:
    base = open_version(paths, delta.base)
    if base.manifest.checksum != delta.base_checksum:
        raise IntegrityError(f"version {manifest.version} stands on another {delta.base}", "", "build it again")
    replaced, removed = _load(folder / REPLACED), _load(folder / REMOVED)
    rows = np.concatenate([replaced, np.arange(base.rows, manifest.rows)])
    stored = _open_segment(folder, manifest.bounds, (len(rows), manifest.dim))
    overlay = Segment(vectors=stored.vectors, codes=stored.codes, steps=stored.steps, bounds=stored.bounds, rows=rows)
    live = np.ones(base.rows, dtype=np.bool_)
    live[replaced] = False
    segments = [base.base_segment(live), overlay] if len(rows) else [base.base_segment(live)]
    return IndexVersion(manifest=manifest, folder=folder, segments=segments, graph=base.graph, removed=removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """All that differs from a full version: replaced rows, then appended ones, and what is no longer served."""

    root: Manifest
    replaced: NDArray[np.int64]
    vectors: NDArray[np.float32]
    removed: NDArray[np.int64]


def _collapse(
    paths: Paths,
    old: IndexVersion,
    replaced: NDArray[np.int64],
    vectors: NDArray[np.float32],
    removed: NDArray[np.int64],
) -> _Change:
    """Return the new changes together with those the old version already has."""
    if len(vectors) < len(replaced):
        raise InvalidValueError(f"len(vectors) == {len(vectors)}", f"must be >= {len(replaced)}, one a replaced row")
    both = np.intersect1d(replaced, removed)
    if len(both):
        raise InvalidValueError(f"row {both[0]} is replaced and removed", "must be one of them")
    root, before, gone = old.manifest, replaced[:0], removed[:0]
    if old.manifest.delta is not None:
        root = read_manifest(folder_of(paths, old.manifest.delta.base))
        before, gone = _load(old.folder / REPLACED), _load(old.folder / REMOVED)
    in_root = np.union1d(before, replaced[replaced < root.rows])
    places = np.concatenate([in_root, np.arange(root.rows, old.rows)])
    known = old.take(places)
    known[np.searchsorted(places, replaced)] = vectors[: len(replaced)]
    return _Change(
        root=root,
        replaced=in_root,
        vectors=np.concatenate([known, vectors[len(replaced) :]]),
        removed=np.union1d(np.setdiff1d(gone, replaced), removed),
    )


def _row_numbers(rows: ArrayLike, name: str, limit: int) -> NDArray[np.int64]:
    numbers = np.asarray(rows)
    if numbers.size == 0:
        return np.empty(0, dtype=np.int64)
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise InvalidValueError(f"{name} == {numbers.dtype} of shape {numbers.shape}", "must be a list of row numbers")
    numbers = numbers.astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= limit:
        raise InvalidValueError(f"{name} has rows {numbers.min()} to {numbers.max()}", f"must lie in 0 to {limit - 1}")
    if len(np.unique(numbers)) != len(numbers):
        raise InvalidValueError(f"{name} names a row twice", "must name each row once")
    return numbers


def _publish(
    paths: Paths,
    content: dict[str, Any],
    fill: Callable[[Path], tuple[CodeBounds, Graph | None]],
    attachments: Attach | None,
    clock: Clock | None,
    **facts: Any,  # noqa: ANN401 - fields of the manifest, checked there
) -> Manifest:
    with folder_lock(paths.indexes), _attached(paths, attachments) as attached:
        files = _facts_of(attached)
        content["attachments"] = {name: stored.sha256 for name, stored in files.items()}
        version = f"v{digest_of(content)[:12]}"
        final = folder_of(paths, version)
        if final.is_dir():
            if not verify_files(paths, version):
                return read_manifest(final)
            # Readers keep what they have mapped; the name becomes free for a sound copy.
            final.rename(attached.with_name(f".broken-{attached.name[1:]}"))
        with publish_folder(final) as folder:
            bounds, graph = fill(folder)
            for entry in sorted(attached.iterdir()):
                entry.rename(folder / entry.name)
            manifest = Manifest(
                version=version,
                created_at=(clock or SystemClock()).now().isoformat(),
                norm_bound=bounds.row_norm**2,
                bounds=bounds,
                graph=None if graph is None else graph.facts,
                files=_facts_of(folder),
                **facts,
            ).sealed()
            write_json(folder / MANIFEST_FILE, manifest.to_dict())
        sweep_temporaries(paths.indexes)
        return manifest


@contextmanager
def _attached(paths: Paths, attachments: Attach | None) -> Iterator[Path]:
    """Yield a temporary folder with the caller's files, before the version they belong to has a name."""
    sweep_temporaries(paths.indexes)
    folder = Path(tempfile.mkdtemp(prefix=".attachments.", suffix=".tmp", dir=paths.indexes))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # so that no sweeper takes it for abandoned
        if attachments is not None:
            attachments(folder)
        taken = sorted({entry.name for entry in folder.iterdir()} & set(OWN_FILES))
        if taken:
            raise InvalidValueError(f"attachment == {taken[0]!r}", "must not bear the name of the version's own file")
        yield folder
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)


def _facts_of(folder: Path) -> dict[str, StoredFile]:
    return {
        path.relative_to(folder).as_posix(): StoredFile(sha256=sha256_file(path), bytes=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _write_segment(folder: Path, vectors: NDArray[np.float32], progress: Progress | None) -> CodeBounds:
    _save(folder / VECTORS, vectors)
    coder = Coder(vectors)
    _save(folder / STEPS, coder.steps)
    done = 0
    with (folder / CODES).open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|i1", "fortran_order": False, "shape": vectors.shape})
        for codes in coder.chunks():
            stream.write(codes.tobytes())
            done += len(codes)
            if progress is not None:
                progress("codes", done, len(vectors))
    return coder.bounds


def _open_segment(folder: Path, bounds: CodeBounds, shape: tuple[int, int] | None = None) -> Segment:
    segment = Segment(
        vectors=_load(folder / VECTORS), codes=_load(folder / CODES), steps=_load(folder / STEPS), bounds=bounds
    )
    wanted = shape or segment.vectors.shape
    fits = segment.vectors.shape == segment.codes.shape == wanted and segment.steps.shape == wanted[1:]
    if not fits or segment.vectors.dtype != np.float32 or segment.codes.dtype != np.int8:
        raise IntegrityError(
            f"{folder.name} holds {segment.vectors.shape} vectors and {segment.codes.shape} codes",
            f"must be float32 and int8 of shape {wanted}",
        )
    return segment


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as stream:
        np.lib.format.write_array(stream, array, allow_pickle=False)


def _load(path: Path) -> Any:  # noqa: ANN401 - the caller knows the type it stored
    """Return a stored array, mapped from its file unless it is empty.

    Raises:
        IntegrityError: When the file does not hold an array.
    """
    try:
        with path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if 0 in shape:
            return np.empty(shape, dtype=dtype)
        # As a plain array over the map: np.memmap costs microseconds at every slice.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", "", "build the version again") from error


def _digest(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()
