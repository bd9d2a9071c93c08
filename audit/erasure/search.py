"""The proof: every byte of every file of a home is searched for the traces of a person, packed content unpacked.

Plain bytes alone would miss much, so three readings go over the same files. *Bytes*: each file as it lies on the disk.
*Unpacked*: what gzip, Zstandard, bzip2, xz and zip files hold. *Decoded*: the values of the columns of Parquet files
(dictionary-encoded and compressed on disk) and of every table of the database (a long text of SQLite is cut into pages,
so that bytes miss what crosses a cut). An id of fewer than six bytes turns up anywhere by chance: it is looked for as a
value where a column or a field holds users (a film may bear the same id), and the proof says that plain bytes of such
an id prove nothing.
"""

import bz2
import gzip
import lzma
import mmap
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import MetaData, String, cast, or_, select

from audit.erasure.needles import Needles
from workspace.store import Store

LEDGER: Final = "ledger"
UNSEEN: Final = (
    "blocks of the disk that deleted files occupied, until the file system uses them again",
    "copies outside the home: backups, replicas, a Kafka topic, Snowflake, the memory of a running console",
    "numbers computed from many people's acts: they hold no id; index and market means were computed anew",
)
_PACKED: Final = (".gz", ".zst", ".bz2", ".xz", ".zip", ".npz")
_TEXTS: Final = (".json", ".jsonl", ".ndjson", ".csv", ".toml", ".txt", ".log", ".prom", ".md", ".html", ".svg", "")
_DATABASE: Final = ("recommendr.db", "recommendr.db-wal", "recommendr.db-journal")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Traces found.

    Args:
        where: The file under the home, or the table and column.
        form: How the trace is written.
        reading: ``bytes``, ``unpacked`` or ``decoded``.
        count: How many.
    """

    where: str
    form: str
    reading: str
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"where": self.where, "form": self.form, "reading": self.reading, "count": self.count}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a search looked through and what it found.

    Args:
        files: Files read.
        bytes: Their size.
        unpacked: Files whose packed content was read as well.
        decoded: Parquet files whose columns were read as values.
        columns: Columns of the database that were read as values.
        forms: The forms of a trace, each with how many bytes of how many pseudonyms and ids.
        telling: Whether the id is long enough for plain bytes to prove anything.
        hits: Traces left, outside the ledger.
        ledger: Numbers of ledger records that name the person: records are never erased.
        unreadable: Files that could not be read to the end.
        unseen: What no search of these files can see.
    """

    files: int
    bytes: int
    unpacked: int
    decoded: int
    columns: int
    forms: tuple[str, ...]
    telling: bool
    hits: tuple[Hit, ...]
    ledger: tuple[int, ...]
    unreadable: tuple[str, ...]
    unseen: tuple[str, ...] = UNSEEN

    @property
    def clean(self) -> bool:
        """Whether nothing is left and everything was read; ledger records are told apart."""
        return not self.hits and not self.unreadable

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "clean": self.clean,
            "files": self.files,
            "bytes": self.bytes,
            "unpacked": self.unpacked,
            "decoded": self.decoded,
            "columns": self.columns,
            "forms": list(self.forms),
            "plain_bytes_are_telling": self.telling,
            "hits": [hit.to_dict() for hit in self.hits],
            "ledger_records": list(self.ledger),
            "unreadable": list(self.unreadable),
            "unseen": list(self.unseen),
        }


@dataclass(slots=True)
class _Found:
    files: int = 0
    bytes: int = 0
    unpacked: int = 0
    decoded: int = 0
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


def search(home: Path, needles: Needles, store: Store | None = None, *, progress: Progress | None = None) -> Proof:
    """Search a home.

    Args:
        home: The folder; links are not followed.
        needles: The traces.
        store: The operational store, whose tables are read as values; None leaves them out.
        progress: Told ``("search", done, total)`` in files.

    Returns:
        What was found.
    """
    found = _Found()
    paths = sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(paths):
        if progress is not None and number % 50 == 0:
            progress("search", number, len(paths))
        _file(home, path, needles, found)
    ledger: list[int] = []
    in_ledger: Counter[str] = Counter()
    columns = 0
    if store is not None:
        columns = _tables(store, needles, found, ledger, in_ledger)
        _explain_ledger(found, in_ledger)
    if progress is not None:
        progress("search", len(paths), len(paths))
    hits = tuple(
        Hit(where=where, form=form, reading=reading, count=count)
        for (where, form, reading), count in sorted(found.counts.items())
        if count > 0
    )
    return Proof(
        files=found.files,
        bytes=found.bytes,
        unpacked=found.unpacked,
        decoded=found.decoded,
        columns=columns,
        forms=tuple(dict.fromkeys(form.name for form in needles.forms)),
        telling=needles.telling,
        hits=hits,
        ledger=tuple(sorted(ledger)),
        unreadable=tuple(found.unreadable),
    )


