"""Parquet: events by column, read a batch of rows at a time."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from telemetry.events import NUMBERS, REQUIRED, TEXTS, TIMES
from telemetry.ingest.chunk import ROW, ROWS, Chunk
from telemetry.ingest.json_lines import extra_of
from workspace.columns import Event
from workspace.errors import SchemaError

_CONTRACT: Final = frozenset(Event.CONTRACT)


def read_parquet(stream: IO[bytes], position: Mapping[str, Any] | None, name: str) -> Iterator[Chunk]:
    """Yield the events of a Parquet file.

    Args:
        stream: The file.
        position: Where an earlier run stopped.
        name: Of the source, for errors.

    Raises:
        SchemaError: When it is damaged, lacks a required column or has one of the wrong type.
    """
    try:
        file = pq.ParquetFile(stream, pre_buffer=False)
        _check(file.schema_arrow, name)
        yield from _chunks(file, int(position["row"]) if position else 0)
    except (pa.ArrowException, OSError) as error:
        raise SchemaError(f"{name} is a damaged Parquet file: {error}", hint="copy or write it again") from error


def _chunks(file: pq.ParquetFile, done: int) -> Iterator[Chunk]:
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    per_row = sum(group.total_byte_size for group in groups) / max(file.metadata.num_rows, 1)
    first, row = 0, 0
    while first < len(groups) and row + groups[first].num_rows <= done:
        row += groups[first].num_rows
        first += 1
    for batch in file.iter_batches(ROWS, row_groups=range(first, len(groups))):
        row += batch.num_rows
        kept = batch.slice(max(0, done - (row - batch.num_rows)))
        if kept.num_rows:
            yield _chunk(pa.table(kept), row, int(per_row * kept.num_rows))


def _chunk(table: pa.Table, end: int, size: int) -> Chunk:
    first = end - table.num_rows + 1
    rows = pa.array(np.arange(first, end + 1))
    unknown = [name for name in table.column_names if name not in _CONTRACT]
    known = table.select([name for name in table.column_names if name in _CONTRACT])
    known = known.append_column(Event.EXTRA, _extras(table, unknown)).append_column(ROW, rows)

    def look_up(row: int) -> tuple[bytes, Mapping[str, Any]]:
        record = table.slice(row - first, 1).to_pylist()[0]
        return json.dumps(record, default=_text, sort_keys=True).encode(), record

    return Chunk(table=known, refusals=[], position={"row": end}, size=size, look_up=look_up)


def _extras(table: pa.Table, unknown: list[str]) -> pa.Array:
    if not unknown:
        return pa.nulls(table.num_rows, pa.string())
    records = table.select([*unknown, Event.USER]).to_pylist()
    present = [{name: _plain(value) for name, value in record.items() if value is not None} for record in records]
    return pa.array([extra_of(record) for record in present], pa.string())


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    return value if isinstance(value, str | int | float) else json.loads(json.dumps(value, default=_text))


def _text(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)


def _check(schema: pa.Schema, name: str) -> None:
    names = schema.names
    if len(set(names)) != len(names):
        raise SchemaError(f"{name} names a column twice", "must name every column once")
    missing = [required for required in REQUIRED if required not in names]
    if missing:
        raise SchemaError(f"{name} lacks {', '.join(missing)}", f"must have {', '.join(REQUIRED)}")
    for field in schema:
        wanted = _wanted(field)
        if wanted:
            raise SchemaError(f"{field.name} in {name} is {field.type}", f"must be {wanted}")


def _wanted(field: pa.Field) -> str:
    """Return what the column must be when it is not."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if pa.types.is_null(kind) or text:
        return ""
    if field.name in TEXTS and not pa.types.is_integer(kind):
        return "text"
    if field.name in TIMES and not pa.types.is_timestamp(kind):
        return "a timestamp, or ISO-8601 text with a zone"
    if field.name in NUMBERS and not number:
        return "a number"
    return ""
