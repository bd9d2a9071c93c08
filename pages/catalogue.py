"""The catalogue: how fresh, from whom, what was refused, and the index versions built on it."""

import streamlit as st

from dashboard import components, words
from dashboard.loaders import catalogue
from dashboard.loaders.catalogue import CatalogueView


def page() -> None:
    """Draw the page."""
    components.heading("Catalogue", "Where the films come from, what was refused and why, and what is served.")
    view = catalogue.catalogue()
    components.stats([(label, f"{number:,}", "") for label, number in view.counts])
    draw_freshness(view)
    draw_providers(view)
    draw_versions(view)
    draw_quarantine(view)
    draw_snapshots(view)


def draw_freshness(view: CatalogueView) -> None:
    """Hold the catalogue's age against its limit."""
    limit = f"{view.limit_hours:.0f} hours"
    if view.age_hours is None:
        components.banner(
            "The age of the catalogue is unknown.", "Its manifest names no moment of import.", tone="warn"
        )
    elif view.fresh:
        body = f"Last confirmed {view.confirmed}; the limit is {limit}."
        components.banner(f"Fresh: {view.age_hours:.1f} hours old", body, tone="good")
    else:
        components.banner(
            f"Stale: {view.age_hours:,.1f} hours old, the limit is {limit}.",
            f"Last confirmed {view.confirmed}. Import again to confirm or renew it.", tone="warn",
        )  # fmt: skip


def draw_providers(view: CatalogueView) -> None:
    """Say who served, and who could not."""
    st.header("Providers", anchor=False)
    serving = " and ".join(view.serving) or "the previous snapshot"
    for one in view.providers:
        if not one.ok:
            components.banner(
                f"{one.name} {one.state}: {one.reason or 'no reason given'}.", f"Served by {serving}.", tone="warn"
            )
    rows = [
        (one.name, components.pill(one.state, "good" if one.ok else "warn"), one.updated, one.films, one.reason)
        for one in view.providers
    ]
    components.table(
        ("Provider", "State", "Delivered", "Films", "Reason"),
        rows,
        numeric=("Films",),
        tight=("Delivered",),
        caption="At the last import",
    )


def draw_versions(view: CatalogueView) -> None:
    """List the index versions, and check their hashes on request."""
    st.header("Index versions", anchor=False)
    if view.index_problem:
        components.error(view.index_problem)
    for version, reason in view.broken:
        components.banner(f"Version {version} can't be read.", reason, tone="bad")
    if not view.versions:
        components.banner("No index version has been built.", command="recommendr index build")
        return
    rows = [
        (one.version, components.pill("current", "good") if one.current else "", one.created, f"{one.films:,}",
         f"{one.megabytes:.1f}", ", ".join(words.block(name) for name in one.blocks), one.strategy, one.evidence)
        for one in view.versions
    ]  # fmt: skip
    columns = ("Version", "Served", "Built", "Films", "MB", "Blocks", "Strategy", "Evidence of the weights")
    components.table(columns, rows, numeric=("Films", "MB"), tight=("Built",), caption="Newest first")
    names = [one.version for one in view.versions]
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.selectbox("Version to verify", names, key="verify", bind="query-params")
    if right.button("Verify hashes", width="stretch") and chosen:
        with components.guarded():
            problems = catalogue.verify_version(chosen)
            for problem in problems:
                components.banner(f"{chosen} is damaged.", problem, tone="bad")
            if not problems:
                components.banner(f"{chosen} is whole.", "Every file has the hash it was published with.", tone="good")


def draw_quarantine(view: CatalogueView) -> None:
    """Show what was refused or repaired, with the reasons."""
    st.header("Quarantine", anchor=False)
    if not view.refused:
        components.banner("Nothing was refused.", "Every row that was delivered is in the catalogue.", tone="good")
        return
    left, right = st.columns(2)
    sources = left.multiselect(
        "Source",
        sorted({source for source, _, _ in view.refused}),
        key="source",
        bind="query-params",
        placeholder="Any",
    )
    reasons = right.multiselect(
        "Reason", sorted({reason for _, reason, _ in view.refused}), key="why", bind="query-params", placeholder="Any"
    )
    components.table(
        ("Source", "Reason", "Rows"), [(source, reason, f"{number:,}") for source, reason, number in view.refused],
        numeric=("Rows",), caption="How many, by source and reason",
    )  # fmt: skip
    rows, total = catalogue.quarantine(sources, reasons)
    components.show(f'<p class="rr-muted">{words.count(total, "row")}; the first {len(rows):,} are shown.</p>')
    st.dataframe(rows, hide_index=True, height=320, alt="Quarantined rows with source, row, field, value and reason")
    st.download_button(
        "Download as CSV", catalogue.quarantine_csv(sources, reasons), "quarantine.csv", "text/csv", on_click="ignore"
    )


def draw_snapshots(view: CatalogueView) -> None:
    """List the stored states of the catalogue."""
    st.header("Snapshots", anchor=False)
    rows = [
        (one.snapshot_id, components.pill("current", "good") if one.current else "", _minute(one.imported_at),
         _minute(one.confirmed_at),
         *(f"{one.counts.get(name, 0):,}" for name in ("films", "users", "interactions")))
        for one in view.snapshots
    ]  # fmt: skip
    columns = ("Snapshot", "Served", "Imported", "Last confirmed", "Films", "Users", "Interactions")
    components.table(columns, rows, numeric=columns[4:], tight=columns[2:4], caption="Immutable, newest first")


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


page()
