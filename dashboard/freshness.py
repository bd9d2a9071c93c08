"""Answers that outlive the system they came from: the last good one stays on show, with its time and what went wrong.

Streamlit's own cache forgets an answer when it expires, and then a warehouse that is down empties the page.
"""

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from workspace.clock import Clock, SystemClock
from workspace.errors import InputError, RecommendrError

Value = TypeVar("Value")
MOST_ANSWERS: Final = 512
RETRY_AFTER: Final = dt.timedelta(seconds=15)
"""A system that is down is not asked again by every rerun of every page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[Value]):
    """An answer and how old it is.

    Args:
        value: The last good answer.
        at: When it was given.
        problem: Why there is no newer one; None when it is fresh.
        tried_at: When a newer one was last asked for.
    """

    value: Value
    at: dt.datetime
    problem: RecommendrError | None = None
    tried_at: dt.datetime


class LastGood:
    """Keeps answers by key, at most so many, the least lately used going first.

    Args:
        clock: What tells the time.
        most: How many answers are kept.
    """

    def __init__(self, clock: Clock | None = None, *, most: int = MOST_ANSWERS) -> None:
        self._clock = clock or SystemClock()
        self._most = most
        self._kept: OrderedDict[Hashable, Kept[Any]] = OrderedDict()
        self._asking: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def ask(self, key: Hashable, question: Callable[[], Value], *, ttl: dt.timedelta) -> Kept[Value]:
        """Return a fresh answer, or the last good one with the reason why there is no fresh one.

        Args:
            key: What tells questions apart.
            question: Gives the answer.
            ttl: How long an answer is fresh.

        Raises:
            InputError: What the question said of its own words; an older answer would not be one to it.
            RecommendrError: When there is no good answer yet.
        """
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        # One visitor asks; the others who want the same wait for that answer.
        with asking:
            kept = self._kept.get(key)
            now = self._clock.now()
            if kept is not None and now - kept.tried_at < (ttl if kept.problem is None else min(ttl, RETRY_AFTER)):
                return kept
            try:
                kept = Kept(value=question(), at=now, tried_at=now)
            except InputError:
                raise
            except RecommendrError as problem:
                if kept is None:
                    raise
                kept = replace(kept, problem=problem, tried_at=now)
            self._keep(key, kept)
        return kept

    def _keep(self, key: Hashable, kept: Kept[Any]) -> None:
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                gone, _ = self._kept.popitem(last=False)
                self._asking.pop(gone, None)