def _file(home: Path, path: Path, needles: Needles, found: _Found) -> None:
    where = path.relative_to(home).as_posix()
    try:
        size = path.stat().st_size
        found.files += 1
        found.bytes += size
        if needles.is_in(where):
            found.counts[where, "name of the file", "bytes"] += 1
        if size:
            with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _bytes(content, path, where, "bytes", needles, found)
        if path.suffix == ".parquet":
            _parquet(path, where, needles, found)
            found.decoded += 1
        elif path.suffix in _PACKED:
            for inner in _unpacked(path):
                _bytes(inner, path, where, "unpacked", needles, found)
            found.unpacked += 1
    except FileNotFoundError:
        return  # removed while we looked: it is not there any more
    except (OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException) as error:
        found.unreadable.append(f"{where}: {error}")


def _bytes(content: Any, path: Path, where: str, reading: str, needles: Needles, found: _Found) -> None:  # noqa: ANN401 - bytes or a map of them
    for form in needles.forms:
        count = needles.count(content, form) if form.telling else 0
        if count:
            found.counts[where, form.name, reading] += count
    if not needles.telling and path.suffix in _TEXTS:
        # By chance anywhere, and a film may bear it too: only where the text says that it is a user's.
        count = needles.count_said(bytes(content).decode("utf-8", "replace"))
        if count:
            found.counts[where, "id of a user, as the text says", reading] += count


def _unpacked(path: Path) -> Iterator[bytes]:
    if path.suffix in {".zip", ".npz"}:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name)
    elif path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield stream.read()
    else:
        packed = path.read_bytes()
        unpack: dict[str, Callable[[bytes], bytes]] = {
            ".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress,
        }  # fmt: skip
        yield unpack[path.suffix](packed)


def _parquet(path: Path, where: str, needles: Needles, found: _Found) -> None:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for name, kind in zip(schema.names, schema.types, strict=True):
            if pa.types.is_integer(kind) and _may_hold(file, name, needles):
                column = file.read([name])[name]
                wanted = pa.array(needles.pseudonyms, pa.int64())
                count = pc.sum(pc.is_in(column.cast(pa.int64(), safe=False), wanted)).as_py() or 0
                found.counts[f"{where}: {name}", "pseudonym as a number", "decoded"] += count
            elif _holds_texts(kind):
                count = sum(needles.is_value(name, text) for text in _texts(file, name, needles))
                found.counts[f"{where}: {name}", "as text", "decoded"] += count


def _may_hold(file: pq.ParquetFile, name: str, needles: Needles) -> bool:
    """Tell by the kept extremes whether a column of whole numbers can hold a pseudonym."""
    if not needles.pseudonyms:
        return False
    place = file.schema_arrow.names.index(name)
    least, most = min(needles.pseudonyms), max(needles.pseudonyms)
    for group in range(file.metadata.num_row_groups):
        known = file.metadata.row_group(group).column(place).statistics if _flat(file) else None
        if known is None or not known.has_min_max or (known.max >= least and known.min <= most):
            return True
    return False


def _flat(file: pq.ParquetFile) -> bool:
    return bool(file.metadata.num_columns == len(file.schema_arrow.names))


def _holds_texts(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    inner = inner.value_type if pa.types.is_dictionary(inner) else inner
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_binary(inner))


def _texts(file: pq.ParquetFile, name: str, needles: Needles) -> Iterable[str]:
    """Return the values of a column of texts that contain a word searched for."""
    column = file.read([name])[name].combine_chunks()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = column.flatten()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    column = column.cast(pa.large_string())
    mask = None
    for word in needles.words:
        one = pc.match_substring(column, word)
        mask = one if mask is None else pc.or_(mask, one)
    kept: list[str] = column.filter(mask).to_pylist()
    return kept


def _tables(store: Store, needles: Needles, found: _Found, ledger: list[int], in_ledger: Counter[str]) -> int:
    """Look through every column of every table; records of the ledger are told apart."""
    schema = MetaData()
    schema.reflect(store.engine)
    columns = 0
    for table in schema.sorted_tables:
        for column in table.columns:
            columns += 1
            text = cast(column, String)
            query = select(text, *([table.c.seq] if table.name == LEDGER else []))
            query = query.where(or_(*(text.contains(word, autoescape=True) for word in needles.words)))
            with store.reading() as session:
                rows = [row for row in session.execute(query) if row[0] and needles.is_value(column.name, row[0])]
            if table.name == LEDGER:
                ledger += [row[1] for row in rows if row[1] not in ledger]
                for row in rows:
                    in_ledger.update(_by_form(row[0].encode("utf-8", "surrogatepass"), needles))
            elif rows:
                found.counts[f"table {table.name}: {column.name}", "as text", "decoded"] += len(rows)
    return columns


def _by_form(content: bytes, needles: Needles) -> dict[str, int]:
    return {form.name: needles.count(content, form) for form in needles.forms if form.telling}


def _explain_ledger(found: _Found, in_ledger: Counter[str]) -> None:
    """Take the bytes that records of the ledger account for off those found in the file of the database."""
    for form, count in in_ledger.items():
        left = count
        for file in _DATABASE:
            key = (file, form, "bytes")
            taken = min(left, found.counts[key])
            found.counts[key] -= taken
            left -= taken
