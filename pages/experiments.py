"""Every experiment at a glance, and how large the next one must be."""

from dashboard import components, experiment_list


def page() -> None:
    """Draw the page."""
    components.heading("Experiments", "What is being tried, on whom, and what the rule fixed before launch says of it.")
    experiment_list.draw()


page()
