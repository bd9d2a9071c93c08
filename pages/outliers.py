"""Who and what is unlike the others: accounts, films, slates, requests, each explained by feature."""

from dashboard import components, outlier_panels


def page() -> None:
    """Draw the page."""
    components.heading("Outliers", "Accounts, films, slates and requests that are unlike the others, and why.")
    outlier_panels.draw()


page()
