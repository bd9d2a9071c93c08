"""Why this film, why not that one: one user's slate and everything that made it."""

import streamlit as st

from dashboard import access, components, controls, panels, words
from dashboard.loaders import recommendations as loaders
from recommender.slates import Slate


def page() -> None:
    """Draw the page."""
    components.heading("Recommendations", "Five films for one user, and the exact reason for every one of them.")
    controls.prefill()
    offered = loaders.choices()
    for problem in controls.refused(offered):
        components.error(problem)
    asked = controls.ask(offered)
    if asked is None:
        components.banner(
            "Pick or paste a user, and state why you look.", "Both are kept in the address and the ledger."
        )
        return
    access.record_look(asked.user_id, st.session_state["reason"])
    slate = controls.current_slate(asked)
    draw_slate(slate, offered.current)
    st.divider()
    panels.draw(slate)


def draw_slate(slate: Slate, current: str | None) -> None:
    """Draw the films, or say what took them away."""
    line, button = st.columns([5, 1], vertical_alignment="center")
    with line:
        aged = "" if slate.index_version == current else " (no longer the current one)"
        components.show(
            f'<p class="rr-meta">{words.count(len(slate.items), "film")} for user {components.text(slate.user_id)} in '
            f"{components.text(slate.region)} on {slate.on.isoformat()}, by version "
            f"{components.text(slate.index_version)}{aged}. Slate {components.text(slate.slate_id)}.</p>"
        )
    button.button("Refresh", on_click=controls.refresh, type="primary", key="refresh", width="stretch")
    if slate.items:
        components.film_cards(loaders.cards(slate), {})
    if len(slate.items) < slate.k:
        helps = "; ".join(words.RELAX.get(name, name) for name in slate.relax)
        components.banner(
            f"Only {words.count(len(slate.items), 'film')} may be shown." if slate.items else "No film may be shown.",
            f"To see more: {helps}." if helps else "No filter of yours would change that; the rules are never relaxed.",
            tone="warn",
        )
        components.funnel(slate.funnel)


page()
