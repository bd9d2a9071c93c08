"""User telemetry: what users do with their recommendations, by segment and over time, down to one film of one slate."""

from dashboard import components, telemetry_panels
from workspace.errors import StateError


def page() -> None:
    """Draw the page."""
    components.heading("User telemetry", "What users do with what is recommended to them, and what they say of it.")
    try:
        asked = telemetry_panels.choose()
    except StateError as problem:
        components.error(problem)
        return
    telemetry_panels.draw(asked)


page()
