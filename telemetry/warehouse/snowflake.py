# ruff: noqa: S608 - statements are made of our own names; values become literals through one escape
"""Snowflake as the warehouse: the canonical SQL verbatim, by a Snowpark session.

Events reach it as the same Parquet parts the embedded warehouse reads, by PUT and COPY INTO; rollups are computed
there by the same SELECTs. What a rollup was computed from is kept in a table of its own, and a week is one transaction.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from telemetry.parts import Part, PartLog
from telemetry.warehouse.markets import read_markets
from telemetry.warehouse.protocol import Step, Window, Windows
from telemetry.warehouse.sql import Value, literal, with_literals
from telemetry.warehouse.tables import ADDED, EVENTS, REGION_COLUMNS, REGIONS, TABLES, USER_DAY, Table, table_of
from workspace.errors import RecommendrError, UnreachableError

if TYPE_CHECKING:
    import pandas as pd
    from snowflake.snowpark import Session

STATE: Final = "ROLLUP_STATE"
STAGE: Final = "RECOMMENDR_STAGE"
_STATE_COLUMNS: Final = "dataset VARCHAR, part_date DATE, digest VARCHAR"


class SnowflakeWarehouse:
    """Answers canonical SQL on Snowflake.

    Args:
        session: An open Snowpark session, with database and schema chosen.
        parts: Where the events of a day are, to be loaded before they are rolled up; None when others load them.
    """

    def __init__(self, session: "Session", parts: PartLog | None = None) -> None:
        self._session = session
        self._parts = parts
        self._changes = 0

    @property
    def name(self) -> str:
        """Which engine, for people."""
        return "Snowflake through Snowpark"

    @property
    def side_by_side(self) -> int:
        """How many statements it takes at a time: a session has one connection."""
        return 1

    def create_tables(self) -> None:
        """Create what is missing: the tables, the dimension of regions, the state of rollups and the stage."""
        for table in TABLES:
            self._run(f"CREATE TABLE IF NOT EXISTS {table.name} ({_columns(table.columns)})")
        for column in ADDED:
            # A table from before there was such a column.
            self._run(f"ALTER TABLE {USER_DAY.name} ADD COLUMN IF NOT EXISTS {_columns([column])}")
        self._run(f"CREATE TABLE IF NOT EXISTS {REGIONS} ({_columns(REGION_COLUMNS)})")
        self._run(f"CREATE TABLE IF NOT EXISTS {STATE} ({_STATE_COLUMNS})")
        self._run(f"CREATE STAGE IF NOT EXISTS {STAGE}")

    def set_markets(self, markets: Mapping[str, str]) -> None:
        """Replace the market of every region."""
        rows = ", ".join(f"({literal(region)}, {literal(market)})" for region, market in sorted(markets.items()))
        with self._transaction():
            self._run(f"DELETE FROM {REGIONS}")
            self._run(f"INSERT INTO {REGIONS} VALUES {rows}")

    def load(self, dataset: str, parts: Sequence[Part]) -> None:
        """Replace days of a table by parts.

        Args:
            dataset: ``events`` or the name of a rollup.
            parts: The files; every day of theirs is replaced whole.
        """
        for date, files in groupby(sorted(parts, key=lambda part: (part.date, part.part_id)), lambda part: part.date):
            staged = self._stage(dataset, date, list(files))
            with self._transaction():
                self._replace(table_of(dataset), date, staged)

    def query(
        self,
        sql: str,
        *,
        window: Window | None = None,  # noqa: ARG002 - the statement itself says which days
        parameters: Mapping[str, Value] | None = None,
        windows: Windows | None = None,  # noqa: ARG002 - likewise
        staged: str = "",  # noqa: ARG002 - memory is the engine's own business
    ) -> "pd.DataFrame":
        """Run a statement; see `Warehouse.query`."""
        text = with_literals(sql, parameters or {})
        with _failures_named():
            frame = self._session.sql(text).to_pandas()
        frame.columns = frame.columns.str.lower()
        return frame

    def rows(self, table: Table, window: Window | None = None) -> int:
        """Return how many rows a table has for some days."""
        first, last = window or (dt.date.min, dt.date.max - dt.timedelta(days=1))
        around: dict[str, Value] = {"start": first, "end": last + dt.timedelta(days=1)}
        sql = (
            f"SELECT CAST(COUNT(*) AS BIGINT) AS n FROM {table.name} "
            f"WHERE {table.moment} >= :start AND {table.moment} < :end"
        )
        return int(self.query(sql, parameters=around)["n"].iloc[0])

    def digests(self, table: Table) -> dict[dt.date, str]:
        """Return, for each day or week a rollup has, the digest of the events it was computed from."""
        frame = self.query(
            f"SELECT part_date, digest FROM {STATE} WHERE dataset = :dataset", parameters={"dataset": table.dataset}
        )
        dates = (moment if type(moment) is dt.date else moment.date() for moment in frame["part_date"])
        return dict(zip(dates, frame["digest"], strict=True))

    def apply(self, steps: Sequence[Step]) -> int:
        """Make rollups anew in one transaction, the events of their days loaded first."""
        days = {date for step in steps if step.table.days == 1 for date in step.dates}
        staged = {date: self._stage(EVENTS.dataset, date, self._events(date)) for date in days}
        if self._parts is not None:
            self.set_markets(read_markets(self._parts.folder))
        with self._transaction():
            for date, files in staged.items():
                if self._parts is not None:
                    self._replace(EVENTS, date, files)
            for step in steps:
                self._make(step)
        self._changes += 1
        return sum(self.rows(step.table, (step.dates[0], step.dates[-1])) for step in steps if step.sql)

    def version(self) -> object:
        """Return something that changes whenever this process, or the listing of parts, changed what is stored."""
        return self._changes, self._parts.version() if self._parts is not None else None

    def close(self) -> None:
        """Let go of the session."""
        self._session.close()

    def _events(self, date: dt.date) -> list[Part]:
        return [] if self._parts is None else self._parts.parts(EVENTS.dataset, start=date, end=date)

    def _make(self, step: Step) -> None:
        dataset = literal(step.table.dataset)
        first, last = step.dates[0], step.dates[-1]
        self._run(f"DELETE FROM {step.table.name} WHERE {_around(step.table, first, last)}")
        made = f"part_date >= {literal(first)} AND part_date <= {literal(last)}"
        self._run(f"DELETE FROM {STATE} WHERE dataset = {dataset} AND {made}")
        if step.sql:
            columns = ", ".join(column for column, _ in step.table.columns)
            select = with_literals(step.sql, step.parameters)
            self._run(f"INSERT INTO {step.table.name} ({columns}) {select}")
            rows = (
                f"({dataset}, {literal(date)}, {literal(digest)})"
                for date, digest in zip(step.dates, step.digests, strict=True)
            )
            self._run(f"INSERT INTO {STATE} VALUES {', '.join(rows)}")

    def _stage(self, dataset: str, date: dt.date, parts: Sequence[Part]) -> str:
        """Put files into the stage and return the place they are at; empty without files."""
        if not parts:
            return ""
        place = f"@{STAGE}/{dataset}/{date.isoformat()}/{max(part.part_id for part in parts)}"
        for part in parts:
            # A quote in a folder's name ends the text of PUT as it does any other.
            path = str(part.path).replace("\\", "\\\\").replace("'", "\\'")
            self._run(f"PUT 'file://{path}' {place} AUTO_COMPRESS = FALSE OVERWRITE = TRUE")
        return place

    def _replace(self, table: Table, date: dt.date, staged: str) -> None:
        self._run(f"DELETE FROM {table.name} WHERE {_around(table, date, date)}")
        if staged:
            self._run(
                f"COPY INTO {table.name} FROM {staged} "
                "FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def _run(self, sql: str) -> None:
        with _failures_named():
            self._session.sql(sql).collect()


def connect(connection: str, parts: PartLog) -> SnowflakeWarehouse:
    """Open a session by its name in Snowflake's ``connections.toml`` and create what is missing.

    Raises:
        UnreachableError: When there is no such connection, or the account does not answer.
    """
    from snowflake.snowpark import Session

    with _failures_named():
        session = Session.builder.config("connection_name", connection).create()
    warehouse = SnowflakeWarehouse(session, parts)
    warehouse.create_tables()
    return warehouse


def _columns(columns: Sequence[tuple[str, str]]) -> str:
    # Snowflake's TIMESTAMP follows a setting of the account: ours never has a zone.
    return ", ".join(f"{name} {'TIMESTAMP_NTZ' if kind == 'TIMESTAMP' else kind}" for name, kind in columns)


def _around(table: Table, first: dt.date, last: dt.date) -> str:
    end = last + dt.timedelta(days=table.days)
    return f"{table.moment} >= {literal(first)} AND {table.moment} < {literal(end)}"


@contextmanager
def _failures_named() -> Iterator[None]:
    from snowflake.connector.errors import Error as ConnectorError
    from snowflake.snowpark.exceptions import SnowparkClientException

    try:
        yield
    except RecommendrError:
        raise
    except (ConnectorError, SnowparkClientException, OSError) as error:
        raise UnreachableError(
            f"Snowflake does not answer: {_first_line(error)}", hint="check the connection in connections.toml"
        ) from error


def _first_line(error: Any) -> str:  # noqa: ANN401 - whatever the connector raises
    return str(error).partition("\n")[0]
