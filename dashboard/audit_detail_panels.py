"""The page *Audit*: one report, from its verdicts down to the score terms behind a row."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import streamlit as st

from audit.results import GroupCount, Verdict
from dashboard import (
    audit_cause_panels,
    audit_front_panels,
    audit_group_panels,
    audit_invariance_panels,
    components,
    controls,
    words,
)
from dashboard import audit_words as told
from dashboard.loaders import audits as loaders
from dashboard.loaders.audits import Report
from dashboard.tabs import draw_open

_MOST_FOUND: Final = 25


def choose() -> Report | None:
    """Let a report be chosen; the address names it.

    Raises:
        UnknownError: When the address names none that is kept.
        IntegrityError: When it was changed since it was written.
    """
    offered = {
        one.report_id: f"{components.plain(one.report.plan.title)} · {one.report_id}" if one.report else one.report_id
        for one in loaders.listed()
    }
    linked = st.query_params.get("report")
    if linked and linked not in offered:
        return loaders.report(linked)  # says what is not there
    if not offered:
        components.banner(
            "No audit has been run yet.",
            "The command declares the default plan and runs it. The page [Audits] has a form for a plan of your own.",
            command="recommendr audit run",
        )
        components.show(
            f'<p><a href="{components.link("audits", tab="Declare")}" target="_self">Declare a plan</a></p>'
        )
        return None
    chosen = controls.choose_one("Report", offered, "report")
    return loaders.report(str(chosen))


def summary(report: Report) -> None:
    """Say what was found, what was not, and what could not have been seen."""
    findings = report.findings
    sentences = report.content.get("summary", {}).get("sentences", [])
    said = "".join(f"<li>{components.text(one)}</li>" for one in sentences)
    components.show(f"<ul>{said}</ul>")
    judged = [one for one in findings.figures if one.in_family]
    counts = told.verdicts(judged)
    low, high = report.plan.parity
    remarks = {
        Verdict.DISPARITY: f"outside {low:g} to {high:g}, beyond chance",
        Verdict.FLAGGED: "worth a look, not proven",
        Verdict.UNCLEAR: "neither shown",
        Verdict.PARITY: f"interval within {low:g} to {high:g}",
    }
    passed = sum(one.passed for one in findings.swaps)
    components.stats(
        [
            *((verdict.value.capitalize(), f"{counts[verdict]:,}", remarks[verdict]) for verdict in told.TONES),
            ("Attributes swapped", f"{passed} of {len(findings.swaps)}", "changed no list they should not change"),
            ("Withheld", f"{findings.withheld:,}", f"cells under {report.plan.k_anonymity} users"),
        ]
    )
    _found(report)
    _unseen(report)
    _sizes(report)


def _found(report: Report) -> None:
    worst = audit_group_panels.gravest_first(
        [one for one in report.findings.figures if one.verdict in (Verdict.DISPARITY, Verdict.FLAGGED)]
    )
    if not worst:
        return
    st.header("What stands out", anchor=False)
    more = f", the {_MOST_FOUND} gravest of {len(worst):,}" if len(worst) > _MOST_FOUND else ""
    components.table(
        ("Figure", "Verdict", "n", "Ratio", "Adjusted p"),
        [
            (audit_group_panels.wide(told.place(one)),
             audit_group_panels.verdict(report, one), told.number(one.n), told.ratio(one.ratio, one.ratio_interval),
             told.p_value(one.p_adjusted))
            for one in worst[:_MOST_FOUND]
        ],
        numeric=("n", "Ratio", "Adjusted p"), tight=("Verdict",), caption=f"Disparities and flags{more}",
    )  # fmt: skip


def _unseen(report: Report) -> None:
    limits = report.content.get("limits", report.findings.limits)
    if limits:
        st.header("What this audit could not have seen", anchor=False)
        components.show("<ul>" + "".join(f"<li>{components.text(one)}</li>" for one in limits) + "</ul>")


def _sizes(report: Report) -> None:
    if not report.findings.counts:
        return
    st.header("Who and what was compared", anchor=False)
    components.table(
        ("Axis", "Group", "n", "Share", "Judged"),
        [_size(one) for one in report.findings.counts], numeric=("n", "Share"),
        caption="Sizes of all groups, of users and of films; unknown is a group of its own",
    )  # fmt: skip


def _size(one: GroupCount) -> tuple[object, ...]:
    judged = components.pill("judged", "good") if one.judged else (one.reason or "not judged")
    share = told.NONE if one.share is None else f"{100 * one.share:.1f} %"
    return (told.axis(one.axis), told.group(one.group), told.number(one.n), share, judged)


PANELS: Final[Mapping[str, Callable[[Report], None]]] = {
    "Summary": summary,
    "By user group": audit_group_panels.by_user_group,
    "By film group": audit_group_panels.by_film_group,
    "Names swapped": audit_invariance_panels.swaps,
    "Proxy leak": audit_invariance_panels.leaks,
    "Markets": audit_invariance_panels.markets,
    "Cause": audit_cause_panels.draw,
    "Plan and hashes": audit_front_panels.draw,
}


def draw() -> None:
    """Draw the report's verdict, then the tabs, and only the open one's panel."""
    report = choose()
    if report is None:
        return
    title, tone = told.outcome(report.findings)
    components.banner(title[:1].upper() + title[1:], _about(report), tone=tone)
    draw_open(PANELS, report)


def _about(report: Report) -> str:
    plan, panel = report.plan, report.findings.panel
    size: Any = panel.get("users")
    people = words.count(size, "user" if plan.panel == "observed" else "persona") if isinstance(size, int) else ""
    return f"{plan.title}: index {plan.index_version} on {plan.on}, {told.PANELS[plan.panel].lower()}, {people}."
