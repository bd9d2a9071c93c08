"""How the markets differ, whether one index serves them all, and what recommendations cost."""

from dashboard import components, market_panels


def page() -> None:
    """Draw the page."""
    components.heading("Markets", "How the markets differ, whether one index serves them all, and what it costs.")
    market_panels.draw()


page()
