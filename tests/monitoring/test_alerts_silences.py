"""Silences: a reason, an end, and a row of the ledger each."""

import datetime as dt
from collections.abc import Iterator

import pytest

from monitoring.alerts.silences import Silences
from tests.monitoring.alarms import HOUR, NOW, stored
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.store import Store


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with stored(home.home) as opened:
        yield opened


def test_a_silence_and_its_early_end_are_in_the_ledger(store: Store) -> None:
    clock = FrozenClock(NOW)
    silences = Silences(store, clock=clock)
    made = silences.add({"rule": "drift", "market": "central_*"}, "a known outage", 3 * HOUR, "ops")
    assert (made.created_at, made.ends_at) == (NOW, NOW + 3 * HOUR)
    clock.advance(HOUR)
    assert silences.end(made.silence_id, "it is over", "pm").ends_at == NOW + HOUR
    ledger = Ledger(store)
    rows = [(row.actor, row.action, row.subject, row.details["reason"]) for row in reversed(ledger.entries())]
    assert rows == [
        ("ops", "alert.silence", made.silence_id, "a known outage"),
        ("pm", "alert.unsilence", made.silence_id, "it is over"),
    ]
    assert ledger.verify().ok


def test_a_silence_ends_by_itself(store: Store) -> None:
    clock = FrozenClock(NOW)
    silences = Silences(store, clock=clock)
    made = silences.add({"rule": "*"}, "a test", HOUR, "ops")
    assert silences.all(active=True) == (made,)
    clock.advance(HOUR)
    assert silences.all(active=True) == ()
    assert silences.all() == (made,)
    with pytest.raises(StateError, match="has ended at 2026-05-04 13:00 UTC"):
        silences.end(made.silence_id, "again", "ops")


@pytest.mark.parametrize(
    ("matchers", "reason", "lasts", "said"),
    [
        ({}, "why", HOUR, "must name at least one label"),
        ({"rule": ""}, "why", HOUR, "must name at least one label"),
        ({"rule": "x"}, "  ", HOUR, "must be 1 to 1000 characters"),
        ({"rule": "x"}, "y" * 1001, HOUR, "must be 1 to 1000 characters"),
        ({"rule": "x"}, "why", dt.timedelta(0), "must last up to 90 days"),
        ({"rule": "x"}, "why", dt.timedelta(days=91), "must last up to 90 days"),
    ],
)
def test_a_silence_that_can_not_be_is_refused(
    store: Store, matchers: dict[str, str], reason: str, lasts: dt.timedelta, said: str
) -> None:
    with pytest.raises(InvalidValueError, match=said):
        Silences(store).add(matchers, reason, lasts, "ops")
    assert Silences(store).all() == ()
    assert Ledger(store).head().length == 0


def test_an_unknown_silence_is_named(store: Store) -> None:
    with pytest.raises(UnknownError, match="silence == 'silence_1'"):
        Silences(store).end("silence_1", "why", "ops")
