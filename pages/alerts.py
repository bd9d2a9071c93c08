"""What fires, what the services promise, what is silenced, and what was told to whom."""

from dashboard import alert_panels, components


def page() -> None:
    """Draw the page."""
    components.heading("Alerts", "What needs somebody now, why it does, and who has been told.")
    alert_panels.draw()


page()
