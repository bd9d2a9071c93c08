"""Snowflake's half over the real connector and a real Snowpark session, against fakesnow's server: equal numbers."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import snowflake.connector
from fakesnow import server as stand_in
from snowflake.snowpark import Session

from experiments.sums import Request, Sums
from telemetry.metrics import METRICS
from telemetry.parts import PartLog
from telemetry.queries import MetricQuestion, Purpose, Telemetry
from telemetry.rollups import pending, roll_up
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.markets import DEFAULT
from telemetry.warehouse.snowflake import SnowflakeWarehouse
from telemetry.warehouse.tables import EVENTS, ROLLUPS, USER_DAY, Table
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event
from workspace.errors import UnreachableError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

pytestmark = [
    # Of the stand-in, not of ours: its server reads DuckDB's answers through a deprecated door.
    pytest.mark.filterwarnings("ignore::UserWarning:fakesnow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:fakesnow"),
]

CLOCK = FrozenClock(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
END = START + dt.timedelta(days=7)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with stand_in() as arguments:
        connection = snowflake.connector.connect(**{**arguments, "network_timeout": 60})
        opened = Session.builder.config("connection", connection).create()
        opened.sql("CREATE DATABASE IF NOT EXISTS recommendr").collect()
        opened.sql("CREATE SCHEMA IF NOT EXISTS recommendr.telemetry").collect()
        opened.sql("USE SCHEMA recommendr.telemetry").collect()
        yield opened
        # The stand-in does not know what a session says when it closes.
        connection.close()


class Both:
    """The same parts in either engine, rolled up by each."""

    def __init__(self, home: Paths, session: Session) -> None:
        settings = Settings(home=home.home)
        store = Store.open(settings)
        self.parts = PartLog(store, home, CLOCK)
        lay(self.parts, history(users=120, days=8))
        self.embedded = EmbeddedWarehouse(self.parts, 256)
        self.snowflake = SnowflakeWarehouse(session, self.parts)
        self.snowflake.create_tables()
        self.reports = [roll_up(self.parts, one, CLOCK) for one in (self.embedded, self.snowflake)]
        self.telemetry = [Telemetry(one, self.parts, store, settings, CLOCK) for one in (self.embedded, self.snowflake)]


@pytest.fixture(scope="module")
def both(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(Paths(tmp_path_factory.mktemp("both") / "home").ensure(), session)


def sorted_rows(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Rows in one order and of one type, whichever engine gave them."""
    names = [name for name, _ in table.columns]
    out = frame[names].copy()
    for name, kind in table.columns:
        if kind in {"DATE", "TIMESTAMP"}:
            out[name] = pd.to_datetime(out[name]).astype("datetime64[us]")
        elif kind == "VARCHAR":
            out[name] = out[name].astype(object).where(out[name].notna(), "")
        else:
            out[name] = out[name].astype(float)
    return out.sort_values(names, ignore_index=True)


@pytest.mark.parametrize("table", [EVENTS, *ROLLUPS], ids=lambda table: table.name)
def test_tables_hold_the_same_rows(both: Both, table: Table) -> None:
    sql = f"SELECT * FROM {table.name}"  # noqa: S608 - a name of ours
    ours, theirs = (sorted_rows(one.query(sql), table) for one in (both.embedded, both.snowflake))
    assert len(ours) > 0
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-12, atol=1e-12)


def test_roll_up_leaves_nothing_pending_in_either(both: Both) -> None:
    assert both.reports[0].dates == both.reports[1].dates
    assert both.reports[0].rows == both.reports[1].rows
    assert pending(both.parts, both.snowflake) == []
    assert both.snowflake.rows(USER_DAY) == both.embedded.rows(USER_DAY)
    span = (START, START)
    assert both.snowflake.rows(USER_DAY, span) == both.embedded.rows(USER_DAY, span)


