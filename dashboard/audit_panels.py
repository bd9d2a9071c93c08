"""The page *Audits*: the reports there are, the plans they were made by, and a form that declares a plan."""

from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

from audit.plan import AuditPlan
from audit.results import Verdict
from dashboard import access, audit_form, audit_plan_panels, components, controls
from dashboard import audit_words as told
from dashboard.loaders import audits as loaders
from dashboard.loaders.audits import Listed
from dashboard.tabs import draw_open

_RUN: Final = "recommendr audit run"


def reports() -> None:
    """List the reports, the newest first, and hand out one of them."""
    found = loaders.listed()
    if not found:
        components.banner(
            "No audit has been run yet.",
            "The command declares the default plan and runs it; the tab Declare has a form for a plan of your own.",
            command=_RUN,
        )
        return
    sound = [one for one in found if one.report is not None]
    if sound:
        components.table(
            ("Report", "Says", "Found", "Flagged", "Unclear", "Parity", "Panel", "Index version", "Ran (UTC)"),
            [_row(one) for one in sound], numeric=("Found", "Flagged", "Unclear", "Parity"),
            tight=("Ran (UTC)",), caption="Reports, the newest first; counts are of the declared family",
        )  # fmt: skip
    for one in found:
        if one.problem is not None:
            components.error(one.problem)
    if sound:
        _take_along(sound)


def _row(one: Listed) -> tuple[object, ...]:
    if one.report is None:
        return ()
    findings, plan = one.report.findings, one.report.plan
    counts = told.verdicts([figure for figure in findings.figures if figure.in_family])
    return (
        components.anchor(plan.title, "audit", report=one.report_id), components.pill(*told.outcome(findings)),
        *(f"{counts[verdict]:,}" for verdict in (Verdict.DISPARITY, Verdict.FLAGGED, Verdict.UNCLEAR, Verdict.PARITY)),
        plan.panel, plan.index_version, told.moment(loaders.moments(one.report)[1]),
    )  # fmt: skip


def _take_along(sound: list[Listed]) -> None:
    st.header("Take a report along", anchor=False)
    named = {one.report_id: f"{one.report.plan.title} · {one.report_id}" for one in sound if one.report is not None}
    chosen = controls.choose_one("Report", named, "report")
    report = next((one.report for one in sound if one.report_id == chosen), None)
    if report is None:
        return
    read = components.link("audit", report=report.report_id)
    components.show(f'<p><a href="{read}" target="_self">Read it here</a></p>')
    audit_plan_panels.downloads(report)
    components.banner(
        "A stranger can check it", f"The file carries its SHA-256, {report.digest}. With the same workspace:",
        command=f"recommendr audit verify {report.report_id}.json",
    )  # fmt: skip


def plans() -> None:
    """List what was declared, and run one of them."""
    found = loaders.plans()
    if not found:
        components.banner(
            "No plan has been declared yet.", "Nothing is looked at before it is declared.",
            command="recommendr audit plan",
        )  # fmt: skip
        return
    held = {one.report.plan.plan_id: one.report_id for one in loaders.listed() if one.report is not None}
    components.table(
        ("Plan", "Title", "Index version", "Panel", "User groups", "Tests", "SHA-256", "Report"),
        [_plan(one, held) for one in found], numeric=("Tests",),
        caption="Declared plans; a plan can't be changed, only another one declared",
    )  # fmt: skip
    plan_id = controls.choose_one("Plan", {one.plan_id: f"{one.title} · {one.plan_id}" for one in found}, "plan")
    plan = next((one for one in found if one.plan_id == plan_id), found[0])
    audit_plan_panels.facts(plan)
    if st.button("Run this plan", type="primary"):
        with components.guarded():
            run(plan)
    else:
        components.show(
            f'<p class="rr-muted">Or in a terminal: <code>{_RUN} {components.text(plan.plan_id)}</code></p>'
        )


def _plan(one: AuditPlan, held: Mapping[str, str]) -> tuple[object, ...]:
    report = held.get(one.plan_id)
    done = components.anchor("read", "audit", report=report) if report else "not run"
    axes = ", ".join(map(told.axis, one.axes))
    return (one.plan_id, one.title, one.index_version, one.panel, axes, len(one.tests), one.plan_hash[:12], done)


def declare() -> None:
    """Draw the form of a plan with its hash as it stands, and declare it."""
    plan = loaders.draft(audit_form.ask())
    components.stats([("SHA-256 of the plan as it stands", plan.plan_hash[:16], plan.plan_hash[16:])])
    components.show(
        f'<p class="rr-muted">It declares {len(plan.tests)} confirmatory tests. Every field goes into the hash. Once '
        "it is declared, the ledger holds the hash, and the run refuses what the plan does not name.</p>"
    )
    left, right = st.columns(2)
    only = left.button("Declare", width="stretch")
    both = right.button("Declare and run", type="primary", width="stretch")
    if not (only or both):
        return
    with components.guarded():
        made = loaders.declare(plan, access.acting())
        way = components.link("audits", tab="Plans", plan=made.plan_id)
        components.banner(
            f"Declared as {made.plan_id}.", f"Its SHA-256, {made.plan_hash}, is in the ledger.", tone="good"
        )
        components.show(f'<p><a href="{way}" target="_self">See the plan</a></p>')
        if both:
            run(made)


def run(plan: AuditPlan) -> None:
    """Run a plan where its progress can be seen, and lead to its report."""
    actor = access.acting()
    with st.status(f"Running {plan.plan_id}: stay on this page until it is done.", expanded=True) as status:
        bar = st.progress(0.0, text="Opening the index")
        shown = [("", -1)]

        def progress(stage: str, done: int, total: int) -> None:
            per_cent = round(100 * done / total) if total else 0
            if shown[0] != (stage, per_cent):  # a message for each step would drown the browser
                shown[0] = (stage, per_cent)
                counted = f": {done:,} of {total:,}" if total else ""
                bar.progress(min(per_cent, 100), text=f"{components.literal(stage)}{counted}")

        try:
            report_id = loaders.run(plan.plan_id, progress, actor)
        except Exception:
            status.update(label=f"{plan.plan_id} could not be run.", state="error")
            raise
        bar.progress(100, text="Done")
        status.update(label=f"{plan.plan_id} is done: {report_id}.", state="complete")
    title, tone = told.outcome(loaders.report(report_id).findings)
    components.banner(title[:1].upper() + title[1:], f"Kept as {report_id}.", tone=tone)
    components.show(f'<p><a href="{components.link("audit", report=report_id)}" target="_self">Read the report</a></p>')


PANELS: Final[Mapping[str, Callable[[], None]]] = {"Reports": reports, "Plans": plans, "Declare": declare}


def draw() -> None:
    """Draw the tabs, and only the open one's panel."""
    draw_open(PANELS)
