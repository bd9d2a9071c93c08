"""Snapshots on disk: whole or absent, named by what they were computed from, lossless.

A folder a snapshot: the cells by hash bucket, the same by region (a scorecard never reads the thousands of the first),
by device, the exposures and the facts. A folder of the same request and day that was computed from other events is
stale and goes when the new one is there.
"""

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.cells import Cells
from workspace.errors import IntegrityError, StateError
from workspace.files import publish_folder, sweep_temporaries, write_bytes
from workspace.paths import Paths

FOLDER: Final = "experiments"
_SUMS: Final = "sums"
_FACTS: Final = "facts.json"
_PLAIN: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_DAMAGED: Final = "remove the folder of sums: they are computed again"


class Shelf:
    """Keeps what was computed for one experiment.

    Args:
        paths: The workspace.
        experiment_id: Which experiment.

    Raises:
        StateError: When its id can't be a folder's name.
    """

    def __init__(self, paths: Paths, experiment_id: str) -> None:
        if not _PLAIN.fullmatch(experiment_id):
            raise StateError(f"sums of experiment {experiment_id!r} can't be kept", "its id must be a plain name")
        self.folder: Final = paths.home / FOLDER / experiment_id / _SUMS

    def load(self, name: str, key: str, tables: tuple[str, ...]) -> tuple[dict[str, pa.Table], dict[str, Any]] | None:
        """Return some tables and the facts of a folder, or None when there is none.

        Raises:
            IntegrityError: When a file of it is damaged.
        """
        folder = self.folder / f"{name}.{key}"
        try:
            facts = json.loads((folder / _FACTS).read_text("utf-8"))
            return {table: _read(folder / f"{table}.parquet") for table in tables}, facts
        except FileNotFoundError:
            # Never made, or replaced by another process just now.
            return None
        except (pa.ArrowException, ValueError) as error:
            raise IntegrityError(f"the sums in {folder} are damaged: {error}", hint=_DAMAGED) from error

    def keep(self, name: str, key: str, tables: dict[str, pa.Table], facts: dict[str, Any]) -> None:
        """Publish a folder and remove those it replaces."""
        final = self.folder / f"{name}.{key}"
        if not final.exists():
            try:
                with publish_folder(final) as temporary:
                    for table, rows in tables.items():
                        write_bytes(temporary / f"{table}.parquet", _bytes(rows))
                    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False)
                    write_bytes(temporary / _FACTS, text.encode())
            except StateError:
                # Another process has published the same in the meantime.
                if not final.exists():
                    raise
        sweep_temporaries(self.folder)
        for old in self.folder.glob(f"{name}.*"):
            if old != final:
                shutil.rmtree(old, ignore_errors=True)

    def purge(self) -> None:
        """Remove everything that was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


def purge_all(paths: Paths) -> None:
    """Remove the kept sums of every experiment, as an erasure of users must."""
    for folder in (paths.home / FOLDER).glob(f"*/{_SUMS}"):
        shutil.rmtree(folder, ignore_errors=True)


def exposures_table(frame: pd.DataFrame) -> pa.Table:
    """Return the exposures as they are kept."""
    return pa.Table.from_pandas(frame, preserve_index=False)


def cells_of(tables: dict[str, pa.Table], name: str) -> Cells:
    """Return cells as they were kept."""
    return Cells.from_table(tables[name])


def _read(path: Path) -> pa.Table:
    # Opened by name: a folder called date=… above it is no partition.
    with pq.ParquetFile(path) as file:
        return file.read(use_threads=False)


def _bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", compression_level=1, use_dictionary=False)
    return stream.getvalue()
