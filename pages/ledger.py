"""The ledger: its records and whether they still hold."""

from dashboard import components, ledger_panels


def page() -> None:
    """Draw the page."""
    components.heading("Ledger", "Who did what to what, when; a chain in which one changed byte shows.")
    ledger_panels.draw()


page()
