"""The sums of experiments over a real Snowpark session, against fakesnow's server: equal to the embedded engine's."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import fakesnow
import numpy as np
import pytest
import snowflake.connector
from snowflake.snowpark import Session

from experiments.sums import Request, Sums
from telemetry.parts import PartLog
from telemetry.rollups import roll_up
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.snowflake import SnowflakeWarehouse
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

pytestmark = [
    # Of the stand-in, not of ours: its server reads DuckDB's answers through a deprecated door.
    pytest.mark.filterwarnings("ignore::UserWarning:fakesnow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:fakesnow"),
]
CLOCK = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
DAY = dt.timedelta(days=1)
ASKED = Request(
    experiment_id="exp",
    start=START + 2 * DAY,
    as_of=START + 4 * DAY,
    variants=("control", "treatment"),
    metrics=("refresh_rate", "focus_s", "engagement"),
    pre_days=2,
    primaries=("focus_s",),
)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with fakesnow.server() as arguments:
        connection = snowflake.connector.connect(**{**arguments, "network_timeout": 60})
        opened = Session.builder.config("connection", connection).create()
        opened.sql("CREATE DATABASE IF NOT EXISTS recommendr").collect()
        opened.sql("CREATE SCHEMA IF NOT EXISTS recommendr.telemetry").collect()
        opened.sql("USE SCHEMA recommendr.telemetry").collect()
        yield opened
        # The stand-in does not know what a session says when it closes.
        connection.close()


def test_both_engines_give_the_same_sums(session: Session, tmp_path: Path) -> None:
    homes = [Paths(tmp_path / name).ensure() for name in ("embedded", "snowflake")]
    parts = PartLog(Store.open(Settings(home=homes[0].home)), homes[0], CLOCK)
    lay(parts, history(users=60, days=5))
    embedded, other = EmbeddedWarehouse(parts, 256), SnowflakeWarehouse(session, parts)
    other.create_tables()
    for one in (embedded, other):
        roll_up(parts, one, CLOCK)
    ours, theirs = (Sums(one, parts, home, clock=CLOCK) for one, home in zip((embedded, other), homes, strict=True))
    for source in ("user_day", "events"):
        left, right = (one.snapshot(ASKED, source=source) for one in (ours, theirs))  # type: ignore[arg-type]
        assert left.cells.users > 15
        assert right.cells.keys.to_numpy().tolist() == left.cells.keys.to_numpy().tolist()
        np.testing.assert_allclose(right.cells.means, left.cells.means, rtol=1e-9)
        np.testing.assert_allclose(right.cells.comoments, left.cells.comoments, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(right.by_device.comoments, left.by_device.comoments, rtol=1e-9, atol=1e-9)
        assert right.exposures.to_numpy().tolist() == left.exposures.to_numpy().tolist()
        assert right.caps == pytest.approx(left.caps)
    for name in ("halves", "by_age"):
        left_cells, right_cells = (getattr(one, name)(ASKED) for one in (ours, theirs))
        np.testing.assert_allclose(right_cells.totals, left_cells.totals, rtol=1e-9)
    assert theirs.late(ASKED) == ours.late(ASKED)
