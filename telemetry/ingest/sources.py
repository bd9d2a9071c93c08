"""Opening what shall be ingested: its format, its digest, its compression and the limits of that."""

import gzip
import hashlib
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, cast, get_args

from workspace.errors import InvalidValueError, SchemaError, StateError

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: Final = get_args(Format)
STANDARD_INPUT: Final = "-"
MAXIMUM_RATIO: Final = 200
RATIO_COUNTS_FROM: Final = 64 << 20
MAXIMUM_UNPACKED: Final = 64 << 30

_EXTENSIONS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_SNIFFED_BYTES: Final = 4_096
_COPIED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An open source.

    Args:
        name: Where it comes from.
        format: What it is written in.
        digest: SHA-256 of its bytes as they are stored.
        stream: Its content, unpacked, at the beginning; can be moved to any place.
        size: Bytes as stored.
    """

    name: str
    format: Format
    digest: str
    stream: IO[bytes]
    size: int


@contextmanager
def open_source(path: Path | str, format: str | None, staging: Path) -> Iterator[Source]:  # noqa: A002 - as the option
    """Open a file, or the standard input by ``-``.

    Args:
        path: What to read.
        format: One of `FORMATS`; None goes by the name, for the standard input by the first bytes.
        staging: Folder in which the standard input is kept while it is read.

    Raises:
        InvalidValueError: When the format is unknown or can't be told.
        SchemaError: When the content is not what its format says, or UTF-16, or unpacks beyond the limits.
        StateError: When the file is missing, can't be read or changes meanwhile.
    """
    if format is not None and format not in FORMATS:
        raise InvalidValueError(f"--format == {format!r}", f"must be one of {', '.join(FORMATS)}")
    with _raw(path, staging) as raw:
        before = os.fstat(raw.fileno())
        digest = _digest(raw)
        name = "stdin" if str(path) == STANDARD_INPUT else str(Path(path).absolute())
        chosen, stream = _unpacked(raw, name, format)
        try:
            yield Source(name=name, format=chosen, digest=digest, stream=stream, size=before.st_size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SchemaError(f"{name} is a damaged gzip file: {error}", hint="compress or copy it again") from error
        after = os.fstat(raw.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            hint = "ingest it again when its writer has finished: what is known already counts once"
            raise StateError(f"{name} changed while it was read", hint=hint)


def format_of(path: Path) -> Format | None:
    """Return the format a file's name tells, or None.

    Example:
        >>> format_of(Path("events.jsonl.gz"))
        'jsonl'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return _EXTENSIONS.get(suffixes[-1]) if suffixes else None


@contextmanager
def _raw(path: Path | str, staging: Path) -> Iterator[IO[bytes]]:
    if str(path) == STANDARD_INPUT:
        staging.mkdir(parents=True, exist_ok=True)
        # A file without a name: it vanishes with the process, however that ends.
        with tempfile.TemporaryFile(dir=staging) as copy:
            while block := sys.stdin.buffer.read(_COPIED_BYTES):
                copy.write(block)
            copy.flush()
            copy.seek(0)
            yield copy
        return
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise StateError(f"{path} can't be read: {error.strerror}", hint="check the name and its rights") from error
    with stream:
        yield stream


def _digest(raw: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := raw.read(_COPIED_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _unpacked(raw: IO[bytes], name: str, format: str | None) -> tuple[Format, IO[bytes]]:  # noqa: A002
    raw.seek(0)
    packed = raw.read(2) == _GZIP
    raw.seek(0)
    stream = cast("IO[bytes]", LimitedGzip(raw, name, os.fstat(raw.fileno()).st_size)) if packed else raw
    try:
        head = stream.read(_SNIFFED_BYTES)
        stream.seek(0)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SchemaError(f"{name} is a damaged gzip file: {error}", hint="compress or copy it again") from error
    chosen = _chosen(name, format, head)
    if (chosen == "parquet") != head.startswith(_PARQUET) and (head or chosen == "parquet"):
        is_ = "a Parquet file" if chosen != "parquet" else "no Parquet file, or one inside gzip"
        raise SchemaError(f"{name} is {is_}", f"must be {chosen}", "pass the right --format, and Parquet as it is")
    if chosen != "parquet":
        _refuse_utf16(name, head)
    return chosen, stream


def _chosen(name: str, format: str | None, head: bytes) -> Format:  # noqa: A002
    if format is not None:
        return next(known for known in FORMATS if known == format)
    told = format_of(Path(name))
    if told is not None:
        return told
    if name != "stdin":
        known = ", ".join(_EXTENSIONS)
        raise InvalidValueError(f"the name {name} tells no format", f"must end in {known}", "pass --format")
    if head.startswith(_PARQUET):
        return "parquet"
    return "jsonl" if head.removeprefix(_UTF8_BOM).lstrip()[:1] in (b"{", b"") else "csv"


def _refuse_utf16(name: str, head: bytes) -> None:
    # Text in UTF-16 without a mark shows as every other byte zero.
    if head.startswith(_UTF16_BOMS) or head.count(0) * 3 > len(head):
        hint = "convert it: iconv -f utf-16 -t utf-8"
        raise SchemaError(f"{name} is not UTF-8 text (UTF-16, or binary)", "must be UTF-8", hint)


class LimitedGzip(gzip.GzipFile):
    """A gzip file that stops where it unpacks to more than a log ever would.

    Args:
        raw: The packed file.
        name: Its name, for the error.
        size: Its size in bytes.
    """

    def __init__(self, raw: IO[bytes], name: str, size: int) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._named = name
        self._limit = min(max(MAXIMUM_RATIO * size, RATIO_COUNTS_FROM), MAXIMUM_UNPACKED)
        self._packed_size = size

    def read(self, size: int | None = -1) -> bytes:
        """Return up to so many unpacked bytes.

        Raises:
            SchemaError: Beyond the limit.
        """
        block = super().read(size)
        if self.tell() > self._limit:
            what = f"{self._named} ({self._packed_size:,} bytes) unpacks to more than {self._limit:,} bytes"
            limit = f"may unpack to {MAXIMUM_RATIO} times its size (from 64 MiB on), and to 64 GiB"
            raise SchemaError(what, limit, "a gzip bomb? If it is honest, unpack it first")
        return block
