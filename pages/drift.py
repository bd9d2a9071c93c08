"""What changed: where, since when, by how much, and the likely cause."""

from dashboard import components, drift_panels


def page() -> None:
    """Draw the page."""
    components.heading("Drift", "What changed, where, since when, how large it is, and what probably caused it.")
    drift_panels.draw()


page()
