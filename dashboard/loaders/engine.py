"""The engine behind every loader, opened once a process and kept on what is current."""

import gc

import streamlit as st

from recommender.catalogue.snapshot import POINTER
from recommender.engine import Recommender
from recommender.index import current_version
from workspace.files import read_pointer
from workspace.settings import Settings, load_settings


@st.cache_resource(max_entries=2, show_spinner="Opening the catalogue and the index…")
def _open(settings: Settings) -> Recommender:
    opened = Recommender.open(settings)
    # What is alive now stays alive: without this every full collection would walk through all of it again.
    gc.collect()
    gc.freeze()
    return opened


def engine() -> Recommender:
    """Return the engine on what is current now.

    Raises:
        StateError: When nothing has been imported or built yet.
        IntegrityError: When the current index is damaged.
    """
    opened = _open(load_settings())
    if read_pointer(opened.paths.catalogue / POINTER) != opened.catalogue.snapshot_id:
        opened.refresh()  # reads and checks the whole snapshot, so only when the pointer has moved
    return opened


def stamp() -> str:
    """Return what cached answers depend on: the catalogue and the index that are current."""
    opened = engine()
    return f"{opened.catalogue.snapshot_id}/{current_version(opened.paths)}"


def record_look(*, actor: str, role: str, user_id: str, reason: str) -> None:
    """Append to the ledger that somebody looked at one user's own recommendations."""
    engine().ledger.append(actor, "user_looked_at", user_id, {"role": role, "reason": reason})
