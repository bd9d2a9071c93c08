"""The services: latency, errors, processors and memory against their limits, by service and region."""

import streamlit as st

from dashboard import components, system_panels
from dashboard.loaders import system


def page() -> None:
    """Draw the page."""
    components.heading("System telemetry", "Latency, errors, CPU and memory of every service against their limits.")
    scope = system_panels.choose()
    every = "30s" if st.session_state.get("live") else None

    @st.fragment(run_every=every)
    def shown() -> None:
        with components.guarded():
            kept = system.overview(scope)
            components.last_good(kept)
            system_panels.draw(scope, kept.value)

    shown()


page()
