"""The outbox: nothing leaves it before it was received."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from monitoring.alerts import outbox
from monitoring.alerts.grouping import TOLD_AT_MOST, Notice, grouped
from monitoring.alerts.records import Event
from monitoring.alerts.states import next_alert
from monitoring.findings import Severity
from tests.monitoring.alarms import HOUR, NOW, signal, stored
from workspace.paths import Paths
from workspace.store import Store

FIRST = next_alert(None, signal(), NOW)
assert FIRST is not None


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with stored(home.home) as opened:
        yield opened


def notice(event: Event = "firing", alert_id: str = "alert_1") -> Notice:
    assert FIRST is not None
    return Notice(event=event, group={}, alerts=(replace(FIRST, alert_id=alert_id),), at=NOW)


def put(store: Store, route: str = "hook", event: Event = "firing", alert_id: str = "alert_1") -> str:
    with store.session() as session:
        return outbox.put(session, route, notice(event, alert_id))


def due(store: Store, at: dt.datetime = NOW) -> list[str]:
    return [one.delivery_id for one in outbox.due(store, at)]


def test_a_message_stays_until_it_is_crossed_out(store: Store) -> None:
    first, second = put(store), put(store, alert_id="alert_2")
    assert due(store) == [first, second]
    outbox.cross_out(store, first, NOW)
    assert (due(store), outbox.waiting(store)) == ([second], 1)
    gone = next(one for one in outbox.messages(store) if one.delivery_id == first)
    assert (gone.state, gone.attempts, gone.delivered_at) == ("delivered", 1, NOW)


def test_a_failed_attempt_is_tried_again_later_and_later_and_never_given_up(store: Store) -> None:
    one, at, pauses = put(store), NOW, []
    for _ in range(12):
        after = outbox.put_off(store, one, at, "no answer")
        pauses.append(int((after - at).total_seconds()))
        assert due(store, after - dt.timedelta(seconds=1)) == []
        assert due(store, after) == [one]
        at = after
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600, 3600]
    assert outbox.messages(store)[0].last_error == "no answer"


def test_what_came_later_of_an_alert_waits_for_what_came_before(store: Store) -> None:
    firing, over = put(store), put(store, event="resolved")
    other, elsewhere = put(store, alert_id="alert_2"), put(store, route="chat")
    outbox.put_off(store, firing, NOW, "no answer")
    assert due(store) == [other, elsewhere]
    assert due(store, NOW + HOUR) == [firing, over, other, elsewhere]


def test_a_message_that_was_received_is_put_off_no_more(store: Store) -> None:
    one = put(store)
    outbox.cross_out(store, one, NOW)
    outbox.put_off(store, one, NOW, "a late answer of another process")
    assert outbox.messages(store)[0].state == "delivered"


def test_only_what_was_received_is_let_go_of(store: Store) -> None:
    one, other = put(store), put(store, alert_id="alert_2")
    outbox.cross_out(store, one, NOW)
    assert outbox.let_go(store, NOW) == 0
    assert outbox.let_go(store, NOW + HOUR) == 1
    assert due(store) == [other]


def test_a_large_group_names_the_gravest_and_counts_the_rest() -> None:
    assert FIRST is not None
    many = [replace(FIRST, alert_id=f"alert_{number}", group_key="{}") for number in range(TOLD_AT_MOST + 7)]
    many[-1] = replace(many[-1], severity=Severity.CRITICAL.value, summary="It broke.")
    (found,) = grouped(many, "firing", NOW)
    document = found.to_dict()
    assert document["title"].startswith("[FIRING, critical]")
    assert document["lines"][0].startswith("It broke. (since 2026-05-04 12:00 UTC)")
    assert document["lines"][-1] == "… and 7 more"
    assert (len(document["alerts"]), document["more"]) == (TOLD_AT_MOST, 7)
