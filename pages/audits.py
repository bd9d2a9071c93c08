"""Every audit: declare one, run it, read it, take it along."""

from dashboard import components, audit_panels


def page() -> None:
    """Draw the page."""
    components.heading("Audits", "Who is treated otherwise, how sure that is, and what could not have been seen.")
    audit_panels.draw()


page()
