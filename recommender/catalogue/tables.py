"""CSV files of unknown quality to tables of text, row by row accounted for."""

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recommender.catalogue.encoding import decode
from recommender.catalogue.quarantine import QuarantineLog
from recommender.catalogue.schema import require_columns
from workspace.errors import SchemaError

Progress = Callable[[str, int, int], None]

UNPACKED_AT_MOST_BYTES: Final = 500 * 1024**2
RATIO_AT_MOST: Final = 100
WRONG_WIDTH: Final = "wrong number of columns"
_CELL_AT_MOST: Final = UNPACKED_AT_MOST_BYTES
_MB: Final = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of one file whose width is right.

    Args:
        name: The file, relative to the folder.
        encoding: How its bytes were read.
        read: Data rows in the file, those of a wrong width included.
        numbers: Number of each row in the file, counting data rows from 1.
        columns: The cells by column name.
    """

    name: str
    encoding: str
    read: int
    numbers: list[int]
    columns: dict[str, list[str]]

    def cells(self, column: str) -> list[str]:
        """Return the cells of a column, empty texts when the file does not have it."""
        return self.columns.get(column) or [""] * len(self.numbers)


def read_table(path: Path, root: Path, needed: tuple[str, ...], log: QuarantineLog) -> Table:
    """Read a CSV file, or the one CSV file in a zip archive.

    Args:
        path: The file.
        root: The folder its name is told relative to.
        needed: Columns it must have.
        log: Where rows of a wrong width go.

    Returns:
        Its rows.

    Raises:
        SchemaError: When it can't be read, is empty, not text, not CSV, lacks a column, or is a zip bomb.
    """
    name = path.relative_to(root).as_posix()
    raw = _unpacked(path, name) if path.suffix == ".zip" else _bytes(path, name)
    text, encoding = decode(raw, name)
    before = csv.field_size_limit(_CELL_AT_MOST)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise SchemaError(f"{name} is not CSV: {error}", hint="export the file again, with quoted cells") from error
    finally:
        csv.field_size_limit(before)
    header = [column.strip() for column in rows[0]]
    require_columns(header, needed, name)
    kept, numbers = [], []
    for number, row in enumerate(rows[1:], start=1):
        if len(row) == len(header):
            kept.append(row)
            numbers.append(number)
        else:
            log.refuse(name, number, row[0], WRONG_WIDTH, f"{len(row)} cells instead of {len(header)}")
    cells = [list(column) for column in zip(*kept, strict=True)] if kept else [[] for _ in header]
    return Table(name=name, encoding=encoding, read=len(rows) - 1, numbers=numbers,
                 columns=dict(zip(header, cells, strict=True)))  # fmt: skip


def _bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SchemaError(f"{name} can't be read: {error.strerror}", hint="check its permissions") from error


def _unpacked(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".csv")]
            if len(members) != 1:
                raise SchemaError(f"{name} holds {len(members)} CSV files", "must hold one", "pack the one file")
            member = members[0]
            if member.file_size > max(_MB, RATIO_AT_MOST * member.compress_size):
                raise _bomb(name, f"unpacks to more than {RATIO_AT_MOST} times its size")
            with archive.open(member) as stream:
                # The size in the directory is a claim; what is read is the fact.
                raw = stream.read(UNPACKED_AT_MOST_BYTES + 1)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise SchemaError(f"{name} is not a readable zip archive: {error}", hint="download it again") from error
    if len(raw) > UNPACKED_AT_MOST_BYTES:
        raise _bomb(name, f"unpacks to more than {UNPACKED_AT_MOST_BYTES // _MB} MB")
    return raw


def _bomb(name: str, what: str) -> SchemaError:
    return SchemaError(f"{name} {what}", f"must stay below {UNPACKED_AT_MOST_BYTES // _MB} MB and {RATIO_AT_MOST}:1",
                       "unpack it yourself if you trust it")  # fmt: skip
