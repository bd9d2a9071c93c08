"""Questions about the logs: what is found, what is passed over, and that nothing in a log breaks them."""

import datetime as dt
import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import pytest

from telemetry.logs import REST, LogQuestion, query_logs, search_logs
from workspace import logs
from workspace.columns import LogLine
from workspace.errors import InvalidValueError, StateError
from workspace.paths import Paths

DAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def line(minute: float, **fields: Any) -> str:
    moment = DAY + dt.timedelta(minutes=minute)
    return json.dumps({"ts": moment.isoformat(), "level": "INFO", "service": "bff", "message": "hello"} | fields)


def write(home: Paths, name: str, *lines: str | bytes) -> Path:
    path = home.logs / name
    path.write_bytes(b"".join((one.encode() if isinstance(one, str) else one) + b"\n" for one in lines))
    return path


def messages(home: Paths, **question: Any) -> list[str]:
    return query_logs(home, LogQuestion(**question))[LogLine.MESSAGE].tolist()


@pytest.fixture
def written(home: Paths) -> Paths:
    write(
        home,
        "recommendr.1.jsonl",
        line(1, message="oldest", transaction_id="t1"),
        line(2, message="warned", level="WARNING"),
    )
    write(
        home,
        "recommendr.jsonl",
        line(3, message="Ärger mit Café", service="user", level="ERROR", transaction_id="t1", duration_ms=12.5),
        line(5, message="newest", transaction_id="t10", extra={"deep": [1, "x"]}, status=503),
    )
    write(home, "imported.jsonl", line(4, message='said "stop"\tat [once]', service="content"))
    return home


def test_logs_are_found_newest_first_over_every_file(written: Paths) -> None:
    assert messages(written) == ["newest", 'said "stop"\tat [once]', "Ärger mit Café", "warned", "oldest"]
    assert messages(written, limit=2) == ["newest", 'said "stop"\tat [once]']


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ({"transaction_id": "t1"}, ["Ärger mit Café", "oldest"]),
        ({"services": ("user", "content")}, ['said "stop"\tat [once]', "Ärger mit Café"]),
        ({"levels": ("ERROR", "WARNING")}, ["Ärger mit Café", "warned"]),
        ({"text": "NEWEST"}, ["newest"]),
        ({"text": "mit Café"}, ["Ärger mit Café"]),
        ({"text": '"stop"\tat [on'}, ['said "stop"\tat [once]']),
        ({"text": ".*"}, []),
        ({"text": "deep"}, ["newest"]),
        ({"services": ("ERROR",)}, []),
        (
            {"start": DAY + dt.timedelta(minutes=3), "end": DAY + dt.timedelta(minutes=5)},
            ['said "stop"\tat [once]', "Ärger mit Café"],
        ),
        ({"transaction_id": "t1", "levels": ("INFO",), "services": ("bff",), "text": "old"}, ["oldest"]),
        ({"transaction_id": "'; DROP TABLE x; --"}, []),
    ],
)
def test_logs_are_found_by_what_is_asked(written: Paths, question: dict[str, Any], found: list[str]) -> None:
    assert messages(written, **question) == found


def test_logs_line_has_every_column_and_the_rest(written: Paths) -> None:
    frame = query_logs(written, LogQuestion(transaction_id="t10"))
    assert tuple(frame.columns) == (*LogLine.ALL, REST)
    newest = frame.iloc[0]
    assert newest[LogLine.TS] == DAY + dt.timedelta(minutes=5)
    assert (newest[LogLine.STATUS], newest[LogLine.SLATE]) == ("503", None)
    assert math.isnan(newest[LogLine.DURATION_MS])
    assert json.loads(newest[REST]) == {"extra": {"deep": [1, "x"]}}
    assert query_logs(written, LogQuestion(text="Café"))[LogLine.DURATION_MS].item() == 12.5


def test_logs_count_what_matches_beyond_the_limit(written: Paths) -> None:
    answer = search_logs(written, LogQuestion(services=("bff",), limit=1))
    assert (len(answer.lines), answer.matched, answer.files) == (1, 3, 3)
    document = json.loads(json.dumps(answer.to_dict()))
    assert document["lines"][0]["rest"] == {"extra": {"deep": [1, "x"]}}
    assert document["lines"][0]["duration_ms"] is None


def test_logs_pass_over_and_count_what_is_no_line(home: Paths) -> None:
    write(
        home,
        "a.jsonl",
        line(1, message="before"),
        "no json",
        '{"ts": "2026-01-05T00:01:00Z", "message": "cut o',
        b'\xff\xfe\x00 {"a": 1}',
        "",
        line(2, message="after"),
        '{"message": "of no time"}',
        line(3, ts="yesterday", message="of no real time"),
        line(4, message=["a", {"list": 1}], duration_ms="long", level=7),
        line(5, message="big " + "x" * 10_000_000),
        '{"ts": "2026-01-05T00:01:00',
    )
    (home.logs / "empty.jsonl").touch()
    answer = search_logs(home, LogQuestion())
    assert answer.malformed == 4
    assert [text[:6] for text in answer.lines[LogLine.MESSAGE]] == ["big xx", '["a", ', "after", "before"]
    assert answer.lines[LogLine.LEVEL].tolist()[1] == "7"
    assert math.isnan(answer.lines[LogLine.DURATION_MS].iloc[1])


def test_logs_of_an_empty_workspace_are_none(home: Paths) -> None:
    answer = search_logs(home, LogQuestion())
    assert (len(answer.lines), answer.matched, answer.malformed, answer.files) == (0, 0, 0, 0)
    assert str(answer.lines[LogLine.TS].dtype) == "datetime64[us, UTC]"


def test_logs_read_only_files_that_may_hold_the_time(written: Paths) -> None:
    old = written.logs / "recommendr.1.jsonl"
    os.utime(old, (DAY.timestamp(), DAY.timestamp()))
    answer = search_logs(written, LogQuestion(start=DAY + dt.timedelta(minutes=1)))
    assert (answer.files, "oldest" in answer.lines[LogLine.MESSAGE].tolist()) == (2, False)


def test_logs_written_by_ourselves_are_found(home: Paths) -> None:
    root = logging.getLogger()
    handler = logs.configure(home, service="cli")
    try:
        with logs.transaction("mine"), logs.hop("recommender", slate_id="s1"):
            logging.getLogger("recommender.x").warning("hm", extra={"films": 5})
    finally:
        root.removeHandler(handler)
        handler.close()
    found = query_logs(home, LogQuestion(transaction_id="mine"))
    assert found[LogLine.SERVICE].tolist() == ["recommender", "cli"]
    assert found[LogLine.SLATE].tolist() == ["s1", None]
    assert found[LogLine.STATUS].tolist() == ["200", None]


def test_logs_that_can_not_be_read_are_named(home: Paths) -> None:
    (home.logs / "folder.jsonl").mkdir()
    with pytest.raises(StateError, match="can't be read"):
        search_logs(home, LogQuestion())


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"limit": 0}, "limit == 0"),
        ({"limit": 10_001}, "must be <= 10000"),
        ({"levels": ("LOUD",)}, "LOUD"),
        ({"text": "x" * 501}, "at most 500"),
        ({"start": DAY, "end": DAY}, "must be before"),
        ({"start": dt.datetime(2026, 1, 5)}, "aware"),  # noqa: DTZ001 - that is the point
    ],
)
def test_log_question_outside_its_limits_is_named(question: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        LogQuestion(**question)
