"""What *Ledger* shows."""

from dataclasses import dataclass
from typing import Final

import streamlit as st

from dashboard.ledgers import matching, verified
from dashboard.loaders.watching import ground
from workspace.ledger import Ledger, LedgerEntry, LedgerHead, LedgerVerdict
from workspace.settings import load_settings

MOST: Final = 200
_LOOKED_THROUGH: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What can be filtered by: acts and actors of the newest records."""

    actions: tuple[str, ...]
    actors: tuple[str, ...]


def _ledger() -> Ledger:
    return Ledger(ground().store)


def head() -> LedgerHead:
    """Return length and last hash, to be noted outside the store."""
    return _ledger().head()


@st.cache_data(max_entries=4, ttl=600, show_spinner=False)
def _offered(home: str, length: int) -> Offered:  # noqa: ARG001 - what the answer depends on
    entries = _ledger().entries(_LOOKED_THROUGH)
    return Offered(
        actions=tuple(sorted({entry.action for entry in entries})),
        actors=tuple(sorted({entry.actor for entry in entries})),
    )


def offered() -> Offered:
    """Return what can be filtered by."""
    return _offered(str(load_settings().home), head().length)


def records(action: str, actor: str) -> list[LedgerEntry]:
    """Return the newest records of an act and an actor; empty texts stand for all."""
    return matching(_ledger(), limit=MOST, action=action, actor=actor)


def verify(noted: LedgerHead | None) -> LedgerVerdict:
    """Compute the whole chain again; never from a cache, since that is the point."""
    return verified(load_settings(), noted)
