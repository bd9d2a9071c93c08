"""Lines of a text source, many at a time, with a limit on how long one may be."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from telemetry.events import LONGEST_LINE
from telemetry.quarantine import LONGEST_TEXT, Refusal

BLOCK_BYTES: Final = 8 << 20
TOO_LONG: Final = f"line of more than {LONGEST_LINE:,} bytes"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Consecutive lines.

    Args:
        numbered: Number, from 1, and content of each line that is neither blank nor too long.
        refusals: The lines that are too long.
        end: Offset of what follows, in unpacked bytes.
        row: Number of the last line.
    """

    numbered: list[tuple[int, bytes]]
    refusals: list[Refusal]
    end: int
    row: int


def read_lines(stream: IO[bytes], *, offset: int = 0, row: int = 0) -> Iterator[Lines]:
    """Yield the lines of a stream from an offset on.

    A line longer than a block is never held as a whole: its digest is computed as it passes.

    Args:
        stream: Unpacked bytes.
        offset: Where a line begins.
        row: Number of the line before it.
    """
    stream.seek(offset)
    rest = b""
    while True:
        block = stream.read(BLOCK_BYTES)
        held = rest + block
        cut = held.rfind(b"\n") + 1 if block else len(held)
        if cut:
            found = _split(held[:cut], row, first=offset == 0)
            offset, row, rest = offset + cut, found.row, held[cut:]
            yield Lines(numbered=found.numbered, refusals=found.refusals, end=offset, row=row)
        elif len(held) > BLOCK_BYTES:
            refusal, length, rest = _skipped(stream, held, row + 1)
            offset, row = offset + length, row + 1
            yield Lines(numbered=[], refusals=[refusal], end=offset, row=row)
        else:
            rest = held
        if not block and not rest:
            return


def _split(block: bytes, row: int, *, first: bool) -> Lines:
    lines = block.removesuffix(b"\n").split(b"\n")
    if first:
        lines[0] = lines[0].removeprefix(_BOM)
    numbered = [(number, line) for number, line in enumerate(lines, row + 1) if line and not line.isspace()]
    refusals = []
    if max(map(len, lines)) > LONGEST_LINE:
        refusals = [too_long(number, line) for number, line in numbered if len(line) > LONGEST_LINE]
        numbered = [(number, line) for number, line in numbered if len(line) <= LONGEST_LINE]
    return Lines(numbered=numbered, refusals=refusals, end=0, row=row + len(lines))


def too_long(number: int, line: bytes) -> Refusal:
    """Return the refusal of a line beyond the limit; of its text only the beginning is kept."""
    digest = hashlib.sha256(line).hexdigest()
    return Refusal(row=number, field="", reason=TOO_LONG, raw=line[:LONGEST_TEXT], sha256=digest)


def _skipped(stream: IO[bytes], held: bytes, number: int) -> tuple[Refusal, int, bytes]:
    """Pass over the rest of a long line; return its refusal, its length with its end, and what follows it."""
    digest, length, head = hashlib.sha256(held), len(held), held[:LONGEST_TEXT]
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        line, newline, rest = block.partition(b"\n")
        digest.update(line)
        length += len(line) + len(newline)
        if newline:
            break
    refusal = Refusal(row=number, field="", reason=TOO_LONG, raw=head, sha256=digest.hexdigest())
    return refusal, length, rest
