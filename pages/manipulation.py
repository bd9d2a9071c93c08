"""Films whose metadata look made for the recommender: the queue, and why each is in it."""

from dashboard import components, manipulation_panels


def page() -> None:
    """Draw the page."""
    components.heading("Manipulation", "Films whose metadata look made for the recommender, kept for review.")
    manipulation_panels.draw()


page()
