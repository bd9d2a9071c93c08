"""The parts of *Manipulation*: the queue, one film's reasons and its decision, what was decided, what edits moved."""

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from audit.manipulation.queue import Review
from dashboard import access, components, words
from dashboard.alert_panels import moment
from dashboard.components import Tone
from dashboard.loaders import manipulation as loader

_TONES: Final[dict[str, Tone]] = {"held": "warn", "review": "info", "released": "good", "kept": "bad"}
_STATES: Final = {"held": "held", "review": "for review", "released": "released", "kept": "kept out"}
_MOST_EDITS: Final = 50


def queue() -> None:
    """List what waits, show one film in full, and take the decision; what was decided stands below."""
    waiting = loader.waiting()
    if not waiting:
        components.banner(
            "Nothing waits for review.",
            "The gate looks at every new and changed film of an import. To look at the whole catalogue now:",
            tone="good",
            command="recommendr audit queue scan --enqueue",
        )
    else:
        components.table(
            ("Film", "Studio", "State", "Score", "Lift", "Strongest reason", "Since (UTC)"),
            [_row(one) for one in waiting[: loader.MOST_SHOWN]],
            numeric=("Score", "Lift"),
            tight=("State", "Since (UTC)"),
            caption=words.count(len(waiting), "film waits", "films wait") + ", appeals first, then by score",
        )
        _one(waiting)
    _decided()


def _row(one: Review) -> tuple[object, ...]:
    reasons = one.reasons.get("reasons", [])
    state = f"{_STATES.get(one.state, one.state)}, appealed" if one.appeal else _STATES.get(one.state, one.state)
    return (
        components.anchor(one.title or one.film_id, "manipulation", review=one.review_id),
        one.studio,
        components.pill(state, _TONES.get(one.state, "info")),
        f"{one.score:.2f}",
        _share(one.reasons.get("lift"), signed=True),
        reasons[0]["words"] if reasons else "–",
        moment(one.opened_at),
    )


def _share(value: Any, *, signed: bool = False) -> str:  # noqa: ANN401 - a number of a JSON document, or None
    """Return a share of attention in per mille, since one film of hundreds has little of it."""
    if value is None:
        return "–"
    return f"{1000 * value:{'+' if signed else ''}.2f} ‰".replace("-", "\u2212")


def _one(waiting: list[Review]) -> None:
    ids = [one.review_id for one in waiting]
    titles = {one.review_id: f"{components.plain(one.title)[:60]} · {one.film_id}" for one in waiting}
    chosen = st.selectbox("Film", ids, format_func=lambda one: titles.get(one, one), key="review", bind="query-params")
    review = next((one for one in waiting if one.review_id == chosen), waiting[0])
    st.header("Why it is here", anchor=False)
    _figures(review)
    parts = [(f"{one['sign']}: {one['words']}", one["adds"]) for one in review.reasons.get("reasons", [])]
    components.waterfall(parts, review.score, caption=f"What adds up to the score of {components.plain(review.title)}")
    st.header("What it says now, and what it said before", anchor=False)
    components.table(
        ("Field", "Admitted before", "Delivered now"),
        [(one.name, one.before or "–", one.after or "–") for one in loader.changes(review)],
        caption="Fields that differ" if review.before else "A new film: nothing was admitted before",
    )
    if review.appeal:
        components.banner(f"Appeal by {review.appealed_by}, {moment(review.appealed_at)} UTC", review.appeal)
    else:
        _appeal(review)
    _decide(review)


def _figures(review: Review) -> None:
    facts = review.reasons
    out = "is not served" if review.state == "held" else "is served until somebody decides"
    before = "its last admitted content is served" if review.state == "held" and review.before else out
    components.stats(
        (
            ("Score", f"{review.score:.2f}", f"threshold {facts.get('threshold') or 0:.2f}"),
            ("State", _STATES.get(review.state, review.state), before),
            ("Exposure now", _share(facts.get("exposure")), "of the sentinel tastes' attention"),
            ("Exposure before", _share(facts.get("before")), "of the same"),
            ("Lift", _share(facts.get("lift"), signed=True), "what holding it prevents or costs"),
        )
    )


