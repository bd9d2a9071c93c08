"""The last good answers of everything outside this process, kept for all visitors together."""

import datetime as dt
from collections.abc import Callable, Hashable
from typing import TypeVar

import streamlit as st

from dashboard.freshness import Kept, LastGood

Value = TypeVar("Value")


@st.cache_resource(max_entries=1, show_spinner=False)
def _answers() -> LastGood:
    return LastGood()


def ask(key: Hashable, question: Callable[[], Value], *, ttl: dt.timedelta) -> Kept[Value]:
    """Return a fresh answer, or the last good one with the reason why there is no fresh one; see `LastGood.ask`."""
    return _answers().ask(key, question, ttl=ttl)
