"""The parts of *Ledger*: whether the chain holds, the head to note, and the records."""

import json
import re
from typing import Final

import streamlit as st

from dashboard import components, controls
from dashboard.loaders import ledger as loaders
from workspace.errors import InvalidValueError
from workspace.ledger import LedgerEntry, LedgerHead

_NOTED: Final = re.compile(r"(\d{1,12}):([0-9a-f]{64})")
_DIGEST: Final = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")
_LONGEST_DETAILS: Final = 160


def draw() -> None:
    """Draw the page."""
    _verification()
    _records()


def _verification() -> None:
    head = loaders.head()
    st.header("Does it hold?", anchor=False)
    components.stats(
        [
            ("Records", f"{head.length:,}", "never changed, never deleted"),
            ("Head", head.hash[:12], "the last hash, its beginning"),
        ]
    )
    components.banner(
        "Note the head outside this store.",
        "A chain that was cut off at its end is a chain too: only a head noted earlier shows that records are missing.",
        command=f"{head.length}:{head.hash}",
    )
    with st.form("verify"):
        noted = st.text_input("Head noted earlier (optional)", key="noted", placeholder="length:hash", max_chars=80)
        asked = st.form_submit_button("Verify every record", type="primary")
    if asked:
        with components.guarded():
            _verdict(_read(noted))


def _read(noted: str) -> LedgerHead | None:
    if not noted.strip():
        return None
    found = _NOTED.fullmatch(noted.strip().lower())
    if not found:
        raise InvalidValueError(
            f"the head {noted[:80]!r}",
            "must be length:hash",
            "paste it as this page or `recommendr ledger verify` gave it",
        )
    return LedgerHead(length=int(found[1]), hash=found[2])


def _verdict(noted: LedgerHead | None) -> None:
    verdict = loaders.verify(noted)
    if not verdict.ok:
        components.banner(f"Record {verdict.broken_at:,} does not hold.", verdict.reason, tone="bad")
        return
    since = (
        f"None is missing since record {noted.length:,}."
        if noted
        else "No head was given: records cut off at the end could not be seen."
    )
    components.banner(f"All {verdict.length:,} records hold.", since, tone="good")


def _records() -> None:
    st.header("Records", anchor=False)
    offered = loaders.offered()
    left, right = st.columns(2)
    with left:
        action = controls.choose_one("Act", {"": "All acts", **{name: name for name in offered.actions}}, "act")
    with right:
        actor = controls.choose_one("Actor", {"": "Everybody", **{name: name for name in offered.actors}}, "actor")
    found = loaders.records(action or "", actor or "")
    if not found:
        components.banner("No record is like that.", "Choose another act or actor.")
        return
    components.table(
        ("No.", "When (UTC)", "Who", "What", "To what", "Details"),
        [_row(entry) for entry in found],
        caption=f"The newest records, {len(found):,} shown",
        tight=("No.", "When (UTC)", "What"),
    )


def _row(entry: LedgerEntry) -> tuple[object, ...]:
    details = _DIGEST.sub(r"\1…", json.dumps(entry.details, ensure_ascii=False)) if entry.details else ""
    shown = details if len(details) <= _LONGEST_DETAILS else f"{details[:_LONGEST_DETAILS]}…"
    return f"{entry.seq:,}", entry.at[:19].replace("T", " "), entry.actor, entry.action, entry.subject, shown
