"""The one door: every chunk, whatever its format, is typed and checked by one query over Arrow."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.events import NUMBERS, RULES, SUSPECT, TEXTS, TIMES, UNPRINTABLE
from telemetry.ingest.chunk import ROW, Chunk
from telemetry.pseudonyms import KeyRing, Pseudonyms
from telemetry.quarantine import Refusal
from workspace.columns import Event

_BATCH_ROWS: Final = 16_384
_FAULT: Final = "fault"
_HASH: Final = "id_hash"
_ZONED: Final = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?([Zz]|[+-]\d\d(:?\d\d)?)"


def connect(memory_mb: int = 512) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB in UTC that never touches the disk or the network by itself.

    Args:
        memory_mb: Its memory limit, MiB.
    """
    connection = duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "preserve_insertion_order": True})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    return connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What came through.

    Args:
        table: The good rows: columns of the event, without the user.
        users: Their pseudonyms, shape ``(n,)``.
        hashes: 64-bit hashes of their ids, shape ``(n,)``.
        refusals: All rows of the chunk that did not come through.
    """

    table: pa.Table
    users: Pseudonyms
    hashes: npt.NDArray[np.uint64]
    refusals: list[Refusal]


def admit(connection: duckdb.DuckDBPyConnection, chunk: Chunk, keys: KeyRing, now: dt.datetime) -> Admitted:
    """Type and check the rows of a chunk, and replace its users by pseudonyms.

    Args:
        connection: From `connect`.
        chunk: The rows.
        keys: Make the pseudonyms.
        now: Stamped on rows that don't say when they were received.
    """
    # DuckDB takes one record batch to one core.
    pieces = pa.Table.from_batches(chunk.table.combine_chunks().to_batches(_BATCH_ROWS), chunk.table.schema)
    connection.register("chunk", pieces)
    try:
        checked = connection.sql(_query(chunk.table.schema, now)).to_arrow_table()
    finally:
        connection.unregister("chunk")
    faults = checked[_FAULT].to_numpy()
    refusals = [*chunk.refusals, *_refused(chunk, checked, faults)]
    if faults.any():
        checked = checked.filter(pc.equal(checked[_FAULT], 0))
    return Admitted(
        table=checked.select([name for name in Event.ALL if name != Event.USER]),
        users=keys.pseudonyms(checked[Event.USER], checked[Event.TS].to_numpy().astype("datetime64[D]")),
        hashes=checked[_HASH].to_numpy(),
        refusals=sorted(refusals, key=lambda refusal: refusal.row),
    )


def hashed(column: str) -> str:
    """Return the SQL of the hash by which ids are compared first."""
    return f"hash({column})"


def _refused(chunk: Chunk, checked: pa.Table, faults: npt.NDArray[Any]) -> list[Refusal]:
    out = []
    rows = checked[ROW].to_numpy()
    for number in np.flatnonzero(faults):
        rule = RULES[int(faults[number]) - 1]
        raw, record = chunk.look_up(int(rows[number]))
        out.append(Refusal(row=int(rows[number]), field=rule.field, reason=rule.reason, raw=raw, record=record))
    return out


def _query(schema: pa.Schema, now: dt.datetime) -> str:
    typed = ", ".join(
        [ROW, *(_typed(name, schema) for name in Event.ALL), *_given(schema), f"{_moment(now)} stamped_at"]
    )
    suspect = f"regexp_matches(concat({', '.join(TEXTS)}), '{UNPRINTABLE}') AS {SUSPECT}"
    received = f"coalesce({Event.RECEIVED_AT}, CASE WHEN NOT given_{Event.RECEIVED_AT} THEN stamped_at END)"
    stamped = f"SELECT * REPLACE ({received} AS {Event.RECEIVED_AT}), {suspect} FROM (SELECT {typed} FROM chunk)"  # noqa: S608 - our own words
    faults = " ".join(f"WHEN {rule.refuses} THEN {number}" for number, rule in enumerate(RULES, 1))
    columns = ", ".join(_stored(name) for name in Event.ALL)
    fault = f"CAST(CASE {faults} ELSE 0 END AS UTINYINT) AS {_FAULT}"
    return f"SELECT {ROW}, {columns}, {fault}, {hashed(Event.ID)} AS {_HASH} FROM ({stamped})"  # noqa: S608 - our own words


def _moment(now: dt.datetime) -> str:
    return f"TIMESTAMP '{now.astimezone(dt.UTC).replace(tzinfo=None).isoformat(sep=' ')}'"


def _given(schema: pa.Schema) -> list[str]:
    return [f"{name} IS NOT NULL AS given_{name}" if name in schema.names else f"FALSE AS given_{name}"
            for name in TIMES + NUMBERS]  # fmt: skip


def _typed(name: str, schema: pa.Schema) -> str:
    if name not in schema.names or pa.types.is_null(schema.field(name).type):
        kind = "TIMESTAMP" if name in TIMES else "DOUBLE" if name in NUMBERS else "VARCHAR"
        return f"CAST(NULL AS {kind}) AS {name}"
    if name in TIMES:
        return f"{_time(name, schema.field(name).type)} AS {name}"
    if name in NUMBERS:
        return f"TRY_CAST({name} AS DOUBLE) AS {name}"
    # An empty text is an absent one.
    return f"nullif(CAST({name} AS VARCHAR), '') AS {name}"


def _time(name: str, kind: pa.DataType) -> str:
    if not pa.types.is_timestamp(kind):
        text = f"CAST({name} AS VARCHAR)"
        parsed = f"TRY_CAST(replace({text}, ',', '.') AS TIMESTAMPTZ)"
        return f"CASE WHEN regexp_full_match({text}, '{_ZONED}') THEN make_timestamp(epoch_us({parsed})) END"
    # Parquet says of a time only whether it is UTC; one without a zone is taken as UTC.
    return f"make_timestamp(epoch_us({name}))" if kind.tz else f"CAST({name} AS TIMESTAMP)"


def _stored(name: str) -> str:
    if name == Event.POSITION:
        return f"TRY_CAST({name} AS SMALLINT) AS {name}"
    return f"CAST({name} AS VARCHAR) AS {name}" if name in TEXTS else name
