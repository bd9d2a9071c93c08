from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from audit.manipulation.queue import KEPT, Case, ReviewQueue
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.store import Store

CASE = Case(film_id="f1", content_hash="a" * 32, snapshot_id="c1", studio="Studio", title="Film", source="import",
            score=4.2, reasons={}, film="{}", before=None, withheld=True)  # fmt: skip


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    opened = Store(f"sqlite:///{home.database}")
    opened.upgrade()
    yield opened
    opened.close()


@pytest.fixture
def queue(store: Store) -> ReviewQueue:
    return ReviewQueue(store, clock=FrozenClock(datetime(2026, 5, 1, tzinfo=UTC)))


def test_the_same_content_is_queued_once_and_newer_content_supersedes(queue: ReviewQueue) -> None:
    assert len(queue.hold([CASE], "gate")) == 1
    assert queue.hold([CASE], "gate") == []
    queue.hold([replace(CASE, content_hash="b" * 32)], "gate")
    assert [one.content_hash[0] for one in queue.reviews()] == ["b"]


def test_a_decision_is_in_the_ledger_with_its_reason(queue: ReviewQueue, store: Store) -> None:
    (held,) = queue.hold([CASE], "gate")
    decided = queue.release(held.review_id, "The keywords are right.", "kim")
    assert (decided.state, decided.decided_by, decided.open) == ("released", "kim", False)
    ledger = Ledger(store)
    assert [(one.action, one.actor) for one in ledger.entries()] == [("film.release", "kim"), ("film.hold", "gate")]
    assert ledger.entries()[0].details["reason"] == "The keywords are right."
    assert ledger.verify().ok


def test_nothing_is_decided_twice_without_a_reason_or_without_a_row(queue: ReviewQueue, store: Store) -> None:
    (held,) = queue.hold([CASE], "gate")
    with pytest.raises(InvalidValueError, match="reason"):
        queue.release(held.review_id, "  ", "kim")
    with pytest.raises(UnknownError, match="must be one of the queue"):
        queue.keep("review_nobody", "why", "kim")
    queue.keep(held.review_id, "Stuffed.", "kim")
    with pytest.raises(StateError, match="kept already"):
        queue.release(held.review_id, "Oh well.", "kim")
    assert len(Ledger(store).entries()) == 2


def test_an_appeal_comes_first_and_opens_what_was_kept_out(queue: ReviewQueue) -> None:
    low, _ = queue.hold([replace(CASE, film_id="f0", score=1.0), CASE], "gate")
    queue.keep(low.review_id, "Stuffed.", "kim")
    appealed = queue.appeal(low.review_id, "All of it is in the film.", "studio")
    assert appealed.state == "held"
    assert [one.film_id for one in queue.reviews()] == ["f0", "f1"]
    with pytest.raises(StateError, match="appealed already"):
        queue.appeal(low.review_id, "Again.", "studio")
    assert queue.keep(low.review_id, "It is not.", "kim").state == KEPT


def test_what_is_for_review_is_served_and_stands_as_such(queue: ReviewQueue) -> None:
    queue.hold([replace(CASE, withheld=False)], "gate")
    assert queue.standing() == {("f1", "a" * 32): "review"}
