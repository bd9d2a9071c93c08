"""Retention, erasure, requests of people and the register of purposes."""

from dashboard import components, privacy_panels


def page() -> None:
    """Draw the page."""
    components.heading(
        "Privacy", "What is kept, for how long, for which purpose; what people asked for, and proof that it was done."
    )
    privacy_panels.draw()


page()
