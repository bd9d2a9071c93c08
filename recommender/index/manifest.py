"""What a version says about itself, with a checksum over its own text."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from recommender.index.quantize import CodeBounds
from workspace.errors import IntegrityError, InvalidValueError

MANIFEST_FILE: Final = "manifest.json"
RUN_KEY: Final = "run"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """Size and SHA-256 of one file of a version."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFacts:
    """Parameters of the usearch graph and what it reached on sample queries.

    Attributes:
        connectivity: Edges a node.
        expansion_add: Breadth of the search while building.
        expansion_search: Breadth of the search when asked; not in usearch's file, so it is kept here.
        dtype: Number type of the stored codes.
        threads: Always 1: with two the bytes differ from build to build.
        slack_columns: Columns added so that all rows have one norm and cosine ranks as the dot product.
        fetch: How many neighbours are asked for.
        recall_at_5: Share of the exact best five found, mean over the sample queries.
        samples: How many sample queries.
    """

    connectivity: int
    expansion_add: int
    expansion_search: int
    dtype: str
    threads: int
    slack_columns: int
    fetch: int
    recall_at_5: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaFacts:
    """What a delta changes of its base.

    Attributes:
        base: The version it stands on, always a full one.
        base_checksum: Checksum of the base's manifest.
        replaced: Base rows with another vector.
        appended: Rows after the last of the base.
        removed: Rows no longer served.
        needs_full: The changes exceed a tenth of the base; a full regeneration is due.
    """

    base: str
    base_checksum: str
    replaced: int
    appended: int
    removed: int
    needs_full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything known of a version but its numbers.

    Attributes:
        version: ``v`` and 12 hexadecimal digits of the content's hash.
        created_at: When it was published, ISO 8601 in UTC; not part of the hash.
        rows: Rows of the version, those of the base included.
        dim: Columns.
        blocks: Column range of each named block.
        norm_bound: M, the largest squared norm of a row stored in this folder.
        bounds: Measured norms of the codes stored in this folder.
        graph: The usearch graph, when there is one.
        delta: What it changes of its base, when it is a delta.
        files: Size and hash of every other file of the folder.
        extra: The caller's facts; ``extra["run"]`` (durations, hosts) is not part of the hash.
        checksum: SHA-256 of all the above.
    """

    version: str
    created_at: str
    rows: int
    dim: int
    blocks: dict[str, tuple[int, int]]
    norm_bound: float
    bounds: CodeBounds
    graph: GraphFacts | None
    delta: DeltaFacts | None
    files: dict[str, StoredFile]
    extra: dict[str, Any]
    checksum: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        content = asdict(self)
        content["blocks"] = {name: list(span) for name, span in self.blocks.items()}
        return content

    def sealed(self) -> Self:
        """Return it with its checksum."""
        content = {**{field.name: getattr(self, field.name) for field in fields(self)}, "checksum": self._digest()}
        return type(self)(**content)

    @property
    def is_sealed(self) -> bool:
        """Whether the checksum is the one of the content."""
        return self.checksum == self._digest()

    @property
    def needs_full(self) -> bool:
        """Whether so much has changed since the base that a full regeneration is due."""
        return self.delta is not None and self.delta.needs_full

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Return the manifest a JSON object holds; KeyError, TypeError or ValueError when it holds none."""
        graph, delta = content["graph"], content["delta"]
        return cls(
            **{name: content[name] for name in ("version", "created_at", "rows", "dim", "norm_bound", "extra")},
            blocks={name: (int(start), int(stop)) for name, (start, stop) in content["blocks"].items()},
            bounds=CodeBounds(**content["bounds"]),
            graph=None if graph is None else GraphFacts(**graph),
            delta=None if delta is None else DeltaFacts(**delta),
            files={name: StoredFile(**facts) for name, facts in content["files"].items()},
            checksum=content["checksum"],
        )

    def _digest(self) -> str:
        content = self.to_dict()
        del content["checksum"]
        return digest_of(content)


def digest_of(content: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Return the SHA-256 of a value's canonical JSON.

    Raises:
        InvalidValueError: When JSON can't hold it.
    """
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"extra can't be JSON: {error}", "must be plain finite values, lists and string-keyed dicts"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def stable_part(extra: dict[str, Any]) -> dict[str, Any]:
    """Return what of the caller's facts goes into the version's id: all but ``run``."""
    return {key: value for key, value in extra.items() if key != RUN_KEY}


def plain(extra: dict[str, Any]) -> dict[str, Any]:
    """Return the caller's facts as they come back from the file (tuples are lists there).

    Raises:
        InvalidValueError: When JSON can't hold them.
    """
    digest_of(extra)
    content: dict[str, Any] = json.loads(json.dumps(extra))
    return content


def check_blocks(blocks: dict[str, tuple[int, int]], dim: int) -> dict[str, tuple[int, int]]:
    """Return the column ranges when they lie inside the row and do not overlap.

    Raises:
        InvalidValueError: When a range is empty, outside or overlaps another.
    """
    end = 0
    for name, (start, stop) in sorted(blocks.items(), key=lambda item: item[1]):
        if not (end <= start < stop <= dim):
            raise InvalidValueError(
                f"block {name!r} == columns {start} to {stop}", f"must lie in 0 to {dim}, not empty, without overlap"
            )
        end = stop
    return {name: (int(start), int(stop)) for name, (start, stop) in blocks.items()}


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a version's folder.

    Raises:
        IntegrityError: When it is missing, unreadable or not what its checksum says.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = Manifest.from_dict(json.loads(path.read_bytes()))
        sound = manifest.is_sealed and manifest.version == folder.name and math.isfinite(manifest.norm_bound)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InvalidValueError) as error:
        raise IntegrityError(f"{path} can't be read: {error!r}", "", _REBUILD) from error
    if not sound:
        raise IntegrityError(f"{path} is damaged", "must match its own checksum and folder", _REBUILD)
    return manifest


_AXES: Final = 2
_REBUILD: Final = "roll back to another version, or build this one again"


def check_vectors(vectors: np.ndarray, dim: int | None, blocks: dict[str, tuple[int, int]]) -> np.ndarray:
    """Return the vectors as contiguous float32 rows, all finite.

    Args:
        vectors: ``(n, dim)`` numbers.
        dim: How many columns they must have; None: any.
        blocks: Column ranges, to name the place of a bad number.

    Raises:
        InvalidValueError: When the shape is wrong or a number is NaN or infinite, with its row and block.
    """
    if vectors.ndim != _AXES or vectors.shape[1] == 0 or (dim is not None and vectors.shape[1] != dim):
        wanted = "(rows, columns)" if dim is None else f"(rows, {dim})"
        raise InvalidValueError(f"vectors.shape == {vectors.shape}", f"must be {wanted}")
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    for start in range(0, len(rows), 65_536):
        finite = np.isfinite(rows[start : start + 65_536])
        if not finite.all():
            row, column = (int(index[0]) for index in np.nonzero(~finite))
            raise InvalidValueError(
                f"vectors[{start + row}, {column}] == {rows[start + row, column]} in block"
                f" {_block_of(blocks, column)!r}",
                "must be finite",
                "look at the features of that row",
            )
    return rows


def _block_of(blocks: dict[str, tuple[int, int]], column: int) -> str:
    return next((name for name, (start, stop) in blocks.items() if start <= column < stop), "none")
