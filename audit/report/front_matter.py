"""What a reader needs to know before the first figure: a model card of the version, a datasheet of the panel.

Source: Mitchell et al. 2019, Model Cards for Model Reporting; Gebru et al. 2021, Datasheets for Datasets.
"""

from collections.abc import Mapping
from typing import Any

from audit import names
from audit.plan import AuditPlan
from audit.results import Findings

Section = dict[str, Any]


def model_card(findings: Findings, facts: Mapping[str, Any]) -> list[Section]:
    """Return the model card: sections of ``title`` and ``rows`` of (name, value)."""
    plan = findings.plan
    evidence = dict(facts.get("evidence") or {})
    blocks = [names.block(str(name)) for name in facts.get("blocks") or ()]
    return [
        _section(
            "Model details",
            ("Index version", plan.index_version),
            ("Checksum of its manifest", facts.get("manifest_checksum")),
            ("Catalogue snapshot", plan.snapshot_id),
            ("Films", facts.get("films")),
            ("Text encoder", facts.get("encoder")),
            ("Built", facts.get("built_at")),
            ("Code", facts.get("code_version")),
            ("Feature code", facts.get("feature_code")),
            ("Blocks", names.listing(blocks, len(blocks)) if blocks else None),
            ("Kind", "content-based retrieval: score = Σ over blocks of weight × ⟨user, film⟩; exact explanations"),
        ),
        _section(
            "Intended use",
            ("For", f"the first {plan.k} films recommended to one user, on {plan.on.isoformat()}"),
            ("Not for", "judging users, pricing, or any decision about people"),
        ),
        _section(
            "Factors",
            ("User groups", names.listing([names.axis(one) for one in plan.axes], len(plan.axes))),
            ("Film groups", names.listing([names.axis(one) for one in plan.film_axes], len(plan.film_axes))),
            ("Named references", _references(plan)),
        ),
        _section(
            "Metrics",
            ("Measures", names.listing([names.measure(one, plan.k) for one in plan.measures], len(plan.measures))),
            ("Parity", f"a ratio within {plan.parity[0]:g} to {plan.parity[1]:g}"),
            ("Family-wise error", plan.alpha),
            ("Declared tests (axis × measure)", len(plan.tests)),
        ),
        _section(
            "Training",
            ("Weights fitted by", evidence.get("method") or "not fitted on this catalogue"),
            ("Users fitted on", evidence.get("users")),
            ("Precision at 5, held out", _share(evidence.get("held_out_precision_at_5"))),
        ),
        _section(
            "Ethical considerations",
            ("Attributes the recommender may use", names.listing(list(facts.get("segments") or ["market"]))),
            ("Attributes of people", "exist for synthetic personas alone; no real user's gender, age or name is known"),
        ),
    ]


def datasheet(findings: Findings) -> list[Section]:
    """Return the datasheet of the panel: sections of ``title`` and ``rows`` of (name, value)."""
    plan, panel = findings.plan, findings.panel
    observed = plan.panel == "observed"
    unknown = [
        f"{names.axis(one.axis)}: {names.WITHHELD if one.n is None else f'{one.n:,}'}"
        for one in findings.counts
        if one.group == "unknown"
    ]
    small = [
        f"{names.axis(one.axis)}: {one.group}" for one in findings.counts if not one.judged and one.group != "unknown"
    ]
    return [
        _section("Motivation", ("Made for", plan.title), ("Notes", plan.notes)),
        _section(
            "Composition",
            ("Panel", names.PANELS[plan.panel]),
            ("Users", panel.get("users")),
            ("Tastes", None if observed else panel.get("tastes")),
            ("Slates", panel.get("slates")),
            ("Slates shorter than asked for", panel.get("short_slates")),
            ("Films in a history", panel.get("history_length")),
            ("Hash of the panel", panel.get("panel_hash")),
            ("Unknown", names.listing(unknown, 20) or "none"),
            ("Not judged", names.listing(small, 20) or "none"),
        ),
        _section(
            "Collection",
            ("Where it is from", _source(plan)),
            ("Seed", plan.seed),
            ("Held back", f"the last {plan.holdout_days} days" if observed else "films drawn from the same taste"),
        ),
        _section(
            "Privacy",
            ("Personal data", "pseudonymous users, in groups only" if observed else "none: nobody in it exists"),
            ("Least users behind a figure", plan.k_anonymity if observed else "no limit: personas are not people"),
            ("Cells withheld", findings.withheld),
        ),
    ]


def _section(title: str, *rows: tuple[str, Any]) -> Section:
    # What a version does not say is said not to be known, rather than left out.
    return {"title": title, "rows": [[name, "not stated" if value in (None, "") else value] for name, value in rows]}


def _references(plan: AuditPlan) -> str:
    named = [f"{names.axis(axis)}: {group}" for axis, group in sorted(plan.references.items())]
    rest = "the largest group" if not named else "the largest group elsewhere"
    return f"{names.listing(named, 20)}; {rest}" if named else f"{rest} of each axis"


def _source(plan: AuditPlan) -> str:
    if plan.panel == "observed":
        return "the catalogue's own users, under pseudonyms; only counts of groups leave"
    return "made from the plan's seed; names from the vocabulary of the synthetic world, histories from tastes"


def _share(value: Any) -> str | None:  # noqa: ANN401 - as a manifest holds it
    return None if value is None else f"{float(value):.1%}"
