"""Every audit: declare one, run it, read it, take it along."""

from dashboard import audit_panels, components


def page() -> None:
    """Draw the page."""
    components.heading("Audits", "Who is treated otherwise, how sure that is, and what could not have been seen.")
    audit_panels.draw()


page()
