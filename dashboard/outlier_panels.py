"""The parts of *Outliers*: accounts, films, slates and requests that are unlike the others, and by which feature."""

from functools import partial
from typing import Final

import streamlit as st

from dashboard import components, run_panels
from dashboard.tabs import draw_open
from monitoring.reports import RunReport

KINDS: Final = {
    "Accounts": "outliers.users",
    "Films": "outliers.films",
    "Slates": "outliers.slates",
    "Requests": "outliers.requests",
}
_SAID: Final = {
    "outliers.users": "Accounts that act like robots, and accounts that click one film again and again.",
    "outliers.films": "Films whose metadata are unlike those of other films: stuffed, empty, copied.",
    "outliers.slates": "Slates that repeat themselves, fall short, or score unlike others.",
    "outliers.requests": "Requests that took a way or a time unlike others.",
}


def draw() -> None:
    """Draw the kinds as tabs, and only the open one."""
    run = run_panels.last_looked()
    if run is None:
        return
    draw_open({title: partial(_draw_kind, run, title, detector) for title, detector in KINDS.items()})


def _draw_kind(run: RunReport, title: str, detector: str) -> None:
    components.show(f'<p class="rr-muted">{_SAID[detector]}</p>')
    outcome = next((one for one in run.outcomes if one.detector == detector), None)
    if outcome is None:
        components.banner(f"{title} were not looked at in the last run.", tone="warn")
        return
    if not outcome.findings:
        components.banner(f"None of {outcome.looked_at:,} stands out.", tone="good")
    for finding in outcome.findings:
        st.header(f"{run_panels.named(finding.metric)}, {run_panels.place(finding)}", anchor=False)
        components.banner(finding.summary, tone=run_panels.TONES[finding.severity])
        run_panels.evidence(finding)
    run_panels.unseen(run, (detector,))