QUESTIONS = [
    {"exact": True, "by": ("region", "variant")},
    {"exact": False, "by": ("region", "variant")},
    {"exact": False, "by": ("device",), "grain": "week"},
    {"exact": True, "by": ("market",), "grain": "day"},
    {"grain": "hour"},
    {"exact": True, "where": {"region": ("US", "CA")}, "by": ("index_version",)},
]


@pytest.mark.parametrize("options", QUESTIONS, ids=str)
@pytest.mark.parametrize("name", [one.name for one in METRICS])
def test_metrics_are_equal_to_the_ninth_digit(both: Both, name: str, options: dict[str, Any]) -> None:
    question = MetricQuestion(metric=name, start=START, end=END, **options)
    ours, theirs = (one.answer(question, purpose=Purpose.AUDIT, actor="test") for one in both.telemetry)
    assert theirs.suppressed == ours.suppressed
    pd.testing.assert_frame_equal(
        theirs.rows, ours.rows, check_dtype=False, rtol=1e-9, atol=1e-9, check_index_type=False
    )


def test_the_other_answers_are_equal_too(both: Both) -> None:
    asked = {"purpose": Purpose.AUDIT, "actor": "test"}
    later = START + dt.timedelta(days=5)
    ours, theirs = ([tile.__getstate__() for tile in one.tiles(later, END, **asked)] for one in both.telemetry)
    for our, their in zip(ours, theirs, strict=True):
        assert flat(their[1:]) == pytest.approx(flat(our[1:]), rel=1e-9, nan_ok=True)
    for grain, by in (("day", ("region",)), ("week", ()), ("hour", ("market",))):
        frames = [one.active(START, END, grain, by, **asked)[0] for one in both.telemetry]
        pd.testing.assert_frame_equal(frames[0], frames[1], check_dtype=False)
    together = [one.survey_beside_engagement(START, END, grain="day", **asked) for one in both.telemetry]
    assert together[0].correlation is not None
    assert together[1].correlation is not None
    assert together[1].correlation.value == pytest.approx(together[0].correlation.value, rel=1e-9)
    assert both.telemetry[0].dimensions(START, END) == both.telemetry[1].dimensions(START, END)
    question = MetricQuestion(metric="ctr", start=START, end=END, where={"region": "US"})
    users = [one.users_in_segment(question, 5) for one in both.telemetry]
    assert users[0].to_numpy().tolist() == users[1].to_numpy().tolist()
    user = int(users[0][Event.USER].iloc[0])
    events = [one.events_of(user=user, start=START, end=END) for one in both.telemetry]
    assert events[0][Event.ID].tolist() == events[1][Event.ID].tolist()


def flat(values: Any) -> list[float]:
    """Every figure in a nest of tuples."""
    if isinstance(values, list | tuple):
        return [figure for value in values for figure in flat(value)]
    return [float(values)] if isinstance(values, int | float | np.number) else [np.nan if values is None else 0.0]


def test_a_filter_is_a_value_and_never_sql(both: Both) -> None:
    for value in ("US'; DROP TABLE EVENTS; --", "US\\", "' OR '1' = '1", "\\' OR 1 = 1 --", ":start"):
        question = MetricQuestion(metric="ctr", start=START, end=END, where={"region": ("US", value)}, exact=True)
        for one in both.telemetry:
            answer = one.answer(question, purpose=Purpose.AUDIT, actor="test")
            only = MetricQuestion(metric="ctr", start=START, end=END, where={"region": "US"}, exact=True)
            alone = one.answer(only, purpose=Purpose.AUDIT, actor="test")
            assert answer.rows["value"].tolist() == pytest.approx(alone.rows["value"].tolist())
    assert both.snowflake.rows(EVENTS) > 0


