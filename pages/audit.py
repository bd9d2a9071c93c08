"""One audit, from its verdict down to the score terms behind a row."""

from dashboard import audit_detail_panels, components


def page() -> None:
    """Draw the page."""
    components.heading(
        "Audit", "One audit: its verdicts, what they rest on, and the way from a disparity to its cause."
    )
    audit_detail_panels.draw()


page()
