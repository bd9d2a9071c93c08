"""What *Manipulation* shows: the review queue, and what edits between two catalogues moved."""

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import streamlit as st

from audit.manipulation.edits import EditDiff, diff
from audit.manipulation.queue import KEPT, OPEN, RELEASED, Review, ReviewQueue
from dashboard import admission
from recommender.catalogue import SnapshotEntry, list_catalogues, load_catalogue
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings, load_settings
from workspace.store import Store

MOST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a film before and after."""

    name: str
    before: str
    after: str


@st.cache_resource(max_entries=2, show_spinner=False)
def _store(settings: Settings) -> Store:
    return Store.open(settings)


def queue() -> ReviewQueue:
    """Return the queue of the workspace."""
    store = _store(load_settings())
    return ReviewQueue(store, Ledger(store))


def waiting() -> list[Review]:
    """Return the open rows, appeals first."""
    return queue().reviews(OPEN)


def decided() -> list[Review]:
    """Return the latest decisions, the newest first."""
    rows = queue().reviews((RELEASED, KEPT))
    return sorted(rows, key=lambda one: str(one.decided_at), reverse=True)[:MOST_SHOWN]


def changes(review: Review) -> list[Field]:
    """Return the fields that differ from the last admitted content; all filled ones of a new film."""
    after = admission.from_json(review.film)
    before = None if review.before is None else admission.from_json(review.before)
    return [
        Field(name=name.replace("_", " "), before="–" if before is None else _told(before[name]), after=_told(value))
        for name, value in after.items()
        if (_told(value) if before is None else _told(value) != _told(before[name]))
    ]


def _told(value: Any) -> str:  # noqa: ANN401 - whatever a cell holds
    if isinstance(value, list):
        return ", ".join(value)
    return "" if pd.isna(value) else str(value)


def decide(review_id: str, *, release: bool, reason: str, actor: str) -> dict[str, Any]:
    """Release a film or keep it out; see `dashboard.admission.decide`."""
    return admission.decide(load_settings(), review_id, release=release, reason=reason, actor=actor)


def snapshots() -> list[SnapshotEntry]:
    """Return all catalogues, the latest import first."""
    return list_catalogues(Paths(load_settings().home))


@st.cache_data(max_entries=8, show_spinner="Comparing the catalogues…")
def edits(home: str, before: str, after: str) -> EditDiff:
    """Return what the edits between two catalogues moved.

    Args:
        home: The workspace; a part of what the answer depends on.
        before: The earlier snapshot.
        after: The later one.
    """
    from pathlib import Path

    paths = Paths(Path(home))
    return diff(load_catalogue(paths, before).films, load_catalogue(paths, after).films)


def home() -> str:
    """Return the workspace's folder."""
    return str(load_settings().home)
