"""A plan as it was declared, and a report to take along: what both pages of audits draw."""

from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard import access, components
from dashboard import audit_words as told
from dashboard.loaders import audits as loaders

if TYPE_CHECKING:
    from audit.plan import AuditPlan
    from dashboard.loaders.audits import Report

_FORMS: Final[tuple[tuple[loaders.Form, str, str], ...]] = (
    ("json", "Download as JSON", "application/json"),
    ("html", "Download as HTML", "text/html"),
    ("pdf", "Download as PDF", "application/pdf"),
)


def downloads(report: "Report") -> None:
    """Offer the report in its three forms; each is made when it is asked for, and the ledger says who took it."""
    actor = access.acting()
    for cell, (form, label, kind) in zip(st.columns(3), _FORMS, strict=True):
        cell.download_button(
            label, loaders.exporter(report, form, actor), f"{report.report_id}.{form}", kind, on_click="ignore",
            width="stretch", key=f"download_{form}",
        )  # fmt: skip


def facts(plan: "AuditPlan") -> None:
    """List what a plan declares."""
    references = ", ".join(f"{told.axis(axis)}: {told.group(name)}" for axis, name in sorted(plan.references.items()))
    family = (
        "; ".join(f"{told.axis(axis)}: {told.measure(measure)}" for axis, measure in plan.family)
        or "every user axis by every measure"
    )
    low, high = plan.parity
    rows = [
        ("Title", plan.title),
        ("Plan", plan.plan_id),
        ("Index version", plan.index_version),
        ("Catalogue", plan.snapshot_id),
        ("Recommendations for", plan.on.isoformat()),
        ("Panel", told.PANELS[plan.panel]),
        ("Size", _size(plan)),
        ("User groups", ", ".join(map(told.axis, plan.axes))),
        ("Film groups", ", ".join(map(told.axis, plan.film_axes)) or "none"),
        ("Held against", references or "the largest group of each axis"),
        ("Measures", ", ".join(map(told.measure, plan.measures))),
        ("Declared family of tests", family),
        ("Family-wise error", f"{100 * plan.alpha:g} %"),
        ("Counts as parity", f"ratios from {low:g} to {high:g}"),
        ("Slate", f"{plan.k} films"),
        ("Fewest users behind a figure", str(plan.k_anonymity)),
        ("Least share of a judged group", f"{100 * plan.least_share:g} %"),
        ("Seed", str(plan.seed)),
        ("Index of one market", plan.market_version or "none"),
        ("Notes", plan.notes or "none"),
    ]
    components.table(("Declared", "As"), rows, caption=f"Plan {plan.plan_id}, declared before the run")


def _size(plan: "AuditPlan") -> str:
    if plan.panel == "observed":
        return f"all users; acts of the last {plan.holdout_days} days held back"
    limit = f"at most {plan.personas:,} personas" if plan.personas else "every combination of attributes"
    return f"{plan.tastes:,} tastes, {plan.history_length} films in each history, {limit}"
