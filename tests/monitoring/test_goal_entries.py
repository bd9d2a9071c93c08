"""What is entered: periods, corrections, growth by hand, CSV files of every shape."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitoring.goal_entries import (
    ENTER,
    Entry,
    enter,
    growth,
    growth_course,
    newest,
    parse_period,
    period_name,
    read_csv,
)
from tests.experiments.plans import new_store
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, SchemaError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths

NOW = dt.datetime(2026, 7, 10, 9, tzinfo=dt.UTC)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Any]:
    """As much of the ground as entries stand on."""
    clock = FrozenClock(NOW)
    with new_store(Paths(tmp_path / "home").ensure()) as store:
        yield SimpleNamespace(store=store, ledger=Ledger(store, clock), clock=clock)


def entry(period: str, value: float, goal: str = "revenue_premium", note: str = "") -> Entry:
    start, end = parse_period(period)
    return Entry(goal=goal, start=start, end=end, value=value, note=note)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01", "2026-12-31"),
        ("2026-Q1", "2026-01-01", "2026-03-31"),
        ("2026-Q4", "2026-10-01", "2026-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-12", "2026-12-01", "2026-12-31"),
        ("2026-05-04..2026-05-31", "2026-05-04", "2026-05-31"),
    ],
)
def test_parse_period_and_back(text: str, start: str, end: str) -> None:
    found = parse_period(text)
    assert found == (dt.date.fromisoformat(start), dt.date.fromisoformat(end))
    assert period_name(*found) == text


@pytest.mark.parametrize(
    "text", ["", "May", "2026-5", "2026-13", "2026-Q5", "2026-05-01..", "20260501", "0000", "9999-12"]
)
def test_parse_period_refuses(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"2026-Q2"):
        parse_period(text)


def test_entry_refuses_what_is_no_revenue() -> None:
    day = dt.date(2026, 5, 1)
    with pytest.raises(InvalidValueError, match="value == -1"):
        Entry(goal="revenue_ads", start=day, end=day, value=-1)
    with pytest.raises(InvalidValueError, match="must be a finite number"):
        Entry(goal="revenue_ads", start=day, end=day, value=float("nan"))
    with pytest.raises(InvalidValueError, match="must not end before it starts"):
        Entry(goal="revenue_ads", start=day, end=day - dt.timedelta(days=1), value=1)
    with pytest.raises(UnknownError, match="revenue_ads, revenue_premium"):
        Entry(goal="ctr", start=day, end=day, value=1)


def test_enter_keeps_history_and_counts_the_newest(ground: Any) -> None:
    assert enter(ground, [entry("2026-05", 100.0), entry("2026-06", 110.0)], actor="ann") == 2
    assert enter(ground, [entry("2026-05", 105.0, note="late invoices")], actor="ben", source="june.csv") == 1
    assert [(one.period, one.value) for one in newest(ground.store)] == [("2026-05", 105.0), ("2026-06", 110.0)]
    rows = ground.ledger.entries()
    assert [(row.action, row.actor, row.details["source"]) for row in rows] == [
        (ENTER, "ben", "june.csv"), (ENTER, "ann", "hand"), (ENTER, "ann", "hand"),
    ]  # fmt: skip
    assert ground.ledger.verify().ok


def test_enter_the_same_again_changes_nothing(ground: Any) -> None:
    enter(ground, [entry("2026-05", 100.0)], actor="ann")
    assert enter(ground, [entry("2026-05", 100.0)], actor="ann") == 0
    assert ground.ledger.verify().length == 1


def test_growth_is_against_the_year_before_where_there_is_one(ground: Any) -> None:
    enter(ground, [entry("2025-06", 100.0), entry("2026-05", 200.0), entry("2026-06", 111.0)], actor="ann")
    found = growth(ground.store, "revenue_premium", at=NOW)
    assert found.value == pytest.approx(0.11)
    assert found.note == "2026-06: 111.00 against 100.00 in 2025-06"
    assert found.as_of == dt.datetime(2026, 7, 1, tzinfo=dt.UTC)


def test_growth_is_else_against_the_period_before(ground: Any) -> None:
    enter(ground, [entry("2026-05", 200.0), entry("2026-06", 190.0), entry("2026-Q1", 1.0)], actor="ann")
    found = growth(ground.store, "revenue_premium", at=NOW)
    assert found.value == pytest.approx(-0.05)
    # A quarter that ends before the month begins is no month before it.
    assert growth(ground.store, "revenue_premium", at=dt.datetime(2026, 6, 2, tzinfo=dt.UTC)).value is None


def test_growth_of_what_was_not_known_yet_is_left_out(ground: Any) -> None:
    enter(ground, [entry("2026-05", 200.0), entry("2026-06", 190.0), entry("2026-07", 1.0)], actor="ann")
    # July is not over.
    assert growth(ground.store, "revenue_premium", at=NOW).value == pytest.approx(-0.05)
    early = growth(ground.store, "revenue_premium", at=NOW - dt.timedelta(days=1))
    assert early.value is None
    assert "no period of it is entered" in early.note


def test_growth_says_what_is_missing(ground: Any) -> None:
    enter(ground, [entry("2026-06", 190.0)], actor="ann")
    assert "one period more is missing" in growth(ground.store, "revenue_premium", at=NOW).note
    enter(ground, [entry("2026-05", 0.0)], actor="ann")
    assert growth(ground.store, "revenue_premium", at=NOW).note == "not estimable: 2026-05 was 0"


def test_growth_course_is_oldest_first(ground: Any) -> None:
    enter(ground, [entry(f"2026-0{month}", 100.0 + month) for month in range(1, 7)], actor="ann")
    course = growth_course(ground.store, "revenue_premium", 3, at=NOW)
    assert [one.value for one in course] == pytest.approx([104 / 103 - 1, 105 / 104 - 1, 106 / 105 - 1])


def write(path: Path, text: str) -> Path:
    file = path / "revenue.csv"
    file.write_bytes(text.encode())
    return file


def test_read_csv_takes_bom_crlf_quotes_and_any_order(tmp_path: Path) -> None:
    text = '\ufeffValue,Goal,Period,Note\r\n100.5,revenue_ads,2026-05,"first, provisional"\r\n\r\n'
    text += "7,revenue_premium,2026-Q1,\r\n"
    found = read_csv(write(tmp_path, text))
    assert found == [entry("2026-05", 100.5, "revenue_ads", "first, provisional"), entry("2026-Q1", 7.0)]


def test_read_csv_names_the_lines_and_takes_nothing(tmp_path: Path) -> None:
    text = "goal,period,value\nrevenue_ads,2026-05,1\nrevenue_ads,May,1\nctr,2026-05,1\nrevenue_ads,2026-06,1,000\n"
    text += "revenue_ads,2026-06,lots\nrevenue_ads,2026-05,2\nrevenue_ads,2026-07,-1\n"
    with pytest.raises(SchemaError) as caught:
        read_csv(write(tmp_path, text))
    said = str(caught.value)
    for line in ("line 3: period == 'May'", "line 4: goal == 'ctr'", "line 5: cells == 4", "line 6: value == 'lots'"):
        assert line in said
    assert "line 7: revenue_ads of 2026-05, must be there once" in said
    assert "(and 1 more)" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("goal,period\n", "must have goal, period, value once each"),
        ("goal,period,value,value\n", "once each"),
        ('goal,period,value\n"revenue_ads,2026-05,1\n', "can't be read"),
    ],
)
def test_read_csv_refuses(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        read_csv(write(tmp_path, text))


def test_read_csv_refuses_other_encodings(tmp_path: Path) -> None:
    file = tmp_path / "revenue.csv"
    file.write_bytes("goal,period,value,note\nrevenue_ads,2026-05,1,März".encode("utf-16"))
    with pytest.raises(SchemaError, match="must be UTF-8"):
        read_csv(file)