def test_a_week_is_replaced_whole(both: Both) -> None:
    """Late events and deleted days reach Snowflake as they reach the parts."""
    before = both.snowflake.rows(EVENTS)
    late = history(users=120, days=8).head(4).assign(**{Event.ID: list("abcd")})
    lay(both.parts, late)
    changed = pending(both.parts, both.snowflake)
    assert changed == sorted(set(late[Event.TS].dt.date))
    roll_up(both.parts, both.embedded, CLOCK)
    roll_up(both.parts, both.snowflake, CLOCK)
    assert both.snowflake.rows(EVENTS) == before + 4
    total = "SELECT CAST(SUM(events) AS BIGINT) AS n FROM BUCKET_WEEK WHERE cut = 0"
    assert both.snowflake.query(total)["n"].tolist() == [before + 4] == both.embedded.query(total)["n"].tolist()


def test_load_replaces_the_days_of_a_rollup(both: Both) -> None:
    rows = both.snowflake.rows(USER_DAY)
    both.snowflake.load("user_day", both.parts.parts("user_day"))
    assert both.snowflake.rows(USER_DAY) == rows


def test_markets_are_replaced(both: Both) -> None:
    both.snowflake.set_markets({"US": "o'neill\\"})
    assert both.snowflake.query("SELECT region, market FROM REGIONS").to_numpy().tolist() == [["US", "o'neill\\"]]
    both.snowflake.set_markets(DEFAULT)
    assert len(both.snowflake.query("SELECT region FROM REGIONS")) == len(DEFAULT)


def test_a_statement_snowflake_refuses_is_a_named_error(both: Both) -> None:
    with pytest.raises(UnreachableError, match="Snowflake"):
        both.snowflake.query("SELECT nothing FROM NOWHERE")


TRIAL = Request(
    experiment_id="exp",
    start=START + dt.timedelta(days=2),
    as_of=START + dt.timedelta(days=4),
    variants=("control", "treatment"),
    metrics=("refresh_rate", "focus_s", "engagement"),
    pre_days=2,
    primaries=("focus_s",),
)


@pytest.fixture
def trials(session: Session) -> Iterator[Session]:
    """The same session in a schema of its own: the stand-in can't be started twice in a process."""
    session.sql("CREATE SCHEMA IF NOT EXISTS recommendr.trials").collect()
    session.sql("USE SCHEMA recommendr.trials").collect()
    yield session
    session.sql("USE SCHEMA recommendr.telemetry").collect()


def test_both_engines_give_the_same_sums_of_an_experiment(trials: Session, tmp_path: Path) -> None:
    homes = [Paths(tmp_path / name).ensure() for name in ("embedded", "snowflake")]
    parts = PartLog(Store.open(Settings(home=homes[0].home)), homes[0], CLOCK)
    lay(parts, history(users=60, days=5))
    embedded, other = EmbeddedWarehouse(parts, 256), SnowflakeWarehouse(trials, parts)
    other.create_tables()
    for one in (embedded, other):
        roll_up(parts, one, CLOCK)
    ours, theirs = (Sums(one, parts, home, clock=CLOCK) for one, home in zip((embedded, other), homes, strict=True))
    for source in ("user_day", "events"):
        left, right = (one.snapshot(TRIAL, source=source) for one in (ours, theirs))  # type: ignore[arg-type]
        assert left.cells.users > 15
        assert right.cells.keys.to_numpy().tolist() == left.cells.keys.to_numpy().tolist()
        np.testing.assert_allclose(right.cells.means, left.cells.means, rtol=1e-9)
        np.testing.assert_allclose(right.cells.comoments, left.cells.comoments, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(right.by_device.comoments, left.by_device.comoments, rtol=1e-9, atol=1e-9)
        assert right.exposures.to_numpy().tolist() == left.exposures.to_numpy().tolist()
        assert right.caps == pytest.approx(left.caps)
    for name in ("halves", "by_age"):
        left_cells, right_cells = (getattr(one, name)(TRIAL) for one in (ours, theirs))
        np.testing.assert_allclose(right_cells.totals, left_cells.totals, rtol=1e-9)
    assert theirs.late(TRIAL) == ours.late(TRIAL)
