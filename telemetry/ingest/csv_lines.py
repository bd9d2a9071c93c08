"""CSV: a head line with the names of the fields, then one event a line; a text in quotes ends on its line."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final

import pyarrow as pa

from telemetry.events import NUMBERS, REQUIRED
from telemetry.ingest.chunk import BYTES, ROW, ROWS, TEXT_SCHEMA, Chunk
from telemetry.ingest.json_lines import extra_of
from telemetry.ingest.lines import Lines, read_lines
from telemetry.quarantine import Refusal
from workspace.columns import Event
from workspace.errors import SchemaError

# Numbers are text here; the door reads them.
SCHEMA: Final = pa.schema([field.with_type(pa.string()) if field.name in NUMBERS else field for field in TEXT_SCHEMA])


class _MalformedError(ValueError):
    """A line that does not fit the head; its text is the reason."""


def read_csv(stream: IO[bytes], position: Mapping[str, Any] | None, name: str) -> Iterator[Chunk]:
    """Yield the events of a CSV stream.

    Args:
        stream: Unpacked bytes.
        position: Where an earlier run stopped.
        name: Of the source, for errors.

    Raises:
        SchemaError: When the head lacks a required field, names one twice or is no text.
    """
    stream.seek(0)
    head = stream.readline(1 << 16)
    names = _names(head, name)
    start = position or {"offset": len(head), "row": 1}
    begun = int(start["offset"])
    waiting: list[Lines] = []
    for lines in read_lines(stream, offset=begun, row=int(start["row"])):
        waiting.append(lines)
        if sum(len(one.numbered) for one in waiting) >= ROWS or lines.end - begun >= BYTES:
            yield _chunk(waiting, names, lines.end - begun)
            waiting, begun = [], lines.end
    if waiting:
        yield _chunk(waiting, names, waiting[-1].end - begun)


def _names(head: bytes, source: str) -> list[str]:
    try:
        names = [name.strip() for name in next(csv.reader([head.decode("utf-8-sig")], strict=True), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SchemaError(f"the head of {source} can't be read", "must be CSV in UTF-8") from error
    missing = [name for name in REQUIRED if name not in names]
    if names and missing:
        raise SchemaError(f"{source} lacks {', '.join(missing)}", f"must have {', '.join(REQUIRED)}")
    if len(set(names)) != len(names):
        raise SchemaError(f"{source} names a column twice", "must name every column once")
    return names


def _chunk(waiting: Sequence[Lines], names: list[str], size: int) -> Chunk:
    refusals = [refusal for lines in waiting for refusal in lines.refusals]
    rows: list[int] = []
    values: list[list[str]] = []
    content: dict[int, bytes] = {}
    for row, line in (numbered for lines in waiting for numbered in lines.numbered):
        try:
            values.append(_fields(line, len(names)))
            rows.append(row)
            content[row] = line
        except _MalformedError as error:
            refusals.append(Refusal(row=row, field="", reason=str(error), raw=line))

    def look_up(row: int) -> tuple[bytes, Mapping[str, Any]]:
        return content[row], _record(names, _fields(content[row], len(names)))

    return Chunk(
        table=_table(names, values, rows),
        refusals=sorted(refusals, key=lambda refusal: refusal.row),
        position={"offset": waiting[-1].end, "row": waiting[-1].row},
        size=size,
        look_up=look_up,
    )


def _fields(line: bytes, width: int) -> list[str]:
    try:
        text = line.decode().removesuffix("\r")
        # Most lines have no quotes: splitting them is several times as fast.
        fields = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
    except UnicodeDecodeError:
        raise _MalformedError("not UTF-8") from None
    except csv.Error:
        raise _MalformedError("malformed CSV") from None
    if len(fields) != width:
        raise _MalformedError("as many fields as the head has names are wanted")
    return fields


def _record(names: Sequence[str], fields: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in zip(names, fields, strict=True) if value}


def _table(names: list[str], values: list[list[str]], rows: list[int]) -> pa.Table:
    columns = dict(zip(names, zip(*values, strict=True), strict=True)) if values else {}
    unknown = [name for name in names if name not in Event.CONTRACT]
    extra = [extra_of(_record(names, fields)) for fields in values] if unknown else [None] * len(values)
    arrays = []
    for field in SCHEMA:
        if field.name == ROW:
            arrays.append(pa.array(rows, pa.int64()))
        elif field.name == Event.EXTRA:
            arrays.append(pa.array(extra, pa.string()))
        elif field.name in columns:
            arrays.append(pa.array([value or None for value in columns[field.name]], pa.string()))
        else:
            arrays.append(pa.nulls(len(rows), pa.string()))
    return pa.table(arrays, schema=SCHEMA)
