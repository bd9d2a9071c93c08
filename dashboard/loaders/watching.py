"""What the pages of monitoring stand on, and what *Alerts* shows."""

import datetime as dt
from typing import Final

import streamlit as st

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from dashboard.loaders.telemetry import warehouse
from monitoring.alerts.outbox import Message, messages
from monitoring.alerts.records import Alert
from monitoring.alerts.silences import Silence, Silences
from monitoring.alerts.states import alerts_in
from monitoring.ground import Ground, stand
from monitoring.objectives import ObjectiveStatus, evaluate
from monitoring.reports import RunReport
from monitoring.runs import latest
from workspace.clock import SystemClock
from workspace.settings import Settings, load_settings
from workspace.store import Store

TTL: Final = dt.timedelta(minutes=1)
MOST_RESOLVED: Final = 100
MOST_MESSAGES: Final = 100


@st.cache_resource(max_entries=2, show_spinner=False)
def _ground(settings: Settings) -> Ground:
    return stand(settings, Store.open(settings), warehouse(settings), SystemClock())


def ground() -> Ground:
    """Return the opened stores of the workspace."""
    return _ground(load_settings())


def last_run() -> RunReport | None:
    """Return what the last run of the monitor found; None when none has run yet."""
    return latest(ground().store)


def objectives() -> Kept[tuple[ObjectiveStatus, ...]]:
    """Return how every objective stands, or the last good answer."""
    return ask((load_settings(), "objectives"), lambda: evaluate(ground()), ttl=TTL)


def open_alerts() -> tuple[tuple[Alert, Silence | None], ...]:
    """Return what is pending or firing, each with the silence that keeps it from being told."""
    now = ground()
    return alerts_in(now.store, now.clock.now())


def past_alerts() -> tuple[tuple[Alert, Silence | None], ...]:
    """Return what is over, the latest first."""
    now = ground()
    return alerts_in(now.store, now.clock.now(), ("resolved",), MOST_RESOLVED)


def told() -> tuple[Message, ...]:
    """Return the latest messages, the newest first."""
    return messages(ground().store, MOST_MESSAGES)


def silences() -> Silences:
    """Return what adds, ends and lists silences."""
    now = ground()
    return Silences(now.store, now.ledger, now.clock)
