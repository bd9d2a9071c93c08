"""Identifiers: unique and sorted by the time they were made."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workspace.errors import InvalidValueError
from workspace.ids import ALPHABET, new_id


def test_ids_of_one_process_sort_in_the_order_they_were_made() -> None:
    made = [new_id("slate") for _ in range(5_000)]
    assert made == sorted(made)
    assert all(re.fullmatch(r"slate_[0-9A-HJKMNP-TV-Z]{26}", one) for one in made)


def test_ids_of_threads_are_unique() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id("t"), range(4_000)))
    assert len(set(made)) == 4_000


def test_ids_still_grow_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_id("t")
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert new_id("t") > before


def test_id_begins_with_the_milliseconds() -> None:
    earliest = time.time_ns() // 1_000_000
    digits = new_id("t").removeprefix("t_")
    latest = time.time_ns() // 1_000_000
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    # Other tests may have pushed the counter of this process a little ahead of the clock.
    assert earliest <= number >> 80 <= latest + 1


@pytest.mark.parametrize("prefix", ["", "A", "a_b", "1a", "a b"])
def test_id_refuses_other_prefixes(prefix: str) -> None:
    with pytest.raises(InvalidValueError):
        new_id(prefix)
