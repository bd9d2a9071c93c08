"""The engine behind every loader, opened once a process and kept on what is current."""

import gc

import streamlit as st

from audit.erasure.subjects import Subjects
from audit.export import LOOKED
from dashboard import ledgers
from recommender.catalogue.snapshot import POINTER
from recommender.engine import Recommender
from recommender.index import current_version
from workspace.files import read_pointer
from workspace.ledger import Ledger
from workspace.settings import Settings, load_settings
from workspace.store import Store


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


def record_look(*, actor: str, role: str, looked_at: str, personal: bool, reason: str) -> None:
    """Append to the ledger that somebody looked at one user's own data, or at something users stand behind.

    Args:
        actor: Who looked.
        role: In which role.
        looked_at: An id or a pseudonym of a user, else what was looked at in words.
        personal: Whether it is an id or a pseudonym: the ledger then holds a keyed digest of it.
        reason: The stated reason; a user's id in it is replaced by the same digest.
    """
    opened = engine()
    subject = looked_at
    if personal:
        subject = Subjects.open(opened.settings).named(looked_at)
        reason = reason.replace(looked_at, subject)
    opened.ledger.append(actor, LOOKED, subject, {"role": role, "reason": reason})


def record_role(*, actor: str, role: str | None) -> None:
    """Append to the ledger that somebody's role is another one than it says; needs no catalogue."""
    store = Store.open(load_settings())
    try:
        ledgers.record_role(Ledger(store), actor, role)
    finally:
        store.close()
