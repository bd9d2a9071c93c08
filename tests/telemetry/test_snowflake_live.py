"""The same contract on a live Snowflake account: skipped without one.

    SNOWFLAKE_CONNECTION=name python -m pytest tests/telemetry/test_snowflake_live.py

The connection is one of Snowflake's own ``connections.toml`` with a database and a warehouse; a schema of its own is
made and dropped.
"""

import os
from collections.abc import Iterator

import pandas as pd
import pytest

from telemetry.metrics import METRICS
from telemetry.queries import MetricQuestion, Purpose
from telemetry.warehouse.tables import EVENTS, ROLLUPS, Table
from tests.telemetry.planted import START
from tests.telemetry.test_snowflake import END, QUESTIONS, Both, sorted_rows
from workspace.ids import new_id
from workspace.paths import Paths

CONNECTION = os.environ.get("SNOWFLAKE_CONNECTION")
pytestmark = pytest.mark.skipif(not CONNECTION, reason="SNOWFLAKE_CONNECTION names no account to prove it on")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    from snowflake.snowpark import Session

    session = Session.builder.config("connection_name", CONNECTION).create()
    schema = new_id("recommendr").upper()
    session.sql(f"CREATE SCHEMA {schema}").collect()
    session.sql(f"USE SCHEMA {schema}").collect()
    try:
        yield Both(Paths(tmp_path_factory.mktemp("live") / "home").ensure(), session)
    finally:
        session.sql(f"DROP SCHEMA {schema}").collect()
        session.close()


@pytest.mark.parametrize("table", [EVENTS, *ROLLUPS], ids=lambda table: table.name)
def test_live_tables_hold_the_same_rows(both: Both, table: Table) -> None:
    sql = f"SELECT * FROM {table.name}"  # noqa: S608 - a name of ours
    ours, theirs = (sorted_rows(one.query(sql), table) for one in (both.embedded, both.snowflake))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [one.name for one in METRICS])
def test_live_metrics_are_equal_to_the_ninth_digit(both: Both, name: str) -> None:
    for options in QUESTIONS:
        question = MetricQuestion(metric=name, start=START, end=END, **options)
        ours, theirs = (one.answer(question, purpose=Purpose.AUDIT, actor="test") for one in both.telemetry)
        assert theirs.suppressed == ours.suppressed
        pd.testing.assert_frame_equal(theirs.rows, ours.rows, check_dtype=False, rtol=1e-9, atol=1e-9)
