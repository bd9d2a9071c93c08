"""What must work for a recommendation to reach its user, how surely it does, and what would make it surer."""

from dashboard import components, reliability_panels


def page() -> None:
    """Draw the page."""
    components.heading("Reliability", "What must work for a recommendation to reach its user, and how surely it does.")
    with components.guarded():
        reliability_panels.draw(reliability_panels.choose())


page()
