"""What came in, how late, what was refused and why, and whether the stores of telemetry are in order."""

from dashboard import components, ingestion_panels


def page() -> None:
    """Draw the page."""
    components.heading("Ingestion health", "What came in, how late, what was refused and why.")
    ingestion_panels.draw()


page()
