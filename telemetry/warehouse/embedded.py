"""The embedded warehouse: an in-memory DuckDB over the visible Parquet parts."""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from telemetry.parts import Part, PartLog
from telemetry.warehouse.markets import read_markets
from telemetry.warehouse.protocol import Step, Window, Windows
from telemetry.warehouse.sql import Value, apart, bound_in, names_in, tables_in, to_duckdb
from telemetry.warehouse.tables import REGION_COLUMNS, REGIONS, ROLLUPS, TABLES, Table, Type
from workspace.errors import IntegrityError, RecommendrError, StateError

if TYPE_CHECKING:
    import pandas as pd

ROW_GROUP: Final = 16_384
_THREADS: Final = 2
_SIDE_BY_SIDE: Final = 4
_Overlay = Mapping[tuple[str, dt.date], Path | None]
"""What is about to be visible: the file of a day made anew, or None for a day that is about to go."""


class EmbeddedWarehouse:
    """Answers canonical SQL over the parts of one workspace; may be used from many threads.

    Args:
        parts: The visible parts.
        memory_mb: Memory the engine may take, MiB; beyond it, it spills into the workspace.
    """

    def __init__(self, parts: PartLog, memory_mb: int = 1_024) -> None:
        self._parts = parts
        self._spill: Final = parts.folder / ".spill"
        self._lock = threading.Lock()
        self._listed: tuple[object, dict[str, list[Part]]] = (None, {})
        self._connection = duckdb.connect(
            config={"memory_limit": f"{memory_mb}MiB", "temp_directory": str(self._spill), "threads": _THREADS}
        )
        # Only what this class names is read: no statement can reach the network or another extension.
        self._connection.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false")
        self._connection.execute("SET preserve_insertion_order = true")
        self._connection.execute("SET parquet_metadata_cache = true")

    @property
    def name(self) -> str:
        """Which engine, for people."""
        return f"DuckDB {duckdb.__version__} over Parquet"

    @property
    def side_by_side(self) -> int:
        """How many statements it takes at a time; every one has a cursor of its own."""
        return _SIDE_BY_SIDE

    def query(
        self,
        sql: str,
        *,
        window: Window | None = None,
        parameters: Mapping[str, Value] | None = None,
        windows: Windows | None = None,
        staged: str = "",
    ) -> "pd.DataFrame":
        """Run a statement; see `Warehouse.query`."""
        values, text = _used(sql, parameters), to_duckdb(sql)
        with self._cursor(sql, window, windows=windows) as cursor:
            if staged:
                step, text = apart(text, staged)
                cursor.execute(f"CREATE TEMP TABLE {staged} AS {step}", {n: values[n] for n in bound_in(step)})
                values = {name: values[name] for name in bound_in(text)}
            frame = cursor.execute(text, values).fetch_df()
        frame.columns = frame.columns.str.lower()
        return frame

    def rows(self, table: Table, window: Window | None = None) -> int:
        """Return how many rows a table has for some days."""
        return sum(part.rows for part in self._visible(table, window))

    def digests(self, table: Table) -> dict[dt.date, str]:
        """Return, for each day or week a rollup has, the digest of the events it was computed from."""
        return {part.date: part.source_digest for part in self._visible(table, None)}

    def apply(self, steps: Sequence[Step]) -> int:
        """Make rollups anew and show them in one transaction; the caller holds `PartLog.writing`."""
        made: dict[tuple[str, dt.date], Path | None] = {}
        added: list[Part] = []
        for step in steps:
            made |= {(step.table.dataset, date): None for date in step.dates}
            if step.sql:
                parts = self._make(step, made)
                made |= {(part.dataset, part.date): part.path for part in parts}
                added += parts
        old = [part for table in ROLLUPS for part in self._visible(table, None) if (table.dataset, part.date) in made]
        self._parts.commit(added=added, retired=[part.part_id for part in old])
        return sum(part.rows for part in added)

    def version(self) -> object:
        """Return something that changes whenever a part is added or retired."""
        return self._parts.version()

    def close(self) -> None:
        """Let go of the engine."""
        self._connection.close()

    def _make(self, step: Step, made: _Overlay) -> list[Part]:
        sql, values = to_duckdb(step.sql), _used(step.sql, step.parameters)
        with self._cursor(step.sql, step.window, made) as cursor:
            if len(step.dates) == 1:  # a large day never passes through Python
                return [self._copied(cursor, sql, values, step)]
            table: pa.Table = cursor.sql(sql, params=values).to_arrow_table()
        days = table.column(step.table.moment).cast(pa.date32())
        return [
            self._written(table.filter(pc.equal(days, pa.scalar(date))), step.table.dataset, date, digest)
            for date, digest in zip(step.dates, step.digests, strict=True)
        ]

    def _copied(self, cursor: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Value], step: Step) -> Part:
        options = f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP})"
        target = self._parts.target(step.table.dataset, step.dates[0], source_digest=step.digests[0])
        with target as (file, finished):
            cursor.execute(f"COPY ({sql}) TO {_quoted(file)} {options}", values)
        return finished()

    def _written(self, table: pa.Table, dataset: str, date: dt.date, digest: str) -> Part:
        with self._parts.target(dataset, date, source_digest=digest) as (file, finished):
            pq.write_table(table, file, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
        return finished()

    @contextmanager
    def _cursor(
        self, sql: str, window: Window | None, made: _Overlay | None = None, windows: Windows | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._connection.cursor()
        try:
            with _failures_named():
                for name in sorted(tables_in(sql)):
                    chosen = (windows or {}).get(name, [window])
                    _view(cursor, name, self._relation(name, chosen, made or {}))
                yield cursor
        finally:
            cursor.close()

    def _relation(self, name: str, windows: Sequence[Window | None], made: _Overlay) -> str:
        if name == REGIONS:
            pairs = sorted(read_markets(self._parts.folder).items())
            rows = [f"({_duck_literal(region)}, {_duck_literal(market)})" for region, market in pairs]
            columns = ", ".join(column for column, _ in REGION_COLUMNS)
            return f"SELECT * FROM (VALUES {', '.join(rows)}) AS r({columns})"
        table = next(table for table in TABLES if table.name == name)
        listed = (part for window in windows for part in self._visible(table, window))
        kept = (part for part in listed if (part.dataset, part.date) not in made)
        files = {part.date.isoformat() + part.part_id: part.path for part in kept}
        for (dataset, date), path in made.items():
            if dataset == table.dataset and path is not None and any(_within(table, date, one) for one in windows):
                files[f"{date.isoformat()}~"] = path
        if not files:
            return _empty(table.columns)
        names = ", ".join(_quoted(files[key]) for key in sorted(files))
        columns = ", ".join(column for column, _ in table.columns)
        return f"SELECT {columns} FROM read_parquet([{names}], hive_partitioning = false)"

    def _visible(self, table: Table, window: Window | None) -> list[Part]:
        """Return the visible parts of a table, listed anew only when any part was added or retired."""
        version = self._parts.version()
        with self._lock:
            if self._listed[0] != version:
                self._listed = (version, {})
            known = self._listed[1]
            if table.dataset not in known:
                known[table.dataset] = self._parts.parts(table.dataset)
            parts = known[table.dataset]
        return [part for part in parts if _within(table, part.date, window)]


def _view(cursor: duckdb.DuckDBPyConnection, name: str, relation: str) -> None:
    try:
        cursor.execute(f"CREATE TEMP VIEW {name} AS {relation}")
    except duckdb.BinderException as error:
        raise StateError(
            f"{name} was written by an earlier version of this program", hint="run `recommendr telemetry rollup`"
        ) from error


def _within(table: Table, date: dt.date, window: Window | None) -> bool:
    return window is None or table.first_part(window[0]) <= date <= window[1]


def _used(sql: str, parameters: Mapping[str, Value] | None) -> dict[str, Value]:
    given = parameters or {}
    return {name: given[name] for name in names_in(sql)}


def _empty(columns: Sequence[tuple[str, Type]]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns)
    return f"SELECT * FROM (SELECT {nulls}) WHERE FALSE"


def _quoted(path: Path) -> str:
    return _duck_literal(str(path))


def _duck_literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


@contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except RecommendrError:
        raise
    except duckdb.OutOfMemoryException as error:
        raise StateError(
            f"the embedded warehouse lacks memory: {_first_line(error)}",
            hint="raise warehouse_memory_mb, or free space for its spill folder",
        ) from error
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
        raise IntegrityError(
            f"a part of telemetry can't be read: {_first_line(error)}", hint="run `recommendr telemetry doctor`"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
