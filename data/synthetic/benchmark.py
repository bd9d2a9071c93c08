"""The committed benchmark: a small world whose every byte is known."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from data.synthetic.datasheet import datasheet
from data.synthetic.oracle import measure
from data.synthetic.spec import GENERATOR_VERSION, WorldSpec
from data.synthetic.streaming import FILES, FILMS, INTERACTIONS, TRUTH_FILMS, TRUTH_USERS, USERS, write_world
from data.synthetic.tables import COMPRESSION_LEVEL, frame, read_truth
from data.synthetic.world import Source, World
from workspace.errors import IntegrityError
from workspace.files import sha256_file, write_json, write_text

BENCHMARK: Final = Path(__file__).parent / "benchmark" / "v1"
BENCHMARK_SPEC: Final = {"films": 1_500, "users": 500, "seed": 1, "end": "2026-10-31", "interactions_per_user": 85.0}
MANIFEST: Final = "manifest.json"
DATASHEET: Final = "datasheet.md"


class Manifest(BaseModel):
    """What a benchmark folder holds.

    Attributes:
        name: Name and version of the benchmark.
        generator: Version of the generator that made it.
        made_with: Versions of the libraries that wrote the bytes.
        spec: Specification of the world.
        rows: Rows of each table.
        figures: Difficulty, from :func:`data.synthetic.measure`.
        sha256: Hash of each file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    generator: str
    made_with: dict[str, str]
    spec: dict[str, Any]
    rows: dict[str, int]
    figures: dict[str, Any]
    sha256: dict[str, str]


class Benchmark(BaseModel):
    """A benchmark in memory: the world and the manifest that vouches for it."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    world: World
    manifest: Manifest


def load_benchmark(folder: Path = BENCHMARK, *, verify: bool = True) -> Benchmark:
    """Return the committed benchmark.

    Args:
        folder: Another folder of the same layout.
        verify: Compare every file with its hash first.

    Raises:
        IntegrityError: When a file is missing, added to or not what the manifest says.
    """
    manifest = _manifest(folder)
    if verify:
        for name, expected in manifest.sha256.items():
            _check_file(folder / name, expected)
    tables = {name: pq.read_table(folder / name) for name in FILES}
    world = World(
        spec=WorldSpec.from_dict(manifest.spec),
        films=frame(tables[FILMS]),
        users=frame(tables[USERS]),
        interactions=frame(tables[INTERACTIONS]),
        truth=read_truth(tables[TRUTH_FILMS], tables[TRUTH_USERS]),
    )
    return Benchmark(world=world, manifest=manifest)


def _manifest(folder: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise IntegrityError(
            f"{folder} has no {MANIFEST}", hint="run python -m data.synthetic make-benchmark"
        ) from error
    except ValidationError as error:
        raise IntegrityError(
            f"{folder / MANIFEST} is not a manifest", "must be as written by make-benchmark"
        ) from error
    missing = {*FILES, DATASHEET} - set(manifest.sha256)
    if missing:
        raise IntegrityError(f"{folder / MANIFEST} vouches for no {', '.join(sorted(missing))}", "must name every file")
    return manifest


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise IntegrityError(f"{path} is missing", "must be there", "restore the folder from version control")
    found = sha256_file(path)
    if found != expected:
        raise IntegrityError(
            f"{path} has SHA-256 {found[:12]}…", f"must be {expected[:12]}…", "restore the folder from version control"
        )


def make_benchmark(folder: Path = BENCHMARK, spec: WorldSpec | None = None) -> Manifest:
    """Write the benchmark, replacing what is there.

    Args:
        folder: Where.
        spec: Another world than that of the committed benchmark.
    """
    source = Source(spec or WorldSpec.from_dict(dict(BENCHMARK_SPEC)))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        fresh = Path(name)
        write_world(source, fresh, cells_at_once=1 << 20, level=COMPRESSION_LEVEL)
        tables = {file: pq.read_table(fresh / file) for file in FILES}
        world = World(
            spec=source.spec,
            films=frame(tables[FILMS]),
            users=frame(tables[USERS]),
            interactions=frame(tables[INTERACTIONS]),
            truth=read_truth(tables[TRUTH_FILMS], tables[TRUTH_USERS]),
        )
        figures = measure(world).to_dict()
        write_text(fresh / DATASHEET, datasheet(world, figures, folder.name))
        manifest = Manifest(
            name=f"synthetic-{folder.name}",
            generator=GENERATOR_VERSION,
            made_with={"numpy": np.__version__, "pyarrow": pa.__version__},
            spec=source.spec.to_dict(),
            rows={file.removesuffix(".parquet"): len(table) for file, table in tables.items()},
            figures=figures,
            sha256={file: sha256_file(fresh / file) for file in (*FILES, DATASHEET)},
        )
        write_json(fresh / MANIFEST, manifest.model_dump())
        folder.mkdir(parents=True, exist_ok=True)
        # The manifest goes last: until then the folder fails verification instead of passing half-written.
        for file in (*FILES, DATASHEET, MANIFEST):
            shutil.copyfile(fresh / file, folder / file)
    return manifest


def compare_benchmark(folder: Path = BENCHMARK) -> list[str]:
    """Make the benchmark anew and return how it differs from the folder; nothing when every byte is the same.

    Other versions of numpy or pyarrow may write other bytes for the same rows; a difference says whether the rows
    differ too.
    """
    manifest = _manifest(folder)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        fresh = Path(name) / folder.name
        made = make_benchmark(fresh, WorldSpec.from_dict(manifest.spec))
        differences = []
        for file in (*FILES, DATASHEET):
            if sha256_file(folder / file) != made.sha256[file]:
                same = file in FILES and pq.read_table(folder / file).equals(pq.read_table(fresh / file))
                differences.append(
                    f"{file}: {'same rows, other bytes' if same else 'other content'}"
                    f" (written with {manifest.made_with}, here {made.made_with})"
                )
        return differences
