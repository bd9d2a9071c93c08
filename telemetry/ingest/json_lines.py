"""JSON Lines: one object a line, read by Arrow's parser where it can, line by line with reasons where it can't."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.json

from telemetry.events import DOMAIN_EVENTS, NUMBERS, TEXTS, TIMES
from telemetry.ingest.chunk import BYTES, ROW, ROWS, TEXT_SCHEMA, Chunk
from telemetry.ingest.lines import Lines, read_lines
from telemetry.quarantine import Refusal, without_user
from workspace.columns import Event

DOMAIN_FIELD: Final = "type"
_KNOWN: Final = frozenset(Event.CONTRACT)
# Pieces of a block that Arrow refuses are tried again smaller, so that one bad line costs little.
_PIECES: Final = (1_024, 32)
_PARSED: Final = pa.schema([field for field in TEXT_SCHEMA if field.name in _KNOWN])
# Domain events, and what Arrow takes for numbers and JSON does not know.
_LOOKED_AT_CLOSELY: Final = (b'"type"', b"NaN", b"Inf")
_ARROW_BLOCK: Final = 1 << 20
Numbered = list[tuple[int, bytes]]


class _MalformedError(ValueError):
    """A line that is not one JSON object; its text is the reason."""


def read_json_lines(stream: IO[bytes], position: Mapping[str, Any] | None, *, domain: bool = False) -> Iterator[Chunk]:
    """Yield the events of a stream of JSON lines.

    Args:
        stream: Unpacked bytes.
        position: Where an earlier run stopped.
        domain: Whether lines that are domain events are handed over; they are refused otherwise.
    """
    start = position or {"offset": 0, "row": 0}
    begun = int(start["offset"])
    waiting: list[Lines] = []
    for lines in read_lines(stream, offset=begun, row=int(start["row"])):
        waiting.append(lines)
        if sum(len(one.numbered) for one in waiting) >= ROWS or lines.end - begun >= BYTES:
            yield _chunk(waiting, lines.end - begun, domain=domain)
            waiting, begun = [], lines.end
    if waiting:
        yield _chunk(waiting, waiting[-1].end - begun, domain=domain)


def parse_lines(numbered: Numbered, position: Mapping[str, Any], *, domain: bool) -> Chunk:
    """Return lines that are in memory as one chunk."""
    parsed = _Parsed(domain=domain)
    parsed.take(numbered)
    return parsed.chunk([], position, sum(len(line) for _, line in numbered), dict(numbered))


def _chunk(waiting: Sequence[Lines], size: int, *, domain: bool) -> Chunk:
    parsed = _Parsed(domain=domain)
    for lines in waiting:
        parsed.take(lines.numbered)
    refusals = [refusal for lines in waiting for refusal in lines.refusals]
    position = {"offset": waiting[-1].end, "row": waiting[-1].row}
    return parsed.chunk(refusals, position, size, _Content([lines.numbered for lines in waiting]))


class _Content(dict[int, bytes]):
    """Lines by number, laid out only when one is asked for."""

    def __init__(self, blocks: list[Numbered]) -> None:
        super().__init__()
        self._blocks = blocks

    def __missing__(self, row: int) -> bytes:
        for block in self._blocks:
            self.update(block)
        self._blocks = []
        return self[row]


class _Parsed:
    """Collects what lines hold."""

    def __init__(self, *, domain: bool) -> None:
        self._domain = domain
        self._tables: list[pa.Table] = []
        self._refusals: list[Refusal] = []
        self._messages: list[dict[str, Any]] = []

    def take(self, numbered: Numbered, sizes: Sequence[int] = _PIECES) -> None:
        """Parse lines as a whole, or in ever smaller pieces, at last one by one."""
        if not numbered:
            return
        table = _fast(numbered)
        if table is not None:
            self._tables.append(table)
        elif sizes:
            for start in range(0, len(numbered), sizes[0]):
                self.take(numbered[start : start + sizes[0]], sizes[1:])
        else:
            self._slow(numbered)

    def chunk(
        self, refusals: list[Refusal], position: Mapping[str, Any], size: int, content: Mapping[int, bytes]
    ) -> Chunk:
        """Return all that was taken."""
        return Chunk(
            table=pa.concat_tables([TEXT_SCHEMA.empty_table(), *self._tables]),
            refusals=sorted([*refusals, *self._refusals], key=lambda refusal: refusal.row),
            position=position,
            size=size,
            look_up=lambda row: (content[row], _record_or_none(content[row])),
            messages=self._messages,
        )

    def _slow(self, numbered: Numbered) -> None:
        records: list[tuple[int, dict[str, Any]]] = []
        for row, line in numbered:
            try:
                record = parse_record(line)
            except _MalformedError as error:
                self._refusals.append(Refusal(row=row, field="", reason=str(error), raw=line))
                continue
            if record.get(DOMAIN_FIELD) in DOMAIN_EVENTS and Event.TYPE not in record:
                self._take_message(row, line, record)
                continue
            fault = _wrong_type(record)
            if fault:
                self._refusals.append(Refusal(row=row, field=fault[0], reason=fault[1], raw=line, record=record))
            else:
                records.append((row, record))
        if records:
            self._tables.append(_columns(records))

    def _take_message(self, row: int, line: bytes, record: dict[str, Any]) -> None:
        if self._domain:
            self._messages.append(record)
        else:
            reason = "a film or user event, which nobody here takes in"
            self._refusals.append(Refusal(row=row, field=DOMAIN_FIELD, reason=reason, raw=line))


def parse_record(line: bytes) -> dict[str, Any]:
    """Return the one object of a line.

    Raises:
        ValueError: When it is not exactly one JSON object in UTF-8; its text is the reason, without the content.
    """
    try:
        record = _DECODER.decode(line.decode())
        # A lone half of a surrogate pair is valid JSON and no text.
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeError:
        raise _MalformedError("not UTF-8") from None
    except RecursionError:
        raise _MalformedError("nested too deep") from None
    except _MalformedError:
        raise
    except ValueError:
        raise _MalformedError("malformed JSON") from None
    if not isinstance(record, dict):
        raise _MalformedError("not a JSON object")
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise _MalformedError("a key twice")
    return record


def _no_constant(_: str) -> None:
    raise _MalformedError("NaN or Infinity, which JSON does not know")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _record_or_none(line: bytes) -> dict[str, Any] | None:
    try:
        return parse_record(line)
    except _MalformedError:
        return None


def _fast(numbered: Numbered) -> pa.Table | None:
    """Parse flat objects by Arrow; None when any line needs a closer look."""
    body = b"\n".join([line for _, line in numbered])
    lines = len(numbered)
    # One opening brace a line, at its beginning: then as many rows as lines means one whole object on each line.
    flat = body.count(b"{") == lines and body.count(b"\n{") + body.startswith(b"{") == lines and b"[" not in body
    if not flat or any(word in body for word in _LOOKED_AT_CLOSELY):
        return None
    try:
        body.decode()
        table = pa.json.read_json(
            pa.BufferReader(body),
            read_options=pa.json.ReadOptions(use_threads=True, block_size=max(_ARROW_BLOCK, 2 * len(numbered[0][1]))),
            parse_options=pa.json.ParseOptions(explicit_schema=_PARSED),
        )
        if table.num_rows != lines:
            return None
        extra = _extras(table, numbered)
    except (pa.ArrowInvalid, ValueError):
        return None
    rows = pa.array([row for row, _ in numbered], pa.int64())
    return table.select(_PARSED.names).append_column(TEXT_SCHEMA.field(Event.EXTRA), extra).append_column(ROW, rows)


def _extras(table: pa.Table, numbered: Numbered) -> pa.Array:
    """Return the fields nobody knows; Arrow guesses their types, so they are read from the line as they stand there."""
    if table.num_columns == len(_PARSED):
        return pa.nulls(len(numbered), pa.string())
    return pa.array([extra_of(parse_record(line)) for _, line in numbered], pa.string())


def extra_of(record: Mapping[str, Any]) -> str | None:
    """Return the unknown fields of a record as JSON, the user's raw id replaced; None without any.

    Example:
        >>> extra_of({"event_id": "e1", "user_id": "ann77", "who": "ann77", "mood": 3})
        '{"mood": 3, "who": "user"}'
    """
    unknown = {name: value for name, value in record.items() if name not in _KNOWN}
    if not unknown:
        return None
    hidden = without_user(unknown, record.get(Event.USER), "user")
    return json.dumps(hidden, sort_keys=True, ensure_ascii=False)


def _wrong_type(record: dict[str, Any]) -> tuple[str, str] | None:
    """Return the first field of a type it can't have; whole numbers serve as ids and become text."""
    for name in TEXTS:
        value = record.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            record[name] = str(value)
        elif not isinstance(value, str | None):
            return name, "must be text"
    for name in TIMES:
        if not isinstance(record.get(name), str | None):
            return name, "must be an ISO-8601 time with a zone"
    for name in NUMBERS:
        value = record.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            return name, "must be a number"
        if isinstance(value, int) and abs(value) >= 1 << 53:
            return name, "too large a number"
    return None


def _columns(records: list[tuple[int, dict[str, Any]]]) -> pa.Table:
    arrays = [pa.array([record.get(field.name) for _, record in records], field.type) for field in _PARSED]
    extra = pa.array([extra_of(record) for _, record in records], pa.string())
    rows = pa.array([row for row, _ in records], pa.int64())
    return pa.table([*arrays, extra, rows], schema=TEXT_SCHEMA)
