"""One request: gateway, BFF, user, content and recommender in order, its slate, its events, its log lines."""

import streamlit as st

from dashboard import access, components, trace_panels
from dashboard.loaders import traces


def page() -> None:
    """Draw the page."""
    components.heading("Trace", "One request through the services: where its time went, and what came of it.")
    asked, reason = trace_panels.choose()
    if asked and not reason:
        components.banner("State why you look at a single request.", "The ledger keeps the reason.")
    elif asked:
        access.record_look(f"transaction {asked}", reason, personal=False)
        with components.guarded():
            trace_panels.draw(traces.traced(asked))
    st.header("Log lines", anchor=False)
    with components.guarded():
        trace_panels.draw_lines(asked)


page()
