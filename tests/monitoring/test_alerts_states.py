"""States: pending, firing, resolved; told once, grouped, and quiet while silenced."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alerts import outbox
from monitoring.alerts.rules import Rules
from monitoring.alerts.signals import Signal, Signals
from monitoring.alerts.silences import Silences
from monitoring.alerts.states import Advance, advance, alerts_in, next_alert
from monitoring.findings import Severity
from tests.monitoring.alarms import HOUR, NOW, rules_of, signal, stored
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.store import Store

ROUTE = {"name": "hook", "kind": "webhook", "url": "https://example.org"}
CHAT = {"name": "chat", "kind": "slack", "url_env": "CHAT_URL"}
RULE = {"name": "drift", "kind": "finding", "detector": "drift.*"}
ONE_RULE = rules_of(RULE, routes=(ROUTE,))


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with stored(home.home) as opened:
        yield opened


def step(store: Store, *signals: Signal, at: dt.datetime = NOW, rules: Rules = ONE_RULE, **rest: Any) -> Advance:
    return advance(store, rules, Signals(signals=signals, **rest), at)


def told(store: Store) -> list[tuple[str, str, int]]:
    """Route, event and number of alerts of every message, the first first."""
    found = reversed(outbox.messages(store))
    return [(one.route, one.event, len(one.body["alerts"])) for one in found]


def test_an_alarm_that_must_last_is_pending_before_it_fires(store: Store) -> None:
    lasting = signal(lasts=2 * HOUR)
    assert step(store, lasting).pending == 1
    assert step(store, lasting, at=NOW + HOUR).fired == ()
    assert told(store) == []
    done = step(store, lasting, at=NOW + 2 * HOUR)
    assert (len(done.fired), done.pending) == (1, 0)
    ((alert, _),) = alerts_in(store, NOW)
    assert (alert.state, alert.pending_at, alert.fired_at) == ("firing", NOW, NOW + 2 * HOUR)
    assert told(store) == [("hook", "firing", 1)]


def test_a_pending_alarm_that_goes_away_is_never_told(store: Store) -> None:
    step(store, signal(lasts=HOUR))
    assert step(store, at=NOW + HOUR).resolved == ()
    assert told(store) == []
    assert alerts_in(store, NOW) == ()


def test_what_is_known_to_have_begun_earlier_counts_from_then(store: Store) -> None:
    done = step(store, signal(lasts=2 * HOUR, since=NOW - 3 * HOUR))
    assert len(done.fired) == 1
    ((alert, _),) = alerts_in(store, NOW)
    assert alert.pending_at == NOW - 3 * HOUR


def test_an_alert_is_told_when_it_fires_and_when_it_is_over_and_never_else(store: Store) -> None:
    for minute in range(5):
        step(store, signal(summary=f"It fell, {minute}."), at=NOW + minute * HOUR)
    ((alert, _),) = alerts_in(store, NOW)
    assert (alert.summary, alert.seen_at) == ("It fell, 4.", NOW + 4 * HOUR)
    assert len(step(store, at=NOW + 5 * HOUR).resolved) == 1
    step(store, at=NOW + 6 * HOUR)
    assert told(store) == [("hook", "firing", 1), ("hook", "resolved", 1)]


def test_the_same_again_later_is_another_alert(store: Store) -> None:
    for hour, signals in enumerate([[signal()], [], [signal()]]):
        step(store, *signals, at=NOW + hour * HOUR)
    assert [event for _, event, _ in told(store)] == ["firing", "resolved", "firing"]
    assert len(alerts_in(store, NOW, ("pending", "firing", "resolved"))) == 2


def test_the_same_run_twice_changes_and_tells_nothing(store: Store) -> None:
    lasting = [
        signal(),
        signal(identity="two", lasts=HOUR),
        signal(identity="over", since=NOW - 3 * HOUR, ended=NOW - HOUR),
    ]
    step(store, *lasting)
    before = [alert.to_dict() for alert, _ in alerts_in(store, NOW, ("pending", "firing", "resolved"))], told(store)
    again = step(store, *lasting)
    assert (again.fired, again.resolved, again.passed, again.messages) == ((), (), (), 0)
    after = [alert.to_dict() for alert, _ in alerts_in(store, NOW, ("pending", "firing", "resolved"))], told(store)
    assert after == before


def test_what_came_and_went_is_told_once(store: Store) -> None:
    gone = signal(since=NOW - 3 * HOUR, ended=NOW - HOUR)
    assert len(step(store, gone).passed) == 1
    assert step(store, gone, at=NOW + HOUR).passed == ()
    # The same place again, later: that is news.
    assert len(step(store, signal(since=NOW + HOUR, ended=NOW + 2 * HOUR), at=NOW + 3 * HOUR).passed) == 1
    assert [event for _, event, _ in told(store)] == ["passed", "passed"]


def test_what_came_and_went_sooner_than_it_must_last_is_nothing(store: Store) -> None:
    assert step(store, signal(since=NOW - HOUR, ended=NOW, lasts=2 * HOUR)).passed == ()
    assert told(store) == []


def test_an_alert_whose_end_is_known_is_over_then(store: Store) -> None:
    step(store, signal(since=NOW - HOUR))
    done = step(store, signal(since=NOW - HOUR, ended=NOW + HOUR), at=NOW + 3 * HOUR)
    assert (len(done.resolved), done.passed) == (1, ())
    ((alert, _),) = alerts_in(store, NOW, ("resolved",))
    assert alert.resolved_at == NOW + HOUR


def test_not_having_looked_resolves_nothing(store: Store) -> None:
    first, second = (
        signal(labels={"detector": "drift.telemetry"}),
        signal(identity="two", labels={"detector": "drift.x"}),
    )
    step(store, first, second)
    done = step(store, held=frozenset({("drift", "drift.telemetry")}), at=NOW + HOUR)
    assert (done.held, len(done.resolved)) == (1, 1)
    ((alert, _),) = alerts_in(store, NOW)
    assert alert.labels["detector"] == "drift.telemetry"
    assert step(store, held=frozenset({("drift", "")}), at=NOW + HOUR).held == 1


def test_alerts_with_the_same_labels_leave_in_one_message_the_gravest_first(store: Store) -> None:
    rules = rules_of(RULE, routes=(ROUTE,), group_by=["rule", "region"])
    signals = [signal(identity=str(number), labels={"region": "DE"}) for number in range(3)]
    signals.append(signal(identity="grave", labels={"region": "DE"}, severity=Severity.CRITICAL, summary="It broke."))
    step(store, *signals, signal(identity="other", labels={"region": "GB"}), rules=rules)
    assert sorted(told(store)) == [("hook", "firing", 1), ("hook", "firing", 4)]
    large = next(one.body for one in outbox.messages(store) if len(one.body["alerts"]) == 4)
    assert large["group"] == {"region": "DE", "rule": ""}
    assert large["title"] == "[FIRING, critical] region DE: 4 alerts"
    assert large["alerts"][0]["summary"] == "It broke."


def test_each_rule_goes_to_its_routes_only(store: Store) -> None:
    rules = rules_of({**RULE, "routes": ["chat"]}, {**RULE, "name": "grave"}, routes=(ROUTE, CHAT), group_by=[])
    step(store, signal(), signal(rule="grave"), rules=rules)
    assert sorted(told(store)) == [("chat", "firing", 2), ("hook", "firing", 1)]


def test_a_silenced_alert_fires_and_is_told_only_when_the_silence_has_ended(store: Store) -> None:
    silences = Silences(store, clock=FrozenClock(NOW))
    silence = silences.add({"region": "D?"}, "we move the data centre", 2 * HOUR, "me")
    done = step(store, signal(), signal(identity="gb", labels={"region": "GB"}))
    assert [(alert.labels["region"], quiet) for alert, quiet in done.firing] == [("DE", True), ("GB", False)]
    assert told(store) == [("hook", "firing", 1)]
    assert [quiet and quiet.silence_id for alert, quiet in alerts_in(store, NOW) if alert.labels["region"] == "DE"] == [
        silence.silence_id
    ]
    step(store, signal(), signal(identity="gb", labels={"region": "GB"}), at=NOW + 2 * HOUR)
    assert told(store) == [("hook", "firing", 1)] * 2


def test_what_was_never_told_is_not_told_to_be_over(store: Store) -> None:
    Silences(store, clock=FrozenClock(NOW)).add({"region": "DE"}, "known", 2 * HOUR, "me")
    step(store, signal())
    step(store, at=NOW + HOUR)
    assert told(store) == []


def test_what_was_told_is_told_to_be_over_silenced_or_not(store: Store) -> None:
    step(store, signal())
    Silences(store, clock=FrozenClock(NOW)).add({"region": "DE"}, "known", 2 * HOUR, "me")
    step(store, at=NOW + HOUR)
    assert [event for _, event, _ in told(store)] == ["firing", "resolved"]


def test_an_alert_without_a_route_is_told_once_there_is_one(store: Store) -> None:
    step(store, signal(), rules=rules_of(RULE))
    assert told(store) == []
    step(store, signal(), at=NOW + HOUR)
    step(store, signal(), at=NOW + 2 * HOUR)
    assert told(store) == [("hook", "firing", 1)]


def test_an_alert_and_its_message_are_written_together_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, left = outbox.put, [1]

    def full_disk(*given: Any) -> str:
        if not left:
            raise OSError("no space left on device")
        left.pop()
        return put(*given)

    monkeypatch.setattr(outbox, "put", full_disk)
    rules = rules_of(RULE, routes=(ROUTE,), group_by=["region"])
    two = [signal(), signal(identity="two", labels={"region": "GB"})]
    with pytest.raises(OSError, match="no space"):
        step(store, *two, rules=rules)
    assert (alerts_in(store, NOW), told(store)) == ((), [])
    monkeypatch.undo()
    step(store, *two, rules=rules)
    assert (len(alerts_in(store, NOW)), len(told(store))) == (2, 2)


def test_old_alerts_are_let_go_of(store: Store) -> None:
    step(store, signal())
    step(store, at=NOW + HOUR)
    late = NOW + dt.timedelta(days=30)
    advance(store, ONE_RULE, Signals(), late, kept=dt.timedelta(days=30))
    assert len(alerts_in(store, NOW, ("resolved",))) == 1
    # What is over is looked up in the same transaction.
    over = signal(since=NOW - 2 * HOUR, ended=NOW - HOUR)
    advance(store, ONE_RULE, Signals(signals=(over,)), late + 2 * HOUR, kept=dt.timedelta(days=30))
    assert alerts_in(store, NOW, ("resolved",)) == ()


def test_a_message_is_whole_json_without_what_moves(store: Store) -> None:
    step(store, signal(evidence={"low": None}))
    (message,) = outbox.messages(store)
    assert json.loads(json.dumps(message.body, allow_nan=False)) == message.body
    assert message.body["delivery_id"] == message.delivery_id
    assert {"seen_at", "told_at"}.isdisjoint(message.body["alerts"][0])


@given(st.lists(st.one_of(st.none(), st.just("lasts"), st.just("ended")), max_size=12), st.integers(0, 3))
def test_the_machine_never_goes_back(course: list[str | None], lasts_h: int) -> None:
    alert, states = None, []
    for hour, said in enumerate(course):
        now = NOW + hour * HOUR
        ended = now - HOUR / 2 if said == "ended" else None
        given_now = None if said is None else signal(lasts=lasts_h * HOUR, since=NOW - HOUR, ended=ended)
        alert = next_alert(alert, given_now, now)
        if alert is None:
            continue
        states.append(alert.state)
        if alert.state == "firing":
            assert alert.fired_at is not None
            assert alert.fired_at - alert.pending_at >= lasts_h * HOUR
        if alert.state == "resolved":
            assert alert.resolved_at is not None
            break
    order = ["pending", "firing", "resolved"]
    assert [order.index(one) for one in states] == sorted(order.index(one) for one in states)
