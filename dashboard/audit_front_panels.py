"""The tab *Plan and hashes* of *Audit*: what was declared, what was audited, how, and how it is found again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import audit_plan_panels, components
from dashboard import audit_words as told
from dashboard.loaders import audits as loaders

if TYPE_CHECKING:
    from dashboard.loaders.audits import Report

_CARDS: Final = {"model_card": "Model card", "datasheet": "Datasheet of the panel"}
_HALF: Final = 32


def draw(report: "Report") -> None:
    """Show what was declared before the run, what was audited, and how to do it again."""
    components.banner(
        "Run it again", "On the same workspace this says identical, or where the two differ:",
        command=f"recommendr audit verify {report.report_id}.json",
    )  # fmt: skip
    audit_plan_panels.downloads(report)
    _hashes(report)
    st.header("Plan", anchor=False)
    audit_plan_panels.facts(report.plan)
    content = report.content
    _parameters(content.get("main_parameters") or {})
    for name, title in _CARDS.items():
        _card(title, content.get(name) or ())
    _methods(content.get("methods") or {})


def _hashes(report: "Report") -> None:
    subject, panel = report.findings.subject, report.findings.panel
    rows = [
        ("Report", report.report_id, report.digest),
        ("Plan", report.plan.plan_id, report.plan.plan_hash),
        ("Manifest of the index", report.plan.index_version, str(subject.get("manifest_checksum") or told.NONE)),
        ("Panel", report.plan.panel, str(panel.get("panel_hash") or told.NONE)),
    ]
    software = report.content.get("software") or {}
    computed = ", ".join(f"{name} {version}" for name, version in software.items())
    components.table(
        ("Of", "Name", "SHA-256"), [(of, name, _digest(value)) for of, name, value in rows],
        caption="The hashes a stranger needs; each is of canonical JSON (RFC 8785) or of the files",
    )  # fmt: skip
    declared_at, ran_at = loaders.moments(report)
    if ran_at is None:
        components.banner("The ledger of this workspace knows nothing of this report.", "It was made elsewhere, or its "
                          "row is gone: verify both, the report and the ledger.", tone="warn",
                          command="recommendr ledger verify")  # fmt: skip
    ledger = f"Declared {told.moment(declared_at)}, ran {told.moment(ran_at)} (UTC, by the ledger)."
    components.show(f'<p class="rr-muted">{ledger} Computed with {components.text(computed or "not stated")}.</p>')


def _digest(value: str) -> components.Markup:
    # In halves, so that a narrow screen breaks it there and not wherever it ends.
    halves = (value[:_HALF], value[_HALF:])
    return components.Markup("<wbr>".join(f"<code>{components.text(half)}</code>" for half in halves if half))


def _parameters(parameters: Mapping[str, Any]) -> None:
    criteria = parameters.get("criteria")
    if not criteria:
        return
    st.header("Main parameters of the recommender, and why", anchor=False)
    components.table(
        ("Criterion", "Weight", "Share of what moves a film", "In words"),
        [
            (one["name"], f"{one['weight']:.4f}",
             "not measured" if one["influence"] is None else f"{100 * one['influence']:.1f} %", one["words"])
            for one in criteria
        ],
        numeric=("Weight", "Share of what moves a film"),
        caption="What decides a place, as Article 27 of the Digital Services Act asks; the most significant first",
    )  # fmt: skip
    for name, title in (
        ("reasons", "Why"),
        ("account", "What is taken of an account"),
        ("options", "What users can do"),
    ):
        _list(title, parameters.get(name) or ())


def _list(title: str, said: Sequence[str]) -> None:
    if said:
        items = "".join(f"<li>{components.text(one)}</li>" for one in said)
        components.show(f"<h3>{components.text(title)}</h3><ul>{items}</ul>")


def _card(title: str, sections: Sequence[Mapping[str, Any]]) -> None:
    if sections:
        st.header(title, anchor=False)
        components.table(
            ("Part", "What", "Says"),
            [(one["title"], name, _said(value)) for one in sections for name, value in one["rows"]], caption=title,
        )  # fmt: skip


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _methods(methods: Mapping[str, Any]) -> None:
    if not methods:
        return
    st.header("Methods", anchor=False)
    rule = methods.get("rule") or ()
    if rule:
        columns = list(dict.fromkeys(name for one in rule for name in one))
        components.table(
            [name.replace("_", " ").capitalize() for name in columns],
            [[one.get(name, told.NONE) for name in columns] for one in rule],
            caption="When a figure is given which verdict",
        )  # fmt: skip
    components.table(
        ("Name", "Formula", "In words", "Source"),
        [(one["name"], one["formula"], one["words"] or told.NONE, one["source"] or told.NONE)
         for one in methods.get("formulas") or ()],
        caption="How each figure was computed",
    )  # fmt: skip
