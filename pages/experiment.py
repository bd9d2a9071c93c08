"""One experiment: its verdict, every figure it rests on, and whether these can be trusted."""

from dashboard import components, experiment_panels


def page() -> None:
    """Draw the page."""
    components.heading("Experiment", "The verdict by the rule fixed before launch, and every figure it rests on.")
    chosen = experiment_panels.choose()
    if chosen is not None:
        experiment_panels.draw(chosen)


page()
