"""What *Privacy* shows, and the erasure and the export it starts."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import streamlit as st

from audit.erasure import Erased, SubjectRequest
from audit.retention import Kept, Retention
from dashboard.erasing import erase_user, export_of, requests_of
from dashboard.freshness import Kept as LastGood
from dashboard.loaders.kept import ask
from dashboard.loaders.watching import ground
from workspace.settings import load_settings

TTL = dt.timedelta(minutes=5)


def stores() -> LastGood[tuple[Kept, ...]]:
    """Return how every store stands against the limit, or the last good answer."""
    settings = load_settings()
    return ask((settings, "retention"), lambda: Retention(settings, ground().store).stores(), ttl=TTL)


def requests() -> list[SubjectRequest]:
    """Return the requests of people, newest first."""
    return requests_of(load_settings())


def erase(user_id: str, reason: str, *, actor: str, progress: Callable[[str, int, int], None]) -> Erased:
    """Erase a person, and let go of every answer this console has cached."""
    erased = erase_user(load_settings(), user_id, reason=reason, actor=actor, progress=progress)
    st.cache_data.clear()
    return erased


def export(user_id: str, *, actor: str) -> bytes:
    """Return a person's data as a JSON file."""
    document: dict[str, Any] = export_of(load_settings(), user_id, actor=actor)
    return json.dumps(document, indent=2, ensure_ascii=False).encode()
