"""What the system is for, and how it stands: every goal with its figure, and what threatens it."""

from dashboard import components, goal_panels


def page() -> None:
    """Draw the page."""
    components.heading("Goals", "What RecommendR is for, from revenue down to the model, and how each goal stands.")
    goal_panels.draw()


page()
