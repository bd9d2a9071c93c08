"""Last good data: fresh while it is, shown with its time when its source fails."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.freshness import LastGood
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError, UnreachableError

TTL = timedelta(minutes=1)


class Source:
    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def __call__(self) -> int:
        self.asked += 1
        if self.down:
            raise UnreachableError("the warehouse does not answer")
        return self.asked


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_ask_asks_again_only_when_the_answer_is_old(clock: FrozenClock) -> None:
    answers, source = LastGood(clock), Source()
    assert answers.ask("k", source, ttl=TTL).value == 1
    clock.advance(timedelta(seconds=59))
    assert answers.ask("k", source, ttl=TTL).value == 1
    clock.advance(timedelta(seconds=2))
    assert answers.ask("k", source, ttl=TTL).value == 2
    assert answers.ask("other", source, ttl=TTL).value == 3


def test_ask_keeps_the_last_good_answer_with_its_time_and_the_reason(clock: FrozenClock) -> None:
    answers, source = LastGood(clock), Source()
    good_at = clock.now()
    answers.ask("k", source, ttl=TTL)
    source.down = True
    clock.advance(timedelta(minutes=5))
    kept = answers.ask("k", source, ttl=TTL)
    assert (kept.value, kept.at) == (1, good_at)
    assert isinstance(kept.problem, UnreachableError)
    asked = source.asked
    answers.ask("k", source, ttl=TTL)
    assert source.asked == asked, "what is down is left in peace for a while"
    source.down = False
    clock.advance(timedelta(seconds=16))
    kept = answers.ask("k", source, ttl=TTL)
    assert (kept.problem, kept.at) == (None, clock.now())


def test_ask_raises_when_nothing_good_was_ever_said(clock: FrozenClock) -> None:
    source = Source()
    source.down = True
    with pytest.raises(UnreachableError):
        LastGood(clock).ask("k", source, ttl=TTL)


def test_ask_never_hides_a_wrong_question(clock: FrozenClock) -> None:
    answers = LastGood(clock)
    answers.ask("k", lambda: 1, ttl=TTL)
    clock.advance(timedelta(minutes=2))

    def refuse() -> int:
        raise InvalidValueError("start == 2030-01-01", "must be before the end")

    with pytest.raises(InvalidValueError):
        answers.ask("k", refuse, ttl=TTL)


def test_ask_forgets_the_least_lately_used(clock: FrozenClock) -> None:
    answers, source = LastGood(clock, most=2), Source()
    for key in "abc":
        answers.ask(key, source, ttl=TTL)
    assert answers.ask("c", source, ttl=TTL).value == 3
    assert answers.ask("a", source, ttl=TTL).value == 4


def test_ask_lets_one_of_many_ask(clock: FrozenClock) -> None:
    answers, source = LastGood(clock), Source()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(answers.ask("k", source, ttl=TTL).value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