def _appeal(review: Review) -> None:
    with st.form("appeal", clear_on_submit=True, border=False):
        told = st.text_area("Appeal of the studio", help="What the studio says for its film; it goes to the top.")
        if st.form_submit_button("Enter the appeal"):
            with components.guarded():
                loader.queue().appeal(review.review_id, told, access.acting())
                st.rerun()


def _decide(review: Review) -> None:
    st.header("Decide", anchor=False)
    with st.form("decide", clear_on_submit=True, border=False):
        verdict = st.radio("Decision", ("Release", "Keep out"), index=None, horizontal=True)
        reason = st.text_input("Reason for the decision", help="It is kept in the ledger.")
        if st.form_submit_button("Decide", type="primary"):
            if verdict is None:
                components.banner("No decision was chosen.", "Choose one of the two.", tone="bad")
                return
            with components.guarded():
                release = verdict == "Release"
                with st.spinner("Bringing the catalogue and the index to it…"):
                    loader.decide(review.review_id, release=release, reason=reason, actor=access.acting())
                st.toast("Released." if release else "Kept out.")
                st.rerun()


def _decided() -> None:
    rows = loader.decided()
    if not rows:
        return
    st.header("Decided", anchor=False)
    components.table(
        ("Title", "Studio", "Decision", "Reason given", "By", "At (UTC)"),
        [
            (one.title or one.film_id, one.studio, components.pill(_STATES[one.state], _TONES[one.state]),
             one.decision_reason, one.decided_by, moment(one.decided_at))
            for one in rows
        ],
        tight=("Decision", "At (UTC)"),
        caption=f"The latest {len(rows)}; each is a row of the ledger",
    )  # fmt: skip


def edits() -> None:
    """Show what the edits between two catalogues moved, by studio and film."""
    entries = loader.snapshots()
    if len(entries) < 2:  # noqa: PLR2004 - before and after
        components.banner("There is one catalogue only.", "Edits show once a second import has brought some.")
        return
    ids = [one.snapshot_id for one in entries]
    named = {one.snapshot_id: f"{one.snapshot_id}, {one.imported_at[:16].replace('T', ' ')}" for one in entries}
    # Against the catalogue that is served, whatever was imported last.
    served = next((row for row, one in enumerate(entries) if one.current), 0)

    def shown(snapshot: str) -> str:
        return named.get(snapshot, snapshot)

    left, right = st.columns(2)
    first = 0 if served else 1
    before = left.selectbox("Before", ids, index=first, format_func=shown, key="before", bind="query-params")
    after = right.selectbox("After", ids, index=served, format_func=shown, key="after", bind="query-params")
    found = loader.edits(loader.home(), before, after)
    if not found.edits:
        components.banner("No film that both know was edited.", tone="good")
        return
    components.table(
        ("Studio", "Films edited", "Keywords added", "Exposure moved", "Net gain"),
        [
            (one.studio, one.edits, one.keywords_added, _share(one.moved), _share(one.lift, signed=True))
            for one in found.studios[:_MOST_EDITS]
        ],
        numeric=("Films edited", "Keywords added", "Exposure moved", "Net gain"),
        caption="Studios by how much of the sentinel tastes' attention their edits moved",
    )
    components.table(
        ("Film", "Studio", "Fields", "Before", "After", "Gain"),
        [
            (one.title, one.studio, ", ".join(one.fields), _share(one.before), _share(one.after),
             _share(one.lift, signed=True))
            for one in found.edits[:_MOST_EDITS]
        ],
        numeric=("Before", "After", "Gain"),
        caption=f"Edits by their gain, at most {_MOST_EDITS} of {len(found.edits)}",
    )  # fmt: skip


PANELS: Final[dict[str, Callable[[], None]]] = {"Queue": queue, "Edits": edits}


def draw() -> None:
    """Draw the tabs, and only the open one's panel."""
    for tab, panel in zip(st.tabs(list(PANELS), key="tab", bind="query-params"), PANELS.values(), strict=True):
        if tab.open:
            with tab, components.guarded():
                panel()
