"""Taking a person out of files of lines: logs, refused rows, deliveries that wait or were taken in.

A file is written anew beside the old one and put in its place by one rename, so that it is whole at any moment. A log
is written anew under the lock its writers take.
"""

import gzip
import json
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.erasure.needles import Needles
from audit.erasure.rows import without
from telemetry.private_files import write_private
from workspace.errors import StateError
from workspace.files import file_lock, write_bytes
from workspace.logs import LOG_FILE
from workspace.paths import Paths

_LINES: Final = (".jsonl", ".ndjson", ".json", ".csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What lines about a person carry.

    Args:
        needles: The person.
        transactions: Requests that were theirs alone.
        slates: Their slates.
    """

    needles: Needles
    transactions: frozenset[str] = frozenset()
    slates: frozenset[str] = frozenset()

    def about(self, line: str) -> bool:
        """Tell whether a line is about the person."""
        if self.needles.is_in(line):
            return True
        if not self.transactions and not self.slates:
            return False
        try:
            values = json.loads(line)
        except ValueError:
            return False
        return isinstance(values, dict) and (
            values.get("transaction_id") in self.transactions or values.get("slate_id") in self.slates
        )


def erase_logs(paths: Paths, traces: Traces) -> dict[str, int]:
    """Drop the lines of all logs that are about a person; return how many, by file."""
    dropped: Counter[str] = Counter()
    for path in sorted(paths.logs.glob("*.jsonl*")):
        with _log_lock(paths):
            dropped[path.name] += drop_lines(path, traces.about)
    return {name: count for name, count in dropped.items() if count}


def erase_refused(paths: Paths, traces: Traces) -> dict[str, int]:
    """Drop the refused rows of telemetry that name a person; return how many, by file."""
    dropped = {
        path.name: drop_lines(path, traces.about) for path in sorted((paths.telemetry / "quarantine").glob("*.jsonl"))
    }
    return {name: count for name, count in dropped.items() if count}


def erase_deliveries(paths: Paths, traces: Traces) -> dict[str, int]:
    """Drop what deliveries say of a person: a document that is about them goes, a file of rows loses theirs.

    Raises:
        StateError: When a delivery in another form names them: it must be taken in first.
    """
    dropped: Counter[str] = Counter()
    for path in _deliveries(paths):
        where = path.relative_to(paths.spool)
        name = where.parts[0] if len(where.parts) > 1 else path.name
        if path.parent.name in {"done", "refused", "arrivals"} and _mentions(path, traces.needles):
            # Copies of what was taken in, kept for a day or to be mended; an event of the inbox is one file.
            path.unlink(missing_ok=True)
            dropped[name] += 1
        elif path.suffix in _LINES:
            dropped[name] += drop_lines(path, traces.about)
        elif _mentions(path, traces.needles):
            raise StateError(
                f"{path} waits and names the user",
                "must be taken in first",
                "run `recommendr ingest --due`, then again",
            )
    return {name: count for name, count in dropped.items() if count}


def _deliveries(paths: Paths) -> Iterator[Path]:
    yield from (path for path in sorted(paths.spool.rglob("*")) if path.is_file() and not path.name.startswith("."))


def _mentions(path: Path, needles: Needles) -> bool:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        return any(
            needles.is_in(str(value))
            for column in table.columns
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            for value in column.unique().to_pylist()
            if value is not None
        )
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return needles.is_in(content.decode("utf-8", "replace"))


@contextmanager
def _log_lock(paths: Paths) -> Iterator[None]:
    lock = paths.logs / f".{LOG_FILE}.lock"
    with file_lock(lock) if lock.exists() else nullcontext():
        yield


def drop_lines(path: Path, about: Callable[[str], bool]) -> int:
    """Write a file of lines anew without some, and return how many; a file that has none of them is left alone."""
    try:
        content = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0
    lines = content.splitlines(keepends=True)
    kept = [line for line in lines if not about(line.decode("utf-8", "replace"))]
    if len(kept) == len(lines):
        return 0
    if mode & 0o077 == 0:
        write_private(path, b"".join(kept))
    else:
        write_bytes(path, b"".join(kept))
    return len(lines) - len(kept)


def erase_from_documents(paths: Paths, needles: Needles) -> dict[str, int]:
    """Take a person's name out of JSON documents about many people; return how many changed, by folder."""
    changed: Counter[str] = Counter()
    for folder in (paths.telemetry, paths.monitoring):
        for path in sorted(folder.glob("*.json")):
            content = path.read_text("utf-8", "replace")
            if needles.is_in(content):
                write_bytes(path, without(content, needles).encode())
                changed[folder.name] += 1
    return dict(changed)
