"""The warehouse's own words: canonical SQL, values, markets, tables, and the embedded engine's failures."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from telemetry.metrics import METRICS
from telemetry.parts import PartLog
from telemetry.rollups import statements
from telemetry.warehouse import open_warehouse
from telemetry.warehouse.cells import Plan, cell_moments, event_moments, paired_moments
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.markets import DEFAULT, read_markets
from telemetry.warehouse.sql import literal, names_in, tables_in, to_duckdb, with_literals
from telemetry.warehouse.stretches import BLOCKS, DAYS, WEEKS, Stretch, cover, period_of
from telemetry.warehouse.tables import (
    BUCKET_DAY,
    BUCKET_WEEK,
    CUTS,
    DIMENSION_COLUMNS,
    EVENTS,
    HOUR_ROLLUP,
    TABLES,
    USER_DAY,
    smallest_cut,
    table_of,
)
from tests.telemetry.planted import SCHEMA, START, history, lay
from workspace.columns import Event
from workspace.errors import IntegrityError, InvalidValueError, UnknownError, UnreachableError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store


@pytest.fixture
def parts(home: Paths) -> PartLog:
    return PartLog(Store.open(Settings(home=home.home)), home)


@pytest.fixture
def warehouse(parts: PartLog) -> EmbeddedWarehouse:
    return EmbeddedWarehouse(parts, 256)


def every_statement() -> list[str]:
    day = dt.date(2026, 3, 1)
    plans = [
        Plan(source="users", stretches=(Stretch(table=USER_DAY, first=day, last=day),)),
        Plan(source="buckets", stretches=cover(day, dt.date(2026, 5, 31))),
        Plan(source="hours", grain="hour", stretches=(Stretch(table=HOUR_ROLLUP, first=day, last=day),)),
    ]
    return [
        *(cell_moments(plan, METRICS) for plan in plans),
        paired_moments(plans[0], METRICS),
        event_moments(METRICS[:5]),
        statements.user_day(),
        statements.hour(),
        statements.bucket_day(),
        statements.summed_up(BUCKET_WEEK, BUCKET_DAY),
        statements.active_day(),
        statements.active_week(),
    ]


@pytest.mark.parametrize("sql", every_statement(), ids=range(11))
def test_statements_quote_nothing_and_read_only_known_tables(sql: str) -> None:
    # A quoted lower-case name is another column on Snowflake, though its stand-in finds it.
    assert '"' not in sql
    assert tables_in(sql)
    tree = sqlglot.parse_one(sql, read="snowflake")
    common = {cte.alias_or_name for cte in tree.find_all(sqlglot.exp.CTE)}
    read = {table.name for table in tree.find_all(sqlglot.exp.Table)} - common
    assert read == tables_in(sql)
    assert names_in(sql) >= {"start", "end"} or names_in(sql) >= {"first_0", "last_0"}


def test_to_duckdb_translates_once() -> None:
    sql = "SELECT DATEADD('DAY', 7, :monday) AS next, COUNT_IF(a = 1) AS n FROM EVENTS"
    assert "INTERVAL 7 DAY" in to_duckdb(sql)
    assert to_duckdb(sql) is to_duckdb(sql)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("US", "'US'"),
        ("O'Neill", "'O''Neill'"),
        ("a\\", "'a\\\\'"),
        (7, "7"),
        (0.5, "0.5"),
        (dt.date(2026, 3, 2), "CAST('2026-03-02' AS DATE)"),
        (dt.datetime(2026, 3, 2, 4, 5, tzinfo=dt.UTC), "CAST('2026-03-02 04:05:00' AS TIMESTAMP)"),
    ],
)
def test_literal_is_as_snowflake_reads_it(value: Any, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize("value", [None, True, b"x", ["US"]])
def test_literal_refuses_what_no_query_has(value: Any) -> None:
    with pytest.raises(InvalidValueError, match="query value"):
        literal(value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_literals_come_back_as_they_were(value: str) -> None:
    tree = sqlglot.parse_one(with_literals("SELECT :value AS v", {"value": value}), read="snowflake")
    assert [one.this for one in tree.find_all(sqlglot.exp.Literal)] == [value]


def test_with_literals_leaves_casts_and_moments_alone() -> None:
    assert with_literals("SELECT a::DATE, '10:00', :b", {"b": ":b"}) == "SELECT a::DATE, '10:00', ':b'"


def test_tables_are_found_by_their_dataset() -> None:
    assert [table_of(table.dataset) for table in TABLES] == list(TABLES)
    with pytest.raises(UnknownError, match="nothing"):
        table_of("nothing")


def test_events_have_the_columns_of_the_contract() -> None:
    assert tuple(name for name, _ in EVENTS.columns) == Event.ALL


def test_smallest_cut_knows_every_combination() -> None:
    for column in DIMENSION_COLUMNS:
        assert column in smallest_cut(frozenset({column})).columns
    assert smallest_cut(frozenset()).columns == ()
    assert smallest_cut(frozenset({Event.DEVICE, Event.REGION})) is CUTS[-1]


@given(st.dates(dt.date(2025, 1, 1), dt.date(2026, 12, 31)), st.integers(0, 250))
def test_stretches_cover_every_day_once(start: dt.date, length: int) -> None:
    end = start + dt.timedelta(days=length)
    for tables in (BLOCKS, WEEKS, DAYS):
        days = []
        for one in cover(start, end, tables):
            assert period_of(one.first, one.table.days) == one.first
            moments = range(0, (one.last - one.first).days + 1, one.table.days)
            days += [one.first + dt.timedelta(days=number + day) for number in moments for day in range(one.table.days)]
        assert days == [start + dt.timedelta(days=number) for number in range(length + 1)]
    assert len(cover(start, end)) <= 5


def test_markets_are_those_of_the_file_else_the_default(home: Paths) -> None:
    assert read_markets(home.telemetry) == DEFAULT
    (home.telemetry / "regions.json").write_text('{"US": "west"}', "utf-8")
    assert read_markets(home.telemetry) == {"US": "west"}


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"US": 1}'])
def test_markets_that_are_no_markets_are_refused(home: Paths, content: str) -> None:
    (home.telemetry / "regions.json").write_text(content, "utf-8")
    with pytest.raises(IntegrityError, match=r"regions\.json"):
        read_markets(home.telemetry)


def test_query_of_no_parts_is_empty_with_every_column(warehouse: EmbeddedWarehouse) -> None:
    for table in TABLES:
        frame = warehouse.query(f"SELECT * FROM {table.name}")  # noqa: S608 - a name of ours
        assert (len(frame), list(frame.columns)) == (0, [name for name, _ in table.columns])


def test_query_reads_only_the_days_of_the_window(parts: PartLog, warehouse: EmbeddedWarehouse) -> None:
    lay(parts, history(users=30, days=4))
    middle = (START + dt.timedelta(days=1), START + dt.timedelta(days=2))
    outside = [part for part in parts.parts("events") if not middle[0] <= part.date <= middle[1]]
    for part in outside:
        part.path.unlink()
    sql = "SELECT COUNT(*) AS N FROM EVENTS"
    assert warehouse.query(sql, window=middle)["n"].iloc[0] == warehouse.rows(EVENTS, middle) > 0
    with pytest.raises(IntegrityError, match=outside[0].path.name):
        warehouse.query(sql)
    assert warehouse.query(sql, windows={"EVENTS": [middle]})["n"].iloc[0] == warehouse.rows(EVENTS, middle)


def test_query_sees_parts_added_and_retired(parts: PartLog, warehouse: EmbeddedWarehouse) -> None:
    sql = "SELECT COUNT(*) AS n FROM EVENTS"
    events = history(users=20, days=2)
    lay(parts, events)
    assert warehouse.query(sql)["n"].iloc[0] == len(events)
    first = parts.parts("events")[0]
    parts.commit(retired=[first.part_id])
    assert warehouse.query(sql)["n"].iloc[0] == len(events) - first.rows


def test_query_binds_values(parts: PartLog, warehouse: EmbeddedWarehouse) -> None:
    lay(parts, history(users=20, days=2))
    sql = "SELECT COUNT(*) AS n FROM EVENTS WHERE region IN (:a, :b)"
    given_values = {"a": "US' OR '1' = '1", "b": "'; DROP TABLE EVENTS; --", "unused": 3}
    assert warehouse.query(sql, parameters=given_values)["n"].iloc[0] == 0


def test_query_names_a_damaged_part(parts: PartLog, warehouse: EmbeddedWarehouse) -> None:
    lay(parts, history(users=20, days=1))
    path = parts.parts("events")[0].path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(IntegrityError, match=path.name):
        warehouse.query("SELECT COUNT(*) AS n FROM EVENTS")


def test_regions_are_a_table(warehouse: EmbeddedWarehouse) -> None:
    frame = warehouse.query("SELECT region, market FROM REGIONS ORDER BY region")
    assert dict(zip(frame["region"], frame["market"], strict=True)) == DEFAULT


def test_open_warehouse_is_embedded_unless_snowflake_is_named(home: Paths) -> None:
    settings = Settings(home=home.home)
    opened = open_warehouse(settings, Store.open(settings))
    assert "DuckDB" in opened.name
    opened.close()


def test_open_warehouse_names_a_snowflake_connection_nobody_knows(
    home: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    settings = Settings(home=home.home, snowflake_connection="nowhere")
    with pytest.raises(UnreachableError, match="Snowflake"):
        open_warehouse(settings, Store.open(settings))


def test_the_planted_history_has_the_stored_form() -> None:
    assert SCHEMA.names == list(Event.ALL)
