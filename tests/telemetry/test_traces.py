"""A request through the services: the order of its hops, and where its time went, by hand."""

import datetime as dt
import json
from typing import Any

import pytest

from telemetry.traces import Trace, trace
from workspace.errors import UnknownError
from workspace.paths import Paths

DAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def hop(service: str, start_ms: float, end_ms: float, **fields: Any) -> dict[str, Any]:
    """A line as a service writes it when it has answered."""
    return said(service, end_ms, "answered", duration_ms=end_ms - start_ms, status=200, **fields)


def said(service: str | None, at_ms: float, text: str, **fields: Any) -> dict[str, Any]:
    moment = (DAY + dt.timedelta(milliseconds=at_ms)).isoformat()
    return {"ts": moment, "level": "INFO", "service": service, "message": text, "transaction_id": "t1"} | fields


def traced(home: Paths, *lines: dict[str, Any]) -> Trace:
    (home.logs / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return trace(home, "t1")


REQUEST = (
    hop("gateway", 0, 100, region="KZ"),
    hop("bff", 5, 97),
    hop("user", 10, 20),
    hop("content", 22, 30),
    hop("recommender", 31, 91, slate_id="s9"),
)


def test_trace_is_in_the_order_of_a_request_whatever_the_order_of_the_lines(home: Paths) -> None:
    for lines in (REQUEST, REQUEST[::-1]):
        found = traced(home, *lines)
        assert [one.service for one in found.hops] == ["gateway", "bff", "user", "content", "recommender"]
        assert [one.depth for one in found.hops] == [0, 1, 2, 2, 2]


def test_trace_says_where_the_time_went(home: Paths) -> None:
    found = traced(home, *REQUEST)
    assert [one.duration_ms for one in found.hops] == pytest.approx([100, 92, 10, 8, 60])
    assert [one.self_ms for one in found.hops] == pytest.approx([8, 14, 10, 8, 60])
    assert [one.share for one in found.hops] == pytest.approx([0.08, 0.14, 0.1, 0.08, 0.6])
    assert found.slowest is not None
    assert found.slowest.service == "recommender"
    assert (found.started_at, found.duration_ms) == (DAY, pytest.approx(100))
    assert (found.slate_id, found.region, found.failed, found.lines) == ("s9", "KZ", False, 5)


def test_trace_counts_calls_side_by_side_once(home: Paths) -> None:
    found = traced(home, hop("bff", 0, 100), hop("user", 10, 60), hop("content", 20, 50), hop("recommender", 55, 90))
    # 10 to 90 is covered.
    assert [one.self_ms for one in found.hops] == pytest.approx([20, 50, 30, 35])
    assert [one.depth for one in found.hops] == [0, 1, 1, 1]


def test_trace_allows_for_clocks_that_differ_a_little(home: Paths) -> None:
    found = traced(home, hop("gateway", 0, 50), hop("bff", -1.5, 51))
    assert [one.depth for one in found.hops] == [0, 1]
    assert found.hops[0].self_ms == pytest.approx(0)


def test_trace_of_calls_one_after_another_nests_each_in_its_own(home: Paths) -> None:
    found = traced(home, hop("gateway", 0, 100), hop("bff", 1, 40), hop("bff", 50, 99), hop("user", 60, 80))
    assert [(one.service, one.self_ms) for one in found.hops] == [
        ("gateway", pytest.approx(100 - 39 - 49)),
        ("bff", pytest.approx(39)),
        ("bff", pytest.approx(29)),
        ("user", pytest.approx(20)),
    ]


def test_trace_puts_unknown_services_last_and_inside_what_called_them(home: Paths) -> None:
    found = traced(home, hop("zoo", 70, 75), hop("recommender", 10, 90), hop("apples", 20, 30), hop("bff", 0, 100))
    assert [one.service for one in found.hops] == ["bff", "recommender", "apples", "zoo"]
    assert [one.depth for one in found.hops] == [0, 1, 2, 2]
    assert found.hops[1].self_ms == pytest.approx(80 - 15)


def test_trace_keeps_what_services_said(home: Paths) -> None:
    found = traced(
        home,
        *REQUEST[:2],
        said("bff", 50, "second"),
        said("bff", 40, "first"),
        said("user", 60, "away", level="ERROR", status=504),
        said(None, 70, "whose?", logger="lib.x"),
        said("content", 80, "unmeasurable", duration_ms="long"),
    )
    by_name = {one.service: one for one in found.hops}
    assert [message.text for message in by_name["bff"].messages] == ["first", "second"]
    assert (by_name["user"].duration_ms, by_name["user"].self_ms) == (None, None)
    assert by_name["user"].messages[0].level == "ERROR"
    assert by_name["lib.x"].messages[0].text == "whose?"
    assert found.failed


def test_trace_of_a_failed_hop_is_failed(home: Paths) -> None:
    assert traced(home, hop("bff", 0, 9) | {"status": 504}).failed
    assert not traced(home, hop("bff", 0, 9) | {"status": 404}).failed


def test_trace_without_durations_spans_its_lines(home: Paths) -> None:
    found = traced(home, said("bff", 0, "a"), said("bff", 30, "b"))
    assert (found.duration_ms, found.slowest, len(found.hops)) == (pytest.approx(30), None, 1)


def test_trace_as_plain_data_is_json(home: Paths) -> None:
    document = json.loads(json.dumps(traced(home, *REQUEST, said("user", 15, "looked up")).to_dict()))
    assert document["slowest"] == "recommender"
    assert document["hops"][2]["messages"] == [
        {"ts": (DAY + dt.timedelta(milliseconds=15)).isoformat(), "level": "INFO", "text": "looked up"}
    ]


def test_trace_of_an_id_nobody_logged_is_named(home: Paths) -> None:
    with pytest.raises(UnknownError, match=r"'t2', must be one that was logged\. Hint: copy it"):
        traced(home, *REQUEST)
        trace(home, "t2")
